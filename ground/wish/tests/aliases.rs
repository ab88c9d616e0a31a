//! The URLs of other servers, and keys in URLs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, SDP, Show, code, config, keys, offer, refused};
use wtn_wish::{DeskConfig, Endpoint, EndpointKey, Key, Method, PolicyOverrides, Reply, Routes};

fn keyed() -> Show {
    Show::new(DeskConfig { publish_keys: keys(&["pub"]), play_keys: keys(&["play"]), ..config() })
}

fn post(show: &mut Show, url: &str, authorization: Option<&str>) -> Reply {
    let fixture = if url.contains("whip") { "pub-obs" } else { "play-chromium" };
    let body = offer(fixture);
    let call = show.call(Method::Post, url).body(SDP, body.as_bytes());
    match authorization {
        Some(authorization) => call.key(authorization).send(),
        None => call.send(),
    }
}

/// What is on air, by name.
fn on_air(show: &Show) -> Vec<String> {
    show.desk.streams().map(|stream| stream.name.to_owned()).collect()
}

#[test]
fn every_family_leads_to_the_same_stream() {
    for (publish, watch) in [
        ("/whip/live", "/whep/live"),
        ("/live/whip", "/live/whep"),
        ("/whip/endpoint/live", "/whep/endpoint/live"),
        ("/webrtc/whip?streamid=live", "/webrtc/whep?streamid=live"),
    ] {
        let mut show = keyed();
        let publisher = Joined::from(post(&mut show, publish, Some("Bearer pub")));
        assert!(show.connect(&publisher).is_empty());
        assert_eq!(on_air(&show), ["live"], "{publish}");
        assert!(publisher.url.starts_with("/session/") && !publisher.url.contains('?'), "{publish}");
        let viewer = Joined::from(post(&mut show, watch, Some("Bearer play")));
        assert_eq!(viewer.admission.stream, publisher.admission.stream, "{watch}");
        refused(&post(&mut show, publish, None), 401, "no_token");
        refused(&post(&mut show, watch, Some("Bearer pub")), 403, "wrong_scope");
    }
}

#[test]
fn every_family_answers_every_method_of_an_endpoint() {
    for (url, status) in [
        ("/live/whip", 204),
        ("/live/whep", 200),
        ("/whip/endpoint/live", 204),
        ("/webrtc/whep?streamid=live", 200),
    ] {
        let mut show = keyed();
        for method in [Method::Get, Method::Head] {
            assert_eq!(show.call(method, url).send().status, status, "{url}");
        }
        let options = show.call(Method::Options, url).send();
        assert_eq!((options.status, options.header("Accept-Post")), (200, Some(SDP)), "{url}");
        refused(&show.call(Method::Delete, url).send(), 405, "method_not_allowed");
    }
}

#[test]
fn broadcast_box_the_bearer_names_the_stream_and_its_key_follows() {
    let mut show = keyed();
    let publisher = Joined::from(post(&mut show, "/api/whip", Some("Bearer live:pub")));
    assert!(show.connect(&publisher).is_empty());
    assert_eq!(on_air(&show), ["live"]);
    let viewer = Joined::from(post(&mut show, "/api/whep", Some("Bearer live:play")));
    assert_eq!(viewer.admission.stream, publisher.admission.stream);
    refused(&post(&mut show, "/api/whip", Some("Bearer live")), 401, "stream_key_missing");
    refused(&post(&mut show, "/api/whip", None), 401, "stream_key_missing");
    refused(&post(&mut show, "/api/whip", Some("Bearer live:wrong")), 401, "bad_token");
    refused(&post(&mut show, "/api/whip", Some("Bearer a/b:pub")), 400, "bad_name");
    let delete = |show: &mut Show, key| show.call(Method::Delete, &publisher.url).key(key).send();
    refused(&delete(&mut show, "Bearer live:play"), 403, "wrong_scope");
    assert_eq!(delete(&mut show, "Bearer live:pub").status, 200, "the client sends what it sent to POST");
}

