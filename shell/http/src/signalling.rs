//! The desk behind its lock, and the engine that carries out what the desk decides.
//!
//! The desk has one owner and no task of its own: it sits behind a mutex that is held for the pure call and
//! for queueing what follows (tens of microseconds a POST), never across an await. An actor task would add a hop and
//! a queue to every request, and bound nothing that the number of connections does not bound already.

use crate::Limits;
use crate::events::SessionNote;
use crate::listeners::{EventBody, Listeners};
use crate::queues::Queues;
use crate::refusals::RefusalLog;
use crate::registry::Registry;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use wtn_engine::{Command, Control, EndReason, EngineStopped, Restart, Ticket};
use wtn_media::SessionId;
use wtn_wish::{
    Desk, DeskConfig, Effect, Ending, Endpoint, Key, Overload, Problem, Rejections, Reply, Request, Routes,
};

/// What is under the shards, as `/metrics` and `/readyz` tell it.
pub trait Network: Send + Sync {
    /// Counters of the media sockets, summed over all: a code for the metric's name, and the value.
    fn counters(&self) -> Vec<(&'static str, u64)>;
    /// Whether every shard still has its thread and its socket.
    fn is_alive(&self) -> bool;
}

/// How much of the machine is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// How much of its time the busiest media thread works, 0 to 1.
    pub cpu: f64,
    /// Media sent, in bit/s.
    pub egress_bps: f64,
    /// How much of the memory that the process may have it uses, 0 to 1; 0 where that is not known.
    pub memory: f64,
    /// What is used up.
    pub over: Option<Overload>,
}

/// So long those who listen to events may take to hear that the server stops.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// How one try of a request went.
enum Tried {
    /// It is answered.
    Done(Reply),
    /// It is answered, and the answer goes on.
    Events(Reply, EventBody),
    /// It is worth another try: what tells when, and how long at most. The refusal is not noted yet.
    Kept(Reply, (oneshot::Receiver<()>, Instant)),
}

/// The lock's inside. Whoever lets go of it may have changed what others listen to, and they are told then.
pub(crate) struct FrontGuard<'a>(MutexGuard<'a, Front>);

impl Deref for FrontGuard<'_> {
    type Target = Front;

    fn deref(&self) -> &Front {
        &self.0
    }
}

impl DerefMut for FrontGuard<'_> {
    fn deref_mut(&mut self) -> &mut Front {
        &mut self.0
    }
}

impl Drop for FrontGuard<'_> {
    fn drop(&mut self) {
        let front = &mut *self.0;
        front.listeners.tell(front.desk.take_news());
    }
}

/// Signalling at work: answers requests, hears the engine's events, drains.
pub struct Signalling {
    front: Mutex<Front>,
    pub(crate) engine: Control,
    pub(crate) network: Box<dyn Network>,
    pub(crate) limits: Limits,
    pub(crate) asking: crate::asking::Asking,
    pub(crate) requests: crate::metrics::Requests,
    pub(crate) reloads: crate::metrics::Reloads,
    pub(crate) registry: Registry,
    draining: AtomicBool,
    load: Mutex<Load>,
    pub(crate) drained_shards: watch::Sender<usize>,
}

/// What the lock guards.
pub(crate) struct Front {
    pub desk: Desk,
    random: StdRng,
    /// Who may list streams; empty: anybody.
    list_keys: Vec<Key>,
    /// What log lines say about a session; the engine reports the end of each.
    pub notes: HashMap<SessionId, SessionNote>,
    pub refusals: RefusalLog,
    /// Requests that are kept until there is room.
    pub queues: Queues,
    pub listeners: Listeners,
    pub rejections: Rejections,
}

