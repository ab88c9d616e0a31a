//! Where sent packets wait in case a viewer asks for them again: one ring for one encoding of a track on
//! one shard, shared by all viewers there.

use crate::{Packet, SeqNo};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A ring of packets by sequence number, bounded in number and in age.
#[derive(Debug)]
pub struct PacketStore {
    slots: Box<[Option<Arc<Packet>>]>,
    keep: Duration,
    /// Every kept packet is in `oldest..next`, a span of at most `slots.len()` numbers.
    oldest: u64,
    next: u64,
    len: usize,
}

impl PacketStore {
    /// A store for `capacity` packets (rounded up to a power of two, at least 1), each for `keep` at most.
    pub fn new(capacity: usize, keep: Duration) -> Self {
        let slots = vec![None; capacity.max(1).next_power_of_two()].into_boxed_slice();
        Self { slots, keep, oldest: 0, next: 0, len: 0 }
    }

    /// Keeps a packet. A newer one pushes out what is `capacity` numbers behind it; one that old itself, or
    /// already there, is not kept.
    pub fn insert(&mut self, packet: Arc<Packet>) {
        let seq = packet.seq.0;
        if self.len == 0 {
            (self.oldest, self.next) = (seq, seq);
        }
        let span = self.slots.len() as u64;
        if seq >= self.next {
            self.next = seq.saturating_add(1);
            self.drop_before(self.next.saturating_sub(span));
        } else if self.next - seq > span {
            return;
        }
        self.oldest = self.oldest.min(seq);
        let slot = &mut self.slots[seq as usize & (span as usize - 1)];
        if slot.is_none() {
            *slot = Some(packet);
            self.len += 1;
        }
    }

    /// The packet with that number, if it is still kept.
    pub fn get(&self, seq: SeqNo) -> Option<&Arc<Packet>> {
        self.slots[self.slot(seq.0)].as_ref().filter(|packet| packet.seq == seq)
    }

    /// Drops packets that arrived `keep` or longer before `now`, from the lowest number up to the first
    /// that is younger.
    pub fn evict(&mut self, now: Instant) {
        while self.oldest < self.next {
            let slot = self.slot(self.oldest);
            match &self.slots[slot] {
                Some(packet) if now.saturating_duration_since(packet.arrived) < self.keep => return,
                _ => self.drop_before(self.oldest + 1),
            }
        }
    }

    /// Forgets everything: the numbering starts anew.
    pub fn clear(&mut self) {
        self.drop_before(self.next);
    }

    /// How many packets are kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if none is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn slot(&self, seq: u64) -> usize {
        seq as usize & (self.slots.len() - 1)
    }

    /// Empties the slots of all numbers below `limit`. At most one round of the ring, however far the jump.
    fn drop_before(&mut self, limit: u64) {
        let end = limit.min(self.oldest.saturating_add(self.slots.len() as u64));
        for seq in self.oldest..end {
            if self.len == 0 {
                break;
            }
            let slot = self.slot(seq);
            self.len -= usize::from(self.slots[slot].take().is_some());
        }
        self.oldest = self.oldest.max(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Marks, PacketInfo};
    use crate::{Codec, EncodingId, Format, MediaKind, RtpTime};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const KEEP: Duration = Duration::from_millis(500);

    #[test]
    fn a_packet_is_found_until_it_is_pushed_out() {
        let now = start();
        let mut store = PacketStore::new(4, KEEP);
        for seq in 100..106 {
            store.insert(packet(seq, now));
        }
        check(&store, &[102, 103, 104, 105]);
        store.insert(packet(101, now));
        check(&store, &[102, 103, 104, 105]);
    }

    #[test]
    fn late_packets_find_their_place() {
        let now = start();
        let mut store = PacketStore::new(8, KEEP);
        for seq in [20, 23, 21, 18, 23] {
            store.insert(packet(seq, now));
        }
        check(&store, &[18, 20, 21, 23]);
    }

    #[test]
    fn a_jump_empties_the_ring_and_clear_starts_anew() {
        let now = start();
        let mut store = PacketStore::new(4, KEEP);
        for seq in [1, 2, 3, u64::MAX - 9] {
            store.insert(packet(seq, now));
        }
        check(&store, &[u64::MAX - 9]);
        store.clear();
        check(&store, &[]);
        store.insert(packet(5, now));
        check(&store, &[5]);
    }

    #[test]
    fn old_packets_go_by_age() {
        let now = start();
        let mut store = PacketStore::new(8, KEEP);
        for (seq, ms) in [(1, 0), (2, 100), (5, 200)] {
            store.insert(packet(seq, now + Duration::from_millis(ms)));
        }
        store.evict(now + Duration::from_millis(499));
        check(&store, &[1, 2, 5]);
        store.evict(now + Duration::from_millis(600));
        check(&store, &[5]);
        store.evict(now + Duration::from_secs(9));
        check(&store, &[]);
    }

    fn check(store: &PacketStore, expected: &[u64]) {
        let kept: Vec<u64> =
            (0..200).chain([u64::MAX - 9]).filter(|&seq| store.get(SeqNo(seq)).is_some()).collect();
        assert_eq!(kept, expected);
        assert_eq!((store.len(), store.is_empty()), (expected.len(), expected.is_empty()));
    }

    #[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn packet(seq: u64, arrived: Instant) -> Arc<Packet> {
        let info = PacketInfo {
            epoch: 0,
            kind: MediaKind::Video,
            encoding: EncodingId(0),
            format: Format::new(Codec::Vp8),
            seq: SeqNo(seq),
            time: RtpTime(0),
            marker: false,
            marks: Marks::default(),
            arrived,
        };
        Arc::new(Packet::new(info, &[], []))
    }

    proptest! {
        /// Against a plain map that keeps the highest 16 numbers' worth of packets.
        #[test]
        fn the_ring_is_a_map_with_a_window(steps in proptest::collection::vec((-20i64..30, 0u64..120), 1..200)) {
            let mut now = start();
            let mut store = PacketStore::new(16, KEEP);
            let mut model = BTreeMap::new();
            let (mut seq, mut highest) = (1000u64, None::<u64>);
            for (step, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                store.evict(now);
                while let Some(entry) = model.first_entry() {
                    if now.duration_since(*entry.get()) < KEEP {
                        break;
                    }
                    entry.remove();
                }
                if model.is_empty() {
                    highest = None;
                }
                seq = seq.saturating_add_signed(step);
                store.insert(packet(seq, now));
                let top = highest.map_or(seq, |top| top.max(seq));
                highest = Some(top);
                if top - seq < 16 {
                    model.entry(seq).or_insert(now);
                }
                model.retain(|&seq, _| top - seq < 16);
                prop_assert_eq!(store.len(), model.len());
                for probe in top.saturating_sub(40)..top + 40 {
                    prop_assert_eq!(store.get(SeqNo(probe)).is_some(), model.contains_key(&probe));
                }
            }
        }
    }
}
