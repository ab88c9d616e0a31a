//! Does a queue grow on the way, or stand there? By the one-way delay, of which only changes are known, since the
//! clocks at both ends differ.
//!
//! Frames are sent in bursts, so a queue that comes and goes with each of them is no sign of too much. Two things
//! are: a delay whose trend goes up and that does not come down between frames, and a delay that stays well above
//! the least that was seen.

use std::collections::VecDeque;

/// Packets sent within this time of the first are one burst.
const BURST_US: i64 = 5_000;

/// Bursts and time that the trend is taken over.
const TREND_BURSTS: usize = 24;
/// See [`TREND_BURSTS`].
const TREND_US: i64 = 1_000_000;
/// Fewer than this have no trend.
const TREND_BURSTS_MIN: usize = 6;

/// Seconds of queue per second that are too much, at first and within bounds: the threshold follows the trend
/// slowly, so that a line shared with a transfer that fills its queues is not given up (draft-ietf-rmcat-gcc-02 §5.4).
const THRESHOLD: f64 = 0.06;
const THRESHOLD_MIN: f64 = 0.03;
const THRESHOLD_MAX: f64 = 0.25;
/// How fast it follows up and down, per second.
const FOLLOW_UP: f64 = 0.9;
const FOLLOW_DOWN: f64 = 0.25;

/// A trend above the threshold for that long, and a queue that has not been below this since, is too much.
const GROWS_US: i64 = 100_000;
const GROWS_OVER_US: i64 = 25_000;
const GROWS_WINDOW_US: i64 = 200_000;

/// A queue that has not been below this for that long is too much, whatever its trend.
const STANDS_OVER_US: i64 = 80_000;
const STANDS_WINDOW_US: i64 = 500_000;

/// A queue that is this much shorter than it was a moment ago drains, as after a keyframe: neither of the two.
const DRAINS_US: i64 = 20_000;

/// The least delay is that of the last ten to twenty seconds, so that neither a change of route nor clocks that
/// drift apart are taken for a queue for long.
const LEAST_WINDOW_US: i64 = 10_000_000;

/// What the delays say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing: there is no queue that matters.
    Clear,
    /// A queue grows or stands.
    TooMuch,
    /// A queue is getting shorter: better wait and see.
    Drains,
}

/// The queue in front of the narrowest place on the way.
#[derive(Debug, Default)]
pub struct Queue {
    burst: Option<Burst>,
    /// (arrival, one-way delay) of the bursts of the last second.
    points: VecDeque<(i64, i64)>,
    /// The least one-way delay of this stretch of time and of the last.
    least: [Option<i64>; 2],
    stretch_since_us: i64,
    threshold: Option<f64>,
    over_since_us: Option<i64>,
    trend: f64,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    first_sent_us: i64,
    last_arrived_us: i64,
    /// The least delay of its packets: what was in the queue before it.
    delay_us: i64,
}

impl Queue {
    /// A packet arrived. The two clocks may differ by anything, but not in speed.
    pub fn on_arrival(&mut self, sent_us: i64, arrived_us: i64) {
        let delay_us = arrived_us - sent_us;
        self.note_least(sent_us, delay_us);
        match &mut self.burst {
            Some(burst) if sent_us < burst.first_sent_us => {}
            Some(burst) if sent_us - burst.first_sent_us <= BURST_US => {
                burst.last_arrived_us = burst.last_arrived_us.max(arrived_us);
                burst.delay_us = burst.delay_us.min(delay_us);
            }
            _ => {
                let next = Burst { first_sent_us: sent_us, last_arrived_us: arrived_us, delay_us };
                if let Some(burst) = self.burst.replace(next) {
                    self.end_burst(burst);
                }
            }
        }
    }

    /// What the delays say now.
    pub fn sign(&self) -> Sign {
        let Some((now_us, newest_us)) = self.points.back().copied() else { return Sign::Clear };
        let longest_us = self.recent(now_us, GROWS_WINDOW_US).max().unwrap_or(newest_us);
        if newest_us < longest_us - DRAINS_US {
            return Sign::Drains;
        }
        let grows = self.over_since_us.is_some_and(|since| now_us - since >= GROWS_US)
            && self.shortest(now_us, GROWS_WINDOW_US) >= GROWS_OVER_US;
        let stands = self.shortest(now_us, STANDS_WINDOW_US) >= STANDS_OVER_US
            && self.points.front().is_some_and(|(first, _)| now_us - first >= STANDS_WINDOW_US);
        if grows || stands { Sign::TooMuch } else { Sign::Clear }
    }

    /// The shortest queueing delay of the last half second, in microseconds: bursts pass, a queue stays.
    pub fn standing_us(&self) -> i64 {
        self.points.back().map_or(0, |(now, _)| self.shortest(*now, STANDS_WINDOW_US))
    }

