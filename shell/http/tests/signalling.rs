//! WHIP and WHEP through the whole of HTTP: real offers in, answers out, the engine told, the log written.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{Answer, Log, TestServer, offer, open_desk, with_body};
use wtn_engine::{EndReason, Event, ShardId};
use wtn_media::{Codec, Format, MediaKind, SessionId, StreamId};
use wtn_wish::Key;

const SDP: (&str, &str) = ("Content-Type", "application/sdp");

async fn post(server: &TestServer, path: &str, offer_name: &str, more: &[(&str, &str)]) -> Answer {
    let host = server.addr.to_string();
    let headers = [&[("Host", &*host), SDP], more].concat();
    server.exchange(with_body("POST", path, &headers, &offer(offer_name))).await
}

/// What a shard would say of a publisher that connects and sends both tracks.
async fn go_live(server: &TestServer, session: SessionId) {
    let remote = std::net::SocketAddr::from(([203, 0, 113, 9], 50_000)).into();
    let media = |kind, codec| Event::Media { session, stream: StreamId(1), kind, format: Format::new(codec) };
    tell(server, Event::Claimed(session, ShardId(0))).await;
    tell(server, Event::Connected { session, remote, srtp_profile: "SRTP_AEAD_AES_128_GCM" }).await;
    tell(server, media(MediaKind::Audio, Codec::Opus)).await;
    tell(server, media(MediaKind::Video, Codec::H264)).await;
}

/// Returns when signalling has heard it.
async fn tell(server: &TestServer, event: Event) {
    server.events.send(event).await.unwrap();
    while server.events.capacity() < server.events.max_capacity() {
        tokio::task::yield_now().await;
    }
}

fn location(answer: &Answer) -> String {
    answer.header("Location").unwrap().to_owned()
}

#[tokio::test]
async fn whip_01_a_real_offer_gets_its_answer() {
    let server = TestServer::start().await;
    for name in ["pub-obs", "pub-chromium-all", "pub-ffmpeg", "pub-gst-whipclientsink", "pub-firefox-all"] {
        let answer = post(&server, &format!("/whip/{name}"), name, &[]).await;
        assert_eq!(answer.status, 201, "{name}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/sdp"));
        assert!(answer.body.starts_with(b"v=0\r\n") && answer.body.ends_with(b"\r\n"), "{name}");
        let location = location(&answer);
        assert!(location.starts_with("/session/") && !location.contains('?'), "{location}");
        assert!(answer.header("Etag").unwrap().starts_with('"'));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    }
}

#[tokio::test]
async fn the_first_candidate_is_the_host_by_which_the_client_came() {
    let server = TestServer::start().await;
    let port = server.addr.port();
    for (host, ip) in [
        (format!("198.51.100.9:{port}"), "198.51.100.9"),
        (format!("localhost:{port}"), "127.0.0.1"),
        ("media.example.com".to_owned(), "127.0.0.1"),
    ] {
        let request = with_body("POST", "/whip/live", &[("Host", &host), SDP], &offer("pub-obs"));
        let answer = server.exchange(request).await;
        let sdp = String::from_utf8(answer.body).unwrap();
        let first = sdp.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
        assert!(first.contains(&format!(" {ip} 8189 typ host")), "{host}: {first}");
    }
}

#[tokio::test]
async fn a_publisher_lives_is_listed_and_leaves() {
    let (log, _guard) = Log::start();
    let mut server = TestServer::start().await;
    let answer = post(&server, "/whip/live", "pub-obs", &[]).await;
    server.turn().await;
    go_live(&server, SessionId(1)).await;
    assert!(log.line("publisher is live").starts_with("INFO"));
    assert!(log.line("publisher is live").ends_with("stream=\"live\" session=1 codecs=\"H264 + opus\""));

    let list = server.ask("GET", "/api/v1/streams").await;
    let rows: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
    assert_eq!(
        rows,
        serde_json::json!([{
            "name": "live",
            "live": true,
            "codecs": ["H264", "opus"],
            "viewers": 0,
            "inputs": [{ "session": "1", "backup": 0, "shown": true, "sends": false }],
            "lint": [],
        }])
    );

    let viewer = post(&server, "/whep/live", "play-chromium", &[]).await;
    assert_eq!(viewer.status, 201, "{viewer:?}");

    let deleted = server.ask("DELETE", &location(&answer)).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(server.ask("GET", &location(&answer)).await.status, 404);
    server.turn().await;
    tell(&server, Event::Drained(ShardId(9))).await;
    assert!(log.line("publisher left").contains("reason=\"deleted\""));
}

