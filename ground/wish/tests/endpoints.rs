//! Rows of the checklist about endpoints: HTTP, POST, keys, CORS.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::HashSet;
use std::time::Duration;
use support::{Joined, SDP, SDPFRAG, Show, config, keys, offer, refused};
use wtn_media::{DtlsRole, Role};
use wtn_wish::{DeskConfig, Effect, Method, Request};

const WHIP: &str = "/whip/live";
const WHEP: &str = "/whep/live";

#[test]
fn whip_01_to_08_a_valid_offer_gets_a_201_with_all_that_belongs_to_it() {
    let mut show = Show::open();
    let reply = show.post(WHIP, &offer("pub-obs"));
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("Content-Type"), Some("application/sdp"));
    let location = reply.header("Location").unwrap();
    assert!(location.starts_with("/session/") && !location.contains('?'), "whip_04: {location}");
    let tag =
        reply.header("ETag").unwrap().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
    assert!(tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "whip_06");
    assert_eq!(reply.header("Accept-Patch"), Some(SDPFRAG));
    assert_eq!(reply.header("Accept-Post"), Some(SDP));
    assert!(reply.body.starts_with(b"v=0\r\n") && reply.body.ends_with(b"\r\n") && reply.body.len() < 8192);
    assert_eq!(show.call(Method::Get, location).send().status, 204, "whip_03");
}

#[test]
fn whip_05_session_urls_and_tags_are_random() {
    let mut show = Show::open();
    let mut seen = HashSet::new();
    for n in 0..200 {
        let joined = Joined::from(show.post(&format!("/whip/s{n}"), &offer("pub-obs")));
        let secret = joined.url.strip_prefix("/session/").unwrap().to_owned();
        assert_eq!(secret.len(), 32);
        assert!(seen.insert(secret) && seen.insert(joined.tag), "twice the same");
        assert!(seen.insert(joined.admission.local.ufrag) && seen.insert(joined.admission.local.pwd));
    }
}

#[test]
fn the_admission_is_what_offer_and_answer_settled() {
    let mut show = Show::open();
    let joined = Joined::from(show.post(WHIP, &offer("pub-ffmpeg")));
    let admission = &joined.admission;
    assert_eq!(admission.role, Role::Publisher { epoch: 1 });
    assert_eq!(admission.dtls_role, DtlsRole::Client);
    assert_eq!(admission.remote.ufrag, "56bd2bc8");
    assert_eq!(admission.connect_by, show.now + Duration::from_secs(10));
    assert!(joined.sdp.contains(&format!("a=ice-ufrag:{}\r\n", admission.local.ufrag)));
    assert!(joined.sdp.contains(&format!("a=ice-pwd:{}\r\n", admission.local.pwd)));
    assert!(admission.local.ufrag.len() == 16 && admission.local.pwd.len() == 32);
    show.connect(&joined);
    let viewer = Joined::from(show.post(WHEP, &offer("play-chromium"))).admission;
    assert_eq!((viewer.role, viewer.stream), (Role::Subscriber, admission.stream));
    assert!(viewer.session > admission.session);
    let ssrcs: HashSet<_> = viewer
        .plan
        .tracks
        .iter()
        .flat_map(|track| &track.ssrcs)
        .flat_map(|(a, b)| [Some(*a), *b])
        .flatten()
        .collect();
    assert_eq!(ssrcs.len(), 3);
}

#[test]
fn http_02_media_types_are_compared_without_case_or_parameters() {
    let mut show = Show::open();
    let body = offer("pub-obs");
    let reply = show.call(Method::Post, WHIP).body("Application/SDP; charset=utf-8", body.as_bytes()).send();
    assert_eq!(reply.status, 201);
}

#[test]
fn http_03_a_wrong_type_is_told_the_right_one() {
    let mut show = Show::open();
    let body = offer("pub-obs");
    for content_type in ["text/plain", "", SDPFRAG] {
        let reply = show.call(Method::Post, WHIP).body(content_type, body.as_bytes()).send();
        refused(&reply, 415, "wrong_media_type");
        assert_eq!(reply.header("Accept-Post"), Some(SDP));
    }
    refused(&show.call(Method::Post, WHIP).send(), 415, "wrong_media_type");
}

