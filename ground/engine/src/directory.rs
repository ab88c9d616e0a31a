//! Whose datagram is this? Tickets by user name, peers and strays by remote address.

use crate::command::Restart;
use crate::ticket::{ShardId, Ticket};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use wtn_media::{IceCredentials, LayerSelection, Remote, SessionId};

/// Addresses of other shards' sessions that a shard remembers: those whose first check or later move the
/// kernel's hash sent to the wrong place. Forgotten ones are learnt again from their next check.
const STRAYS_MAX: usize = 4096;

/// All tickets of the server, as every shard knows them.
#[derive(Debug, Default)]
pub struct Tickets {
    by_ufrag: HashMap<Box<str>, Arc<Ticket>>,
    by_session: HashMap<SessionId, Entry>,
    /// By kind of media: which sessions have something muted.
    muted: HashMap<SessionId, [bool; 2]>,
    /// Which viewers have asked for what of the picture.
    selected: HashMap<SessionId, LayerSelection>,
}

/// One ticket, and by which credentials its checks are told.
#[derive(Debug)]
struct Entry {
    ticket: Arc<Ticket>,
    /// Those of the latest ICE restart, in place of the ticket's.
    restarted: Option<Box<Restart>>,
    /// While a restart of a claimed session is under way: ours before it.
    before: Option<Box<IceCredentials>>,
}

impl Entry {
    fn current(&self) -> &IceCredentials {
        self.restarted.as_ref().map_or(&self.ticket.admission.local, |restart| &restart.local)
    }

    /// Our password to that user fragment.
    fn pwd(&self, ufrag: &str) -> Option<&str> {
        let known = [Some(self.current()), self.before.as_deref()];
        known.into_iter().flatten().find(|known| known.ufrag == ufrag).map(|known| known.pwd.as_str())
    }
}

impl Tickets {
    /// Takes a ticket; signalling never gives two sessions the same user fragment.
    pub fn insert(&mut self, ticket: Arc<Ticket>) {
        self.by_ufrag.insert(ticket.admission.local.ufrag.as_str().into(), ticket.clone());
        let entry = Entry { ticket: ticket.clone(), restarted: None, before: None };
        self.by_session.insert(ticket.admission.session, entry);
    }

    /// The session that a STUN check's user name is for, and the password that proves it.
    pub fn by_ufrag(&self, ufrag: &str) -> Option<(&Arc<Ticket>, &str)> {
        let ticket = self.by_ufrag.get(ufrag)?;
        let pwd = self.by_session.get(&ticket.admission.session)?.pwd(ufrag)?;
        Some((ticket, pwd))
    }

    /// The ticket of a session.
    pub fn by_session(&self, session: SessionId) -> Option<&Arc<Ticket>> {
        self.by_session.get(&session).map(|entry| &entry.ticket)
    }

    /// The credentials of a session's latest restart.
    pub fn restarted(&self, session: SessionId) -> Option<&Restart> {
        self.by_session.get(&session)?.restarted.as_deref()
    }

    /// An ICE restart: checks come with new credentials. Those before still lead to a session that has an owner,
    /// who may have a pair to keep; nobody else has.
    pub fn restart(&mut self, restart: Restart) {
        let Some(entry) = self.by_session.get_mut(&restart.session) else { return };
        self.by_ufrag.insert(restart.local.ufrag.as_str().into(), entry.ticket.clone());
        let replaced = entry.current().clone();
        entry.restarted = Some(Box::new(restart));
        if entry.before.is_none() && entry.ticket.owner().is_some() {
            entry.before = Some(Box::new(replaced));
        } else {
            self.by_ufrag.remove(replaced.ufrag.as_str());
        }
    }

    /// A restart is over: what was before is forgotten.
    pub fn settle(&mut self, session: SessionId) {
        let before = self.by_session.get_mut(&session).and_then(|entry| entry.before.take());
        if let Some(before) = before {
            self.by_ufrag.remove(before.ufrag.as_str());
        }
    }

    /// Notes what a session has muted, if there is that session.
    pub fn mute(&mut self, session: SessionId, muted: [bool; 2]) {
        if self.by_session.contains_key(&session) {
            self.muted.insert(session, muted);
        }
    }

    /// What a session has muted.
    pub fn muted(&self, session: SessionId) -> [bool; 2] {
        self.muted.get(&session).copied().unwrap_or_default()
    }

    /// Notes what a viewer asks for, if there is that session.
    pub fn select(&mut self, session: SessionId, selection: Option<LayerSelection>) {
        match selection.filter(|_| self.by_session.contains_key(&session)) {
            Some(selection) => self.selected.insert(session, selection),
            None => self.selected.remove(&session),
        };
    }

    /// What a viewer has asked for.
    pub fn selected(&self, session: SessionId) -> Option<LayerSelection> {
        self.selected.get(&session).copied()
    }

    /// Forgets a session.
    pub fn remove(&mut self, session: SessionId) -> Option<Arc<Ticket>> {
        self.muted.remove(&session);
        self.selected.remove(&session);
        self.settle(session);
        let entry = self.by_session.remove(&session)?;
        self.by_ufrag.remove(entry.current().ufrag.as_str());
        Some(entry.ticket)
    }

    /// Every session, oldest first.
    pub fn sessions(&self) -> Vec<SessionId> {
        let mut sessions: Vec<_> = self.by_session.keys().copied().collect();
        sessions.sort_unstable();
        sessions
    }
}

/// Who is behind a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A peer of this shard, by its key.
    Peer(usize),
    /// A session of another shard.
    Stray(ShardId),
}

/// Remote addresses that have passed an authenticated check.
#[derive(Debug, Default)]
pub struct Routes {
    routes: HashMap<Remote, Route>,
    strays: VecDeque<Remote>,
}

impl Routes {
    /// Who is behind `address`.
    pub fn find(&self, address: Remote) -> Option<Route> {
        self.routes.get(&address).copied()
    }

    /// `address` belongs to a peer here.
    pub fn insert_peer(&mut self, address: Remote, key: usize) {
        self.routes.insert(address, Route::Peer(key));
    }

    /// `address` belongs to a session of another shard.
    pub fn insert_stray(&mut self, address: Remote, shard: ShardId) {
        let before = self.routes.insert(address, Route::Stray(shard));
        if !matches!(before, Some(Route::Stray(_))) {
            self.strays.push_back(address);
        }
        if self.strays.len() > STRAYS_MAX
            && let Some(oldest) = self.strays.pop_front()
            && matches!(self.find(oldest), Some(Route::Stray(_)))
        {
            self.routes.remove(&oldest);
        }
    }

    /// A path to another shard's session is gone.
    pub fn remove_stray(&mut self, address: Remote) {
        if matches!(self.find(address), Some(Route::Stray(_))) {
            self.routes.remove(&address);
            self.strays.retain(|stray| *stray != address);
        }
    }

    /// Forgets the address of a peer, unless somebody else has it by now.
    pub fn remove_peer(&mut self, address: Remote, key: usize) {
        if self.find(address) == Some(Route::Peer(key)) {
            self.routes.remove(&address);
        }
    }
}
