//! Rows of the checklist about ICE restarts: PATCH with new credentials.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::BTreeSet;
use support::{Joined, SDPFRAG, Show, config, fragment, refused};
use wtn_media::IceCredentials;
use wtn_wish::{DeskConfig, Effect, Method, Reply};

const PWD: &str = "0123456789012345678901";

fn patch(show: &mut Show, joined: &Joined, tag: Option<&str>, body: &str) -> Reply {
    let mut call = show.call(Method::Patch, &joined.url).body(SDPFRAG, body.as_bytes());
    call.request.if_match = tag;
    call.send()
}

fn live() -> (Show, Joined) {
    live_by(config())
}

fn live_by(config: DeskConfig) -> (Show, Joined) {
    let mut show = Show::new(config);
    let joined = show.publish("live", "pub-chromium-trickle");
    (show, joined)
}

/// What the reply says, and what the engine is told.
struct Restarted {
    tag: String,
    body: String,
    local: IceCredentials,
    remote: IceCredentials,
}

#[track_caller]
fn restarted(joined: &Joined, reply: &Reply) -> Restarted {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let [Effect::Restart { session, local, remote }] = &reply.effects[..] else {
        panic!("{:?}", reply.effects);
    };
    assert_eq!(*session, joined.id());
    let restarted = Restarted {
        tag: reply.header("ETag").unwrap().to_owned(),
        body: String::from_utf8(reply.body.clone()).unwrap(),
        local: local.clone(),
        remote: remote.clone(),
    };
    assert_eq!(value(&restarted.body, "a=ice-ufrag:"), local.ufrag, "each reply has its own credentials");
    assert_eq!(value(&restarted.body, "a=ice-pwd:"), local.pwd);
    restarted
}

fn value<'a>(text: &'a str, start: &str) -> &'a str {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(start));
    values.next().unwrap_or_else(|| panic!("{start} in {text}"))
}

fn lines<'a>(text: &'a str, start: &'a str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn sess_15_new_credentials_restart_ice() {
    let (mut show, joined) = live();
    let bare = joined.tag.trim_matches('"').to_owned();
    let mut tags = BTreeSet::from([joined.tag.clone()]);
    let reply = patch(&mut show, &joined, Some(&bare), &fragment("bare", PWD));
    assert_eq!(reply.header("Content-Type"), Some(SDPFRAG));
    tags.insert(restarted(&joined, &reply).tag);
    for (nth, any) in ["*", "\"*\"", " * "].into_iter().enumerate() {
        let reply =
            patch(&mut show, &joined, Some(any), &fragment(&format!("new{nth}"), &format!("{PWD}{nth}")));
        tags.insert(restarted(&joined, &reply).tag);
    }
    assert_eq!(tags.len(), 5, "each tag is new");
    assert!(tags.iter().all(|tag| {
        let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }));
}

#[test]
fn sess_16_the_reply_has_new_credentials_and_the_rest_as_the_answer_had_it() {
    let (mut show, joined) = live();
    let reply = patch(&mut show, &joined, Some("*"), &fragment("newufrag", PWD));
    let Restarted { body, local, remote, .. } = restarted(&joined, &reply);
    assert_eq!((remote.ufrag.as_str(), remote.pwd.as_str()), ("newufrag", PWD));
    assert!(body.ends_with("\r\n") && body.matches('\n').count() == body.matches("\r\n").count(), "CRLF");
    let before = &joined.admission.local;
    assert!(local.ufrag != before.ufrag && local.pwd != before.pwd);
    assert!((4..=32).contains(&local.ufrag.len()), "24 bits and more, of 32 characters at most");
    assert!(local.pwd.len() >= 32, "128 random bits in hexadecimal digits");
    for start in ["a=ice-lite", "a=ice-options:", "a=ice-pacing:", "a=group:BUNDLE", "a=candidate:"] {
        assert_eq!(lines(&body, start), lines(&joined.sdp, start), "{start}");
    }
    assert_eq!(lines(&body, "a=candidate:").len(), 3, "all of them");
    let media: Vec<_> = body.split("m=").collect();
    assert_eq!(media.len(), 2, "one section");
    assert!(media[1].starts_with("audio 9 ") || media[1].starts_with("video 9 "), "{body}");
    let tagged = value(&joined.sdp, "a=group:BUNDLE ").split(' ').next().unwrap();
    assert_eq!(value(media[1], "a=mid:"), tagged);
    assert!(media[1].contains("\r\na=end-of-candidates\r\n"));
}

