//! Who is live, who waits, who replaces whom, and how much of it there may be.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, Show, config, offer, refused, with_policy};
use wtn_media::{Codec, Format, MediaKind, Profile, Role, SessionId};
use wtn_wish::{DeskConfig, Ending, Limits, Method, Policy, SecondPublisher};

const SECOND: Duration = Duration::from_secs(1);

fn post_publisher(show: &mut Show) -> Joined {
    Joined::from(show.post("/whip/live", &offer("pub-obs")))
}

fn post_viewer(show: &mut Show) -> wtn_wish::Reply {
    show.post("/whep/live", &offer("play-chromium"))
}

/// Name, live, viewers.
fn streams(show: &Show) -> Vec<(String, bool, usize)> {
    show.desk.streams().map(|stream| (stream.name.to_owned(), stream.live, stream.viewers)).collect()
}

#[test]
fn whep_09_a_stream_is_live_once_its_publisher_is_connected() {
    let mut show = Show::open();
    let idle = post_viewer(&mut show);
    refused(&idle, 409, "not_live");
    assert_eq!(idle.header("Retry-After"), Some("2"));
    let publisher = post_publisher(&mut show);
    let connecting = post_viewer(&mut show);
    refused(&connecting, 409, "not_live");
    assert_eq!(connecting.header("Retry-After"), Some("1"));
    show.connect(&publisher);
    assert_eq!(post_viewer(&mut show).status, 201);
    assert_eq!(streams(&show), [("live".into(), true, 0)]);
}

#[test]
fn streams_come_with_the_first_publisher_and_go_with_the_last_session() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-chromium");
    assert_eq!(streams(&show), [("live".into(), true, 1)]);
    show.end(&publisher);
    assert_eq!(streams(&show), [("live".into(), false, 1)], "known as long as somebody waits");
    refused(&post_viewer(&mut show), 409, "not_live");
    let again = show.publish("live", "pub-obs");
    assert_eq!(again.admission.stream, publisher.admission.stream, "whep_18: the same stream goes on");
    assert_eq!(again.admission.role, Role::Publisher { epoch: 2 });
    show.end(&again);
    show.end(&viewer);
    assert!(streams(&show).is_empty());
    let fresh = show.publish("live", "pub-obs");
    assert_ne!(fresh.admission.stream, publisher.admission.stream);
}

#[test]
fn the_list_of_streams_is_sorted_and_names_codecs() {
    let mut show = Show::open();
    show.publish("b", "pub-chromium-vp8-simulcast");
    show.publish("a", "pub-obs");
    let views: Vec<_> = show.desk.streams().collect();
    assert_eq!(views.iter().map(|view| view.name).collect::<Vec<_>>(), ["a", "b"]);
    let codecs: Vec<_> = views[1].codecs.iter().map(|format| format.codec).collect();
    assert_eq!(codecs, [Codec::Vp8, Codec::Opus]);
}

#[test]
fn whip_15_the_newer_publisher_takes_over_when_it_is_connected() {
    let mut show = Show::open();
    let first = show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-chromium");
    let second = post_publisher(&mut show);
    assert_eq!(show.call(Method::Get, &first.url).send().status, 204, "until then the first goes on");
    assert_eq!(show.connect(&second), [(first.id(), Ending::Replaced)]);
    assert_eq!(show.call(Method::Get, &first.url).send().status, 404);
    show.end(&first);
    assert_eq!(streams(&show), [("live".into(), true, 1)]);
    assert_eq!(show.call(Method::Get, &viewer.url).send().status, 204);
}

#[test]
fn whip_15_a_publisher_that_connects_after_a_newer_one_is_too_late() {
    let mut show = Show::open();
    let older = post_publisher(&mut show);
    let newer = post_publisher(&mut show);
    assert!(show.connect(&newer).is_empty());
    assert_eq!(show.connect(&older), [(older.id(), Ending::Replaced)]);
    assert_eq!(streams(&show), [("live".into(), true, 0)]);
    assert_eq!(show.call(Method::Get, &newer.url).send().status, 204);
}

