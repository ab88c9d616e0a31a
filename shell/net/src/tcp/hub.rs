//! The thread: accepts, reads, writes, closes, and sleeps when there is nothing of it to do.

use super::TcpLimits;
use super::connection::{Connection, End};
use super::end::{Arrival, Bell, Leaving, Outlet, TcpEnd, bell};
use super::places::{Place, Places};
use crate::address::canonical;
use crate::counters::{NetCounter, NetCounters};
use crate::wake::Waker;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use wtn_engine::Wake;
use wtn_media::{ConnectionId, Remote};

/// Frames that wait for one shard: a fifth of a second of publishers with 10 Mbit/s together. What does not fit is
/// lost, as in a UDP socket's full buffer.
const INBOX: usize = 1024;

/// Runs that wait for the thread, of all shards.
const OUTBOX: usize = 4096;

/// Runs, or new connections, taken before connections are read again.
const TURN: usize = 256;

/// The kernel's own buffer for a client that is slow to take what is sent. Left alone it would grow to megabytes,
/// and what waits in it for seconds is worth nothing.
const SEND_BUFFER: usize = 256 << 10;

/// Until connections are accepted again when the system has no file descriptor left, and until a shard whose inbox
/// is full is told again that a connection is gone.
const PAUSE: Duration = Duration::from_millis(20);

const LISTENER: Token = Token(usize::MAX);
const BELL: Token = Token(usize::MAX - 1);

/// A shard as the thread sees it.
struct Home {
    to: SyncSender<Arrival>,
    waker: Arc<Waker>,
    is_to_wake: bool,
}

pub(super) struct Hub {
    poll: Poll,
    listener: TcpListener,
    limits: TcpLimits,
    counters: Arc<NetCounters>,
    bell: Arc<Bell>,
    leaving: Receiver<Leaving>,
    in_flight: Arc<AtomicUsize>,
    homes: Vec<Home>,
    connections: Slab<Connection>,
    by_id: HashMap<ConnectionId, usize>,
    last_id: u32,
    places: Places,
    /// Connections with something to read, in turn.
    turns: VecDeque<usize>,
    /// Shards that could not be told yet. At most one entry for each shard and connection.
    untold: VecDeque<(usize, Remote)>,
    may_accept: bool,
    accept_again: Option<Instant>,
    has_more_leaving: bool,
    scratch: Box<[u8]>,
}