#[test]
fn sess_16_obs_gets_back_what_its_answer_had() {
    let mut show = Show::open();
    let joined = show.publish("live", "pub-obs");
    let reply = patch(&mut show, &joined, Some("*"), &fragment("newufrag", PWD));
    let body = restarted(&joined, &reply).body;
    for start in ["a=ice-options:", "a=group:BUNDLE"] {
        assert_eq!(lines(&body, start), lines(&joined.sdp, start), "{start}");
    }
}

#[test]
fn sess_17_after_a_restart_only_the_new_tag_is_current() {
    let (mut show, joined) = live();
    let reply = patch(&mut show, &joined, Some("*"), &fragment("newufrag", PWD));
    let tag = restarted(&joined, &reply).tag;
    let trickle = fragment("newufrag", PWD);
    refused(&patch(&mut show, &joined, Some(&joined.tag), &trickle), 412, "tag_outdated");
    refused(&patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()), 412, "tag_outdated");
    assert_eq!(patch(&mut show, &joined, Some(&tag), &trickle).status, 204);
}

#[test]
fn sess_04_the_tag_before_a_restart_is_412_and_has_no_effect() {
    let (mut show, joined) = live();
    let reply = patch(&mut show, &joined, Some("*"), &fragment("newufrag", PWD));
    let tag = restarted(&joined, &reply).tag;
    refused(&patch(&mut show, &joined, Some(&joined.tag), &fragment("third", PWD)), 412, "tag_outdated");
    assert_eq!(patch(&mut show, &joined, Some(&tag), &fragment("newufrag", PWD)).status, 204);
}

#[test]
fn sess_19_a_restart_that_cannot_be_done_leaves_tag_and_credentials() {
    let (mut show, joined) = live();
    for (tag, body, status, code) in [
        ("*", fragment("abc", PWD), 400, "bad_fragment"),
        ("*", fragment("newufrag", "short"), 400, "bad_fragment"),
        ("*", fragment("newufrag", &joined.admission.remote.pwd), 400, "half_restart"),
        ("\"x\"", fragment("newufrag", PWD), 412, "tag_outdated"),
    ] {
        refused(&patch(&mut show, &joined, Some(tag), &body), status, code);
        assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204);
    }
}

#[test]
fn sess_20_a_restart_needs_if_match_and_the_current_tag_will_do() {
    let (mut show, joined) = live();
    let body = fragment("newufrag", PWD);
    refused(&patch(&mut show, &joined, None, &body), 428, "tag_missing");
    let reply = patch(&mut show, &joined, Some(&joined.tag), &body);
    restarted(&joined, &reply);
}

#[test]
fn sess_21_half_a_restart_is_malformed_and_changes_nothing() {
    let (mut show, joined) = live();
    let remote = joined.admission.remote.clone();
    for body in [fragment("newufrag", &remote.pwd), fragment(&remote.ufrag, PWD)] {
        refused(&patch(&mut show, &joined, Some("*"), &body), 400, "half_restart");
    }
    let alone = format!("a=ice-ufrag:newufrag\r\n{}", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n");
    refused(&patch(&mut show, &joined, Some("*"), &alone), 400, "half_restart");
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204);
}

