//! When a keyframe is asked for: at once for the first who needs one, then merged, then ever more rarely.

use std::time::{Duration, Instant};

/// Shortest time between two requests for one encoding: a crowd that joins together costs the publisher one
/// keyframe, and nobody of it waits longer than this for the request that serves him.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

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
    answered: bool,
    interval: Duration,
}

impl Default for KeyframeGate {
    fn default() -> Self {
        Self { wanted_since: None, asked_at: None, answered: true, interval: INTERVAL_MIN }
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
        self.asked_at = Some(now);
        true
    }

    /// When [`Self::poll`] will say yes; `None` while nobody waits.
    pub fn next_timeout(&self) -> Option<Instant> {
        let since = self.wanted_since?;
        Some(self.asked_at.map_or(since, |at| since.max(at + self.interval)))
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
        assert_eq!(asked(1200, &[10, 510, 1010]), [0, 500, 1000]);
    }

    #[test]
    fn rtp_19_a_publisher_that_never_answers_is_asked_ever_more_rarely() {
        assert_eq!(asked(32_000, &[]), [0, 500, 1500, 3500, 7500, 15_500, 23_500, 31_500]);
    }

    #[test]
    fn nobody_waits_nobody_asks() {
        let mut gate = KeyframeGate::default();
        gate.want(Instant::now());
        gate.on_keyframe();
        assert_eq!(gate.next_timeout(), None);
    }
}
