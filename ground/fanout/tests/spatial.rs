//! Stories of viewers who get a picture without its upper spatial layers: everything that a frame builds on is there,
//! and every picture has an end.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use proptest::prelude::*;
use scene::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wtn_fanout::{Feed, SubscriberId};
use wtn_media::{Codec, EncodingId, LayerSelection, Packet, peek};

const ONE: EncodingId = EncodingId(0);
const SPATIAL: u8 = 3;
const PATTERN: [u8; 4] = [0, 2, 1, 2];

/// A frame of one spatial layer, by the publisher's time and its layer.
type Frame = (u64, u8);

/// An encoder of three spatial and three temporal layers.
struct Encoder {
    codec: Codec,
    /// Upper layers build on lower ones in keyframes alone.
    keyframes_only: bool,
    picture: u16,
    base: u8,
    frame: u16,
    at: usize,
    /// The last frame of each spatial and temporal layer.
    last: BTreeMap<(u8, u8), Frame>,
    /// What each frame builds on.
    builds_on: BTreeMap<Frame, Vec<Frame>>,
}

impl Encoder {
    fn new(codec: Codec, keyframes_only: bool) -> Self {
        Self {
            codec,
            keyframes_only,
            picture: 0x7ff8,
            base: 253,
            frame: 0xfff0,
            at: 0,
            last: BTreeMap::new(),
            builds_on: BTreeMap::new(),
        }
    }

    /// The next picture; each layer in two packets.
    fn picture(&mut self, scene: &mut Scene, key: bool) -> Vec<Arc<Packet>> {
        self.at = if key { 0 } else { (self.at + 1) % 4 };
        self.picture = (self.picture + 1) & 0x7fff;
        let temporal = PATTERN[self.at];
        self.base = self.base.wrapping_add(u8::from(temporal == 0));
        let mut packets: Vec<Arc<Packet>> = Vec::new();
        for spatial in 0..SPATIAL {
            self.frame = self.frame.wrapping_add(1);
            for part in 0..2 {
                let ends = part == 1;
                let begins = spatial == 0 && part == 0;
                let marker = ends && spatial + 1 == SPATIAL;
                packets.push(match self.codec {
                    Codec::Vp9 => {
                        let payload = self.vp9(key, spatial, temporal, part);
                        scene.payload(ONE, &payload, begins, marker)
                    }
                    _ => {
                        let descriptor = self.descriptor(key && begins, key, spatial, temporal, part);
                        // The first packet of a sequence says so.
                        let payload = [if key && begins { 0x18 } else { 0x10 }, 0x30, 0];
                        scene.described(ONE, &payload, Some(&descriptor), begins, marker)
                    }
                });
            }
            self.remember(packets[0].time.0, key, spatial, temporal);
        }
        packets
    }

    fn remember(&mut self, time: u64, key: bool, spatial: u8, temporal: u8) {
        let mut on = Vec::new();
        if key {
            self.last.retain(|(layer, _), _| *layer < spatial);
        } else {
            let lower =
                self.last.iter().filter(|((layer, level), _)| *layer == spatial && *level <= temporal);
            on.extend(lower.map(|(_, frame)| *frame).max());
        }
        if spatial > 0 && (key || !self.keyframes_only) {
            on.push((time, spatial - 1));
        }
        self.builds_on.insert((time, spatial), on);
        self.last.insert((spatial, temporal), (time, spatial));
        // The next picture of a lower layer ends what the upper ones may build on.
        self.last.retain(|(layer, level), _| *layer != spatial || *level <= temporal);
    }

    fn vp9(&self, key: bool, spatial: u8, temporal: u8, part: u8) -> [u8; 6] {
        let mut flags = 0xa0 | if part == 0 { 0x08 } else { 0x04 };
        if !key {
            flags |= 0x40;
        }
        if self.keyframes_only && !key || spatial + 1 == SPATIAL {
            flags |= 0x01;
        }
        let [high, low] = self.picture.to_be_bytes();
        // Switching points are where the pattern begins.
        let layer =
            temporal << 5 | u8::from(temporal == 0) << 4 | spatial << 1 | u8::from(spatial > 0 && key);
        [flags, 0x80 | high, low, layer, self.base, 0x82]
    }

