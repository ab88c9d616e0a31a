//! Which packets of a publisher arrived when, for its own estimate of its line: transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wtn_media::rtcp::{transport::TICK, write_transport_feedback};
use wtn_media::unwrap::seq_near;
use wtn_media::{SeqNo, Ssrc};

/// A feedback goes out this long after the first packet that it tells of: sooner, and a sender could not use it
/// better; later, and it would notice a queue too late.
const INTERVAL: Duration = Duration::from_millis(60);

/// How long a packet that was told of as lost may still come and be told of anew.
const LATE_MAX: Duration = Duration::from_millis(500);

/// Numbers remembered at once: half a second at 100 Mbit/s.
const REMEMBERED_MAX: usize = 8192;

/// A step this wide is a new start, not a loss.
const STEP_MAX: u64 = 4096;

/// The arrivals of one transport.
#[derive(Debug)]
pub struct Arrivals {
    /// Ticks are counted from here, from far enough below for what came before it.
    start: Instant,
    /// The number of the first entry.
    base: SeqNo,
    entries: VecDeque<Option<i64>>,
    /// The first number that the next feedback tells of.
    untold: SeqNo,
    due: Option<Instant>,
    number: u8,
}

impl Arrivals {
    /// Nothing has arrived at `now`.
    pub fn new(now: Instant) -> Self {
        Self { start: now, base: SeqNo(0), entries: VecDeque::new(), untold: SeqNo(0), due: None, number: 0 }
    }

    /// A packet with that transport-wide number is here.
    pub fn on_packet(&mut self, now: Instant, wire: u16) {
        let ticks = (now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos()) as i64;
        let seq = match self.next() {
            // Begun one wrap up, so that a first packet out of order does not fall below zero.
            None => SeqNo((1 << 16) + u64::from(wire)),
            Some(next) => seq_near(next, wire),
        };
        let next = self.next().unwrap_or(seq);
        let is_new_start = seq.0 > next.0 + STEP_MAX || next.0 > seq.0 + STEP_MAX;
        if self.entries.is_empty() || is_new_start {
            self.entries.clear();
            (self.base, self.untold) = (seq, seq);
        }
        if seq < self.base {
            return;
        }
        let at = (seq.0 - self.base.0) as usize;
        if at >= self.entries.len() {
            self.entries.resize(at + 1, None);
        }
        if self.entries[at].is_some() {
            return;
        }
        self.entries[at] = Some(ticks);
        self.untold = self.untold.min(seq);
        self.due.get_or_insert(now + INTERVAL);
        self.forget(ticks);
    }

    /// When [`Self::write`] has something to say.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the feedback that is due, if one is; more may follow at once.
    pub fn write(&mut self, now: Instant, sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let from = ((self.untold.0 - self.base.0) as usize).min(self.entries.len());
        let arrivals = &self.entries.make_contiguous()[from..];
        let told = write_transport_feedback(out, sender, media, self.number, self.untold.wire(), arrivals);
        let is_done = told == 0 || told == arrivals.len();
        self.untold = SeqNo(self.untold.0 + told as u64);
        self.number = self.number.wrapping_add(u8::from(told > 0));
        if is_done {
            self.due = None;
        }
        told > 0
    }

    fn next(&self) -> Option<SeqNo> {
        (!self.entries.is_empty()).then_some(SeqNo(self.base.0 + self.entries.len() as u64))
    }

    /// What was told of and is old goes; a loss goes with the arrival behind it.
    fn forget(&mut self, now: i64) {
        let late_max = (LATE_MAX.as_nanos() / TICK.as_nanos()) as i64;
        while let Some(entry) = self.entries.front() {
            let is_old = entry.is_none_or(|ticks| now - ticks > late_max);
            let is_over = self.entries.len() > REMEMBERED_MAX;
            if !(is_over || is_old && self.base < self.untold && self.first_arrival_is_old(now - late_max)) {
                return;
            }
            self.entries.pop_front();
            self.base = SeqNo(self.base.0 + 1);
            self.untold = self.untold.max(self.base);
        }
    }

    fn first_arrival_is_old(&self, limit: i64) -> bool {
        self.entries.iter().copied().flatten().next().is_none_or(|ticks| ticks < limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::rtcp::{self, Block, TransportFeedback};

    struct Line {
        start: Instant,
        arrivals: Arrivals,
    }

    impl Line {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, arrivals: Arrivals::new(start) }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn packet(&mut self, ms: u64, wire: u16) {
            self.arrivals.on_packet(self.at(ms), wire);
        }

        /// Numbers and arrivals in ms that the feedbacks due at `ms` tell of.
        fn told(&mut self, ms: u64) -> Vec<(u16, Option<i64>)> {
            let now = self.at(ms);
            let mut told = Vec::new();
            let mut out = Vec::new();
            while self.arrivals.write(now, Ssrc(1), Ssrc(2), &mut out) {}
            for block in rtcp::blocks(&out) {
                let Block::TransportFeedback(body) = block else { panic!("{block:?}") };
                let read = TransportFeedback::read(body).unwrap();
                let reference = i64::from(read.reference) * 64;
                told.extend(
                    read.packets().map(|(seq, ticks)| (seq, ticks.map(|ticks| reference + ticks / 4))),
                );
            }
            told
        }
    }

    #[test]
    fn rtp_20_feedback_tells_arrivals_losses_and_the_wrap_once() {
        let mut line = Line::new();
        for (ms, wire) in [(100, 65_534), (110, 65_535), (130, 1)] {
            line.packet(ms, wire);
        }
        assert_eq!(line.arrivals.due(), Some(line.at(160)));
        assert_eq!(line.told(159), []);
        assert_eq!(line.told(160), [(65_534, Some(100)), (65_535, Some(110)), (0, None), (1, Some(130))]);
        assert_eq!((line.arrivals.due(), line.told(300)), (None, vec![]));
    }

    #[test]
    fn rtp_20_what_comes_late_is_told_of_anew() {
        let mut line = Line::new();
        for (ms, wire) in [(100, 7), (101, 9)] {
            line.packet(ms, wire);
        }
        assert_eq!(line.told(160), [(7, Some(100)), (8, None), (9, Some(101))]);
        line.packet(170, 8);
        line.packet(171, 8);
        line.packet(172, 10);
        assert_eq!(line.told(240), [(8, Some(170)), (9, Some(101)), (10, Some(172))]);
        // Far too late.
        for wire in 11..2000 {
            line.packet(300 + u64::from(wire), wire);
        }
        line.told(2400);
        line.packet(2500, 9);
        assert_eq!(line.told(2600), []);
    }

    #[test]
    fn a_jump_is_a_new_start_and_memory_has_a_bound() {
        let mut line = Line::new();
        line.packet(0, 5);
        line.packet(1, 20_000);
        assert_eq!(line.told(100), [(20_000, Some(1))]);
        for at in 0..100_000u64 {
            line.packet(200 + at / 100, (20_001 + at * 3) as u16);
            assert!(line.arrivals.entries.len() <= REMEMBERED_MAX + STEP_MAX as usize);
        }
        assert!(line.told(2000).len() <= REMEMBERED_MAX);
    }
}
