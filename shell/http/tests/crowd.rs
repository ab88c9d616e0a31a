//! Viewers that come in a crowd from one address: kept until there is room, refused when there is no hope.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::Duration;
use support::{Answer, LIMITS, Log, TestServer, offer, open_desk, with_body};
use wtn_engine::Event;
use wtn_http::Limits;
use wtn_media::SessionId;

const SDP: (&str, &str) = ("Content-Type", "application/sdp");
/// Longer than any step of these tests takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn request(path: &str, name: &str) -> String {
    with_body("POST", path, &[("Host", "x"), SDP], &offer(name))
}

async fn watch(server: &TestServer) -> Answer {
    server.exchange(request("/whep/live", "play-chromium")).await
}

async fn connect(server: &TestServer, session: u64) {
    let remote = std::net::SocketAddr::from(([203, 0, 113, 9], 50_000)).into();
    let event =
        Event::Connected { session: SessionId(session), remote, srtp_profile: "SRTP_AEAD_AES_128_GCM" };
    server.events.send(event).await.unwrap();
}

/// A server with a live publisher, session 1, and ten viewers on the way, sessions 2 to 11.
async fn full(patience: Duration, kept_within: Duration) -> TestServer {
    let mut desk = open_desk();
    desk.limits.patience = patience;
    desk.connect_within = LONG;
    let server = TestServer::with(desk, Limits { kept_within, ..LIMITS }).await;
    assert_eq!(server.exchange(request("/whip/live", "pub-obs")).await.status, 201);
    connect(&server, 1).await;
    // The first may come before the event is heard.
    while watch(&server).await.status == 409 {}
    for _ in 0..9 {
        assert_eq!(watch(&server).await.status, 201);
    }
    server
}

#[tokio::test]
async fn a_crowd_is_kept_at_the_door_and_let_in_two_for_each_that_connects() {
    let server = full(LONG, LONG).await;
    let mut kept = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let addr = server.addr;
        kept.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
            let request = request("/whep/live", "play-chromium");
            tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
            Answer::read_to_end(&mut stream).await
        });
    }
    for session in [2, 3] {
        connect(&server, session).await;
        for _ in 0..2 {
            let answer = tokio::time::timeout(LONG, kept.join_next()).await.unwrap();
            assert_eq!(answer.unwrap().unwrap().status, 201);
        }
    }
}

#[tokio::test]
async fn where_nobody_connects_the_eleventh_is_refused_and_the_log_says_so_once() {
    let (log, _guard) = Log::start();
    let server = full(Duration::from_millis(50), LONG).await;
    let answer = watch(&server).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("Retry-After").is_some());
    assert_eq!(answer.problem()["code"], "too_many_connecting");
    assert!(log.line("too_many_connecting").contains("watch request refused"));
}

#[tokio::test]
async fn nobody_is_kept_for_ever() {
    let server = full(LONG, Duration::from_millis(50)).await;
    assert_eq!(watch(&server).await.status, 429);
}
