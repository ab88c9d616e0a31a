//! The way out: runs become messages, as large as the kernel takes them, many to a system call.
//!
//! Four things may go wrong, and none of them may stop the rest. A full send buffer is waited for, a little,
//! then a run is lost, as it would be in any queue further on. An address that cannot be reached loses its
//! own run. A kernel, route or device that cannot segment gets one datagram a message. A path too narrow for a
//! datagram gets fragments.

use crate::counters::{NetCounter, NetCounters};
use crate::platform;
use crate::socket::MediaSocket;
use crate::tcp::Outlet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wtn_engine::{Egress, Run};
use wtn_media::Remote;

/// Segments in one message: the kernel's own limit up to 6.9, later ones take 128.
pub const SEGMENTS_MAX: usize = 64;

/// Bytes in one message: the 16 bits of the length, less the headers of IPv6 and UDP.
pub const MESSAGE_BYTES_MAX: usize = 65_535 - 40 - 8;

/// Longest single wait for room in the send buffer; a 10 Gbit/s card takes 600 kB in it. It mostly lasts that
/// long, since the kernel reports room only when half of the buffer is free.
pub(crate) const SEND_WAIT: Duration = Duration::from_micros(500);

/// Waits after which still nothing is taken, 2 ms in all: then the card is stuck, and everybody would be with it.
const IDLE_WAITS_MAX: u32 = 4;

/// Waits in one pass altogether, 20 ms at most: a keyframe for a thousand viewers may be more than all buffers
/// hold, and is better late than lost. Past that the load is more than the card takes, and audio, which is due
/// every 20 ms, and what comes in meanwhile are worth more than the rest of it.
const WAITS_MAX: u32 = 40;

/// Addresses whose datagrams found no room that one pass tells its shard of; the viewers behind any further one ask
/// for what they miss, as for any loss, or starve again in a later pass.
const STARVED_MAX: usize = 4096;

/// Runs refused one after another for their segmentation, while plain datagrams to the same address went
/// through, until segmentation is taken to be missing altogether. Not 1: a single path with a small MTU or a
/// tunnel refuses too, and must not cost everybody else eightfold.
const REFUSALS_MAX: u32 = 8;

/// Runs sent plainly until segmentation is tried again. A try costs about 1 µs; a server that would never try
/// again might pay for one bad minute until its next restart.
const PLAIN_RUNS: u32 = 65_536;

/// How a socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressOptions {
    /// Let the kernel or the network card cut messages into datagrams, where it can.
    pub segmentation: bool,
    /// Messages in one system call, 1 to 32.
    pub batch: usize,
}

impl Default for EgressOptions {
    fn default() -> Self {
        Self { segmentation: true, batch: platform::SEND_BATCH }
    }
}

/// The way out of one shard: its socket, and its outlet to ICE-TCP. Belongs to the thread that makes it.
pub struct SocketEgress<'a> {
    udp: Sender<platform::Wire<'a>>,
    tcp: Option<Outlet>,
    /// Of runs by both transports, those by UDP.
    by_udp: Vec<Run>,
    counters: Arc<NetCounters>,
}

impl<'a> SocketEgress<'a> {
    /// An egress through `socket`.
    pub fn new(socket: &'a MediaSocket, counters: Arc<NetCounters>, options: EgressOptions) -> Self {
        let options = EgressOptions {
            segmentation: options.segmentation && platform::has_gso(),
            batch: options.batch.clamp(1, platform::SEND_BATCH),
        };
        let udp = Sender::new(platform::Wire::new(socket), counters.clone(), options);
        Self { udp, tcp: None, by_udp: Vec::new(), counters }
    }

    /// One that serves clients by TCP too.
    pub(crate) fn with_tcp(self, tcp: Option<Outlet>) -> Self {
        Self { tcp, ..self }
    }

    /// Says that a new pass begins: it may wait for the send buffer anew.
    pub fn begin_pass(&mut self) {
        self.udp.patience = Patience::FULL;
    }
}

impl Egress for SocketEgress<'_> {
    fn send(&mut self, arena: &[u8], runs: &[Run]) {
        let by_tcp = |run: &Run| run.to.connection.is_some();
        if !runs.iter().any(by_tcp) {
            return self.udp.send(arena, runs);
        }
        self.by_udp.clear();
        self.by_udp.extend(runs.iter().filter(|run| !by_tcp(run)));
        self.udp.send(arena, &self.by_udp);
        // Without it nobody can have come by TCP.
        let Some(tcp) = &mut self.tcp else { return };
        for run in runs {
            if let Some(connection) = run.to.connection {
                tcp.send(arena, run, connection, &self.counters);
            }
        }
        tcp.flush();
    }

    fn poll_starved(&mut self) -> Option<Remote> {
        self.udp.starved.pop()
    }
}

