//! A publisher among others of its stream: what it keeps while another is shown, and how it begins its turn.

use super::Publisher;
use crate::clock::SenderClock;
use crate::encoding_selector::ENCODINGS_MAX;
use crate::gop_cache::GopCache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::{EncodingId, MediaKind, Packet};

/// An encoding that was silent for longer need not bring a keyframe before its publisher is shown.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// By encoding: the last keyframe and what came since. Kept only while nobody gets it.
pub(super) type Kept = [GopCache; ENCODINGS_MAX];

/// What viewers start from when a publisher's turn begins. All of it carries the epoch of that turn.
#[derive(Debug)]
pub struct Turn {
    /// The last keyframe of each encoding, and everything since, in the order of arrival.
    pub packets: Vec<Arc<Packet>>,
    /// The clocks of its tracks, as its last reports told them.
    pub clocks: Vec<SenderClock>,
}

impl Publisher {
    /// Which turn of its stream this is, or was last. Rises with whoever is shown.
    pub fn epoch(&self) -> u32 {
        self.epoch >> 8
    }

    /// Keeps a packet that nobody gets, should its publisher's turn come.
    pub fn stand_by(&mut self, packet: Packet) {
        if packet.kind == MediaKind::Video
            && let Some(cache) = self.kept.get_mut(usize::from(packet.encoding.0))
        {
            cache.push(&Arc::new(packet));
        }
    }

    /// The encodings that are alive and have had no keyframe since then: their viewers would have to wait for one.
    pub fn lacks_keyframe(&self, now: Instant, since: Instant) -> impl Iterator<Item = EncodingId> + use<> {
        let is_alive = |encoding: EncodingId| {
            let newest = self.newest(MediaKind::Video, encoding).map(|at| &self.sources[at]);
            newest.is_some_and(|source| now < source.heard + ALIVE_WITHIN)
        };
        let lacks = |encoding: EncodingId| {
            let first = self.kept[usize::from(encoding.0)].first();
            is_alive(encoding) && first.is_none_or(|first| first.arrived < since)
        };
        let lacking: Vec<_> = (0..ENCODINGS_MAX as u8).map(EncodingId).filter(|id| lacks(*id)).collect();
        lacking.into_iter()
    }

    /// From now on its packets carry epochs from `epoch` × 256 on, and viewers get them; the answer is what they
    /// start from.
    pub fn begin_turn(&mut self, epoch: u32) -> Turn {
        let renewed = |old: u32| (epoch << 8) | (old & 0xff);
        self.epoch = renewed(self.epoch);
        for source in &mut self.sources {
            source.epoch = renewed(source.epoch);
        }
        self.layers.begin();
        let kept = self.kept.iter_mut().flat_map(GopCache::take);
        let mut packets: Vec<_> = kept
            .filter_map(Arc::into_inner)
            .map(|mut packet| {
                packet.epoch = renewed(packet.epoch);
                Arc::new(packet)
            })
            .collect();
        packets.sort_by_key(|packet| packet.arrived);
        let clocks = self.sources.iter().filter_map(|source| source.clock);
        let clocks = clocks.map(|clock| SenderClock { epoch: renewed(clock.epoch), ..clock }).collect();
        Turn { packets, clocks }
    }
}
