//! What a session was like: for people as a table, for scripts as one JSON object.

mod play;
mod publish;
mod table;

pub use play::{PlayReport, PlayTimes, TrackReport};
pub use publish::{PublishReport, PublishTimes, SentReport};

pub(crate) use play::{judge, track_reports};

use std::time::{Duration, Instant};

/// Rises when a field of a report goes or changes its meaning; new fields alone do not count.
pub const SCHEMA: u32 = 1;

/// Milliseconds with two digits behind the point: more than the clocks of two tasks can tell.
fn ms(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1e3)
}

/// From `start` to `end`, if that has come.
pub(crate) fn ms_between(start: Instant, end: Option<Instant>) -> Option<f64> {
    end.map(|end| ms(end.saturating_duration_since(start)))
}

/// To two digits behind the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The URL without what may be secret in it: user, password and query.
pub(crate) fn printable(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // Refused only for URLs that have no host, which have no user either.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            url.into()
        }
        Err(_) => url.split('?').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_report_shows_a_token() {
        for (url, shown) in [
            ("http://h:8080/whep/a?token=s3cret", "http://h:8080/whep/a"),
            ("https://me:s3cret@h/whip/a#x", "https://h/whip/a"),
            ("nonsense?token=s3cret", "nonsense"),
        ] {
            assert_eq!(printable(url), shown);
        }
    }
}
