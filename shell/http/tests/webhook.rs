//! A POST whose fate is decided elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wtn_auth::{KeySetUrl, Webhook, WebhookConfig};
use wtn_http::Outside;
use wtn_wish::{Guards, JwtRules};

const TOKENS: &str = include_str!("../../../ground/wish/tests/fixtures/jwt/tokens.json");
const KEYS: &str = include_str!("../../../ground/wish/tests/fixtures/jwt/jwks.json");

/// Answers every request by its text.
async fn service(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let complete = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes);
                text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head
                        .to_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    body.len() >= length.unwrap_or(0)
                })
            };
            while !complete(&bytes) && stream.read_buf(&mut bytes).await.unwrap() > 0 {}
            let answer = answer(&String::from_utf8_lossy(&bytes));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

async fn post(server: &TestServer, path: &str, authorization: &str) -> Answer {
    let headers = [("Content-Type", "application/sdp"), ("Authorization", authorization), ("Host", "x")];
    server.exchange(with_body("POST", path, &headers, &offer("pub-obs"))).await
}

fn webhook(url: String) -> Outside {
    let config = WebhookConfig { url, timeout: Duration::from_secs(20), keep: Duration::ZERO };
    Outside { webhook: Some(Webhook::new(config).unwrap()), key_set: None }
}

#[tokio::test]
async fn auth_06_the_webhook_decides_who_publishes() {
    let mut desk = open_desk();
    desk.auth.webhook = Guards::BOTH;
    let server = TestServer::with(desk, LIMITS).await;
    let refused = post(&server, "/whip/live", "Bearer good").await;
    assert_eq!(
        (refused.status, &refused.problem()["code"]),
        (503, &"webhook_unreachable".into()),
        "nobody to ask"
    );
    assert!(refused.header("Retry-After").is_some());

    let url = service(|request| {
        let is_good = request.contains(r#""token":"good""#)
            && request.contains(r#""action":"publish""#)
            && request.contains(r#""path":"live""#)
            && request.contains(r#""ip":"127.0.0.1""#);
        answer(if is_good { "200 OK" } else { "401 Unauthorized" }, "")
    })
    .await;
    server.signalling.set_outside(webhook(url));
    let allowed = post(&server, "/whip/live", "Bearer good").await;
    assert_eq!(allowed.status, 201, "{allowed:?}");
    let denied = post(&server, "/whip/live", "Bearer bad").await;
    assert_eq!((denied.status, &denied.problem()["code"]), (401, &"denied_by_webhook".into()));
    assert_eq!(post(&server, "/whip/other", "Bearer good").await.status, 401);
    let session = allowed.header("Location").unwrap();
    let delete = |authorization: &'static str| {
        server.exchange(with_body("DELETE", session, &[("Authorization", authorization), ("Host", "x")], ""))
    };
    assert_eq!(delete("Bearer bad").await.status, 401);
    assert_eq!(delete("Bearer good").await.status, 200, "sess_29, without asking again");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    server.signalling.set_outside(webhook(format!("http://{gone}/")));
    let refused = post(&server, "/whip/live", "Bearer good").await;
    assert_eq!((refused.status, &refused.problem()["code"]), (503, &"webhook_unreachable".into()));
}

#[tokio::test]
async fn auth_06_the_keys_of_tokens_are_fetched_when_they_are_needed() {
    let mut desk = open_desk();
    desk.auth.jwt = Some(JwtRules { has_key_set: true, guards: Guards::BOTH, ..JwtRules::default() });
    let server = TestServer::with(desk, LIMITS).await;
    let tokens: serde_json::Value = serde_json::from_str(TOKENS).unwrap();
    let bearer = |name: &str| format!("Bearer {}", tokens[name].as_str().unwrap());
    let early = post(&server, "/whip/studio-1", &bearer("always_rs256")).await;
    assert_eq!((early.status, &early.problem()["code"]), (503, &"key_set_missing".into()));

    let url = service(|_| answer("200 OK", KEYS)).await;
    server.signalling.set_outside(Outside { webhook: None, key_set: Some(KeySetUrl::new(&url).unwrap()) });
    assert_eq!(post(&server, "/whip/studio-1", &bearer("always_rs256")).await.status, 201);
    assert_eq!(post(&server, "/whip/studio-1", &bearer("always_es256")).await.status, 201);
    assert_eq!(post(&server, "/whip/studio-1", &bearer("always_new_kid")).await.status, 401);
    assert_eq!(post(&server, "/whip/studio-1", &bearer("always_hs256_by_rsa_pem")).await.status, 401);
    assert_eq!(post(&server, "/whip/kitchen", &bearer("always_rs256")).await.status, 403);
}
