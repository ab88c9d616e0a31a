//! How sessions begin and end, and how a stream changes hands.
//!
//! Who ends whom: a DELETE, a newer publisher, the peer's close, silence, a missed deadline, a stream left
//! alone for its grace time, a drain, or a crash end a session through [`Shard::end`], and only there. It
//! says goodbye, frees everything, tells the other shards and the control plane.

use crate::command::{Command, EndReason, Event, Restart};
use crate::hub::Hub;
use crate::mail::Mail;
use crate::peer::{Media, Peer};
use crate::shard::Shard;
use crate::ticket::{ShardId, Ticket};
use crate::timers::Timer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_fanout::subscriber::REPORT_INTERVAL;
use wtn_fanout::{Publisher, Subscriber, SubscriberId};
use wtn_media::layers::Rids;
use wtn_media::{Admission, LayerSelection, MediaKind, Remote, Role, SessionId, SessionPlan, Ssrc, StreamId};
use wtn_session::{Output, Session, SessionConfig};

/// A goodbye is said three times in all, since nobody is left to ask for it again: a lost close_notify would
/// leave a player frozen until its consent runs out after 30 s (RFC 7675 §5.1).
const FAREWELLS: u8 = 2;

/// Time between them: over a round trip, and the last one still within a stop of 2 s.
const FAREWELL_INTERVAL: Duration = Duration::from_millis(300);

/// A close_notify to be said again.
#[derive(Debug)]
pub struct Farewell {
    at: Instant,
    left: u8,
    to: Remote,
    datagram: Vec<u8>,
}

impl Shard {
    pub(crate) fn on_command(&mut self, command: Command) {
        match command {
            Command::Announce(ticket) if self.draining => self.end_unowned(&ticket, EndReason::Draining),
            Command::Announce(ticket) => {
                self.timers.push(ticket.admission.connect_by, Timer::Ticket(ticket.admission.session));
                self.tickets.insert(ticket);
            }
            Command::Grace(stream, grace) => {
                if let Some(hub) = self.hubs.get_mut(&stream) {
                    hub.set_grace(grace);
                }
            }
            Command::Restart(restart) => self.on_restart(&restart),
            Command::End(session, reason) => self.end_session(session, reason),
            Command::Show { stream, session, epoch, at_once } => self.show(stream, session, epoch, at_once),
            Command::Mute { session, audio, video } => {
                self.tickets.mute(session, [audio, video]);
                if let Some(key) = self.key_of(session) {
                    self.apply_mute(key);
                }
            }
            Command::Layers { session, selection } => {
                self.tickets.select(session, selection.filter(LayerSelection::asks));
                if let Some(key) = self.key_of(session) {
                    self.apply_selection(key);
                }
            }
            Command::Drain => {
                self.draining = true;
                for session in self.tickets.sessions() {
                    self.end_session(session, EndReason::Draining);
                }
                self.say_farewells();
            }
        }
    }

    /// The peer of a ticket that this shard has claimed, made with its first check.
    pub(crate) fn peer_of(&mut self, ticket: &Arc<Ticket>) -> Option<usize> {
        let session = ticket.admission.session;
        if let Some(key) = self.key_of(session) {
            return Some(key);
        }
        let made = catch_unwind(AssertUnwindSafe(|| self.make_peer(ticket)));
        let Ok(peer) = made else {
            self.counters.count(crate::Counter::Panics);
            self.tickets.remove(session);
            self.post.broadcast(|| Mail::Forget(session));
            self.events.push_back(Event::Ended(session, EndReason::Crashed));
            return None;
        };
        let key = self.peers.insert(peer);
        self.keys.insert(session, key);
        self.events.push_back(Event::Claimed(session, self.id));
        Some(key)
    }

    pub(crate) fn key_of(&self, session: SessionId) -> Option<usize> {
        self.keys.get(&session).copied()
    }

