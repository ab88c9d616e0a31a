//! Stories about reports: what viewers are told about time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say what it takes for granted")]

use std::collections::BTreeMap;
use std::time::Duration;
use wtn_media::MediaKind;
use wtn_testkit::{FrameId, Link, Script, Show, clock::since_start, ms, secs};

/// By how much, in milliseconds, a viewer's player would show sound and picture apart at the worst: for each picture,
/// against the sound that was captured closest to it. And how many pictures that was judged by. Those from before
/// `since` are not judged: who joins is shown the past, faster, until it meets the present, while sound starts live.
fn lips_apart(show: &mut Show, publishers: &[usize], viewer: usize, since: Duration) -> (f64, usize) {
    let mut truth: [BTreeMap<FrameId, f64>; 2] = Default::default();
    for publisher in publishers {
        for kind in MediaKind::ALL {
            let sent: Vec<_> = show.publisher(*publisher).frames_sent(kind).collect();
            truth[kind.index()].extend(sent.into_iter().map(|(at, id)| (id, since_start(at).as_secs_f64())));
        }
    }
    let viewer = show.viewer(viewer);
    let told = MediaKind::ALL.map(|kind| {
        let captured = viewer.captured(kind).iter();
        captured.map(|(id, told)| (truth[kind.index()][id], *told)).collect::<Vec<_>>()
    });
    let [sound, picture] = [&told[MediaKind::Audio.index()], &told[MediaKind::Video.index()]];
    let mut worst: f64 = 0.0;
    let judged = picture.iter().filter(|(captured, _)| *captured >= since.as_secs_f64());
    let count = judged.clone().count();
    for (captured, told) in judged {
        let near = sound.iter().min_by(|a, b| (a.0 - captured).abs().total_cmp(&(b.0 - captured).abs()));
        let (sound_captured, sound_told) = near.expect("there is sound");
        worst = worst.max(((told - sound_told) - (captured - sound_captured)).abs() * 1e3);
    }
    (worst, count)
}

#[test]
fn rtp_23_lips_stay_in_sync_through_restarts_of_the_publisher() {
    for seed in 0..3 {
        let mut show = Show::new(600 + seed, 2);
        let first = show.publish_over("live", Script::CAMERA, Link::PERFECT.delay(ms(20)));
        show.run(secs(2));
        let anna = show.watch("live", Link::PERFECT.delay(ms(30)).jitter(ms(10)));
        show.run(secs(12));
        let mut publishers = vec![first];
        for _ in 0..2 {
            show.publisher(*publishers.last().unwrap()).vanish();
            show.run(secs(2));
            publishers.push(show.publish_over("live", Script::CAMERA, Link::PERFECT.delay(ms(60))));
            show.run(secs(12));
        }
        let (worst, judged) = lips_apart(&mut show, &publishers, anna, secs(6));
        println!("seed {seed}: lips {worst:.1} ms apart at the worst, of {judged} pictures");
        assert!(worst < 40.0, "seed {seed}: {worst} ms");
        assert!(judged > 700, "seed {seed}: {judged} pictures");
    }
}

#[test]
fn rtp_23_lips_stay_in_sync_through_switches_of_the_encoding() {
    let mut show = Show::new(620, 2);
    let camera = show.publish("live", Script::SIMULCAST);
    show.run(secs(3));
    let line = |kbps: u64| Link::kbps(kbps).delay(ms(20)).queue_len((kbps * 1000 / 8 / 4) as usize);
    let anna = show.watch("live", line(4000));
    let mut watched = Vec::new();
    for kbps in [4000, 500, 4000, 1200] {
        let id = show.viewer_id(anna);
        show.world.network.set_links(id, Link::PERFECT.delay(ms(20)), line(kbps));
        show.run(secs(15));
        watched.extend(show.line(anna).and_then(|line| line.watched));
    }
    watched.dedup();
    assert!(watched.len() >= 3, "it switched: {watched:?}");
    let (worst, judged) = lips_apart(&mut show, &[camera], anna, secs(7));
    println!("lips {worst:.1} ms apart at the worst, of {judged} pictures, {watched:?}");
    assert!(worst < 40.0, "{worst} ms");
    assert!(judged > 1000, "{judged} pictures");
}
