//! TALWTN's SDK against a running server: its HTTP as it is, real media, the four interfaces, and mute.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use support::driven::Driven;
use support::sdk::{Response, Sdk};
use support::wait_for;
use tokio::runtime::Runtime;
use wtn::config::{Config, TalwtnApp};
use wtn::{Running, Server};
use wtn_client::clip::Clip;
use wtn_client::{Player, Publisher, PublisherConfig};
use wtn_media::{Codec, MediaKind};

const KEY: &str = "what the app and the server share";

/// A server with one app, on a runtime of its own: the clients of these tests block.
struct Stage {
    running: Option<Running>,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let app = TalwtnApp { id: "school".to_owned(), keys: vec![KEY.to_owned()] };
        let config = Config { talwtn_apps: vec![app], open: true, ..Config::default() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = Server::with(config).http(any).media(any).shards(2);
        let running = runtime.block_on(server.start()).unwrap();
        Self { running: Some(running), runtime }
    }

    fn http(&self) -> SocketAddr {
        self.running.as_ref().unwrap().http_addr()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http())
    }

    /// Whether there is such a session.
    fn has(&self, resource: &str) -> bool {
        let path = resource.strip_prefix(&self.url("")).expect("a session of this server");
        let mut stream = TcpStream::connect(self.http()).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1) == Some("204")
    }

    fn publish(&self, stream: &str, query: &str) -> (Driven<Publisher>, Sdk) {
        let mut sdk = Sdk::default();
        let url = self.url(&format!("/pub/school/{stream}?{query}"));
        let clip = Clip::embedded(Codec::H264).unwrap();
        let publisher = Driven::start(
            |now, locals| Publisher::new(now, clip, locals, PublisherConfig::default()),
            |publisher| {
                let answer = created(&sdk.start(&url, publisher.offer()));
                publisher.accept_answer(Instant::now(), &answer).unwrap();
            },
        );
        (publisher, sdk)
    }

    /// Subscribes as soon as the publisher is live; until then the SDK is told that there is nothing, or, without a
    /// token, that it needs one: only a live publisher says that it needs none.
    fn subscribe(&self, url: &str) -> (Driven<Player>, Sdk) {
        let mut sdk = Sdk::default();
        let player = Driven::start(Player::new, |player| {
            let answer = wait_for("the publisher is live", || {
                let response = sdk.start(url, player.sdp());
                if matches!(response.code, 401 | 404) { None } else { Some(created(&response)) }
            });
            player.accept_answer(Instant::now(), &answer).unwrap();
        });
        (player, sdk)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}

#[track_caller]
fn created(response: &Response) -> String {
    assert_eq!(response.code, 201, "{response:?}");
    assert!(response.headers["Location"].starts_with("http://127.0.0.1:"), "{response:?}");
    assert_eq!(response.headers["Content-Length"], response.body.len().to_string());
    response.body.clone()
}

