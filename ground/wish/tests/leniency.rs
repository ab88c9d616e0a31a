//! What real clients do and no standard foresees, one test for each note. Where a note is about an offer or an
//! answer, ground/sdp/tests/leniency.rs has it; about media, wtn-fanout, wtn-session and testkit.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use serde_json::Value;
use std::fs;
use support::{Joined, SDP, SDPFRAG, Show, config, fragment, keys, offer, offers, refused, with_policy};
use wtn_wish::{DeskConfig, IceServer, Method, Policy, Reply};

/// The recorded requests of one client, by method.
fn recorded(name: &str, method: &str) -> Vec<Value> {
    let text = fs::read_to_string(offers().join(format!("{name}.http.jsonl"))).unwrap();
    let all =
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap());
    all.filter(|exchange: &Value| exchange["method"] == method).collect()
}

fn patch(show: &mut Show, joined: &Joined, tag: Option<&str>, body: &str) -> Reply {
    let mut call = show.call(Method::Patch, &joined.url).body(SDPFRAG, body.as_bytes());
    call.request.if_match = tag;
    call.send()
}

fn delete(show: &mut Show, url: &str) -> Reply {
    show.call(Method::Delete, url).send()
}

#[test]
fn l01_media_types_in_any_case_and_with_parameters() {
    let mut show = Show::open();
    let body = offer("pub-chromium-trickle");
    let call = show.call(Method::Post, "/whip/live").body("Application/SDP; charset=utf-8", body.as_bytes());
    let joined = Joined::from(call.send());
    let fragment = joined.fragment();
    let call = show.call(Method::Patch, &joined.url).if_match(&joined.tag);
    let reply = call.body("application/trickle-ice-sdpfrag;charset=UTF-8", fragment.as_bytes()).send();
    assert_eq!(reply.status, 204);
}

#[test]
fn l02_a_trickle_without_a_tag_is_428_and_the_session_goes_on() {
    // medooze's player never reads the tag; what it sent is in the recording.
    let sent = &recorded("play-medooze", "PATCH")[0];
    assert!(sent["headers"]["if-match"].is_null());
    let body = sent["body"].as_str().unwrap();
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-medooze");
    refused(&patch(&mut show, &viewer, None, body), 428, "tag_missing");
    assert_eq!(show.call(Method::Get, &viewer.url).send().status, 204);

    let mut show = Show::new(with_policy(Policy { trickle_without_tag: true, ..Policy::default() }));
    show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-medooze");
    assert_eq!(patch(&mut show, &viewer, None, &viewer.fragment()).status, 204);
    let restart = fragment("newufrag", "0123456789012345678901");
    refused(&patch(&mut show, &viewer, None, &restart), 428, "tag_missing");
}

#[test]
fn l03_every_shape_of_if_match_that_was_seen() {
    let mut show = Show::open();
    let joined = show.publish("live", "pub-chromium-trickle");
    let bare = joined.tag.trim_matches('"').to_owned();
    assert!(bare.bytes().all(|byte| byte.is_ascii_alphanumeric()), "it survives JSON.parse");
    for shape in ["*", "\"*\"", &joined.tag, &bare] {
        assert_eq!(patch(&mut show, &joined, Some(shape), &joined.fragment()).status, 204, "{shape}");
    }
    refused(
        &patch(&mut show, &joined, Some(&format!("W/{}", joined.tag)), &joined.fragment()),
        412,
        "tag_outdated",
    );
}

#[test]
fn l05_delete_is_200_for_every_client_in_the_recordings() {
    for name in
        ["pub-obs", "pub-ffmpeg", "pub-vue-wish", "pub-eyevinn", "pub-simple-whip", "pub-gst-whipsink"]
    {
        let sent = recorded(name, "DELETE");
        assert_eq!(sent.len(), 1, "{name}");
        let mut show = Show::open();
        let joined = show.publish("live", name);
        let tag = sent[0]["headers"]["if-match"].as_str();
        let mut call = show.call(Method::Delete, &joined.url);
        call.request.if_match = tag;
        let reply = call.send();
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{name}");
    }
}

