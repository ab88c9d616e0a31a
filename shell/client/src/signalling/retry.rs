//! When to try again: `Retry-After` and exponential back-off.

use std::time::{Duration, SystemTime};

/// Where a server names no time.
const FIRST: Duration = Duration::from_secs(1);
/// Doubling stops here, so that a viewer who waits for a publisher is not kept waiting by its own patience.
const LONGEST: Duration = Duration::from_secs(8);
/// No server is believed that wants longer.
const BELIEVED_MAX: Duration = Duration::from_secs(3600);

/// Reads seconds or a date (RFC 9110 §10.2.3). A date that has passed is now.
pub(super) fn read_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let after = if is_number {
        // More digits than fit are more than is believed.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(after.min(BELIEVED_MAX))
}

/// Doubles with every refusal, starting from what the server asked for, and never goes below that.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// How long to wait after this refusal, with `left` until patience ends. The last wait is cut short to
    /// use what is left, but never below what the server asked for; `None` if that is too long.
    pub fn after_refusal(&mut self, asked: Option<Duration>, left: Duration) -> Option<Duration> {
        let least = asked.unwrap_or(FIRST);
        let own = self.last.map_or(least, |last| (last * 2).min(LONGEST));
        let delay = own.max(asked.unwrap_or_default());
        self.last = Some(delay.max(Duration::from_millis(100)));
        (least <= left).then(|| delay.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_15_retry_after_is_read_as_seconds_and_as_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("0", Some(0)),
            ("2", Some(2)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("99999999999999999999999", Some(3600)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("2.5", None),
        ] {
            assert_eq!(read_retry_after(value, now).map(|after| after.as_secs()), expected, "{value:?}");
        }
    }

    fn delays(asked: &[Option<u64>], left: Duration) -> Vec<Option<u64>> {
        let mut backoff = Backoff::default();
        let delay = |asked: &Option<u64>| backoff.after_refusal(asked.map(Duration::from_secs), left);
        asked.iter().map(delay).map(|delay| delay.map(|delay| delay.as_secs())).collect()
    }

    #[test]
    fn play_03_back_off_doubles_from_what_the_server_asked() {
        let patient = Duration::MAX;
        assert_eq!(delays(&[Some(2); 5], patient), [2, 4, 8, 8, 8].map(Some));
        assert_eq!(delays(&[None; 5], patient), [1, 2, 4, 8, 8].map(Some));
    }

    #[test]
    fn cli_15_no_wait_is_shorter_than_the_server_asked_for() {
        let patient = Duration::MAX;
        assert_eq!(delays(&[Some(1), Some(20), Some(1), Some(30)], patient), [1, 20, 8, 30].map(Some));
        assert_eq!(delays(&[Some(0), Some(0)], patient), [0, 0].map(Some));
    }

    #[test]
    fn the_last_wait_uses_what_is_left_of_our_patience() {
        let left = Duration::from_secs(3);
        assert_eq!(delays(&[Some(2), Some(2), Some(4)], left), [Some(2), Some(3), None]);
        assert_eq!(delays(&[None; 4], left), [1, 2, 3, 3].map(Some));
        assert_eq!(delays(&[None], Duration::ZERO), [None]);
    }
}
