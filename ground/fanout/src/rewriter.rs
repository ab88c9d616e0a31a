//! The numbers that one viewer sees: one gapless sequence and one steady clock, whatever happens upstream.

use arrayvec::ArrayVec;
use std::time::Instant;
use wtn_media::{EncodingId, Packet, RtpTime, SeqNo};

/// Switches whose packets a viewer may still ask for again. More than four within the second that the
/// retransmission store spans do not happen: switches wait for keyframes.
const SPANS_MAX: usize = 4;

/// A stretch of the outgoing sequence that came from one source without a switch.
#[derive(Clone, Copy, Debug)]
struct Span {
    epoch: u32,
    encoding: EncodingId,
    /// First sequence number of the source that belongs to the stretch.
    first_in: SeqNo,
    /// The number it went out under.
    first_out: SeqNo,
    /// Added to the source's timestamps, modulo 2^64.
    time_offset: u64,
}

/// Where a packet that went out came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Publisher session.
    pub epoch: u32,
    /// Encoding.
    pub encoding: EncodingId,
    /// Sequence number there.
    pub seq: SeqNo,
}

/// Maps a publisher's numbers to a viewer's (RFC 3550 §5.1: one SSRC, one sequence, one clock).
///
/// Losses upstream stay gaps, so that the viewer asks for them and late repairs find their place. Where the
/// source changes, or packets were left out on purpose, [`Rewriter::anchor`] closes the gap.
#[derive(Debug)]
pub struct Rewriter {
    spans: ArrayVec<Span, SPANS_MAX>,
    next_out: SeqNo,
    last: Option<(Instant, RtpTime)>,
    rate: u32,
    first_time: u64,
}

impl Rewriter {
    /// Begins at `seq`, which must be below 2^15 so that no viewer misjudges the roll-over counter
    /// (RFC 3711 §3.3.1), and at `time`; the media clock has `rate` Hz.
    pub fn new(seq: u16, time: u32, rate: u32) -> Self {
        Self {
            spans: ArrayVec::new(),
            next_out: SeqNo(u64::from(seq & 0x7fff)),
            last: None,
            rate,
            // Well above zero: a first packet may be followed by older ones.
            first_time: (1 << 32) + u64::from(time),
        }
    }

    /// Makes `packet` the next one of the outgoing sequence, wherever it comes from. The clock goes on by as
    /// much time as has passed since the last packet out, at least one tick.
    pub fn anchor(&mut self, packet: &Packet) {
        let time = match self.last {
            None => self.first_time,
            Some((then, last)) => {
                let elapsed = packet.arrived.saturating_duration_since(then);
                last.0 + crate::clock::media_units(elapsed, self.rate).max(1)
            }
        };
        if self.spans.is_full() {
            self.spans.remove(0);
        }
        self.spans.push(Span {
            epoch: packet.epoch,
            encoding: packet.encoding,
            first_in: packet.seq,
            first_out: self.next_out,
            time_offset: time.wrapping_sub(packet.time.0),
        });
    }

    /// The packet's outgoing numbers, `None` if it is older than the last anchor: its place is taken.
    pub fn map(&mut self, packet: &Packet) -> Option<(SeqNo, RtpTime)> {
        let span = self.spans.last()?;
        if packet.seq < span.first_in {
            return None;
        }
        let seq = SeqNo(span.first_out.0 + (packet.seq.0 - span.first_in.0));
        let time = RtpTime(packet.time.0.wrapping_add(span.time_offset));
        if seq >= self.next_out {
            self.next_out = SeqNo(seq.0 + 1);
            self.last = Some((packet.arrived, time));
        }
        Some((seq, time))
    }

    /// A source's media time as this viewer sees it; `None` if the viewer is not watching that source.
    pub fn map_time(&self, epoch: u32, encoding: EncodingId, time: RtpTime) -> Option<RtpTime> {
        let span = self.spans.last().filter(|span| span.epoch == epoch && span.encoding == encoding)?;
        Some(RtpTime(time.0.wrapping_add(span.time_offset)))
    }

