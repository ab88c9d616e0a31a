//! How far sound and picture are apart when they arrive, by the clock of the sender reports (RFC 3550 §6.4.1).

use std::time::{Duration, Instant, SystemTime};
use wtn_media::MediaKind;

/// Joins the latest sender report of each track with the latest packet of it.
#[derive(Debug, Default)]
pub(crate) struct LipSync {
    tracks: [Track; 2],
    epoch: Option<(Instant, SystemTime)>,
}

#[derive(Debug, Default)]
struct Track {
    report: Option<(SystemTime, u32)>,
    /// Arrival less capture in seconds, on an epoch that both tracks share.
    delay: Option<f64>,
}

impl LipSync {
    /// A sender report says that `rtp_time` is `captured` on the sender's clock.
    pub fn on_report(&mut self, at: Instant, kind: MediaKind, captured: SystemTime, rtp_time: u32) {
        self.epoch.get_or_insert((at, captured));
        self.tracks[kind.index()].report = Some((captured, rtp_time));
    }

    /// A packet with that time stamp came.
    pub fn on_packet(&mut self, at: Instant, kind: MediaKind, rtp_time: u32, clock_rate: u32) {
        let track = &mut self.tracks[kind.index()];
        if let (Some((captured, reported)), Some((local, remote))) = (track.report, self.epoch) {
            let since_report =
                f64::from(rtp_time.wrapping_sub(reported).cast_signed()) / f64::from(clock_rate);
            let captured = seconds_since(captured, remote) + since_report;
            track.delay = Some(seconds(at, local) - captured);
        }
    }

    /// Milliseconds by which sound comes later than its picture; `None` until both tracks had a report.
    pub fn sound_late_ms(&self) -> Option<f64> {
        let [sound, picture] = &self.tracks;
        Some((sound.delay? - picture.delay?) * 1e3)
    }
}

fn seconds(at: Instant, epoch: Instant) -> f64 {
    at.checked_duration_since(epoch).map_or_else(|| -(epoch - at).as_secs_f64(), |after| after.as_secs_f64())
}

fn seconds_since(at: SystemTime, epoch: SystemTime) -> f64 {
    at.duration_since(epoch)
        .map_or_else(|before| -before.duration().as_secs_f64(), |after: Duration| after.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_sound_is_told_across_different_clocks_and_wrapped_stamps() {
        let local = Instant::now();
        let remote = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let ms = Duration::from_millis;
        let mut sync = LipSync::default();
        assert_eq!(sync.sound_late_ms(), None);
        sync.on_report(local, MediaKind::Video, remote, u32::MAX - 4_499);
        sync.on_report(local + ms(5), MediaKind::Audio, remote - ms(20), 1_000);
        // The picture of 100 ms later arrives after 130 ms, the sound of 100 ms later after 160 ms.
        sync.on_packet(local + ms(130), MediaKind::Video, 4_500, 90_000);
        assert_eq!(sync.sound_late_ms(), None);
        sync.on_packet(local + ms(160), MediaKind::Audio, 1_000 + 120 * 48, 48_000);
        let late = sync.sound_late_ms().expect("both tracks are known");
        assert!((late - 30.0).abs() < 1e-3, "{late}");
    }
}
