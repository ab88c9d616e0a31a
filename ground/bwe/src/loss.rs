//! Does the line lose too much? After draft-ietf-rmcat-gcc-02 §6.

/// Losses are judged over at least this much time and this many packets: a few packets tell nothing.
const WINDOW_US: i64 = 1_000_000;
/// See [`WINDOW_US`].
const PACKETS_MIN: u32 = 20;

/// More than this share is too much; less than the other is none. Between them a line that loses by its nature,
/// such as a wireless one, is left alone.
const TOO_MUCH: f64 = 0.10;
/// See [`TOO_MUCH`].
const NONE: f64 = 0.02;

/// Growth per window without losses.
const GROWTH: f64 = 1.08;

/// The bound that losses set to the estimate.
#[derive(Debug, Default)]
pub struct LossBound {
    window: Option<Window>,
    bound_bps: Option<f64>,
    share: f64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since_us: i64,
    sent: u32,
    lost: u32,
    bytes: u64,
}

impl LossBound {
    /// What became of a packet sent at that time.
    pub fn on_packet(&mut self, sent_us: i64, bytes: u32, is_lost: bool) {
        let window = self.window.get_or_insert(Window { since_us: sent_us, sent: 0, lost: 0, bytes: 0 });
        window.sent += 1;
        window.lost += u32::from(is_lost);
        window.bytes += u64::from(bytes);
    }

    /// After each feedback, with the estimate as it stands and the time of the newest packet told of: the bound,
    /// if there is one.
    pub fn judge(&mut self, newest_sent_us: i64, estimate_bps: f64) -> Option<f64> {
        let Some(window) = self.window else { return self.bound_bps };
        let span_us = newest_sent_us - window.since_us;
        if span_us < WINDOW_US || window.sent < PACKETS_MIN {
            return self.bound_bps;
        }
        self.window = None;
        self.share = f64::from(window.lost) / f64::from(window.sent);
        if self.share > TOO_MUCH {
            // From what was really sent: an estimate far above it was never put to the test.
            let sent_bps = window.bytes as f64 * 8e6 / span_us as f64;
            let from = self.bound_bps.unwrap_or(f64::MAX).min(estimate_bps).min(sent_bps);
            self.bound_bps = Some(from * (1.0 - 0.5 * self.share));
        } else if self.share < NONE {
            // Once it no longer binds it is forgotten.
            self.bound_bps =
                self.bound_bps.map(|bound| bound * GROWTH).filter(|bound| *bound < 2.0 * estimate_bps);
        }
        self.bound_bps
    }

    /// A probe passed at this rate: losses set no lower bound.
    pub fn lift(&mut self, bps: f64) {
        self.bound_bps = self.bound_bps.map(|bound| bound.max(bps));
    }

    /// True if the last window lost too much.
    pub fn is_lossy(&self) -> bool {
        self.share > TOO_MUCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of 100 packets of 1250 bytes, of which that many are lost.
    fn second(bound: &mut LossBound, second: i64, lost: i64, estimate: f64) -> Option<f64> {
        for at in 0..=100 {
            bound.on_packet(second * 1_100_000 + at * 10_000, 1250, at < lost);
        }
        bound.judge(second * 1_100_000 + 1_000_000, estimate)
    }

    #[test]
    fn rtp_22_losses_bound_the_estimate_from_what_was_sent() {
        let mut bound = LossBound::default();
        assert_eq!(second(&mut bound, 0, 5, 4e6), None, "a line that loses by its nature");
        let first = second(&mut bound, 1, 50, 4e6).unwrap();
        assert!((700e3..800e3).contains(&first), "{first}");
        assert_eq!(second(&mut bound, 2, 5, first), Some(first));
        let grown = second(&mut bound, 3, 0, first).unwrap();
        assert!(grown > first);
        assert_eq!(second(&mut bound, 4, 0, 0.4 * grown), None, "it no longer binds");
    }

    #[test]
    fn a_few_packets_tell_nothing() {
        let mut bound = LossBound::default();
        for at in 0..10 {
            bound.on_packet(at * 200_000, 1250, true);
            assert_eq!(bound.judge(at * 200_000, 1e6), None);
        }
    }
}
