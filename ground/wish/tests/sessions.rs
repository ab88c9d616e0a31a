//! Rows of the checklist about sessions: PATCH, DELETE, and whose they are.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, SDP, SDPFRAG, Show, config, ending, fragment, keys, offer, refused, with_policy};
use wtn_wish::{DeskConfig, Ending, Method, Policy, Reply};

fn patch(show: &mut Show, joined: &Joined, tag: Option<&str>, body: &str) -> Reply {
    let mut call = show.call(Method::Patch, &joined.url).body(SDPFRAG, body.as_bytes());
    call.request.if_match = tag;
    call.send()
}

fn live() -> (Show, Joined) {
    let mut show = Show::open();
    let joined = show.publish("live", "pub-chromium-trickle");
    (show, joined)
}

#[test]
fn sess_01_and_12_a_trickle_is_taken_as_often_as_it_comes() {
    let (mut show, joined) = live();
    for _ in 0..2 {
        let reply = patch(&mut show, &joined, Some(&joined.tag), &joined.fragment());
        assert_eq!((reply.status, reply.body.len(), reply.header("ETag")), (204, 0, None));
        assert!(reply.effects.is_empty());
    }
}

#[test]
fn sess_02_and_19_a_bad_fragment_harms_nothing() {
    let (mut show, joined) = live();
    for body in ["a=candidate:garbage\r\n", "\u{1}\u{2}", "", "{\"candidate\":\"\"}"] {
        refused(&patch(&mut show, &joined, Some(&joined.tag), body), 400, "bad_fragment");
    }
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204);
}

#[test]
fn sess_03_to_07_what_if_match_must_be() {
    let (mut show, joined) = live();
    let bare = joined.tag.trim_matches('"').to_owned();
    for good in [joined.tag.as_str(), "*", "\"*\"", &bare, &format!("\"x\", {}", joined.tag)] {
        assert_eq!(patch(&mut show, &joined, Some(good), &joined.fragment()).status, 204, "{good}");
    }
    for stale in ["\"x\"", &format!("W/{}", joined.tag), ""] {
        refused(&patch(&mut show, &joined, Some(stale), &joined.fragment()), 412, "tag_outdated");
    }
    refused(&patch(&mut show, &joined, None, &joined.fragment()), 428, "tag_missing");
}

#[test]
fn sess_03_the_operator_may_forgive_a_missing_tag_for_trickles_only() {
    let mut show = Show::new(with_policy(Policy { trickle_without_tag: true, ..Policy::default() }));
    let joined = show.publish("live", "pub-medooze");
    assert_eq!(patch(&mut show, &joined, None, &joined.fragment()).status, 204);
    let restart = fragment("newufrag", "new-password-is-not-ice".replace('-', "x").as_str());
    refused(&patch(&mut show, &joined, None, &restart), 428, "tag_missing");
}

#[test]
fn sess_08_09_10_14_candidates_of_every_kind_are_welcome() {
    let (mut show, joined) = live();
    let remote = &joined.admission.remote;
    let body = format!(
        "A=Ice-Ufrag:{}\na=ice-pwd:{}\na=group:BUNDLE 0 1\nm=video 0 X/Y\na=mid:99\na=what:ever\n\
         a=candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype active\n\
         a=candidate:2 1 udp 1 4e7a.local 9 typ host\n\
         a=candidate:3 2 udp 1 example.com 9 typ srflx raddr 0.0.0.0 rport 0 foo bar\n\
         a=candidate:4 0 udp 1 10.0.0.1 4242 typ host generation 0\na=end-of-candidates\n",
        remote.ufrag, remote.pwd
    );
    assert_eq!(patch(&mut show, &joined, Some("*"), &body).status, 204);
}

#[test]
fn sess_13_end_of_candidates_alone_is_a_fragment() {
    let (mut show, joined) = live();
    assert_eq!(patch(&mut show, &joined, Some("*"), "a=end-of-candidates\r\n").status, 204);
}

#[test]
fn sess_21_half_a_restart_is_malformed() {
    let (mut show, joined) = live();
    let remote = joined.admission.remote.clone();
    let other_pwd = "0123456789012345678901";
    for body in [fragment("newufrag", &remote.pwd), fragment(&remote.ufrag, other_pwd)] {
        refused(&patch(&mut show, &joined, Some("*"), &body), 400, "half_restart");
    }
}

