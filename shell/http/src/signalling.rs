//! The desk behind its lock, and the engine that carries out what the desk decides.
//!
//! The desk has one owner and no task of its own: it sits behind a mutex that is held for the pure call and
//! for queueing what follows (about 300 µs a POST), never across an await. An actor task would add a hop and
//! a queue to every request, and bound nothing that the number of connections does not bound already.

use crate::Limits;
use crate::events::{RefusalLog, SessionNote, log_refusal};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wtn_engine::{Command, Counters, EndReason, Ticket};
use wtn_media::{Admission, SessionId};
use wtn_wish::{Desk, DeskConfig, Effect, Ending, Key, Method, Problem, Reply, Request, Resource};

/// `Retry-After` of a server that is about to go: another one, or this one restarted, may be there by then.
const RETRY_AFTER: &str = "1";

/// The engine as HTTP sees it.
pub struct Engine {
    /// Sends a command to every shard; false if one of them has no room for it now.
    pub command: Box<dyn Fn(Command) -> bool + Send + Sync>,
    /// What each shard counts.
    pub counters: Vec<Arc<Counters>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("shards", &self.counters.len()).finish_non_exhaustive()
    }
}

/// Signalling at work: answers requests, hears the engine's events, drains.
#[derive(Debug)]
pub struct Signalling {
    front: Mutex<Front>,
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    /// Who may list streams; empty: anybody.
    list_keys: Vec<Key>,
    pub(crate) requests: crate::metrics::Requests,
    draining: AtomicBool,
    pub(crate) drained_shards: watch::Sender<usize>,
}

/// What the lock guards.
pub(crate) struct Front {
    pub desk: Desk,
    random: StdRng,
    /// What log lines say about a session.
    pub notes: HashMap<SessionId, SessionNote>,
    /// Commands that found a shard's box full, oldest first. Only [`Command::End`]s: an announcement that
    /// does not get through is refused at once.
    unsent: VecDeque<Command>,
    pub refusals: RefusalLog,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("desk", &self.desk).finish_non_exhaustive()
    }
}

impl Signalling {
    /// A desk by `config` in front of `engine`.
    pub fn new(config: DeskConfig, engine: Engine, limits: Limits) -> Arc<Self> {
        let list_keys = match &*config.play_keys {
            [] => Vec::new(),
            play => [play, &config.publish_keys].concat(),
        };
        let front = Front {
            desk: Desk::new(config),
            random: StdRng::from_os_rng(),
            notes: HashMap::new(),
            unsent: VecDeque::new(),
            refusals: RefusalLog::default(),
        };
        Arc::new(Self {
            front: Mutex::new(front),
            engine,
            limits,
            list_keys,
            requests: Default::default(),
            draining: AtomicBool::new(false),
            drained_shards: watch::Sender::new(0),
        })
    }

    /// Answers one request and has its effects on the way to the shards before it returns.
    pub(crate) fn handle(&self, request: Request<'_>) -> Reply {
        let (method, resource) = (request.method, request.resource.clone());
        if self.is_draining() && method == Method::Post {
            return draining();
        }
        let now = Instant::now();
        let mut guard = self.front();
        let front = &mut *guard;
        let random = &mut front.random;
        let mut reply = front.desk.handle(now, request, &mut |bytes: &mut [u8]| random.fill_bytes(bytes));
        let effects = std::mem::take(&mut reply.effects);
        let name = match &resource {
            Resource::WhipEndpoint(name) | Resource::WhepEndpoint(name) => name,
            Resource::Session(_) => "",
        };
        if !self.carry_out(front, now, effects, name) {
            reply = busy();
        }
        if reply.status >= 400 {
            log_refusal(&mut front.refusals, now, method, &resource, &reply);
        }
        reply
    }

    /// False if a session could not be announced; it is forgotten then.
    pub(crate) fn carry_out(
        &self,
        front: &mut Front,
        now: Instant,
        effects: Vec<Effect>,
        name: &str,
    ) -> bool {
        let mut carried_out = true;
        for effect in effects {
            match effect {
                Effect::Admit(admission) => carried_out &= self.announce(front, now, *admission, name),
                Effect::End(session, ending) => {
                    let reason = match ending {
                        Ending::Deleted => EndReason::Deleted,
                        Ending::Replaced => EndReason::Replaced,
                    };
                    front.unsent.push_back(Command::End(session, reason));
                }
            }
        }
        self.send_unsent(front);
        carried_out
    }

    fn announce(&self, front: &mut Front, now: Instant, admission: Admission, name: &str) -> bool {
        let session = admission.session;
        let note = SessionNote::new(&admission, name);
        if (self.engine.command)(Command::Announce(Arc::new(Ticket::new(admission)))) {
            front.forget_stale_notes(now);
            front.notes.insert(session, note);
            return true;
        }
        // Some shards may have heard of it.
        front.unsent.push_back(Command::End(session, EndReason::Deleted));
        front.desk.on_ended(now, session);
        false
    }

    /// Ends go out in order; the first that finds a full box keeps the rest back until the next tick.
    pub(crate) fn send_unsent(&self, front: &mut Front) {
        while let Some(command) = front.unsent.pop_front() {
            if !(self.engine.command)(command.clone()) {
                front.unsent.push_front(command);
                return;
            }
        }
    }

    /// A panic in the desk ended one request; its state goes on serving the others.
    pub(crate) fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `authorization` opens the list of streams: any key does where watching needs one.
    pub(crate) fn may_list(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
        self.list_keys.is_empty()
            || token.is_some_and(|token| self.list_keys.iter().any(|key| key.opens_for(token)))
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Refuses new sessions from now on and has every shard say goodbye to its own. True if all have done so
    /// within the time.
    pub async fn drain(&self, within: Duration) -> bool {
        self.draining.store(true, Ordering::Relaxed);
        let mut drained = self.drained_shards.subscribe();
        let all = async {
            while !(self.engine.command)(Command::Drain) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let _ = drained.wait_for(|shards| *shards >= self.engine.counters.len()).await;
        };
        tokio::time::timeout(within, all).await.is_ok()
    }
}

impl Front {
    /// Notes of sessions that neither connected nor ended: the engine reports every end, so these are few,
    /// but a lost event must not hold memory for ever.
    fn forget_stale_notes(&mut self, now: Instant) {
        if self.notes.len() > 1_024 + 2 * self.desk.session_count() {
            self.notes.retain(|_, note| !note.is_stale(now));
        }
    }
}

fn busy() -> Reply {
    unavailable("engine_busy", "The media threads have no room for another session right now.")
}

fn draining() -> Reply {
    unavailable("draining", "The server is about to stop and takes no new sessions.")
}

fn unavailable(code: &'static str, detail: &str) -> Reply {
    let problem = Problem {
        status: 503,
        code,
        title: "Not now",
        detail: detail.to_owned(),
        fix: "Try again in a second.".to_owned(),
    };
    let mut reply = problem.into_reply();
    reply.headers.push(("retry-after", RETRY_AFTER.to_owned()));
    reply
}
