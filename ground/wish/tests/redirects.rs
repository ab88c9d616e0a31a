//! Rows of the checklist about redirects.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, SDP, SDPFRAG, Show, config, keys, offer, refused};
use wtn_wish::{DeskConfig, Method, Redirect, Reply, SharedSecret};

const NOW: u64 = 1_900_000_000;

/// A server that sends `far-*` to another one.
fn sender(secret: Option<&str>) -> DeskConfig {
    let rule = Redirect { names: "far-*".to_owned(), to: "https://b.example:8443/".to_owned() };
    DeskConfig { redirects: vec![rule], handoff_secret: secret.map(SharedSecret::new), ..config() }
}

fn receiver(secret: Option<&str>) -> DeskConfig {
    DeskConfig {
        publish_keys: keys(&["its-own"]),
        play_keys: keys(&["its-own-too"]),
        handoff_secret: secret.map(SharedSecret::new),
        ..config()
    }
}

fn post(show: &mut Show, path: &str, query: Option<&str>, key: Option<&str>, unix_now: u64) -> Reply {
    let body = offer("pub-obs");
    let mut call = show.call(Method::Post, path).body(SDP, body.as_bytes());
    call.request.query = query;
    call.request.authorization = key;
    call.request.unix_now = unix_now;
    call.request.base_url = Some("https://b.example:8443");
    call.send()
}

/// The query of the URL to which that server sends a publisher of `name`.
fn handed(show: &mut Show, path: &str) -> String {
    let reply = post(show, path, None, Some("Bearer k"), NOW);
    assert_eq!(reply.status, 307);
    reply.header("Location").unwrap().split_once('?').unwrap().1.to_owned()
}

#[test]
fn lb_01_a_post_is_redirected_with_307_to_an_absolute_url() {
    let mut show = Show::new(sender(None));
    for (path, target) in [
        ("/whip/far-1", "https://b.example:8443/whip/far-1?"),
        ("/whep/far-1", "https://b.example:8443/whep/far-1?"),
    ] {
        let reply = post(&mut show, path, None, None, NOW);
        assert_eq!((reply.status, reply.body.len(), reply.effects.len()), (307, 0, 0));
        assert!(reply.header("Location").unwrap().starts_with(target), "{reply:?}");
    }
    assert_eq!(post(&mut show, "/whip/near", None, None, NOW).status, 201);
    assert_eq!(show.desk.session_count(), 1);
}

#[test]
fn lb_01_only_who_has_the_key_is_sent_on_and_only_posts_are() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["k"]), ..sender(Some("shared")) });
    refused(&post(&mut show, "/whip/far-1", None, None, NOW), 401, "no_token");
    refused(&post(&mut show, "/whip/far-1", None, Some("Bearer x"), NOW), 401, "bad_token");
    assert_eq!(post(&mut show, "/whip/far-1", None, Some("Bearer k"), NOW).status, 307);
    for method in [Method::Get, Method::Head, Method::Options] {
        assert!(show.call(method, "/whip/far-1").send().status < 300, "{method:?}");
    }
}

#[test]
fn lb_01_two_servers_do_not_play_ball() {
    let mut show = Show::new(sender(None));
    assert_eq!(post(&mut show, "/whip/far-1", Some("redirected=1"), None, NOW).status, 201);
}

#[test]
fn lb_02_the_target_is_complete_without_a_token() {
    let mut a = Show::new(DeskConfig { publish_keys: keys(&["k"]), ..sender(Some("shared")) });
    let query = handed(&mut a, "/whip/far-1");
    let mut b = Show::new(receiver(Some("shared")));
    let joined = Joined::from(post(&mut b, "/whip/far-1", Some(&query), None, NOW + 20));
    let path = joined.url.strip_prefix("https://b.example:8443").expect("lb_03: absolute").to_owned();
    let body = joined.fragment();
    let patched = b.call(Method::Patch, &path).if_match("*").body(SDPFRAG, body.as_bytes()).send();
    assert_eq!(patched.status, 204, "lb_04: served where it arrives");
    assert_eq!(b.call(Method::Delete, &path).send().status, 200, "whoever has the session's URL may end it");
}

