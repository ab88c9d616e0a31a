//! A shard's end of ICE-TCP: an inbox of frames that have come, an outlet for those that leave.

use crate::counters::{NetCounter, NetCounters};
use mio::Waker;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use wtn_engine::Run;
use wtn_media::{ConnectionId, Remote};
use wtn_session::frames::write_frame;

/// Bytes on their way from all shards to the thread, which takes them within a pass. A keyframe for some hundred
/// viewers fits; what does not is dropped, as a full socket buffer would.
const IN_FLIGHT_MAX: usize = 32 << 20;

/// What the thread tells a shard.
pub(crate) enum Arrival {
    /// A datagram has come by this connection.
    Frame(Remote, Box<[u8]>),
    /// The connection is no more.
    Gone(Remote),
}

/// What a shard hands to the thread: frames for one connection.
pub(super) struct Leaving {
    pub connection: ConnectionId,
    /// The shard: it answers, so the connection's session is there, and what comes by it goes there from now on.
    pub home: usize,
    pub frames: Vec<u8>,
}

/// Wakes the thread, once for however many calls until it has looked.
pub(super) struct Bell {
    waker: Waker,
    has_rung: AtomicBool,
}

impl Bell {
    pub fn new(waker: Waker) -> Self {
        Self { waker, has_rung: AtomicBool::new(false) }
    }

    pub fn ring(&self) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            // It fails only when it rings already, or when nobody is there to hear it.
            let _ = self.waker.wake();
        }
    }

    /// The thread looks now: who has something for it later rings again.
    pub fn heard(&self) {
        self.has_rung.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

/// One shard's end, to be given to its thread.
pub struct TcpEnd {
    pub(crate) inbox: Receiver<Arrival>,
    pub(crate) outlet: Outlet,
}

impl fmt::Debug for TcpEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpEnd").field("shard", &self.outlet.shard).finish_non_exhaustive()
    }
}

/// Where a shard's frames leave.
pub(crate) struct Outlet {
    shard: usize,
    to: SyncSender<Leaving>,
    in_flight: Arc<AtomicUsize>,
    bell: Arc<Bell>,
}

impl Outlet {
    pub(super) fn new(
        shard: usize,
        to: SyncSender<Leaving>,
        in_flight: Arc<AtomicUsize>,
        bell: Arc<Bell>,
    ) -> Self {
        Self { shard, to, in_flight, bell }
    }

    /// Hands a run for `connection` to the thread, or drops and counts it.
    pub fn send(&mut self, arena: &[u8], run: &Run, connection: ConnectionId, counters: &NetCounters) {
        let Some(bytes) = run.start.checked_add(run.len).and_then(|end| arena.get(run.start..end)) else {
            return counters.add(NetCounter::SendDropRefused, 1);
        };
        let datagrams = bytes.chunks(run.segment.max(1));
        let count = datagrams.len();
        let mut frames = Vec::with_capacity(bytes.len() + 2 * count);
        for datagram in datagrams {
            if !write_frame(datagram, &mut frames) {
                counters.add(NetCounter::SendDropRefused, 1);
            }
        }
        let len = frames.len();
        let leaving = Leaving { connection, home: self.shard, frames };
        let has_room = self.in_flight.fetch_add(len, Ordering::AcqRel) + len <= IN_FLIGHT_MAX;
        if !has_room || self.to.try_send(leaving).is_err() {
            self.in_flight.fetch_sub(len, Ordering::AcqRel);
            counters.add(NetCounter::TcpSendDropBusy, count as u64);
        }
    }

    /// Tells the thread that there is something.
    pub fn flush(&self) {
        self.bell.ring();
    }
}

/// The bell of a poll.
pub(super) fn bell(registry: &mio::Registry, token: mio::Token) -> io::Result<Arc<Bell>> {
    Waker::new(registry, token).map(|waker| Arc::new(Bell::new(waker)))
}
