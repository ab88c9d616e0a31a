//! Stories of viewers who get an encoding without its upper layers: whatever is left out, their numbers are gapless,
//! and pictures refer to pictures that are there.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use proptest::prelude::*;
use scene::{Scene, Sent, VIEWER_RTX, VIEWER_VIDEO, rtcp_nack};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wtn_fanout::{Feed, Skip, SubscriberId};
use wtn_media::{Codec, EncodingId, LayerSelection, Packet, Rid, peek};

const ONE: EncodingId = EncodingId(0);
const OTHER: EncodingId = EncodingId(1);

/// Temporal layers of browsers: 0 2 1 2, every upper one in sync with the lowest until the pattern has come round.
const PATTERN: [u8; 4] = [0, 2, 1, 2];

/// An encoder of VP8 in three temporal layers.
#[derive(Clone, Copy)]
struct Vp8 {
    encoding: EncodingId,
    picture: u16,
    base: u8,
    at: usize,
}

impl Vp8 {
    fn new(encoding: EncodingId, picture: u16, base: u8) -> Self {
        Self { encoding, picture, base, at: 0 }
    }

    /// The next frame, in `count` packets.
    fn frame(&mut self, scene: &mut Scene, key: bool, count: usize) -> Vec<Arc<Packet>> {
        self.at = if key { 0 } else { (self.at + 1) % 8 };
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
        let temporal = PATTERN[self.at % 4];
        if temporal == 0 {
            self.base = self.base.wrapping_add(1);
        }
        let syncs = self.at < 3;
        let [high, low] = self.picture.to_be_bytes();
        (0..count)
            .map(|part| {
                let first = if part == 0 { 0x90 } else { 0x80 };
                let layer = temporal << 6 | u8::from(syncs) << 5;
                let payload =
                    [first, 0xe0, 0x80 | high, low, self.base, layer, if key { 0x50 } else { 0x51 }, 1];
                scene.payload(self.encoding, &payload, part == 0, part + 1 == count)
            })
            .collect()
    }
}

/// One picture as a viewer got it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    /// The publisher's own name for it.
    source: (u32, u8, u64),
    id: u16,
    base: u8,
    temporal: u8,
    key: bool,
    marker: bool,
}

fn ask(temporal: Option<u8>) -> Option<LayerSelection> {
    Some(LayerSelection { temporal, ..LayerSelection::default() })
}

impl Scene {
    fn give(&mut self, packets: Vec<Arc<Packet>>) {
        self.feed(packets.into_iter().map(Feed::Packet).collect());
    }

    fn select(&mut self, selection: Option<LayerSelection>) {
        self.stream.select(self.now, SubscriberId(1), selection, &mut self.recorder);
    }

    fn video(&self) -> Vec<Sent> {
        self.sent_to(1).into_iter().filter(|sent| sent.ssrc == VIEWER_VIDEO).collect()
    }

    /// What was sent, by outgoing numbers.
    fn pictures(&self) -> Vec<Picture> {
        let mut sent = self.video();
        sent.sort_by_key(|sent| sent.seq);
        let mut pictures: Vec<Picture> = Vec::new();
        for sent in sent {
            let ids = peek::marks(Codec::Vp8, &sent.payload).ids.unwrap();
            let picture = Picture {
                source: (sent.epoch, sent.encoding, sent.source_time),
                id: ids.picture,
                base: ids.base().unwrap(),
                temporal: sent.layer.1,
                key: sent.keyframe_start,
                marker: sent.marker,
            };
            match pictures.last_mut().filter(|last| last.source == picture.source) {
                Some(last) => {
                    assert_eq!((last.id, last.base), (picture.id, picture.base), "one picture, one number");
                    last.marker |= picture.marker;
                }
                None => pictures.push(picture),
            }
        }
        pictures
    }
}

