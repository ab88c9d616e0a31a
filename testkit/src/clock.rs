//! Time that stands still until the simulation moves it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Where every clock of this process starts, so that two runs of one simulation see the same instants.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// `n` milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A clock that goes forward only when told.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Instant,
}

impl Clock {
    /// A clock at the start of time.
    pub fn new() -> Self {
        Self { now: *START }
    }

    /// What it shows.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        since_start(self.now)
    }

    /// Moves to `at`. A moment in the past leaves it where it is.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Time from the start of every simulation to `at`: a number that can be printed and compared.
pub fn since_start(at: Instant) -> Duration {
    at.saturating_duration_since(*START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_starts_alike_for_all() {
        let mut clock = Clock::new();
        let start = clock.now();
        clock.advance_to(start + ms(20));
        clock.advance_to(start + ms(10));
        assert_eq!((clock.elapsed(), clock.now()), (ms(20), start + ms(20)));
        assert_eq!(Clock::new().now(), start);
    }
}
