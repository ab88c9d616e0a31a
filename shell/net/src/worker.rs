//! A shard's thread: sleeps until there is something to do, then does all of it in one pass.
//!
//! A pass never waits for more to arrive. When there is little to do, passes are short and runs are single
//! packets; when there is much, the next pass finds more, and batches grow by themselves.

use crate::counters::{NetCounter, NetCounters};
use crate::recv::{RECV_BUDGET, Receiver};
use crate::send::{EgressOptions, SocketEgress};
use crate::socket::MediaSocket;
use crate::tcp::{Arrival, TcpEnd};
use crate::wake::{Ready, Waker};
use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use wtn_engine::{Event, Shard, ShardId, Wake};

/// Takes an event to the control plane without waiting; one that finds no room comes back, and is brought
/// again before any later one. It is dropped when the thread ends, which tells a channel's other end.
pub type EventSink = Box<dyn FnMut(Event) -> Result<(), Event> + Send>;

/// How soon an event is brought again. Nobody waits for one longer than that; a control plane that is behind
/// has no use for more haste.
const EVENT_RETRY: Duration = Duration::from_millis(5);

/// Failed system calls in a row until the socket is taken to be lost. An error that an earlier datagram left
/// behind is reported once and gone.
const FAULTS_MAX: u32 = 100;

/// Starts the thread of `shard`, named `wtn-shard-N`. `waker` is the one that the engine was built with for
/// this shard.
///
/// # Errors
///
/// The system has no thread, or no file descriptor, left.
pub fn spawn(shard: Shard, socket: MediaSocket, waker: Arc<Waker>, events: EventSink) -> io::Result<Worker> {
    spawn_with(shard, Ends { socket, tcp: None }, waker, events, EgressOptions::default())
}

/// The ends of the network that a shard has.
#[derive(Debug)]
pub struct Ends {
    /// Its UDP socket.
    pub socket: MediaSocket,
    /// Its end of ICE-TCP, where that is on.
    pub tcp: Option<TcpEnd>,
}

/// [`spawn`] for an operator who wants clients by TCP too, or it sent differently.
///
/// # Errors
///
/// As of [`spawn`].
pub fn spawn_with(
    shard: Shard,
    ends: Ends,
    waker: Arc<Waker>,
    events: EventSink,
    options: EgressOptions,
) -> io::Result<Worker> {
    let Ends { socket, tcp } = ends;
    waker.attach(&socket)?;
    let id = shard.id();
    let flags = Arc::<Flags>::default();
    let counters = Arc::<NetCounters>::default();
    let (end, ended) = mpsc::channel();
    let worker = Worker { id, flags, waker, counters, ended };
    let (flags, waker, counters) = (worker.flags.clone(), worker.waker.clone(), worker.counters.clone());
    let driver =
        Driver { shard, waker, flags, counters, options, events: Events { sink: events, kept: None } };
    thread::Builder::new().name(format!("wtn-shard-{}", id.0)).spawn(move || {
        // Declared first, so dropped last: who sees the end finds port and shard released.
        let mut ending = Ending { flags: driver.flags.clone(), has_died: true, _end: end };
        let (mut driver, socket) = (driver, socket);
        ending.has_died = driver.run_guarded(&socket, tcp).is_err();
    })?;
    Ok(worker)
}

/// The handle of a shard's thread. Dropped, it asks the thread to end without waiting for it.
#[derive(Debug)]
pub struct Worker {
    id: ShardId,
    flags: Arc<Flags>,
    waker: Arc<Waker>,
    counters: Arc<NetCounters>,
    ended: mpsc::Receiver<()>,
}

#[derive(Debug, Default)]
struct Flags {
    should_stop: AtomicBool,
    has_ended: AtomicBool,
    has_died: AtomicBool,
}

/// A worker that did not stop as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopError {
    /// It had ended before, by a panic or a lost socket; the log has the reason.
    Died(ShardId),
    /// It did not end its pass in time. The thread is left alone.
    Stuck(ShardId),
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died(shard) => write!(f, "shard {} had died", shard.0),
            Self::Stuck(shard) => write!(f, "shard {} did not stop in time", shard.0),
        }
    }
}

impl std::error::Error for StopError {}

impl Worker {
    /// Whose thread it is.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// What its socket has done.
    pub fn counters(&self) -> Arc<NetCounters> {
        self.counters.clone()
    }

    /// False once the thread has ended. Unasked, that is a bug or a lost socket: the shard's sessions are
    /// gone without a word, and only a new process brings them back.
    pub fn is_alive(&self) -> bool {
        !self.flags.has_ended.load(Ordering::Acquire)
    }

    /// Ends the thread after the pass that it is in, and waits for that up to `within`. Who wants goodbyes
    /// said sends [`Drain`](wtn_engine::Command::Drain) and awaits [`Drained`](Event::Drained) first.
    ///
    /// # Errors
    ///
    /// It had died before, or is stuck.
    pub fn stop(self, within: Duration) -> Result<(), StopError> {
        self.ask_to_stop();
        match self.ended.recv_timeout(within) {
            Err(RecvTimeoutError::Timeout) => Err(StopError::Stuck(self.id)),
            _ if self.flags.has_died.load(Ordering::Acquire) => Err(StopError::Died(self.id)),
            _ => Ok(()),
        }
    }

