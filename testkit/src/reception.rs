//! What a viewer got of one track, put together as a receiver does: by timestamp, contiguous numbers, marker.

use crate::frames::{FrameId, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenFrame {
    /// Which one.
    pub id: FrameId,
    /// A keyframe.
    pub is_key: bool,
    /// Its RTP timestamp, extended.
    pub time: u64,
    /// Its first sequence number, extended.
    pub first_seq: u64,
    /// Its packets.
    pub packets: u16,
    /// When the last missing packet came.
    pub at: Instant,
}

/// One packet as the receiver sees it.
#[derive(Clone, Copy, Debug)]
pub struct SeenPacket<'a> {
    /// Sequence number, extended.
    pub seq: u64,
    /// Timestamp, extended.
    pub time: u64,
    /// The marker bit.
    pub marker: bool,
    /// The payload.
    pub payload: &'a [u8],
    /// When it came.
    pub at: Instant,
}

/// Everything that came of one track.
#[derive(Debug, Default)]
pub struct Reception {
    unfinished: BTreeMap<u64, Vec<(u64, bool, Part)>>,
    frames: BTreeMap<u64, SeenFrame>,
    numbers: BTreeSet<u64>,
    duplicates: u64,
    corrupt: u64,
    last_packet_at: Option<Instant>,
    /// Timestamp and name of the newest frame that could be decoded.
    newest: Option<(u64, FrameId)>,
}

impl Reception {
    /// Takes a packet.
    pub fn on_packet(&mut self, packet: SeenPacket<'_>) {
        self.last_packet_at = Some(packet.at);
        let Some(part) = Part::read(packet.payload) else {
            self.corrupt += 1;
            return;
        };
        if !self.numbers.insert(packet.seq) {
            self.duplicates += 1;
            return;
        }
        let parts = self.unfinished.entry(packet.time).or_default();
        parts.push((packet.seq, packet.marker, part));
        parts.sort_unstable_by_key(|(seq, ..)| *seq);
        if let Some(frame) = finished(parts, packet.time, packet.at) {
            self.unfinished.remove(&packet.time);
            self.frames.insert(packet.time, frame);
            self.decode_on();
        }
    }

