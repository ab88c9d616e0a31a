//! What a publisher's picture can be had in, told when it changes.

use crate::encoding_selector::{ENCODINGS_MAX, EncodingSelector};
use crate::line::OVERHEAD;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::layers::Rids;
use wtn_media::peek::{self, Sizes};
use wtn_media::{EncodingId, Layer, MediaKind, Packet};

/// Between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// A bitrate that moves by more than this is news, in percent of the one told.
const NEWS_PERCENT: u64 = 25;

/// Measures the layers of one publisher's picture.
#[derive(Debug)]
pub struct LayerReport {
    rids: Rids,
    selector: Box<EncodingSelector>,
    sizes: [Sizes; ENCODINGS_MAX],
    told: Option<(Instant, Arc<[Layer]>)>,
    /// Windows that were looked at.
    seen: usize,
}

impl LayerReport {
    /// Of a picture whose encodings go by `rids`.
    pub fn new(rids: Rids) -> Self {
        Self { rids, selector: Box::default(), sizes: Default::default(), told: None, seen: 0 }
    }

    /// Takes every packet of the picture.
    pub fn on_packet(&mut self, packet: &Packet) {
        if packet.kind != MediaKind::Video {
            return;
        }
        let bytes = packet.payload().len() + OVERHEAD;
        self.selector.on_packet(packet.arrived, packet.encoding, packet.marks.layer, bytes);
        if (packet.marks.keyframe_start || packet.marks.parameter_sets)
            && let Some(slot) = self.sizes.get_mut(usize::from(packet.encoding.0))
            && let Some(sizes) = peek::sizes(packet.format.codec, packet.payload())
        {
            // A keyframe's header tells of one layer, and no more than its descriptor.
            if sizes.len() >= slot.len() {
                *slot = sizes;
            }
        }
    }

    /// What the spatial layers of an encoding measure, where the publisher says it.
    pub fn set_sizes(&mut self, encoding: EncodingId, sizes: &Sizes) {
        if let Some(slot) = self.sizes.get_mut(usize::from(encoding.0)).filter(|_| !sizes.is_empty()) {
            *slot = sizes.clone();
        }
    }

    /// Nobody has been told anything.
    pub fn begin(&mut self) {
        (self.told, self.seen) = (None, 0);
    }

    /// The layers, if there is news of them.
    pub fn poll(&mut self, now: Instant) -> Option<Arc<[Layer]>> {
        self.selector.advance(now);
        if self.selector.windows() == self.seen
            || self.told.as_ref().is_some_and(|(at, _)| now < *at + INTERVAL)
        {
            return None;
        }
        self.seen = self.selector.windows();
        let layers = self.selector.ladder().describe(&self.rids, &self.sizes);
        if self.told.as_ref().is_some_and(|(_, told)| !is_news(told, &layers)) {
            return None;
        }
        let layers: Arc<[Layer]> = layers.into();
        self.told = Some((now, layers.clone()));
        Some(layers)
    }
}

fn is_news(told: &[Layer], now: &[Layer]) -> bool {
    let unrated = |layer: &Layer| Layer { bitrate: u32::from(layer.bitrate > 0), ..*layer };
    told.len() != now.len()
        || told.iter().zip(now).any(|(told, now)| {
            let moved = u64::from(told.bitrate.abs_diff(now.bitrate));
            unrated(told) != unrated(now) || moved * 100 > u64::from(told.bitrate) * NEWS_PERCENT
        })
}