impl fmt::Debug for Signalling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signalling").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Signalling {
    /// A desk by `config` in front of `engine`.
    pub fn new(config: DeskConfig, engine: Control, network: Box<dyn Network>, limits: Limits) -> Arc<Self> {
        let front = Front {
            list_keys: list_keys(&config),
            desk: Desk::new(config),
            random: StdRng::from_os_rng(),
            notes: HashMap::new(),
            refusals: RefusalLog::default(),
            queues: Queues::default(),
            listeners: Listeners::new(limits.connections / 2),
            rejections: Rejections::default(),
        };
        Arc::new(Self {
            front: Mutex::new(front),
            engine,
            network,
            limits,
            asking: Default::default(),
            requests: Default::default(),
            reloads: Default::default(),
            registry: Registry::default(),
            draining: AtomicBool::new(false),
            load: Mutex::default(),
            drained_shards: watch::Sender::new(0),
        })
    }

    /// Whose URLs are understood.
    pub(crate) fn routes(&self) -> Routes {
        self.front().desk.routes()
    }

    /// Answers one request and has its effects on the way to the shards before it returns. One that may soon be
    /// granted is kept until then.
    /// With the reply comes its body, where that goes on.
    pub(crate) async fn handle(&self, request: Request<'_>) -> (Reply, Option<EventBody>) {
        let came = Instant::now();
        loop {
            let (reply, called) = match self.try_handle(&request) {
                Tried::Done(reply) => return (reply, None),
                Tried::Events(reply, events) => return (reply, Some(events)),
                Tried::Kept(reply, wait) => (reply, wait),
            };
            let (called, until) = called;
            let until = until.min(came + self.limits.kept_within);
            if tokio::time::timeout_at(until.into(), called).await.is_err() {
                self.front().note_refusal(Instant::now(), &request, &reply);
                return (reply, None);
            }
        }
    }

    fn try_handle(&self, request: &Request<'_>) -> Tried {
        let now = Instant::now();
        let mut guard = self.front();
        let front = &mut *guard;
        let random = &mut front.random;
        let mut reply =
            front.desk.handle(now, request.clone(), &mut |bytes: &mut [u8]| random.fill_bytes(bytes));
        let effects = std::mem::take(&mut reply.effects);
        if self.carry_out(front, effects).is_err() {
            reply = stopped();
        }
        if let Some(wait) = reply.wait.filter(|wait| wait.until > now) {
            return Tried::Kept(reply, (front.queues.join(wait.queue), wait.until));
        }
        // With the desk still in hand: the session cannot end between the two.
        if let Some(feed) = reply.feed.take() {
            let bulletin = front.desk.bulletin(feed.stream);
            match bulletin.and_then(|bulletin| front.listeners.enter(feed, bulletin)) {
                Some(events) => return Tried::Events(reply, events),
                None => reply = too_many_listeners().into_reply(),
            }
        }
        // A counter-offer is no refusal.
        if reply.status >= 400 && reply.status != 406 {
            front.note_refusal(now, request, &reply);
            drop(guard);
            self.charge(request, &reply);
        }
        Tried::Done(reply)
    }

    /// A request that never got as far as the desk.
    pub(crate) fn refuse(&self, request: &Request<'_>, problem: Problem) -> Reply {
        let reply = problem.into_reply();
        self.front().note_refusal(Instant::now(), request, &reply);
        reply
    }

    /// Works by another configuration from now on.
    pub fn set_config(&self, config: DeskConfig) {
        let mut guard = self.front();
        let front = &mut *guard;
        front.list_keys = list_keys(&config);
        let effects = front.desk.set_config(config);
        // An engine that has stopped is what /readyz and the next POST tell.
        let _ = self.carry_out(front, effects);
    }

    /// Says how much of the machine is used; where something is used up, newcomers are turned away until told
    /// otherwise.
    pub fn set_load(&self, load: Load) {
        let before = std::mem::replace(&mut *self.load.lock().unwrap_or_else(PoisonError::into_inner), load);
        if before.over != load.over {
            self.front().desk.set_overload(load.over);
        }
    }

    /// What was said last.
    pub(crate) fn load(&self) -> Load {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the last reload of the configuration went, and when.
    pub fn note_reload(&self, went_well: bool, unix_now: u64) {
        self.reloads.note(went_well, unix_now);
    }

    /// Makes or changes an endpoint.
    pub fn put_endpoint(&self, endpoint: Endpoint) {
        let mut guard = self.front();
        let front = &mut *guard;
        let effects = front.desk.put_endpoint(endpoint);
        let _ = self.carry_out(front, effects);
    }

    /// Removes an endpoint and ends its sessions; false if there is none of that name.
    pub fn remove_endpoint(&self, name: &str) -> bool {
        let mut guard = self.front();
        let front = &mut *guard;
        let effects = front.desk.remove_endpoint(name);
        let is_known = effects.is_some();
        let _ = self.carry_out(front, effects.unwrap_or_default());
        is_known
    }

    /// Ends a session for the operator; false if there is none of that id.
    pub(crate) fn end_session(&self, session: SessionId) -> bool {
        let mut guard = self.front();
        let front = &mut *guard;
        let effects = front.desk.end_session(session);
        let is_known = effects.is_some();
        let _ = self.carry_out(front, effects.unwrap_or_default());
        is_known
    }

    /// Tells every shard. This waits only for a shard that is thousands of commands behind, and then nobody
    /// is helped by another session.
    pub(crate) fn carry_out(&self, front: &mut Front, effects: Vec<Effect>) -> Result<(), EngineStopped> {
        for effect in effects {
            match effect {
                Effect::Admit(admission) => {
                    // By POST, or by PATCH if the viewer answers an offer of ours.
                    let name = front.desk.stream_name(admission.stream).unwrap_or_default();
                    let note = SessionNote::new(&admission, name);
                    front.notes.insert(admission.session, note);
                    self.engine.send(Command::Announce(Arc::new(Ticket::new(*admission))))?;
                }
                Effect::Restart { session, local, remote } => {
                    self.engine.send(Command::Restart(Arc::new(Restart { session, local, remote })))?;
                }
                Effect::End(session, ending) => self.engine.send(Command::End(session, reason(ending)))?,
                Effect::Show { stream, session, epoch, at_once } => {
                    self.engine.send(Command::Show { stream, session, epoch, at_once })?;
                }
                Effect::Grace(stream, grace) => self.engine.send(Command::Grace(stream, grace))?,
                Effect::Room(queue) => front.queues.make_room(queue),
                Effect::Mute { session, audio, video } => {
                    self.engine.send(Command::Mute { session, audio, video })?;
                }
                Effect::Layers { session, selection } => {
                    self.engine.send(Command::Layers { session, selection })?;
                }
            }
        }
        Ok(())
    }

    /// A panic in the desk ended one request; its state goes on serving the others.
    pub(crate) fn front(&self) -> FrontGuard<'_> {
        FrontGuard(self.front.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `authorization` opens the list of streams: any key does where watching needs one.
    pub(crate) fn may_list(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
        let keys = &self.front().list_keys;
        keys.is_empty() || token.is_some_and(|token| keys.iter().any(|key| key.opens_for(token)))
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Refuses new sessions from now on and has every shard say goodbye to its own. True if all have done so
    /// within the time.
    pub async fn drain(&self, within: Duration) -> bool {
        self.draining.store(true, Ordering::Relaxed);
        let everybody = {
            let mut front = self.front();
            front.desk.drain();
            front.listeners.everybody()
        };
        // Who listens is told before the connection ends, which nobody has to guess the meaning of then.
        let _ = tokio::time::timeout(TOLD_WITHIN, everybody.gone()).await;
        let mut drained = self.drained_shards.subscribe();
        let all = async {
            if self.engine.send(Command::Drain).is_ok() {
                let _ = drained.wait_for(|shards| *shards >= self.engine.shards()).await;
            }
        };
        tokio::time::timeout(within, all).await.is_ok()
    }
}

fn list_keys(config: &DeskConfig) -> Vec<Key> {
    match &*config.play_keys {
        [] => Vec::new(),
        play => [play, &config.publish_keys].concat(),
    }
}

fn reason(ending: Ending) -> EndReason {
    match ending {
        Ending::Deleted => EndReason::Deleted,
        Ending::Replaced => EndReason::Replaced,
        Ending::StreamDestroyed => EndReason::StreamDestroyed,
        Ending::Revoked => EndReason::Revoked,
        Ending::Expired => EndReason::Expired,
        Ending::EndpointRemoved => EndReason::EndpointRemoved,
        Ending::Operator => EndReason::Operator,
    }
}

fn too_many_listeners() -> Problem {
    Problem::new(
        503,
        "too_many_listeners",
        "Too many listeners",
        "As many clients listen to events as this server has connections to spare for that.",
        "Watch without events, and try again after Retry-After.",
    )
    .retry_after(30)
}

fn stopped() -> Reply {
    let detail = "The media threads have stopped.";
    Problem::new(
        503,
        "engine_stopped",
        "Server broken",
        detail,
        "Restart the server; its log has the reason.",
    )
    .retry_after(10)
    .into_reply()
}