    fn recent(&self, now_us: i64, window_us: i64) -> impl Iterator<Item = i64> + '_ {
        let recent = self.points.iter().rev().take_while(move |(at, _)| now_us - at <= window_us);
        recent.map(|(_, delay)| *delay)
    }

    fn shortest(&self, now_us: i64, window_us: i64) -> i64 {
        let least = self.least.iter().flatten().min().copied().unwrap_or(0);
        self.recent(now_us, window_us).min().map_or(0, |shortest| shortest - least)
    }

    fn note_least(&mut self, sent_us: i64, delay_us: i64) {
        if sent_us - self.stretch_since_us > LEAST_WINDOW_US {
            self.least = [None, self.least[0]];
            self.stretch_since_us = sent_us;
        }
        self.least[0] = Some(self.least[0].map_or(delay_us, |least| least.min(delay_us)));
    }

    fn end_burst(&mut self, burst: Burst) {
        let at_us = burst.last_arrived_us;
        let before_us = self.points.back().map_or(at_us, |(at, _)| *at);
        self.points.push_back((at_us.max(before_us), burst.delay_us));
        while self.points.len() > TREND_BURSTS
            && self.points.front().is_some_and(|(at, _)| at_us - at > TREND_US)
            || self.points.len() > 4 * TREND_BURSTS
        {
            self.points.pop_front();
        }
        self.trend = self.slope(at_us);
        let threshold = self.threshold.get_or_insert(THRESHOLD);
        if self.trend > *threshold {
            self.over_since_us.get_or_insert(at_us);
        } else {
            self.over_since_us = None;
        }
        // A leap says nothing about the noise of the line.
        let seconds = ((at_us - before_us) as f64 / 1e6).clamp(0.0, 0.1);
        let distance = self.trend.abs() - *threshold;
        if distance < 2.0 * THRESHOLD {
            let follow = if distance > 0.0 { FOLLOW_UP } else { FOLLOW_DOWN };
            *threshold = (*threshold + distance * follow * seconds).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
        }
    }

    /// The least-squares line through the last bursts: microseconds of delay per microsecond.
    fn slope(&self, now_us: i64) -> f64 {
        let recent = || {
            let recent = self.points.iter().rev().take(TREND_BURSTS);
            recent.take_while(move |(at, _)| now_us - at <= TREND_US).map(|(at, delay)| (at - now_us, *delay))
        };
        let count = recent().count();
        if count < TREND_BURSTS_MIN {
            return 0.0;
        }
        let mean = |sum: i64| sum as f64 / count as f64;
        let mean_at = mean(recent().map(|(at, _)| at).sum());
        let mean_delay = mean(recent().map(|(_, delay)| delay).sum());
        let mut above = 0.0;
        let mut below = 0.0;
        for (at, delay) in recent() {
            let x = at as f64 - mean_at;
            above += x * (delay as f64 - mean_delay);
            below += x * x;
        }
        if below > 0.0 { above / below } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty bursts a second of three packets, whose queueing delay in ms follows from the time in ms.
    fn signs(delay_ms: impl Fn(i64) -> i64, ms: i64) -> Vec<Sign> {
        let mut queue = Queue::default();
        let mut signs = Vec::new();
        for frame in 0..ms * 30 / 1000 {
            let sent_ms = frame * 1000 / 30;
            for packet in 0..3 {
                // A clock that is an hour off.
                let delay = 20 + delay_ms(sent_ms) + packet;
                queue.on_arrival(sent_ms * 1000, (sent_ms + delay + 3_600_000) * 1000);
            }
            signs.push(queue.sign());
        }
        signs
    }

    #[test]
    fn rtp_22_a_queue_that_grows_is_noticed_within_half_a_second() {
        let signs = signs(|ms| ((ms - 3000).max(0) / 2).min(200), 5000);
        let first = signs.iter().position(|sign| *sign == Sign::TooMuch).unwrap() as i64 * 1000 / 30;
        assert!((3000..3500).contains(&first), "{first} ms");
    }

    #[test]
    fn a_queue_that_stands_is_noticed_even_if_it_came_at_once() {
        let signs = signs(|ms| if ms < 3000 { 0 } else { 100 }, 6000);
        assert!(!signs[..90].contains(&Sign::TooMuch));
        assert!(signs[90..].contains(&Sign::TooMuch));
    }

    #[test]
    fn bursts_and_jitter_are_no_sign() {
        // A keyframe every two seconds that takes 150 ms to drain.
        let keyframes = signs(|ms| (150 - (ms % 2000) / 2).max(0), 20_000);
        assert!(!keyframes.contains(&Sign::TooMuch));
        let jitter = signs(|ms| (ms * 7919 / 33) % 17, 20_000);
        assert!(!jitter.contains(&Sign::TooMuch));
    }

    #[test]
    fn a_queue_that_drains_is_not_too_much_any_more() {
        let signs = signs(|ms| (400 - ms / 5).max(0), 2000);
        assert!(signs.contains(&Sign::Drains) && !signs.contains(&Sign::TooMuch));
    }
}
