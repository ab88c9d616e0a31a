//! The pages, the numbers, and what a server says that is about to stop.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::Duration;
use support::{TestServer, offer, open_desk, with_body};
use wtn_wish::Key;

#[tokio::test]
async fn pages_come_with_a_strong_tag_and_the_headers_that_keep_browsers_safe() {
    let server = TestServer::start().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/watch/live", "text/html; charset=utf-8"),
        ("/assets/whep.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.ask("GET", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("Content-Type"), Some(kind), "{path}");
        assert!(answer.header("Content-Security-Policy").unwrap().starts_with("default-src 'self'"));
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"));
        let tag = answer.header("Etag").unwrap();
        assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    }
}

#[tokio::test]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let server = TestServer::start().await;
    let tag = server.ask("GET", "/assets/whep.js").await.header("Etag").unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let request = format!(
            "GET /assets/whep.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: {known}\r\n\r\n"
        );
        let answer = server.exchange(request).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("Etag"), Some(&*tag));
    }
}

#[tokio::test]
async fn every_file_that_a_page_asks_for_is_there() {
    let server = TestServer::start().await;
    for page in ["/", "/watch/live"] {
        let html = String::from_utf8(server.ask("GET", page).await.body).unwrap();
        for path in html.split('"').filter(|text| text.starts_with("/assets/")) {
            assert_eq!(server.ask("GET", path).await.status, 200, "{path} of {page}");
        }
        assert!(!html.contains("<style") && !html.contains(" onclick"), "the policy forbids it: {page}");
    }
}

#[tokio::test]
async fn the_list_of_streams_is_open_unless_watching_needs_a_key() {
    let open = TestServer::start().await;
    assert_eq!(open.ask("GET", "/api/v1/streams").await.body, b"[]");

    let mut desk = open_desk();
    desk.play_keys = vec![Key::new("seat")];
    desk.publish_keys = vec![Key::new("stage")];
    let closed = TestServer::with(desk, support::LIMITS).await;
    let list = async |authorization: &str| {
        let request = format!(
            "GET /api/v1/streams HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
        );
        closed.exchange(request).await
    };
    let refused = closed.ask("GET", "/api/v1/streams").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("Www-Authenticate"), Some("Bearer realm=\"wtn\""));
    assert_eq!(list("Bearer wrong").await.status, 401);
    assert_eq!(list("Bearer seat").await.status, 200);
    assert_eq!(list("bearer stage").await.status, 200);
}

#[tokio::test]
async fn metrics_count_what_was_asked_by_route_and_never_by_name() {
    let server = TestServer::start().await;
    server.ask("GET", "/watch/my-secret-show").await;
    server.ask("BREW", "/nowhere").await;
    let answer = server.ask("GET", "/metrics").await;
    assert!(answer.header("Content-Type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    let lines = [
        "wtn_http_requests_total{route=\"/watch/{name}\",method=\"GET\",status=\"200\"} 1",
        "wtn_http_requests_total{route=\"other\",method=\"other\",status=\"404\"} 1",
        "wtn_streams 0",
        "wtn_sessions{role=\"subscriber\"} 0",
        "wtn_datagrams_in_total 0",
        "wtn_drops_total{reason=\"unknown_peer\"} 0",
        "wtn_skips_total{reason=\"no_keyframe\"} 0",
        "wtn_net_sent_total 3",
        "wtn_shutting_down 0",
    ];
    for line in lines {
        assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("my-secret-show"));
}

#[tokio::test]
async fn lb_05_a_server_that_drains_takes_no_new_sessions_and_says_when_to_come_back() {
    let mut server = TestServer::start().await;
    assert_eq!(server.ask("GET", "/readyz").await.status, 200);
    let signalling = server.signalling.clone();
    let draining = tokio::spawn(async move { signalling.drain(Duration::from_secs(5)).await });
    while !server.signalling.is_draining() {
        tokio::task::yield_now().await;
    }
    let ready = server.ask("GET", "/readyz").await;
    assert_eq!((ready.status, &*ready.body), (503, &b"{\"ready\":false,\"reasons\":[\"draining\"]}"[..]));
    assert_eq!(server.ask("GET", "/livez").await.status, 200);
    let headers = [("Host", "x"), ("Content-Type", "application/sdp")];
    let refused = server.exchange(with_body("POST", "/whip/live", &headers, &offer("pub-obs"))).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("Retry-After"), Some("2"));
    assert_eq!(refused.problem()["code"], "draining");
    server.turn().await;
    assert!(draining.await.unwrap());
}

#[tokio::test]
async fn a_drain_waits_for_its_time_and_no_longer() {
    let server = TestServer::start().await;
    assert!(!server.signalling.drain(Duration::from_millis(20)).await);
}