#[test]
fn sess_22_credentials_of_every_allowed_length_restart() {
    let (mut show, joined) = live();
    for (ufrag, pwd) in [(4, 22), (256, 256)] {
        let body = fragment(&"+/aZ".repeat(64)[..ufrag], &"/9bQ".repeat(64)[..pwd]);
        let reply = patch(&mut show, &joined, Some("*"), &body);
        let remote = restarted(&joined, &reply).remote;
        assert_eq!((remote.ufrag.len(), remote.pwd.len()), (ufrag, pwd));
    }
    let ice = "a".repeat(257);
    for (ufrag, pwd) in
        [("abc", PWD), (ice.as_str(), PWD), ("abcd", &PWD[..21]), ("abcd", &ice), ("ab-d", PWD)]
    {
        refused(&patch(&mut show, &joined, Some("*"), &fragment(ufrag, pwd)), 400, "bad_fragment");
    }
}

#[test]
fn sess_23_of_ten_restarts_the_last_is_in_force() {
    let (mut show, joined) = live();
    let all: Vec<Restarted> = (0..10)
        .map(|nth| {
            let body = fragment(&format!("ufrag{nth}"), &format!("{PWD}{nth}"));
            let reply = patch(&mut show, &joined, Some("*"), &body);
            restarted(&joined, &reply)
        })
        .collect();
    let tags: BTreeSet<_> = all.iter().map(|one| one.tag.as_str()).collect();
    let ufrags: BTreeSet<_> = all.iter().map(|one| one.local.ufrag.as_str()).collect();
    assert_eq!((tags.len(), ufrags.len()), (10, 10));
    let last = fragment("ufrag9", &format!("{PWD}9"));
    for one in &all[..9] {
        refused(&patch(&mut show, &joined, Some(&one.tag), &last), 412, "tag_outdated");
    }
    assert_eq!(patch(&mut show, &joined, Some(&all[9].tag), &last).status, 204);
}

#[test]
fn sess_24_without_restarts_a_restart_is_422_and_a_trickle_204() {
    let (mut show, joined) = live_by(DeskConfig { ice_restart: false, ..config() });
    let restart = fragment("newufrag", PWD);
    refused(&patch(&mut show, &joined, Some("*"), &restart), 422, "ice_restart_off");
    refused(&patch(&mut show, &joined, Some(&joined.tag), &restart), 422, "ice_restart_off");
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204, "sess_19");
}

#[test]
fn sess_24_without_trickle_a_trickle_is_422_and_a_restart_200() {
    let (mut show, joined) = live_by(DeskConfig { trickle: false, ..config() });
    refused(&patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()), 422, "trickle_off");
    let reply = patch(&mut show, &joined, Some(&joined.tag), &fragment("newufrag", PWD));
    restarted(&joined, &reply);
}

#[test]
fn sess_24_without_either_patch_is_405() {
    let (mut show, joined) = live_by(DeskConfig { trickle: false, ice_restart: false, ..config() });
    for body in [joined.fragment(), fragment("newufrag", PWD)] {
        let reply = patch(&mut show, &joined, Some("*"), &body);
        refused(&reply, 405, "method_not_allowed");
        assert_eq!(reply.header("Allow"), Some("OPTIONS, GET, HEAD, DELETE"));
    }
    let options = show.call(Method::Options, &joined.url).send();
    assert_eq!(
        (options.header("Allow"), options.header("Accept-Patch")),
        (Some("OPTIONS, GET, HEAD, DELETE"), None)
    );
    let again = show.post("/whip/other", &support::offer("pub-obs"));
    assert_eq!(again.header("Accept-Patch"), None);
}

#[test]
fn whep_19_a_viewer_restarts_alike() {
    let (mut show, publisher) = live();
    let viewer = show.watch("live", "play-chromium");
    let reply = patch(&mut show, &viewer, Some("*"), &fragment("newufrag", PWD));
    let tag = restarted(&viewer, &reply).tag;
    refused(&patch(&mut show, &viewer, Some(&viewer.tag), &fragment("newufrag", PWD)), 412, "tag_outdated");
    assert_eq!(patch(&mut show, &viewer, Some(&tag), &fragment("newufrag", PWD)).status, 204);
    assert_eq!(patch(&mut show, &publisher, Some(&publisher.tag), &publisher.fragment()).status, 204);
    assert_eq!(show.call(Method::Delete, &viewer.url).send().status, 200);
}
