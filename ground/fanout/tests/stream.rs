//! Stories of one stream on one shard: who gets which packet under which numbers.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use scene::{Scene, VIEWER_AUDIO, VIEWER_RTX, VIEWER_VIDEO, rtcp_nack, rtcp_pli};
use wtn_fanout::{Feed, Skip, SubscriberId};
use wtn_media::{Codec, EncodingId, MediaKind};

#[test]
fn rtp_08_payload_type_and_ssrc_are_the_viewers() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    let sent = scene.sent_to(1);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].ssrc, VIEWER_VIDEO);
    assert_eq!(sent[0].payload_type, 100);
}

#[test]
fn wish_comes_with_the_join_and_the_first_packet_is_a_keyframe() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.frames(3);
    scene.join(1);
    assert_eq!(scene.stream.poll_wish(), Some(EncodingId(0)));
    scene.frames(2);
    assert!(scene.sent_to(1).is_empty());
    assert_eq!(scene.skips(Skip::NoKeyframe), 2);
    assert_eq!(scene.stream.poll_wish(), Some(EncodingId(0)), "still waiting, still wishing");
    scene.keyframe(1);
    scene.frames(2);
    assert_eq!(scene.sent_to(1).len(), 3);
    assert_eq!(scene.stream.poll_wish(), None);
}

#[test]
fn rtp_19_a_late_viewer_starts_from_the_last_keyframe_and_meets_the_present() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.keyframe(1);
    scene.frames(99);
    scene.join(1);
    assert_eq!(scene.stream.poll_wish(), None, "no need to ask the publisher");
    scene.catch_up();
    let first = scene.sent_to(1)[0].clone();
    assert_eq!(first.source_seq, 60_001, "the keyframe, at once");
    // Two seconds behind at twice the speed: two seconds later it has what everybody has.
    scene.frames(90);
    assert!(scene.sent_to(1).len() < 190);
    scene.frames(13);
    let sent = scene.sent_to(1);
    assert_eq!(sent.len(), 203);
    assert!(sent.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1 && pair[1].time > pair[0].time));
    let step = |at: usize| sent[at + 1].time - sent[at].time;
    assert_eq!((step(10), step(201)), (900, 1800), "shown twice as fast, then as it comes");
}

#[test]
fn a_keyframe_overtakes_a_viewer_who_is_behind() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.keyframe(1);
    scene.frames(99);
    scene.join(1);
    scene.frames(5);
    let behind = scene.sent_to(1).len();
    assert!(behind < 30);
    scene.keyframe(1);
    scene.frames(1);
    let sent = scene.sent_to(1);
    assert_eq!(sent.len(), behind + 2, "straight to the new one");
    assert!(sent.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1 && pair[1].time > pair[0].time));
}

#[test]
fn what_a_viewer_lost_of_the_past_is_sent_again_out_of_the_cache() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.keyframe(1);
    scene.frames(199);
    scene.stream.evict(scene.now);
    scene.join(1);
    scene.catch_up();
    let lost = scene.sent_to(1)[0].clone();
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[lost.seq as u16]));
    let again = scene.sent_to(1).last().cloned().unwrap();
    assert_eq!((again.original, again.time, again.payload), (Some(lost.seq as u16), lost.time, lost.payload));
}

#[test]
fn what_another_shard_had_is_a_start_for_those_who_wait() {
    let mut origin = Scene::new(Codec::Vp8);
    origin.keyframe(1);
    origin.frames(3);
    let mut edge = Scene::new(Codec::Vp8);
    edge.now = origin.now;
    edge.join(1);
    let backlog = origin.stream.backlog();
    assert_eq!(backlog.len(), 4);
    edge.stream.adopt(edge.now, &backlog, &[]);
    edge.catch_up();
    assert_eq!(edge.sent_to(1)[0].source_seq, 60_001);
}

#[test]
fn sound_does_not_wait_for_the_picture() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.audio(5);
    assert_eq!(scene.sent_to(1).len(), 5);
}

#[test]
fn a_viewer_without_the_codec_gets_nothing_and_it_is_counted() {
    let mut scene = Scene::new(Codec::H264);
    scene.join(1);
    scene.keyframe(1);
    assert!(scene.sent_to(1).is_empty());
    assert_eq!(scene.skips(Skip::NoCodec), 1);
}