/// Numbers without a gap, and each picture behind the one that it builds on.
fn check_whole(scene: &Scene) -> Vec<Picture> {
    let sent = scene.video();
    for pair in sent.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
    }
    let pictures = scene.pictures();
    let mut layers = [false; 3];
    for (at, picture) in pictures.iter().enumerate() {
        assert!(picture.marker, "every picture ends");
        if let Some(before) = at.checked_sub(1).map(|at| &pictures[at]) {
            assert_eq!(picture.id, (before.id + 1) & 0x7fff, "{before:?} {picture:?}");
            let base = before.base.wrapping_add(u8::from(picture.temporal == 0));
            assert_eq!(picture.base, base, "{before:?} {picture:?}");
        }
        // A layer that was left out comes back only in sync, which the first three pictures of eight are.
        if picture.key {
            layers = [true, false, false];
        }
        layers[usize::from(picture.temporal)] = true;
    }
    pictures
}

/// One viewer, who knows the layers.
fn begun() -> (Scene, Vp8) {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    // Both numbers wrap soon.
    let mut encoder = Vp8::new(ONE, 0x7ff0, 250);
    frames(&mut scene, &mut encoder, 1, true);
    frames(&mut scene, &mut encoder, 63, false);
    (scene, encoder)
}

fn frames(scene: &mut Scene, encoder: &mut Vp8, count: usize, key: bool) {
    for at in 0..count {
        let packets = encoder.frame(scene, key, 1 + at % 3);
        scene.give(packets);
    }
}

#[test]
fn rtp_11_all_layers_pass_untouched() {
    let (scene, _) = begun();
    let pictures = check_whole(&scene);
    assert_eq!(pictures.len(), 64);
    assert_eq!((pictures[0].id, pictures[0].base), (0x7ff1, 251), "numbers are the publisher's");
}

#[test]
fn rtp_11_fewer_pictures_have_gapless_ids_and_more_begin_in_sync() {
    let (mut scene, mut encoder) = begun();
    let count = |scene: &Scene, from: usize| {
        let pictures = check_whole(scene);
        (0..3)
            .map(|layer| pictures[from..].iter().filter(|picture| picture.temporal == layer).count())
            .collect::<Vec<_>>()
    };
    let before = scene.pictures().len();
    scene.select(ask(Some(1)));
    frames(&mut scene, &mut encoder, 64, false);
    assert_eq!(count(&scene, before), [16, 16, 0]);
    assert!(scene.skips(Skip::OtherLayer) > 0);
    let before = scene.pictures().len();
    scene.select(ask(Some(0)));
    frames(&mut scene, &mut encoder, 64, false);
    assert_eq!(count(&scene, before), [16, 0, 0]);
    // Without a keyframe: each layer comes in with its next sync.
    let before = scene.pictures().len();
    scene.select(None);
    frames(&mut scene, &mut encoder, 64, false);
    let got = count(&scene, before);
    assert!(got[0] == 16 && got[1] >= 13 && got[2] >= 25, "{got:?}");
    assert_eq!(scene.stream.poll_wish(), None, "nobody was asked for anything");
    let upper =
        |layer| scene.pictures()[before..].iter().position(|picture| picture.temporal == layer).unwrap();
    assert!(upper(1) < upper(2), "one layer after the other");
}

#[test]
fn rtp_11_a_repair_on_a_lower_rung_is_what_was_sent() {
    let (mut scene, mut encoder) = begun();
    scene.select(ask(Some(0)));
    frames(&mut scene, &mut encoder, 64, false);
    let sent = scene.video();
    let lost: Vec<Sent> = sent[sent.len() - 9..sent.len() - 3].to_vec();
    scene.now += Duration::from_millis(100);
    let numbers: Vec<u16> = lost.iter().map(|sent| sent.seq as u16).collect();
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &numbers));
    let again: Vec<Sent> = scene.sent_to(1).into_iter().filter(|sent| sent.ssrc == VIEWER_RTX).collect();
    assert_eq!(again.len(), lost.len());
    for (again, lost) in again.iter().zip(&lost) {
        assert_eq!(again.original, Some(lost.seq as u16));
        assert_eq!(
            (&again.payload, again.time, again.marker, again.source_seq),
            (&lost.payload, lost.time, lost.marker, lost.source_seq)
        );
    }
}

