//! One viewer's line: what it carries, and which encoding of the picture it is therefore given.

use crate::encoding_selector::{Rates, rung_at};
use std::time::{Duration, Instant};
use wtn_bwe::{Choice, Due, Estimator};
use wtn_media::plan::Feedback;
use wtn_media::rtcp::TransportFeedback;
use wtn_media::{EncodingId, Rung};

/// What is believed of a line before anything is known: enough for a middle encoding, and soon corrected by the
/// first probe.
const FIRST_GUESS_BPS: u64 = 1_000_000;

/// A viewer that has not reported by then does not do what it negotiated, and gets what viewers get who negotiated
/// nothing: the richest.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who asks for a layer gets the benefit of the doubt: its line is taken for this much of what is believed of it, in
/// percent. No more than that: a picture that the line does not carry is none, and would take the sound along.
const PINNED_TRUST_PERCENT: u64 = 125;

/// More than any encoding takes; REMB can say as much as 2^64.
const BUDGET_MAX_BPS: u64 = 1 << 40;

/// Bytes of a packet on the line besides its payload: headers down to IPv4, a few extensions, the tag.
pub const OVERHEAD: usize = 68;

/// Packets sent for a probe in one go.
pub const PROBE_PACKETS_MAX: usize = 32;

/// Sent packets that a probe may send again: the last ones.
pub const PROBE_REACH: u64 = 64;

/// What one viewer's line looks like from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineReport {
    /// What it is believed to carry, in bits per second; `None` if nothing is known.
    pub estimate_bps: Option<u64>,
    /// The queue that does not go away between frames.
    pub queue: Duration,
    /// The rung that the viewer should be on.
    pub target: Option<Rung>,
    /// The encoding that it gets.
    pub watched: Option<EncodingId>,
}

/// The line of one viewer, for video alone: sound is small and never given up.
#[derive(Debug)]
pub struct Line {
    /// With transport-wide feedback.
    estimator: Option<Estimator>,
    /// With REMB alone: the last one.
    remb_bps: Option<u64>,
    began: Instant,
    choice: Choice,
    is_pinned: bool,
    probes: u64,
}

impl Line {
    /// The line of a viewer with that feedback; `None` if nothing will be heard of it.
    pub fn new(now: Instant, feedback: Feedback) -> Option<Box<Self>> {
        let estimator = feedback.transport_cc.then(|| Estimator::new(now, FIRST_GUESS_BPS));
        let is_known = estimator.is_some() || feedback.remb;
        is_known.then(|| {
            Box::new(Self {
                estimator,
                remb_bps: None,
                began: now,
                choice: Choice::default(),
                is_pinned: false,
                probes: 0,
            })
        })
    }

    /// A video packet with that many bytes of payload goes out; the answer is its transport-wide number.
    pub fn on_sent(&mut self, now: Instant, payload: usize) -> Option<u16> {
        Some(self.estimator.as_mut()?.on_sent(now, payload + OVERHEAD))
    }

    /// True if packets are numbered, so that none may go out twice as it was.
    pub fn is_numbered(&self) -> bool {
        self.estimator.is_some()
    }

    /// Takes transport-wide feedback.
    pub fn on_feedback(&mut self, now: Instant, body: &[u8]) {
        if let (Some(estimator), Some(feedback)) = (&mut self.estimator, TransportFeedback::read(body)) {
            estimator.on_feedback(now, &feedback);
        }
    }

    /// Takes REMB, which counts only where nothing better is to be had.
    pub fn on_remb(&mut self, bits_per_second: u64) {
        self.remb_bps = Some(bits_per_second.min(BUDGET_MAX_BPS));
    }

    /// The rung that the viewer should be on; `None` while there is nothing to choose from.
    pub fn target(&self) -> Option<Rung> {
        self.choice.current().map(rung_at)
    }

    /// The viewer asks for something else: what it was on, and what it tried before, says nothing about that.
    pub fn ask(&mut self, is_pinned: bool) {
        self.is_pinned = is_pinned;
        self.choice = Choice::default();
    }

    /// Chooses among rungs of those rates; the answer is the new target, if it is another one.
    pub fn choose(&mut self, now: Instant, rates: &Rates) -> Option<Rung> {
        let before = self.target();
        let budget = self.budget(now);
        let is_rising = self.estimator.as_ref().is_some_and(|estimator| estimator.is_probing(now));
        self.choice.choose(now, rates, budget, is_rising);
        if let Some(estimator) = &mut self.estimator {
            estimator.want(self.choice.wants(now, rates, budget));
        }
        self.target().filter(|target| Some(*target) != before)
    }

