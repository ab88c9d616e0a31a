//! Two servers, one of which sends its clients to the other.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use wtn_wish::{IceServer, Key, Redirect, SharedSecret};

const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// The server that takes the streams, and the one that sends them there. Each has a key of its own.
async fn two() -> (TestServer, TestServer) {
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("far-key")];
    desk.handoff_secret = Some(SharedSecret::new("between-us"));
    let far = TestServer::with(desk, LIMITS).await;
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("near-key")];
    desk.handoff_secret = Some(SharedSecret::new("between-us"));
    desk.redirects = vec![Redirect { names: "live".to_owned(), to: format!("http://{}", far.addr) }];
    (far, TestServer::with(desk, LIMITS).await)
}

async fn post(server: &TestServer, target: &str, more: &[(&str, &str)]) -> Answer {
    let host = server.addr.to_string();
    let headers = [&[("Host", &*host), SDP], more].concat();
    server.exchange(with_body("POST", target, &headers, &offer("pub-obs"))).await
}

#[tokio::test]
async fn lb_02_a_browsers_way_from_one_server_to_the_other() {
    let (far, near) = two().await;
    let redirect = post(
        &near,
        "/whip/live",
        &[("Authorization", "Bearer near-key"), ("Origin", "https://page.example")],
    )
    .await;
    assert_eq!(redirect.status, 307, "{redirect:?}");
    assert_eq!(redirect.header("Access-Control-Allow-Origin"), Some("*"), "or the page could not follow");
    let base = format!("http://{}", far.addr);
    let target = redirect.header("Location").unwrap().strip_prefix(&base).unwrap().to_owned();

    // The browser asks the other origin again what it may, without a key, and says that its origin is null.
    let preflight = far
        .exchange(format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: null\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
        ))
        .await;
    assert_eq!((preflight.status, preflight.header("Access-Control-Allow-Origin")), (200, Some("*")));
    let answer = post(&far, &target, &[("Origin", "null")]).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let session = answer.header("Location").unwrap().strip_prefix(&base).expect("lb_03: absolute").to_owned();
    assert_eq!(far.ask("DELETE", &session).await.status, 200);
}

#[tokio::test]
async fn lb_02_without_the_handoff_the_other_server_asks_for_its_own_key() {
    let (far, _near) = two().await;
    assert_eq!(post(&far, "/whip/live", &[]).await.status, 401);
    assert_eq!(post(&far, "/whip/live?handoff=9999999999.00", &[]).await.status, 401);
    assert_eq!(post(&far, "/whip/live", &[("Authorization", "Bearer far-key")]).await.status, 201);
}

#[tokio::test]
async fn auth_12_each_ice_server_has_a_header_line_of_its_own() {
    let mut desk = open_desk();
    let server = |url: &str| IceServer {
        url: url.to_owned(),
        username: None,
        credential: None,
        secret: None,
        ttl_seconds: None,
    };
    desk.ice_servers = vec![server("stun:one.example.net"), server("stun:two.example.net")];
    let server = TestServer::with(desk, LIMITS).await;
    let answer = post(&server, "/whip/live", &[]).await;
    let links: Vec<_> = answer.head.lines().filter(|line| line.starts_with("Link: ")).collect();
    assert_eq!(
        links,
        [
            "Link: <stun:one.example.net>; rel=\"ice-server\"",
            "Link: <stun:two.example.net>; rel=\"ice-server\""
        ]
    );
}
