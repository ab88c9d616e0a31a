//! Server-sent events of a viewer's session: their streams are made by POST, read by GET, ended by DELETE.
//!
//! A browser's EventSource sends no key, so the URL of an event stream is the right to read it, 128 random bits below the
//! session's own. All else needs what the session needs.

use super::Desk;
use super::table::{Part, Session};
use crate::events::{Bulletin, EventTypes, FeedId};
use crate::reply::JSON;
use crate::request::is_media_type;
use crate::token::Secret;
use crate::{Family, Method, Problem, Random, Reply, Request};
use wtn_media::{Layer, SessionId, StreamId};

/// The extensions of the draft's companion (RFC 9725 §4.9): where they are, is announced by these.
const EVENTS_URN: &str = "urn:ietf:params:whep:ext:core:server-sent-events";
const LAYER_URN: &str = "urn:ietf:params:whep:ext:core:layer";

/// Unknown names that a refusal repeats, and characters of each: whoever reads it wrote them.
const REPEATED: usize = 3;
const REPEATED_LEN: usize = 32;

/// What listeners are to be told since the last time that this was asked.
#[derive(Debug, Default)]
pub struct News {
    /// How things stand now, where that has changed.
    pub bulletins: Vec<(StreamId, Bulletin)>,
    /// Event streams that have ended.
    pub ended: Vec<FeedId>,
}

impl Desk {
    /// What listeners are to be told. To be asked after everything that may change something here: that costs
    /// nothing while there is no news.
    pub fn take_news(&mut self) -> News {
        let now = std::mem::take(&mut self.table.changes.now);
        let ended = std::mem::take(&mut self.table.changes.ended);
        let bulletins = now.into_iter().filter_map(|stream| Some((stream, self.bulletin(stream)?))).collect();
        News { bulletins, ended }
    }

    /// How things stand with a stream, for one that begins to listen.
    pub fn bulletin(&self, stream: StreamId) -> Option<Bulletin> {
        self.table.bulletin(stream, self.draining)
    }

    /// The engine says: the layers of that stream's picture are these now.
    pub fn on_layers(&mut self, stream: StreamId, layers: &[Layer]) {
        self.table.set_layers(stream, layers);
    }

    /// What a viewer's 201 says of extensions. `Link`s of clients that know none are not read.
    pub(super) fn extension_links(&self, session: SessionId, request: &Request<'_>) -> Vec<String> {
        let Some(session) = self.table.session(session).filter(|session| is_viewer(session)) else {
            return Vec::new();
        };
        // Their clients know no extensions, and take fright easily.
        if request.family == Family::Talwtn {
            return Vec::new();
        }
        let url = self.location(session.secret, request);
        let types = EventTypes::of_session(session.picture.is_some());
        let events = format!("<{url}/events>; rel=\"{EVENTS_URN}\"; events=\"{types}\"");
        let layer = session.picture.map(|_| format!("<{url}/layer>; rel=\"{LAYER_URN}\""));
        [Some(events), layer].into_iter().flatten().collect()
    }

    /// The viewer's session of that URL, if the request may touch it.
    pub(super) fn authorized_viewer(&self, id: &str, request: &Request<'_>) -> Result<SessionId, Problem> {
        match self.table.by_secret(id) {
            Some((_, session)) if is_viewer(session) => self.authorized(id, request),
            _ => Err(Problem::not_found()),
        }
    }

    pub(super) fn at_events(
        &mut self,
        id: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        const ALLOW: &str = "OPTIONS, POST";
        // A preflight carries no credentials, and says nothing about what is there.
        if request.method == Method::Options {
            return Ok(Reply::new(200).with("Allow", ALLOW).with("Accept-Post", JSON));
        }
        let session = self.authorized_viewer(id, request)?;
        if request.method != Method::Post {
            return Err(Problem::method_not_allowed(ALLOW));
        }
        let has_picture = self.table.session(session).is_some_and(|session| session.picture.is_some());
        let types = wanted(EventTypes::of_session(has_picture), request)?;
        let secret = Secret::new(random);
        self.table.add_feed(session, secret, types).ok_or_else(Problem::too_many_event_streams)?;
        let (_, entry) = self.table.by_secret(id).ok_or_else(Problem::not_found)?;
        let url = self.location(entry.secret, request);
        Ok(Reply::new(201).with("Location", format!("{url}/events/{}", secret.text())))
    }

