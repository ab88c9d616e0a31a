//! How much a publisher is told that it may send, by REMB (draft-alvestrand-rmcat-remb-03).

use std::time::{Duration, Instant};

/// How often it is told. Senders keep the last word, but give up one that is not repeated.
const INTERVAL: Duration = Duration::from_secs(1);

/// The least that is allowed where no limit says less: a sender must be able to begin.
const FLOOR_BPS: u64 = 2_000_000;

/// The most that is allowed: more than any encoder asks for.
const CEILING_BPS: u64 = 100_000_000;

/// What one publisher may send: the limit that it was admitted with, or else twice what came lately.
///
/// Twice, because REMB is for senders that estimate nothing themselves: with each second they may double, and what
/// does not fit shows in their receiver reports as loss, which they do heed. The line itself is not measured here:
/// whoever can do better than REMB gets transport-wide feedback.
#[derive(Debug)]
pub struct Allowance {
    limit_bps: Option<u64>,
    bytes: u64,
    since: Instant,
}

impl Allowance {
    /// Told first after one interval, when something has come.
    pub fn new(now: Instant, limit_bps: Option<u64>) -> Self {
        Self { limit_bps, bytes: 0, since: now }
    }

    /// That many bytes came.
    pub fn on_packet(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// When the next word is due, if anything comes at all.
    pub fn due(&self) -> Option<Instant> {
        (self.bytes > 0).then(|| self.since + INTERVAL)
    }

    /// The bits per second to tell now, if it is time.
    pub fn poll(&mut self, now: Instant) -> Option<u64> {
        self.due().filter(|due| *due <= now)?;
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let came = (self.bytes as f64 * 8.0 / seconds) as u64;
        (self.bytes, self.since) = (0, now);
        Some(self.limit_bps.unwrap_or((2 * came).clamp(FLOOR_BPS, CEILING_BPS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit_bps: Option<u64>, bytes: usize) -> Option<u64> {
        let start = Instant::now();
        let mut allowance = Allowance::new(start, limit_bps);
        allowance.on_packet(bytes);
        assert_eq!(allowance.poll(start + Duration::from_millis(999)), None);
        allowance.poll(start + INTERVAL)
    }

    #[test]
    fn rtp_21_remb_is_the_limit_or_twice_what_came() {
        assert_eq!(told(Some(700_000), 1_000_000), Some(700_000));
        assert_eq!(told(None, 500_000), Some(8_000_000));
        assert_eq!(told(None, 1_000), Some(FLOOR_BPS));
        assert_eq!(told(None, 1 << 30), Some(CEILING_BPS));
        assert_eq!(told(None, 0), None, "nobody is there to be told");
    }
}
