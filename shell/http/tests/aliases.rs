//! The URLs of other servers, and keys in URLs, through the whole of HTTP.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{Answer, LIMITS, Log, TestServer, offer, open_desk, with_body};
use wtn_wish::{DeskConfig, Key, Routes, TalwtnApp};

const SDP: (&str, &str) = ("Content-Type", "application/sdp");
/// A publishing URL of each family, on a stream of its own.
const FAMILIES: [(&str, &str); 6] = [
    ("/whip/own", "/whip/{*name}"),
    ("/mediamtx/whip", "/{name}/whip"),
    ("/whip/endpoint/janus", "/whip/{*name}"),
    ("/webrtc/whip?streamid=lalmax", "/webrtc/whip"),
    ("/api/whip", "/api/whip"),
    ("/pub/app/cam", "/pub/{app}/{stream}"),
];

fn keyed() -> DeskConfig {
    DeskConfig {
        publish_keys: vec![Key::new("s3cret-pub")],
        play_keys: vec![Key::new("s3cret-play")],
        talwtn: vec![TalwtnApp { id: "app".to_owned(), keys: vec!["app-key".to_owned()] }],
        ..open_desk()
    }
}

async fn post(server: &TestServer, path: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [&[("Host", "wtn.test"), SDP], more].concat();
    server.exchange(with_body("POST", path, &headers, &offer("pub-obs"))).await
}

async fn ask(server: &TestServer, method: &str, path: &str, more: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    server.exchange(request).await
}

#[tokio::test]
async fn every_family_takes_an_offer_and_gives_a_session_that_deletes() {
    let server = TestServer::with(keyed(), LIMITS).await;
    for (path, _) in FAMILIES.iter().filter(|(path, _)| !path.starts_with("/pub/")) {
        let key = if path.starts_with("/api/") { "Bearer box:s3cret-pub" } else { "Bearer s3cret-pub" };
        let answer = post(&server, path, &[("Authorization", key)]).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        let session = answer.header("Location").unwrap();
        assert!(session.starts_with("/session/") && !session.contains("s3cret"), "{path}");
        let with_key = format!("Authorization: {key}\r\n");
        assert_eq!(ask(&server, "DELETE", session, "").await.status, 401, "{path}");
        assert_eq!(ask(&server, "DELETE", session, &with_key).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_family_answers_every_method_with_cors() {
    let server = TestServer::with(keyed(), LIMITS).await;
    let preflight = "Origin: https://else.example\r\nAccess-Control-Request-Method: POST\r\n";
    for (path, _) in FAMILIES {
        for (method, status) in [("GET", 204), ("HEAD", 204), ("OPTIONS", 200), ("PUT", 405)] {
            let answer = ask(&server, method, path, preflight).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn pages_and_apis_of_ours_come_before_any_alias() {
    let server = TestServer::start().await;
    let page = ask(&server, "GET", "/watch/whip", "").await;
    assert!(page.status == 200 && page.header("Content-Type").unwrap().starts_with("text/html"), "{page:?}");
    assert_eq!(ask(&server, "GET", "/livez", "").await.status, 200);
    assert_eq!(ask(&server, "GET", "/assets/whip", "").await.status, 404);
    let list = ask(&server, "GET", "/api/v1/streams", "").await;
    assert_eq!((list.status, list.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(post(&server, "/watch/whip", &[]).await.status, 405, "no stream is published there");
}

#[tokio::test]
async fn a_family_that_is_switched_off_is_404() {
    let routes = Routes { mediamtx: false, broadcast_box: false, janus: false, lalmax: false, talwtn: false };
    let server = TestServer::with(DeskConfig { routes, ..open_desk() }, LIMITS).await;
    for (path, _) in FAMILIES.iter().skip(1).filter(|(path, _)| !path.starts_with("/whip/")) {
        let answer = post(&server, path, &[]).await;
        assert_eq!(answer.problem()["code"], "no_such_page", "{path}");
    }
    let answer = post(&server, "/whip/endpoint/janus", &[]).await;
    assert_eq!(answer.problem()["code"], "bad_name");
}

#[tokio::test]
async fn auth_07_a_key_in_the_url_is_in_no_log_metric_problem_or_location() {
    let (log, _guard) = Log::start();
    let server = TestServer::with(keyed(), LIMITS).await;
    let mut seen = String::new();
    for path in [
        "/whip/live?token=s3cret-pub",
        "/whip/live/key/s3cret-pub",
        "/live/whip?jwt=s3cret-pub",
        "/whip/endpoint/live/key/s3cret-pub",
    ] {
        let answer = post(&server, path, &[("Authorization", "Bearer undefined")]).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        let session = answer.header("Location").unwrap().to_owned();
        seen += &answer.head;
        assert_eq!(ask(&server, "DELETE", &session, "").await.status, 200, "{path}: its URL is enough");
    }
    for path in [
        "/whip/live?token=s3cret-bad",
        "/whip/live/key/s3cret-bad",
        "/whep/live?key=s3cret-pub",
        "/pub/app/cam?Token=s3cret-bad&TokenType=Bearer",
    ] {
        let answer = post(&server, path, &[]).await;
        assert!([401, 403].contains(&answer.status), "{path}: {answer:?}");
        seen += &answer.head;
        seen += std::str::from_utf8(&answer.body).unwrap();
    }
    // Here the bearer is the name; should it be somebody's secret, it must not be taken for one in the log.
    let answer = post(&server, "/api/whip", &[("Authorization", "Bearer s3cret-pub")]).await;
    assert_eq!(answer.problem()["code"], "stream_key_missing");
    seen += std::str::from_utf8(&answer.body).unwrap();
    let metrics = ask(&server, "GET", "/metrics", "").await;
    seen += std::str::from_utf8(&metrics.body).unwrap();
    seen += &log.text();
    assert!(log.text().contains("request refused"), "the log was written");
    assert!(!seen.contains("s3cret"), "{seen}");
}

#[tokio::test]
async fn metrics_count_each_family_under_its_pattern() {
    let server = TestServer::with(keyed(), LIMITS).await;
    for (path, _) in FAMILIES {
        post(&server, path, &[]).await;
    }
    let metrics = ask(&server, "GET", "/metrics", "").await;
    let text = String::from_utf8(metrics.body).unwrap();
    for (path, pattern) in FAMILIES {
        let route = format!("route=\"{pattern}\"");
        assert!(text.contains(&route), "{path}: {route} in\n{text}");
    }
}
