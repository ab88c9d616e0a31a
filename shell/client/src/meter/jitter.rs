//! Interarrival jitter as RFC 3550 §6.4.1 and §A.8 define it.

use std::time::{Duration, Instant};

/// One estimate, in the order of arrival and for the packets as first sent.
#[derive(Debug)]
pub(super) struct Jitter {
    clock_rate: u32,
    last: Option<(Instant, u64)>,
    /// Seconds.
    value: f64,
}

impl Jitter {
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, last: None, value: 0.0 }
    }

    pub fn on_packet(&mut self, at: Instant, time: u64) {
        if let Some((last_at, last_time)) = self.last.replace((at, time)) {
            let passed = at.saturating_duration_since(last_at).as_secs_f64();
            let stamped = (time as f64 - last_time as f64) / f64::from(self.clock_rate);
            self.value += ((passed - stamped).abs() - self.value) / 16.0;
        }
    }

    pub fn value(&self) -> Duration {
        Duration::from_secs_f64(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets 20 ms apart on the sender's clock, each this many milliseconds late.
    fn jitter_of(late_ms: impl IntoIterator<Item = u64>) -> Duration {
        let start = Instant::now();
        let mut jitter = Jitter::new(48_000);
        for (number, late) in (0..).zip(late_ms) {
            jitter.on_packet(start + Duration::from_millis(number * 20 + late), number * 960);
        }
        jitter.value()
    }

    #[test]
    fn an_even_flow_has_none_however_late_it_is() {
        assert!(jitter_of([70; 500]) < Duration::from_nanos(1_000));
    }

    #[test]
    fn the_first_step_counts_a_sixteenth() {
        assert_eq!(jitter_of([0, 16]).as_micros(), 1_000);
    }

    #[test]
    fn a_steady_swing_settles_at_its_size() {
        let value = jitter_of((0..500).map(|number| number % 2 * 8));
        assert!((7_900..=8_000).contains(&value.as_micros()), "{value:?}");
    }
}
