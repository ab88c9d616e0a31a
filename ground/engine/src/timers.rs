//! What a shard must wake up for, earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};
use wtn_media::{SessionId, StreamId};

/// Whom a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A peer, by its key: handshake, reports, requests, silence.
    Peer(usize),
    /// A ticket that nobody may have claimed in time.
    Ticket(SessionId),
    /// A stream: old packets to forget, grace to end.
    Stream(StreamId),
    /// A stream with viewers who are catching up.
    CatchUp(StreamId),
    /// A goodbye to be said again.
    Farewell,
}

/// What can wait for that long may be late by a [`STRETCH`].
const COARSE_FROM: Duration = Duration::from_millis(200);

/// All that is coarse within it is taken together: an idle server wakes for 62 passes a second at most, and not once
/// for each viewer's report.
const STRETCH: Duration = Duration::from_millis(16);

/// A heap with lazy deletion: who is woken for nothing looks at the clock and goes back to sleep. Why no wheel is in
/// docs/decisions/0011-timers.md.
#[derive(Debug)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
    /// Stretches count from here.
    began: Instant,
}

impl Timers {
    /// No timers yet.
    pub fn new(now: Instant) -> Self {
        Self { heap: BinaryHeap::new(), began: now }
    }

    /// `at`, or a little later where that is a while ahead of `now`, so that many are served in one pass.
    pub fn about(&self, now: Instant, at: Instant) -> Instant {
        if at < now + COARSE_FROM {
            return at;
        }
        let stretches = at.saturating_duration_since(self.began).as_millis() / STRETCH.as_millis() + 1;
        self.began + STRETCH * u32::try_from(stretches).unwrap_or(u32::MAX)
    }

    /// Wakes `timer` at `at`.
    pub fn push(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// The earliest that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let Reverse((at, timer)) = *self.heap.peek()?;
        (at <= now).then(|| {
            self.heap.pop();
            timer
        })
    }

    /// How many are set, dead ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// When the earliest is due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_can_wait_is_served_together_and_what_cannot_on_time() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let ms = Duration::from_millis;
        assert_eq!(timers.about(start, start + ms(50)), start + ms(50));
        let reports: BTreeSet<_> = (2_000..2_100).map(|at| timers.about(start, start + ms(at))).collect();
        assert!(reports.len() <= 8, "a hundred viewers' reports take {} passes", reports.len());
        for at in 2_000..2_100 {
            let late = timers.about(start, start + ms(at)) - (start + ms(at));
            assert!(late > Duration::ZERO && late <= STRETCH);
        }
    }
}