impl Hub {
    pub fn new(
        listener: std::net::TcpListener,
        wakers: &[Arc<Waker>],
        limits: TcpLimits,
        counters: Arc<NetCounters>,
    ) -> io::Result<(Self, Vec<TcpEnd>)> {
        let poll = Poll::new()?;
        let bell = bell(poll.registry(), BELL)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (out, leaving) = sync_channel(OUTBOX);
        let in_flight = Arc::<AtomicUsize>::default();
        let (mut homes, mut ends) = (Vec::new(), Vec::new());
        for (shard, waker) in wakers.iter().enumerate() {
            let (to, inbox) = sync_channel(INBOX);
            homes.push(Home { to, waker: waker.clone(), is_to_wake: false });
            let outlet = Outlet::new(shard, out.clone(), in_flight.clone(), bell.clone());
            ends.push(TcpEnd { inbox, outlet });
        }
        let hub = Self {
            poll,
            listener,
            limits,
            counters,
            bell,
            leaving,
            in_flight,
            homes,
            connections: Slab::new(),
            by_id: HashMap::new(),
            last_id: 0,
            places: Places::default(),
            turns: VecDeque::new(),
            untold: VecDeque::new(),
            may_accept: true,
            accept_again: None,
            has_more_leaving: false,
            scratch: vec![0; 16 << 10].into_boxed_slice(),
        };
        Ok((hub, ends))
    }

    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// The whole life of the thread. It may end, but never silently.
    pub fn run_guarded(mut self, stop: &AtomicBool) {
        match catch_unwind(AssertUnwindSafe(|| self.run(stop))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "ICE-TCP has ended; clients that need it are lost"),
            Err(_) => tracing::error!("ICE-TCP has panicked; clients that need it are lost"),
        }
    }

    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let tick = self.tick();
        let mut next_tick = Instant::now() + tick;
        while !stop.load(Ordering::Acquire) {
            let timeout = self.timeout(next_tick);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = Instant::now();
            self.bell.heard();
            for event in &events {
                match event.token() {
                    LISTENER => self.may_accept = true,
                    BELL => {}
                    Token(key) => self.on_ready(now, key, event),
                }
            }
            self.send(now, TURN);
            self.read(now);
            self.accept(now);
            if now >= next_tick {
                next_tick = now + tick;
                self.close_overdue(now);
            }
            self.tell_untold();
            self.wake_homes();
        }
        // What shards said last, goodbyes above all.
        self.send(Instant::now(), usize::MAX);
        Ok(())
    }

    /// How often deadlines are looked at: often enough that none is passed by much.
    fn tick(&self) -> Duration {
        let TcpLimits { prove_within, frame_within, stalled, idle, .. } = self.limits;
        let shortest = prove_within.min(frame_within).min(stalled).min(idle);
        (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    fn timeout(&self, next_tick: Instant) -> Option<Duration> {
        let has_more = !self.turns.is_empty() || self.has_more_leaving || self.may_accept;
        if has_more {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let tick = (!self.connections.is_empty()).then_some(next_tick);
        let untold = (!self.untold.is_empty()).then_some(now + PAUSE);
        let at = [tick, untold, self.accept_again].into_iter().flatten().min()?;
        Some(at.saturating_duration_since(now))
    }

    fn accept(&mut self, now: Instant) {
        if self.accept_again.is_some_and(|at| now >= at) {
            (self.accept_again, self.may_accept) = (None, true);
        }
        for _ in 0..TURN {
            if !self.may_accept {
                return;
            }
            match self.listener.accept() {
                Ok((stream, from)) => self.enter(now, stream, Remote::from(canonical(from))),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.may_accept = false,
                    // Gone before we looked.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {}
                    _ => {
                        self.counters.add(NetCounter::TcpAcceptFailed, 1);
                        tracing::debug!(%error, "a connection was not accepted");
                        (self.may_accept, self.accept_again) = (false, Some(now + PAUSE));
                    }
                },
            }
        }
    }

    fn enter(&mut self, now: Instant, mut stream: TcpStream, from: Remote) {
        let place = Place::of(from.address.ip());
        if !self.places.enter(place, &self.limits) {
            self.counters.add(NetCounter::TcpRefused, 1);
            return abort(&stream);
        }
        let entry = self.connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(entry.key()), both) {
            tracing::debug!(%error, "a connection cannot be watched");
            self.counters.add(NetCounter::TcpAcceptFailed, 1);
            return self.places.leave(place, false);
        }
        let options = SockRef::from(&stream);
        for result in [options.set_tcp_nodelay(true), options.set_send_buffer_size(SEND_BUFFER)] {
            if let Err(error) = result {
                tracing::debug!(%error, "the system refuses an option of a connection");
            }
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let id = ConnectionId(NonZeroU32::new(self.last_id).unwrap_or(NonZeroU32::MIN));
        let home = self.last_id as usize % self.homes.len().max(1);
        self.by_id.insert(id, entry.key());
        entry.insert(Connection::new(now, stream, Remote::tcp(from.address, id), home));
        self.counters.add(NetCounter::TcpAccepted, 1);
    }

    fn on_ready(&mut self, now: Instant, key: usize, event: &mio::event::Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let is_readable = event.is_readable() || event.is_read_closed() || event.is_error();
        if is_readable && !std::mem::replace(&mut connection.is_in_turn, true) {
            self.turns.push_back(key);
        }
        if event.is_writable()
            && let Err(end) = connection.flush(now)
        {
            self.close(key, end);
        }
    }

    /// Takes what shards send, `budget` runs of it.
    fn send(&mut self, now: Instant, budget: usize) {
        self.has_more_leaving = false;
        for turn in 0.. {
            if turn >= budget {
                self.has_more_leaving = true;
                return;
            }
            let Ok(leaving) = self.leaving.try_recv() else { return };
            self.in_flight.fetch_sub(leaving.frames.len(), Ordering::AcqRel);
            self.send_one(now, &leaving);
        }
    }

    fn send_one(&mut self, now: Instant, leaving: &Leaving) {
        let key = self.by_id.get(&leaving.connection).copied();
        let Some((key, connection)) = key.and_then(|key| Some((key, self.connections.get_mut(key)?))) else {
            return self.counters.add(NetCounter::TcpSendDropGone, 1);
        };
        connection.home = leaving.home;
        if !std::mem::replace(&mut connection.is_proven, true) {
            self.places.prove(connection.place);
        }
        match connection.push(now, &leaving.frames, self.limits.queue) {
            Ok((taken, dropped)) => {
                self.counters.add(NetCounter::TcpSent, taken);
                self.counters.add(NetCounter::TcpSendDropSlow, dropped);
            }
            Err(end) => self.close(key, end),
        }
    }

    /// Gives each connection that waits one turn.
    fn read(&mut self, now: Instant) {
        for _ in 0..self.turns.len() {
            let Some(key) = self.turns.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let (remote, home, counters) = (connection.remote, connection.home, &self.counters);
            let mut home = self.homes.get_mut(home);
            let outcome = connection.read(now, &mut self.scratch, |frame| {
                let Some(home) = &mut home else { return };
                counters.add(NetCounter::TcpReceived, 1);
                home.is_to_wake = true;
                if home.to.try_send(Arrival::Frame(remote, frame.into())).is_err() {
                    counters.add(NetCounter::TcpReceiveOverflow, 1);
                }
            });
            connection.is_in_turn = outcome == Ok(true);
            match outcome {
                Ok(true) => self.turns.push_back(key),
                Ok(false) => {}
                Err(end) => self.close(key, end),
            }
        }
    }

    fn close_overdue(&mut self, now: Instant) {
        let overdue: Vec<_> = self
            .connections
            .iter()
            .filter_map(|(key, connection)| Some((key, connection.overdue(now, &self.limits)?)))
            .collect();
        for (key, end) in overdue {
            self.close(key, end);
        }
    }

    fn close(&mut self, key: usize, end: End) {
        let Some(mut connection) = self.connections.try_remove(key) else { return };
        self.counters.add(end.counter(), 1);
        let Remote { connection: id, .. } = connection.remote;
        if let Some(id) = id {
            self.by_id.remove(&id);
        }
        self.turns.retain(|turn| *turn != key);
        self.places.leave(connection.place, connection.is_proven);
        // It would be closed anyway; this says so to the poll.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        if end != End::ByPeer {
            abort(&connection.stream);
        }
        if connection.is_proven {
            // Its session may have moved since: all may know it.
            for shard in 0..self.homes.len() {
                self.tell(shard, connection.remote);
            }
        }
    }

    fn tell(&mut self, shard: usize, gone: Remote) {
        let Some(home) = self.homes.get_mut(shard) else { return };
        home.is_to_wake = true;
        if let Err(TrySendError::Full(_)) = home.to.try_send(Arrival::Gone(gone)) {
            self.untold.push_back((shard, gone));
        }
    }

    fn tell_untold(&mut self) {
        for (shard, gone) in std::mem::take(&mut self.untold) {
            self.tell(shard, gone);
        }
    }

    fn wake_homes(&mut self) {
        for home in &mut self.homes {
            if std::mem::take(&mut home.is_to_wake) {
                home.waker.wake();
            }
        }
    }
}

/// What is closed next is closed at once: nothing that waits in the kernel is worth keeping.
fn abort(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed the slow way");
    }
}