#[test]
fn http_04_unreadable_is_400_and_unacceptable_is_422() {
    let mut show = Show::open();
    refused(&show.post(WHIP, "hello"), 400, "not_sdp");
    refused(&show.post(WHIP, ""), 400, "empty");
    refused(&show.post(WHIP, &offer("pub-obs").replace("H264", "theora")), 422, "no_usable_codec");
    refused(&show.post(WHIP, &offer("play-chromium")), 422, "bad_direction");
    assert_eq!(show.desk.session_count(), 0, "whip_09: nothing is left behind");
    assert_eq!(show.desk.streams().count(), 0);
    assert_eq!(show.post(WHIP, &offer("pub-obs")).status, 201, "whip_17");
}

#[test]
fn http_05_bodies_are_bounded() {
    let mut show = Show::open();
    let padded = |len: usize| {
        let offer = offer("pub-obs");
        format!("{offer}a={}\r\n", "x".repeat(len - offer.len() - 4))
    };
    assert_eq!(show.post(WHIP, &padded(60 * 1024)).status, 201);
    assert_eq!(show.post(WHIP, &padded(Request::BODY_LEN_MAX)).status, 201);
    refused(&show.post(WHIP, &padded(Request::BODY_LEN_MAX + 1)), 413, "body_too_large");
}

#[test]
fn http_07_08_and_whep_12_get_and_head_are_empty_successes() {
    let mut show = Show::open();
    for method in [Method::Get, Method::Head] {
        let whip = show.call(method, WHIP).send();
        assert_eq!((whip.status, whip.body.len(), whip.header("Content-Type")), (204, 0, None));
        let whep = show.call(method, WHEP).send();
        assert_eq!((whep.status, whep.body.len(), whep.header("Content-Type")), (200, 0, Some(SDP)));
    }
    refused(&show.call(Method::Get, "/whep/a%20b").send(), 400, "bad_name");
}

#[test]
fn http_09_other_methods_are_told_which_there_are() {
    let mut show = Show::open();
    for (method, path) in [(Method::Delete, WHIP), (Method::Patch, WHEP), (Method::Other, WHIP)] {
        let reply = show.call(method, path).send();
        refused(&reply, 405, "method_not_allowed");
        assert_eq!(reply.header("Allow"), Some("OPTIONS, GET, HEAD, POST"));
    }
    for method in [Method::Post, Method::Other] {
        let reply = show.call(method, "/session/0").send();
        refused(&reply, 405, "method_not_allowed");
        assert_eq!(reply.header("Allow"), Some("OPTIONS, GET, HEAD, PATCH, DELETE"));
    }
    assert_eq!(Method::from_name("PUT"), Method::Other);
    assert_eq!(Method::from_name("PATCH"), Method::Patch);
}

#[test]
fn http_10_and_auth_09_options_needs_no_key_and_names_everything() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["k"]), ..config() });
    for path in [WHIP, WHEP] {
        let reply = show.call(Method::Options, path).send();
        assert_eq!((reply.status, reply.header("Accept-Post"), reply.body.len()), (200, Some(SDP), 0));
        assert!(reply.header("Link").is_none());
    }
    let reply = show.call(Method::Options, "/session/0123456789abcdef0123456789abcdef").send();
    assert_eq!((reply.status, reply.header("Accept-Patch")), (200, Some(SDPFRAG)), "http_11");
    let has = |name, values: &[&str]| {
        let listed: Vec<_> = reply.header(name).unwrap().split(", ").collect();
        values.iter().all(|value| listed.contains(value))
    };
    assert!(has("Access-Control-Allow-Methods", &["POST", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"]));
    assert!(has("Access-Control-Allow-Headers", &["Authorization", "Content-Type", "If-Match", "ETag"]));
}

#[test]
fn http_17_odd_names_are_refused_with_advice() {
    let mut show = Show::open();
    let long = format!("/whip/{}", "x".repeat(4096));
    for path in
        ["/whip/a%2F..%2Fb", "/whip/%00", "/whip/", "/whip/%FF", "/whip/..", "/whep/a/b", long.as_str()]
    {
        refused(&show.post(path, &offer("pub-obs")), 400, "bad_name");
    }
}

#[test]
fn auth_02_three_ways_to_be_refused() {
    let mut show =
        Show::new(DeskConfig { publish_keys: keys(&["pub"]), play_keys: keys(&["play"]), ..config() });
    let body = offer("pub-obs");
    let mut post = |key: Option<&str>| {
        let mut call = show.call(Method::Post, WHIP).body(SDP, body.as_bytes());
        call.request.authorization = key;
        let reply = call.send();
        (reply.status, reply.header("WWW-Authenticate").map(str::to_owned))
    };
    let challenge = |error: &str| Some(format!("Bearer realm=\"wtn\"{error}"));
    assert_eq!(post(None), (401, challenge("")));
    assert_eq!(post(Some("Bearer undefined")), (401, challenge(", error=\"invalid_token\"")));
    assert_eq!(post(Some("Bearer play")), (403, challenge(", error=\"insufficient_scope\"")));
    assert_eq!(post(Some("bearer pub")).0, 201, "auth_01");
}

#[test]
fn auth_03_the_key_is_asked_for_before_anything_else() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["k"]), play_keys: keys(&["p"]), ..config() });
    for path in [WHIP, WHEP, "/whip/a%20b", "/whep/unknown"] {
        refused(&show.post(path, "garbage"), 401, "no_token");
        refused(&show.call(Method::Post, path).send(), 401, "no_token");
    }
}

