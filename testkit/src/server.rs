//! A whole wtn server in one thread: real signalling, real shards, behind one address of the simulated network.

use crate::chance;
use crate::network::{Delivery, EndpointId};
use crate::world::Endpoint;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use wtn_engine::{
    Command, Control, Counter, Egress, EndReason, EngineConfig, Event, Restart, Run, Shard, ShardId, Ticket,
    Wake,
};
use wtn_fanout::LineReport;
use wtn_media::{Layer, LayerSelection, LintCode, SessionId};
use wtn_session::Identity;
use wtn_wish::{
    Desk, DeskConfig, Effect, Ending, Endpoint as Named, InputView, Method, PolicyOverrides, Reply, Request,
    Resource,
};

const SDP: &str = "application/sdp";

/// Rounds of mail between shards within one instant after which they are taken to chatter for ever.
const ROUNDS_MAX: usize = 1000;

/// Datagrams that a server remembers, for those who want to alter them and send them again.
const HEARD_MAX: usize = 4096;

/// N shards and a desk.
pub struct Server {
    id: EndpointId,
    address: SocketAddr,
    desk: Desk,
    control: Control,
    shards: Vec<Shard>,
    bells: Vec<Arc<Bell>>,
    outbox: Outbox,
    events: Vec<Event>,
    heard: VecDeque<(SocketAddr, Vec<u8>)>,
    last_session: Option<SessionId>,
}

/// Whether a shard was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the shards have sent and the network has not taken yet.
#[derive(Default)]
struct Outbox {
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// An egress into nowhere that counts what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Datagrams.
    pub datagrams: usize,
    /// Runs of them, each one message to the kernel.
    pub runs: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Egress for Outbox {
    fn send(&mut self, arena: &[u8], runs: &[Run]) {
        for run in runs {
            let datagrams = arena[run.start..run.start + run.len].chunks(run.segment);
            self.datagrams.extend(datagrams.map(|datagram| (run.to, datagram.to_vec())));
        }
    }
}

impl Egress for Discarded {
    fn send(&mut self, arena: &[u8], runs: &[Run]) {
        self.runs += runs.len();
        self.datagrams += runs.iter().map(|run| run.len.div_ceil(run.segment)).sum::<usize>();
        self.bytes += arena.len();
    }
}

impl Server {
    /// A server of that many shards at `address`, attached as `id`. Its chance follows from the thread's seed.
    ///
    /// # Panics
    /// If the cryptographic library refuses its certificate.
    pub fn new(now: Instant, id: EndpointId, address: SocketAddr, shards: u16) -> Self {
        let seed = chance::draw_u64();
        let identity = Identity::scripted(chance::certificate(3), chance::dtls_crypto(), seed)
            .expect("a certificate that was made for it");
        let bells: Vec<Arc<Bell>> = (0..shards).map(|_| Arc::default()).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        let config = EngineConfig { shards, seed, now };
        let desk = Desk::new(DeskConfig::new(vec![address], address.port(), identity.fingerprint()));
        let (shards, control) = wtn_engine::build(&config, &Arc::new(identity), wakers);
        Self {
            id,
            address,
            desk,
            control,
            shards,
            bells,
            outbox: Outbox::default(),
            events: Vec::new(),
            heard: VecDeque::new(),
            last_session: None,
        }
    }

    /// Where media goes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishers who come from now on to `stream` are told to send no more than that.
    pub fn hold_to(&mut self, stream: &str, kbps: u32) {
        let policy = PolicyOverrides { max_bitrate_kbps: Some(kbps), ..PolicyOverrides::default() };
        let (publish_keys, play_keys) = (Vec::new(), Vec::new());
        let name = stream.to_owned();
        self.desk.put_endpoint(Named { name, publish_keys, play_keys, ice_servers: None, policy });
    }

    /// The connected publishers of a stream, the oldest first.
    pub fn inputs(&self, name: &str) -> Vec<InputView> {
        self.desk.streams().find(|stream| stream.name == name).map(|stream| stream.inputs).unwrap_or_default()
    }

    /// POSTs an offer to `/whip/{stream}`; a query may stand behind it.
    pub fn publish(&mut self, now: Instant, stream: &str, offer: &str) -> Reply {
        let (name, query) =
            stream.split_once('?').map_or((stream, None), |(name, query)| (name, Some(query)));
        let request = Request { query, ..Request::new(Method::Post, Resource::WhipEndpoint(name.into())) };
        self.answer(now, request, SDP, offer)
    }

    /// POSTs an offer to `/whep/{stream}`.
    pub fn watch(&mut self, now: Instant, stream: &str, offer: &str) -> Reply {
        self.request(now, Method::Post, Resource::WhepEndpoint(stream.into()), SDP, offer)
    }

