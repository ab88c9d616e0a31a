//! What was sent, and what became of it.

use std::collections::VecDeque;
use std::time::Instant;
use wtn_media::SeqNo;
use wtn_media::rtcp::TransportFeedback;
use wtn_media::rtcp::transport::{REFERENCE_TICKS, TICK};
use wtn_media::unwrap::seq_near;

/// How long a packet is remembered: feedback that takes longer tells nothing of the present.
const REMEMBERED_US: i64 = 2_000_000;

/// Packets remembered at once: those of two seconds at 20 Mbit/s, and less than half the numbers there are.
const REMEMBERED_MAX: usize = 4096;

/// Packets of one feedback that are looked at: far more than a tenth of a second has.
const TOLD_MAX: usize = 1024;

/// Reported times are taken no further than this: differences of them must stay numbers.
const TIME_MAX_US: i64 = 1 << 52;

/// Microseconds in a tick of the feedback.
const TICK_US: i64 = TICK.as_micros() as i64;

/// Microseconds after which the reference time of a feedback comes round again.
const REFERENCE_WRAP_US: i64 = (1 << 24) * REFERENCE_TICKS * TICK_US;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it was sent, in microseconds on our clock.
    pub sent_us: i64,
    /// When it arrived, in microseconds on the receiver's clock; `None` if it is lost.
    pub arrived_us: Option<i64>,
    /// Its bytes on the line.
    pub bytes: u32,
    /// The probe that it was part of.
    pub probe: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at_us: i64,
    bytes: u32,
    probe: Option<u32>,
    is_settled: bool,
}

/// The packets of one transport, numbered.
#[derive(Debug)]
pub struct SentLog {
    start: Instant,
    /// The number of the first entry.
    base: SeqNo,
    entries: VecDeque<Sent>,
    last_reference_us: Option<i64>,
}

impl SentLog {
    /// Nothing was sent before `now`, from which times are counted.
    pub fn new(now: Instant) -> Self {
        // Begun one wrap up, so that no number is looked for below zero.
        Self { start: now, base: SeqNo(1 << 16), entries: VecDeque::new(), last_reference_us: None }
    }

    /// A time on our clock.
    pub fn micros(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.start).as_micros() as i64
    }

    /// Notes a packet; the answer is its number.
    pub fn push(&mut self, now: Instant, bytes: usize, probe: Option<u32>) -> u16 {
        let at_us = self.micros(now);
        while let Some(first) = self.entries.front()
            && (first.at_us < at_us - REMEMBERED_US || self.entries.len() >= REMEMBERED_MAX)
        {
            self.entries.pop_front();
            self.base = SeqNo(self.base.0 + 1);
        }
        let number = SeqNo(self.base.0 + self.entries.len() as u64);
        self.entries.push_back(Sent { at_us, bytes: bytes as u32, probe, is_settled: false });
        number.wire()
    }

    /// Reads a feedback: what became of the packets that it tells of, in the order of their numbers. A packet that
    /// is known to have arrived is not told of again; one that was told of as lost may arrive after all.
    pub fn on_feedback(&mut self, feedback: &TransportFeedback<'_>, mut outcome: impl FnMut(Outcome)) {
        let reference_us = self.unwrap_reference(feedback.reference);
        let next = SeqNo(self.base.0 + self.entries.len() as u64);
        for (number, ticks) in feedback.packets().take(TOLD_MAX) {
            let seq = seq_near(next, number);
            let at = seq.0.checked_sub(self.base.0).and_then(|at| usize::try_from(at).ok());
            let Some(sent) = at.and_then(|at| self.entries.get_mut(at)) else { continue };
            if sent.is_settled {
                continue;
            }
            sent.is_settled = ticks.is_some();
            outcome(Outcome {
                sent_us: sent.at_us,
                arrived_us: ticks.map(|ticks| reference_us + ticks * TICK_US),
                bytes: sent.bytes,
                probe: sent.probe,
            });
        }
    }

    /// The reference time without its wrap: the one nearest to the last.
    fn unwrap_reference(&mut self, reference: u32) -> i64 {
        let wire = i64::from(reference) * REFERENCE_TICKS * TICK_US;
        let last = self.last_reference_us.unwrap_or(wire);
        let ahead = (wire - last).rem_euclid(REFERENCE_WRAP_US);
        let unwrapped = last + if ahead < REFERENCE_WRAP_US / 2 { ahead } else { ahead - REFERENCE_WRAP_US };
        let unwrapped = if unwrapped.abs() < TIME_MAX_US { unwrapped } else { wire };
        self.last_reference_us = Some(unwrapped);
        unwrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wtn_media::Ssrc;
    use wtn_media::rtcp::{self, Block, write_transport_feedback};

    fn told(log: &mut SentLog, base: u16, arrivals: &[Option<i64>]) -> Vec<Outcome> {
        let mut out = Vec::new();
        write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), 0, base, arrivals);
        let Some(Block::TransportFeedback(body)) = rtcp::blocks(&out).next() else { panic!("no feedback") };
        let mut outcomes = Vec::new();
        log.on_feedback(&TransportFeedback::read(body).unwrap(), |outcome| outcomes.push(outcome));
        outcomes
    }

    #[test]
    fn rtp_20_numbers_wrap_and_each_arrival_is_told_once() {
        let start = Instant::now();
        let mut log = SentLog::new(start);
        for at in 0..65_534u64 {
            assert_eq!(log.push(start + Duration::from_millis(at), 100, None), at as u16);
        }
        for at in 65_534..65_540u64 {
            log.push(start + Duration::from_millis(at), 100, None);
        }
        let arrivals = [Some(4000), None, Some(4008), Some(4012)];
        let outcomes = told(&mut log, 65_534, &arrivals);
        assert_eq!(
            outcomes.iter().map(|o| o.sent_us / 1000).collect::<Vec<_>>(),
            [65_534, 65_535, 65_536, 65_537]
        );
        assert_eq!(
            outcomes.iter().map(|o| o.arrived_us.map(|us| us / 1000)).collect::<Vec<_>>(),
            [Some(1000), None, Some(1002), Some(1003)]
        );
        let again = told(&mut log, 65_534, &[Some(4000), Some(4030), Some(4008)]);
        assert_eq!(again.iter().map(|o| o.sent_us / 1000).collect::<Vec<_>>(), [65_535]);
        assert_eq!(told(&mut log, 30_000, &arrivals), [], "long forgotten");
        assert_eq!(told(&mut log, 10, &arrivals), [], "not sent yet");
    }

    #[test]
    fn the_reference_time_goes_on_over_its_wrap() {
        let mut log = SentLog::new(Instant::now());
        let last = log.unwrap_reference((1 << 24) - 1);
        assert_eq!(log.unwrap_reference(1) - last, 2 * 64_000);
        assert_eq!(log.unwrap_reference((1 << 24) - 1), last);
    }
}
