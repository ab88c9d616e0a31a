//! One connection: half a frame that has come, what waits to be taken, and when to give it up.

use super::TcpLimits;
use super::places::Place;
use crate::counters::NetCounter;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;
use wtn_media::Remote;
use wtn_session::frames::Frames;
use wtn_session::stun::is_stun;

/// Bytes read from one connection before the next has its turn.
const READ_BUDGET: usize = 64 << 10;

/// What a queue keeps of its memory when it is empty: bursts come again, but not to every connection.
const QUEUE_KEPT: usize = 16 << 10;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed it, or it broke.
    ByPeer,
    /// It does not speak ICE-TCP: a frame too long, one that does not end, or no check at first.
    Malformed,
    /// No authentic check in time.
    Unproven,
    /// The client takes nothing.
    Stalled,
    /// The client says nothing.
    Idle,
}

impl End {
    pub fn counter(self) -> NetCounter {
        match self {
            Self::ByPeer => NetCounter::TcpClosedByPeer,
            Self::Malformed => NetCounter::TcpClosedMalformed,
            Self::Unproven => NetCounter::TcpClosedUnproven,
            Self::Stalled => NetCounter::TcpClosedStalled,
            Self::Idle => NetCounter::TcpClosedIdle,
        }
    }
}

pub(super) struct Connection {
    pub stream: TcpStream,
    pub remote: Remote,
    pub place: Place,
    /// The shard that gets what comes.
    pub home: usize,
    /// A shard has answered it, which none does before an authentic check.
    pub is_proven: bool,
    /// It waits for its turn to be read.
    pub is_in_turn: bool,
    frames: Frames,
    queue: VecDeque<u8>,
    since: Instant,
    heard: Instant,
    partial_since: Option<Instant>,
    stalled_since: Option<Instant>,
}

impl Connection {
    pub fn new(now: Instant, stream: TcpStream, remote: Remote, home: usize) -> Self {
        Self {
            stream,
            remote,
            place: Place::of(remote.address.ip()),
            home,
            is_proven: false,
            is_in_turn: false,
            frames: Frames::default(),
            queue: VecDeque::new(),
            since: now,
            heard: now,
            partial_since: None,
            stalled_since: None,
        }
    }

    /// Reads what has come, up to a turn's share. True if there may be more.
    pub fn read(
        &mut self,
        now: Instant,
        scratch: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, End> {
        let mut left = READ_BUDGET;
        while left > 0 {
            let len = match self.stream.read(scratch) {
                Ok(0) => return Err(End::ByPeer),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(End::ByPeer),
            };
            left = left.saturating_sub(len);
            let (is_proven, mut is_stranger, mut has_frame) = (self.is_proven, false, false);
            let read = self.frames.read(&scratch[..len], |frame| {
                is_stranger |= !is_proven && !is_stun(frame);
                has_frame = true;
                if !is_stranger {
                    take(frame);
                }
            });
            if read.is_err() || is_stranger {
                return Err(End::Malformed);
            }
            if has_frame {
                (self.heard, self.partial_since) = (now, None);
            }
            if self.frames.is_partial() {
                self.partial_since.get_or_insert(now);
            }
        }
        Ok(true)
    }

    /// Takes frames to be sent, whole ones and as many as there is room for; the answer is how many were taken and how
    /// many left out.
    pub fn push(&mut self, now: Instant, frames: &[u8], queue_max: usize) -> Result<(u64, u64), End> {
        let fits = fitting(frames, queue_max.saturating_sub(self.queue.len()));
        let (mut taken, left) = frames.split_at(fits);
        let counts = (count(taken), count(left));
        if self.queue.is_empty() {
            taken = &taken[self.write_some(taken)?..];
        }
        if !taken.is_empty() {
            self.queue.extend(taken);
            self.stalled_since.get_or_insert(now);
        }
        Ok(counts)
    }

    /// Sends what waits, as far as the client takes it.
    pub fn flush(&mut self, now: Instant) -> Result<(), End> {
        while !self.queue.is_empty() {
            // The first half is never empty while the queue is not.
            let (first, _) = self.queue.as_slices();
            let len = write_some(&mut self.stream, first)?;
            let is_all = len == first.len();
            if len > 0 {
                self.queue.drain(..len);
                self.stalled_since = Some(now);
            }
            if !is_all {
                return Ok(());
            }
        }
        self.stalled_since = None;
        self.queue.shrink_to(QUEUE_KEPT);
        Ok(())
    }

    /// Why it is to be closed by now, if it is.
    pub fn overdue(&self, now: Instant, limits: &TcpLimits) -> Option<End> {
        let longer = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if !self.is_proven && longer(Some(self.since), limits.prove_within) {
            Some(End::Unproven)
        } else if longer(self.partial_since, limits.frame_within) {
            Some(End::Malformed)
        } else if longer(self.stalled_since, limits.stalled) {
            Some(End::Stalled)
        } else if longer(Some(self.heard), limits.idle) {
            Some(End::Idle)
        } else {
            None
        }
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize, End> {
        write_some(&mut self.stream, bytes)
    }
}

/// Writes until nothing more is taken.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, End> {
    let mut at = 0;
    while at < bytes.len() {
        match stream.write(&bytes[at..]) {
            Ok(0) => return Err(End::ByPeer),
            Ok(len) => at += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_full(&error) => break,
            Err(_) => return Err(End::ByPeer),
        }
    }
    Ok(at)
}

fn is_full(error: &io::Error) -> bool {
    // Short of kernel memory is full too.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
}

/// The lengths of frames, one after another, headers included.
fn lengths(mut frames: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let (header, _) = frames.split_first_chunk()?;
        let len = 2 + usize::from(u16::from_be_bytes(*header));
        frames = frames.get(len..)?;
        Some(len)
    })
}

/// Bytes of as many whole frames as there is room for.
fn fitting(frames: &[u8], room: usize) -> usize {
    if frames.len() <= room {
        return frames.len();
    }
    let mut end = 0;
    for len in lengths(frames) {
        if end + len > room {
            break;
        }
        end += len;
    }
    end
}

fn count(frames: &[u8]) -> u64 {
    lengths(frames).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_18_only_whole_frames_fit() {
        let frames = [[0, 1, 9].as_slice(), &[0, 3, 1, 2, 3], &[0, 0]].concat();
        for (room, expected, left) in [(0, 0, 3), (2, 0, 3), (3, 3, 2), (7, 3, 2), (8, 8, 1), (10, 10, 0)] {
            assert_eq!(fitting(&frames, room), expected, "{room}");
            assert_eq!(count(&frames[expected..]), left);
        }
    }
}
