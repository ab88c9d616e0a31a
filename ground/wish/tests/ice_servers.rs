//! Rows of the checklist about `Link` lines for ICE servers.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::HashSet;
use support::{SDP, Show, config, keys, offer, refused};
use wtn_wish::{DeskConfig, Endpoint, IceServer, Method, PolicyOverrides, Reply};

fn server(url: &str) -> IceServer {
    IceServer { url: url.to_owned(), username: None, credential: None, secret: None, ttl_seconds: None }
}

fn fixed(url: &str) -> IceServer {
    IceServer { username: Some("user".to_owned()), credential: Some("pass".to_owned()), ..server(url) }
}

fn with(ice_servers: Vec<IceServer>) -> DeskConfig {
    DeskConfig { ice_servers, ..config() }
}

fn links(reply: &Reply) -> Vec<&str> {
    let is_link = |(name, _): &&(&'static str, String)| *name == "Link";
    reply.headers.iter().filter(is_link).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn auth_12_one_line_a_server_in_the_form_that_clients_match() {
    let servers = vec![
        server("stun:stun.example.net"),
        fixed("turn:turn.example.net?transport=udp"),
        fixed("turns:turn.example.net:443?transport=tcp"),
    ];
    let mut show = Show::new(with(servers));
    let expected = [
        "<stun:stun.example.net>; rel=\"ice-server\"",
        "<turn:turn.example.net?transport=udp>; rel=\"ice-server\"; username=\"user\"; credential=\"pass\"; credential-type=\"password\"",
        "<turns:turn.example.net:443?transport=tcp>; rel=\"ice-server\"; username=\"user\"; credential=\"pass\"; credential-type=\"password\"",
    ];
    assert_eq!(links(&show.post("/whip/live", &offer("pub-obs"))), expected);
    show.publish("other", "pub-obs");
    let viewer = show.post("/whep/other", &offer("play-chromium"));
    let links_of_viewer = links(&viewer);
    assert_eq!(links_of_viewer[..3], expected, "before those of extensions: clients look at the first few");
    assert!(links_of_viewer[3..].iter().all(|link| !link.contains("ice-server")));
    assert!(links(&show.post("/whip/live", "garbage")).is_empty(), "not on errors");
    assert!(
        links(&Show::open().post("/whip/live", &offer("pub-obs"))).is_empty(),
        "none configured, none told"
    );
}

#[test]
fn auth_12_an_endpoint_may_have_servers_of_its_own_or_none() {
    let mut show = Show::new(with(vec![server("stun:stun.example.net")]));
    let own = |name: &str, ice_servers| Endpoint {
        name: name.to_owned(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers,
        policy: PolicyOverrides::default(),
    };
    show.desk.put_endpoint(own("own", Some(vec![server("stun:other.example.net")])));
    show.desk.put_endpoint(own("none", Some(Vec::new())));
    show.desk.put_endpoint(own("same", None));
    let mut of = |name: &str| {
        let reply = show.post(&format!("/whip/{name}"), &offer("pub-obs"));
        links(&reply).first().map(|link| (*link).to_owned())
    };
    assert_eq!(of("own").as_deref(), Some("<stun:other.example.net>; rel=\"ice-server\""));
    assert_eq!(of("none"), None);
    assert_eq!(of("same").as_deref(), Some("<stun:stun.example.net>; rel=\"ice-server\""));
}

#[test]
fn auth_13_credentials_are_each_sessions_own_expire_and_need_no_escaping() {
    let secret = IceServer {
        secret: Some("shared".to_owned()),
        ttl_seconds: Some(600),
        ..server("turn:turn.example.net")
    };
    let mut show = Show::new(with(vec![secret]));
    let mut seen = HashSet::new();
    for _ in 0..10_000 {
        let mut call = show.call(Method::Options, "/whip/live");
        call.request.unix_now = 1_900_000_000;
        let reply = call.send();
        let link = links(&reply)[0].to_owned();
        let value = |name: &str| {
            let (_, rest) = link.split_once(&format!("{name}=\"")).unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        let (username, credential) = (value("username"), value("credential"));
        let (expires, id) = username.split_once(':').unwrap();
        assert_eq!((expires, id.len()), ("1900000600", 16));
        assert_eq!(credential.len(), 28, "20 bytes in base64");
        assert!(!username.contains([',', ';', '"', '\\']) && !credential.contains([',', ';', '"', '\\']));
        assert!(seen.insert(username) && seen.insert(credential), "twice the same");
        assert!(!link.contains("shared"));
    }
}

#[test]
fn auth_13_what_would_break_a_link_is_not_written() {
    let quote = IceServer { credential: Some("a\"b".to_owned()), ..fixed("turn:a") };
    let servers =
        vec![server("http://x"), server("stun:a>;b"), server("stun:a\r\nX: y"), quote, server("stun:ok")];
    let reply = Show::new(with(servers)).post("/whip/live", &offer("pub-obs"));
    assert_eq!(links(&reply), ["<stun:ok>; rel=\"ice-server\""]);
}

#[test]
fn auth_14_options_tell_them_to_who_has_the_key_and_never_to_a_preflight() {
    let keyed = DeskConfig { publish_keys: keys(&["k"]), ..with(vec![server("stun:stun.example.net")]) };
    let mut show = Show::new(keyed);
    let mut preflight = show.call(Method::Options, "/whip/live");
    preflight.request.is_preflight = true;
    let reply = preflight.send();
    assert_eq!((reply.status, links(&reply).len()), (200, 0));
    let allowed = show.call(Method::Options, "/whip/live").key("Bearer k").send();
    assert_eq!((allowed.status, links(&allowed).len()), (200, 1));
    assert_eq!(allowed.header("Accept-Post"), Some(SDP));
    for key in [None, Some("Bearer x")] {
        let mut call = show.call(Method::Options, "/whip/live");
        call.request.authorization = key;
        let refusal = call.send();
        assert_eq!((refusal.status, links(&refusal).len()), (401, 0));
    }
    let open = show.call(Method::Options, "/whep/live").send();
    assert_eq!((open.status, links(&open).len()), (200, 1), "watching needs no key here");
    let mut session = show.call(Method::Options, "/session/0");
    session.request.authorization = Some("Bearer k");
    assert!(links(&session.send()).is_empty());
}

#[test]
fn auth_14_without_servers_to_tell_options_ask_for_no_key() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["k"]), ..config() });
    assert_eq!(show.call(Method::Options, "/whip/live").send().status, 200, "http_10");
    refused(&show.post("/whip/live", "x"), 401, "no_token");
}

