//! The shard: sole owner of its sessions, driven by whoever has a clock and a socket.
//!
//! This file has its face and its switchboard; `traffic.rs` has what happens to packets, `lifecycle.rs` how
//! sessions begin and end.

use crate::arena::Arena;
use crate::command::{Command, Event};
use crate::counters::{Counter, Counters};
use crate::directory::{Route, Routes, Tickets};
use crate::egress::Egress;
use crate::hub::{FETCH_BUDGET, Hub, Source};
use crate::lifecycle::Farewell;
use crate::mail::{Mail, Mailbox, Post};
use crate::peer::{Peer, counter_of};
use crate::random::Random;
use crate::ticket::{ShardId, Ticket};
use crate::timers::{Timer, Timers};
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use wtn_fanout::{LineReport, SubscriberId};
use wtn_media::{Remote, SessionId, StreamId};
use wtn_session::Identity;
use wtn_session::stun::{BindingRequest, is_stun};

/// Commands and letters taken per pass; the rest waits for the next one, behind the datagrams of this one.
const INBOX_BUDGET: usize = 1024;

/// One of N equal parts of the engine. Each pass of its driver calls, in this order:
/// [`handle_inbox`](Self::handle_inbox), [`handle_datagram`](Self::handle_datagram) for all that arrived,
/// [`handle_timeout`](Self::handle_timeout), [`flush`](Self::flush), [`poll_event`](Self::poll_event)
/// until empty.
pub struct Shard {
    pub(crate) id: ShardId,
    pub(crate) identity: Arc<Identity>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) random: Random,
    pub(crate) commands: Receiver<Command>,
    pub(crate) mailbox: Mailbox,
    pub(crate) post: Post,
    pub(crate) tickets: Tickets,
    pub(crate) routes: Routes,
    pub(crate) peers: Slab<Peer>,
    pub(crate) keys: HashMap<SessionId, usize>,
    pub(crate) hubs: BTreeMap<StreamId, Hub>,
    /// Streams that another shard feeds.
    pub(crate) fed: BTreeSet<StreamId>,
    /// Streams with packets or wishes of this pass.
    pub(crate) dirty: Vec<StreamId>,
    pub(crate) timers: Timers,
    pub(crate) arena: Arena,
    pub(crate) scratch: Vec<u8>,
    /// Where sender reports are written before they are sealed.
    pub(crate) report: Vec<u8>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) farewells: VecDeque<Farewell>,
    /// The inbox had more than one pass takes.
    pub(crate) has_more: bool,
    pub(crate) draining: bool,
    pub(crate) drained: bool,
    pub(crate) now: Instant,
}

impl Shard {
    /// Which shard this is.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Its counters.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Sessions that live here.
    pub fn sessions(&self) -> usize {
        self.peers.len()
    }

    /// How the line of a viewer who lives here looks, if the viewer tells of it.
    pub fn line(&self, session: SessionId) -> Option<LineReport> {
        let key = *self.keys.get(&session)?;
        let stream = self.peers.get(key)?.ticket.admission.stream;
        self.hubs.get(&stream)?.fan.line(SubscriberId(key as u32))
    }

    /// Takes commands, mail, and the packets of publishers that live on other shards.
    pub fn handle_inbox(&mut self, now: Instant) {
        self.now = now;
        let commands: Vec<Command> = self.commands.try_iter().take(INBOX_BUDGET).collect();
        let mail: Vec<Mail> = self.mailbox.try_iter().take(INBOX_BUDGET).collect();
        self.has_more = commands.len() == INBOX_BUDGET || mail.len() == INBOX_BUDGET;
        commands.into_iter().for_each(|command| self.on_command(command));
        mail.into_iter().for_each(|mail| self.on_mail(mail));
        for stream in &self.fed {
            let fetched = self.hubs.get_mut(stream).map_or(0, Hub::fetch);
            self.has_more |= fetched == FETCH_BUDGET;
            if fetched > 0 {
                self.dirty.push(*stream);
            }
        }
    }

    /// Room 2: finds out whose datagram this is.
    pub fn handle_datagram(&mut self, now: Instant, from: impl Into<Remote>, datagram: &mut [u8]) {
        let from = from.into();
        self.now = now;
        self.counters.count(Counter::DatagramsIn);
        match self.routes.find(from) {
            // A client may start its next session from the socket of its last one: the user name decides.
            Some(_) if is_stun(datagram) => self.on_check(from, datagram, true),
            Some(Route::Peer(key)) => self.serve(key, from, datagram),
            Some(Route::Stray(shard)) => self.hand_over(shard, from, datagram),
            None if is_stun(datagram) => self.on_check(from, datagram, true),
            None => self.counters.count(Counter::DropUnknownPeer),
        }
    }

    /// A path is no more: its TCP connection is gone. A session that went by it goes on by another of its paths, or
    /// waits for its client to come back by a new one.
    pub fn handle_disconnect(&mut self, now: Instant, remote: Remote) {
        self.now = now;
        match self.routes.find(remote) {
            Some(Route::Peer(key)) => self.guarded(key, |shard| {
                if let Some(peer) = shard.peers.get_mut(key) {
                    peer.session.handle_disconnect(remote);
                }
            }),
            Some(Route::Stray(_)) => self.routes.remove_stray(remote),
            None => {}
        }
    }