#[test]
fn l05_delete_is_200_too_where_the_goodbye_of_dtls_came_first() {
    // The reference server said 404 to these two, who had closed before; vue-wish throws at that.
    for name in ["pub-vue-wish", "play-medooze"] {
        assert_eq!(recorded(name, "DELETE")[0]["status"], 404, "{name}");
    }
    let mut show = Show::open();
    let joined = show.publish("live", "pub-vue-wish");
    show.end(&joined);
    assert_eq!(show.call(Method::Get, &joined.url).send().status, 404, "it is gone all the same");
    let reply = delete(&mut show, &joined.url);
    assert_eq!((reply.status, reply.effects.len()), (200, 0));
    refused(&delete(&mut show, &joined.url), 404, "not_found");

    let late = show.publish("live", "pub-vue-wish");
    show.end(&late);
    show.wait(std::time::Duration::from_secs(11));
    refused(&delete(&mut show, &late.url), 404, "not_found");
}

#[test]
fn l06_the_201_is_bare_and_says_application_sdp() {
    let mut show = Show::open();
    for name in ["pub-obs", "pub-ffmpeg", "pub-simple-whip", "pub-gst-whipsink"] {
        let reply = show.post(&format!("/whip/{name}"), &offer(name));
        assert_eq!((reply.status, reply.header("Content-Type")), (201, Some(SDP)), "{name}");
        assert!(reply.body.starts_with(b"v=0\r\n") && reply.body.len() < 8 * 1024, "{name}");
    }
}

#[test]
fn l07_location_is_a_path_or_absolute_where_clients_were_redirected() {
    let mut show = Show::open();
    let url = show.publish("live", "pub-obs").url;
    assert!(url.starts_with("/session/") && !url.contains('?') && !url.contains("://"), "{url}");
    let public_url = Some("https://two.example.com".to_owned());
    let mut show = Show::new(DeskConfig { public_url, ..config() });
    let url = show.publish("live", "pub-obs").url;
    assert!(url.starts_with("https://two.example.com/session/"), "{url}");
}

#[test]
fn l08_links_survive_the_crudest_readers() {
    let server = |url: &str| IceServer {
        url: url.to_owned(),
        username: None,
        credential: None,
        secret: None,
        ttl_seconds: None,
    };
    let turn =
        IceServer { secret: Some("shared".to_owned()), ..server("turn:turn.example.net?transport=udp") };
    let ice_servers = vec![server("stun:stun.example.net"), turn];
    let mut show = Show::new(DeskConfig { ice_servers, ..config() });
    let reply = show.post("/whip/live", &offer("pub-obs"));
    let is_link = |(name, _): &&(&'static str, String)| *name == "Link";
    let links: Vec<_> = reply.headers.iter().filter(is_link).map(|(_, value)| value.as_str()).collect();
    assert_eq!(links.len(), 2);
    // OBS cuts at every comma, knows a server by how a piece begins, and wants values in quotes.
    let pieces: Vec<_> = links.iter().flat_map(|link| link.split(',')).collect();
    assert_eq!(pieces, links);
    assert!(links[0].starts_with("<stun:") && links[1].starts_with("<turn:"));
    for (link, parameters) in links.iter().zip([1, 4]) {
        let mut parts = link.split("; ");
        assert!(parts.next().is_some_and(|url| url.ends_with('>')), "{link}");
        let values: Vec<_> = parts.collect();
        assert_eq!(values.len(), parameters, "{link}");
        assert!(values.iter().all(|value| value.contains("=\"") && value.ends_with('"')), "{link}");
    }
    // mediamtx matches the names in this order.
    let names = ["rel=", "username=", "credential=", "credential-type="];
    let at: Vec<_> = names.iter().map(|name| links[1].find(&format!("; {name}")).unwrap()).collect();
    assert!(at.is_sorted(), "{}", links[1]);
}

#[test]
fn l09_options_of_an_endpoint_names_patch_and_options() {
    let mut show = Show::open();
    for path in ["/whip/live", "/whep/live", "/live/whip", "/whip/endpoint/live"] {
        let reply = show.call(Method::Options, path).send();
        let methods = reply.header("Access-Control-Allow-Methods").unwrap();
        for method in ["OPTIONS", "PATCH", "POST", "DELETE"] {
            assert!(methods.split(", ").any(|known| known == method), "{path}: {method}");
        }
    }
}

#[test]
fn l16_fragments_in_the_wild() {
    let recordings =
        ["pub-simple-whip", "pub-vue-wish", "pub-chromium-trickle", "pub-medooze", "play-medooze"];
    let bodies = recordings.iter().flat_map(|name| recorded(name, "PATCH"));
    let bodies: Vec<_> = bodies.map(|sent| sent["body"].as_str().unwrap().to_owned()).collect();
    assert!(bodies.len() >= 4, "fixtures are missing");
    let lines = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    for body in bodies {
        let mut show = Show::open();
        let joined = show.publish("live", "pub-chromium-trickle");
        let remote = &joined.admission.remote;
        // The recording's credentials are of the recording's session.
        let ours = [("a=ice-ufrag:", &remote.ufrag), ("a=ice-pwd:", &remote.pwd)].iter().fold(
            body.clone(),
            |body, (name, value)| match lines(&body, name) {
                Some(old) => body.replace(&format!("{name}{old}"), &format!("{name}{value}")),
                None => body,
            },
        );
        assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &ours).status, 204, "{ours}");
        let bare = ours.replace("\r\n", "\n");
        assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &bare).status, 204, "bare line feeds");
    }
    let mut show = Show::open();
    let joined = show.publish("live", "pub-chromium-trickle");
    let component_zero = joined.fragment().replace("candidate:1 1 udp", "candidate:1 0 udp");
    assert_eq!(patch(&mut show, &joined, Some("*"), &component_zero).status, 204, "Eyevinn's component");
    let json = r#"{"candidate":"candidate:1 1 udp 1 10.0.0.9 4 typ host","sdpMid":"0"}"#;
    refused(&patch(&mut show, &joined, Some("*"), json), 400, "bad_fragment");
}

