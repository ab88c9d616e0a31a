//! How fast a publisher's media clock runs, by when its packets arrive.
//!
//! Packets are delayed, and never early: of each stretch of time the one that was least late tells the clock. A clock
//! that is wrong moves these on and on in one direction; queues that fill and empty again do not.

use arrayvec::ArrayVec;
use std::time::{Duration, Instant};
use wtn_media::{EncodingId, Packet, RtpTime};

/// One stretch.
const STRETCH: Duration = Duration::from_secs(10);

/// Stretches that a judgement takes: a queue that grows for a minute is longer than any router has.
const STRETCHES: usize = 7;

/// In parts per million: above the first all in all, and above the second in each stretch, a clock is wrong. A crystal
/// is off by less than 100; 29.97 frames a second that are called 30 are off by 1000.
const DRIFT_MIN: i64 = 500;
const DRIFT_OF_STRETCH_MIN: i64 = 250;

/// A lateness that changes by more from one packet to the next is a jump, not a drift. In microseconds.
const JUMP: i64 = 1_000_000;

/// Another encoding is measured once this one was silent for so long.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// The clock of one track.
#[derive(Debug, Default)]
pub(super) struct Drift {
    base: Option<Base>,
    /// The least lateness of the stretch under way, in microseconds, and when that ends.
    least: Option<(i64, Instant)>,
    /// Of those before.
    past: ArrayVec<i64, STRETCHES>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    source: (EncodingId, u8),
    arrived: Instant,
    time: RtpTime,
    heard: Instant,
    lateness: i64,
}

impl Drift {
    pub fn on_packet(&mut self, packet: &Packet) {
        let (now, source) = (packet.arrived, (packet.encoding, packet.epoch as u8));
        let Some(base) = &mut self.base else { return self.begin(packet) };
        if base.source != source {
            if now >= base.heard + SILENT_AFTER {
                self.begin(packet);
            }
            return;
        }
        let ticks = i128::from(packet.time.0) - i128::from(base.time.0);
        let meant = ticks * 1_000_000 / i128::from(packet.format.codec.clock_rate());
        let passed = now.saturating_duration_since(base.arrived).as_micros() as i128;
        let lateness = (passed - meant) as i64;
        if (lateness - base.lateness).abs() > JUMP {
            return self.begin(packet);
        }
        (base.heard, base.lateness) = (now, lateness);
        let (least, ends) = *self.least.get_or_insert((lateness, now + STRETCH));
        if now < ends {
            self.least = Some((least.min(lateness), ends));
            return;
        }
        if self.past.is_full() {
            self.past.remove(0);
        }
        self.past.push(least);
        self.least = Some((lateness, now + STRETCH));
    }

    fn begin(&mut self, packet: &Packet) {
        let (source, arrived) = ((packet.encoding, packet.epoch as u8), packet.arrived);
        let base = Base { source, arrived, time: packet.time, heard: arrived, lateness: 0 };
        *self = Self { base: Some(base), ..Self::default() };
    }

    /// How much too fast the clock runs, if it does; less than 0: too slow.
    pub fn parts_per_million(&self) -> Option<i64> {
        if !self.past.is_full() {
            return None;
        }
        let seconds = STRETCH.as_secs() as i64;
        let mut steps = self.past.windows(2).map(|pair| (pair[0] - pair[1]) / seconds);
        let whole = (self.past[0] - self.past[STRETCHES - 1]) / (seconds * (STRETCHES as i64 - 1));
        let is_steady = steps.all(|step| step * whole.signum() >= DRIFT_OF_STRETCH_MIN);
        (is_steady && whole.abs() >= DRIFT_MIN).then_some(whole)
    }
}
