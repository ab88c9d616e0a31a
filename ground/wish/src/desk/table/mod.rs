//! Streams and sessions: who is there, who is on the way, and when that is over.
//!
//! A session is half open from its POST; `connect_by` later it no longer counts against the bounds, and a
//! little later it is forgotten, should the engine's word about its end ever be lost. A stream is there as
//! long as any session of it is.

mod crowd;
mod feeds;
mod session;
mod stream;

pub(super) use crowd::Place;
pub(super) use feeds::Changes;
pub(super) use session::{FeedEntry, Input, Part, Phase, Session, Way};
pub(super) use stream::{Stream, formats_of};

use crate::Limits;
use crate::auth::Door;
use crate::reply::QueueId;
use crate::token::Secret;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::{SessionId, StreamId};

/// How long after its deadline a session is kept that did not connect. The engine ends it at the deadline;
/// this covers the events' way from there.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// All streams and sessions.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub limits: Limits,
    /// By name, so that lists come out sorted.
    streams: BTreeMap<String, Stream>,
    names: HashMap<StreamId, String>,
    sessions: HashMap<SessionId, Session>,
    secrets: HashMap<Secret, SessionId>,
    /// In the order of their deadlines, as all sessions have equally long.
    deadlines: VecDeque<(Instant, SessionId)>,
    overdue: VecDeque<(Instant, SessionId)>,
    /// Streams whose inputs are to be looked at, and when; `None`: at once. At most every stream.
    restless: BTreeMap<StreamId, Option<Instant>>,
    last_stream: u64,
    last_session: u64,
    last_queue: u64,
    last_feed: u64,
    /// What listeners are to be told of.
    pub changes: Changes,
}

