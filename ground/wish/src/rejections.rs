//! What was refused lately, and why: encoders hide the server's answer from the people who run them, so that
//! the operator must see it here.

use serde::Serialize;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Kept at most: some screens full. Less than 1 KiB each.
const KEPT: usize = 200;
/// Of these, from one client: whoever is refused in many ways must not hide everybody else.
const KEPT_PER_CLIENT: usize = 20;
/// Longer texts of clients are cut; a stream's name has at most 64 characters, real user agents some 120.
const NAME_LEN_MAX: usize = 64;
const AGENT_LEN_MAX: usize = 200;

/// One attempt that was refused, or several that were alike. Never holds a secret: neither headers but the
/// user agent, nor queries, nor bodies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// When it was refused last, in seconds since 1970-01-01 UTC.
    pub at: u64,
    /// When it was refused first.
    pub first_at: u64,
    /// How often.
    pub count: u64,
    /// What was wanted: `publish`, `watch`, `session` or `admin`.
    pub door: &'static str,
    /// The name of the stream; empty where none is named.
    pub stream: String,
    /// The HTTP status.
    pub status: u16,
    /// The problem's code.
    pub code: String,
    /// What was wrong.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

/// The last attempts that were refused, the latest last.
#[derive(Debug, Default)]
pub struct Rejections(VecDeque<Rejection>);

impl Rejections {
    /// Notes one. If it is like one that is there (same client, door, stream and code), that one is counted up
    /// and becomes the latest.
    pub fn note(&mut self, mut new: Rejection) {
        new.stream = plain(&new.stream, NAME_LEN_MAX);
        new.user_agent = new.user_agent.map(|agent| plain(&agent, AGENT_LEN_MAX));
        let alike = self.0.iter().position(|old| {
            (old.client, old.door, &old.stream, &old.code) == (new.client, new.door, &new.stream, &new.code)
        });
        if let Some(old) = alike.and_then(|place| self.0.remove(place)) {
            new.count = new.count.saturating_add(old.count);
            new.first_at = old.first_at;
        }
        let is_of_client = |old: &Rejection| old.client == new.client;
        if self.0.iter().filter(|old| is_of_client(old)).count() >= KEPT_PER_CLIENT {
            if let Some(oldest) = self.0.iter().position(is_of_client) {
                self.0.remove(oldest);
            }
        } else if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(new);
    }

    /// All of them, the latest first.
    pub fn latest(&self) -> impl Iterator<Item = &Rejection> {
        self.0.iter().rev()
    }
}

/// What a client wrote, cut, and without what a terminal or a page might obey.
fn plain(text: &str, len_max: usize) -> String {
    text.chars().take(len_max).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(at: u64, client: u32, stream: &str) -> Rejection {
        Rejection {
            at,
            first_at: at,
            count: 1,
            door: "publish",
            stream: stream.to_owned(),
            status: 401,
            code: "bad_token".to_owned(),
            reason: "wrong".to_owned(),
            fix: "right".to_owned(),
            client: Some(IpAddr::V4(client.into())),
            user_agent: Some("OBS".to_owned()),
        }
    }

    fn seen(rejections: &Rejections) -> Vec<(u64, u64, u64, &str)> {
        rejections.latest().map(|each| (each.first_at, each.at, each.count, &*each.stream)).collect()
    }

    #[test]
    fn what_is_alike_is_counted_and_becomes_the_latest() {
        let mut rejections = Rejections::default();
        for (at, stream) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            rejections.note(rejection(at, 1, stream));
        }
        assert_eq!(seen(&rejections), [(1, 4, 3, "a"), (2, 2, 1, "b")]);
    }

    #[test]
    fn two_hundred_are_kept_and_twenty_of_one_client() {
        let mut rejections = Rejections::default();
        for n in 0..1_000 {
            rejections.note(rejection(n, 7, &format!("s{n}")));
        }
        assert_eq!(rejections.latest().count(), KEPT_PER_CLIENT);
        assert_eq!(rejections.latest().next().unwrap().at, 999);
        for n in 0..1_000 {
            rejections.note(rejection(n, 100 + n as u32, "s"));
        }
        assert_eq!(rejections.latest().count(), KEPT);
        assert_eq!(rejections.latest().last().unwrap().at, 800);
    }

    #[test]
    fn what_clients_write_is_cut_and_made_harmless() {
        let mut rejections = Rejections::default();
        let mut long = rejection(1, 1, &"x".repeat(10_000));
        long.user_agent = Some(format!("\u{1b}[31m\r\n{}", "y".repeat(10_000)));
        rejections.note(long);
        let kept = rejections.latest().next().unwrap();
        assert_eq!(kept.stream.len(), 64);
        let agent = kept.user_agent.as_ref().unwrap();
        assert!(agent.chars().count() == 200 && !agent.contains(['\u{1b}', '\r', '\n']));
    }
}