    /// Does what time demands; cheap when nothing is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Peer(key) => self.wake_peer(key),
                Timer::Ticket(session) => self.on_unclaimed(session),
                Timer::Stream(stream) => self.wake_stream(stream),
                Timer::CatchUp(stream) => {
                    if let Some(hub) = self.hubs.get_mut(&stream) {
                        hub.catches_up_at = None;
                        self.dirty.push(stream);
                    }
                }
                Timer::Farewell => self.say_farewells(),
            }
        }
    }

    /// When the next pass is due, if nothing arrives before. At once while there is more in the inbox than
    /// one pass takes, or mail that waits for room elsewhere.
    pub fn next_timeout(&self) -> Option<Instant> {
        let at_once = self.has_more || self.post.is_behind() || !self.dirty.is_empty();
        if at_once { Some(self.now) } else { self.timers.next() }
    }

    /// Forwards everything that came in this pass, and hands all datagrams to `egress`.
    pub fn flush(&mut self, egress: &mut dyn Egress) {
        self.forward(egress);
        let datagrams = self.arena.flush(egress);
        self.counters.add(Counter::DatagramsOut, datagrams);
        while let Some(remote) = egress.poll_starved() {
            self.on_starved(remote);
        }
        self.post.flush();
    }

    /// What the control plane should know, oldest first. At most a few per session.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The network had no room for all of a viewer's datagrams.
    fn on_starved(&mut self, remote: Remote) {
        let Some(Route::Peer(key)) = self.routes.find(remote) else { return };
        let Some(peer) = self.peers.get(key) else { return };
        if let Some(hub) = self.hubs.get_mut(&peer.ticket.admission.stream)
            && hub.fan.shed(self.now, SubscriberId(key as u32))
        {
            self.counters.count(Counter::ShedEgress);
        }
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Publishing { stream, epoch, shard, rids } => {
                self.on_publishing(stream, epoch, shard, &rids)
            }
            Mail::Unpublished { stream, epoch } => self.on_unpublished(stream, epoch),
            Mail::Subscribe { stream, shard, ring } => {
                if let Some(hub) = self.hubs.get_mut(&stream)
                    && let Some(Source::Here { epoch, .. }) = hub.source()
                {
                    let (epoch, packets, clocks) = (*epoch, hub.fan.backlog(), hub.fan.clocks());
                    hub.add_sink(shard, ring);
                    self.post.send(shard, Mail::Backlog { stream, epoch, packets, clocks });
                }
            }
            Mail::Backlog { stream, epoch, packets, clocks } => {
                if let Some(hub) = self.hubs.get_mut(&stream) {
                    hub.adopt(self.now, epoch, &packets, &clocks);
                    self.dirty.push(stream);
                }
            }
            Mail::Unsubscribe { stream, shard } => {
                if let Some(hub) = self.hubs.get_mut(&stream) {
                    hub.remove_sink(shard);
                }
            }
            Mail::Keyframe { stream, encoding } => self.want_keyframe(stream, encoding),
            Mail::Stray { from, mut datagram } => self.on_stray(from, &mut datagram),
            Mail::Renewed(session) => self.tickets.settle(session),
            Mail::Forget(session) => {
                self.tickets.remove(session);
            }
        }
    }

    /// A STUN check, from wherever: its user name tells the session, its integrity that it is no forgery.
    fn on_check(&mut self, from: Remote, datagram: &mut [u8], may_hand_over: bool) {
        let ticket = match self.authenticate(datagram) {
            Ok(ticket) => ticket,
            Err(counter) => return self.counters.count(counter),
        };
        let owner = ticket.claim(self.id);
        if owner == self.id {
            if let Some(key) = self.peer_of(&ticket) {
                self.serve(key, from, datagram);
                // The latest authentic check from an address decides whose it is: so a client's next session
                // may use the socket of its last, and a replayed check costs nobody more than the time to
                // his own next one.
                if self.peers.get(key).is_some_and(|peer| peer.session.knows(from)) {
                    self.routes.insert_peer(from, key);
                }
            }
        } else if may_hand_over {
            self.routes.insert_stray(from, owner);
            self.hand_over(owner, from, datagram);
        } else {
            self.counters.count(Counter::DropStray);
        }
    }

    fn authenticate(&self, datagram: &[u8]) -> Result<Arc<Ticket>, Counter> {
        let check = BindingRequest::parse(datagram).map_err(counter_of)?;
        let (ticket, pwd) = self.tickets.by_ufrag(check.local_ufrag()).ok_or(Counter::DropUnknownUser)?;
        if check.verify(pwd) { Ok(ticket.clone()) } else { Err(Counter::DropUnauthentic) }
    }

    fn hand_over(&mut self, shard: ShardId, from: Remote, datagram: &[u8]) {
        if !self.post.try_send(shard, Mail::Stray { from, datagram: datagram.into() }) {
            self.counters.count(Counter::MailOverflow);
        }
    }

    fn on_stray(&mut self, from: Remote, datagram: &mut [u8]) {
        match self.routes.find(from) {
            _ if is_stun(datagram) => self.on_check(from, datagram, false),
            Some(Route::Peer(key)) => self.serve(key, from, datagram),
            _ => self.counters.count(Counter::DropStray),
        }
    }
}
