//! How much gets through.

use std::collections::VecDeque;

/// Rates are taken over this much of the receiver's time: several frames, and less than a change of mind.
const WINDOW_US: i64 = 500_000;

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
            && first_us <= at_us - WINDOW_US
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
