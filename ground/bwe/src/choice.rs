//! Which of the rates that there are should a viewer get?

use std::time::{Duration, Instant};

/// Room that a richer encoding must leave, in percent of its rate: its rate is not steady, and neither is the line.
const ROOM_PERCENT: u64 = 110;

/// An encoding is left when it takes this share of what is believed: less would be noise.
const TOO_MUCH_PERCENT: u64 = 110;

/// What is probed for, in percent of the richer encoding's rate: the room, and what a probe understates.
const PROBE_PERCENT: u64 = 130;

/// From one switch to one upwards.
const HOLD: Duration = Duration::from_secs(5);

/// Down again so soon after going up means that the line was misjudged: the next try waits longer each time.
const REGRET: Duration = Duration::from_secs(10);
const PENALTY: Duration = Duration::from_secs(10);
const PENALTY_MAX: Duration = Duration::from_secs(60);

/// One viewer's choice among the encodings of a track.
#[derive(Debug, Default)]
pub struct Choice {
    current: Option<usize>,
    /// When it last changed, the first one not counted.
    switched: Option<Instant>,
    went_up: Option<Instant>,
    not_up_before: Option<Instant>,
    penalty: Option<Duration>,
}

impl Choice {
    /// What was chosen last.
    pub fn current(&self) -> Option<usize> {
        self.current
    }

    /// Chooses among `rates`, in bits per second, 0 for what is not there; `None` if nothing is. `is_rising`: the
    /// budget may go up any moment, so that a step up might be followed by another.
    pub fn choose(&mut self, now: Instant, rates: &[u64], budget: u64, is_rising: bool) -> Option<usize> {
        let rate = |at: usize| rates.get(at).copied().unwrap_or(0);
        let Some(current) = self.current.filter(|at| rate(*at) > 0) else {
            // The beginning, or what it was on is gone: that is no change of the line.
            let fitting = richest(rates, |rate| rate * ROOM_PERCENT / 100 <= budget);
            self.current = fitting.or_else(|| poorest(rates)).or(self.current);
            return self.current;
        };
        if rate(current) * 100 > budget * TOO_MUCH_PERCENT {
            let fitting = richest(rates, |other| other <= budget.min(rate(current) - 1));
            let lower = fitting.or_else(|| poorest(rates)).filter(|at| rate(*at) < rate(current));
            if let Some(lower) = lower {
                self.go_down(now, lower);
            }
            return self.current;
        }
        if self.may_go_up(now) {
            let fits = |other: u64| {
                other > rate(current) * ROOM_PERCENT / 100 && other * ROOM_PERCENT / 100 <= budget
            };
            let higher = richest(rates, fits);
            if let Some(higher) = higher.filter(|at| !is_rising || richest(rates, |_| true) == Some(*at)) {
                self.current = Some(higher);
                (self.switched, self.went_up) = (Some(now), Some(now));
            }
        }
        self.current
    }

    /// The rate to probe for, so that the next richer encoding could be chosen.
    pub fn wants(&self, now: Instant, rates: &[u64], budget: u64) -> Option<u64> {
        let current = rates.get(self.current?).copied()?;
        if self.not_up_before.is_some_and(|at| now + HOLD < at) {
            return None;
        }
        // What fits already is chosen in its time; what is asked for is the first that does not.
        let next = rates.iter().copied().filter(|rate| *rate > current * ROOM_PERCENT / 100);
        let next = next.filter(|rate| rate * ROOM_PERCENT / 100 > budget).min()?;
        Some(next * PROBE_PERCENT / 100)
    }

    fn may_go_up(&self, now: Instant) -> bool {
        let rested = self.switched.is_none_or(|at| now >= at + HOLD);
        rested && self.not_up_before.is_none_or(|at| now >= at)
    }

    fn go_down(&mut self, now: Instant, to: usize) {
        let regrets = self.went_up.is_some_and(|at| now < at + REGRET);
        self.penalty =
            regrets.then(|| self.penalty.map_or(PENALTY, |penalty| (penalty * 2).min(PENALTY_MAX)));
        self.not_up_before = self.penalty.map(|penalty| now + penalty);
        self.current = Some(to);
        (self.switched, self.went_up) = (Some(now), None);
    }
}

fn richest(rates: &[u64], fits: impl Fn(u64) -> bool) -> Option<usize> {
    let there = (0..rates.len()).filter(|at| rates[*at] > 0 && fits(rates[*at]));
    there.max_by_key(|at| (rates[*at], std::cmp::Reverse(*at)))
}

fn poorest(rates: &[u64]) -> Option<usize> {
    (0..rates.len()).filter(|at| rates[*at] > 0).min_by_key(|at| rates[*at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u64; 3] = [2_000_000, 700_000, 250_000];

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn rtp_22_down_at_once_and_up_after_a_rest() {
        let start = Instant::now();
        let mut choice = Choice::default();
        let mut choose = |ms, budget| choice.choose(at(start, ms), &RATES, budget, false);
        assert_eq!(choose(0, 1_000_000), Some(1));
        assert_eq!(choose(100, 2_500_000), Some(0), "the first step up need not wait");
        assert_eq!(choose(200, 1_850_000), Some(0), "noise");
        assert_eq!(choose(20_000, 300_000), Some(2));
        assert_eq!(choose(20_100, 100_000), Some(2), "there is nothing less");
        assert_eq!(choose(24_900, 5_000_000), Some(2));
        assert_eq!(choose(25_000, 5_000_000), Some(0));
    }

    #[test]
    fn rtp_22_who_regrets_waits_longer_each_time() {
        let start = Instant::now();
        let mut choice = Choice::default();
        let mut ups = Vec::new();
        let mut last = Some(1);
        for ms in (0..120_000).step_by(100) {
            // Each time it goes up the line shows that it cannot.
            let budget = if choice.current() == Some(0) { 1_000_000 } else { 3_000_000 };
            let now = choice.choose(at(start, ms), &RATES, if ms == 0 { 1_000_000 } else { budget }, false);
            if now == Some(0) && last != now {
                ups.push(ms);
            }
            last = now;
        }
        let pauses: Vec<u64> = ups.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
        assert_eq!(pauses, [10, 20, 40]);
    }

    #[test]
    fn what_is_gone_is_left_and_what_comes_is_probed_for() {
        let start = Instant::now();
        let mut choice = Choice::default();
        assert_eq!(choice.choose(start, &[0, 0, 0], 1_000_000, false), None);
        assert_eq!(choice.choose(start, &RATES, 1_000_000, false), Some(1));
        assert_eq!(choice.wants(start, &RATES, 1_000_000), Some(2_600_000));
        assert_eq!(choice.wants(start, &RATES, 2_500_000), None);
        assert_eq!(choice.choose(start, &[2_000_000, 0, 250_000], 1_000_000, false), Some(2));
        assert_eq!(choice.choose(start, &[0, 0, 0], 1_000_000, false), Some(2));
    }

    #[test]
    fn it_waits_for_the_next_step_while_the_budget_rises() {
        let start = Instant::now();
        let mut choice = Choice::default();
        assert_eq!(choice.choose(start, &RATES, 300_000, false), Some(2));
        assert_eq!(choice.choose(start, &RATES, 1_000_000, true), Some(2));
        assert_eq!(choice.choose(start, &RATES, 2_500_000, true), Some(0));
    }
}