#[test]
fn whip_15_the_first_publisher_may_be_kept() {
    let mut show =
        Show::new(with_policy(Policy { second_publisher: SecondPublisher::Reject, ..Policy::default() }));
    let first = post_publisher(&mut show);
    refused(&show.post("/whip/live", &offer("pub-obs")), 409, "stream_taken");
    show.connect(&first);
    refused(&show.post("/whip/live", &offer("pub-obs")), 409, "stream_taken");
    assert_eq!(show.post("/whip/other", &offer("pub-obs")).status, 201);
    show.end(&first);
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201, "whip_16");
}

#[test]
fn whip_16_a_publisher_that_never_connects_holds_its_place_for_ten_seconds_only() {
    let mut show =
        Show::new(with_policy(Policy { second_publisher: SecondPublisher::Reject, ..Policy::default() }));
    post_publisher(&mut show);
    show.wait(10 * SECOND - Duration::from_millis(1));
    refused(&show.post("/whip/live", &offer("pub-obs")), 409, "stream_taken");
    show.wait(Duration::from_millis(1));
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
}

#[test]
fn half_open_publishers_are_bounded_and_free_their_place_when_time_is_up() {
    let mut show = Show::open();
    for _ in 0..10 {
        post_publisher(&mut show);
    }
    let crowded = show.post("/whip/live", &offer("pub-obs"));
    refused(&crowded, 429, "too_many_connecting");
    assert_eq!(show.post("/whip/other", &offer("pub-obs")).status, 201, "others are not concerned");
    show.wait(10 * SECOND);
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
}

#[test]
fn half_open_sessions_free_their_place_by_connecting_or_ending() {
    let mut show = Show::open();
    let joined: Vec<_> = (0..10).map(|_| post_publisher(&mut show)).collect();
    refused(&show.post("/whip/live", &offer("pub-obs")), 429, "too_many_connecting");
    show.connect(&joined[0]);
    show.end(&joined[1]);
    assert_eq!(show.call(Method::Delete, &joined[2].url).send().status, 200);
    for _ in 0..3 {
        post_publisher(&mut show);
    }
    refused(&show.post("/whip/live", &offer("pub-obs")), 429, "too_many_connecting");
}

#[test]
fn half_open_viewers_are_bounded_per_stream() {
    let limits = Limits { half_open_viewers: 3, ..Limits::default() };
    let mut show = Show::new(DeskConfig { limits, ..config() });
    show.publish("live", "pub-obs");
    show.publish("other", "pub-obs");
    let viewers: Vec<_> = (0..3).map(|_| Joined::from(post_viewer(&mut show))).collect();
    refused(&post_viewer(&mut show), 503, "server_full");
    assert_eq!(show.post("/whep/other", &offer("play-chromium")).status, 201);
    show.connect(&viewers[0]);
    assert_eq!(post_viewer(&mut show).status, 201);
}

#[test]
fn lb_05_streams_and_sessions_are_bounded() {
    let limits = Limits { streams: 2, sessions: 4, ..Limits::default() };
    let mut show = Show::new(DeskConfig { limits, ..config() });
    show.publish("a", "pub-obs");
    let b = show.publish("b", "pub-obs");
    refused(&show.post("/whip/c", &offer("pub-obs")), 503, "server_full");
    show.watch("a", "play-chromium");
    show.watch("a", "play-chromium");
    refused(&show.post("/whep/a", &offer("play-chromium")), 503, "server_full");
    show.end(&b);
    assert_eq!(show.post("/whip/c", &offer("pub-obs")).status, 201);
}

#[test]
fn live_16_sessions_that_never_connect_are_forgotten_even_if_no_word_comes() {
    let mut show = Show::open();
    let joined: Vec<_> = (0..10).map(|_| post_publisher(&mut show)).collect();
    show.wait(11 * SECOND);
    assert_eq!(show.call(Method::Get, &joined[0].url).send().status, 204, "the engine has the first word");
    show.wait(5 * SECOND);
    assert_eq!(show.call(Method::Get, &joined[0].url).send().status, 404);
    assert_eq!((show.desk.session_count(), show.desk.streams().count()), (0, 0));
}

