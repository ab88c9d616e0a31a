//! The recorded HTTP exchanges of real clients, sent to the desk.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use support::{Joined, Show, config, keys, offer, offers, with_policy};
use wtn_wish::{DeskConfig, Method, Policy, Reply, Request, Resource};

/// What we answer where the reference server was laxer: these clients trickle without `If-Match`, and go on
/// without (RFC 9725 §4.3.1 asks for 428).
const WITHOUT_TAG: [&str; 3] = ["pub-chromium-trickle", "pub-medooze", "play-medooze"];

/// Plays one trace against a desk; the statuses by method.
fn replay(name: &str, show: &mut Show) -> Vec<(String, u16)> {
    let text = fs::read_to_string(offers().join(format!("{name}.http.jsonl"))).unwrap();
    let sdp = offer(name);
    let (mut session, mut statuses) = (None::<Joined>, Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let method = exchange["method"].as_str().unwrap();
        let reply = send(show, &exchange, session.as_ref(), name, &sdp);
        statuses.push((method.to_owned(), reply.status));
        if reply.status == 201 {
            let joined = Joined::from(reply);
            assert!(show.connect(&joined).is_empty());
            session = Some(joined);
        }
    }
    statuses
}

fn send(show: &mut Show, exchange: &Value, session: Option<&Joined>, name: &str, sdp: &str) -> Reply {
    let method = Method::from_name(exchange["method"].as_str().unwrap());
    let headers: BTreeMap<&str, &str> = exchange["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let endpoint = if name.starts_with("pub-") { "/whip/live" } else { "/whep/live" };
    let path = match session {
        Some(session) if !exchange["url"].as_str().unwrap().contains("/endpoint/") => session.url.clone(),
        _ => endpoint.to_owned(),
    };
    let body = match method {
        Method::Post => sdp.to_owned(),
        _ => exchange["body"].as_str().unwrap_or_default().to_owned(),
    };
    // The recorded tag was the reference server's; the client would have sent ours, in the same clothes.
    let if_match = headers.get("if-match").map(|recorded| {
        let tag = &session.unwrap().tag;
        if recorded.starts_with('"') { tag.clone() } else { tag.trim_matches('"').to_owned() }
    });
    let mut call = show.call(method, &path);
    call.request = Request {
        resource: Resource::from_path(&path).unwrap(),
        content_type: headers.get("content-type").copied(),
        authorization: headers.get("authorization").copied(),
        if_match: if_match.as_deref(),
        origin: headers.get("origin").copied(),
        body: body.as_bytes(),
        ..call.request
    };
    call.send()
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(offers())
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".http.jsonl").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 28, "fixtures are missing");
    names
}

/// A desk for one trace: with the key of those clients that send one, and a publisher where one is watched.
fn show_for(name: &str) -> Show {
    let gst = ["pub-gst-whipsink", "pub-gst-whipclientsink"].contains(&name);
    let publish_keys = if gst { keys(&["s3"]) } else { Vec::new() };
    let mut show = Show::new(DeskConfig { publish_keys, ..config() });
    if name.starts_with("play-") {
        let source = if name == "play-firefox" { "pub-chromium-vp8-simulcast" } else { "pub-obs" };
        show.publish("live", source);
    }
    show
}

#[test]
fn every_recorded_session_goes_through() {
    for name in names() {
        let mut show = show_for(&name);
        let before = show.desk.session_count();
        let statuses = replay(&name, &mut show);
        for (method, status) in &statuses {
            let expected = match method.as_str() {
                "OPTIONS" | "DELETE" => 200,
                "POST" => 201,
                "PATCH" if WITHOUT_TAG.contains(&name.as_str()) => 428,
                "PATCH" => 204,
                other => panic!("{name}: {other}"),
            };
            assert_eq!(*status, expected, "{name}: {method}");
        }
        let ended = statuses.iter().any(|(method, _)| method == "DELETE");
        assert_eq!(show.desk.session_count() - before, usize::from(!ended), "{name}");
    }
}

#[test]
fn clients_that_trickle_without_a_tag_may_be_forgiven() {
    for name in WITHOUT_TAG {
        let mut show = Show::new(with_policy(Policy { trickle_without_tag: true, ..Policy::default() }));
        if name.starts_with("play-") {
            show.publish("live", "pub-obs");
        }
        let statuses = replay(name, &mut show);
        assert!(
            statuses.iter().all(|(method, status)| method != "PATCH" || *status == 204),
            "{name}: {statuses:?}"
        );
    }
}