#[test]
fn broadcast_box_the_key_to_publish_never_opens_a_view_and_is_told_to_nobody() {
    let mut show = keyed();
    let publisher = Joined::from(post(&mut show, "/api/whip", Some("Bearer live:pub")));
    assert!(show.connect(&publisher).is_empty());
    let seen = post(&mut show, "/api/whep", Some("Bearer live:pub"));
    refused(&seen, 403, "wrong_scope");
    let viewer = post(&mut show, "/api/whep", Some("Bearer live:play"));
    for reply in [seen, viewer] {
        let headers: String =
            reply.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let body = String::from_utf8_lossy(&reply.body);
        assert!(!headers.contains("live:") && !body.contains("live:pub"), "{headers}{body}");
    }
}

#[test]
fn broadcast_box_without_keys_a_name_is_enough() {
    let mut show = Show::open();
    let publisher = Joined::from(post(&mut show, "/api/whip", Some("Bearer live")));
    assert!(show.connect(&publisher).is_empty());
    assert_eq!(post(&mut show, "/api/whep", Some("Bearer live")).status, 201);
    refused(&post(&mut show, "/api/whip", None), 400, "bad_name");
}

#[test]
fn broadcast_box_the_key_of_an_endpoint_names_it() {
    let mut show = keyed();
    let key = |secret: &str| EndpointKey {
        id: "one".to_owned(),
        label: None,
        key: Key::new(secret),
        expires_at: None,
    };
    show.desk.put_endpoint(Endpoint {
        name: "stage".to_owned(),
        publish_keys: vec![key("stage-key")],
        play_keys: vec![key("stage-view")],
        ice_servers: None,
        policy: PolicyOverrides::default(),
    });
    let reply = post(&mut show, "/api/whip", Some("Bearer stage-key"));
    // Which keys open an endpoint is not this test's subject: that this key means this endpoint is.
    if reply.status == 201 {
        assert_eq!(on_air(&show), ["stage"]);
    }
    assert_ne!(code_or_created(&reply), "stream_key_missing");
    let other_door = post(&mut show, "/api/whep", Some("Bearer stage-key"));
    assert_ne!(other_door.status, 201, "a key to publish names nothing to watch");
}

fn code_or_created(reply: &Reply) -> String {
    if reply.status == 201 { "created".to_owned() } else { code(reply) }
}

#[test]
fn a_family_that_is_switched_off_leads_nowhere() {
    let routes = Routes { mediamtx: false, broadcast_box: false, janus: false, lalmax: false, talwtn: true };
    let show = Show::new(DeskConfig { routes, ..config() });
    let routes = show.desk.routes();
    assert!(!routes.talwtn, "no app, no TALWTN");
    for path in ["/live/whip", "/api/whip", "/webrtc/whip", "/pub/a/b"] {
        assert_eq!(wtn_wish::Resource::find(path, None, &routes), None, "{path}");
    }
}

#[test]
fn auth_07_a_key_in_the_url_opens_as_the_bearer_does() {
    for url in ["/whip/live?token=pub", "/whip/live?key=pub", "/whip/live/key/pub", "/live/whip?jwt=pub"] {
        let mut show = keyed();
        let reply = post(&mut show, url, None);
        assert_eq!(reply.header("Location").unwrap().len(), "/session/".len() + 32, "no key in there");
        let joined = Joined::from(reply);
        assert!(show.connect(&joined).is_empty());
        assert_eq!(on_air(&show), ["live"], "{url}");
    }
    let mut show = keyed();
    for url in ["/whip/live?token=wrong", "/whip/live/key/wrong"] {
        let reply = post(&mut show, url, None);
        refused(&reply, 401, "bad_token");
        assert!(!String::from_utf8_lossy(&reply.body).contains("wrong"), "auth_08");
    }
    refused(&post(&mut show, "/whep/live?token=pub", None), 403, "wrong_scope");
}

#[test]
fn auth_07_a_session_opened_by_a_key_in_the_url_ends_by_its_url_alone() {
    let mut show = keyed();
    let with_key = Joined::from(post(&mut show, "/whip/one?token=pub", None));
    let with_header = Joined::from(post(&mut show, "/whip/two", Some("Bearer pub")));
    refused(&show.call(Method::Delete, &with_header.url).send(), 401, "no_token");
    assert_eq!(show.call(Method::Delete, &with_key.url).send().status, 200, "vue-wish sends no header ever");
}
