//! A keyframe on a line that takes a while for it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say what it takes for granted")]

use wtn_media::{EncodingId, MediaKind};
use wtn_testkit::{Link, Script, Show, ms, secs};

/// A line that carries the middle encoding, with as much room in front of it as a home router's: 50 ms.
const LINE_KBPS: u64 = 1000;
const QUEUE: usize = (LINE_KBPS * 1000 / 8 / 20) as usize;

/// What the line lost of thirty keyframes, a second apart, of the middle encoding: 12 packets, 85 ms of the line.
fn lost(kbps: u64) -> (u64, Show) {
    let mut show = Show::new(41, 2);
    let camera = show.publish("live", Script::SIMULCAST);
    show.run(secs(1));
    let viewer = show.watch("live", Link::kbps(kbps).delay(ms(20)).queue_len(QUEUE));
    show.run(secs(40));
    let watched = show.line(viewer).and_then(|line| line.watched);
    let expected = EncodingId(if kbps == LINE_KBPS { 1 } else { 0 });
    assert_eq!(watched, Some(expected), "on {kbps} kbit/s: {:?}", show.line(viewer));
    let before = show.world.network.tally().overflowed;
    for _ in 0..30 {
        show.publisher(camera).force_keyframe();
        show.run(secs(1));
    }
    (show.world.network.tally().overflowed - before, show)
}

#[test]
fn rtp_22_a_keyframe_does_not_overrun_the_queue_of_a_slow_line() {
    let (lost, mut show) = lost(LINE_KBPS);
    println!("{lost} packets lost");
    assert!(lost < 30, "{lost} of 360 packets of keyframes");
    let reception = show.viewer(0).reception(MediaKind::Video);
    assert_eq!((reception.missing(), reception.corrupt()), (0, 0));
}