    /// An ICE restart: from now on checks come with other credentials, to whichever shard. A session without
    /// an owner will begin with them.
    fn on_restart(&mut self, restart: &Restart) {
        self.tickets.restart(restart.clone());
        let Some(key) = self.key_of(restart.session) else { return };
        self.guarded(key, |shard| {
            if let Some(peer) = shard.peers.get_mut(key) {
                peer.session.restart(restart.local.clone(), restart.remote.clone());
            }
        });
    }

    /// The client uses what came with a restart: nobody needs to know what was before.
    pub(crate) fn on_renewed(&mut self, session: SessionId) {
        self.tickets.settle(session);
        self.post.broadcast(|| Mail::Renewed(session));
    }

    fn make_peer(&mut self, ticket: &Arc<Ticket>) -> Peer {
        let Admission { session, role, plan, max_bitrate_bps, .. } = &ticket.admission;
        let mut config = SessionConfig::from(&ticket.admission);
        if let Some(restart) = self.tickets.restarted(*session) {
            (config.local, config.remote) = (restart.local.clone(), restart.remote.clone());
        }
        let media = match role {
            Role::Publisher { epoch } => {
                let reporter = Ssrc(self.random.next() as u32);
                let publisher = Publisher::new(self.now, *epoch, plan.clone(), reporter);
                Media::Publisher(Box::new(publisher.with_limit(self.now, *max_bitrate_bps)))
            }
            Role::Subscriber => Media::Subscriber { next_report: None },
        };
        Peer {
            ticket: ticket.clone(),
            session: Box::new(Session::new(self.now, config, &self.identity)),
            media,
            addresses: Vec::new(),
            wakes_at: None,
            told: None,
        }
    }

    /// Media may flow. The answer is why it may not, if so.
    pub(crate) fn on_connected(&mut self, key: usize) -> Option<EndReason> {
        let Admission { stream, role, plan, grace, stands_by, .. } =
            &self.peers.get(key)?.ticket.clone().admission;
        let hub = self.hub(*stream);
        hub.set_grace(*grace);
        match role {
            Role::Publisher { .. } if *stands_by => hub.inputs.push(key),
            Role::Publisher { epoch } => {
                hub.inputs.push(key);
                let rids = rids(plan);
                if !hub.publish_here(*epoch, key, &rids) {
                    return Some(EndReason::Replaced);
                }
                let (stream, epoch, shard) = (*stream, *epoch, self.id);
                self.post.broadcast(|| Mail::Publishing { stream, epoch, shard, rids: rids.clone() });
                self.tend(stream);
            }
            Role::Subscriber => {
                let subscriber = Subscriber::new(plan, || self.random.next());
                let now = self.now;
                self.hub(*stream).fan.add(now, SubscriberId(key as u32), subscriber);
                self.tend(*stream);
                let first = self.now + REPORT_INTERVAL / 4;
                self.peers.get_mut(key)?.media = Media::Subscriber { next_report: Some(first) };
            }
        }
        self.dirty.push(*stream);
        self.apply_mute(key);
        self.apply_selection(key);
        None
    }

    pub(crate) fn on_publishing(&mut self, stream: StreamId, epoch: u32, shard: ShardId, rids: &Rids) {
        if self.hub(stream).publish_there(epoch, shard, rids) {
            self.tend(stream);
            self.dirty.push(stream);
        }
    }

    pub(crate) fn on_unpublished(&mut self, stream: StreamId, epoch: u32) {
        let now = self.now;
        if let Some(hub) = self.hubs.get_mut(&stream) {
            hub.unpublish(now, epoch);
        }
        self.tend(stream);
    }

    /// Nobody claimed the session before its deadline: the first shard to notice says so.
    pub(crate) fn on_unclaimed(&mut self, session: SessionId) {
        if let Some(ticket) = self.tickets.by_session(session).cloned()
            && ticket.owner().is_none()
        {
            self.end_unowned(&ticket, EndReason::NeverConnected);
        }
    }

    fn end_session(&mut self, session: SessionId, reason: EndReason) {
        let Some(ticket) = self.tickets.by_session(session).cloned() else { return };
        match self.key_of(session) {
            Some(key) => self.end(key, reason),
            None => self.end_unowned(&ticket, reason),
        }
    }