    /// Does what time demands; true if the line must be judged anew.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(estimator) = &mut self.estimator else { return false };
        let before = estimator.bps();
        estimator.handle_timeout(now);
        estimator.bps() != before
    }

    /// What is due for a probe, and otherwise when to ask again.
    pub fn poll_probe(&mut self, now: Instant) -> Due {
        let Some(estimator) = &mut self.estimator else { return Due::Nothing };
        match (estimator.poll_probe(now), estimator.next_timeout()) {
            (Due::Nothing, Some(at)) => Due::Wait(at),
            (Due::Wait(due), Some(at)) => Due::Wait(due.min(at)),
            (due, _) => due,
        }
    }

    /// How far back the packet lies that a probe sends next: the last ones, in turn.
    pub fn next_probe(&mut self) -> u64 {
        self.probes += 1;
        1 + self.probes % PROBE_REACH
    }

    /// What is believed of it, in bits per second.
    pub fn estimate_bps(&self) -> Option<u64> {
        match &self.estimator {
            Some(estimator) => estimator.heard().map(|_| estimator.bps()),
            None => self.remb_bps,
        }
    }

    /// The queue that stands in front of it.
    pub fn queue(&self) -> Duration {
        self.estimator.as_ref().map_or(Duration::ZERO, Estimator::standing_queue)
    }

    fn budget(&self, now: Instant) -> u64 {
        let unheard = if now < self.began + PATIENCE { FIRST_GUESS_BPS } else { BUDGET_MAX_BPS };
        let trust = if self.is_pinned { PINNED_TRUST_PERCENT } else { 100 };
        self.estimate_bps().unwrap_or(unheard).saturating_mul(trust) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding_selector::{LADDER, place_of};

    /// Three encodings without layers.
    fn rates() -> Rates {
        let mut rates = [0; LADDER];
        for (at, rate) in [2_000_000, 700_000, 200_000].into_iter().enumerate() {
            rates[place_of(rung(at as u8))] = rate;
        }
        rates
    }

    fn rung(encoding: u8) -> Rung {
        Rung::whole(EncodingId(encoding))
    }

    fn line(transport_cc: bool, remb: bool) -> Option<Box<Line>> {
        Line::new(Instant::now(), Feedback { transport_cc, remb, ..Feedback::default() })
    }

    #[test]
    fn rtp_21_remb_alone_decides_where_there_is_nothing_better() {
        let start = Instant::now();
        let mut line = line(false, true).unwrap();
        line.on_remb(u64::MAX);
        assert_eq!(line.choose(start, &rates()), Some(rung(0)));
        line.on_remb(300_000);
        assert_eq!(line.choose(start, &rates()), Some(rung(2)));
        line.on_remb(5_000_000);
        assert_eq!(line.choose(start + 2 * PATIENCE, &rates()), Some(rung(0)));
        assert_eq!(line.on_sent(start, 1000), None, "nothing is numbered");
        assert_eq!(line.poll_probe(start), Due::Nothing);
    }

    #[test]
    fn whep_29_who_asks_for_a_layer_gets_the_benefit_of_the_doubt_and_no_more() {
        let mut line = line(false, true).unwrap();
        let start = line.began;
        line.on_remb(1_800_000);
        assert_eq!(line.choose(start, &rates()), Some(rung(1)), "who does not ask");
        line.ask(true);
        assert_eq!(line.choose(start, &rates()), Some(rung(0)));
        line.on_remb(300_000);
        assert_eq!(line.choose(start, &rates()), Some(rung(2)), "and not for longer");
        line.on_remb(1_800_000);
        assert_eq!(line.choose(start + Duration::from_secs(6), &rates()), Some(rung(0)));
    }

    #[test]
    fn rtp_22_who_negotiates_feedback_and_sends_none_gets_the_richest() {
        assert!(line(false, false).is_none());
        let mut line = line(true, false).unwrap();
        let start = line.began;
        assert_eq!(line.choose(start, &rates()), Some(rung(1)));
        assert_eq!(line.on_sent(start, 1000), Some(0));
        assert_eq!(line.choose(start + PATIENCE, &rates()), Some(rung(0)));
        assert_eq!(line.estimate_bps(), None);
    }
}
