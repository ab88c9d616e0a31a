//! What an endpoint's policy does to real sessions, in simulated time.

use std::time::Duration;
use wtn_engine::EndReason;
use wtn_media::MediaKind;
use wtn_testkit::{Link, Script, Show, ms, secs};
use wtn_wish::{Endpoint, NoPublisher, PolicyOverrides, SecondPublisher};

/// A show whose endpoint `live` has that policy.
fn show(seed: u64, shards: u16, policy: PolicyOverrides) -> Show {
    let mut show = Show::new(seed, shards);
    set(&mut show, policy);
    show
}

fn set(show: &mut Show, policy: PolicyOverrides) {
    show.arrange(|desk| {
        desk.put_endpoint(Endpoint {
            name: "live".to_owned(),
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            ice_servers: None,
            policy,
        })
    });
}

fn waiting() -> PolicyOverrides {
    PolicyOverrides { no_publisher: Some(NoPublisher::Wait), ..PolicyOverrides::default() }
}

fn line() -> Link {
    Link::PERFECT.delay(ms(10))
}

fn reasons(show: &Show) -> Vec<EndReason> {
    show.server.endings().into_iter().map(|(_, reason)| reason).collect()
}

#[test]
fn whep_10_viewers_who_wait_get_the_picture_within_a_keyframe_of_the_publisher() {
    let mut show = show(1, 3, waiting());
    show.expect(Script::CAMERA);
    let viewers: Vec<_> = (0..6).map(|_| show.watch("live", line())).collect();
    // Longer than any grace time and than consent lasts.
    show.run(secs(120));
    assert_eq!(reasons(&show), []);
    assert!(viewers.iter().all(|viewer| show.viewer(*viewer).standing().is_connected()));
    show.publish("live", Script::CAMERA);
    let posted = show.world.now();
    show.run(secs(2));
    for viewer in viewers {
        let reception = show.viewer(viewer).reception(MediaKind::Video);
        let first = reception.first_picture_at().expect("a picture");
        assert!(first - posted < ms(500), "{:?} from the publisher's POST", first - posted);
        assert!(show.viewer(viewer).reception(MediaKind::Audio).frames().count() > 0);
    }
}

#[test]
fn whep_10_viewers_who_wait_outlast_a_publisher_that_leaves() {
    let mut show = show(2, 2, waiting());
    let first = show.publish("live", Script::CAMERA);
    show.run(secs(1));
    let viewer = show.watch("live", line());
    show.run(secs(1));
    show.unpublish(first);
    show.run(secs(60));
    assert!(show.viewer(viewer).standing().is_connected(), "six times the grace time");
    let second = show.publish("live", Script::CAMERA);
    show.run(secs(3));
    assert_eq!(show.lacking(second), []);
}

#[test]
fn who_waits_may_do_so_only_as_long_as_the_policy_says() {
    let mut show = show(3, 3, waiting());
    show.expect(Script::CAMERA);
    for _ in 0..4 {
        show.watch("live", line());
    }
    show.run(secs(60));
    assert_eq!(show.server.sessions(), 4);
    set(&mut show, PolicyOverrides { grace_seconds: Some(3), ..PolicyOverrides::default() });
    show.run(secs(2));
    assert_eq!(reasons(&show), [EndReason::NoPublisher; 4], "the grace time was over long ago");
    assert_eq!(show.server.sessions_on_desk(), 0);
}

#[test]
fn whep_18_each_endpoint_has_its_own_grace_time() {
    let grace = |seconds| PolicyOverrides { grace_seconds: Some(seconds), ..PolicyOverrides::default() };
    let leaves_after = |seed, seconds: u32| -> Duration {
        let mut show = show(seed, 3, grace(seconds));
        let camera = show.publish("live", Script::SMALL);
        show.run(secs(1));
        for _ in 0..4 {
            show.watch("live", line());
        }
        show.run(secs(1));
        show.unpublish(camera);
        let left = show.world.now();
        while show.server.sessions() > 0 {
            show.run(ms(100));
        }
        show.world.now() - left
    };
    for (seed, seconds) in [(4, 2), (5, 30), (6, 0)] {
        let (grace, took) = (secs(seconds.into()), leaves_after(seed, seconds));
        assert!((grace..grace + secs(2)).contains(&took), "{grace:?}: {took:?}");
    }
}