fn token(action: &str, stream: &str, sub_auth: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "appID": "school", "streamID": stream, "action": action, "version": "1.0", "exp": now + 3600,
        "enableSubAuth": sub_auth,
    });
    let key = EncodingKey::from_secret(KEY.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn pub_query(stream: &str, sub_auth: bool) -> String {
    let token = token("pub", stream, sub_auth);
    format!("MuteAudio=false&MuteVideo=false&Token={token}&TokenType=Bearer")
}

fn sub_path(stream: &str) -> String {
    format!("/sub/school/{stream}?Token={}&TokenType=Bearer", token("Sub", stream, true))
}

/// Packets of that kind that came until now.
fn packets(player: &Driven<Player>, kind: MediaKind) -> u64 {
    let now = Instant::now();
    let tracks = player.with(|player| player.tracks(now, now));
    tracks.iter().find(|track| track.kind == kind.name()).map_or(0, |track| track.packets)
}

#[track_caller]
fn wait_for_packets(player: &Driven<Player>, kind: MediaKind, more: u64) {
    let before = packets(player, kind);
    wait_for(kind.name(), || (packets(player, kind) >= before + more).then_some(()));
}

#[test]
fn talwtn_the_four_interfaces_with_real_media() {
    let stage = Stage::new();
    let (publisher, mut publishing) = stage.publish("cam", &pub_query("cam", true));
    let (one, mut watching_one) = stage.subscribe(&stage.url(&sub_path("cam")));
    let (two, watching_two) = stage.subscribe(&stage.url(&sub_path("cam")));
    for player in [&one, &two] {
        wait_for_packets(player, MediaKind::Video, 10);
        wait_for_packets(player, MediaKind::Audio, 10);
    }

    assert_eq!(watching_one.stop(), 200, "destroy subscription");
    wait_for("its player is told goodbye", || one.has_ended().then_some(()));
    assert!(!stage.has(&watching_one.resource));
    wait_for_packets(&two, MediaKind::Video, 10);
    assert!(stage.has(&publishing.resource) && publisher.is_connected(), "the publisher is left alone");

    assert_eq!(publishing.stop(), 200, "destroy publish");
    assert!(!stage.has(&publishing.resource));
    assert!(!stage.has(&watching_two.resource), "every subscription of the stream is gone with it");
    wait_for("its players are told goodbye", || two.has_ended().then_some(()));
    assert_eq!(watching_one.stop(), 404);
}

#[test]
fn talwtn_mute_is_seen_and_heard() {
    let stage = Stage::new();
    let (_publisher, mut publishing) = stage.publish("cam", &pub_query("cam", true));
    let (player, mut watching) = stage.subscribe(&stage.url(&sub_path("cam")));
    wait_for_packets(&player, MediaKind::Video, 10);

    assert_eq!(publishing.mute_video(true), 200);
    // What was under way arrives; then there is sound alone.
    wait_for_packets(&player, MediaKind::Audio, 25);
    let before = packets(&player, MediaKind::Video);
    wait_for_packets(&player, MediaKind::Audio, 50);
    assert_eq!(packets(&player, MediaKind::Video), before, "nothing of a muted picture");
    assert_eq!(publishing.mute_video(false), 200);
    wait_for_packets(&player, MediaKind::Video, 20);

    assert_eq!(watching.mute_audio(true), 200);
    wait_for_packets(&player, MediaKind::Video, 25);
    let before = packets(&player, MediaKind::Audio);
    wait_for_packets(&player, MediaKind::Video, 50);
    assert_eq!(packets(&player, MediaKind::Audio), before, "nothing of a sound that the viewer has muted");
    assert_eq!(watching.mute_audio(false), 200);
    wait_for_packets(&player, MediaKind::Audio, 20);
}

#[test]
fn talwtn_muted_by_the_url_from_the_first_packet_on() {
    let stage = Stage::new();
    let query =
        format!("MuteAudio=true&MuteVideo=false&Token={}&TokenType=Bearer", token("Pub", "cam", false));
    let (_publisher, mut publishing) = stage.publish("cam", &query);
    // enableSubAuth is false: no token is asked for while this publisher is live.
    let (player, _watching) = stage.subscribe(&stage.url("/sub/school/cam"));
    wait_for_packets(&player, MediaKind::Video, 50);
    assert_eq!(packets(&player, MediaKind::Audio), 0);
    assert_eq!(publishing.mute_audio(false), 200);
    wait_for_packets(&player, MediaKind::Audio, 20);
}

#[test]
fn talwtn_refusals_are_what_the_sdk_can_tell_its_user() {
    let stage = Stage::new();
    let mut sdk = Sdk::default();
    let offer = offer();
    let good = token("sub", "cam", true);
    for (path, code) in [
        (format!("/sub/school/cam?Token={good}&TokenType=Bearer"), 404),
        ("/sub/school/cam".to_owned(), 401),
        ("/pub/school/cam?Token=rubbish&TokenType=Bearer".to_owned(), 401),
        (format!("/pub/school/cam?Token={good}&TokenType=Bearer"), 403),
        (format!("/sub/school/other?Token={good}&TokenType=Bearer"), 403),
        (format!("/sub/else/cam?Token={good}&TokenType=Bearer"), 401),
    ] {
        let response = sdk.start(&stage.url(&path), &offer);
        assert_eq!(response.code, code, "{path}: {response:?}");
        assert_eq!(response.headers["Content-Length"], response.body.len().to_string(), "{path}");
        assert!(!response.body.contains(&good), "no token in an answer");
    }
    let response = sdk.start(&stage.url(&format!("/pub/school/cam?{}", pub_query("cam", true))), "v=0\r\n");
    assert!(matches!(response.code, 400), "{response:?}");
}

#[test]
fn talwtn_a_redirect_is_followed_with_the_same_body() {
    let stage = Stage::new();
    let target = stage.url(&format!("/pub/school/cam?{}", pub_query("cam", true)));
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let first =
        format!("http://{}/pub/school/cam?{}", elsewhere.local_addr().unwrap(), pub_query("cam", true));
    let body = offer();
    let sent = body.clone();
    let redirect = std::thread::spawn(move || {
        let (mut stream, _) = elsewhere.accept().unwrap();
        // All of it, or closing would reset the connection before the answer is read.
        let mut request = String::new();
        while !request.ends_with(&body) {
            let mut piece = [0; 4096];
            let len = stream.read(&mut piece).unwrap();
            assert_ne!(len, 0, "the request ended early");
            request += std::str::from_utf8(&piece[..len]).unwrap();
        }
        write!(stream, "HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let mut sdk = Sdk::default();
    created(&sdk.start(&first, &sent));
    redirect.join().unwrap();
    assert!(stage.has(&sdk.resource));
    assert_eq!(sdk.stop(), 200);
}

/// An offer that nobody stands behind.
fn offer() -> String {
    let clip = Clip::embedded(Codec::H264).unwrap();
    let local = "127.0.0.1:5000".parse().unwrap();
    Publisher::new(Instant::now(), clip, &[local], PublisherConfig::default()).offer().to_owned()
}
