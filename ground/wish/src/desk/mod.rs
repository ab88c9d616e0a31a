//! The desk: all of signalling's state, and what each request and each event does to it.

mod post;
mod session;
mod table;

use crate::auth::Door;
use crate::reply::{SDP, SDPFRAG};
use crate::request::is_stream_name;
use crate::{AdminRequest, DeskConfig, Effect, Ending, Method, Problem, Random, Reply, Request, Resource};
use std::time::Instant;
use table::{Part, Phase, Table};
use wtn_media::{Format, MediaKind, SessionId, StreamId};

/// Every stream and session that signalling knows, and the rules by which they come and go.
///
/// One owner, no I/O: a request costs some tens of microseconds, most of them in the SDP.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
    table: Table,
    draining: bool,
}

impl Desk {
    /// A desk with nothing on it. The candidates are put IPv4 first, and otherwise kept in order.
    pub fn new(mut config: DeskConfig) -> Self {
        config.candidates.sort_by_key(|address| address.ip().to_canonical().is_ipv6());
        Self { config, table: Table::default(), draining: false }
    }

    /// Answers one request. The effects are to be done before the reply goes out.
    ///
    /// `random` is drawn from only for a POST that gets as far as an answer.
    pub fn handle(&mut self, now: Instant, request: Request<'_>, random: &mut dyn Random) -> Reply {
        self.table.expire(now);
        let outcome = match &request.resource {
            Resource::WhipEndpoint(name) => self.endpoint(now, Door::Publish, name, &request, random),
            Resource::WhepEndpoint(name) => self.endpoint(now, Door::Play, name, &request, random),
            Resource::Session(id) => self.session(id, &request),
        };
        outcome.unwrap_or_else(Problem::into_reply)
    }

    /// The engine says: ICE and DTLS are done. A publisher that connects takes its stream over: the effects
    /// end the one before it, or itself if a newer one was faster. A session that the desk has given up is
    /// ended too.
    pub fn on_connected(&mut self, now: Instant, session: SessionId) -> Vec<Effect> {
        // First the event, then the clock: it may have waited at the door past its deadline.
        let effects = self.connected(session);
        self.table.expire(now);
        effects
    }

    fn connected(&mut self, id: SessionId) -> Vec<Effect> {
        let Some(session) = self.table.session(id) else { return vec![Effect::End(id, Ending::Deleted)] };
        let Part::Publisher { epoch, .. } = session.part else {
            if session.phase != Phase::Connected {
                self.table.connect(id);
            }
            return Vec::new();
        };
        let stream = session.stream;
        let live = self.table.stream_mut(stream).and_then(|stream| stream.live).filter(|live| *live != id);
        let live_epoch = live.and_then(|live| match self.table.session(live)?.part {
            Part::Publisher { epoch, .. } => Some(epoch),
            Part::Viewer => None,
        });
        if live_epoch.is_some_and(|live_epoch| live_epoch > epoch) {
            self.table.remove(id);
            return vec![Effect::End(id, Ending::Replaced)];
        }
        self.table.connect(id);
        live.into_iter()
            .map(|older| {
                self.table.remove(older);
                Effect::End(older, Ending::Replaced)
            })
            .collect()
    }

    /// The engine says: the session is gone, for whatever reason. Unknown ones are no news.
    pub fn on_ended(&mut self, now: Instant, session: SessionId) {
        self.table.remove(session);
        self.table.expire(now);
    }

    /// The engine says: this is what a publisher's track carries now. New viewers are measured against it, unless
    /// the publisher has been replaced meanwhile.
    pub fn on_media(&mut self, publisher: SessionId, kind: MediaKind, format: Format) {
        let Some(stream) = self.table.session(publisher).map(|session| session.stream) else { return };
        if let Some(stream) = self.table.stream_mut(stream).filter(|stream| stream.live == Some(publisher)) {
            stream.current[kind.index()] = Some(format);
        }
    }

    /// No new sessions from now on: POST gets 503. What runs, runs.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether that request may administer the server.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn may_administer(&self, request: &AdminRequest<'_>) -> Result<(), Problem> {
        self.config.may_administer(request)
    }

    /// Every stream, by name.
    pub fn streams(&self) -> impl Iterator<Item = StreamView<'_>> {
        self.table.streams().map(|(name, stream)| StreamView {
            id: stream.id,
            name,
            live: stream.live.is_some(),
            codecs: stream.codecs(),
            viewers: stream.viewers,
        })
    }

    /// Sessions on the desk, connected or half open.
    pub fn session_count(&self) -> usize {
        self.table.session_count()
    }

    fn endpoint(
        &mut self,
        now: Instant,
        door: Door,
        name: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        const ALLOW: &str = "OPTIONS, GET, HEAD, POST";
        match request.method {
            Method::Post => self.post(now, door, name, request, random),
            Method::Options => Ok(Reply::new(200).with("Allow", ALLOW).with("Accept-Post", SDP)),
            Method::Get | Method::Head => endpoint_page(door, name),
            Method::Patch | Method::Delete | Method::Other => Err(Problem::method_not_allowed(ALLOW)),
        }
    }

    fn session(&mut self, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        const ALLOW: &str = "OPTIONS, GET, HEAD, PATCH, DELETE";
        match request.method {
            Method::Patch => self.patch(id, request),
            Method::Delete => self.delete(id, request),
            // A preflight carries no credentials, and says nothing about what is there.
            Method::Options => Ok(Reply::new(200).with("Allow", ALLOW).with("Accept-Patch", SDPFRAG)),
            Method::Get | Method::Head => {
                self.table.by_secret(id).map(|_| Reply::new(204)).ok_or_else(Problem::not_found)
            }
            Method::Post | Method::Other => Err(Problem::method_not_allowed(ALLOW)),
        }
    }
}

/// GET and HEAD on an endpoint: an empty success (RFC 9725 §4.1). WHEP's says by its type that this is a WHEP
/// URL, whether or not anybody publishes (draft-ietf-wish-whep, "WHEP URL Discoverability").
fn endpoint_page(door: Door, name: &str) -> Result<Reply, Problem> {
    if !is_stream_name(name) {
        return Err(Problem::bad_name());
    }
    Ok(match door {
        Door::Publish => Reply::new(204),
        Door::Play => Reply::new(200).with_body(SDP, ""),
    }
    .with("Accept-Post", SDP))
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
