//! Measures a received track: what came, what is missing, what a decoder could show of it.
//!
//! Each file is one algorithm without I/O: `sequence` puts packets in order and gives up on holes, `frames`
//! groups what is in order and follows what stays decodable, `jitter` is RFC 3550's; `Meter` joins them.
//! `lip_sync` compares the two tracks.

mod frames;
mod jitter;
mod lip_sync;
mod sequence;

use frames::Frames;
use jitter::Jitter;
pub(crate) use lip_sync::LipSync;
use sequence::{Sequence, Step};
use std::time::{Duration, Instant};
use wtn_media::{Codec, MediaKind, Ssrc};

/// One authentic packet, given once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub at: Instant,
    pub ssrc: Ssrc,
    pub codec: Codec,
    /// Extended past its wrap-around.
    pub seq: u64,
    /// Extended past its wrap-around.
    pub time: u64,
    pub marker: bool,
    pub payload_len: usize,
    pub is_keyframe_start: bool,
    /// Came as RTX.
    pub is_repair: bool,
}

/// What has been counted so far. Times are since nothing: the reader knows what they are relative to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub codec: Option<Codec>,
    pub packets: u64,
    pub payload_bytes: u64,
    pub lost: u64,
    pub repaired: u64,
    pub too_late: u64,
    pub reordered: u64,
    pub duplicates: u64,
    pub unreadable: u64,
    pub source_changes: u64,
    pub frames: u64,
    pub frames_decodable: u64,
    pub keyframes: u64,
    pub jitter: Duration,
    pub pause_max: Duration,
    pub media_gap_max: Duration,
    pub first_packet_at: Option<Instant>,
    pub last_packet_at: Option<Instant>,
    pub first_keyframe_at: Option<Instant>,
    pub first_frame_at: Option<Instant>,
    pub last_frame_at: Option<Instant>,
}

/// Counts one track, over all its sources and codecs.
#[derive(Debug)]
pub(crate) struct Meter {
    kind: MediaKind,
    tally: Tally,
    source: Option<Source>,
}

/// A sequence of numbers that belong together.
#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    codec: Codec,
    sequence: Sequence,
    frames: Frames,
    jitter: Jitter,
}

impl Meter {
    pub fn new(kind: MediaKind) -> Self {
        Self { kind, tally: Tally::default(), source: None }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn on_packet(&mut self, packet: Arrival) {
        self.note_arrival(&packet);
        let source = match self.source.take() {
            Some(source) if source.ssrc == packet.ssrc => source,
            replaced => {
                if replaced.is_some() {
                    self.tally.source_changes += 1;
                }
                Source {
                    ssrc: packet.ssrc,
                    codec: packet.codec,
                    sequence: Sequence::default(),
                    frames: Frames::new(self.kind),
                    jitter: Jitter::new(packet.codec.clock_rate()),
                }
            }
        };
        let source = self.source.insert(source);
        if !packet.is_repair {
            source.jitter.on_packet(packet.at, packet.time);
            self.tally.jitter = source.jitter.value();
        }
        let place = source.sequence.insert(packet);
        self.tally.reordered += u64::from(place == sequence::Place::Behind && !packet.is_repair);
        self.tally.repaired += u64::from(place == sequence::Place::Behind && packet.is_repair);
        self.tally.too_late += u64::from(place == sequence::Place::TooLate);
        self.release(packet.at);
    }

    /// A datagram of this track that str0m did not pass on: it came before, or its tag is wrong.
    pub fn on_refused(&mut self, wire_seq: u16) {
        let had_it = self.source.as_ref().is_some_and(|source| source.sequence.has_seen(wire_seq));
        if had_it {
            self.tally.duplicates += 1;
        } else {
            self.tally.unreadable += 1;
        }
    }

    /// Gives up on holes that have waited long enough. True if a decoder would have stopped for that.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.release(now);
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.source.as_ref()?.sequence.gives_up_at()
    }

    /// Packets come, but nothing can be shown until a keyframe does.
    pub fn wants_keyframe(&self) -> bool {
        self.kind == MediaKind::Video && self.source.as_ref().is_some_and(|source| source.frames.is_stuck())
    }