    fn ask_to_stop(&self) {
        self.flags.should_stop.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Says that the thread has ended, however it ends.
struct Ending {
    flags: Arc<Flags>,
    has_died: bool,
    _end: mpsc::Sender<()>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.flags.has_died.store(self.has_died, Ordering::Release);
        self.flags.has_ended.store(true, Ordering::Release);
    }
}

/// It ended for a reason that is in the log.
struct Died;

/// What the thread owns.
struct Driver {
    shard: Shard,
    waker: Arc<Waker>,
    flags: Arc<Flags>,
    counters: Arc<NetCounters>,
    options: EgressOptions,
    events: Events,
}

impl Driver {
    /// The whole life of the thread. It may end, but never silently.
    fn run_guarded(&mut self, socket: &MediaSocket, tcp: Option<TcpEnd>) -> Result<(), Died> {
        let shard = self.shard.id().0;
        match catch_unwind(AssertUnwindSafe(|| self.run(socket, tcp))) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => {
                tracing::error!(shard, %error, "the media socket is lost, and the shard with it")
            }
            Err(panic) => {
                tracing::error!(
                    shard,
                    panic = message_of(&*panic),
                    "the shard panicked; its sessions are lost"
                );
            }
        }
        Err(Died)
    }

    fn run(&mut self, socket: &MediaSocket, tcp: Option<TcpEnd>) -> io::Result<()> {
        let (inbox, outlet) = tcp.map(|end| (end.inbox, end.outlet)).unzip();
        let mut receiver = Receiver::new(socket, self.counters.clone());
        let mut egress = SocketEgress::new(socket, self.counters.clone(), self.options).with_tcp(outlet);
        let mut more = true;
        let mut faults = 0;
        while !self.flags.should_stop.load(Ordering::Acquire) {
            let outcome = self.wait(socket, more).and_then(|ready| {
                self.waker.begin_pass();
                self.pass(ready, &mut receiver, inbox.as_ref(), &mut egress)
            });
            more = match outcome {
                Ok(more) => {
                    faults = 0;
                    more
                }
                Err(error) => {
                    faults += 1;
                    if faults == FAULTS_MAX {
                        return Err(error);
                    }
                    tracing::debug!(%error, "a call on the media socket failed");
                    false
                }
            };
        }
        self.events.say_what_is_lost();
        Ok(())
    }

    /// Sleeps until there is something to do; not at all while the socket has `more`.
    fn wait(&self, socket: &MediaSocket, more: bool) -> io::Result<Ready> {
        if more {
            return Ok(Ready { datagrams: true, bell: false });
        }
        let timer = self.shard.next_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        let retry = self.events.kept.is_some().then_some(EVENT_RETRY);
        let timeout = timer.into_iter().chain(retry).min();
        self.waker.sleep(socket, timeout)
    }

    /// One pass; true if the socket or the inbox has more.
    fn pass(
        &mut self,
        ready: Ready,
        receiver: &mut Receiver<'_>,
        inbox: Option<&mpsc::Receiver<Arrival>>,
        egress: &mut SocketEgress<'_>,
    ) -> io::Result<bool> {
        let shard = &mut self.shard;
        let now = Instant::now();
        self.counters.add(NetCounter::Passes, 1);
        shard.handle_inbox(now);
        let received = if ready.datagrams {
            receiver.receive(RECV_BUDGET, |from, datagram| shard.handle_datagram(now, from, datagram))
        } else {
            Ok(Default::default())
        };
        let by_tcp = inbox.map_or(0, |inbox| take_arrivals(shard, now, inbox));
        if shard.next_timeout().is_some_and(|at| at <= now) {
            shard.handle_timeout(now);
        }
        // Also after a failed call: what came in before it is served.
        egress.begin_pass();
        shard.flush(egress);
        self.events.deliver(shard);
        self.counters.add(NetCounter::BusyNs, now.elapsed().as_nanos() as u64);
        received.map(|received| received.more || by_tcp == RECV_BUDGET)
    }
}

/// What has come by TCP, as much as a pass takes; the answer counts it.
fn take_arrivals(shard: &mut Shard, now: Instant, inbox: &mpsc::Receiver<Arrival>) -> usize {
    let mut taken = 0;
    for arrival in inbox.try_iter().take(RECV_BUDGET) {
        match arrival {
            Arrival::Frame(from, mut datagram) => shard.handle_datagram(now, from, &mut datagram),
            Arrival::Gone(remote) => shard.handle_disconnect(now, remote),
        }
        taken += 1;
    }
    taken
}

/// Events on their way to the control plane, in order, none lost while the thread lives.
struct Events {
    sink: EventSink,
    /// The one that found no room.
    kept: Option<Event>,
}

impl Events {
    fn deliver(&mut self, shard: &mut Shard) {
        while let Some(event) = self.kept.take().or_else(|| shard.poll_event()) {
            if let Err(event) = (self.sink)(event) {
                self.kept = Some(event);
                return;
            }
        }
    }

    fn say_what_is_lost(&self) {
        if let Some(event) = &self.kept {
            tracing::debug!(?event, "nobody took the last events");
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