    /// The whole frames, in order of their timestamps.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &SeenFrame> {
        self.frames.values()
    }

    /// Which whole frames came, in the publishers' own numbering.
    pub fn ids(&self) -> BTreeSet<FrameId> {
        self.frames().map(|frame| frame.id).collect()
    }

    /// The frames that could be decoded: a keyframe, then every next frame of the same publisher. Each with the
    /// moment at which it and all that it builds on were there.
    pub fn decodable(&self) -> Vec<(FrameId, Instant)> {
        let mut decodable: Vec<(FrameId, Instant)> = Vec::new();
        for frame in self.frames() {
            let last = decodable.last().copied();
            if frame.is_decodable_after(last.map(|(id, _)| id)) {
                let at = last.map_or(frame.at, |(_, at)| at.max(frame.at));
                decodable.push((frame.id, at));
            }
        }
        decodable
    }

    /// The newest frame that could be decoded: the last one of [`Self::decodable`].
    pub fn newest_decodable(&self) -> Option<FrameId> {
        self.newest.map(|(_, id)| id)
    }

    /// When the first picture could be shown.
    pub fn first_picture_at(&self) -> Option<Instant> {
        self.frames().find(|frame| frame.is_key).map(|frame| frame.at)
    }

    /// The longest time without a new picture, from the first one to `until`.
    pub fn freeze_longest(&self, until: Instant) -> Duration {
        let moments: Vec<Instant> =
            self.decodable().into_iter().map(|(_, at)| at.min(until)).chain([until]).collect();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Numbers that never came, between the first and the last that did.
    pub fn missing(&self) -> u64 {
        match (self.numbers.first(), self.numbers.last()) {
            (Some(first), Some(last)) => last - first + 1 - self.numbers.len() as u64,
            _ => 0,
        }
    }

    /// Packets, each counted once.
    pub fn packets(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Packets whose number had come before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets whose payload was not what a publisher sent.
    pub fn corrupt(&self) -> u64 {
        self.corrupt
    }

    /// When the last packet came.
    pub fn last_packet_at(&self) -> Option<Instant> {
        self.last_packet_at
    }

    /// Timestamps of which something, but not all, came.
    pub fn unfinished(&self) -> usize {
        self.unfinished.len()
    }
}

impl Reception {
    /// A frame was finished: it and those that waited for it may be decoded now.
    fn decode_on(&mut self) {
        let from = self.newest.map_or(0, |(time, _)| time + 1);
        for (&time, frame) in self.frames.range(from..) {
            if frame.is_decodable_after(self.newest.map(|(_, id)| id)) {
                self.newest = Some((time, frame.id));
            }
        }
    }
}

impl SeenFrame {
    fn is_decodable_after(&self, last: Option<FrameId>) -> bool {
        let follows = |last: FrameId| {
            last.publisher == self.id.publisher && last.frame.wrapping_add(1) == self.id.frame
        };
        self.is_key || last.is_some_and(follows)
    }
}

/// The frame, if all numbers from its first part to its marker are there and agree with one another.
fn finished(parts: &[(u64, bool, Part)], time: u64, at: Instant) -> Option<SeenFrame> {
    let (&(first_seq, _, first), &(last_seq, marker, _)) = (parts.first()?, parts.last()?);
    let is_whole = first.is_first()
        && marker
        && last_seq - first_seq + 1 == parts.len() as u64
        && parts.len() == usize::from(first.count)
        && parts.iter().zip(0..).all(|((.., part), index)| *part == Part { index, ..first });
    is_whole.then_some(SeenFrame {
        id: first.id,
        is_key: first.is_key,
        time,
        first_seq,
        packets: first.count,
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ms};
    use wtn_media::Codec;

    /// (sequence number, frame, is it a key, index, count), one packet a millisecond.
    fn reception(packets: &[(u64, u32, bool, u16, u16)]) -> Reception {
        let mut reception = Reception::default();
        for (&(seq, frame, is_key, index, count), after) in packets.iter().zip(0..) {
            let part = Part { id: FrameId { publisher: 0, frame }, is_key, index, count };
            reception.on_packet(SeenPacket {
                seq,
                time: u64::from(frame) * 3000,
                marker: part.is_last(),
                payload: &part.payload(Codec::Vp8, 60),
                at: Clock::new().now() + ms(after),
            });
        }
        reception
    }

    fn whole(reception: &Reception) -> Vec<u32> {
        reception.frames().map(|frame| frame.id.frame).collect()
    }

    #[test]
    fn frames_are_whole_when_every_part_is_there_in_any_order() {
        let reception = reception(&[
            (11, 0, true, 1, 2),
            (10, 0, true, 0, 2),
            (13, 2, false, 0, 1),
            (12, 1, false, 0, 1),
        ]);
        assert_eq!(whole(&reception), [0, 1, 2]);
        assert_eq!(reception.decodable().iter().map(|(id, _)| id.frame).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((reception.missing(), reception.duplicates(), reception.unfinished()), (0, 0, 0));
    }

    #[test]
    fn a_hole_is_missed_and_stops_decoding_until_the_next_keyframe() {
        let reception = reception(&[
            (10, 0, true, 0, 1),
            (11, 1, false, 0, 2),
            (13, 2, false, 0, 1),
            (13, 2, false, 0, 1),
            (14, 3, true, 0, 1),
            (15, 4, false, 0, 1),
        ]);
        assert_eq!(whole(&reception), [0, 2, 3, 4]);
        assert_eq!(reception.newest_decodable().map(|id| id.frame), Some(4));
        assert_eq!(reception.decodable().iter().map(|(id, _)| id.frame).collect::<Vec<_>>(), [0, 3, 4]);
        assert_eq!((reception.missing(), reception.duplicates(), reception.unfinished()), (1, 1, 1));
        let start = Clock::new().now();
        assert_eq!(reception.first_picture_at(), Some(start));
        assert_eq!(reception.freeze_longest(start + ms(5)), ms(4));
        assert_eq!(reception.freeze_longest(start + ms(50)), ms(45));
    }

    #[test]
    fn parts_that_do_not_belong_together_make_no_frame() {
        assert_eq!(whole(&reception(&[(10, 0, true, 0, 3), (11, 0, true, 2, 3)])), [0u32; 0]);
        assert_eq!(whole(&reception(&[(10, 0, true, 0, 2), (12, 0, true, 1, 2)])), [0u32; 0]);
        assert_eq!(whole(&reception(&[(10, 0, true, 0, 2), (11, 0, false, 1, 2)])), [0u32; 0]);
        let mut reception = Reception::default();
        let at = Clock::new().now();
        reception.on_packet(SeenPacket { seq: 1, time: 0, marker: true, payload: &[1; 80], at });
        assert_eq!((reception.corrupt(), reception.packets()), (1, 0));
    }
}