#[test]
fn auth_05_an_open_desk_ignores_whatever_is_sent() {
    let mut show = Show::open();
    let body = offer("pub-obs");
    let reply = show.call(Method::Post, WHIP).key("Bearer undefined").body(SDP, body.as_bytes()).send();
    assert_eq!(reply.status, 201);
}

#[test]
fn auth_08_keys_and_secrets_stay_out_of_replies_and_debug_texts() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["s3cret-key"]), ..config() });
    let body = offer("pub-obs");
    for key in ["Bearer s3cret-key", "Bearer wrong-s3cret"] {
        let reply = show.call(Method::Post, WHIP).key(key).body(SDP, body.as_bytes()).send();
        let text = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
        assert!(!text.contains("s3cret"));
        let Some(location) = reply.header("Location").map(str::to_owned) else { continue };
        let debug = format!("{:?}", show.desk);
        assert!(!debug.contains("s3cret") && !debug.contains(location.trim_start_matches("/session/")));
    }
}

#[test]
fn sdp_16_the_address_that_the_client_used_comes_first() {
    let mut show = Show::open();
    let body = offer("pub-obs");
    let mut addresses = |ip: Option<&str>| {
        show.wait(Duration::from_secs(10)); // or too many would be half open
        let mut call = show.call(Method::Post, WHIP).body(SDP, body.as_bytes());
        if let Some(ip) = ip {
            call = call.reached_by(ip);
        }
        let joined = Joined::from(call.send());
        let lines = joined.sdp.lines().filter(|line| line.starts_with("a=candidate:"));
        lines.map(|line| line.split(' ').nth(4).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let known = ["203.0.113.7", "10.0.0.2", "2001:db8::1"];
    assert_eq!(addresses(None), known, "IPv4 first");
    assert_eq!(addresses(Some("10.0.0.2")), ["10.0.0.2", "203.0.113.7", "2001:db8::1"]);
    assert_eq!(addresses(Some("192.0.2.9"))[..2], ["192.0.2.9", "203.0.113.7"]);
    assert_eq!(addresses(Some("127.0.0.1"))[..2], ["127.0.0.1", "203.0.113.7"]);
    assert_eq!(addresses(Some("::1"))[..3], ["127.0.0.1", "::1", "203.0.113.7"]);
    assert_eq!(addresses(Some("::ffff:10.0.0.2"))[0], "10.0.0.2");
    for useless in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1", "255.255.255.255"] {
        assert_eq!(addresses(Some(useless)), known, "{useless}");
    }
}

#[test]
fn lb_05_a_draining_desk_takes_no_new_sessions_and_leaves_the_old() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-obs");
    show.desk.drain();
    refused(&show.post(WHIP, &offer("pub-obs")), 503, "draining");
    refused(&show.post(WHEP, &offer("play-chromium")), 503, "draining");
    assert_eq!(show.call(Method::Get, &publisher.url).send().status, 204);
}

#[test]
fn only_a_post_that_succeeds_has_effects() {
    let mut show = Show::open();
    assert!(show.post(WHIP, "hello").effects.is_empty());
    assert!(show.call(Method::Get, WHIP).send().effects.is_empty());
    assert!(matches!(show.post(WHIP, &offer("pub-obs")).effects[..], [Effect::Admit(_)]));
}
