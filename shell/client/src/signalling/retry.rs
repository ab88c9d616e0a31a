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
    /// How long to wait after this refusal.
    pub fn after_refusal(&mut self, asked: Option<Duration>) -> Duration {
        let own = match self.last {
            Some(last) => (last * 2).min(LONGEST),
            None => asked.unwrap_or(FIRST),
        };
        let delay = asked.map_or(own, |asked| own.max(asked));
        self.last = Some(delay.max(Duration::from_millis(100)));
        delay
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

    fn delays(asked: &[Option<u64>]) -> Vec<u64> {
        let mut backoff = Backoff::default();
        asked.iter().map(|asked| backoff.after_refusal(asked.map(Duration::from_secs)).as_secs()).collect()
    }

    #[test]
    fn play_03_back_off_doubles_from_what_the_server_asked() {
        assert_eq!(delays(&[Some(2); 5]), [2, 4, 8, 8, 8]);
        assert_eq!(delays(&[None; 5]), [1, 2, 4, 8, 8]);
    }

    #[test]
    fn cli_15_no_wait_is_shorter_than_the_server_asked_for() {
        assert_eq!(delays(&[Some(1), Some(20), Some(1), Some(30)]), [1, 20, 8, 30]);
        assert_eq!(delays(&[Some(0), Some(0)]), [0, 0]);
    }
}