    /// Four templates a spatial layer: keyframe, and one each temporal layer.
    fn descriptor(&self, structure: bool, key: bool, spatial: u8, temporal: u8, part: u8) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1));
        put(u32::from(part == 0), 1);
        put(u32::from(part == 1), 1);
        put(u32::from(spatial * 4 + if key { 0 } else { 1 + temporal }), 6);
        put(u32::from(self.frame), 16);
        if structure {
            put(0b10000, 5);
            put(0, 6);
            put(8, 5);
            for layer in 0..SPATIAL {
                for next in [0, 1, 1, if layer + 1 == SPATIAL { 3 } else { 2 }] {
                    put(next, 2);
                }
            }
            for layer in 0..SPATIAL {
                for (key, level) in [(true, 0), (false, 0), (false, 1), (false, 2)] {
                    for target in 0..9 {
                        put(self.indication(key, layer, level, target / 3, target % 3), 2);
                    }
                }
            }
            put(0, 12);
            put(0, 3);
            put(0, 1);
        }
        bits.chunks(8)
            .map(|bits| bits.iter().zip((0..8).rev()).map(|(bit, at)| (bit << at) as u8).sum())
            .collect()
    }

    /// Not present, discardable, switch, required.
    fn indication(&self, key: bool, spatial: u8, temporal: u8, to_spatial: u8, to_temporal: u8) -> u32 {
        let is_there = temporal <= to_temporal
            && if key || !self.keyframes_only { spatial <= to_spatial } else { spatial == to_spatial };
        match (is_there, spatial == to_spatial && temporal == 0) {
            (false, _) => 0,
            (true, true) => 2,
            (true, false) => 3,
        }
    }
}

fn ask(spatial: Option<u8>, temporal: Option<u8>) -> Option<LayerSelection> {
    Some(LayerSelection { spatial, temporal, ..LayerSelection::default() })
}

impl Scene {
    fn show(&mut self, encoder: &mut Encoder, count: usize, key: bool) {
        for _ in 0..count {
            let packets = encoder.picture(self, key);
            self.feed(packets.into_iter().map(Feed::Packet).collect());
        }
    }

    fn select(&mut self, selection: Option<LayerSelection>) {
        self.stream.select(self.now, SubscriberId(1), selection, &mut self.recorder);
    }

    fn wishes(&mut self) -> usize {
        std::iter::from_fn(|| self.stream.poll_wish()).count()
    }
}

fn begun(codec: Codec, keyframes_only: bool) -> (Scene, Encoder) {
    let mut scene = Scene::new(codec);
    scene.join_able(1);
    let mut encoder = Encoder::new(codec, keyframes_only);
    scene.show(&mut encoder, 1, true);
    scene.show(&mut encoder, 63, false);
    scene.wishes();
    (scene, encoder)
}

/// Gapless numbers, whole frames behind what they build on, pictures with one end, which is their last packet. The
/// answer is the highest spatial layer of each picture and its temporal one.
fn check(scene: &Scene, encoder: &Encoder) -> Vec<(u8, u8)> {
    let sent = scene.sent_to(1);
    let mut frames: BTreeMap<Frame, usize> = BTreeMap::new();
    let mut pictures: Vec<(u64, u8, u8)> = Vec::new();
    for (at, sent) in sent.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).map(|at| &scene.recorder.sent[at]) {
            assert_eq!(sent.seq, before.seq + 1);
            assert_eq!(
                before.marker,
                before.time != sent.time,
                "the marker ends the picture and nothing else"
            );
        }
        let frame = (sent.source_time, sent.layer.0);
        *frames.entry(frame).or_default() += 1;
        match pictures.last_mut().filter(|(time, ..)| *time == sent.source_time) {
            Some((_, top, _)) => *top = sent.layer.0,
            None => pictures.push((sent.source_time, sent.layer.0, sent.layer.1)),
        }
    }
    let complete: BTreeSet<Frame> =
        frames.iter().filter(|(_, count)| **count == 2).map(|(frame, _)| *frame).collect();
    assert_eq!(complete.len(), frames.len(), "no half frames");
    for (time, top, _) in &pictures {
        // What is shown is the highest layer; what is below and of no use to it may lack what it builds on.
        for on in &encoder.builds_on[&(*time, *top)] {
            assert!(complete.contains(on), "{time}/{top} builds on {on:?}");
        }
    }
    pictures.into_iter().map(|(_, top, temporal)| (top, temporal)).collect()
}

/// Most of the pictures were of that spatial layer, and none above that temporal layer.
fn check_last(pictures: &[(u8, u8)], count: usize, spatial: u8, temporal: u8) {
    let last = &pictures[pictures.len() - count..];
    assert!(last.iter().all(|(top, level)| *top == spatial && *level <= temporal), "{last:?}");
}