#[test]
fn rtp_14_a_lost_packet_comes_again_as_rtx_and_only_once_per_round_trip() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    scene.frames(5);
    let lost = scene.sent_to(1)[3].seq;
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[lost as u16]));
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[lost as u16]));
    let resent: Vec<_> = scene.sent_to(1).into_iter().filter(|sent| sent.ssrc == VIEWER_RTX).collect();
    assert_eq!(resent.len(), 1);
    assert_eq!(resent[0].original, Some(lost as u16));
    assert_eq!(resent[0].payload, scene.sent_to(1)[3].payload);
}

#[test]
fn a_request_for_what_never_was_is_ignored() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    let before = scene.sent_to(1).len();
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[9, 40_000]));
    scene.viewer_says(1, &rtcp_nack(wtn_media::Ssrc(99), &[1]));
    scene.viewer_says(1, b"\x81\xcd\xff\xff garbage");
    assert_eq!(scene.sent_to(1).len(), before);
}

#[test]
fn rtp_18_a_viewers_pli_becomes_a_wish_for_what_it_watches() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    while scene.stream.poll_wish().is_some() {}
    scene.viewer_says(1, &rtcp_pli(VIEWER_VIDEO));
    assert_eq!(scene.stream.poll_wish(), Some(EncodingId(0)));
    assert_eq!(scene.stream.poll_wish(), None);
}

#[test]
fn rtp_09_a_publisher_that_comes_back_continues_the_same_numbers() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    scene.frames(4);
    scene.new_publisher();
    scene.frames(2);
    scene.keyframe(1);
    scene.frames(2);
    let seqs: Vec<u64> = scene.sent_to(1).iter().map(|sent| sent.seq).collect();
    assert_eq!(seqs.len(), 8, "the two frames before the keyframe are left out");
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    let times: Vec<u32> = scene.sent_to(1).iter().map(|sent| sent.time).collect();
    assert!(times.windows(2).all(|pair| (1..90_000).contains(&pair[1].wrapping_sub(pair[0]))), "{times:?}");
}

#[test]
fn packets_of_a_publisher_that_was_replaced_go_nowhere() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    let stale = scene.packet(MediaKind::Video, true);
    scene.new_publisher();
    scene.keyframe(1);
    let before = scene.sent_to(1).len();
    scene.feed(vec![Feed::Packet(stale)]);
    assert_eq!(scene.sent_to(1).len(), before);
}

#[test]
fn rtp_30_a_gap_between_shards_starts_the_picture_anew_without_a_hole() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    scene.frames(2);
    scene.skip_packets(7);
    scene.feed(vec![Feed::Gap]);
    scene.frames(2);
    scene.keyframe(1);
    let seqs: Vec<u64> = scene.sent_to(1).iter().map(|sent| sent.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    assert_eq!(seqs.len(), 4);
}

#[test]
fn rtp_10_viewers_move_to_the_richest_encoding_on_its_keyframe() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.simulcast(EncodingId(0), 200, true);
    for _ in 0..30 {
        scene.simulcast(EncodingId(0), 200, false);
        scene.simulcast(EncodingId(1), 900, false);
    }
    assert!(
        scene.sent_to(1).iter().all(|sent| sent.payload.len() == 200),
        "no keyframe of the richer one yet"
    );
    let wishes: Vec<_> = std::iter::from_fn(|| scene.stream.poll_wish()).collect();
    assert_eq!(wishes, [EncodingId(1)]);
    scene.simulcast(EncodingId(1), 900, true);
    scene.simulcast(EncodingId(0), 200, false);
    scene.simulcast(EncodingId(1), 900, false);
    let sizes: Vec<_> = scene.sent_to(1).iter().rev().take(3).map(|sent| sent.payload.len()).collect();
    assert_eq!(sizes, [900, 900, 200]);
    let seqs: Vec<u64> = scene.sent_to(1).iter().map(|sent| sent.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn a_viewer_who_left_gets_nothing_and_the_others_go_on() {
    let mut scene = Scene::new(Codec::Vp8);
    (1..=3).for_each(|id| scene.join(id));
    scene.keyframe(1);
    scene.leave(1);
    scene.frames(1);
    assert_eq!([1, 2, 3].map(|id| scene.sent_to(id).len()), [1, 2, 2]);
}

#[test]
fn rtp_06_a_new_source_of_one_encoding_leaves_the_others_alone() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    for _ in 0..40 {
        scene.simulcast(EncodingId(0), 200, true);
        scene.simulcast(EncodingId(1), 900, true);
    }
    scene.new_source();
    scene.simulcast(EncodingId(0), 200, true);
    scene.old_source();
    let before = scene.sent_to(1).len();
    (0..10).for_each(|_| scene.simulcast(EncodingId(1), 900, false));
    assert_eq!(scene.sent_to(1).len(), before + 10);
}

