//! Refused attempts, told to the person who reads the log and kept for whoever asks the API.

use crate::signalling::Front;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use wtn_wish::{Method, Rejection, Reply, Request, Resource};

/// Refusals logged one by one in a second; the rest are counted.
const REFUSALS_PER_SECOND: u32 = 10;

/// Counts refusals, so that a flood of them does not become a flood of lines.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    second: Option<Instant>,
    count: u32,
}

impl RefusalLog {
    /// Whether this one is to be said.
    fn admit(&mut self, now: Instant) -> bool {
        self.say_folded(now);
        self.second.get_or_insert(now);
        self.count += 1;
        self.count <= REFUSALS_PER_SECOND
    }

    pub fn say_folded(&mut self, now: Instant) {
        if self.second.is_some_and(|second| now >= second + Duration::from_secs(1)) {
            if self.count > REFUSALS_PER_SECOND {
                tracing::warn!(
                    count = self.count - REFUSALS_PER_SECOND,
                    "more requests refused in one second"
                );
            }
            *self = Self::default();
        }
    }
}

impl Front {
    /// A refused attempt with what is wrong and what to do: OBS shows its user neither.
    pub fn note_refusal(&mut self, now: Instant, request: &Request<'_>, reply: &Reply) {
        let (door, stream) = match &request.resource {
            Resource::WhipEndpoint(stream) => ("publish", &**stream),
            Resource::WhepEndpoint(stream) => ("watch", &**stream),
            _ => ("session", ""),
        };
        let status = reply.status;
        // Players ask again and again until somebody publishes, sessions are asked for after their end, and
        // crawlers for anything; wrong keys are news everywhere.
        let is_routine = !matches!(status, 401 | 403)
            && (request.method != Method::Post || door == "session" || status == 409 && door == "watch");
        let who = Attempt {
            door,
            stream,
            client: request.client,
            user_agent: request.user_agent,
            unix_now: request.unix_now,
        };
        self.note_attempt(now, &who, reply, is_routine);
    }

    pub fn note_attempt(&mut self, now: Instant, who: &Attempt<'_>, reply: &Reply, is_routine: bool) {
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |key: &str| problem[key].as_str().unwrap_or_default();
        let Attempt { door, stream, client, user_agent, unix_now } = *who;
        let (status, code, reason, fix) = (reply.status, text("code"), text("detail"), text("fix"));
        if is_routine {
            tracing::debug!(stream, status, code, detail = reason, "{door} request refused");
            return;
        }
        if self.refusals.admit(now) {
            tracing::warn!(stream, status, code, detail = reason, fix, "{door} request refused");
        }
        self.rejections.note(Rejection {
            at: unix_now,
            first_at: unix_now,
            count: 1,
            door,
            stream: stream.to_owned(),
            status,
            code: code.to_owned(),
            reason: reason.to_owned(),
            fix: fix.to_owned(),
            client,
            user_agent: user_agent.map(str::to_owned),
        });
    }
}

/// Who was refused what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub door: &'static str,
    pub stream: &'a str,
    pub client: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub unix_now: u64,
}
