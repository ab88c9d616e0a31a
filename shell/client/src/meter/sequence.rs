//! Puts packets in order and waits for the missing ones, as a receiver with a jitter buffer does.

use super::Arrival;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a hole may wait for its repair. NACK and RTX take a round trip or a few; who has not got it by
/// then has stopped the picture.
const GIVE_UP_AFTER: Duration = Duration::from_millis(700);
/// Packets held back behind a hole: 2 s of 10 Mbit/s. The oldest hole is given up beyond it.
const HELD_MAX: usize = 2048;
/// How far back a number may lie to count as a duplicate.
const DUPLICATE_WINDOW: u64 = 4096;

/// Where a packet stood among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It continued, or went beyond, what had come.
    Ahead,
    /// It filled a hole.
    Behind,
    /// Its hole had been given up.
    TooLate,
}

/// What comes next in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Packet(Arrival),
    /// So many packets will not come any more.
    Hole(u64),
}

#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The number to release next; `None` before the first packet.
    next: Option<u64>,
    highest: u64,
    held: BTreeMap<u64, Arrival>,
}

impl Sequence {
    pub fn insert(&mut self, packet: Arrival) -> Place {
        let next = *self.next.get_or_insert(packet.seq);
        if packet.seq < next {
            return Place::TooLate;
        }
        let place = if packet.seq < self.highest { Place::Behind } else { Place::Ahead };
        self.highest = self.highest.max(packet.seq);
        self.held.insert(packet.seq, packet);
        place
    }

    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        let next = self.next?;
        let (&seq, first) = self.held.first_key_value()?;
        if seq == next {
            let (_, packet) = self.held.pop_first()?;
            self.next = Some(seq + 1);
            return Some(Step::Packet(packet));
        }
        if now < first.at + GIVE_UP_AFTER && self.held.len() <= HELD_MAX {
            return None;
        }
        self.next = Some(seq);
        Some(Step::Hole(seq - next))
    }

    pub fn gives_up_at(&self) -> Option<Instant> {
        let (&seq, first) = self.held.first_key_value()?;
        (Some(seq) != self.next).then_some(first.at + GIVE_UP_AFTER)
    }

    /// True for a number that has come, or has been given up, not long ago.
    pub fn has_seen(&self, wire_seq: u16) -> bool {
        let Some(next) = self.next else { return false };
        let back = u64::from((self.highest as u16).wrapping_sub(wire_seq));
        if back > DUPLICATE_WINDOW || back > self.highest {
            return false;
        }
        let seq = self.highest - back;
        seq < next || self.held.contains_key(&seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::{Codec, Ssrc};

    /// Packets as (milliseconds, number); what comes out as numbers, holes as negative counts.
    fn check(arrivals: &[(u64, u64)], until_ms: u64, expected: &[i64]) {
        let start = Instant::now();
        let mut sequence = Sequence::default();
        let mut out = Vec::new();
        let drain = |sequence: &mut Sequence, now: Instant, out: &mut Vec<i64>| {
            while let Some(step) = sequence.poll(now) {
                out.push(match step {
                    Step::Packet(packet) => packet.seq as i64,
                    Step::Hole(packets) => -(packets as i64),
                });
            }
        };
        for &(ms, seq) in arrivals {
            let at = start + Duration::from_millis(ms);
            sequence.insert(Arrival {
                at,
                ssrc: Ssrc(1),
                codec: Codec::Vp8,
                seq,
                time: 0,
                marker: false,
                payload_len: 1,
                is_keyframe_start: false,
                is_repair: false,
            });
            drain(&mut sequence, at, &mut out);
        }
        drain(&mut sequence, start + Duration::from_millis(until_ms), &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn order_is_kept() {
        check(&[(0, 7), (1, 8), (2, 9)], 2, &[7, 8, 9]);
    }

    #[test]
    fn a_late_one_is_put_in_its_place() {
        check(&[(0, 7), (1, 9), (2, 10), (400, 8)], 400, &[7, 8, 9, 10]);
    }

    #[test]
    fn a_hole_is_given_up_in_time_and_what_comes_after_that_is_too_late() {
        check(&[(0, 7), (1, 10)], 700, &[7]);
        check(&[(0, 7), (1, 10)], 701, &[7, -2, 10]);
        check(&[(0, 7), (1, 9), (701, 10), (702, 8)], 702, &[7, -1, 9, 10]);
    }

    #[test]
    fn a_flood_behind_a_hole_is_let_go() {
        let flood: Vec<_> = (2..=2 + HELD_MAX as u64).map(|seq| (0, seq)).collect();
        let mut expected = vec![0, -1];
        expected.extend((2..=2 + HELD_MAX as i64).collect::<Vec<_>>());
        check(&[&[(0, 0)], &flood[..]].concat(), 0, &expected);
    }
}