#[test]
fn sess_24_a_restart_is_refused_and_the_session_goes_on() {
    let (mut show, joined) = live();
    let restart = fragment("newufrag", "0123456789012345678901");
    refused(&patch(&mut show, &joined, Some("*"), &restart), 422, "ice_restart_unsupported");
    refused(&patch(&mut show, &joined, Some(&joined.tag), &restart), 422, "ice_restart_unsupported");
    refused(&patch(&mut show, &joined, None, &restart), 428, "tag_missing");
    refused(&patch(&mut show, &joined, Some("\"x\""), &restart), 412, "tag_outdated");
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204, "sess_19");
}

#[test]
fn http_03_and_whep_20_a_session_takes_fragments_only() {
    let (mut show, joined) = live();
    let full = offer("pub-chromium-trickle");
    for content_type in [SDP, "application/json", ""] {
        let reply =
            show.call(Method::Patch, &joined.url).if_match("*").body(content_type, full.as_bytes()).send();
        refused(&reply, 415, "wrong_media_type");
        assert_eq!(reply.header("Accept-Patch"), Some(SDPFRAG));
    }
    let text = joined.fragment();
    let reply = show
        .call(Method::Patch, &joined.url)
        .if_match("*")
        .body("application/Trickle-ICE-sdpfrag; x=y", text.as_bytes());
    assert_eq!(reply.send().status, 204, "http_02");
}

#[test]
fn sess_25_to_27_delete_ends_it_at_once_whatever_if_match_says() {
    let (mut show, joined) = live();
    let reply = show.call(Method::Delete, &joined.url).if_match("\"stale\"").send();
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.effects.iter().map(ending).collect::<Vec<_>>(), [(joined.id(), Ending::Deleted)]);
    for method in [Method::Get, Method::Head, Method::Patch, Method::Delete] {
        refused(&show.call(method, &joined.url).send(), 404, "not_found");
    }
    assert_eq!((show.desk.session_count(), show.desk.streams().count()), (0, 0));
    show.end(&joined); // the engine's late word about it
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
}

#[test]
fn whep_19_a_viewers_session_works_alike() {
    let (mut show, publisher) = live();
    let viewer = show.watch("live", "play-chromium");
    assert_eq!(patch(&mut show, &viewer, Some(&viewer.tag), &viewer.fragment()).status, 204);
    refused(&patch(&mut show, &viewer, Some(&publisher.tag), &viewer.fragment()), 412, "tag_outdated");
    assert_eq!(show.call(Method::Delete, &viewer.url).send().status, 200);
    assert_eq!(show.call(Method::Get, &publisher.url).send().status, 204);
}

#[test]
fn sess_29_and_auth_04_a_session_belongs_to_its_key() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["a", "b"]), ..config() });
    let body = offer("pub-obs");
    let made = show.call(Method::Post, "/whip/live").key("Bearer a").body(SDP, body.as_bytes()).send();
    let joined = Joined::from(made);
    for method in [Method::Delete, Method::Patch] {
        refused(&show.call(method, &joined.url).send(), 401, "no_token");
        refused(&show.call(method, &joined.url).key("Bearer x").send(), 401, "bad_token");
        refused(&show.call(method, &joined.url).key("Bearer b").send(), 403, "wrong_scope");
    }
    assert_eq!(show.call(Method::Delete, &joined.url).key("Bearer a").send().status, 200);
}

#[test]
fn auth_04_the_url_may_be_the_capability() {
    let keyed = DeskConfig {
        publish_keys: keys(&["a"]),
        ..with_policy(Policy { session_url_is_capability: true, ..Policy::default() })
    };
    let mut show = Show::new(keyed);
    let body = offer("pub-obs");
    let made = show.call(Method::Post, "/whip/live").key("Bearer a").body(SDP, body.as_bytes()).send();
    assert_eq!(show.call(Method::Delete, &Joined::from(made).url).send().status, 200);
}

#[test]
fn unknown_session_urls_are_404_of_whatever_shape() {
    let mut show = Show::open();
    for path in ["/session/", "/session/x", "/session/0123456789abcdef0123456789abcdef", "/session/%00"] {
        for method in [Method::Get, Method::Patch, Method::Delete] {
            refused(&show.call(method, path).send(), 404, "not_found");
        }
    }
}
