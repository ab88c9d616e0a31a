//! What a shard must wake up for, earliest first.
//!
//! A wheel of slots of a millisecond for what is near, which is nearly everything, and a heap for the rest: setting and
//! taking a timer costs the same however many viewers there are. See docs/decisions/0011-timer-wheel.md.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};
use wtn_media::{SessionId, StreamId};

/// Slots of the wheel: four seconds, which holds reports, retransmissions and all that streams wait for. What is
/// further away (silence, tickets) waits in the heap and comes over when it is near.
const SLOTS: u64 = 4096;

/// What can wait for that long may be late by a [`STRETCH`].
const COARSE_FROM: Duration = Duration::from_millis(200);

/// Ticks within which all coarse timers are taken together: an idle server wakes for 60 passes a second at most, and
/// not once for each viewer's report.
const STRETCH: u64 = 16;

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

/// Timers are never taken back: who is woken for nothing looks at the clock and goes back to sleep.
#[derive(Debug)]
pub struct Timers {
    /// Ticks count from here.
    began: Instant,
    /// No slot before this tick holds anything.
    tick: u64,
    slots: Vec<Vec<(Instant, Timer)>>,
    /// Which slots hold anything, a bit each, and which of these words are not zero.
    occupied: [u64; (SLOTS / 64) as usize],
    words: u64,
    far: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    /// No timers; none will be due before `now`.
    pub fn new(now: Instant) -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self {
            began: now,
            tick: 0,
            slots,
            occupied: [0; (SLOTS / 64) as usize],
            words: 0,
            far: BinaryHeap::new(),
        }
    }

    /// Wakes `timer` at `at`.
    pub fn push(&mut self, at: Instant, timer: Timer) {
        let tick = self.tick_of(at).max(self.tick);
        if tick >= self.tick + SLOTS {
            return self.far.push(Reverse((at, timer)));
        }
        let slot = (tick % SLOTS) as usize;
        self.slots[slot].push((at, timer));
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.words |= 1 << (slot / 64);
    }

    /// `at`, or a little later where that is a while ahead of `now`, so that many can be served in one pass.
    pub fn about(&self, now: Instant, at: Instant) -> Instant {
        if at < now + COARSE_FROM {
            return at;
        }
        let stretch = self.tick_of(at) / STRETCH + 1;
        self.began + Duration::from_millis(stretch * STRETCH)
    }

    /// One that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let now_tick = self.tick_of(now);
        loop {
            self.fetch_near();
            let Some(tick) = self.first_tick() else {
                // Everything is far away, so the wheel may turn at once.
                self.tick = self.tick.max(now_tick);
                let Reverse((at, timer)) = *self.far.peek()?;
                if at > now {
                    return None;
                }
                self.far.pop();
                return Some(timer);
            };
            if tick > now_tick {
                self.tick = self.tick.max(now_tick);
                return None;
            }
            self.tick = tick;
            let entries = &mut self.slots[(tick % SLOTS) as usize];
            let Some(at) = entries.iter().position(|(at, _)| *at <= now) else { return None };
            let (_, timer) = entries.swap_remove(at);
            if entries.is_empty() {
                self.clear((tick % SLOTS) as usize);
            }
            return Some(timer);
        }
    }

    /// When the earliest is due.
    pub fn next(&self) -> Option<Instant> {
        let slot = self.first_tick().map(|tick| &self.slots[(tick % SLOTS) as usize]);
        let near = slot.and_then(|entries| entries.iter().map(|(at, _)| *at).min());
        let far = self.far.peek().map(|Reverse((at, _))| *at);
        near.into_iter().chain(far).min()
    }

    /// How many are set, dead ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.far.len() + self.slots.iter().map(Vec::len).sum::<usize>()
    }

    /// Takes over from the heap what the wheel has come near to.
    fn fetch_near(&mut self) {
        while let Some(Reverse((at, timer))) = self.far.peek().copied()
            && self.tick_of(at) < self.tick + SLOTS
        {
            self.far.pop();
            self.push(at, timer);
        }
    }

    fn tick_of(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_millis() as u64
    }

    /// The earliest tick whose slot holds something.
    fn first_tick(&self) -> Option<u64> {
        let start = (self.tick % SLOTS) as u32;
        let (word, bit) = (start / 64, start % 64);
        // This word from the bit on, then the words behind it and around, then the rest of this word.
        let here = self.occupied[word as usize] & (u64::MAX << bit);
        let (word, bits) = match here {
            0 => {
                let behind = self.words.rotate_right(word) & !1;
                let word = if behind == 0 { word } else { (word + behind.trailing_zeros()) % 64 };
                (word, self.occupied[word as usize])
            }
            _ => (word, here),
        };
        let slot = u64::from(word * 64 + bits.trailing_zeros());
        (bits != 0).then(|| self.tick + (slot + SLOTS - u64::from(start)) % SLOTS)
    }

    fn clear(&mut self, slot: usize) {
        let word = &mut self.occupied[slot / 64];
        *word &= !(1 << (slot % 64));
        if *word == 0 {
            self.words &= !(1 << (slot / 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few lines, and surely right.
    #[derive(Default)]
    struct Plain(Vec<(Instant, Timer)>);

    impl Plain {
        fn due(&mut self, now: Instant) -> Vec<Timer> {
            let (due, rest) = self.0.iter().partition(|(at, _)| *at <= now);
            self.0 = rest;
            let due: Vec<(Instant, Timer)> = due;
            due.into_iter().map(|(_, timer)| timer).collect()
        }
    }

    fn drain(timers: &mut Timers, now: Instant) -> Vec<Timer> {
        std::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    #[test]
    fn whatever_is_set_and_however_time_jumps_it_fires_when_a_list_says_so() {
        let start = Instant::now();
        let (mut timers, mut plain) = (Timers::new(start), Plain::default());
        let mut random = crate::random::Random::new(7, 7);
        let mut now = start;
        for key in 0..5_000 {
            // Mostly near, now and then past the wheel, at once, or in the past.
            let range = [1_000, 100_000, 4_200_000, 40_000_000][random.next() as usize % 4];
            let at = (now + Duration::from_micros(random.next() % range)) - Duration::from_micros(200);
            timers.push(at, Timer::Peer(key));
            plain.0.push((at, Timer::Peer(key)));
            assert_eq!(timers.next(), plain.0.iter().map(|(at, _)| *at).min());
            if random.next().is_multiple_of(3) {
                let jump = [10, 1_000, 50_000, 9_000_000][random.next() as usize % 4];
                now += Duration::from_micros(random.next() % jump);
                let (mut fired, mut due) = (drain(&mut timers, now), plain.due(now));
                fired.sort_unstable();
                due.sort_unstable();
                assert_eq!(fired, due);
            }
        }
        assert_eq!(timers.len(), plain.0.len());
    }

    #[test]
    fn what_is_due_fires_in_the_order_of_milliseconds() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        for key in [5_000, 3, 70, 4_095, 64, 63] {
            timers.push(start + Duration::from_millis(key), Timer::Peer(key as usize));
        }
        let fired = drain(&mut timers, start + Duration::from_secs(9));
        assert_eq!(fired, [3, 63, 64, 70, 4_095, 5_000].map(Timer::Peer));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }

    #[test]
    fn what_can_wait_is_served_together_and_what_cannot_on_time() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let ms = Duration::from_millis;
        assert_eq!(timers.about(start, start + ms(50)), start + ms(50));
        let about: std::collections::BTreeSet<_> =
            (2_000..2_100).map(|at| timers.about(start, start + ms(at))).collect();
        assert!(about.len() <= 8, "a hundred viewers' reports take {} passes", about.len());
        for at in 2_000..2_100 {
            let late = timers.about(start, start + ms(at)) - (start + ms(at));
            assert!(late > Duration::ZERO && late <= ms(STRETCH));
        }
    }
}
