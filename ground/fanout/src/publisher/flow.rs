//! Whether a publisher sends: its picture, or its sound where it has no picture.
//!
//! A session may live on, checks answered and all, while its encoder has stopped.

use std::time::{Duration, Instant};
use wtn_media::MediaKind;

/// So long nothing, and it does not send any more.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// The same at most, for those who send little: a browser repeats a picture that stands still once a second.
const SILENT_AFTER_MAX: Duration = Duration::from_secs(3);

/// Longest pause that tells how often it sends; one that was longer was silence.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a pause is remembered, at least.
const REMEMBERED: Duration = Duration::from_secs(10);

/// When a publisher was heard.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// By kind.
    heard: [Option<Instant>; 2],
    /// The longest pauses of this stretch of time and of the one before.
    pauses: [Duration; 2],
    stretch_ends: Option<Instant>,
    told: bool,
}

impl Flow {
    /// A packet of that kind came.
    pub fn on_packet(&mut self, now: Instant, kind: MediaKind) {
        let before = self.heard[kind.index()].replace(now);
        if kind != self.decisive() {
            return;
        }
        if self.stretch_ends.is_none_or(|end| now >= end) {
            self.stretch_ends = Some(now + REMEMBERED);
            self.pauses = [Duration::ZERO, self.pauses[0]];
        }
        let pause = before.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        if pause <= PAUSE_MAX {
            self.pauses[0] = self.pauses[0].max(pause);
        }
    }

    /// Whether it sends, if that is news.
    pub fn poll(&mut self, now: Instant) -> Option<bool> {
        let flows = self.silent_at().is_some_and(|at| now < at);
        (std::mem::replace(&mut self.told, flows) != flows).then_some(flows)
    }

    /// When [`Self::poll`] has news if nothing comes.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.silent_at().filter(|_| self.told)
    }

    /// The kind of track that decides.
    fn decisive(&self) -> MediaKind {
        let has_picture = self.heard[MediaKind::Video.index()].is_some();
        if has_picture { MediaKind::Video } else { MediaKind::Audio }
    }

    fn silent_at(&self) -> Option<Instant> {
        let [now, before] = self.pauses;
        let patience = (2 * now.max(before)).clamp(SILENT_AFTER, SILENT_AFTER_MAX);
        self.heard[self.decisive().index()].map(|at| at + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was told, at which millisecond, for video at these, looked at every 50 ms.
    fn told(at: impl Fn(u64) -> bool, until: u64) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let mut flow = Flow::default();
        let mut told = Vec::new();
        for ms in (0..until).step_by(50) {
            let now = start + Duration::from_millis(ms);
            flow.on_packet(now, MediaKind::Audio);
            if at(ms) {
                flow.on_packet(now, MediaKind::Video);
            }
            told.extend(flow.poll(now).map(|flows| (ms, flows)));
        }
        told
    }

    #[test]
    fn a_picture_that_stops_is_missed_within_a_second_whatever_the_sound_does() {
        let frozen = |ms| !(2000..7000).contains(&ms);
        assert_eq!(told(frozen, 9000), [(0, true), (2950, false), (7000, true)]);
    }

    #[test]
    fn who_sends_a_frame_a_second_is_not_taken_for_silent_for_long() {
        // Looked at before the packet of that moment, as a timer would.
        let start = Instant::now();
        let mut flow = Flow::default();
        let mut told = Vec::new();
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            told.extend(flow.poll(now).map(|flows| (second, flows)));
            flow.on_packet(now, MediaKind::Video);
            told.extend(flow.poll(now).map(|flows| (second, flows)));
        }
        assert_eq!(told, [(0, true), (1, false), (1, true)], "after the first pause it is known for slow");
    }

    #[test]
    fn sound_decides_where_there_is_no_picture() {
        let start = Instant::now();
        let mut flow = Flow::default();
        flow.on_packet(start, MediaKind::Audio);
        assert_eq!(flow.poll(start), Some(true));
        assert_eq!(flow.next_timeout(), Some(start + SILENT_AFTER));
        assert_eq!(flow.poll(start + SILENT_AFTER), Some(false));
        assert_eq!(flow.next_timeout(), None, "it is known");
    }
}
