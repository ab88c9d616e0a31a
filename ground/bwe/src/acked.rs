//! How much gets through.

use std::collections::VecDeque;

/// Rates are taken over this much of the receiver's time: several frames, and less than a change of mind.
const WINDOW_US: i64 = 500_000;

/// Arrivals remembered at once: those of half a second at 100 Mbit/s. Who reports that time stands still gets no
/// further.
const REMEMBERED_MAX: usize = 5000;

/// The bytes of the last half second, by when they arrived.
#[derive(Debug, Default)]
pub struct AckedRate {
    arrivals: VecDeque<(i64, u32)>,
    bytes: u64,
}

impl AckedRate {
    /// That many bytes arrived at that time of the receiver's.
    pub fn on_arrival(&mut self, at_us: i64, bytes: u32) {
        self.arrivals.push_back((at_us, bytes));
        self.bytes += u64::from(bytes);
        while let Some((first_us, bytes)) = self.arrivals.front().copied()
            && (first_us <= at_us - WINDOW_US || self.arrivals.len() > REMEMBERED_MAX)
        {
            self.arrivals.pop_front();
            self.bytes -= u64::from(bytes);
        }
    }

    /// Bits per second; `None` until a whole window was seen.
    pub fn bps(&self) -> Option<f64> {
        let (first, last) = (self.arrivals.front()?.0, self.arrivals.back()?.0);
        (last - first > WINDOW_US * 3 / 4).then(|| self.bytes as f64 * 8e6 / WINDOW_US as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_half_second() {
        let mut acked = AckedRate::default();
        assert_eq!(acked.bps(), None);
        for at in 0..200 {
            acked.on_arrival(at * 10_000, if at < 100 { 9000 } else { 1250 });
        }
        assert_eq!(acked.bps(), Some(1_000_000.0));
    }

    #[test]
    fn what_it_remembers_is_bounded_though_the_reported_clock_stands_still() {
        let mut acked = AckedRate::default();
        (0..20_000).for_each(|_| acked.on_arrival(7, 1));
        assert!(acked.arrivals.len() <= REMEMBERED_MAX);
    }
}