#[test]
fn rtp_11_a_layer_without_those_above_it_is_whole_and_ends_its_pictures() {
    for codec in [Codec::Vp9, Codec::Av1] {
        for keyframes_only in [false, true] {
            let (mut scene, mut encoder) = begun(codec, keyframes_only);
            check_last(&check(&scene, &encoder), 60, 2, 2);
            scene.select(ask(Some(1), Some(1)));
            scene.show(&mut encoder, 8, false);
            // All of it was there: the way down is free.
            assert_eq!(scene.wishes(), 0, "{codec}");
            scene.show(&mut encoder, 40, false);
            check_last(&check(&scene, &encoder), 20, 1, 1);
            // Now only one layer came, if the others are of no use to it.
            scene.select(ask(Some(0), None));
            scene.show(&mut encoder, 8, false);
            assert_eq!(scene.wishes() > 0, keyframes_only, "{codec}");
            scene.show(&mut encoder, 1, true);
            scene.show(&mut encoder, 40, false);
            check_last(&check(&scene, &encoder), 40, 0, 2);
        }
    }
}

#[test]
fn rtp_10_an_upper_layer_begins_with_a_keyframe_that_is_asked_for_and_pictures_go_on_until_then() {
    for codec in [Codec::Vp9, Codec::Av1] {
        for keyframes_only in [false, true] {
            let (mut scene, mut encoder) = begun(codec, keyframes_only);
            scene.select(ask(Some(0), None));
            scene.show(&mut encoder, 1, true);
            scene.show(&mut encoder, 63, false);
            check_last(&check(&scene, &encoder), 60, 0, 2);
            scene.wishes();
            scene.select(ask(Some(2), None));
            scene.show(&mut encoder, 9, false);
            check_last(&check(&scene, &encoder), 9, 0, 2);
            assert!(scene.wishes() > 0, "{codec}");
            scene.show(&mut encoder, 1, true);
            scene.show(&mut encoder, 10, false);
            check_last(&check(&scene, &encoder), 11, 2, 2);
            assert_eq!(scene.wishes(), 0);
        }
    }
}

#[test]
fn rtp_11_numbers_within_the_payload_go_on_with_another_publisher() {
    for codec in [Codec::Vp9, Codec::Av1] {
        let (mut scene, mut encoder) = begun(codec, true);
        let numbers = |scene: &Scene| {
            let sent = scene.sent_to(1);
            let read = sent.iter().map(|sent| match codec {
                Codec::Vp9 => peek::marks(codec, &sent.payload).ids.map(|ids| (ids.picture, ids.base())),
                _ => sent.frame.map(|frame| (frame, None)),
            });
            let mut read: Vec<_> = read.map(|read| read.unwrap()).collect();
            read.dedup();
            read
        };
        assert_eq!(numbers(&scene)[0].0, if codec == Codec::Vp9 { 0x7ff9 } else { 0xfff1 });
        scene.new_publisher();
        encoder.picture = 1234;
        encoder.base = 200;
        encoder.frame = 17;
        scene.show(&mut encoder, 1, true);
        scene.show(&mut encoder, 20, false);
        let numbers = numbers(&scene);
        let mask = if codec == Codec::Vp9 { 0x7fff } else { 0xffff };
        for pair in numbers.windows(2) {
            assert_eq!(pair[1].0, pair[0].0.wrapping_add(1) & mask, "{codec}");
            let base = |at: usize| pair[at].1.unwrap_or(0);
            assert!(base(1).wrapping_sub(base(0)) <= 1, "{codec}: {pair:?}");
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Pictures(usize),
    Key,
    Select(Option<u8>, Option<u8>),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn rtp_11_whatever_is_asked_for_everything_that_is_shown_can_be_decoded(
        vp9: bool,
        keyframes_only: bool,
        events in prop::collection::vec(prop_oneof![
            8 => (1..12usize).prop_map(Event::Pictures),
            1 => Just(Event::Key),
            4 => (prop::option::of(0..3u8), prop::option::of(0..3u8)).prop_map(|(s, t)| Event::Select(s, t)),
        ], 1..60),
    ) {
        let (mut scene, mut encoder) = begun(if vp9 { Codec::Vp9 } else { Codec::Av1 }, keyframes_only);
        for event in events {
            match event {
                Event::Pictures(count) => scene.show(&mut encoder, count, false),
                Event::Key => scene.show(&mut encoder, 1, true),
                Event::Select(spatial, temporal) => scene.select(ask(spatial, temporal)),
            }
            // A publisher that heeds requests, but not at once.
            if scene.wishes() > 1 {
                scene.show(&mut encoder, 1, true);
            }
        }
        check(&scene, &encoder);
    }
}
