//! The order of pictures, their keyframes and parameter sets.

use arrayvec::ArrayVec;
use std::time::{Duration, Instant};
use wtn_media::{Codec, Packet, RtpTime, SeqNo, peek};

/// Signs of B-frames within [`SIGNS_WITHIN`] that are no accident.
const SIGNS: u32 = 3;
const SIGNS_WITHIN: Duration = Duration::from_secs(10);

/// A timestamp that goes back by more is no reordering but another clock. In ticks of 90 kHz.
const REORDER_MAX: u64 = 90_000;

/// A keyframe is complete, late repairs included, once the picture is past it by so many ticks.
const COMPLETE_AFTER: u64 = 45_000;

/// Keyframes further apart are too far. The last one is kept for viewers who join; after a loss, nothing helps.
const FAR: Duration = Duration::from_secs(4);

/// Times between keyframes that nobody asked for. A longer one is no interval: a browser sends keyframes when asked.
const INTERVALS: usize = 6;
const INTERVAL_MAX: Duration = Duration::from_secs(20);

/// Below this unevenness does not matter.
const UNEVEN_FROM: Duration = Duration::from_secs(2);

/// Neighbours of which one is over twice as long as the other; one such step is another setting.
const UNEVEN_STEPS: usize = 3;

/// A request is answered by a keyframe within this time, or not at all.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// One encoding of a picture.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Which source of its publisher.
    source: u8,
    newest: Option<(SeqNo, RtpTime)>,
    signs: u32,
    signs_end: Option<Instant>,
    signed_at: Option<Instant>,
    keyframe: Option<Keyframe>,
    intervals: ArrayVec<Duration, INTERVALS>,
    last_interval: Duration,
    asked_at: Option<Instant>,
    /// It has answered a request; it has left one unanswered.
    answers: bool,
    is_deaf: bool,
    has_sets: bool,
    /// Keyframes without parameter sets since the last one with them.
    bare: u32,
    needs_sets: bool,
}

#[derive(Clone, Copy, Debug)]
struct Keyframe {
    time: RtpTime,
    arrived: Instant,
    has_sets: bool,
    is_counted: bool,
}

impl Picture {
    pub fn on_packet(&mut self, packet: &Packet) {
        let source = packet.epoch as u8;
        if self.source != source {
            *self = Self { source, ..Self::default() };
        }
        self.needs_sets = matches!(packet.format.codec, Codec::H264 | Codec::H265);
        let is_newest = self.newest.is_none_or(|(seq, _)| packet.seq > seq);
        let goes_back =
            self.newest.is_some_and(|(_, time)| packet.time < time && time.0 - packet.time.0 < REORDER_MAX);
        if is_newest {
            if goes_back || peek::has_b_slice(packet.format.codec, packet.payload()) {
                self.on_sign(packet.arrived);
            }
            self.newest = Some((packet.seq, packet.time));
        }
        self.note_keyframe(packet);
    }

    pub fn on_request(&mut self, now: Instant) {
        self.asked_at.get_or_insert(now);
    }

    fn on_sign(&mut self, now: Instant) {
        if self.signs_end.is_none_or(|end| now >= end) {
            (self.signs, self.signs_end) = (0, Some(now + SIGNS_WITHIN));
        }
        self.signs += 1;
        if self.signs >= SIGNS {
            self.signed_at = Some(now);
        }
    }

    fn note_keyframe(&mut self, packet: &Packet) {
        let is_same = |keyframe: &Keyframe| keyframe.time == packet.time;
        match &mut self.keyframe {
            Some(keyframe) if is_same(keyframe) => keyframe.has_sets |= packet.marks.parameter_sets,
            _ if packet.marks.keyframe_start => self.begin_keyframe(packet),
            Some(keyframe) if packet.time.0 > keyframe.time.0 + COMPLETE_AFTER => self.count_keyframe(),
            _ => {}
        }
    }

    fn begin_keyframe(&mut self, packet: &Packet) {
        self.count_keyframe();
        let now = packet.arrived;
        if let Some(before) = self.keyframe {
            self.last_interval = now.saturating_duration_since(before.arrived);
            match self.asked_at.take() {
                Some(asked_at) if now < asked_at + ANSWERED_WITHIN => {
                    (self.answers, self.is_deaf) = (true, false)
                }
                Some(_) => self.is_deaf = true,
                None if self.last_interval > INTERVAL_MAX => self.intervals.clear(),
                None => {
                    if self.intervals.is_full() {
                        self.intervals.remove(0);
                    }
                    self.intervals.push(self.last_interval);
                }
            }
        }
        self.asked_at = None;
        self.keyframe = Some(Keyframe {
            time: packet.time,
            arrived: now,
            has_sets: packet.marks.parameter_sets,
            is_counted: false,
        });
    }

    fn count_keyframe(&mut self) {
        let Some(keyframe) = self.keyframe.as_mut().filter(|keyframe| !keyframe.is_counted) else { return };
        keyframe.is_counted = true;
        if keyframe.has_sets {
            (self.has_sets, self.bare) = (true, 0);
        } else {
            self.bare += 1;
        }
    }

    pub fn b_frames(&self, now: Instant) -> Option<i64> {
        self.signed_at.is_some_and(|at| now < at + SIGNS_WITHIN).then_some(0)
    }

    /// In milliseconds. Only of an encoder that does not send keyframes when it is asked, as far as is known.
    pub fn keyframes_far_apart(&self, now: Instant) -> Option<i64> {
        let since =
            self.keyframe.map_or(Duration::ZERO, |keyframe| now.saturating_duration_since(keyframe.arrived));
        let is_asked_in_vain = self.asked_at.is_some_and(|at| now >= at + ANSWERED_WITHIN);
        let far = match &self.intervals[..] {
            _ if self.answers && !self.is_deaf && !is_asked_in_vain => return None,
            _ if self.is_deaf || is_asked_in_vain => self.last_interval.max(since),
            [.., before, last] => *before.min(last),
            _ => return None,
        };
        (far > FAR).then_some(far.as_millis() as i64)
    }

    /// The longest of them, in milliseconds.
    pub fn keyframes_irregular(&self, _now: Instant) -> Option<i64> {
        let longest = self.intervals.iter().max().filter(|longest| **longest > UNEVEN_FROM)?;
        let differ = |pair: &&[Duration]| pair[0].max(pair[1]) > 2 * pair[0].min(pair[1]);
        let is_uneven = self.intervals.windows(2).filter(differ).count() >= UNEVEN_STEPS;
        (is_uneven && !self.answers).then_some(longest.as_millis() as i64)
    }

    pub fn sets_missing(&self, _now: Instant) -> Option<i64> {
        (self.needs_sets && !self.has_sets && self.bare >= 2).then_some(0)
    }

    pub fn sets_not_repeated(&self, _now: Instant) -> Option<i64> {
        (self.needs_sets && self.has_sets && self.bare >= 1).then_some(0)
    }
}
