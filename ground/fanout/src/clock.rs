//! What a publisher's sender report says about time: the bridge between its media clock and its wall clock.

use std::time::{Duration, Instant};
use wtn_media::{EncodingId, MediaKind, RtpTime};

/// A sender report's pair of clocks (RFC 3550 §6.4.1), pinned to when it reached us.
///
/// Audio and video of one publisher share its wall clock, so handing the pair on to viewers keeps their lips
/// in sync whatever media time they are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderClock {
    /// Which publisher session.
    pub epoch: u32,
    /// Track.
    pub kind: MediaKind,
    /// Encoding.
    pub encoding: EncodingId,
    /// The publisher's wall clock, 32.32 fixed point NTP seconds.
    pub ntp: u64,
    /// Its media clock at that moment, extended.
    pub time: RtpTime,
    /// When the report arrived here.
    pub arrived: Instant,
}

impl SenderClock {
    /// The pair as it stands at `now`, for a media clock of `rate` Hz.
    pub fn at(&self, now: Instant, rate: u32) -> (u64, RtpTime) {
        let elapsed = now.saturating_duration_since(self.arrived);
        let ntp = self.ntp.wrapping_add(ntp_units(elapsed));
        (ntp, RtpTime(self.time.0.wrapping_add(media_units(elapsed, rate))))
    }
}

/// A duration in 32.32 fixed point seconds, the unit of NTP timestamps.
pub fn ntp_units(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// A duration in ticks of a media clock of `rate` Hz.
pub fn media_units(duration: Duration, rate: u32) -> u64 {
    (duration.as_nanos() * u128::from(rate) / 1_000_000_000) as u64
}

/// The duration of a number of 1/65536 seconds, the unit of delays in reception reports.
pub fn from_short_ntp(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_runs_on_between_reports() {
        let arrived = Instant::now();
        let clock = SenderClock {
            epoch: 1,
            kind: MediaKind::Video,
            encoding: EncodingId(0),
            ntp: 7 << 32,
            time: RtpTime(1000),
            arrived,
        };
        let (ntp, time) = clock.at(arrived + Duration::from_millis(500), 90_000);
        assert_eq!(ntp, (7 << 32) + (1 << 31));
        assert_eq!(time, RtpTime(46_000));
    }

    #[test]
    fn short_ntp_is_a_65536th_of_a_second() {
        assert_eq!(from_short_ntp(32_768), Duration::from_millis(500));
    }
}
