//! Who cannot keep up goes without a picture until the next keyframe, and asks for one ever more rarely: a keyframe
//! costs every other viewer quality, and who is slow for good would ask for one after the other.

use std::time::{Duration, Instant};

/// How long the second time within [`CALM`] waits before a keyframe is asked for; each further one twice as long. The
/// first one asks at once: it may have been a hiccup.
const PATIENCE_MIN: Duration = Duration::from_secs(1);

/// Longest wait. Publishers that send keyframes by themselves do so every 2 to 8 s.
const PATIENCE_MAX: Duration = Duration::from_secs(16);

/// Who kept up for so long is taken to be well again.
const CALM: Duration = Duration::from_secs(30);

/// How somebody who could not keep up stands.
#[derive(Clone, Copy, Debug)]
pub struct Shedding {
    is_over: bool,
    /// When it began, or when it was over.
    since: Instant,
    patience: Duration,
}

impl Shedding {
    /// It begins, after what was `before`.
    pub fn begin(now: Instant, before: Option<Self>) -> Self {
        let patience = match before {
            Some(before) if now < before.since + CALM => {
                (before.patience * 2).clamp(PATIENCE_MIN, PATIENCE_MAX)
            }
            _ => Duration::ZERO,
        };
        Self { is_over: false, since: now, patience }
    }

    /// A keyframe came, and the picture goes on.
    pub fn end(&mut self, now: Instant) {
        (self.is_over, self.since) = (true, now);
    }

    /// True until the keyframe comes.
    pub fn is_under_way(&self) -> bool {
        !self.is_over
    }

    /// True while no keyframe is to be asked for.
    pub fn is_patient(&self, now: Instant) -> bool {
        self.is_under_way() && now < self.since + self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_asks_at_once_and_each_further_one_later() {
        let mut now = Instant::now();
        let mut shedding = None;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let mut begun = Shedding::begin(now, shedding);
            let wait = (0..).find(|s| !begun.is_patient(now + Duration::from_secs(*s))).unwrap();
            waits.push(wait);
            now += Duration::from_secs(wait);
            begun.end(now);
            assert!(!begun.is_under_way() && !begun.is_patient(now));
            shedding = Some(begun);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 16]);
        let calm = Shedding::begin(now + CALM, shedding);
        assert!(calm.is_under_way() && !calm.is_patient(now + CALM), "and anew after a calm time");
    }
}
