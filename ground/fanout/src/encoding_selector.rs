//! What the encodings of a simulcast track carry, and which is the richest that is alive: what viewers get whose line
//! nothing is known of.

use crate::ladder::Ladder;
use std::time::{Duration, Instant};
use wtn_media::{EncodingId, LayerMarks, Rung, Rungs};

/// Encodings per track. OBS sends up to four, browsers three.
pub const ENCODINGS_MAX: usize = 4;

/// Rates are compared over windows of this length: long enough to hold several frames of any encoding.
const WINDOW: Duration = Duration::from_millis(500);

/// Windows that a rate is told over: a keyframe among them does not make an encoding dear.
const WINDOWS: usize = 4;

/// How much richer another encoding must be to be worth a switch; between the steps of real simulcast
/// lie factors of two to four.
const RICHER: u64 = 130;

/// Places on the ladder of a track: every rung of every encoding.
pub const LADDER: usize = ENCODINGS_MAX * Rung::PER_ENCODING;

/// What each rung takes of a line in bits per second, by [`place_of`]; 0 for what is not there.
pub type Rates = [u64; LADDER];

/// The place of a rung in [`Rates`].
pub fn place_of(rung: Rung) -> usize {
    usize::from(rung.encoding.0) * Rung::PER_ENCODING + rung.place()
}

/// The rung at that place.
pub fn rung_at(place: usize) -> Rung {
    Rung::at(EncodingId((place / Rung::PER_ENCODING) as u8), place % Rung::PER_ENCODING)
}

/// Bytes of each rung, and the layers that packets were seen of.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: Rates,
    seen: [Rungs; ENCODINGS_MAX],
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: [0; LADDER], seen: Default::default() }
    }
}

/// Compares what the encodings of one track carry, and their layers. Their order in the SDP tells nothing: OBS names the
/// best one first, browser pages as they please.
#[derive(Debug, Default)]
pub struct EncodingSelector {
    window: Window,
    /// The last windows, the newest first.
    windows: [Window; WINDOWS],
    /// Windows that are over.
    over: usize,
    window_ends: Option<Instant>,
    best: EncodingId,
    ladder: Ladder,
}

impl EncodingSelector {
    /// Notes `bytes` of an encoding. The first one heard is the best one until a window has passed.
    pub fn on_packet(&mut self, now: Instant, encoding: EncodingId, layer: LayerMarks, bytes: usize) {
        if self.window_ends.is_none() {
            self.best = encoding;
            self.window_ends = Some(now + WINDOW);
        }
        self.advance(now);
        let at = usize::from(encoding.0);
        let Some(seen) = self.window.seen.get_mut(at) else { return };
        *seen = seen.with(Rung { encoding, spatial: layer.spatial, temporal: layer.temporal });
        for place in layer.needed.places() {
            self.window.bytes[at * Rung::PER_ENCODING + place] += bytes as u64;
        }
    }

    /// Ends a window whose time is over.
    pub fn advance(&mut self, now: Instant) {
        let Some(end) = self.window_ends.filter(|end| now >= *end) else { return };
        self.windows.rotate_right(1);
        // It ends with the first packet that is late for it, so it is longer than it should be.
        let length = WINDOW + now.saturating_duration_since(end);
        let share = WINDOW.as_micros() as u64 * 1000 / length.as_micros() as u64;
        self.windows[0] = std::mem::take(&mut self.window);
        self.windows[0].bytes.iter_mut().for_each(|bytes| *bytes = *bytes * share / 1000);
        self.over += 1;
        self.window_ends = Some(now + WINDOW);
        self.choose();
        self.ladder = Ladder::new(self.rates(), std::array::from_fn(|at| self.seen(at)));
    }

    /// How many windows are over: the ladder changes with each.
    pub fn windows(&self) -> usize {
        self.over
    }

    /// What there is to choose from, by the last seconds.
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// The encoding that viewers should be on.
    pub fn best(&self) -> EncodingId {
        self.best
    }

    /// The rates of the last seconds; an encoding that was silent for one has none.
    fn rates(&self) -> Rates {
        let known = self.over.clamp(1, WINDOWS);
        std::array::from_fn(|place| {
            let is_alive = self.seen(place / Rung::PER_ENCODING) != Rungs::default();
            let sum: u64 = self.windows[..known].iter().map(|window| window.bytes[place]).sum();
            if is_alive { sum * 8 * 1000 / (WINDOW.as_millis() as u64 * known as u64) } else { 0 }
        })
    }

    /// The layers of an encoding that were there within the last second.
    fn seen(&self, encoding: usize) -> Rungs {
        Rungs(self.windows[0].seen[encoding].0 | self.windows[1].seen[encoding].0)
    }

    fn choose(&mut self) {
        let rate = |encoding: EncodingId| self.windows[0].bytes[place_of(Rung::whole(encoding))];
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
                selector.on_packet(
                    start + Duration::from_millis(tick * 100),
                    EncodingId(encoding),
                    LayerMarks::WHOLE,
                    *bytes,
                );
            }
        }
        selector.best().0
    }

    /// What the encodings take as they are.
    fn whole(selector: &EncodingSelector) -> [u64; ENCODINGS_MAX] {
        let rates = selector.ladder().automatic();
        std::array::from_fn(|at| rates[place_of(Rung::whole(EncodingId(at as u8)))])
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
        assert_eq!(whole(&selector), [720_000, 240_000, 0, 0]);
        best(&mut selector, start + Duration::from_secs(2), &[0, 3000]);
        assert_eq!(whole(&selector), [0, 240_000, 0, 0]);
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
