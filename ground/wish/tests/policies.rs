//! What an endpoint's policy does to a POST.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, Show, offer, refused, with_policy};
use wtn_media::{Codec, MediaKind};
use wtn_wish::{
    DeskConfig, Effect, Endpoint, Limits, Method, NoPublisher, Policy, PolicyOverrides, SecondPublisher,
};

fn waiting() -> Policy {
    Policy { no_publisher: NoPublisher::Wait, ..Policy::default() }
}

fn codecs(joined: &Joined) -> Vec<Codec> {
    let formats = &joined.admission.plan.track(MediaKind::Video).unwrap().formats;
    let mut codecs: Vec<_> = formats.iter().map(|entry| entry.format.codec).collect();
    codecs.sort();
    codecs.dedup();
    codecs
}

#[test]
fn whip_15_reject_keeps_the_first_and_replace_takes_the_second() {
    let policy = |second_publisher| with_policy(Policy { second_publisher, ..Policy::default() });
    let mut show = Show::new(policy(SecondPublisher::Reject));
    let first = show.publish("live", "pub-obs");
    let second = show.post("/whip/live", &offer("pub-obs"));
    refused(&second, 409, "stream_taken");
    assert_eq!(second.header("Retry-After"), Some("5"));
    assert_eq!(show.call(Method::Get, &first.url).send().status, 204);

    let mut show = Show::new(policy(SecondPublisher::Replace));
    let first = show.publish("live", "pub-obs");
    let second = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    assert_eq!(show.call(Method::Get, &first.url).send().status, 204, "until the second is connected");
    assert_eq!(show.connect(&second).len(), 1);
    refused(&show.call(Method::Get, &first.url).send(), 404, "not_found");
}

#[test]
fn whep_10_where_viewers_may_wait_they_get_their_session_at_once() {
    let mut show = Show::new(with_policy(waiting()));
    let viewer = Joined::from(show.post("/whep/live", &offer("play-chromium")));
    assert!(show.connect(&viewer).is_empty());
    assert_eq!(viewer.admission.grace, None, "and may stay");
    assert_eq!(codecs(&viewer), [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1], "all that it offered");
    let streams: Vec<_> = show.desk.streams().map(|stream| (stream.live, stream.viewers)).collect();
    assert_eq!(streams, [(false, 1)]);
    let publisher = show.publish("live", "pub-obs");
    assert_eq!(publisher.admission.stream, viewer.admission.stream, "the picture comes to the same session");
}

#[test]
fn whep_10_who_comes_while_nobody_publishes_is_not_measured_against_the_last_publisher() {
    let mut show = Show::new(with_policy(waiting()));
    show.watch("live", "play-chromium");
    let camera = show.publish("live", "pub-libdatachannel-h265");
    refused(&show.post("/whep/live", &offer("play-aiortc")), 422, "no_common_codec");
    show.end(&camera);
    assert_eq!(show.post("/whep/live", &offer("play-aiortc")).status, 201);
}

#[test]
fn whep_10_viewers_who_wait_cannot_lock_publishers_out() {
    let limits = Limits { streams: 3, ..Limits::default() };
    let mut show = Show::new(DeskConfig { limits, ..with_policy(waiting()) });
    for n in 0..3 {
        assert_eq!(show.post(&format!("/whep/w{n}"), &offer("play-chromium")).status, 201);
    }
    refused(&show.post("/whep/w3", &offer("play-chromium")), 503, "server_full");
    for n in 0..3 {
        show.publish(&format!("p{n}"), "pub-obs");
    }
    refused(&show.post("/whip/w1", &offer("pub-obs")), 503, "server_full");
}

#[test]
fn whep_18_the_grace_time_goes_along_with_the_admission() {
    let mut show = Show::new(with_policy(Policy { grace_seconds: 7, ..Policy::default() }));
    let publisher = show.publish("live", "pub-obs");
    assert_eq!(publisher.admission.grace, Some(Duration::from_secs(7)));
    show.publish("other", "pub-obs");
    let overrides = |seconds| PolicyOverrides { grace_seconds: Some(seconds), ..PolicyOverrides::default() };
    let endpoint = |policy| Endpoint {
        name: "live".to_owned(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy,
    };
    let effects = show.desk.put_endpoint(endpoint(overrides(9)));
    let [Effect::Grace(stream, grace)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!((stream, grace), (publisher.admission.stream, Some(Duration::from_secs(9))));
    assert!(show.desk.put_endpoint(endpoint(overrides(9))).is_empty(), "no change, no word");
    let effects = show.desk.set_config(with_policy(Policy { grace_seconds: 8, ..Policy::default() }));
    assert_eq!(effects.len(), 1, "the other stream inherits, this one has its own");
    let effects = show.desk.set_config(with_policy(waiting()));
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Grace(_, None))), "{effects:?}");
    assert_eq!(effects.len(), 2);
}

#[test]
fn codecs_that_are_not_allowed_are_refused_by_name() {
    let codecs = Some(vec![Codec::Vp8, Codec::Opus]);
    let mut show = Show::new(with_policy(Policy { codecs, ..Policy::default() }));
    let reply = show.post("/whip/live", &offer("pub-obs"));
    refused(&reply, 422, "codec_not_allowed");
    let text = String::from_utf8_lossy(&reply.body);
    assert!(text.contains("VP8") && text.contains("H264"), "{text}");
    let joined = show.publish("live", "pub-chromium-all");
    assert_eq!(self::codecs(&joined), [Codec::Vp8]);
    assert_eq!(show.post("/whep/live", &offer("play-chromium")).status, 201);
}

#[test]
fn a_bitrate_is_told_to_publishers_and_not_to_viewers() {
    let policy = Policy { max_bitrate_kbps: Some(1800), ..Policy::default() };
    let mut show = Show::new(with_policy(policy));
    assert!(show.publish("live", "pub-chromium-all").sdp.contains("\r\nb=TIAS:1800000\r\n"));
    assert!(!show.watch("live", "play-chromium").sdp.contains("\r\nb="));
}

#[test]
fn seats_are_counted_with_those_on_the_way() {
    let policy = Policy { max_viewers: Some(2), ..Policy::default() };
    let mut show = Show::new(with_policy(policy));
    show.publish("live", "pub-obs");
    let seated = show.watch("live", "play-chromium");
    let coming = Joined::from(show.post("/whep/live", &offer("play-chromium")));
    let full = show.post("/whep/live", &offer("play-chromium"));
    refused(&full, 503, "too_many_viewers");
    assert_eq!(full.header("Retry-After"), Some("10"));
    assert_eq!(show.post("/whip/other", &offer("pub-obs")).status, 201, "publishers need no seat");
    show.end(&seated);
    assert_eq!(show.post("/whep/live", &offer("play-chromium")).status, 201);
    show.connect(&coming);
    refused(&show.post("/whep/live", &offer("play-chromium")), 503, "too_many_viewers");
    let nobody = Policy { max_viewers: Some(0), ..waiting() };
    refused(
        &Show::new(with_policy(nobody)).post("/whep/x", &offer("play-chromium")),
        503,
        "too_many_viewers",
    );
}
