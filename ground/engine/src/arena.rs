//! The one buffer that a shard fills in a pass: sealed datagrams side by side, noted as runs.

use crate::egress::{Egress, Run};
use wtn_media::Remote;

/// Bytes after which a pass hands over what it has: stays within a core's L2 cache, and holds a keyframe
/// for dozens of viewers.
const FULL: usize = 1 << 20;

/// Reused from pass to pass, so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    used: usize,
    runs: Vec<Run>,
}

impl Arena {
    /// Room for one datagram of at most `room` bytes; [`Arena::commit`] keeps what was written.
    pub fn slot(&mut self, room: usize) -> &mut [u8] {
        let end = self.used + room;
        if self.bytes.len() < end {
            self.bytes.resize(end.next_power_of_two(), 0);
        }
        &mut self.bytes[self.used..end]
    }

    /// Keeps the first `len` bytes of the last slot as a datagram to `to`.
    pub fn commit(&mut self, to: Remote, len: usize) {
        let start = self.used;
        self.used += len;
        match self.runs.last_mut() {
            // A run goes on while its segments are equal; a shorter one is its last (UDP_SEGMENT's rule).
            Some(run) if run.to == to && run.len % run.segment == 0 && len <= run.segment => run.len += len,
            _ => self.runs.push(Run { to, start, len, segment: len }),
        }
    }

    /// Adds a datagram that exists already.
    pub fn push(&mut self, to: Remote, datagram: &[u8]) {
        if datagram.is_empty() {
            return;
        }
        self.slot(datagram.len()).copy_from_slice(datagram);
        self.commit(to, datagram.len());
    }

    /// True once there is enough for a hand-over.
    pub fn is_full(&self) -> bool {
        self.used >= FULL
    }

    /// Hands everything over and starts anew; the answer counts datagrams.
    pub fn flush(&mut self, egress: &mut dyn Egress) -> u64 {
        if self.runs.is_empty() {
            return 0;
        }
        egress.send(&self.bytes[..self.used], &self.runs);
        let datagrams = self.runs.iter().map(|run| run.len.div_ceil(run.segment) as u64).sum();
        self.used = 0;
        self.runs.clear();
        datagrams
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[derive(Default)]
    struct Seen(Vec<(usize, usize)>);

    impl Egress for Seen {
        fn send(&mut self, _arena: &[u8], runs: &[Run]) {
            self.0.extend(runs.iter().map(|run| (run.len, run.segment)));
        }
    }

    /// Sizes to two addresses, told apart by sign, come out as runs (length, segment).
    fn check(sizes: &[i32], runs: &[(usize, usize)]) {
        let mut arena = Arena::default();
        for size in sizes {
            let to = SocketAddr::from(([127, 0, 0, 1], if *size < 0 { 1 } else { 2 }));
            arena.push(to.into(), &vec![0; size.unsigned_abs() as usize]);
        }
        let mut seen = Seen::default();
        assert_eq!(arena.flush(&mut seen), sizes.len() as u64);
        assert_eq!(seen.0, runs);
    }

    #[test]
    fn equal_segments_make_one_run_and_a_shorter_one_ends_it() {
        check(&[100, 100, 100], &[(300, 100)]);
        check(&[100, 100, 40], &[(240, 100)]);
        check(&[100, 40, 40], &[(140, 100), (40, 40)]);
        check(&[100, 101], &[(100, 100), (101, 101)]);
        check(&[100, -100, 100], &[(100, 100), (100, 100), (100, 100)]);
    }

    #[test]
    fn an_arena_is_empty_after_its_flush() {
        let mut arena = Arena::default();
        arena.push(SocketAddr::from(([127, 0, 0, 1], 1)).into(), &[1, 2, 3]);
        assert_eq!(arena.flush(&mut Seen::default()), 1);
        assert_eq!(arena.flush(&mut Seen::default()), 0);
    }
}