    /// Ends a session that has no peer here: whoever claims it now reports it, the others just forget.
    fn end_unowned(&mut self, ticket: &Ticket, reason: EndReason) {
        let session = ticket.admission.session;
        if ticket.owner().is_none() && ticket.claim(self.id) == self.id {
            self.events.push_back(Event::Ended(session, reason));
            self.post.broadcast(|| Mail::Forget(session));
        }
        self.tickets.remove(session);
    }

    /// Ends a peer: goodbye, then nothing of it is left.
    pub(crate) fn end(&mut self, key: usize, reason: EndReason) {
        let Some(mut peer) = self.peers.try_remove(key) else { return };
        let Admission { session, stream, role, .. } = peer.ticket.admission;
        if reason != EndReason::Crashed {
            self.say_goodbye(&mut peer);
        }
        for address in &peer.addresses {
            self.routes.remove_peer(*address, key);
        }
        self.keys.remove(&session);
        self.tickets.remove(session);
        self.post.broadcast(|| Mail::Forget(session));
        match role {
            Role::Publisher { epoch } => self.on_publisher_gone(stream, epoch, key, &peer),
            Role::Subscriber => {
                if let Some(hub) = self.hubs.get_mut(&stream) {
                    hub.fan.remove(SubscriberId(key as u32));
                }
            }
        }
        self.tend(stream);
        self.events.push_back(Event::Ended(session, reason));
    }

    fn on_publisher_gone(&mut self, stream: StreamId, first_epoch: u32, key: usize, peer: &Peer) {
        let now = self.now;
        let Media::Publisher(publisher) = &peer.media else { return };
        let epoch = publisher.epoch();
        // One that stood by and never was shown, nobody has heard of.
        let was_shown = !peer.ticket.admission.stands_by || epoch != first_epoch;
        if let Some(hub) = self.hubs.get_mut(&stream) {
            hub.inputs.retain(|input| *input != key);
            hub.cue = hub.cue.filter(|cue| cue.key != key);
            if was_shown {
                hub.unpublish(now, epoch);
            }
        }
        // Also where a newer one has the stream already: somebody may hear of the old one only now.
        if was_shown {
            self.post.broadcast(|| Mail::Unpublished { stream, epoch });
        }
    }

    fn say_goodbye(&mut self, peer: &mut Peer) {
        peer.session.close(self.now);
        while let Some(output) = peer.session.poll() {
            let Output::Transmit { to, bytes } = output else { continue };
            self.arena.push(to, &bytes);
            let at = self.now + FAREWELL_INTERVAL;
            self.farewells.push_back(Farewell { at, left: FAREWELLS, to, datagram: bytes });
            self.timers.push(at, Timer::Farewell);
        }
    }

    /// Says again what is due; after a drain, tells when the last word is spoken.
    pub(crate) fn say_farewells(&mut self) {
        while self.farewells.front().is_some_and(|farewell| farewell.at <= self.now)
            && let Some(mut farewell) = self.farewells.pop_front()
        {
            self.arena.push(farewell.to, &farewell.datagram);
            farewell.left -= 1;
            if farewell.left > 0 {
                farewell.at = self.now + FAREWELL_INTERVAL;
                self.timers.push(farewell.at, Timer::Farewell);
                self.farewells.push_back(farewell);
            }
        }
        if self.draining && self.farewells.is_empty() && !std::mem::replace(&mut self.drained, true) {
            self.events.push_back(Event::Drained(self.id));
        }
    }

    pub(crate) fn hub(&mut self, stream: StreamId) -> &mut Hub {
        let now = self.now;
        let timers = &mut self.timers;
        self.hubs.entry(stream).or_insert_with(|| {
            timers.push(now, Timer::Stream(stream));
            Hub::new(now)
        })
    }
}

/// By what name a publisher's encodings go.
pub(crate) fn rids(plan: &SessionPlan) -> Rids {
    let track = plan.track(MediaKind::Video);
    track.into_iter().flat_map(|track| &track.rids).take(Rids::new().capacity()).copied().collect()
}
