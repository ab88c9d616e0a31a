//! The numbers that one viewer sees: one gapless sequence and one steady clock, whatever happens upstream.

use crate::thinning::Place;
use arrayvec::ArrayVec;
use std::time::Instant;
use wtn_media::peek::PictureIds;
use wtn_media::{EncodingId, Packet, RtpTime, Rung, SeqNo};

/// Switches whose packets a viewer may still ask for again. More than six within the second that the
/// retransmission store spans do not happen: switches wait for keyframes, but for the steps up a ladder of temporal
/// layers, of which there are three.
const SPANS_MAX: usize = 6;

/// A stretch of the outgoing sequence that came from one rung of one source.
#[derive(Clone, Copy, Debug)]
struct Span {
    epoch: u32,
    rung: Rung,
    /// The source's first sequence number that belongs to the stretch.
    begins: SeqNo,
    /// The stretch before is of the same source, another rung: what is late may still belong to that.
    continues: bool,
    /// Its number on the rung.
    first_in: SeqNo,
    /// The number it went out under.
    first_out: SeqNo,
    /// Added to the source's timestamps, modulo 2^64.
    time_offset: u64,
    /// How a viewer that started behind gets to the live edge.
    chase: Option<Chase>,
    /// Added to the pictures' numbers that are left after thinning, modulo what they have of bits.
    picture_offset: u16,
    base_offset: u8,
    frame_offset: u16,
}

/// What a packet is called towards one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Its sequence number.
    pub seq: SeqNo,
    /// Its timestamp.
    pub time: RtpTime,
    /// The marker bit: set also where a viewer's picture ends before the publisher's does.
    pub marker: bool,
    /// What goes in place of the numbers in its payload descriptor; `None` if these are right.
    pub ids: Option<PictureIds>,
    /// Added to the frame number of its dependency descriptor.
    pub frame_offset: u16,
}

/// A viewer that starts in the past is shown it faster, until past and present meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chase {
    /// The source's time at which they meet; from there on the clock runs as usual.
    pub until: RtpTime,
    /// How many times faster, at least 2.
    pub speed: u32,
}

impl Chase {
    /// The chase from `start` to a live edge that is at `edge` now, at that speed. In the time that it takes,
    /// the edge moves on by a part of the distance.
    pub fn new(start: RtpTime, edge: RtpTime, speed: u32) -> Self {
        let distance = edge.0.saturating_sub(start.0);
        Self { until: RtpTime(edge.0 + distance / u64::from(speed - 1)), speed }
    }

    /// A source time, as if everything before the meeting had happened so much faster.
    fn hasten(&self, time: u64) -> u64 {
        match self.until.0.checked_sub(time) {
            Some(left) => self.until.0 - left / u64::from(self.speed),
            None => time,
        }
    }
}

impl Span {
    fn time(&self, source: RtpTime) -> RtpTime {
        let time = self.chase.map_or(source.0, |chase| chase.hasten(source.0));
        RtpTime(time.wrapping_add(self.time_offset))
    }

    fn is_of(&self, packet: &Packet) -> bool {
        (self.epoch, self.rung.encoding) == (packet.epoch, packet.encoding)
    }

    /// The numbers of a packet at that place of the rung.
    fn numbers(&self, packet: &Packet, place: Place) -> Option<Numbers> {
        let seq = SeqNo(self.first_out.0 + place.seq.0.checked_sub(self.first_in.0)?);
        let layer = packet.marks.layer;
        let is_top = layer.ends_layer && layer.spatial == self.rung.spatial;
        let ids =
            packet.marks.ids.map(|ids| self.ids(ids, place)).filter(|ids| Some(*ids) != packet.marks.ids);
        Some(Numbers {
            seq,
            time: self.time(packet.time),
            marker: packet.marker || is_top,
            ids,
            frame_offset: self.frame_offset,
        })
    }

    fn ids(&self, ids: PictureIds, place: Place) -> PictureIds {
        let picture = ids.picture.wrapping_sub(place.pictures_less).wrapping_add(self.picture_offset);
        ids.renumbered(picture, ids.base().unwrap_or(0).wrapping_add(self.base_offset))
    }
}

/// Where a packet that went out came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Publisher session.
    pub epoch: u32,
    /// Encoding, and how much of it.
    pub rung: Rung,
    /// Sequence number on that rung.
    pub seq: SeqNo,
}

