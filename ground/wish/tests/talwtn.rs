//! TALWTN's four interfaces, and mute, at the desk.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use support::{Joined, NOW, SDP, Show, config, ending, keys, offer, refused};
use wtn_wish::{DeskConfig, Effect, Ending, Method, Reply, TalwtnApp};

const KEY: &str = "the key that the app and this server share";

fn show() -> Show {
    let app = TalwtnApp { id: "school".to_owned(), keys: vec![KEY.to_owned()] };
    Show::new(DeskConfig { talwtn: vec![app], publish_keys: keys(&["pub"]), ..config() })
}

fn token(action: &str, stream: &str, sub_auth: bool) -> String {
    let claims = json!({
        "appID": "school", "streamID": stream, "action": action, "version": "1.0", "exp": NOW + 3600,
        "enableSubAuth": sub_auth,
    });
    let key = EncodingKey::from_secret(KEY.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn post(show: &mut Show, url: &str) -> Reply {
    let body = offer(if url.starts_with("/pub/") { "pub-libdatachannel" } else { "play-chromium" });
    show.call(Method::Post, url).body(SDP, body.as_bytes()).send()
}

fn publish(show: &mut Show, sub_auth: bool) -> Joined {
    let query =
        format!("MuteAudio=false&MuteVideo=false&Token={}&TokenType=Bearer", token("pub", "cam", sub_auth));
    let joined = Joined::from(post(show, &format!("/pub/school/cam?{query}")));
    assert!(show.connect(&joined).is_empty());
    joined
}

fn subscribe(show: &mut Show) -> Joined {
    let url = format!("/sub/school/cam?Token={}&TokenType=Bearer", token("sub", "cam", true));
    let joined = Joined::from(post(show, &url));
    assert!(show.connect(&joined).is_empty());
    joined
}

/// The path of an absolute `Location`.
fn path(joined: &Joined) -> &str {
    joined.url.strip_prefix("http://203.0.113.7:8080").expect("an absolute Location")
}

#[test]
fn talwtn_publish_and_subscribe_give_an_absolute_location() {
    let mut show = show();
    let (publisher, viewer) = (publish(&mut show, true), subscribe(&mut show));
    assert!(path(&publisher).starts_with("/session/") && path(&viewer).starts_with("/session/"));
    assert_eq!(publisher.admission.stream, viewer.admission.stream);
}

#[test]
fn talwtn_its_streams_are_out_of_reach_for_other_urls() {
    let mut show = show();
    publish(&mut show, true);
    for url in ["/whep/school+cam", "/whep/school%2Bcam", "/school+cam/whep", "/whep/endpoint/school+cam"] {
        let reply = show.call(Method::Post, url).body(SDP, offer("play-chromium").as_bytes()).send();
        refused(&reply, 400, "bad_name");
    }
}

#[test]
fn talwtn_destroying_the_publisher_ends_every_subscription_of_its_stream() {
    let mut show = show();
    let publisher = publish(&mut show, true);
    let viewers = [subscribe(&mut show), subscribe(&mut show)];
    let half_open =
        Joined::from(post(&mut show, &format!("/sub/school/cam?Token={}", token("sub", "cam", true))));
    let other =
        Joined::from(post(&mut show, &format!("/pub/school/cam2?Token={}", token("pub", "cam2", true))));
    let reply = show.call(Method::Delete, path(&publisher)).send();
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let mut ended: Vec<_> = reply.effects.iter().map(ending).collect();
    assert_eq!(ended.remove(0), (publisher.id(), Ending::Deleted));
    let gone = [&viewers[0], &viewers[1], &half_open].map(|joined| (joined.id(), Ending::StreamDestroyed));
    assert_eq!(ended, gone);
    for joined in [&publisher, &viewers[0], &half_open] {
        assert_eq!(show.call(Method::Get, path(joined)).send().status, 404);
    }
    assert_eq!(show.call(Method::Get, path(&other)).send().status, 204, "another stream is not concerned");
}

#[test]
fn talwtn_destroying_a_subscription_leaves_the_publisher_alone() {
    let mut show = show();
    let publisher = publish(&mut show, true);
    let (one, two) = (subscribe(&mut show), subscribe(&mut show));
    let reply = show.call(Method::Delete, path(&one)).send();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.effects.iter().map(ending).collect::<Vec<_>>(), [(one.id(), Ending::Deleted)]);
    for joined in [&publisher, &two] {
        assert_eq!(show.call(Method::Get, path(joined)).send().status, 204);
    }
}

#[test]
fn talwtn_a_publisher_that_was_replaced_takes_nobody_along() {
    let mut show = show();
    let older = publish(&mut show, true);
    let viewer = subscribe(&mut show);
    let url = format!("/pub/school/cam?Token={}", token("pub", "cam", true));
    let newer = Joined::from(post(&mut show, &url));
    let reply = show.call(Method::Delete, path(&newer)).send();
    assert_eq!(reply.effects.len(), 1, "somebody else is live");
    assert_eq!(show.call(Method::Get, path(&viewer)).send().status, 204);
    assert_eq!(show.call(Method::Get, path(&older)).send().status, 204);
}

#[test]
fn talwtn_a_publisher_may_let_viewers_in_without_a_token_as_long_as_it_is_live() {
    let mut show = show();
    refused(&post(&mut show, "/sub/school/cam"), 401, "app_token_missing");
    let open = publish(&mut show, false);
    assert_eq!(post(&mut show, "/sub/school/cam").status, 201);
    assert_eq!(post(&mut show, "/sub/school/cam?Token=rubbish").status, 201);
    show.call(Method::Delete, path(&open)).send();
    refused(&post(&mut show, "/sub/school/cam"), 401, "app_token_missing");
    publish(&mut show, true);
    refused(&post(&mut show, "/sub/school/cam"), 401, "app_token_missing");
}

#[test]
fn talwtn_mute_is_a_post_of_json_to_the_session() {
    let mut show = show();
    let publisher = publish(&mut show, true);
    let mut mute = |body: &str| {
        let reply =
            show.call(Method::Post, path(&publisher)).body("application/json", body.as_bytes()).send();
        assert_eq!(reply.status, 200, "{body}");
        let [Effect::Mute { session, audio, video }] = reply.effects[..] else {
            panic!("{:?}", reply.effects)
        };
        assert_eq!(session, publisher.id());
        (audio, video)
    };
    assert_eq!(mute(r#"{"MuteAudio":true}"#), (true, false));
    assert_eq!(mute(r#"{"MuteVideo":true}"#), (true, true), "the other stays as it was");
    assert_eq!(mute(r#"{"MuteAudio":false}"#), (false, true));
    assert_eq!(mute(r#"{"MuteAudio":true,"MuteVideo":false,"more":1}"#), (true, false));
    for bad in ["", "mute", "[]", r#"{"MuteAudio":"yes"}"#] {
        let reply = show.call(Method::Post, path(&publisher)).body("application/json", bad.as_bytes()).send();
        refused(&reply, 400, "bad_mute");
    }
}

#[test]
fn http_09_other_sessions_are_not_posted_to() {
    let mut show = Show::open();
    let joined = show.publish("live", "pub-obs");
    let reply = show.call(Method::Post, &joined.url).body("application/json", b"{}").send();
    refused(&reply, 405, "method_not_allowed");
}

#[test]
fn talwtn_the_query_mutes_from_the_first_packet_on() {
    let mut show = show();
    let token = token("pub", "cam", true);
    for (query, expected) in
        [("MuteAudio=true&MuteVideo=false", (true, false)), ("MuteVideo=True", (false, true))]
    {
        let reply = post(&mut show, &format!("/pub/school/cam?{query}&Token={token}"));
        let [Effect::Admit(admission), Effect::Mute { session, audio, video }] = &reply.effects[..] else {
            panic!("{:?}", reply.effects)
        };
        assert_eq!(admission.session, *session);
        assert_eq!((*audio, *video), expected, "{query}");
    }
}

#[test]
fn talwtn_refusals_come_as_statuses_that_its_sdk_knows() {
    let mut show = show();
    let token = token("sub", "cam", true);
    let url = format!("/sub/school/cam?Token={token}");
    refused(&post(&mut show, &url), 404, "not_live");
    publish(&mut show, true);
    let reply = show.call(Method::Post, &url).body("text/plain", b"v=0").send();
    refused(&reply, 400, "wrong_media_type");
}

#[test]
fn talwtn_a_key_of_the_server_opens_nothing_here() {
    let mut show = show();
    let body = offer("pub-obs");
    let reply =
        show.call(Method::Post, "/pub/school/cam").body(SDP, body.as_bytes()).key("Bearer pub").send();
    refused(&reply, 401, "app_token_invalid");
}