#[test]
fn l21_a_bearer_without_a_meaning_harms_nobody_where_no_key_is_asked_for() {
    let mut show = Show::open();
    for header in ["Bearer undefined", "s3cret-without-a-scheme", "Bearer"] {
        let body = offer("pub-eyevinn");
        let reply = show.call(Method::Post, "/whip/live").body(SDP, body.as_bytes()).key(header).send();
        assert_eq!(reply.status, 201, "{header}");
    }
}

#[test]
fn l21_a_token_that_is_forgotten_on_delete_is_forgiven_where_the_operator_says_so() {
    for forgives in [false, true] {
        let policy = Policy { session_url_is_capability: forgives, ..Policy::default() };
        let mut show = Show::new(DeskConfig { publish_keys: keys(&["pub"]), ..with_policy(policy) });
        let body = offer("pub-eyevinn");
        let call = show.call(Method::Post, "/whip/live").body(SDP, body.as_bytes()).key("Bearer pub");
        let joined = Joined::from(call.send());
        let status = delete(&mut show, &joined.url).status;
        assert_eq!(status, if forgives { 200 } else { 401 });
    }
}

#[test]
fn l23_no_offer_is_answered_406_or_400_for_a_reason_that_lasts() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    // Eyevinn's player: 400 means "let the server offer" to it, 406 "leave out the sound".
    let only_vp8 = offer("play-chromium").replace("H264", "H263");
    let reply = show.post("/whep/live", &only_vp8);
    refused(&reply, 422, "no_common_codec");
    refused(&show.post("/whep/live", ""), 400, "empty");
}

#[test]
fn l24_an_origin_of_null_is_welcome_after_a_redirect_of_a_browser() {
    let mut show = Show::open();
    for method in [Method::Options, Method::Get] {
        let mut call = show.call(method, "/whip/live");
        call.request.origin = Some("null");
        let reply = call.send();
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
        assert!(reply.header("Access-Control-Allow-Credentials").is_none(), "no cookie opens anything");
    }
}

#[test]
fn l25_all_events_that_are_promised_can_be_had() {
    // medooze asks for what the Link header says, and listens to what it is told by the URL alone.
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let reply = show.post("/whep/live", &offer("play-medooze"));
    assert_eq!(reply.status, 201);
    let is_events = |(_, value): &&(&str, String)| value.contains("server-sent-events");
    let link = reply.headers.iter().find(is_events).map(|(_, value)| value.clone()).unwrap();
    let (url, rest) = link.trim_start_matches('<').split_once('>').unwrap();
    let types: Vec<_> = rest.split("events=\"").nth(1).unwrap().trim_end_matches('"').split(',').collect();
    let body = serde_json::to_string(&types).unwrap();
    let made = show.call(Method::Post, url).body("application/json", body.as_bytes()).send();
    assert_eq!(made.status, 201);
    let stream = made.header("Location").unwrap().to_owned();
    assert_eq!(show.call(Method::Get, &stream).send().status, 200);
}