    /// The source of the latest packet.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    fn note_arrival(&mut self, packet: &Arrival) {
        let tally = &mut self.tally;
        tally.codec = Some(packet.codec);
        tally.packets += 1;
        tally.payload_bytes += packet.payload_len as u64;
        tally.first_packet_at.get_or_insert(packet.at);
        if let Some(last) = tally.last_packet_at {
            tally.pause_max = tally.pause_max.max(packet.at.saturating_duration_since(last));
        }
        tally.last_packet_at = Some(packet.at);
    }

    fn release(&mut self, now: Instant) {
        let Some(source) = &mut self.source else { return };
        while let Some(step) = source.sequence.poll(now) {
            match step {
                Step::Hole(packets) => {
                    self.tally.lost += packets;
                    source.frames.on_hole();
                }
                Step::Packet(packet) => source.frames.on_packet(&packet),
            }
        }
        while let Some(frame) = source.frames.poll() {
            self.tally.frames += 1;
            self.tally.frames_decodable += u64::from(frame.is_decodable);
            self.tally.first_frame_at.get_or_insert(frame.at);
            self.tally.last_frame_at = Some(frame.at);
            if frame.is_keyframe {
                self.tally.keyframes += 1;
                self.tally.first_keyframe_at.get_or_insert(frame.at);
            }
            let gap = Duration::from_secs_f64(frame.time_step as f64 / f64::from(source.codec.clock_rate()));
            self.tally.media_gap_max = self.tally.media_gap_max.max(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(at: Instant, ms: u64, ssrc: u32, seq: u64) -> Arrival {
        Arrival {
            at: at + Duration::from_millis(ms),
            ssrc: Ssrc(ssrc),
            codec: Codec::Vp8,
            seq,
            time: ms * 90,
            marker: true,
            payload_len: 100,
            is_keyframe_start: seq.is_multiple_of(50),
            is_repair: false,
        }
    }

    #[test]
    fn a_publisher_that_comes_back_with_a_new_ssrc_is_one_track_and_no_loss() {
        let start = Instant::now();
        let mut meter = Meter::new(MediaKind::Video);
        for seq in 0..10 {
            meter.on_packet(video(start, seq * 40, 1, seq));
        }
        for seq in 0..10 {
            meter.on_packet(video(start, 2_000 + seq * 40, 2, 5_000 + seq));
        }
        let tally = meter.tally();
        assert_eq!((tally.frames, tally.frames_decodable, tally.lost), (20, 20, 0));
        assert_eq!(tally.source_changes, 1);
        assert_eq!(tally.pause_max, Duration::from_millis(2_000 - 360));
    }

    #[test]
    fn a_repaired_hole_costs_nothing_and_a_real_one_all_until_the_next_keyframe() {
        let start = Instant::now();
        let mut meter = Meter::new(MediaKind::Video);
        for seq in (0..60).filter(|seq| ![10, 20].contains(seq)) {
            if seq == 12 {
                meter.on_packet(Arrival { is_repair: true, ..video(start, 480, 1, 10) });
            }
            meter.on_packet(video(start, seq * 40, 1, seq));
        }
        let tally = meter.tally();
        assert_eq!((tally.repaired, tally.lost, tally.reordered), (1, 1, 0));
        assert_eq!((tally.frames, tally.keyframes), (59, 2));
        assert_eq!(tally.frames_decodable, 20 + 10, "0..20 and from the keyframe at 50");
        assert!(!meter.wants_keyframe());
    }

    #[test]
    fn what_was_refused_is_a_duplicate_if_it_had_come_before() {
        let start = Instant::now();
        let mut meter = Meter::new(MediaKind::Video);
        meter.on_refused(0);
        meter.on_packet(video(start, 0, 1, 65_535));
        meter.on_packet(video(start, 80, 1, 65_537));
        for wire in [65_535, 1, 0, 2] {
            meter.on_refused(wire);
        }
        let tally = meter.tally();
        assert_eq!((tally.duplicates, tally.unreadable), (2, 3));
    }
}
