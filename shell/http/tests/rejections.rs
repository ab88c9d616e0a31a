//! What was rejected is kept for the operator, and for nobody else.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use serde_json::Value;
use support::{LIMITS, TestServer, open_desk, with_body};
use wtn_http::Limits;
use wtn_wish::{DeskConfig, Key};

const TOKEN: &str = "not-the-key-marker";

fn keyed() -> DeskConfig {
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("right-key-marker")];
    desk.auth.admin_keys = vec![Key::new("admin-key-marker")];
    desk
}

fn get(headers: &str) -> String {
    format!("GET /api/v1/rejections HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
}

async fn rejections(server: &TestServer) -> Vec<Value> {
    let answer = server.exchange(get("Host: localhost\r\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn auth_08_rejected_attempts_are_kept_with_reason_and_fix_and_without_secrets() {
    let server = TestServer::with(keyed(), LIMITS).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", &*bearer), ("User-Agent", "OBS-Studio/30.2"), ("Host", "x")];
    for _ in 0..3 {
        let answer =
            server.exchange(with_body("POST", "/whip/live?token=not-the-key-marker", &headers, "v=0")).await;
        assert_eq!(answer.status, 401);
    }
    let kept = rejections(&server).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let one = &kept[0];
    assert_eq!((&one["code"], &one["status"], &one["count"]), (&"bad_token".into(), &401.into(), &3.into()));
    assert_eq!((&one["door"], &one["stream"]), (&"publish".into(), &"live".into()));
    assert_eq!((&one["client"], &one["user_agent"]), (&"127.0.0.1".into(), &"OBS-Studio/30.2".into()));
    assert!(!one["reason"].as_str().unwrap().is_empty() && !one["fix"].as_str().unwrap().is_empty());
    assert!(one["at"].as_u64() > Some(1_600_000_000) && one["first_at"].as_u64() <= one["at"].as_u64());
    assert!(!serde_json::to_string(&kept).unwrap().contains("marker"));
}

#[tokio::test]
async fn viewers_that_wait_for_a_publisher_are_no_news() {
    let server = TestServer::start().await;
    let offer = support::offer("play-chromium");
    let headers = [("Content-Type", "application/sdp"), ("Host", "x")];
    assert_eq!(server.exchange(with_body("POST", "/whep/live", &headers, &offer)).await.status, 409);
    assert_eq!(server.ask("DELETE", "/session/00").await.status, 404);
    assert_eq!(rejections(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn only_the_server_s_own_machine_and_admin_keys_see_them() {
    let server = TestServer::with(keyed(), Limits { connections: 8, ..LIMITS }).await;
    for (headers, status) in [
        ("Host: localhost:8080\r\n", 200),
        ("Host: wtn.example\r\n", 401),
        ("Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n", 401),
        ("Host: localhost\r\nForwarded: for=127.0.0.1\r\n", 401),
        ("Host: localhost\r\nOrigin: https://elsewhere.example\r\n", 401),
        ("Host: wtn.example\r\nAuthorization: Bearer admin-key-marker\r\n", 200),
        ("Host: localhost\r\nAuthorization: Bearer right-key-marker\r\n", 401),
    ] {
        let answer = server.exchange(get(headers)).await;
        assert_eq!(answer.status, status, "{headers}");
        if status == 401 {
            assert!(answer.header("Www-Authenticate").unwrap().starts_with("Bearer realm="));
        }
    }
    let kept = rejections(&server).await;
    assert!(kept.iter().all(|one| one["door"] == "admin"), "{kept:?}");
    assert_eq!(kept[0]["code"], "not_an_admin_key");
}
