//! The last keyframe of an encoding and everything since: what a viewer who comes now starts from.

use std::sync::Arc;
use wtn_media::{Packet, SeqNo};

/// Bytes kept per encoding: twelve seconds at 8 Mbit/s. A longer stretch without a keyframe is not worth
/// replaying; viewers then wait for the next one, or ask for it.
const BYTES_MAX: usize = 12 << 20;

/// Packets kept per encoding, for streams of small packets.
const PACKETS_MAX: usize = 16_384;

/// Packets from the last keyframe on, by rising sequence number.
#[derive(Debug, Default)]
pub struct GopCache {
    packets: Vec<Arc<Packet>>,
    bytes: usize,
}

impl GopCache {
    /// Takes every packet of the encoding; keeps it if a keyframe leads up to it.
    pub fn push(&mut self, packet: &Arc<Packet>) {
        if self.bytes + packet.payload().len() > BYTES_MAX || self.packets.len() >= PACKETS_MAX {
            self.clear();
        }
        let at = self.position(packet.seq);
        if self.packets.get(at).is_some_and(|other| other.seq == packet.seq) {
            return;
        }
        match self.first() {
            None if packet.marks.keyframe_start => {}
            // Parameter sets that come late, for the keyframe that is here.
            Some(first) if at == 0 && packet.marks.keyframe_start && packet.time == first.time => {}
            // A newer keyframe: what came before it goes, what came before it was complete stays.
            Some(first) if packet.marks.keyframe_start && packet.time != first.time && at > 0 => {
                self.forget(at);
                return self.insert(0, packet);
            }
            Some(_) if at > 0 => {}
            _ => return,
        }
        self.insert(at, packet);
    }

    fn insert(&mut self, at: usize, packet: &Arc<Packet>) {
        self.bytes += packet.payload().len();
        self.packets.insert(at, packet.clone());
    }

    fn forget(&mut self, count: usize) {
        let bytes: usize = self.packets.drain(..count).map(|packet| packet.payload().len()).sum();
        self.bytes -= bytes;
    }

    /// Forgets everything: something is missing, so that nobody could start here.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.bytes = 0;
    }

    /// Everything, which is no longer here then.
    pub fn take(&mut self) -> Vec<Arc<Packet>> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }

    /// First packet of the keyframe; `None` without one.
    pub fn first(&self) -> Option<&Arc<Packet>> {
        self.packets.first()
    }

    /// The newest packet.
    pub fn last(&self) -> Option<&Arc<Packet>> {
        self.packets.last()
    }

    /// The packet with that sequence number, or else the one after it.
    pub fn at_or_after(&self, seq: SeqNo) -> Option<&Arc<Packet>> {
        self.packets.get(self.position(seq))
    }

    /// The packet with that sequence number.
    pub fn find(&self, seq: SeqNo) -> Option<&Arc<Packet>> {
        self.at_or_after(seq).filter(|packet| packet.seq == seq)
    }

    /// Everything, for a shard that gets its first viewer.
    pub fn packets(&self) -> &[Arc<Packet>] {
        &self.packets
    }

    fn position(&self, seq: SeqNo) -> usize {
        match self.packets.last() {
            // The way it nearly always is.
            Some(last) if last.seq < seq => self.packets.len(),
            _ => self.packets.partition_point(|packet| packet.seq < seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use wtn_media::packet::{Marks, PacketInfo};
    use wtn_media::{Codec, EncodingId, Format, MediaKind, RtpTime};

    fn packet(seq: u64, time: u64, keyframe_start: bool, len: usize) -> Arc<Packet> {
        let info = PacketInfo {
            epoch: 0,
            kind: MediaKind::Video,
            encoding: EncodingId(0),
            format: Format::new(Codec::H264),
            seq: SeqNo(seq),
            time: RtpTime(time),
            marker: false,
            marks: Marks { keyframe_start, ..Marks::default() },
            arrived: Instant::now(),
        };
        Arc::new(Packet::new(info, &vec![0; len], []))
    }

    fn seqs(cache: &GopCache) -> Vec<u64> {
        cache.packets().iter().map(|packet| packet.seq.0).collect()
    }

    #[test]
    fn it_starts_with_a_keyframe_and_anew_with_the_next() {
        let mut cache = GopCache::default();
        cache.push(&packet(1, 10, false, 1));
        assert!(cache.first().is_none());
        // Parameter sets and picture are two packets of one keyframe.
        for (seq, time, key) in [(2, 20, true), (3, 20, true), (4, 30, false)] {
            cache.push(&packet(seq, time, key, 1));
        }
        assert_eq!(seqs(&cache), [2, 3, 4]);
        cache.push(&packet(5, 40, true, 1));
        assert_eq!(seqs(&cache), [5]);
        cache.push(&packet(4, 30, false, 1));
        assert_eq!(seqs(&cache), [5], "a late packet of the last stretch belongs to nobody");
    }

    #[test]
    fn a_late_repair_finds_its_place_once() {
        let mut cache = GopCache::default();
        for (seq, key) in [(10, true), (13, false), (12, false), (12, false), (11, false), (14, false)] {
            cache.push(&packet(seq, seq, key, 1));
        }
        assert_eq!(seqs(&cache), [10, 11, 12, 13, 14]);
        assert_eq!(cache.bytes, 5);
        assert!(cache.find(SeqNo(12)).is_some() && cache.find(SeqNo(15)).is_none());
        assert_eq!(cache.at_or_after(SeqNo(3)).map(|packet| packet.seq), Some(SeqNo(10)));
    }

    #[test]
    fn a_keyframe_that_came_in_disorder_is_whole() {
        let mut cache = GopCache::default();
        // Its second and third packet overtake its first.
        for (seq, time, key) in
            [(98, 8, true), (99, 9, false), (101, 10, false), (102, 10, false), (100, 10, true)]
        {
            cache.push(&packet(seq, time, key, 1));
        }
        assert_eq!(seqs(&cache), [100, 101, 102]);
        // Parameter sets that come behind their picture.
        for (seq, time, key) in [(111, 11, true), (112, 11, false), (110, 11, true)] {
            cache.push(&packet(seq, time, key, 1));
        }
        assert_eq!(seqs(&cache), [110, 111, 112]);
        assert_eq!(cache.bytes, 3);
    }

    #[test]
    fn a_publisher_whose_clock_goes_back_starts_anew_all_the_same() {
        let mut cache = GopCache::default();
        for (seq, time, key) in [(1, 5000, true), (2, 6000, false), (3, 100, true), (4, 200, false)] {
            cache.push(&packet(seq, time, key, 1));
        }
        assert_eq!(seqs(&cache), [3, 4]);
    }

    #[test]
    fn a_stretch_that_grows_too_long_is_given_up_as_a_whole() {
        let mut cache = GopCache::default();
        cache.push(&packet(0, 0, true, 60_000));
        (1..BYTES_MAX as u64 / 60_000 + 2).for_each(|seq| cache.push(&packet(seq, seq, false, 60_000)));
        assert!(cache.first().is_none());
        cache.push(&packet(1000, 1000, true, 1));
        assert!(cache.first().is_some());
        (1001..1001 + PACKETS_MAX as u64).for_each(|seq| cache.push(&packet(seq, seq, false, 1)));
        assert!(cache.first().is_none());
    }
}
