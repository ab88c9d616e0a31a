//! A viewer who cannot keep up: no picture until a keyframe, sound all the while, and nobody else notices.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod scene;

use scene::{Scene, VIEWER_AUDIO, VIEWER_VIDEO, rtcp_nack, rtcp_pli};
use std::time::Duration;
use wtn_fanout::{Skip, SubscriberId};
use wtn_media::{Codec, Ssrc};

fn seqs(scene: &Scene, viewer: u32, ssrc: Ssrc) -> Vec<u64> {
    scene.sent_to(viewer).iter().filter(|sent| sent.ssrc == ssrc).map(|sent| sent.seq).collect()
}

fn wishes(scene: &mut Scene) -> usize {
    std::iter::from_fn(|| scene.stream.poll_wish()).count()
}

/// Two viewers with a picture; the first was too slow `times` times, with a keyframe after each but the last.
fn shed(times: usize) -> Scene {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.join(2);
    for _ in 0..times {
        scene.keyframe(1);
        scene.frames(2);
        assert!(scene.stream.shed(scene.now, SubscriberId(1)));
        assert!(!scene.stream.shed(scene.now, SubscriberId(1)), "it has no picture that could stop");
    }
    wishes(&mut scene);
    scene
}

#[test]
fn its_picture_goes_on_with_the_next_keyframe_and_its_sound_never_stops() {
    let mut scene = shed(1);
    scene.frames(5);
    scene.audio(3);
    scene.keyframe(1);
    scene.frames(1);
    for (viewer, pictures) in [(1, 3 + 2), (2, 3 + 5 + 2)] {
        for (ssrc, count) in [(VIEWER_VIDEO, pictures), (VIEWER_AUDIO, 3)] {
            let seqs = seqs(&scene, viewer, ssrc);
            assert_eq!(seqs.len(), count, "viewer {viewer}");
            assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
        }
    }
}

#[test]
fn the_first_time_it_asks_for_a_keyframe_at_once_and_later_it_waits() {
    let mut scene = shed(1);
    scene.frames(1);
    assert_eq!((wishes(&mut scene), scene.skips(Skip::NoKeyframe)), (1, 1));
    let mut scene = shed(2);
    scene.frames(1);
    scene.viewer_says(1, &rtcp_pli(VIEWER_VIDEO));
    assert_eq!((wishes(&mut scene), scene.skips(Skip::Shed)), (0, 1), "nor when the viewer says so");
    scene.now += Duration::from_secs(2);
    scene.frames(1);
    assert_eq!(wishes(&mut scene), 1);
}

#[test]
fn what_it_lost_is_not_sent_again_while_it_waits() {
    let mut scene = shed(1);
    let lost = *seqs(&scene, 1, VIEWER_VIDEO).last().unwrap() as u16;
    let before = scene.sent_to(1).len();
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[lost]));
    assert_eq!(scene.sent_to(1).len(), before);
    scene.keyframe(1);
    let lost = *seqs(&scene, 1, VIEWER_VIDEO).last().unwrap() as u16;
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[lost]));
    assert_eq!(scene.sent_to(1).len(), before + 2, "the keyframe and its repair");
}