    pub(super) fn at_event_stream(
        &mut self,
        id: &str,
        feed: &str,
        request: &Request<'_>,
    ) -> Result<Reply, Problem> {
        const ALLOW: &str = "OPTIONS, GET, HEAD, DELETE";
        if request.method == Method::Options {
            return Ok(Reply::new(200).with("Allow", ALLOW));
        }
        let (session, feed) = self.table.feed(id, feed).ok_or_else(Problem::not_found)?;
        let is_read = matches!(request.method, Method::Get | Method::Head);
        // Who does show a key has to show the right one.
        if !is_read || request.authorization.is_some() {
            self.authorized_viewer(id, request)?;
        }
        match request.method {
            Method::Get | Method::Head => {
                let reply = Reply::new(200)
                    .with("Content-Type", "text/event-stream")
                    // A proxy that collects what it hands on would hold events back.
                    .with("X-Accel-Buffering", "no");
                let feed = (request.method == Method::Get).then_some(feed);
                Ok(Reply { feed, ..reply })
            }
            Method::Delete => {
                self.table.end_feed(session, feed.id);
                Ok(Reply::new(200))
            }
            _ => Err(Problem::method_not_allowed(ALLOW)),
        }
    }
}

const fn is_viewer(session: &Session) -> bool {
    matches!(session.part, Part::Viewer)
}

/// The types that are asked for: all, or those that a JSON array lists.
fn wanted(offered: EventTypes, request: &Request<'_>) -> Result<EventTypes, Problem> {
    if request.body.is_empty() {
        return Ok(offered);
    }
    let names: Vec<String> = read_json(request, Problem::bad_event_list)?;
    let unknown: Vec<_> = names.iter().filter(|name| offered.named(name).is_none()).collect();
    if unknown.is_empty() {
        return Ok(names.iter().filter_map(|name| offered.named(name)).collect());
    }
    let short = |name: &&String| name.chars().take(REPEATED_LEN).collect::<String>();
    let repeated: Vec<_> = unknown.iter().take(REPEATED).map(|name| format!("{:?}", short(name))).collect();
    Err(Problem::unknown_event(&repeated.join(", "), offered))
}

/// The body of a request to an extension.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    request: &Request<'_>,
    broken: impl FnOnce(String) -> Problem,
) -> Result<T, Problem> {
    if !is_media_type(request.content_type, JSON) {
        return Err(Problem::json_wanted());
    }
    if request.body.len() > Request::BODY_LEN_MAX {
        return Err(Problem::body_too_large());
    }
    serde_json::from_slice(request.body).map_err(|error| broken(format!("The body cannot be read: {error}.")))
}

impl Problem {
    fn json_wanted() -> Self {
        Self::new(
            415,
            "wrong_media_type",
            "Wrong media type",
            "The body is not declared as JSON.",
            "Send the header \"Content-Type: application/json\".",
        )
        .with("Accept-Post", JSON)
    }

    fn bad_event_list(detail: String) -> Self {
        let fix = "Send a JSON array of event types, such as [\"active\", \"inactive\"], or nothing for all.";
        Self::new(400, "bad_event_list", "Not a list of events", detail, fix)
    }

    fn unknown_event(names: &str, offered: EventTypes) -> Self {
        let detail = format!("This session has no events of that type: {names}.");
        let fix = format!("Ask for some of these: {offered}.");
        Self::new(400, "unknown_event", "Unknown event type", detail, fix)
    }

    fn too_many_event_streams() -> Self {
        Self::new(
            429,
            "too_many_event_streams",
            "Too many event streams",
            "The session has as many event streams as one may have.",
            "Go on reading one that is there; end by DELETE those that are not needed.",
        )
        .retry_after(10)
    }
}