#[test]
fn a_codec_that_comes_back_starts_with_a_keyframe_and_leaves_no_hole() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    scene.frames(2);
    scene.codec = Codec::H264;
    scene.frames(40_000);
    scene.codec = Codec::Vp8;
    scene.frames(2);
    scene.keyframe(1);
    scene.frames(1);
    let seqs: Vec<u64> = scene.sent_to(1).iter().map(|sent| sent.seq).collect();
    assert_eq!(seqs.len(), 5);
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
}

/// The numbers a viewer was sent of one track, in order.
fn seqs(scene: &Scene, id: u32, ssrc: wtn_media::Ssrc) -> Vec<u64> {
    scene.sent_to(id).iter().filter(|sent| sent.ssrc == ssrc).map(|sent| sent.seq).collect()
}

#[test]
fn a_publisher_heard_again_after_its_mute_leaves_no_gap_and_starts_with_a_keyframe() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.keyframe(1);
    scene.frames(2);
    scene.audio(3);
    scene.feed(vec![Feed::Cut(MediaKind::Video), Feed::Cut(MediaKind::Audio)]);
    // Muted: these packets are not fed.
    for _ in 0..5 {
        let _ = (scene.packet(MediaKind::Video, false), scene.packet(MediaKind::Audio, false));
    }
    scene.join(2);
    assert!(scene.sent_to(2).is_empty(), "what came before the mute is no picture to start from");
    scene.feed(vec![Feed::Cut(MediaKind::Video), Feed::Cut(MediaKind::Audio)]);
    scene.audio(2);
    scene.frames(2);
    scene.keyframe(1);
    scene.frames(1);
    for ssrc in [VIEWER_VIDEO, VIEWER_AUDIO] {
        let seqs = seqs(&scene, 1, ssrc);
        assert_eq!(seqs.len(), 5, "{seqs:?}");
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    }
    assert_eq!(seqs(&scene, 2, VIEWER_VIDEO).len(), 2);
}

#[test]
fn a_muted_viewer_gets_nothing_of_that_kind_and_later_goes_on_without_a_gap() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join(1);
    scene.join(2);
    scene.keyframe(1);
    scene.audio(1);
    scene.stream.mute(scene.now, SubscriberId(1), [false, true]);
    scene.keyframe(1);
    scene.frames(3);
    scene.audio(2);
    assert_eq!(seqs(&scene, 1, VIEWER_VIDEO).len(), 1);
    assert_eq!(seqs(&scene, 1, VIEWER_AUDIO).len(), 3, "the other kind flows");
    assert_eq!(seqs(&scene, 2, VIEWER_VIDEO).len(), 5, "other viewers are not concerned");
    assert_eq!(scene.skips(Skip::Muted), 4);
    scene.viewer_says(1, &rtcp_nack(VIEWER_VIDEO, &[seqs(&scene, 1, VIEWER_VIDEO)[0] as u16]));
    assert_eq!(scene.sent_to(1).len(), 4, "nothing is sent again either");

    scene.stream.mute(scene.now, SubscriberId(1), [false; 2]);
    scene.now += std::time::Duration::from_secs(1);
    scene.catch_up();
    scene.frames(2);
    let seqs = seqs(&scene, 1, VIEWER_VIDEO);
    assert!(seqs.len() >= 1 + 4 + 2, "the picture is back from the last keyframe on: {seqs:?}");
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
}
