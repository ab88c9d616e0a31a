//! HTTP's own rules, byte by byte over a real socket: bounds, waits, spelling, framing.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::{Duration, Instant};
use support::{Answer, LIMITS, TestServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wtn_http::Limits;

const POST: &str = "POST /whip/live HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n";

#[tokio::test]
async fn http_05_a_body_that_says_it_is_too_large_is_refused_unread() {
    let server = TestServer::start().await;
    let answer = server.exchange(format!("{POST}Content-Length: 10485760\r\n\r\n")).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.problem()["status"], 413);
    assert_eq!(answer.header("Connection"), Some("close"));
}

#[tokio::test]
async fn http_05_a_client_that_sends_its_large_body_all_the_same_still_reads_the_refusal() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    stream.write_all(format!("{POST}Content-Length: 800000\r\n\r\n").as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        for _ in 0..80 {
            if writer.write_all(&[b'x'; 10_000]).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    let mut bytes = Vec::new();
    let (_, read) = tokio::join!(send, reader.read_to_end(&mut bytes));
    read.expect("an end, not a reset");
    assert_eq!(Answer::parse(&bytes).status, 413);
}

#[tokio::test]
async fn http_05_chunks_are_counted_as_they_come() {
    let server = TestServer::start().await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let answer =
        server.exchange(format!("{POST}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(5))).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn http_12_a_client_that_expects_continue_gets_it_only_for_a_body_that_fits() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    let head = format!("{POST}Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(Answer::read_to_end(&mut stream).await.status, 400);

    let large = server.exchange(format!("{POST}Content-Length: 70000\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn http_12_a_chunked_body_is_the_same_as_any_other() {
    let server = TestServer::start().await;
    let head = format!("{POST}Connection: close\r\n");
    let chunked = server
        .exchange(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"))
        .await;
    let plain = server.exchange(format!("{head}Content-Length: 5\r\n\r\nhello")).await;
    assert_eq!(chunked.status, 400);
    assert_eq!(chunked.body, plain.body);
}

#[tokio::test]
async fn http_12_http_1_0_is_answered_and_closed() {
    let server = TestServer::start().await;
    let answer = server.exchange("GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, &b"{\"live\":true}"[..]));
}

#[tokio::test]
async fn http_13_contradictory_lengths_are_refused() {
    let server = TestServer::start().await;
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
    ] {
        let answer = server.exchange(format!("{POST}{lengths}\r\nhello!")).await;
        assert_eq!(answer.status, 400, "{lengths}");
    }
}

#[tokio::test]
async fn http_13_two_ways_to_say_where_a_request_ends_are_refused_and_nothing_follows() {
    let server = TestServer::start().await;
    let (one, smuggled) =
        ("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    for (framing, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    ] {
        // Also where another request went before on the same connection.
        for before in ["", one] {
            let answer = server.exchange(format!("{before}{POST}{framing}\r\n{body}{smuggled}")).await;
            let text =
                String::from_utf8([answer.head.as_bytes(), b"\r\n\r\n", &answer.body].concat()).unwrap();
            assert!(text.contains("\"code\":\"contradictory_lengths\""), "{framing}: {text}");
            let oks = if before.is_empty() { 0 } else { 1 };
            assert_eq!(text.matches("HTTP/1.1 200").count(), oks, "{framing}: {text}");
        }
    }
}

#[tokio::test]
async fn http_13_nothing_follows_chunks_on_their_connection() {
    let server = TestServer::start().await;
    let next = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = server.exchange(format!("{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(!answer.body.ends_with(b"{\"live\":true}"));
}

#[tokio::test]
async fn http_15_a_head_that_never_ends_is_closed() {
    let server = TestServer::start().await;
    for start in ["", "POST /whip/live HTTP/1.1\r\nHo"] {
        let mut stream = server.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        assert!(bytes.is_empty());
        assert!(begun.elapsed() >= LIMITS.head_within / 2);
    }
}

#[tokio::test]
async fn http_15_a_body_that_never_ends_gets_408() {
    let server = TestServer::start().await;
    let answer = server.exchange(format!("{POST}Content-Length: 500\r\n\r\nv=0\r\n")).await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.problem()["code"], "body_too_slow");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let server = TestServer::start().await;
    let answer = server.exchange("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let server = TestServer::start().await;
    let one = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = server.exchange(format!("{one}{one}{one}")).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(text.matches("{\"live\":true}").count(), 3);
}

#[tokio::test]
async fn header_names_are_spelt_in_title_case() {
    let server = TestServer::start().await;
    let answer = server.ask("GET", "/nowhere").await;
    assert!(answer.header("Content-Length").is_some(), "{}", answer.head);
    assert!(answer.header("Content-Type").is_some(), "{}", answer.head);
    assert!(answer.header("Access-Control-Allow-Origin").is_some(), "{}", answer.head);
}

#[tokio::test]
async fn http_06_unknown_paths_get_problem_details() {
    let server = TestServer::start().await;
    for path in
        ["/nowhere", "/whip", "/whip/", "/assets/nothing.js", "/assets/index.html", "/assets/../Cargo.toml"]
    {
        let answer = server.ask("GET", path).await;
        assert_eq!(answer.status, 404, "{path}");
        let problem = answer.problem();
        assert_eq!(problem["status"], 404);
        for member in ["type", "title", "code", "detail", "fix"] {
            assert!(problem[member].is_string(), "{member} of {path}");
        }
    }
}

#[tokio::test]
async fn whip_08_content_length_is_exact_and_nothing_follows() {
    let server = TestServer::start().await;
    for path in ["/nowhere", "/", "/livez", "/api/v1/streams", "/metrics"] {
        let answer = server.ask("GET", path).await;
        let len: usize = answer.header("Content-Length").unwrap().parse().unwrap();
        assert_eq!(answer.body.len(), len, "{path}");
    }
}

#[tokio::test]
async fn http_08_head_is_get_without_the_body() {
    let server = TestServer::start().await;
    for path in ["/", "/livez", "/watch/live", "/assets/watch.js", "/readyz"] {
        let (head, get) = (server.ask("HEAD", path).await, server.ask("GET", path).await);
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        let fixed = |answer: &Answer| {
            let lines = answer.head.lines().filter(|line| !line.starts_with("Date"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(fixed(&head), fixed(&get), "{path}");
    }
}

#[tokio::test]
async fn http_09_pages_are_only_read() {
    let server = TestServer::start().await;
    for path in ["/", "/livez", "/metrics", "/assets/watch.js"] {
        let answer = server.ask("POST", path).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("Allow"), Some("GET,HEAD"), "{path}");
        assert_eq!(answer.problem()["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn connections_past_the_bound_wait_and_are_served_when_there_is_room() {
    let server = TestServer::with(support::open_desk(), Limits { connections: 2, ..LIMITS }).await;
    let idle = [server.connect().await, server.connect().await];
    let third = server.ask("GET", "/livez");
    drop(idle);
    assert_eq!(third.await.status, 200);
}

#[tokio::test]
async fn a_crowded_server_closes_after_each_answer() {
    let server = TestServer::with(support::open_desk(), Limits { connections: 4, ..LIMITS }).await;
    let _idle = [server.connect().await, server.connect().await, server.connect().await];
    let answer = server.exchange("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.header("Connection"), Some("close"));
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_forgets_slow_ones() {
    let server = TestServer::with(
        support::open_desk(),
        Limits { head_within: Duration::from_secs(60), body_within: Duration::from_secs(60), ..LIMITS },
    )
    .await;
    let _idle = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(format!("{POST}Content-Length: 5\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(server.ask("GET", "/livez").await.status, 200);
    let begun = Instant::now();
    server.stop.cancel();
    server.serving.await.unwrap();
    // Far from what the slow ones may take, and from what a busy machine needs.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
