//! The desk: all of signalling's state, and what each request and each event does to it.

mod access;
mod aliases;
mod counter;
mod departed;
mod endpoints;
mod events;
mod feeds;
mod inputs;
mod layers;
mod local;
mod post;
mod redirect;
mod room;
mod session;
mod table;
mod view;

pub use feeds::News;
pub use view::{InputView, StreamView};

use crate::auth::Door;
use crate::ice_servers;
use crate::reply::{SDP, SDPFRAG};
use crate::{
    DeskConfig, Effect, Family, KeySet, Method, Overload, Problem, Random, Reply, Request, Resource,
};
use counter::Pendings;
use departed::Departed;
use endpoints::Endpoints;
use std::time::Instant;
use table::Table;

/// Every stream and session that signalling knows, and the rules by which they come and go.
///
/// One owner, no I/O: a request costs some tens of microseconds, most of them in the SDP.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
    endpoints: Endpoints,
    table: Table,
    departed: Departed,
    pendings: Pendings,
    key_set: Option<KeySet>,
    /// When, by the wall clock, the next key or token may expire that keeps a session running.
    next_expiry: u64,
    draining: bool,
    /// What of the machine is used up.
    overload: Option<Overload>,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn new(config: DeskConfig) -> Self {
        let table = Table::new(config.limits);
        Self {
            config: in_order(config),
            endpoints: Endpoints::default(),
            table,
            departed: Departed::default(),
            pendings: Pendings::default(),
            key_set: None,
            next_expiry: u64::MAX,
            draining: false,
            overload: None,
        }
    }

    /// Works by another configuration from now on. Running sessions go on, but for those that it forbids.
    pub fn set_config(&mut self, config: DeskConfig) -> Vec<Effect> {
        let before = self.graces();
        self.config = in_order(config);
        self.table.limits = self.config.limits;
        self.endpoints.inherit(&self.config.policy);
        self.look_through();
        self.regrace(&before)
    }

    /// Answers one request. The effects are to be done before the reply goes out.
    ///
    /// `random` is drawn from only for a POST that gets as far as an answer.
    pub fn handle(&mut self, now: Instant, request: Request<'_>, random: &mut dyn Random) -> Reply {
        self.expire(now);
        let named = self.named_by_bearer(&request);
        let request = match &named {
            Some(named) => named.request(request),
            None => request,
        };
        let outcome = match &request.resource {
            Resource::WhipEndpoint(name) => self.at_endpoint(now, Door::Publish, name, &request, random),
            Resource::WhepEndpoint(name) => self.at_endpoint(now, Door::Play, name, &request, random),
            Resource::Session(id) => self.at_session(now, id, &request, random),
            Resource::Events(id) => self.at_events(id, &request, random),
            Resource::EventStream { session, stream } => self.at_event_stream(session, stream, &request),
            Resource::Layer(id) => self.at_layer(id, &request),
        };
        outcome.map_err(|problem| request.family.words(problem)).unwrap_or_else(Problem::into_reply)
    }

    /// Lets time pass: called every second, it frees what did not connect, and ends what has expired by the wall
    /// clock (`unix_now`, in seconds since 1970-01-01 UTC).
    pub fn tick(&mut self, now: Instant, unix_now: u64) -> Vec<Effect> {
        self.expire(now);
        self.table.changes.ripen();
        let mut effects = self.end_expired(unix_now);
        effects.extend(self.settle_inputs(now));
        effects
    }

    /// No new sessions from now on: POST gets 503. What runs, runs, and who listens is told to go elsewhere.
    pub fn drain(&mut self) {
        self.draining = true;
        self.table.note_change_everywhere();
    }

    /// What of the machine is used up, as of now; `None`: nothing. Until told otherwise, POST gets 503 where it would
    /// add to the load. What runs, runs, and a publisher may still come back to its stream.
    pub fn set_overload(&mut self, overload: Option<Overload>) {
        self.overload = overload;
    }

    fn expire(&mut self, now: Instant) {
        self.table.expire(now);
        self.departed.expire(now);
        self.pendings.expire(now);
    }

    fn at_endpoint(
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
            Method::Options => {
                let reply = Reply::new(200).with("Allow", ALLOW).with("Accept-Post", SDP);
                self.with_ice_servers(reply, door, name, request, random)
            }
            Method::Get | Method::Head => endpoint_page(door, name, request.family),
            Method::Patch | Method::Delete | Method::Other => Err(Problem::method_not_allowed(ALLOW)),
        }
    }

    /// Adds the ICE servers to a reply of OPTIONS, for who may have a session: their credentials are worth money. A
    /// preflight never has a key, and gets none (RFC 9725 §4.6).
    fn with_ice_servers(
        &self,
        reply: Reply,
        door: Door,
        name: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        let servers = self.ice_servers(name);
        if servers.is_empty() || request.is_preflight {
            return Ok(reply);
        }
        self.lock(name).open(door, name, request).map_err(|problem| self.elsewhere(problem, request))?;
        let links = ice_servers::links(servers, request.unix_now, random);
        Ok(links.into_iter().fold(reply, |reply, link| reply.with("Link", link)))
    }

    fn at_session(
        &mut self,
        now: Instant,
        id: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Reply, Problem> {
        let allow = self.session_methods();
        match request.method {
            Method::Patch => self.patch(now, id, request, random),
            Method::Delete => self.delete(now, id, request),
            // A preflight carries no credentials, and says nothing about what is there.
            Method::Get | Method::Head if self.pendings.get(id).is_some() => Ok(Reply::new(204)),
            Method::Options if !self.takes_patch() => Ok(Reply::new(200).with("Allow", allow)),
            Method::Options => Ok(Reply::new(200).with("Allow", allow).with("Accept-Patch", SDPFRAG)),
            Method::Get | Method::Head => {
                self.table.by_secret(id).map(|_| Reply::new(204)).ok_or_else(Problem::not_found)
            }
            Method::Post if self.is_mutable(id) => self.mute(id, request),
            Method::Post | Method::Other => Err(Problem::method_not_allowed(allow)),
        }
    }
}

/// GET and HEAD on an endpoint: an empty success (RFC 9725 §4.1). WHEP's says by its type that this is a WHEP
/// URL, whether or not anybody publishes (draft-ietf-wish-whep, "WHEP URL Discoverability").
fn endpoint_page(door: Door, name: &str, family: Family) -> Result<Reply, Problem> {
    if !family.has_endpoint(name) {
        return Err(Problem::bad_name());
    }
    Ok(match door {
        Door::Publish => Reply::new(204),
        Door::Play => Reply::new(200).with_body(SDP, ""),
    }
    .with("Accept-Post", SDP))
}

/// The candidates are put IPv4 first, and otherwise kept in order.
fn in_order(mut config: DeskConfig) -> DeskConfig {
    config.candidates.sort_by_key(|address| address.ip().to_canonical().is_ipv6());
    config
}