    /// DELETEs the session that a 201 told the `Location` of.
    pub fn delete(&mut self, now: Instant, location: &str) -> Reply {
        self.request(now, Method::Delete, session(location), "", "")
    }

    /// GETs it: 204 while it is there.
    pub fn get(&mut self, now: Instant, location: &str) -> Reply {
        self.request(now, Method::Get, session(location), "", "")
    }

    /// PATCHes it, with `If-Match: *`.
    pub fn patch(&mut self, now: Instant, location: &str, content_type: &str, body: &str) -> Reply {
        self.request(now, Method::Patch, session(location), content_type, body)
    }

    /// Mutes a session's sound, its picture, both or none.
    pub fn mute(&mut self, now: Instant, session: SessionId, audio: bool, video: bool) {
        self.command(Command::Mute { session, audio, video });
        self.settle(now);
    }

    /// Changes something on the desk: an endpoint, the configuration.
    pub fn arrange(&mut self, now: Instant, change: impl FnOnce(&mut Desk) -> Vec<Effect>) {
        let effects = change(&mut self.desk);
        self.act(effects);
        self.settle(now);
    }

    /// One pass of the first shard over all that arrived at once, as its thread would make it. What it sends is
    /// counted, and lost.
    pub fn pass_discarding(&mut self, now: Instant, arrived: &mut [Delivery]) -> Discarded {
        let mut discarded = Discarded::default();
        self.pass_into(now, arrived, &mut discarded);
        discarded
    }

    /// The same; what it sends goes to `egress`.
    pub fn pass_into(&mut self, now: Instant, arrived: &mut [Delivery], egress: &mut dyn Egress) {
        let shard = &mut self.shards[0];
        shard.handle_inbox(now);
        for delivery in arrived {
            shard.handle_datagram(now, delivery.source, &mut delivery.bytes);
        }
        shard.handle_timeout(now);
        shard.flush(egress);
    }

    /// Stops the server as SIGTERM does.
    pub fn drain(&mut self, now: Instant) {
        self.desk.drain();
        self.command(Command::Drain);
        self.settle(now);
    }

    /// What happened, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Why sessions ended, in order.
    pub fn endings(&self) -> Vec<(SessionId, EndReason)> {
        let ended = |event: &Event| match event {
            Event::Ended(session, reason) => Some((*session, *reason)),
            _ => None,
        };
        self.events.iter().filter_map(ended).collect()
    }

    /// What was found wrong with what publishers send, and since not withdrawn.
    pub fn lint(&self) -> Vec<(SessionId, LintCode)> {
        let mut found = Vec::new();
        for event in &self.events {
            let Event::Lint { session, news } = event else { continue };
            found.retain(|known| *known != (*session, news.code));
            found.extend(news.value.map(|_| (*session, news.code)));
        }
        found
    }

    /// The shards that sessions were claimed by, in the order of their first checks.
    pub fn claims(&self) -> Vec<ShardId> {
        let claimed = |event: &Event| match event {
            Event::Claimed(_, shard) => Some(*shard),
            _ => None,
        };
        self.events.iter().filter_map(claimed).collect()
    }

    /// The last datagrams that arrived, as they were on the wire, with where they came from.
    pub fn heard(&self) -> impl ExactSizeIterator<Item = &(SocketAddr, Vec<u8>)> {
        self.heard.iter()
    }

    /// A viewer asks for that of the picture.
    pub fn select(&mut self, now: Instant, session: SessionId, selection: Option<LayerSelection>) {
        self.command(Command::Layers { session, selection });
        self.settle(now);
    }

