//! Turns a refusal into a reason and a remedy: the server's own words where it has some (RFC 9457), else what
//! the status says.

use crate::error::ClientError;
use serde::Deserialize;

/// Longest text of a server that is shown.
const TEXT_MAX: usize = 300;

/// The members of problem details that matter here; `fix` is wtn's own, `error` what MediaMTX sends instead.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    fix: Option<String>,
    error: Option<String>,
}

/// Reads the body of a refusal.
pub(super) fn read(status: u16, body: &str) -> ClientError {
    let problem: Problem = serde_json::from_str(body).unwrap_or_default();
    let why =
        [problem.detail, problem.title, problem.error].into_iter().flatten().find_map(|text| plain(&text));
    let why = why.or_else(|| (!looks_like_markup(body)).then(|| plain(body)).flatten());
    ClientError::Refused {
        status,
        why: why.unwrap_or_else(|| meaning(status).to_owned()),
        fix: problem.fix.and_then(|text| plain(&text)).or_else(|| remedy(status).map(str::to_owned)),
    }
}

/// The first line, without what could disturb a terminal. `None` if nothing is left.
fn plain(text: &str) -> Option<String> {
    let line = text.trim().lines().next()?;
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect();
    (!line.is_empty()).then_some(line)
}

fn looks_like_markup(body: &str) -> bool {
    body.trim_start().starts_with(['<', '{', '['])
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "it could not read the offer",
        401 => "it wants a key",
        403 => "the key does not give this right",
        404 => "it knows no such stream or endpoint",
        405 => "it takes no POST there",
        409 => "nobody is publishing, or somebody already is",
        415 => "it does not take application/sdp",
        422 => "it cannot serve this offer",
        429 => "too many requests",
        503 => "it is full or about to stop",
        300..=399 => "a redirect that would lose the offer",
        500..=599 => "it has a fault",
        _ => "it gave no reason",
    }
}

fn remedy(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "give the key with --key",
        403 => "take the key that belongs to this stream and direction",
        404 | 405 => "check the path: /whip/NAME to publish, /whep/NAME to play",
        409 => "start the publisher first to play, or stop it to publish; --wait keeps trying",
        422 => "try another codec",
        429 | 503 => "try again later; --wait keeps trying",
        300..=399 => "give the URL that it redirects to",
        500..=599 => "look into the server's log",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, why: &str, fix: Option<&str>) {
        let expected = ClientError::Refused { status, why: why.to_owned(), fix: fix.map(str::to_owned) };
        assert_eq!(read(status, body), expected, "{body}");
    }

    #[test]
    fn the_servers_own_words_come_first() {
        let body = r#"{"type":"about:blank","status":409,"code":"no_publisher","title":"Nobody is publishing",
            "detail":"demo has no live publisher","fix":"start one, then try again"}"#;
        check(409, body, "demo has no live publisher", Some("start one, then try again"));
        check(403, r#"{"title":"Wrong key"}"#, "Wrong key", remedy(403));
        check(404, r#"{"status":"error","error":"stream not found"}"#, "stream not found", remedy(404));
        check(400, "bad offer\nat line 3", "bad offer", None);
    }

    #[test]
    fn cli_03_without_words_the_class_of_the_status_speaks() {
        check(401, "", "it wants a key", remedy(401));
        check(418, "", "it gave no reason", None);
        check(599, "<html><h1>Oops</h1></html>", "it has a fault", remedy(500));
        check(503, r#"{"unknown":1}"#, "it is full or about to stop", remedy(503));
        check(302, "", "a redirect that would lose the offer", remedy(302));
    }

    #[test]
    fn a_terminal_is_not_disturbed() {
        check(400, "\u{1b}[2Jred\u{7}", "[2Jred", None);
        let ClientError::Refused { why, .. } = read(400, &"x".repeat(10_000)) else { panic!("refused") };
        assert_eq!(why.len(), TEXT_MAX);
    }
}
