//! Session URLs through the whole of HTTP, by many at once.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use support::{Answer, TestServer, offer, open_desk, with_body};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wtn_http::Limits;

const SDPFRAG: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");
const HOST: (&str, &str) = ("Host", "x");

/// Nothing here is about time.
const PATIENT: Limits =
    Limits { head_within: Duration::from_secs(60), body_within: Duration::from_secs(60), ..support::LIMITS };

async fn send(to: SocketAddr, request: String) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    Answer::read_to_end(&mut stream).await
}

fn restart(url: &str, nth: usize) -> String {
    let body = format!(
        "a=ice-ufrag:new{nth}\r\na=ice-pwd:0123456789012345678901{nth}\r\nm=audio 9 X 0\r\na=mid:0\r\n"
    );
    with_body("PATCH", url, &[HOST, SDPFRAG, ("If-Match", "*")], &body)
}

fn trickle(url: &str, tag: &str) -> String {
    let body = "m=audio 9 X 0\r\na=mid:0\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n";
    with_body("PATCH", url, &[HOST, SDPFRAG, ("If-Match", tag)], body)
}

async fn publish(server: &TestServer) -> (String, String) {
    let body = offer("pub-obs");
    let post = with_body("POST", "/whip/live", &[HOST, ("Content-Type", "application/sdp")], &body);
    let made = send(server.addr, post).await;
    assert_eq!(made.status, 201, "{made:?}");
    let header = |name| made.header(name).unwrap().to_owned();
    (header("Location"), header("Etag"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sess_30_fifty_mixed_requests_at_once_are_safe() {
    let mut server = TestServer::with(open_desk(), PATIENT).await;
    for round in 0..4 {
        let (url, tag) = publish(&server).await;
        let mut calls = JoinSet::new();
        for nth in 0..50 {
            let request = match nth % 5 {
                0 | 1 => trickle(&url, &tag),
                2 | 3 => restart(&url, nth),
                _ if nth > 25 => format!("DELETE {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                _ => format!("GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            };
            calls.spawn(send(server.addr, request));
        }
        let answers = calls.join_all().await;
        assert_eq!(answers.len(), 50);
        for answer in &answers {
            assert!([200, 204, 404, 412].contains(&answer.status), "round {round}: {answer:?}");
        }
        let gone = server.ask("GET", &url).await;
        assert_eq!(gone.status, 404, "round {round}");
        server.turn().await;
        assert_eq!(server.shard.sessions(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sess_23_ten_restarts_at_once_have_ten_tags_and_the_last_holds() {
    let server = TestServer::with(open_desk(), PATIENT).await;
    let (url, first) = publish(&server).await;
    let mut calls = JoinSet::new();
    (0..10).for_each(|nth| {
        calls.spawn(send(server.addr, restart(&url, nth)));
    });
    let answers = calls.join_all().await;
    let mut tags = BTreeSet::from([first]);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/trickle-ice-sdpfrag"));
        tags.insert(answer.header("Etag").unwrap().to_owned());
    }
    assert_eq!(tags.len(), 11);
    let mut current = 0;
    for tag in &tags {
        match send(server.addr, trickle(&url, tag)).await.status {
            204 => current += 1,
            status => assert_eq!(status, 412, "{tag}"),
        }
    }
    assert_eq!(current, 1);
}
