//! What a shard must wake up for, earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;
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

/// A heap with lazy deletion: who is woken for nothing looks at the clock and goes back to sleep. Why it is no wheel is in
/// docs/decisions/0011-timers.md.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Timers {
    /// Wakes `timer` at `at`.
    pub fn push(&mut self, at: Instant, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    /// The earliest that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let Reverse((at, timer)) = *self.0.peek()?;
        (at <= now).then(|| {
            self.0.pop();
            timer
        })
    }

    /// How many are set, dead ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// When the earliest is due.
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}
