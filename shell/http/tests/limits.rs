//! One client may ask so fast, and hold so many connections; others do not feel it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use wtn_http::{Limits, Rates};
use wtn_wish::Key;
use wtn_wish::limiter::Rate;

const NONE: Rate = Rate { per_second: 0, burst: 0 };

async fn connect_from(server: &TestServer, ip: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
    socket.connect(server.addr).await.unwrap()
}

async fn exchange_from(server: &TestServer, ip: &str, request: &str) -> Answer {
    let mut stream = connect_from(server, ip).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    Answer::read_to_end(&mut stream).await
}

fn post(key: &str) -> String {
    let bearer = format!("Bearer {key}");
    let headers = [("Content-Type", "application/sdp"), ("Authorization", &*bearer), ("Host", "x")];
    with_body("POST", "/whip/live", &headers, &offer("pub-obs"))
}

/// One a day: time plays no part in these tests.
fn rates(per_address: u32, per_key: u32) -> Rates {
    let rate = |burst| if burst == 0 { NONE } else { Rate { per_second: 1, burst } };
    Rates { per_address: rate(per_address), per_key: rate(per_key), limit_loopback: true }
}

#[tokio::test]
async fn http_14_a_flood_gets_429_and_a_second_address_its_201() {
    let server = TestServer::start().await;
    // With one a second, fifty cannot all come in time, however slow the machine is: it would have to take a minute.
    server.signalling.set_rates(rates(5, 0));
    let mut refused = 0;
    for _ in 0..50 {
        let answer =
            exchange_from(&server, "127.0.0.1", &with_body("DELETE", "/session/00", &[("Host", "x")], ""))
                .await;
        if answer.status == 429 {
            refused += 1;
            assert_eq!(answer.problem()["code"], "too_many_requests");
            assert!(answer.header("Retry-After").unwrap().parse::<u32>().unwrap() >= 1);
            assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        }
    }
    assert!(refused > 0);
    assert_eq!(exchange_from(&server, "127.0.0.2", &post("x")).await.status, 201);
    assert_eq!(server.ask("GET", "/livez").await.status, 200, "what changes nothing is not counted");
}

#[tokio::test]
async fn http_14_wrong_keys_cost_ten_times_as_much() {
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("right")];
    let server = TestServer::with(desk, LIMITS).await;
    server.signalling.set_rates(rates(600, 0));
    let mut asked = 0;
    while exchange_from(&server, "127.0.0.1", &post("wrong")).await.status == 401 {
        asked += 1;
        assert!(asked < 200, "at one a second, and ten each, these are far more than the 600 it began with");
    }
    assert!(asked >= 60, "{asked}");
    assert_eq!(exchange_from(&server, "127.0.0.2", &post("right")).await.status, 201);
}

#[tokio::test]
async fn http_14_one_credential_is_limited_from_wherever_it_comes() {
    let server = TestServer::start().await;
    server.signalling.set_rates(rates(0, 1));
    let statuses = [
        exchange_from(&server, "127.0.0.1", &post("shared")).await.status,
        exchange_from(&server, "127.0.0.2", &post("other")).await.status,
    ];
    assert_eq!(statuses, [201, 201]);
    let mut refused = false;
    for n in 3..60 {
        refused |= exchange_from(&server, &format!("127.0.0.{n}"), &post("shared")).await.status == 429;
    }
    assert!(refused);
}

#[tokio::test]
async fn programs_on_this_machine_are_not_limited_unless_the_operator_says_so() {
    let server = TestServer::start().await;
    server.signalling.set_rates(Rates { limit_loopback: false, ..rates(1, 0) });
    for _ in 0..20 {
        assert_eq!(server.ask("DELETE", "/session/00").await.status, 404);
    }
}

#[tokio::test]
async fn one_address_holds_so_many_connections_and_is_told_why_there_are_no_more() {
    let limits = Limits {
        connections_per_address: 2,
        limit_loopback: true,
        head_within: std::time::Duration::from_secs(60),
        ..LIMITS
    };
    let server = TestServer::with(open_desk(), limits).await;
    let held = [connect_from(&server, "127.0.0.1").await, connect_from(&server, "127.0.0.1").await];
    let mut third = connect_from(&server, "127.0.0.1").await;
    let answer = Answer::read_to_end(&mut third).await;
    assert_eq!((answer.status, &answer.problem()["code"]), (429, &"too_many_connections".into()));
    assert_eq!(answer.header("Connection"), Some("close"));
    let get = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange_from(&server, "127.0.0.2", get).await.status, 200);
    drop(held);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let mut stream = connect_from(&server, "127.0.0.1").await;
        // It may be closed before it is asked.
        let _ = stream.write_all(get.as_bytes()).await;
        let mut bytes = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        if read.is_ok() && bytes.starts_with(b"HTTP/1.1 200") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the places are given back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
