//! ICE-TCP: for clients whose network lets no UDP through. The port of media is also a TCP port; a client connects
//! to it, and every datagram travels as a frame (RFC 6544, RFC 4571).
//!
//! One thread of its own has the listener and all connections. Shards know a connection by its number alone: what
//! comes in is handed to a shard, what goes out to the thread, both by bounded channels. So any shard can serve any
//! connection, no shard ever waits for a client that does not read, and those who have UDP pay nothing for it. See
//! `docs/decisions/0009-ice-tcp.md`.
//!
//! | question | file |
//! |---|---|
//! | what does a shard see of it? | `tcp/end.rs` |
//! | what does the thread do all day? | `tcp/hub.rs` |
//! | what is kept for a connection, and when is it closed? | `tcp/connection.rs` |
//! | who may connect how often? | `tcp/places.rs` |

mod connection;
mod end;
mod hub;
mod places;
#[cfg(test)]
mod tests;

pub use end::TcpEnd;
pub(crate) use end::{Arrival, Outlet};

use crate::address::is_everything;
use crate::counters::NetCounters;
use crate::owner::Protocol;
use crate::socket::BindError;
use crate::wake::Waker;
use hub::Hub;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Connections that the kernel keeps until the thread takes them: those of one burst.
const BACKLOG: i32 = 1024;

/// What connections may take, and how long they may do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at a time. Each keeps up to [`queue`](Self::queue) and as much again in the kernel when its
    /// client is slow, some hundred bytes otherwise.
    pub connections: usize,
    /// Those from one place, an IPv4 address or an IPv6 network of 64 bits. A network that forbids UDP is mostly a
    /// company's, with hundreds of people behind one address.
    pub per_place: usize,
    /// Those from one place that have not proved themselves by an authentic check. A browser makes one for each
    /// address of ours and is through within a round trip.
    pub unproven_per_place: usize,
    /// Bytes that wait for one slow client; further packets are dropped. Two seconds of 2 Mbit/s: later than that
    /// nobody wants to see them.
    pub queue: usize,
    /// How long a connection may be open without an authentic check.
    pub prove_within: Duration,
    /// How long a frame may take from its first byte to its last.
    pub frame_within: Duration,
    /// How long a client may take nothing of what waits for it.
    pub stalled: Duration,
    /// How long it may say nothing. Browsers check a path that they keep in reserve every 25 s.
    pub idle: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 2048,
            per_place: 512,
            unproven_per_place: 64,
            queue: 512 << 10,
            prove_within: Duration::from_secs(10),
            frame_within: Duration::from_secs(10),
            stalled: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// The media port by TCP, open and not yet served.
#[derive(Debug)]
pub struct TcpPort(TcpListener);

impl TcpPort {
    /// Listens on `addr`, that of the UDP sockets with the port that they got. `[::]` takes IPv4 too.
    ///
    /// # Errors
    ///
    /// Whatever keeps the port from being ours, with the fix in its text.
    pub fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        Self::open(addr).map(Self).map_err(|error| BindError::new(Protocol::Tcp, addr, error))
    }

    fn open(addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(!is_everything(addr))?;
        }
        // A server that starts anew would wait a minute for the last one's connections. On Windows the option would
        // let two servers have the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }

    /// Starts the thread, named `wtn-tcp`, and answers with its handle and each shard's end of it. `wakers` are the
    /// shards', in their order.
    ///
    /// # Errors
    ///
    /// The system has no thread, or no file descriptor, left.
    pub fn serve(self, wakers: &[Arc<Waker>], limits: TcpLimits) -> io::Result<(TcpWorker, Vec<TcpEnd>)> {
        let counters = Arc::<NetCounters>::default();
        let (hub, ends) = Hub::new(self.0, wakers, limits, counters.clone())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel();
        let worker = TcpWorker { stop: stop.clone(), bell: hub.bell(), counters, ended };
        thread::Builder::new().name("wtn-tcp".into()).spawn(move || {
            // Dropped last: who sees it gone finds the port free.
            let _end: mpsc::Sender<()> = end;
            hub.run_guarded(&stop);
        })?;
        Ok((worker, ends))
    }
}

/// The handle of the thread. Dropped, it asks the thread to end without waiting for it.
#[derive(Debug)]
pub struct TcpWorker {
    stop: Arc<AtomicBool>,
    bell: Arc<end::Bell>,
    counters: Arc<NetCounters>,
    ended: mpsc::Receiver<()>,
}

impl TcpWorker {
    /// What its connections have done.
    pub fn counters(&self) -> Arc<NetCounters> {
        self.counters.clone()
    }

    /// Ends the thread, after what shards have handed to it is written as far as clients take it, and waits for that
    /// up to `within`. False if it took longer. To be called when the shards have ended.
    pub fn stop(self, within: Duration) -> bool {
        self.ask_to_stop();
        !matches!(self.ended.recv_timeout(within), Err(RecvTimeoutError::Timeout))
    }

    fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Drop for TcpWorker {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}