#[test]
fn lb_02_a_handoff_opens_one_door_of_one_stream_for_half_a_minute() {
    let mut a = Show::new(DeskConfig { publish_keys: keys(&["k"]), ..sender(Some("shared")) });
    let query = handed(&mut a, "/whip/far-1");
    let mut b = Show::new(receiver(Some("shared")));
    for (path, unix_now) in
        [("/whip/far-2", NOW), ("/whep/far-1", NOW), ("/whip/far-1", NOW + 31), ("/whip/far-1", NOW - 60)]
    {
        refused(&post(&mut b, path, Some(&query), None, unix_now), 401, "no_token");
    }
    let mut forged = query.clone();
    forged.pop();
    for query in [forged.as_str(), "handoff=", "handoff=1900000010.", "handoff=x.y"] {
        refused(&post(&mut b, "/whip/far-1", Some(query), None, NOW), 401, "no_token");
    }
    for other in [Some("other"), None] {
        refused(
            &post(&mut Show::new(receiver(other)), "/whip/far-1", Some(&query), None, NOW),
            401,
            "no_token",
        );
    }
    assert_eq!(post(&mut b, "/whip/far-1", Some(&query), None, NOW).status, 201);
    assert!(!query.contains("shared") && !format!("{:?}", a.desk).contains("\"shared\""));
}

#[test]
fn lb_03_whoever_was_redirected_gets_an_absolute_location() {
    let mut show = Show::open();
    let direct = post(&mut show, "/whip/a", None, None, NOW);
    assert!(direct.header("Location").unwrap().starts_with("/session/"), "whip_04");
    let redirected = post(&mut show, "/whip/b", Some("redirected=1"), None, NOW);
    assert!(redirected.header("Location").unwrap().starts_with("https://b.example:8443/session/"));
    let mut public =
        Show::new(DeskConfig { public_url: Some("https://live.example.com".to_owned()), ..config() });
    let reply = post(&mut public, "/whip/c", Some("redirected=1"), None, NOW);
    assert!(reply.header("Location").unwrap().starts_with("https://live.example.com/session/"));
}

#[test]
fn lb_04_sessions_are_never_redirected() {
    let everything = Redirect { names: "*".to_owned(), to: "https://b.example".to_owned() };
    let mut show = Show::open();
    let joined = show.publish("live", "pub-obs");
    show.desk.set_config(DeskConfig { redirects: vec![everything], ..config() });
    assert_eq!(post(&mut show, "/whip/live", None, None, NOW).status, 307);
    assert_eq!(show.call(Method::Get, &joined.url).send().status, 204);
    let body = joined.fragment();
    let patched = show.call(Method::Patch, &joined.url).if_match("*").body(SDPFRAG, body.as_bytes()).send();
    assert_eq!(patched.status, 204);
    assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
}

#[test]
fn lb_06_a_server_that_stops_still_sends_on_and_refuses_the_rest() {
    let mut show = Show::new(sender(None));
    show.desk.drain();
    assert_eq!(post(&mut show, "/whip/far-1", None, None, NOW).status, 307);
    refused(&post(&mut show, "/whip/near", None, None, NOW), 503, "draining");
}

#[test]
fn auth_11_the_origin_after_a_redirect_is_null_and_welcome() {
    let mut show = Show::open();
    let body = offer("pub-obs");
    let mut call = show.call(Method::Post, "/whip/live").body(SDP, body.as_bytes());
    call.request.origin = Some("null");
    let reply = call.send();
    assert_eq!((reply.status, reply.header("Access-Control-Allow-Origin")), (201, Some("*")));
    let mut preflight = show.call(Method::Options, "/whip/live");
    preflight.request.origin = Some("null");
    preflight.request.is_preflight = true;
    assert_eq!(preflight.send().status, 200);
}
