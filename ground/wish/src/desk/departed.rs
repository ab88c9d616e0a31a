//! Sessions that ended by themselves a moment ago.
//!
//! Most clients close their connection first and DELETE then, so that the goodbye of DTLS overtakes the request;
//! and some take anything but 200 for a failure (vue-wish, TALWTN's SDK). They get their 200, once.

use super::Desk;
use crate::token::Secret;
use crate::{Effect, Ending, Reply};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wtn_media::SessionId;

/// A DELETE comes at once or not at all; a slow network has this long.
const REMEMBERED: Duration = Duration::from_secs(10);
/// A crowd that leaves together. Whoever finds no room any more gets 404, which most clients do not mind.
const DEPARTED_MAX: usize = 1_024;

/// The latest of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct Departed(VecDeque<One>);

#[derive(Debug)]
struct One {
    at: Instant,
    secret: Secret,
    /// The stream whose viewers go with it when it is destroyed.
    takes_along: Option<String>,
}

impl Departed {
    /// Forgets those of whom no DELETE will come any more.
    pub fn expire(&mut self, now: Instant) {
        while self.0.front().is_some_and(|one| now > one.at + REMEMBERED) {
            self.0.pop_front();
        }
    }
}

impl Desk {
    /// Notes a session that is about to be forgotten without a DELETE.
    pub(super) fn note_departure(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.table.session(id) else { return };
        let takes_along =
            session.is_talwtn_publisher().then(|| self.table.name_of(session.stream).map(str::to_owned));
        let one = One { at: now, secret: session.secret, takes_along: takes_along.flatten() };
        let departed = &mut self.departed.0;
        if departed.len() >= DEPARTED_MAX {
            departed.pop_front();
        }
        departed.push_back(one);
    }

    /// DELETE of a session that is not there: 200 if it left just now.
    pub(super) fn delete_departed(&mut self, now: Instant, id: &str) -> Option<Reply> {
        self.departed.expire(now);
        let departed = &mut self.departed.0;
        let secret = Secret::from_text(id)?;
        let place = departed.iter().position(|one| one.secret == secret)?;
        let one = departed.remove(place)?;
        let viewers = one.takes_along.map(|name| self.viewers_left_behind(&name)).unwrap_or_default();
        Some(viewers.into_iter().fold(Reply::new(200), |reply, viewer| {
            self.table.remove(viewer);
            reply.with_effect(Effect::End(viewer, Ending::StreamDestroyed))
        }))
    }

    /// The viewers of a stream that nobody publishes any more.
    fn viewers_left_behind(&self, name: &str) -> Vec<SessionId> {
        match self.table.stream(name) {
            Some(stream) if stream.live.is_none() => self.viewers_of(name),
            _ => Vec::new(),
        }
    }
}
