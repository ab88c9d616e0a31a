//! Stories about what lines carry: publishers that adapt to theirs, viewers whose line changes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say what it takes for granted")]

use wtn_testkit::{Link, Script, Show, ms, secs};

/// A publisher that adapts, over a line that goes from 3 Mbit/s to 600 kbit/s and back.
#[test]
fn rtp_20_a_publisher_follows_its_line_by_our_feedback() {
    for seed in 0..3 {
        let mut show = Show::new(300 + seed, 2);
        let script = Script { adapts: Some((100, 2500)), keyframe_every: 0, ..Script::CAMERA };
        let line = |kbps| Link::kbps(kbps).delay(ms(20));
        let camera = show.publish_over("live", script, line(3000));
        let kbps = |show: &mut Show| show.publisher(camera).estimate().map_or(0, |bps| bps / 1000);
        show.run(secs(15));
        let wide = kbps(&mut show);
        assert!(wide > 1500, "seed {seed}: {wide} kbit/s on 3000");
        let id = show.publisher_id(camera);
        show.world.network.set_links(id, line(600), line(600));
        show.run(secs(8));
        let narrow = kbps(&mut show);
        assert!((150..=620).contains(&narrow), "seed {seed}: {narrow} kbit/s on 600");
        show.world.network.set_links(id, line(3000), line(3000));
        show.run(secs(30));
        let again = kbps(&mut show);
        assert!(again > 1500, "seed {seed}: {again} kbit/s on 3000 again");
    }
}

/// str0m has not the sense to heed REMB; that it is told so must do.
#[test]
fn rtp_21_a_publisher_that_is_held_to_a_bitrate_is_told_so() {
    let mut show = Show::new(310, 2);
    show.server.hold_to("held", 1200);
    let script = Script { adapts: Some((100, 2500)), ..Script::CAMERA };
    let held = show.publish("held", script);
    let free = show.publish("free", script);
    show.run(secs(5));
    assert_eq!(show.publisher(held).remb().map(|bps| bps / 1000), Some(1200));
    assert_eq!(show.publisher(free).remb(), None, "transport-wide feedback is better");
}
