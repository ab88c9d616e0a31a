//! When a keyframe is asked for: at once for the first who needs one, then merged, then ever more rarely.

use std::time::{Duration, Instant};

/// Shortest time between two requests for one encoding: a crowd that joins together costs the publisher one
/// keyframe, and nobody of it waits longer than this for the request that serves him.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// Shortest time that three requests for one encoding take: in the long run no more than one a second, whoever
/// wishes for more.
const THREE_MIN: Duration = Duration::from_secs(2);

/// Longest time between requests to a publisher that never answers (OBS has no handling of PLI at all).
const INTERVAL_MAX: Duration = Duration::from_secs(8);

/// Merges the keyframe wishes of all viewers of one encoding (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
///
/// No timer asks by itself: a request goes out only while a wish is open, and wishes come from viewers who
/// have no picture or have lost it.
#[derive(Debug)]
pub struct KeyframeGate {
    wanted_since: Option<Instant>,
    asked_at: Option<Instant>,
    asked_before: Option<Instant>,
    answered: bool,
    interval: Duration,
}

impl Default for KeyframeGate {
    fn default() -> Self {
        Self {
            wanted_since: None,
            asked_at: None,
            asked_before: None,
            answered: true,
            interval: INTERVAL_MIN,
        }
    }
}

impl KeyframeGate {
    /// Somebody needs a keyframe.
    pub fn want(&mut self, now: Instant) {
        self.wanted_since.get_or_insert(now);
    }

    /// A keyframe came: every open wish is granted.
    pub fn on_keyframe(&mut self) {
        self.wanted_since = None;
        self.answered = true;
        self.interval = INTERVAL_MIN;
    }

    /// True if a request is to be sent now. Unanswered ones are repeated, each time after twice the wait.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.next_timeout().is_none_or(|due| now < due) {
            return false;
        }
        if !self.answered {
            self.interval = (self.interval * 2).min(INTERVAL_MAX);
        }
        // Who still waits wishes again with the next packet that does not help him; who left does not.
        self.wanted_since = None;
        self.answered = false;
        self.asked_before = self.asked_at.replace(now);
        true
    }

    /// When [`Self::poll`] will say yes; `None` while nobody waits.
    pub fn next_timeout(&self) -> Option<Instant> {
        let since = self.wanted_since?;
        let after_last = self.asked_at.map(|at| at + self.interval);
        let after_both = self.asked_before.map(|at| at + THREE_MIN);
        [after_last, after_both].into_iter().flatten().chain([since]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds at which requests leave while somebody always waits and keyframes come at `keyframes`.
    fn asked(until: u64, keyframes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut gate = KeyframeGate::default();
        (0..until)
            .filter(|&ms| {
                let now = start + Duration::from_millis(ms);
                if keyframes.contains(&ms) {
                    gate.on_keyframe();
                }
                gate.want(now);
                gate.poll(now)
            })
            .collect()
    }

    #[test]
    fn rtp_18_a_crowd_costs_one_request_per_interval() {
        assert_eq!(asked(1200, &[10, 510]), [0, 500]);
        let keyframes: Vec<u64> = (0..200).map(|n| n * 100 + 10).collect();
        assert_eq!(asked(4600, &keyframes), [0, 500, 2000, 2500, 4000, 4500], "one a second in the long run");
    }

    #[test]
    fn rtp_19_a_publisher_that_never_answers_is_asked_ever_more_rarely() {
        assert_eq!(asked(32_000, &[]), [0, 500, 2000, 4000, 8000, 16_000, 24_000]);
    }

    #[test]
    fn nobody_waits_nobody_asks() {
        let mut gate = KeyframeGate::default();
        gate.want(Instant::now());
        gate.on_keyframe();
        assert_eq!(gate.next_timeout(), None);
    }
}