#[test]
fn a_session_that_connects_in_the_last_moment_stays() {
    let mut show = Show::open();
    let joined = post_publisher(&mut show);
    show.wait(12 * SECOND);
    assert!(show.connect(&joined).is_empty(), "the event was on its way");
    show.wait(60 * SECOND);
    assert_eq!(show.call(Method::Get, &joined.url).send().status, 204);
    assert_eq!(streams(&show), [("live".into(), true, 0)]);
}

#[test]
fn a_session_that_connects_after_it_was_given_up_is_ended() {
    let mut show = Show::open();
    let joined = post_publisher(&mut show);
    assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
    assert_eq!(show.connect(&joined), [(joined.id(), Ending::Deleted)]);
    assert_eq!(show.desk.session_count(), 0);
}

#[test]
fn events_may_come_twice_or_out_of_nowhere() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-chromium");
    assert!(show.connect(&viewer).is_empty() && show.connect(&publisher).is_empty());
    assert_eq!(streams(&show), [("live".into(), true, 1)]);
    show.desk.on_ended(show.now, SessionId(999));
    show.desk.on_media(SessionId(999), MediaKind::Audio, Format::new(Codec::Opus));
    show.end(&viewer);
    show.end(&viewer);
    assert_eq!(streams(&show), [("live".into(), true, 0)]);
}

#[test]
fn posting_and_deleting_in_a_loop_leaves_nothing_behind() {
    let mut show = Show::open();
    for _ in 0..5_000 {
        let joined = post_publisher(&mut show);
        assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
    }
    assert_eq!((show.desk.session_count(), show.desk.streams().count()), (0, 0));
    assert!(format!("{:?}", show.desk).len() < 200_000, "no table grows");
}

#[test]
fn whep_07_a_viewer_is_measured_against_what_is_on_air() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-chromium-all");
    let first = publisher.admission.plan.track(MediaKind::Video).unwrap().formats[0].format;
    assert_eq!(first.codec, Codec::Vp8, "assumed until the engine knows better");
    let av1 = Format { codec: Codec::Av1, profile: Profile::Av1(0) };
    show.desk.on_media(publisher.admission.session, MediaKind::Video, av1);
    let viewer = Joined::from(post_viewer(&mut show));
    let formats = &viewer.admission.plan.track(MediaKind::Video).unwrap().formats;
    assert_eq!(formats[0].format.codec, Codec::Av1);
    let reply = show.post("/whep/live", &offer("play-aiortc"));
    refused(&reply, 422, "no_common_codec");
    assert!(String::from_utf8_lossy(&reply.body).contains("AV1"));
}

#[test]
fn a_new_publisher_brings_its_own_codecs() {
    let mut show = Show::open();
    let first = show.publish("live", "pub-obs");
    show.watch("live", "play-chromium");
    show.desk.on_media(first.admission.session, MediaKind::Video, Format::new(Codec::Av1));
    show.end(&first);
    show.publish("live", "pub-libdatachannel-h265");
    let codecs: Vec<_> =
        show.desk.streams().next().unwrap().codecs.iter().map(|format| format.codec).collect();
    assert_eq!(codecs, [Codec::H265, Codec::Opus]);
}

#[test]
fn what_a_replaced_publisher_carried_is_no_news() {
    let mut show = Show::open();
    let first = show.publish("live", "pub-obs");
    let second = post_publisher(&mut show);
    assert_eq!(show.connect(&second).len(), 1, "the first is to be ended");
    show.desk.on_media(first.admission.session, MediaKind::Video, Format::new(Codec::Av1));
    let codecs: Vec<_> =
        show.desk.streams().next().unwrap().codecs.iter().map(|format| format.codec).collect();
    assert_eq!(codecs, [Codec::H264, Codec::Opus]);
}