impl Table {
    /// Nobody there.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.get(name)
    }

    pub fn streams(&self) -> impl Iterator<Item = (&str, &Stream)> {
        self.streams.iter().map(|(name, stream)| (name.as_str(), stream))
    }

    pub fn stream_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(self.names.get(&id)?)
    }

    /// The name of a stream.
    pub fn name_of(&self, id: StreamId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Every session of the stream of that name, oldest first.
    pub fn sessions_of(&self, name: &str) -> Vec<SessionId> {
        let Some(stream) = self.stream(name).map(|stream| stream.id) else { return Vec::new() };
        let mut of: Vec<_> =
            self.sessions.iter().filter(|(_, session)| session.stream == stream).map(|(id, _)| *id).collect();
        of.sort_unstable();
        of
    }

    /// Streams that have or had a publisher, or those that viewers wait for.
    pub fn stream_count(&self, had_publisher: bool) -> usize {
        self.streams.values().filter(|stream| stream.had_publisher == had_publisher).count()
    }

    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Every session, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// The session of that URL.
    pub fn by_secret(&self, text: &str) -> Option<(SessionId, &Session)> {
        let id = *self.secrets.get(&Secret::from_text(text)?)?;
        self.sessions.get(&id).map(|session| (id, session))
    }

    /// The id that the next session will get.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.last_session + 1)
    }

    /// The stream of that name, new if need be, and the epoch of its next publisher. A new stream is only
    /// kept once a session is added.
    pub fn open_stream(&mut self, name: &str) -> (StreamId, u32) {
        if let Some(stream) = self.streams.get(name) {
            return (stream.id, stream.epoch + 1);
        }
        (StreamId(self.last_stream + 1), 1)
    }

    /// Adds a session under [`Self::next_session`], to the stream of that name.
    pub fn add(&mut self, now: Instant, name: &str, mut session: Session, connect_by: Instant) {
        let id = self.next_session();
        self.last_session = id.0;
        let stream = match self.streams.get_mut(name) {
            Some(stream) => stream,
            None => {
                self.last_stream = session.stream.0;
                self.names.insert(session.stream, name.to_owned());
                self.streams.entry(name.to_owned()).or_insert_with(|| Stream::new(session.stream))
            }
        };
        stream.sessions += 1;
        session.lives_before = stream.lives - u64::from(stream.live.is_some());
        match session.part {
            Part::Publisher { epoch, .. } => {
                stream.epoch = epoch;
                stream.half_open_publishers += 1;
                stream.had_publisher = true;
            }
            Part::Viewer => stream.half_open_viewers += 1,
        }
        if let Some(place) = session.place {
            let queue = &mut self.last_queue;
            stream.crowd.enter(now, place, self.limits.half_open_viewers_of_client, || {
                *queue += 1;
                QueueId(*queue)
            });
        }
        self.secrets.insert(session.secret, id);
        self.sessions.insert(id, session);
        self.deadlines.push_back((connect_by, id));
        self.bound_deadlines();
    }

    /// Sessions that ended early leave their deadlines behind; a client that posts and deletes in a loop must
    /// not pile those up.
    fn bound_deadlines(&mut self) {
        const SLACK: usize = 1_024;
        let is_half_open =
            |id: &SessionId| self.sessions.get(id).is_some_and(|session| session.phase == Phase::HalfOpen);
        if self.deadlines.len() > 2 * self.sessions.len() + SLACK {
            self.deadlines.retain(|(_, id)| is_half_open(id));
        }
    }

    /// Marks a session as connected. A publisher becomes the stream's live one, unless it stands by. The answer is
    /// the queue of viewers that may move up for it.
    pub fn connect(&mut self, now: Instant, id: SessionId) -> Option<QueueId> {
        let window_max = self.limits.half_open_viewers;
        self.leave_phase(id)?;
        let session = self.sessions.get_mut(&id)?;
        session.phase = Phase::Connected;
        let (place, stream) = (session.place, session.stream);
        let input = session.input_mut().map(|input| {
            input.connected_at.get_or_insert(now);
            *input
        });
        let entry = self.stream_mut(stream)?;
        match input {
            None => entry.viewers += 1,
            Some(input) => {
                if !entry.inputs.contains(&id) {
                    entry.inputs.push(id);
                }
                match input.stands_by {
                    true => self.look_at(stream, None),
                    false => self.set_live(id),
                }
            }
        }
        self.note_change(id);
        self.stream_of(id)?.crowd.trust(place?, window_max)
    }

    /// Makes a connected publisher the one that viewers are measured against.
    pub fn set_live(&mut self, id: SessionId) {
        let Some(Part::Publisher { formats, rids, input, .. }) =
            self.session(id).map(|session| session.part.clone())
        else {
            return;
        };
        if let Some(stream) = self.stream_of(id) {
            stream.lives += u64::from(stream.live.is_none());
            (stream.live, stream.cued) = (Some(id), None);
            (stream.formats, stream.rids, stream.current) = (formats, rids, input.current);
        }
        self.note_change(id);
    }

    /// The inputs of that stream are to be looked at by then; `None`: at once.
    pub fn look_at(&mut self, stream: StreamId, at: Option<Instant>) {
        let look = self.restless.entry(stream).or_insert(at);
        *look = at.min(*look);
    }

    /// The next stream whose inputs are to be looked at now.
    pub fn next_restless(&mut self, now: Instant) -> Option<StreamId> {
        let stream =
            self.restless.iter().find(|(_, at)| at.is_none_or(|at| at <= now)).map(|(stream, _)| *stream)?;
        self.restless.remove(&stream);
        Some(stream)
    }

    /// When the inputs of some stream are to be looked at, of those that need not be at once.
    pub fn restless_at(&self) -> Option<Instant> {
        self.restless.values().flatten().min().copied()
    }

    /// Forgets a session, and its stream if that was the last. False if it is unknown.
    pub fn remove(&mut self, id: SessionId) -> bool {
        if self.leave_phase(id).is_none() {
            return false;
        }
        self.note_change(id);
        self.end_feeds(id);
        if let Some(stream) = self.stream_of(id) {
            stream.sessions -= 1;
            stream.cued = stream.cued.filter(|(cued, _)| *cued != id);
            if stream.live == Some(id) {
                stream.live = None;
                stream.layers = Arc::new([]);
            }
            let inputs = stream.inputs.len();
            stream.inputs.retain(|input| *input != id);
            let stream = (stream.inputs.len() < inputs).then_some(stream.id);
            stream.into_iter().for_each(|stream| self.look_at(stream, None));
        }
        let Some(session) = self.sessions.remove(&id) else { return false };
        if let (Some(place), Some(stream)) = (session.place, self.stream_mut(session.stream)) {
            stream.crowd.leave(place);
        }
        self.secrets.remove(&session.secret);
        if let Some(name) = self.names.get(&session.stream)
            && self.streams.get(name).is_some_and(|stream| stream.sessions == 0)
        {
            self.streams.remove(name);
            self.names.remove(&session.stream);
            self.restless.remove(&session.stream);
        }
        true
    }

    /// Lets deadlines pass: those who did not connect no longer count, and are forgotten later.
    pub fn expire(&mut self, now: Instant) {
        let window = self.limits.half_open_viewers_of_client;
        while self.deadlines.front().is_some_and(|(at, _)| *at <= now) {
            let Some((at, id)) = self.deadlines.pop_front() else { break };
            if self.session(id).is_some_and(|session| session.phase == Phase::HalfOpen) {
                self.leave_phase(id);
                let Some(session) = self.sessions.get_mut(&id) else { continue };
                session.phase = Phase::Overdue;
                if let (Some(place), Some(stream)) = (session.place, self.stream_of(id)) {
                    stream.crowd.distrust(place, window);
                }
                self.overdue.push_back((at + FORGET_AFTER, id));
            }
        }
        while self.overdue.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.overdue.pop_front() else { break };
            if self.session(id).is_some_and(|session| session.phase == Phase::Overdue) {
                self.remove(id);
            }
        }
    }

    /// Takes the session out of its phase's count; the phase it was in.
    fn leave_phase(&mut self, id: SessionId) -> Option<Phase> {
        let session = self.sessions.get(&id)?;
        let (phase, door, place) = (session.phase, session.door(), session.place);
        if let Some(stream) = self.stream_of(id) {
            match (phase, door) {
                (Phase::HalfOpen, Door::Publish) => stream.half_open_publishers -= 1,
                (Phase::HalfOpen, Door::Play) => {
                    stream.half_open_viewers -= 1;
                    if let Some(place) = place {
                        stream.crowd.settle(place);
                    }
                }
                (Phase::Connected, Door::Play) => stream.viewers -= 1,
                (Phase::Connected, Door::Publish) | (Phase::Overdue, _) => {}
            }
        }
        Some(phase)
    }

    fn stream_of(&mut self, id: SessionId) -> Option<&mut Stream> {
        let stream = self.sessions.get(&id)?.stream;
        self.stream_mut(stream)
    }
}
