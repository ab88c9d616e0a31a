//! Whatever happens upstream, each viewer sees one sequence: every number once, none left out on purpose.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use proptest::prelude::*;
use scene::{Scene, VIEWER_VIDEO};
use std::collections::BTreeMap;
use wtn_fanout::Feed;
use wtn_media::{Codec, MediaKind};

#[derive(Clone, Debug)]
enum Event {
    Join(u32),
    Leave(u32),
    Frame,
    Keyframe,
    /// Two packets change places on the way in.
    Swapped,
    /// A packet gets lost on the way in and comes later, or never.
    Lost {
        repaired: bool,
    },
    Gap,
    NewPublisher,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        2 => (1..6u32).prop_map(Event::Join),
        1 => (1..6u32).prop_map(Event::Leave),
        12 => Just(Event::Frame),
        4 => Just(Event::Keyframe),
        3 => Just(Event::Swapped),
        3 => any::<bool>().prop_map(|repaired| Event::Lost { repaired }),
        1 => Just(Event::Gap),
        1 => Just(Event::NewPublisher),
    ];
    prop::collection::vec(event, 1..120)
}

/// Plays the events; the answer maps each viewer's stay to the numbers it may rightly miss.
fn play(events: Vec<Event>) -> (Scene, usize) {
    let mut scene = Scene::new(Codec::Vp8);
    let mut here = std::collections::BTreeSet::new();
    let mut next_viewer = 0;
    let mut lost = 0;
    let mut names: BTreeMap<u32, u32> = BTreeMap::new();
    for event in events {
        match event {
            Event::Join(id) if here.insert(id) => {
                next_viewer += 1;
                names.insert(id, next_viewer);
                scene.join(next_viewer);
            }
            Event::Leave(id) if here.remove(&id) => scene.leave(names[&id]),
            Event::Join(_) | Event::Leave(_) => {}
            Event::Frame => scene.frames(1),
            Event::Keyframe => scene.keyframe(1),
            Event::Swapped => {
                let [first, second] = [(); 2].map(|()| scene.packet(MediaKind::Video, false));
                scene.feed(vec![Feed::Packet(second), Feed::Packet(first)]);
            }
            Event::Lost { repaired } => {
                let packet = scene.packet(MediaKind::Video, false);
                scene.frames(2);
                if repaired {
                    scene.feed(vec![Feed::Packet(packet)]);
                } else {
                    lost += 1;
                }
            }
            Event::Gap => {
                scene.skip_packets(5);
                scene.feed(MediaKind::ALL.map(Feed::Gap).to_vec());
            }
            Event::NewPublisher => scene.new_publisher(),
        }
    }
    (scene, lost)
}

proptest! {
    #[test]
    fn rtp_09_numbers_are_unique_and_gapless_but_for_true_losses(events in events()) {
        let (scene, lost) = play(events);
        for viewer in 1..200 {
            let mut seqs: Vec<u64> =
                scene.sent_to(viewer).iter().filter(|sent| sent.ssrc == VIEWER_VIDEO).map(|sent| sent.seq).collect();
            let Some(first) = seqs.first().copied() else { continue };
            prop_assert!(first < 1 << 15, "no viewer may misjudge the roll-over counter");
            seqs.sort_unstable();
            let before = seqs.len();
            seqs.dedup();
            prop_assert_eq!(before, seqs.len(), "a number was used twice");
            let span = seqs[seqs.len() - 1] - seqs[0] + 1;
            prop_assert!(span - seqs.len() as u64 <= lost as u64, "a hole that no loss explains");
        }
    }
}
