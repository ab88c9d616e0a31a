//! Where in the clip a publisher is, and when the next slot is due. Pure arithmetic on the clip's grid.

use crate::clip::{SLOT, SLOTS_PER_FRAME};
use std::time::{Duration, Instant};

/// A publisher that is later than this (a suspended laptop, a stopped process) leaves slots out instead of
/// sending them in a burst.
const LATE_MAX: Duration = Duration::from_millis(400);

/// Slots count up from 0 and carry the time stamps; the place in the clip is the slot plus a shift, which
/// changes when a keyframe is asked for. So stamps never jump back, and sound and picture jump together.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    slot: u64,
    shift: u64,
    loop_slots: u64,
    end: Option<u64>,
}

impl Timeline {
    /// Starts at the beginning of a clip of `loop_slots`; stops after `length`, or never.
    pub fn new(start: Instant, loop_slots: u64, length: Option<Duration>) -> Self {
        let end = length.map(|length| length.as_nanos().div_ceil(SLOT.as_nanos()) as u64);
        Self { start, slot: 0, shift: 0, loop_slots, end }
    }

    /// The number of the slot to send next.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// When that slot is due: always counted from the start, so that nothing drifts.
    pub fn due_at(&self) -> Instant {
        self.start + Duration::from_nanos(SLOT.as_nanos() as u64 * self.slot)
    }

    /// Where in the clip that slot is.
    pub fn place(&self) -> u64 {
        (self.slot + self.shift) % self.loop_slots
    }

    /// A picture belongs to this slot.
    pub fn has_picture(&self) -> bool {
        self.slot.is_multiple_of(SLOTS_PER_FRAME)
    }

    /// Goes on from `place` of the clip. Only before a slot with a picture, to such a slot.
    pub fn jump(&mut self, place: u64) {
        debug_assert!(self.has_picture() && place.is_multiple_of(SLOTS_PER_FRAME));
        self.shift = (place + self.loop_slots - self.slot % self.loop_slots) % self.loop_slots;
    }

    /// The slot has been sent.
    pub fn advance(&mut self) {
        self.slot += 1;
    }

    /// Leaves out what is far too late. True if so: decoders then need a keyframe.
    pub fn catch_up(&mut self, now: Instant) -> bool {
        let late = now.saturating_duration_since(self.due_at());
        if late <= LATE_MAX {
            return false;
        }
        let slots = (late.as_nanos() / SLOT.as_nanos()) as u64;
        self.slot += slots.next_multiple_of(SLOTS_PER_FRAME);
        true
    }

    /// Everything has been sent, and the last slot has lasted its 20 ms.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.slot >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIP: u64 = 500;

    #[test]
    fn slots_stay_on_the_grid_for_hours() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start, CLIP, None);
        for _ in 0..1_000_000 {
            timeline.advance();
        }
        assert_eq!(timeline.due_at() - start, Duration::from_secs(20_000));
        assert_eq!(timeline.place(), 0);
    }

    #[test]
    fn a_jump_changes_the_place_and_not_the_time() {
        let mut timeline = Timeline::new(Instant::now(), CLIP, None);
        for (advance, target) in [(6, 0), (494, 100), (40, 400), (120, 0)] {
            for _ in 0..advance {
                timeline.advance();
            }
            let due = timeline.due_at();
            timeline.jump(target);
            assert_eq!((timeline.place(), timeline.due_at()), (target, due));
        }
        timeline.advance();
        assert_eq!(timeline.place(), 1);
    }

    #[test]
    fn who_is_late_leaves_out_whole_pictures() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start, CLIP, None);
        assert!(!timeline.catch_up(start + LATE_MAX));
        assert_eq!(timeline.slot(), 0);
        assert!(timeline.catch_up(start + Duration::from_millis(3_610)));
        assert_eq!(timeline.slot(), 180);
        assert!(timeline.has_picture());
    }

    #[test]
    fn the_end_is_reached_after_its_last_slot() {
        let mut timeline = Timeline::new(Instant::now(), CLIP, Some(Duration::from_millis(50)));
        for over in [false, false, false, true] {
            assert_eq!(timeline.is_over(), over);
            timeline.advance();
        }
    }
}