#[test]
fn ext_01_and_03_no_extension_is_announced_and_no_name_is_made_up() {
    let mut show = Show::new(with(vec![server("stun:stun.example.net")]));
    let reply = show.post("/whip/live", &offer("pub-obs"));
    for link in links(&reply) {
        assert!(link.ends_with("rel=\"ice-server\"") && !link.contains("urn:ietf"), "{link}");
    }
}

#[test]
fn ext_02_a_client_that_reads_no_link_gets_full_service() {
    let run = |servers: Vec<IceServer>| {
        let mut show = Show::new(with(servers));
        let publisher = show.publish("live", "pub-obs");
        let viewer = show.watch("live", "play-chromium");
        let ends = [&viewer, &publisher].map(|joined| show.call(Method::Delete, &joined.url).send().status);
        let candidates = |sdp: &str| sdp.lines().filter(|line| line.starts_with("a=candidate")).count();
        (candidates(&publisher.sdp), candidates(&viewer.sdp), ends)
    };
    assert_eq!(run(vec![server("stun:stun.example.net")]), run(Vec::new()));
}

#[test]
fn ext_04_nothing_hangs_below_a_sessions_url() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-obs");
    for below in ["/ext", "/layer", "/sse/1"] {
        let path = format!("{}{below}", publisher.url);
        for method in [Method::Get, Method::Patch, Method::Delete] {
            refused(&show.call(method, &path).send(), 404, "not_found");
        }
    }
}