impl fmt::Debug for SocketEgress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketEgress").field("segmentation", &self.udp.segmentation).finish_non_exhaustive()
    }
}

/// What the kernel does for the sender: two calls.
pub(crate) trait Transport {
    /// Sends some of `messages`, from the first on; the answer is how many, at least one. A refusal is about
    /// the first. Every message lies within `arena`.
    fn send(&mut self, arena: &[u8], messages: &[Run]) -> Result<usize, Refusal>;

    /// Waits up to [`SEND_WAIT`] for room in the send buffer.
    fn wait_writable(&mut self);

    /// Whether datagrams longer than their path allows go out as fragments; at first they are refused.
    fn allow_fragments(&mut self, allowed: bool);
}

/// Why the kernel did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    any(not(target_os = "linux"), feature = "portable"),
    allow(dead_code, reason = "std cannot tell some of them")
)]
pub(crate) enum Refusal {
    /// The send buffer is full.
    Full,
    /// It may take the same bytes as single datagrams.
    Segmentation,
    /// A datagram is longer than the path to that address allows.
    TooLong,
    /// Forbidden: by a firewall for that address, or by a sandbox for messages of many datagrams.
    Forbidden,
    /// There is no way to that address, now or for us.
    Unreachable,
    /// Anything else.
    Other,
}

/// Turns runs into messages and messages into system calls.
pub(crate) struct Sender<T> {
    transport: T,
    counters: Arc<NetCounters>,
    segmentation: Segmentation,
    patience: Patience,
    batch: Vec<Run>,
    batch_max: usize,
    /// Who lost something for want of room.
    starved: Vec<Remote>,
}

/// How often this pass may still wait.
#[derive(Clone, Copy, Debug)]
struct Patience {
    waits_left: u32,
    /// Waits until something has to be taken again.
    idle_left: u32,
}

impl Patience {
    const FULL: Self = Self { waits_left: WAITS_MAX, idle_left: IDLE_WAITS_MAX };

    fn is_over(self) -> bool {
        self.waits_left == 0 || self.idle_left == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segmentation {
    /// The platform has none, or the operator switched it off.
    Never,
    /// In use.
    On { refusals: u32 },
    /// Refused too often; tried again after that many runs.
    Paused { runs_left: u32 },
}

/// How far a [`Sender::send`] has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The run at hand and the bytes of it that are done.
    run: usize,
    offset: usize,
    manner: Manner,
}

/// How the run at hand goes out, from the best to the last resort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// In messages as long as they may be.
    Segmented,
    /// Segmentation was refused: one datagram a message.
    Plain,
    /// Its datagrams were refused for their length: one a message, and fragments are allowed.
    Fragmented,
}

impl<T: Transport> Sender<T> {
    pub(crate) fn new(transport: T, counters: Arc<NetCounters>, options: EgressOptions) -> Self {
        let segmentation =
            if options.segmentation { Segmentation::On { refusals: 0 } } else { Segmentation::Never };
        let (batch, patience) = (Vec::with_capacity(options.batch), Patience::FULL);
        let (batch_max, starved) = (options.batch, Vec::new());
        Self { transport, counters, segmentation, patience, batch, batch_max, starved }
    }

    pub(crate) fn send(&mut self, arena: &[u8], runs: &[Run]) {
        let mut at = Progress { run: 0, offset: 0, manner: Manner::Segmented };
        while at.run < runs.len() {
            if !is_within(&runs[at.run], arena) {
                self.drop_rest(&mut at, runs, NetCounter::SendDropRefused);
                continue;
            }
            self.fill(at, arena, runs);
            match self.transport.send(arena, &self.batch) {
                Ok(taken) => self.on_taken(&mut at, taken.max(1), runs),
                Err(refusal) => self.on_refusal(&mut at, refusal, runs),
            }
        }
    }

    /// The next messages, as many as one call takes, up to a run that is broken; those with fragments apart.
    fn fill(&mut self, at: Progress, arena: &[u8], runs: &[Run]) {
        let may_segment = matches!(self.segmentation, Segmentation::On { .. });
        let (mut offset, mut manner) = (at.offset, at.manner);
        self.batch.clear();
        for run in &runs[at.run..] {
            if !is_within(run, arena) {
                return;
            }
            let is_whole = may_segment && manner == Manner::Segmented;
            let step = if is_whole { message_len(run.segment) } else { run.segment };
            while offset < run.len {
                if self.batch.len() == self.batch_max {
                    return;
                }
                let len = step.min(run.len - offset);
                self.batch.push(Run { start: run.start + offset, len, ..*run });
                offset += len;
            }
            if manner == Manner::Fragmented {
                return;
            }
            (offset, manner) = (0, Manner::Segmented);
        }
    }