    /// The layers that were told of last.
    pub fn layers(&self) -> Option<Arc<[Layer]>> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Layers { layers, .. } => Some(layers.clone()),
            _ => None,
        })
    }

    /// A counter, summed over the shards.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.control.counters().iter().map(|counters| counters.value(counter)).sum()
    }

    /// How the line of a viewer looks from here, if the viewer tells of it.
    pub fn line(&self, session: SessionId) -> Option<LineReport> {
        self.shards.iter().find_map(|shard| shard.line(session))
    }

    /// The session of the latest answer.
    pub fn last_session(&self) -> Option<SessionId> {
        self.last_session
    }

    /// Sessions that the shards own.
    pub fn sessions(&self) -> usize {
        self.shards.iter().map(Shard::sessions).sum()
    }

    /// Sessions that signalling knows.
    pub fn sessions_on_desk(&self) -> usize {
        self.desk.session_count()
    }

    fn request(
        &mut self,
        now: Instant,
        method: Method,
        resource: Resource<'_>,
        content_type: &str,
        body: &str,
    ) -> Reply {
        self.answer(now, Request::new(method, resource), content_type, body)
    }

    fn answer(&mut self, now: Instant, request: Request<'_>, content_type: &str, body: &str) -> Reply {
        let request = Request {
            content_type: (!content_type.is_empty()).then_some(content_type),
            if_match: Some("*"),
            body: body.as_bytes(),
            ..request
        };
        let reply = self.desk.handle(now, request, &mut |bytes: &mut [u8]| chance::fill(bytes));
        self.act(reply.effects.clone());
        self.settle(now);
        reply
    }

    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Admit(admission) = &effect {
                self.last_session = Some(admission.session);
            }
            self.command(match effect {
                // Nobody queues here: requests come one at a time.
                Effect::Room(_) => continue,
                Effect::Admit(admission) => Command::Announce(Arc::new(Ticket::new(*admission))),
                Effect::Restart { session, local, remote } => {
                    Command::Restart(Arc::new(Restart { session, local, remote }))
                }
                Effect::End(session, ending) => Command::End(session, reason(ending)),
                Effect::Show { stream, session, epoch, at_once } => {
                    Command::Show { stream, session, epoch, at_once }
                }
                Effect::Grace(stream, grace) => Command::Grace(stream, grace),
                Effect::Mute { session, audio, video } => Command::Mute { session, audio, video },
                Effect::Layers { session, selection } => Command::Layers { session, selection },
            });
        }
    }

    fn command(&self, command: Command) {
        self.control.send(command).expect("the shards are here");
    }

    /// One pass of one shard, as its thread would make it.
    fn pass(&mut self, now: Instant, at: usize, datagram: Option<&mut Delivery>) {
        let shard = &mut self.shards[at];
        shard.handle_inbox(now);
        if let Some(delivery) = datagram {
            shard.handle_datagram(now, delivery.source, &mut delivery.bytes);
        }
        shard.handle_timeout(now);
        shard.flush(&mut self.outbox);
        while let Some(event) = self.shards[at].poll_event() {
            self.on_event(now, event);
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { session, .. } => {
                let effects = self.desk.on_connected(now, session);
                self.act(effects);
            }
            Event::Ended(session, _) => {
                let effects = self.desk.on_ended(now, session);
                self.act(effects);
            }
            Event::Flow { session, flows } => {
                let effects = self.desk.on_flow(now, session, flows);
                self.act(effects);
            }
            Event::Shown { session, epoch } => {
                let effects = self.desk.on_shown(now, session, epoch);
                self.act(effects);
            }
            Event::Media { session, kind, format, .. } => self.desk.on_media(session, kind, format),
            Event::Layers { stream, ref layers } => self.desk.on_layers(stream, layers),
            Event::Claimed(..) | Event::Lint { .. } | Event::Drained(_) => {}
        }
        self.events.push(event);
    }

    /// Lets every shard that was woken make its pass, until nobody wakes anybody.
    fn settle(&mut self, now: Instant) {
        for _ in 0..ROUNDS_MAX {
            let Some(at) = self.bells.iter().position(|bell| bell.0.swap(false, Ordering::Relaxed)) else {
                return;
            };
            self.pass(now, at, None);
        }
        panic!("the shards do not come to rest");
    }

    /// Which shard the kernel would give a client's datagrams to.
    fn shard_of(&self, from: SocketAddr) -> usize {
        let mut hash = crate::trace::Fnv::new();
        hash.write(from.to_string().as_bytes());
        (hash.0 % self.shards.len() as u64) as usize
    }
}

fn reason(ending: Ending) -> EndReason {
    match ending {
        Ending::Deleted => EndReason::Deleted,
        Ending::Replaced => EndReason::Replaced,
        Ending::StreamDestroyed => EndReason::StreamDestroyed,
        Ending::Revoked => EndReason::Revoked,
        Ending::Operator => EndReason::Operator,
        Ending::Expired => EndReason::Expired,
        Ending::EndpointRemoved => EndReason::EndpointRemoved,
    }
}

fn session(location: &str) -> Resource<'_> {
    Resource::Session(location.trim_start_matches("/session/").into())
}

impl Endpoint for Server {
    fn id(&self) -> EndpointId {
        self.id
    }

    fn handle_datagram(&mut self, now: Instant, mut delivery: Delivery) {
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((delivery.source, delivery.bytes.clone()));
        let at = self.shard_of(delivery.source);
        self.pass(now, at, Some(&mut delivery));
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for at in 0..self.shards.len() {
            if self.shards[at].next_timeout().is_some_and(|due| due <= now) {
                self.pass(now, at, None);
            }
        }
        let effects = self.desk.settle_inputs(now);
        self.act(effects);
        self.settle(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.shards.iter().filter_map(Shard::next_timeout).chain(self.desk.next_timeout()).min()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.outbox.datagrams.pop_front()
    }
}
