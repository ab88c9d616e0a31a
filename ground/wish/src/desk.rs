//! The desk: all of signalling's state.

use crate::{DeskConfig, Effect, Problem, Random, Reply, Request};
use std::time::Instant;
use wtn_media::{Format, MediaKind, SessionId, StreamId};

/// Every stream and session that signalling knows, and the rules by which they come and go.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn new(config: DeskConfig) -> Self {
        Self { config }
    }

    /// Answers one request. `random` is drawn from only for a POST that succeeds.
    pub fn handle(&mut self, now: Instant, request: Request<'_>, random: &mut dyn Random) -> Reply {
        let _ = (now, request, random, &self.config);
        Problem::body_too_large().into_reply()
    }

    /// The engine says: ICE and DTLS are done. A publisher that connects takes its stream over: the effects
    /// end the one before it.
    pub fn on_connected(&mut self, now: Instant, session: SessionId) -> Vec<Effect> {
        let _ = (now, session);
        Vec::new()
    }

    /// The engine says: the session is gone, for whatever reason. Unknown ones are no news.
    pub fn on_ended(&mut self, now: Instant, session: SessionId) {
        let _ = (now, session);
    }

    /// The engine says: this is what the track carries now. New viewers are measured against it.
    pub fn on_media(&mut self, stream: StreamId, kind: MediaKind, format: Format) {
        let _ = (stream, kind, format);
    }

    /// Every stream, by name.
    pub fn streams(&self) -> impl Iterator<Item = StreamView<'_>> {
        std::iter::empty()
    }

    /// Sessions on the desk, connected or half open.
    pub fn session_count(&self) -> usize {
        0
    }
}

/// One stream, for status pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView<'a> {
    /// Its id, as in the engine.
    pub id: StreamId,
    /// Its name, as in the URL.
    pub name: &'a str,
    /// Whether a publisher is connected.
    pub live: bool,
    /// What its tracks carry, or carried last: video first.
    pub codecs: Vec<Format>,
    /// Viewers that are connected.
    pub viewers: usize,
}
