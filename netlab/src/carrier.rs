//! The thread that carries packets: what a link does to them, done in real time.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wtn_testkit::Link;
use wtn_testkit::link::{Fate, HEADER_LEN, Pipe};

/// Longest packet of a TUN device with the usual MTU, and room.
const PACKET_MAX: usize = 2048;

/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Packets under way in one direction. A real line holds fewer; what is more is lost.
const UNDER_WAY_MAX: usize = 65_536;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the near side to the far one.
    Out,
    /// From the far side to the near one.
    Back,
}

/// What became of the packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets that came to the line.
    pub sent: u64,
    /// Bytes of those that arrived, IP headers included.
    pub bytes: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Lost since the queue was full.
    pub overflowed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    overflowed: AtomicU64,
}

/// One direction: its link, and what is under way on it.
#[derive(Debug)]
struct Direction {
    pipe: Mutex<Pipe>,
    counts: Counts,
}

/// Both directions, shared by the thread and whoever changes the links.
#[derive(Debug)]
pub struct Carrier {
    directions: [Direction; 2],
    stop: AtomicBool,
}

/// Earliest first; the number keeps those of the same moment in order.
type UnderWay = BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>;

impl Carrier {
    pub fn new(out: Link, back: Link, seed: u64) -> Self {
        let direction =
            |link, seed| Direction { pipe: Mutex::new(Pipe::new(link, seed)), counts: Counts::default() };
        let directions = [direction(out, seed), direction(back, seed.wrapping_add(1))];
        Self { directions, stop: AtomicBool::new(false) }
    }

    pub fn set_link(&self, way: Way, link: Link) {
        let pipe = &self.directions[way as usize].pipe;
        pipe.lock().unwrap_or_else(PoisonError::into_inner).set_link(link);
    }

    pub fn carried(&self, way: Way) -> Carried {
        let Counts { sent, bytes, lost, overflowed } = &self.directions[way as usize].counts;
        let [sent, bytes, lost, overflowed] =
            [sent, bytes, lost, overflowed].map(|count| count.load(Ordering::Relaxed));
        Carried { sent, bytes, lost, overflowed }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The thread's work: from `ends[0]` to `ends[1]` and back, until it is stopped.
    pub fn run(&self, ends: &[File; 2]) -> io::Result<()> {
        let mut under_way: [UnderWay; 2] = Default::default();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let due = under_way.iter().filter_map(|heap| heap.peek().map(|Reverse((at, ..))| *at)).min();
            let timeout = due.map_or(LOOK, |at| at.saturating_duration_since(now).min(LOOK));
            let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
            let mut files = [PollFd::new(&ends[0], PollFlags::IN), PollFd::new(&ends[1], PollFlags::IN)];
            match poll(&mut files, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for (way, heap) in under_way.iter_mut().enumerate() {
                self.take(way, &ends[way], now, heap, &mut number)?;
                self.hand_out(way, &ends[1 - way], now, heap);
            }
        }
        Ok(())
    }

    /// Takes what has come to one end, and finds out what becomes of it.
    fn take(
        &self,
        way: usize,
        mut from: &File,
        now: Instant,
        heap: &mut UnderWay,
        number: &mut u64,
    ) -> io::Result<()> {
        let Direction { pipe, counts } = &self.directions[way];
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let mut packet = [0; PACKET_MAX];
        loop {
            let len = match from.read(&mut packet) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            counts.sent.fetch_add(1, Ordering::Relaxed);
            // The link adds the headers of IP and UDP, which are in here already.
            match pipe.carry(now, len.saturating_sub(HEADER_LEN)) {
                Fate::Arrives(arrivals) if heap.len() + arrivals.len() <= UNDER_WAY_MAX => {
                    for at in arrivals {
                        *number += 1;
                        heap.push(Reverse((at, *number, packet[..len].to_vec())));
                    }
                }
                Fate::Arrives(_) | Fate::Overflowed => _ = counts.overflowed.fetch_add(1, Ordering::Relaxed),
                Fate::Lost => _ = counts.lost.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    /// Gives the other end what is due. What its kernel does not take is lost, as on any interface.
    fn hand_out(&self, way: usize, mut to: &File, now: Instant, heap: &mut UnderWay) {
        let counts = &self.directions[way].counts;
        while let Some(Reverse((at, ..))) = heap.peek()
            && *at <= now
            && let Some(Reverse((_, _, packet))) = heap.pop()
        {
            match to.write(&packet) {
                // A device takes a packet whole or not at all.
                Ok(len) => _ = counts.bytes.fetch_add(len as u64, Ordering::Relaxed),
                Err(_) => _ = counts.overflowed.fetch_add(1, Ordering::Relaxed),
            }
        }
    }
}