#[tokio::test]
async fn a_publisher_with_one_track_is_said_to_be_live_a_little_later() {
    let (log, _guard) = Log::start();
    let server = TestServer::start().await;
    post(&server, "/whip/live", "pub-obs", &[]).await;
    let (session, format) = (SessionId(1), Format::new(Codec::H264));
    tell(&server, Event::Media { session, stream: StreamId(1), kind: MediaKind::Video, format }).await;
    assert!(!log.text().contains("is live"));
    let waited = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while !log.text().contains("is live") {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
    assert!(log.line("is live").contains("codecs=\"H264\""));
}

#[tokio::test]
async fn a_refused_publisher_is_one_line_with_what_is_wrong_and_what_to_do() {
    let (log, _guard) = Log::start();
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("stage-door")];
    let server = TestServer::with(desk, support::LIMITS).await;
    let refused = post(&server, "/whip/live", "pub-obs", &[("Authorization", "Bearer wrong-key-17")]).await;
    assert_eq!(refused.status, 401);
    let line = log.line("publish request refused");
    assert!(line.starts_with("WARN"), "{line}");
    for part in ["stream=\"live\"", "status=401", "code=\"bad_token\"", "fix=\"Check the key"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn what_http_itself_refuses_is_said_too() {
    let (log, _guard) = Log::start();
    let server = TestServer::start().await;
    server.exchange("POST /whip/live HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n").await;
    assert!(log.line("publish request refused").contains("code=\"body_too_large\""));
}

#[tokio::test]
async fn a_flood_of_refusals_is_folded() {
    let (log, _guard) = Log::start();
    let server = TestServer::start().await;
    for _ in 0..40 {
        assert_eq!(server.ask("POST", "/whip/live").await.status, 415);
    }
    assert!(log.text().lines().count() <= 30, "{}", log.text());
}

#[tokio::test]
async fn players_that_wait_for_a_publisher_do_not_fill_the_log() {
    let (log, _guard) = Log::start();
    let server = TestServer::start().await;
    let waiting = post(&server, "/whep/live", "play-chromium", &[]).await;
    assert_eq!(waiting.status, 409);
    assert!(waiting.header("Retry-After").is_some());
    assert_eq!(log.text(), "");
}

#[tokio::test]
async fn auth_08_no_log_line_has_a_key_a_password_an_address_or_sdp() {
    let (log, _guard) = Log::start();
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("stage-door")];
    let server = TestServer::with(desk, support::LIMITS).await;
    let answer = post(&server, "/whip/live", "pub-obs", &[("Authorization", "Bearer stage-door")]).await;
    assert_eq!(answer.status, 201);
    post(&server, "/whip/live", "pub-obs", &[("Authorization", "Bearer wrong-key-17")]).await;
    go_live(&server, SessionId(1)).await;
    let reasons = [EndReason::NeverConnected, EndReason::WrongCertificate, EndReason::Crashed];
    for (id, reason) in (1..).zip(reasons) {
        tell(&server, Event::Ended(SessionId(id), reason)).await;
        post(&server, "/whip/live", "pub-obs", &[("Authorization", "Bearer stage-door")]).await;
    }
    let text = log.text();
    for said in ["never connected", "another certificate", "crashed"] {
        assert!(text.contains(said), "{said} in\n{text}");
    }
    let sdp = String::from_utf8(answer.body.clone()).unwrap() + &offer("pub-obs");
    let values = sdp.lines().filter_map(|line| {
        let secret = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-256 "];
        secret.iter().find_map(|name| line.strip_prefix(name))
    });
    let location = location(&answer);
    let session_secret = location.strip_prefix("/session/").unwrap();
    for secret in values.chain(["stage-door", "wrong-key", session_secret, "203.0.113.9", "127.0.0.1", "v=0"])
    {
        assert!(!text.contains(secret.trim()), "{secret} in\n{text}");
    }
}

#[tokio::test]
async fn auth_09_preflights_and_errors_are_readable_from_any_page() {
    let server = TestServer::start().await;
    let preflight = server
        .exchange(
            "OPTIONS /whip/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://a.example\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n",
        )
        .await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("Access-Control-Allow-Headers").unwrap().contains("Authorization"));
    for (method, path) in [
        ("POST", "/whip/live"),
        ("DELETE", "/session/nobody"),
        ("PUT", "/whep/live"),
        ("GET", "/nowhere"),
        ("GET", "/whip/a/b"),
    ] {
        let answer = server.ask(method, path).await;
        assert!(answer.status >= 400, "{method} {path}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{method} {path}");
        assert!(answer.header("Access-Control-Expose-Headers").unwrap().contains("Location"));
        answer.problem();
    }
    let large = server.exchange("POST /whip/live HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n").await;
    assert_eq!((large.status, large.header("Access-Control-Allow-Origin")), (413, Some("*")));
}

#[tokio::test]
async fn http_08_head_of_an_endpoint_is_get_without_its_body() {
    let server = TestServer::start().await;
    for path in ["/whip/live", "/whep/live", "/session/nobody"] {
        let (head, get) = (server.ask("HEAD", path).await, server.ask("GET", path).await);
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty());
    }
    assert_eq!(server.ask("HEAD", "/whep/live").await.header("Content-Type"), Some("application/sdp"));
}

#[tokio::test]
async fn http_17_odd_names_fail_cleanly() {
    let server = TestServer::start().await;
    let long = format!("/whip/{}", "n".repeat(4096));
    for path in ["/whip/a%2F..%2Fb", "/whip/%00", "/whip/%ff%fe", "/whip/..%2f..%2fetc", "/session/%", &long]
    {
        let request = with_body("POST", path, &[("Host", "x"), SDP], &offer("pub-obs"));
        let answer = server.exchange(request).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
}
