//! What the encodings of a simulcast track carry, and which is the richest that is alive: what viewers get whose line
//! nothing is known of.

use std::time::{Duration, Instant};
use wtn_media::EncodingId;

/// Encodings per track. OBS sends up to four, browsers three.
pub const ENCODINGS_MAX: usize = 4;

/// Rates are compared over windows of this length: long enough to hold several frames of any encoding.
const WINDOW: Duration = Duration::from_millis(500);

/// Windows that a rate is told over: a keyframe among them does not make an encoding dear.
const WINDOWS: usize = 4;

/// How much richer another encoding must be to be worth a switch; between the steps of real simulcast
/// lie factors of two to four.
const RICHER: u64 = 130;

/// Compares what the encodings of one track carry. Their order in the SDP tells nothing: OBS names the best
/// one first, browser pages as they please.
#[derive(Debug, Default)]
pub struct EncodingSelector {
    window: [u64; ENCODINGS_MAX],
    /// Of the last windows, the newest first.
    rates: [[u64; ENCODINGS_MAX]; WINDOWS],
    /// Windows that are over.
    windows: usize,
    window_ends: Option<Instant>,
    best: EncodingId,
}

impl EncodingSelector {
    /// Notes `bytes` of an encoding. The first one heard is the best one until a window has passed.
    pub fn on_packet(&mut self, now: Instant, encoding: EncodingId, bytes: usize) {
        let end = *self.window_ends.get_or_insert_with(|| {
            self.best = encoding;
            now + WINDOW
        });
        if now >= end {
            self.rates.rotate_right(1);
            // It ends with the first packet that is late for it, so each is longer than it should be.
            let length = WINDOW + now.saturating_duration_since(end);
            let share = WINDOW.as_micros() as u64 * 1000 / length.as_micros() as u64;
            self.rates[0] = std::mem::take(&mut self.window).map(|bytes| bytes * share / 1000);
            self.windows += 1;
            self.window_ends = Some(now + WINDOW);
            self.choose();
        }
        if let Some(sum) = self.window.get_mut(usize::from(encoding.0)) {
            *sum += bytes as u64;
        }
    }

    /// How many windows are over: the rates change with each.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// The rates of the last seconds, in bits per second; 0 for an encoding that was silent for one.
    pub fn rates(&self) -> [u64; ENCODINGS_MAX] {
        let known = self.windows.clamp(1, WINDOWS);
        std::array::from_fn(|at| {
            let is_alive = self.rates[..2].iter().any(|window| window[at] > 0);
            let sum: u64 = self.rates[..known].iter().map(|window| window[at]).sum();
            if is_alive { sum * 8 * 1000 / (WINDOW.as_millis() as u64 * known as u64) } else { 0 }
        })
    }

    /// The encoding that viewers should be on.
    pub fn best(&self) -> EncodingId {
        self.best
    }

    fn choose(&mut self) {
        let rate = |encoding: EncodingId| self.rates[0][usize::from(encoding.0)];
        let richest =
            (0..ENCODINGS_MAX as u8).map(EncodingId).max_by_key(|id| (rate(*id), std::cmp::Reverse(*id)));
        if let Some(richest) = richest.filter(|id| rate(*id) * 100 > rate(self.best) * RICHER) {
            self.best = richest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds each encoding its bytes every 100 ms for two seconds.
    fn best(selector: &mut EncodingSelector, start: Instant, bytes: &[usize]) -> u8 {
        for tick in 0..20 {
            for (encoding, bytes) in (0..).zip(bytes).filter(|(_, bytes)| **bytes > 0) {
                selector.on_packet(start + Duration::from_millis(tick * 100), EncodingId(encoding), *bytes);
            }
        }
        selector.best().0
    }

    #[test]
    fn the_richest_wins_wherever_it_stands_in_the_offer() {
        let start = Instant::now();
        assert_eq!(best(&mut EncodingSelector::default(), start, &[9000, 3000, 1000]), 0);
        assert_eq!(best(&mut EncodingSelector::default(), start, &[1000, 3000, 9000]), 2);
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let start = Instant::now();
        let mut selector = EncodingSelector::default();
        best(&mut selector, start, &[9000, 3000]);
        assert_eq!(selector.rates(), [720_000, 240_000, 0, 0]);
        best(&mut selector, start + Duration::from_secs(2), &[0, 3000]);
        assert_eq!(selector.rates(), [0, 240_000, 0, 0]);
    }

    #[test]
    fn a_dead_encoding_is_left_and_near_equals_do_not_flap() {
        let start = Instant::now();
        let mut selector = EncodingSelector::default();
        assert_eq!(best(&mut selector, start, &[1000, 9000]), 1);
        assert_eq!(best(&mut selector, start + Duration::from_secs(2), &[10_000, 9000]), 1);
        assert_eq!(best(&mut selector, start + Duration::from_secs(4), &[1000, 0]), 0);
    }
}
