//! Which encoding of a simulcast track viewers get: the richest that is alive.

use std::time::{Duration, Instant};
use wtn_media::EncodingId;

/// Encodings per track. OBS sends up to four, browsers three.
pub const ENCODINGS_MAX: usize = 4;

/// Rates are compared over windows of this length: long enough to hold several frames of any encoding.
const WINDOW: Duration = Duration::from_millis(500);

/// How much richer another encoding must be to be worth a switch; between the steps of real simulcast
/// lie factors of two to four.
const RICHER: u64 = 130;

/// Compares what the encodings of one track carry. Their order in the SDP tells nothing: OBS names the best
/// one first, browser pages as they please.
#[derive(Debug, Default)]
pub struct EncodingSelector {
    window: [u64; ENCODINGS_MAX],
    rates: [u64; ENCODINGS_MAX],
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
            self.rates = std::mem::take(&mut self.window);
            self.window_ends = Some(now + WINDOW);
            self.choose();
        }
        if let Some(sum) = self.window.get_mut(usize::from(encoding.0)) {
            *sum += bytes as u64;
        }
    }

    /// The encoding that viewers should be on.
    pub fn best(&self) -> EncodingId {
        self.best
    }

    fn choose(&mut self) {
        let rate = |encoding: EncodingId| self.rates[usize::from(encoding.0)];
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
    fn a_dead_encoding_is_left_and_near_equals_do_not_flap() {
        let start = Instant::now();
        let mut selector = EncodingSelector::default();
        assert_eq!(best(&mut selector, start, &[1000, 9000]), 1);
        assert_eq!(best(&mut selector, start + Duration::from_secs(2), &[10_000, 9000]), 1);
        assert_eq!(best(&mut selector, start + Duration::from_secs(4), &[1000, 0]), 0);
    }
}