    fn on_taken(&mut self, at: &mut Progress, taken: usize, runs: &[Run]) {
        self.patience.idle_left = IDLE_WAITS_MAX;
        let (mut datagrams, mut bytes) = (0, 0);
        let mut was_segmented = false;
        for index in 0..taken.min(self.batch.len()) {
            let message = self.batch[index];
            datagrams += datagrams_of(message.len, message.segment);
            bytes += message.len as u64;
            was_segmented |= message.len > message.segment;
            at.offset += message.len;
            if at.offset < runs[at.run].len {
                continue;
            }
            if at.manner == Manner::Plain {
                self.segmentation.on_refused();
                self.counters.add(NetCounter::SegmentationRefused, 1);
            }
            self.segmentation.on_run();
            self.next_run(at);
        }
        if was_segmented {
            self.segmentation.on_accepted();
        }
        self.counters.add(NetCounter::Sent, datagrams);
        self.counters.add(NetCounter::SentBytes, bytes);
    }

    fn on_refusal(&mut self, at: &mut Progress, refusal: Refusal, runs: &[Run]) {
        let is_segmented = self.batch.first().is_some_and(|message| message.len > message.segment);
        match refusal {
            Refusal::Full if !self.patience.is_over() => {
                self.transport.wait_writable();
                self.patience.waits_left -= 1;
                self.patience.idle_left -= 1;
                self.counters.add(NetCounter::SendWaits, 1);
            }
            Refusal::Full => {
                let to = runs[at.run].to;
                if self.starved.last() != Some(&to) && self.starved.len() < STARVED_MAX {
                    self.starved.push(to);
                }
                self.drop_rest(at, runs, NetCounter::SendDropFull);
            }
            Refusal::Segmentation | Refusal::Forbidden if is_segmented => at.manner = Manner::Plain,
            Refusal::TooLong if at.manner != Manner::Fragmented => {
                at.manner = Manner::Fragmented;
                self.counters.add(NetCounter::Fragmented, 1);
                self.transport.allow_fragments(true);
            }
            Refusal::Unreachable | Refusal::Forbidden => {
                self.drop_rest(at, runs, NetCounter::SendDropUnreachable)
            }
            _ => self.drop_rest(at, runs, NetCounter::SendDropRefused),
        }
    }

    /// Gives the rest of the run at hand up.
    fn drop_rest(&mut self, at: &mut Progress, runs: &[Run], reason: NetCounter) {
        let run = &runs[at.run];
        self.counters.add(reason, datagrams_of(run.len.saturating_sub(at.offset), run.segment));
        self.next_run(at);
    }

    fn next_run(&mut self, at: &mut Progress) {
        if at.manner == Manner::Fragmented {
            self.transport.allow_fragments(false);
        }
        (at.run, at.offset, at.manner) = (at.run + 1, 0, Manner::Segmented);
    }
}

impl Segmentation {
    fn on_accepted(&mut self) {
        if let Self::On { refusals } = self {
            *refusals = 0;
        }
    }

    fn on_refused(&mut self) {
        if let Self::On { refusals } = self {
            *refusals += 1;
            if *refusals >= REFUSALS_MAX {
                tracing::debug!("UDP segmentation is refused again and again; pausing it");
                *self = Self::Paused { runs_left: PLAIN_RUNS };
            }
        }
    }

    fn on_run(&mut self) {
        if let Self::Paused { runs_left } = self {
            *runs_left -= 1;
            if *runs_left == 0 {
                // One more refusal is then enough.
                *self = Self::On { refusals: REFUSALS_MAX - 1 };
            }
        }
    }
}

/// A run that is not within its arena, or is of nothing, is a bug further up; it is counted, not sent.
fn is_within(run: &Run, arena: &[u8]) -> bool {
    let end = run.start.checked_add(run.len);
    run.segment > 0 && run.len > 0 && end.is_some_and(|end| end <= arena.len())
}

/// The longest message of whole segments; a single segment may be longer than that, and the kernel says no.
fn message_len(segment: usize) -> usize {
    segment * (MESSAGE_BYTES_MAX / segment).clamp(1, SEGMENTS_MAX)
}

fn datagrams_of(len: usize, segment: usize) -> u64 {
    len.div_ceil(segment.max(1)) as u64
}

#[cfg(test)]
mod tests;