#[test]
fn rtp_11_another_publisher_and_another_encoding_go_on_with_the_numbers() {
    let (mut scene, mut encoder) = begun();
    scene.select(ask(Some(1)));
    frames(&mut scene, &mut encoder, 20, false);
    scene.new_publisher();
    let mut second = Vp8::new(ONE, 77, 9);
    frames(&mut scene, &mut second, 1, true);
    frames(&mut scene, &mut second, 40, false);
    // A richer encoding appears; the viewer goes there by name.
    scene.stream.set_rids(["a", "b"].into_iter().filter_map(Rid::new).collect());
    let mut third = Vp8::new(OTHER, 30_000, 100);
    for _ in 0..80 {
        frames(&mut scene, &mut second, 1, false);
        frames(&mut scene, &mut third, 1, false);
    }
    scene.select(Some(LayerSelection { rid: Rid::new("b"), ..LayerSelection::default() }));
    frames(&mut scene, &mut third, 1, true);
    frames(&mut scene, &mut third, 40, false);
    let pictures = check_whole(&scene);
    let mut sources: Vec<_> = pictures.iter().map(|picture| (picture.source.0, picture.source.1)).collect();
    sources.dedup();
    assert_eq!(sources, [(256, 0), (512, 0), (512, 1)]);
}

#[derive(Clone, Debug)]
enum Event {
    Frame(usize),
    Key,
    Select(Option<u8>),
    /// A packet that comes late, or never.
    Lost {
        repaired: bool,
    },
    Publisher,
}

fn events(losses: u32) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        20 => (1..4usize).prop_map(Event::Frame),
        1 => Just(Event::Key),
        2 => prop::option::of(0..3u8).prop_map(Event::Select),
        losses => any::<bool>().prop_map(|repaired| Event::Lost { repaired }),
        1 => Just(Event::Publisher),
    ];
    prop::collection::vec(event, 1..250)
}

/// Plays the events; the answer is the scene and how many packets never came.
fn play(events: Vec<Event>) -> (Scene, usize) {
    let (mut scene, mut encoder) = begun();
    let (mut lost, mut fresh) = (0, 0);
    for event in events {
        match event {
            Event::Frame(count) => {
                let packets = encoder.frame(&mut scene, false, count);
                scene.give(packets);
            }
            Event::Key => frames(&mut scene, &mut encoder, 1, true),
            Event::Select(temporal) => scene.select(temporal.map(|t| ask(Some(t)).unwrap())),
            Event::Lost { repaired } => {
                let mut packets = encoder.frame(&mut scene, false, 3);
                let late = packets.remove(lost % 3);
                scene.give(packets);
                frames(&mut scene, &mut encoder, 2, false);
                if repaired {
                    scene.give(vec![late]);
                } else {
                    lost += 1;
                }
            }
            Event::Publisher => {
                fresh += 1;
                scene.new_publisher();
                encoder = Vp8::new(ONE, fresh * 1000, fresh as u8);
                frames(&mut scene, &mut encoder, 1, true);
            }
        }
    }
    (scene, lost)
}

proptest! {
    #[test]
    fn rtp_11_without_loss_every_number_is_the_one_after_the_last(events in events(0)) {
        check_whole(&play(events).0);
    }

    #[test]
    fn rtp_11_with_loss_no_number_is_used_twice_and_no_hole_is_without_cause(events in events(3)) {
        let holes_owed = events.iter().filter(|event| matches!(event, Event::Lost { .. })).count();
        let (scene, lost) = play(events);
        prop_assert!(lost <= holes_owed);
        let mut seqs: Vec<u64> = scene.video().iter().map(|sent| sent.seq).collect();
        seqs.sort_unstable();
        let count = seqs.len();
        seqs.dedup();
        prop_assert_eq!(count, seqs.len(), "a number was used twice");
        let span = (seqs[count - 1] - seqs[0] + 1) as usize;
        // A loss on a layer that the viewer does without keeps its number also when it comes late.
        prop_assert!(span - count <= holes_owed, "{} holes for {holes_owed} losses", span - count);
        let mut named: BTreeMap<(u32, u8, u64), (u16, u8)> = BTreeMap::new();
        let pictures = scene.pictures();
        for picture in &pictures {
            let name = named.entry(picture.source).or_insert((picture.id, picture.base));
            prop_assert_eq!(*name, (picture.id, picture.base), "one picture, one number");
        }
        for pair in pictures.windows(2) {
            let step = pair[1].id.wrapping_sub(pair[0].id) & 0x7fff;
            prop_assert!((1..=1 + holes_owed as u16).contains(&step), "{step} between {pair:?}");
        }
    }
}
