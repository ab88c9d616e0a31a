//! The way out: runs become messages, as large as the kernel takes them, many to a system call.
//!
//! Four things may go wrong, and none of them may stop the rest. A full send buffer is waited for, a little,
//! then the run is lost, as it would be in any queue further on. An address that cannot be reached loses its
//! own run. A kernel, route or device that cannot segment gets one datagram a message. A path too narrow for a
//! datagram gets fragments.

use crate::counters::{NetCounter, NetCounters};
use crate::platform;
use crate::socket::MediaSocket;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wtn_engine::{Egress, Run};

/// Segments in one message: the kernel's own limit up to 6.9, later ones take 128.
pub const SEGMENTS_MAX: usize = 64;

/// Bytes in one message: the 16 bits of the length, less the headers of IPv6 and UDP.
pub const MESSAGE_BYTES_MAX: usize = 65_535 - 40 - 8;

/// Longest single wait for room in the send buffer. The kernel reports room when half of the buffer is free,
/// which a 10 Gbit/s card needs 3 ms for from 4 MiB, a 40 Gbit/s card less than 1.
pub(crate) const SEND_WAIT: Duration = Duration::from_micros(500);

/// Waits in one [`Egress::send`], 2 ms in all. All viewers of the shard wait with the one that is stuck, and
/// their audio is due every 20 ms: past that, losing a run harms less.
const SEND_WAITS_MAX: u32 = 4;

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

/// The way out of one shard: its socket. Belongs to the thread that makes it.
pub struct SocketEgress<'a>(Sender<platform::Wire<'a>>);

impl<'a> SocketEgress<'a> {
    /// An egress through `socket`.
    pub fn new(socket: &'a MediaSocket, counters: Arc<NetCounters>, options: EgressOptions) -> Self {
        let options = EgressOptions {
            segmentation: options.segmentation && platform::has_gso(),
            batch: options.batch.clamp(1, platform::SEND_BATCH),
        };
        Self(Sender::new(platform::Wire::new(socket), counters, options))
    }
}

impl Egress for SocketEgress<'_> {
    fn send(&mut self, arena: &[u8], runs: &[Run]) {
        self.0.send(arena, runs);
    }
}

impl fmt::Debug for SocketEgress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketEgress").field("segmentation", &self.0.segmentation).finish_non_exhaustive()
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
pub(crate) enum Refusal {
    /// The send buffer is full.
    Full,
    /// It may take the same bytes as single datagrams.
    Segmentation,
    /// A datagram is longer than the path to that address allows.
    TooLong,
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
    batch: Vec<Run>,
    batch_max: usize,
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
    waits_left: u32,
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
        let batch_max = options.batch;
        Self { transport, counters, segmentation, batch: Vec::with_capacity(batch_max), batch_max }
    }

    pub(crate) fn send(&mut self, arena: &[u8], runs: &[Run]) {
        let mut at = Progress { run: 0, offset: 0, manner: Manner::Segmented, waits_left: SEND_WAITS_MAX };
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
        let mut datagrams = 0;
        let mut was_segmented = false;
        for index in 0..taken.min(self.batch.len()) {
            let message = self.batch[index];
            datagrams += datagrams_of(message.len, message.segment);
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
    }

    fn on_refusal(&mut self, at: &mut Progress, refusal: Refusal, runs: &[Run]) {
        let is_segmented = self.batch.first().is_some_and(|message| message.len > message.segment);
        match refusal {
            Refusal::Full if at.waits_left > 0 => {
                at.waits_left -= 1;
                self.counters.add(NetCounter::SendWaits, 1);
                self.transport.wait_writable();
            }
            Refusal::Full => self.drop_rest(at, runs, NetCounter::SendDropFull),
            Refusal::Segmentation if is_segmented => at.manner = Manner::Plain,
            Refusal::TooLong if at.manner != Manner::Fragmented => {
                at.manner = Manner::Fragmented;
                self.counters.add(NetCounter::Fragmented, 1);
                self.transport.allow_fragments(true);
            }
            Refusal::Unreachable => self.drop_rest(at, runs, NetCounter::SendDropUnreachable),
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
