//! What is said of publishers, and of viewers whose lines carry nothing, in simulated time.

use wtn_engine::EndReason;
use wtn_media::{LintCode, MediaKind, SessionId};
use wtn_testkit::{Link, Script, Show, ms, secs};

fn codes(show: &Show, session: u64) -> Vec<LintCode> {
    show.server.lint().into_iter().filter(|(id, _)| id.0 == session).map(|(_, code)| code).collect()
}

#[test]
fn an_encoder_with_eight_seconds_between_keyframes_is_told_and_a_camera_is_not() {
    let mut show = Show::new(1, 3);
    show.publish("live", Script::OBS);
    show.publish("other", Script::CAMERA);
    show.publish("third", Script::SIMULCAST);
    show.run(secs(30));
    assert_eq!(codes(&show, 1), [LintCode::KeyframesFarApart]);
    assert_eq!(codes(&show, 2), []);
    assert_eq!(codes(&show, 3), []);
}

#[test]
fn an_encoder_that_ignores_a_request_is_told_within_seconds() {
    let mut show = Show::new(2, 2);
    show.publish("live", Script { keyframe_every: 0, ..Script::OBS });
    show.run(secs(1));
    let line = Link::PERFECT.delay(ms(10));
    let viewer = show.watch("live", line);
    show.run(secs(2));
    assert_eq!(codes(&show, 1), []);
    // So bad that its player loses the picture and asks.
    let id = show.viewer_id(viewer);
    show.world.network.set_links(id, line, line.loss_percent(60.0));
    show.run(secs(8));
    assert_eq!(codes(&show, 1), [LintCode::KeyframesFarApart]);
}

#[test]
fn losses_on_the_publishers_line_are_told_and_over_when_they_are() {
    let mut show = Show::new(3, 2);
    let camera = show.publish_over("live", Script::CAMERA, Link::PERFECT.delay(ms(20)).loss_percent(5.0));
    show.run(secs(20));
    assert_eq!(codes(&show, 1), [LintCode::UplinkLoss]);
    let id = show.publisher_id(camera);
    show.world.network.set_links(id, Link::PERFECT.delay(ms(20)), Link::PERFECT.delay(ms(20)));
    show.run(secs(25));
    assert_eq!(codes(&show, 1), []);
}

#[test]
fn a_publisher_that_sends_more_than_its_endpoint_allows_is_told() {
    let mut show = Show::new(4, 2);
    show.server.hold_to("live", 1000);
    show.publish("live", Script::CAMERA);
    show.run(secs(8));
    assert_eq!(codes(&show, 1), [LintCode::BitrateOverPolicy]);
}

#[test]
fn rtp_22_a_viewer_whose_line_carries_a_tenth_is_let_go_and_nobody_else() {
    for seed in [11, 12, 13] {
        let mut show = Show::new(seed, 3);
        let camera = show.publish("live", Script::CAMERA);
        show.run(secs(1));
        let fine = show.watch("live", Link::PERFECT.delay(ms(10)));
        let lossy = show.watch("live", Link::PERFECT.delay(ms(25)).loss_percent(30.0));
        let thin = show.watch("live", Link::kbps(250).delay(ms(25)).queue_len(50));
        show.run(secs(40));
        assert_eq!(show.server.endings(), [(SessionId(4), EndReason::LineHopeless)], "seed {seed}");
        assert!(!show.viewer(thin).standing().is_connected(), "it is told");
        let after = show.viewer(thin).reception(MediaKind::Video).packets();
        show.run(secs(5));
        assert_eq!(
            show.viewer(thin).reception(MediaKind::Video).packets(),
            after,
            "and nothing is sent any more"
        );
        assert!(show.viewer(lossy).standing().is_connected(), "what repairs mend goes on");
        assert_eq!(show.viewer(fine).reception(MediaKind::Video).missing(), 0);
        assert_eq!(show.lacking_lately(camera).iter().filter(|(viewer, _)| *viewer == fine).count(), 0);
    }
}

#[test]
fn rtp_22_with_a_smaller_encoding_to_be_had_the_breaker_has_nothing_to_do() {
    let mut show = Show::new(14, 2);
    show.publish("live", Script::SIMULCAST);
    show.run(secs(2));
    let viewer = show.watch("live", Link::kbps(500).delay(ms(25)));
    show.run(secs(60));
    assert!(show.viewer(viewer).standing().is_connected());
    assert_eq!(show.server.endings(), []);
}