/// Maps a publisher's numbers to a viewer's (RFC 3550 §5.1: one SSRC, one sequence, one clock).
///
/// Losses upstream stay gaps, so that the viewer asks for them and late repairs find their place. Where the
/// source changes, or packets were left out on purpose, [`Rewriter::anchor`] closes the gap; where only the rung does,
/// [`Rewriter::turn`] keeps it.
#[derive(Debug)]
pub struct Rewriter {
    spans: ArrayVec<Span, SPANS_MAX>,
    next_out: SeqNo,
    last: Option<(Instant, RtpTime)>,
    /// Picture id and TL0PICIDX, and the frame number, that went out last.
    last_ids: Option<(u16, u8)>,
    last_frame: Option<u16>,
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
            last_ids: None,
            last_frame: None,
            rate,
            // Well above zero: a first packet may be followed by older ones.
            first_time: (1 << 32) + u64::from(time),
        }
    }

    /// Makes `packet`, at `place` of `rung`, the next one of the outgoing sequence, wherever it comes from. The clock
    /// goes on by as much time as has passed since the last packet out, at least one tick.
    pub fn anchor(&mut self, packet: &Packet, rung: Rung, place: Place) {
        let time = self.time_at(packet.arrived);
        self.push(packet, rung, place, time.wrapping_sub(packet.time.0), None);
    }

    /// The same with `first`, a packet of the past: what was at the live edge at `now` gets the time that a
    /// packet of now would get, and what lies between is hastened.
    pub fn anchor_behind(
        &mut self,
        now: Instant,
        first: &Packet,
        (rung, place): (Rung, Place),
        edge: RtpTime,
        chase: Chase,
    ) {
        let time = self.time_at(now);
        self.push(first, rung, place, time.wrapping_sub(edge.0), Some(chase));
    }

    /// From `packet` on the viewer is on another rung of the same source, where the packet is at `to`. It keeps the
    /// numbers that it would have had at `from`, its position on the rung before.
    pub fn turn(&mut self, packet: &Packet, rung: Rung, from: Place, to: Place) {
        let Some(span) = self.spans.last().copied() else { return };
        let Some(ahead) = from.seq.0.checked_sub(span.first_in.0) else { return };
        let less = from.pictures_less.wrapping_sub(to.pictures_less);
        self.add(Span {
            rung,
            begins: packet.seq,
            continues: true,
            first_in: to.seq,
            first_out: SeqNo(span.first_out.0 + ahead),
            picture_offset: span.picture_offset.wrapping_sub(less),
            ..span
        });
    }

    /// The outgoing time of something that comes at `at`.
    fn time_at(&self, at: Instant) -> u64 {
        self.last.map_or(self.first_time, |(then, last)| {
            last.0
                .wrapping_add(crate::clock::media_units(at.saturating_duration_since(then), self.rate).max(1))
        })
    }

    fn push(&mut self, packet: &Packet, rung: Rung, place: Place, time_offset: u64, chase: Option<Chase>) {
        let mut span = Span {
            epoch: packet.epoch,
            rung,
            begins: packet.seq,
            continues: false,
            first_in: place.seq,
            first_out: self.next_out,
            time_offset,
            chase,
            picture_offset: place.pictures_less,
            base_offset: 0,
            frame_offset: 0,
        };
        if let (Some((picture, base)), Some(ids)) = (self.last_ids, packet.marks.ids) {
            let first = ids.picture.wrapping_sub(place.pictures_less);
            span.picture_offset = picture.wrapping_add(1).wrapping_sub(first);
            span.base_offset = base.wrapping_add(1).wrapping_sub(ids.base().unwrap_or(0));
        }
        if let (Some(last), Some(frame)) = (self.last_frame, packet.frame_number()) {
            span.frame_offset = last.wrapping_add(1).wrapping_sub(frame);
        }
        self.add(span);
    }

    fn add(&mut self, span: Span) {
        if self.spans.is_full() {
            self.spans.remove(0);
        }
        self.spans.push(span);
    }

    /// The rung that packets are taken from now.
    pub fn rung(&self) -> Option<Rung> {
        self.spans.last().map(|span| span.rung)
    }

    /// The rung that a packet of the present source belongs to: the present one, or for what is late the one before.
    /// `None` if it is older than the last anchor: its place is taken.
    pub fn rung_of(&self, packet: &Packet) -> Option<Rung> {
        self.span_of(packet).map(|span| span.rung)
    }

    fn span_of(&self, packet: &Packet) -> Option<&Span> {
        for span in self.spans.iter().rev().take_while(|span| span.is_of(packet)) {
            if span.begins <= packet.seq {
                return Some(span);
            }
            if !span.continues {
                break;
            }
        }
        None
    }

    /// The outgoing numbers of a packet that is sent at `now`, and is at `place` of [`Self::rung_of`] it.
    pub fn map(&mut self, now: Instant, packet: &Packet, place: Place) -> Option<Numbers> {
        let numbers = self.span_of(packet)?.numbers(packet, place)?;
        if numbers.seq >= self.next_out {
            self.next_out = SeqNo(numbers.seq.0 + 1);
            self.last = Some((now, numbers.time));
            if let Some(ids) = numbers.ids.or(packet.marks.ids) {
                self.last_ids = Some((ids.picture, ids.base().unwrap_or(0)));
            }
            let frame = packet.frame_number().map(|frame| frame.wrapping_add(numbers.frame_offset));
            self.last_frame = frame.or(self.last_frame);
        }
        Some(numbers)
    }

    /// A source's media time of now as this viewer sees it, for sender reports; `None` if the viewer is not
    /// watching that source.
    ///
    /// Nothing is hastened here. A viewer that is behind is sent what is numbered as of now, and takes the clock
    /// for one line: reports from a slower clock would bend it, and its player would delay the picture for a
    /// sound that it believes late.
    pub fn map_time(&self, epoch: u32, encoding: EncodingId, time: RtpTime) -> Option<RtpTime> {
        let span = self.spans.last().filter(|span| (span.epoch, span.rung.encoding) == (epoch, encoding))?;
        Some(RtpTime(time.0.wrapping_add(span.time_offset)))
    }

    /// The media clock's rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
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
            rung: span.rung,
            seq: SeqNo(span.first_in.0 + (seq.0 - span.first_out.0)),
        })
    }

    /// The numbers that `packet`, which went out as `seq`, had then; `place` is that on its rung.
    pub fn again(&self, seq: SeqNo, packet: &Packet, place: Place) -> Option<Numbers> {
        let span = self.spans.iter().rev().find(|span| span.first_out <= seq)?;
        span.numbers(packet, place).map(|numbers| Numbers { seq, ..numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wtn_media::packet::{Marks, PacketInfo};
    use wtn_media::{Codec, Format, MediaKind};

    const WHOLE: Rung = Rung::whole(EncodingId(0));

    fn anchor(rewriter: &mut Rewriter, packet: &Packet) {
        rewriter.anchor(packet, WHOLE, Place::whole(packet));
    }

    fn map(rewriter: &mut Rewriter, now: Instant, packet: &Packet) -> Option<(SeqNo, RtpTime)> {
        let numbers = rewriter.map(now, packet, Place::whole(packet))?;
        Some((numbers.seq, numbers.time))
    }

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
        anchor(&mut rewriter, &first);
        assert_eq!(map(&mut rewriter, first.arrived, &first), Some((SeqNo(7), RtpTime((1 << 32) + 500))));
        let second = packet(start, 2, 100, 40);
        anchor(&mut rewriter, &second);
        assert_eq!(
            map(&mut rewriter, second.arrived, &second),
            Some((SeqNo(8), RtpTime((1 << 32) + 500 + 3600)))
        );
    }

    #[test]
    fn a_loss_stays_a_gap_until_its_repair_comes() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        anchor(&mut rewriter, &packet(start, 1, 10, 0));
        let mut numbers = |seq| map(&mut rewriter, start, &packet(start, 1, seq, 0)).map(|(seq, _)| seq.0);
        assert_eq!([10, 12, 11].map(&mut numbers), [Some(0), Some(2), Some(1)]);
        assert_eq!(numbers(9), None, "older than the anchor");
    }

    #[test]
    fn rtp_14_a_nacked_number_leads_back_to_its_packet_across_switches() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        for (epoch, seqs) in [(1, 50..60), (2, 900..905)] {
            anchor(&mut rewriter, &packet(start, epoch, seqs.start, 0));
            for seq in seqs {
                map(&mut rewriter, start, &packet(start, epoch, seq, 0));
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
        anchor(&mut rewriter, &packet(start, 1, 1, 0));
        for (seq, ms) in [(1, 0), (3, 80), (2, 90)] {
            let packet = packet(start, 1, seq, ms);
            map(&mut rewriter, packet.arrived, &packet);
        }
        let next = packet(start, 2, 1, 100);
        anchor(&mut rewriter, &next);
        let (seq, time) = map(&mut rewriter, next.arrived, &next).expect("anchored");
        assert_eq!((seq.0, time.0), (3, (1 << 32) + 100 * 90));
    }

    #[test]
    fn a_viewer_that_starts_behind_meets_the_present_at_its_own_time() {
        let start = Instant::now();
        let join = start + Duration::from_millis(3000);
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        let first = packet(start, 1, 10, 0);
        let edge = packet(start, 1, 0, 3000).time;
        // Three seconds behind at four times the speed: met after one more second.
        let chase = Chase::new(first.time, edge, 4);
        assert_eq!(chase.until, packet(start, 1, 0, 4000).time);
        rewriter.anchor_behind(join, &first, (WHOLE, Place::whole(&first)), edge, chase);
        let mut out = |seq, ms| {
            let packet = packet(start, 1, seq, ms);
            let (_, time) = map(&mut rewriter, join, &packet).unwrap();
            (time.0 - (1 << 32)) / 90
        };
        // In milliseconds after the join: shown at once, four times as fast, then as it comes.
        assert_eq!([out(10, 0), out(20, 2000), out(30, 4000), out(40, 4100)], [0, 500, 1000, 1100]);
    }

    #[test]
    fn the_reported_clock_is_the_same_line_while_behind_and_after() {
        let start = Instant::now();
        let join = start + Duration::from_millis(3000);
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        let first = packet(start, 1, 10, 0);
        let edge = packet(start, 1, 0, 3000).time;
        rewriter.anchor_behind(
            join,
            &first,
            (WHOLE, Place::whole(&first)),
            edge,
            Chase::new(first.time, edge, 4),
        );
        let reported = |ms| {
            let time = rewriter.map_time(1, EncodingId(0), packet(start, 1, 0, ms).time).unwrap();
            (time.0 - (1 << 32)) / 90
        };
        // In milliseconds after the join, which is also what a picture sent then is stamped with.
        assert_eq!([3000, 3500, 4000, 5000].map(reported), [0, 500, 1000, 2000]);
    }
}