#[test]
fn whep_18_a_publisher_that_returns_in_the_grace_time_finds_its_viewers() {
    let mut show = show(7, 2, PolicyOverrides { grace_seconds: Some(40), ..PolicyOverrides::default() });
    let first = show.publish("live", Script::CAMERA);
    show.run(secs(1));
    let viewer = show.watch("live", line());
    show.run(secs(1));
    show.unpublish(first);
    show.run(secs(35));
    let second = show.publish("live", Script::CAMERA);
    show.run(secs(3));
    assert!(show.viewer(viewer).standing().is_connected());
    assert_eq!(show.lacking(second), []);
    assert_eq!(show.viewer(viewer).reception(MediaKind::Video).missing(), 0, "no gap in the numbers");
}

#[test]
fn whip_15_take_over_says_goodbye_to_the_first() {
    let replace =
        PolicyOverrides { second_publisher: Some(SecondPublisher::Replace), ..PolicyOverrides::default() };
    let mut show = show(8, 2, replace);
    let first = show.publish("live", Script::CAMERA);
    show.run(secs(1));
    show.publish("live", Script::CAMERA);
    show.run(secs(1));
    assert!(!show.publisher(first).standing().is_connected(), "told by close_notify");
    assert_eq!(show.unpublish(first).status, 404, "its session is gone");
    assert_eq!(reasons(&show), [EndReason::Replaced]);
}

#[test]
fn whip_16_a_publisher_that_vanished_is_replaced_within_thirty_seconds() {
    let reject =
        PolicyOverrides { second_publisher: Some(SecondPublisher::Reject), ..PolicyOverrides::default() };
    let mut show = show(9, 2, reject);
    let camera = show.publish("live", Script::CAMERA);
    show.run(secs(2));
    show.publisher(camera).vanish();
    let vanished = show.world.now();
    let taken = show.knock("live");
    assert_eq!((taken.status, taken.header("Retry-After")), (409, Some("5")));
    while show.knock("live").status == 409 {
        show.run(secs(1));
        assert!(show.world.now() - vanished <= secs(31), "still taken");
    }
    assert_eq!(reasons(&show), [EndReason::Silent]);
    assert!(show.world.now() - vanished >= secs(20), "a network that stutters is no reason");
}

#[test]
fn whip_13_an_offer_without_candidates_connects_by_the_clients_checks() {
    let mut show = Show::new(10, 2);
    let bare = |offer: String| {
        let lines = offer.lines().filter(|line| !line.starts_with("a=candidate"));
        let edited: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        assert!(edited.len() < offer.len(), "there were some");
        edited
    };
    let camera = show.publish_edited("live", Script::CAMERA, line(), bare);
    show.run(secs(1));
    assert!(show.publisher(camera).standing().is_connected());
}

#[test]
fn removing_an_endpoint_tells_everybody_there_and_nobody_else() {
    let mut show = show(11, 3, PolicyOverrides::default());
    let camera = show.publish("live", Script::CAMERA);
    let other = show.publish("other", Script::CAMERA);
    show.run(secs(1));
    let viewers: Vec<_> = (0..3).map(|_| show.watch("live", line())).collect();
    show.run(secs(1));
    show.arrange(|desk| desk.remove_endpoint("live").expect("it was made"));
    show.run(secs(1));
    assert_eq!(reasons(&show), [EndReason::EndpointRemoved; 4]);
    assert!(!show.publisher(camera).standing().is_connected());
    assert!(viewers.iter().all(|viewer| !show.viewer(*viewer).standing().is_connected()));
    assert!(show.publisher(other).standing().is_connected());
}