    /// The number that the next packet in order will have.
    pub fn next_out(&self) -> SeqNo {
        self.next_out
    }

    /// Which packet went out as `seq`, for as long as the last few switches reach back.
    pub fn origin(&self, seq: SeqNo) -> Option<Origin> {
        if seq >= self.next_out {
            return None;
        }
        let span = self.spans.iter().rev().find(|span| span.first_out <= seq)?;
        Some(Origin {
            epoch: span.epoch,
            encoding: span.encoding,
            seq: SeqNo(span.first_in.0 + (seq.0 - span.first_out.0)),
        })
    }

    /// The timestamp that `packet`, which went out as `seq`, had then.
    pub fn time_of(&self, seq: SeqNo, packet: &Packet) -> Option<RtpTime> {
        let span = self.spans.iter().rev().find(|span| span.first_out <= seq)?;
        Some(RtpTime(packet.time.0.wrapping_add(span.time_offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wtn_media::packet::{Marks, PacketInfo};
    use wtn_media::{Codec, Format, MediaKind};

    fn packet(start: Instant, epoch: u32, seq: u64, ms: u64) -> Packet {
        Packet::new(
            PacketInfo {
                epoch,
                kind: MediaKind::Video,
                encoding: EncodingId(0),
                format: Format::new(Codec::Vp8),
                seq: SeqNo(seq),
                time: RtpTime(1_000_000 * u64::from(epoch) + ms * 90),
                marker: false,
                marks: Marks::default(),
                arrived: start + Duration::from_millis(ms),
            },
            &[0],
            [],
        )
    }

    #[test]
    fn rtp_09_a_new_publisher_continues_numbers_and_clock() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(7, 500, 90_000);
        let first = packet(start, 1, 60_000, 0);
        rewriter.anchor(&first);
        assert_eq!(rewriter.map(&first), Some((SeqNo(7), RtpTime((1 << 32) + 500))));
        let second = packet(start, 2, 100, 40);
        rewriter.anchor(&second);
        assert_eq!(rewriter.map(&second), Some((SeqNo(8), RtpTime((1 << 32) + 500 + 3600))));
    }

    #[test]
    fn a_loss_stays_a_gap_until_its_repair_comes() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        rewriter.anchor(&packet(start, 1, 10, 0));
        let mut numbers = |seq| rewriter.map(&packet(start, 1, seq, 0)).map(|(seq, _)| seq.0);
        assert_eq!([10, 12, 11].map(&mut numbers), [Some(0), Some(2), Some(1)]);
        assert_eq!(numbers(9), None, "older than the anchor");
    }

    #[test]
    fn rtp_14_a_nacked_number_leads_back_to_its_packet_across_switches() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        for (epoch, seqs) in [(1, 50..60), (2, 900..905)] {
            rewriter.anchor(&packet(start, epoch, seqs.start, 0));
            for seq in seqs {
                rewriter.map(&packet(start, epoch, seq, 0));
            }
        }
        let origin = |out| rewriter.origin(SeqNo(out)).map(|origin| (origin.epoch, origin.seq.0));
        assert_eq!(origin(9), Some((1, 59)));
        assert_eq!(origin(10), Some((2, 900)));
        assert_eq!(origin(15), None, "never sent");
    }

    #[test]
    fn late_repairs_do_not_turn_the_clock_back() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        rewriter.anchor(&packet(start, 1, 1, 0));
        for (seq, ms) in [(1, 0), (3, 80), (2, 90)] {
            rewriter.map(&packet(start, 1, seq, ms));
        }
        let next = packet(start, 2, 1, 100);
        rewriter.anchor(&next);
        let (seq, time) = rewriter.map(&next).expect("anchored");
        assert_eq!((seq.0, time.0), (3, (1 << 32) + 100 * 90));
    }
}
