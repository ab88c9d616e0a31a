//! Groups packets into frames by their time stamp and follows which of them a decoder could show.
//!
//! The rule is the strict one of a stream without layers: after a keyframe everything, until something is
//! missing, and then nothing until the next keyframe. A sound packet is a frame of its own that needs no
//! other.

use super::Arrival;
use std::collections::VecDeque;
use std::time::Instant;
use wtn_media::MediaKind;

/// A frame that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// When its last packet came.
    pub at: Instant,
    pub is_keyframe: bool,
    pub is_decodable: bool,
    /// RTP time since the frame before it; 0 for the first.
    pub time_step: u64,
}

#[derive(Debug)]
pub(super) struct Frames {
    kind: MediaKind,
    open: Option<Open>,
    /// Packets are missing between the last one and the next.
    after_hole: bool,
    /// A decoder has all it needs.
    is_running: bool,
    last_time: Option<u64>,
    done: VecDeque<Frame>,
}

#[derive(Debug)]
struct Open {
    time: u64,
    at: Instant,
    is_keyframe: bool,
    is_whole: bool,
}

impl Frames {
    pub fn new(kind: MediaKind) -> Self {
        let is_running = kind == MediaKind::Audio;
        Self { kind, open: None, after_hole: false, is_running, last_time: None, done: VecDeque::new() }
    }

    /// Something came, yet no picture can be shown.
    pub fn is_stuck(&self) -> bool {
        !self.is_running && !self.open.as_ref().is_some_and(|frame| frame.is_keyframe && frame.is_whole)
    }

    pub fn poll(&mut self) -> Option<Frame> {
        self.done.pop_front()
    }

    /// Packets are missing here.
    pub fn on_hole(&mut self) {
        if let Some(frame) = &mut self.open {
            frame.is_whole = false;
        }
        self.after_hole = true;
    }

    pub fn on_packet(&mut self, packet: &Arrival) {
        // Padding and probes carry numbers but no media.
        if packet.payload_len == 0 {
            return;
        }
        if self.open.as_ref().is_some_and(|frame| frame.time != packet.time) {
            self.close();
        }
        let is_whole = !self.after_hole || packet.is_keyframe_start || self.kind == MediaKind::Audio;
        let frame =
            self.open.get_or_insert(Open { time: packet.time, at: packet.at, is_keyframe: false, is_whole });
        frame.at = frame.at.max(packet.at);
        frame.is_keyframe |= packet.is_keyframe_start;
        self.after_hole = false;
        if packet.marker || self.kind == MediaKind::Audio {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.open.take() else { return };
        if self.kind == MediaKind::Video {
            self.is_running = frame.is_whole && (self.is_running || frame.is_keyframe);
        }
        self.done.push_back(Frame {
            at: frame.at,
            is_keyframe: frame.is_keyframe,
            is_decodable: self.is_running,
            time_step: self.last_time.map_or(0, |last| frame.time.saturating_sub(last)),
        });
        self.last_time = Some(frame.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::{Codec, Ssrc};

    /// `K` begins a keyframe, `k` and `d` go on, capitals `D` end a frame, `E` ends a keyframe, `_` is a hole,
    /// `p` padding; a space is the next time stamp. What comes out: `K`/`d` decodable, `x` not.
    fn check(kind: MediaKind, story: &str, expected: &str) {
        let now = Instant::now();
        let mut frames = Frames::new(kind);
        let mut time = 0;
        let mut out = String::new();
        for event in story.chars() {
            match event {
                ' ' => time += 3600,
                '_' => frames.on_hole(),
                _ => frames.on_packet(&Arrival {
                    at: now,
                    ssrc: Ssrc(1),
                    codec: Codec::Vp8,
                    seq: 0,
                    time,
                    marker: matches!(event, 'D' | 'E'),
                    payload_len: usize::from(event != 'p'),
                    is_keyframe_start: matches!(event, 'K' | 'E'),
                    is_repair: false,
                }),
            }
            while let Some(frame) = frames.poll() {
                out.push(match (frame.is_decodable, frame.is_keyframe) {
                    (false, _) => 'x',
                    (true, true) => 'K',
                    (true, false) => 'd',
                });
            }
        }
        assert_eq!(out, expected, "{story}");
    }

    #[test]
    fn nothing_is_decodable_before_a_keyframe() {
        check(MediaKind::Video, "D D KkD dD D", "xxKdd");
    }

    #[test]
    fn a_hole_in_a_frame_or_between_frames_stops_the_picture() {
        check(MediaKind::Video, "KD d_D D D E D", "KxxxKd");
        check(MediaKind::Video, "KD D_ D D E D", "KdxxKd");
    }

    #[test]
    fn a_hole_in_a_keyframe_leaves_it_unusable_and_one_before_it_does_not() {
        check(MediaKind::Video, "Kk_D D", "xx");
        check(MediaKind::Video, "E D _ E D", "KdKd");
    }

    #[test]
    fn a_new_time_stamp_ends_a_frame_without_marker() {
        check(MediaKind::Video, "Kkk ddd D", "Kdd");
    }

    #[test]
    fn padding_is_no_frame() {
        check(MediaKind::Video, "E p D p p D", "Kdd");
    }

    #[test]
    fn every_sound_packet_stands_alone() {
        check(MediaKind::Audio, "d d _ d d", "dddd");
    }
}
