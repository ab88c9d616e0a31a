//! Services on loopback that answer well, badly, late and not at all.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wtn_auth::{KeySetUrl, Webhook, WebhookConfig};
use wtn_wish::{Verdict, WebhookQuestion};

const KEYS: &str = include_str!("../../../ground/wish/tests/fixtures/jwt/jwks.json");
/// Long enough for a busy machine; the tests that wait for it to pass are few.
const WITHIN: Duration = Duration::from_secs(20);

/// Answers each connection with `answer(request, how many came before)`; an empty answer means never.
struct Service {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Service {
    async fn start(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/auth", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                tokio::spawn(async move {
                    let request = read(&mut stream).await;
                    let answer = answer(&request, count.fetch_add(1, Ordering::SeqCst));
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                    // A body that is still being read must not be cut off by a reset.
                    let mut rest = [0; 1024];
                    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                });
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn webhook(&self, timeout: Duration, keep: Duration) -> Webhook {
        Webhook::new(WebhookConfig { url: self.url.clone(), timeout, keep }).unwrap()
    }
}

/// The head, and as much body as it says.
async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn document(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn question(token: &str) -> WebhookQuestion {
    WebhookQuestion {
        user: String::new(),
        password: String::new(),
        token: token.to_owned(),
        ip: "192.0.2.1".to_owned(),
        action: "publish",
        path: "live".to_owned(),
        protocol: "webrtc",
        id: None,
        query: String::new(),
        user_agent: String::new(),
    }
}

#[tokio::test]
async fn the_webhook_says_yes_by_2xx_and_no_by_4xx() {
    for (line, expected) in [
        ("200 OK", Verdict::Allowed),
        ("204 No Content", Verdict::Allowed),
        ("401 Unauthorized", Verdict::Denied),
        ("403 Forbidden", Verdict::Denied),
        ("404 Not Found", Verdict::Denied),
        ("302 Found\r\nLocation: /yes", Verdict::Unreachable),
        ("429 Too Many Requests", Verdict::Unreachable),
        ("500 Internal Server Error", Verdict::Unreachable),
        ("503 Service Unavailable", Verdict::Unreachable),
    ] {
        let service = Service::start(move |_, _| status(line)).await;
        let webhook = service.webhook(WITHIN, Duration::ZERO);
        assert_eq!(webhook.ask(&question("x")).await, expected, "{line}");
        assert_eq!(service.asked(), 1, "{line}: redirects are not followed");
    }
}

#[tokio::test]
async fn the_webhook_gets_the_question_as_json() {
    let service = Service::start(|request, _| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let is_right = head.starts_with("POST /auth HTTP/1.1")
            && head.to_lowercase().contains("content-type: application/json")
            && json["token"] == "abc"
            && json["action"] == "publish"
            && json["protocol"] == "webrtc";
        status(if is_right { "200 OK" } else { "403 Forbidden" })
    })
    .await;
    assert_eq!(service.webhook(WITHIN, Duration::ZERO).ask(&question("abc")).await, Verdict::Allowed);
}

#[tokio::test]
async fn a_webhook_that_is_silent_gone_or_babbling_is_unreachable() {
    let silent = Service::start(|_, _| String::new()).await;
    let webhook = silent.webhook(Duration::from_millis(200), Duration::from_secs(60));
    assert_eq!(webhook.ask(&question("x")).await, Verdict::Unreachable);
    assert_eq!(webhook.ask(&question("x")).await, Verdict::Unreachable);
    assert_eq!(silent.asked(), 2, "silence is not kept");

    let babbling = Service::start(|_, _| "I am no HTTP server\r\n\r\n".to_owned()).await;
    assert_eq!(babbling.webhook(WITHIN, Duration::ZERO).ask(&question("x")).await, Verdict::Unreachable);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://user:marker@{closed}/");
    let gone = Webhook::new(WebhookConfig { url, timeout: WITHIN, keep: Duration::ZERO }).unwrap();
    assert_eq!(gone.ask(&question("x")).await, Verdict::Unreachable);
    assert!(!format!("{gone:?}").contains("marker"));
}

#[tokio::test]
async fn answers_are_kept_for_the_same_question_only() {
    let service = Service::start(|request, _| {
        status(if request.contains("good") { "200 OK" } else { "401 Unauthorized" })
    })
    .await;
    let webhook = service.webhook(WITHIN, Duration::from_secs(3600));
    for _ in 0..3 {
        assert_eq!(webhook.ask(&question("good")).await, Verdict::Allowed);
        assert_eq!(webhook.ask(&question("bad")).await, Verdict::Denied);
    }
    assert_eq!(service.asked(), 2);
    let forgetful = service.webhook(WITHIN, Duration::ZERO);
    forgetful.ask(&question("good")).await;
    forgetful.ask(&question("good")).await;
    assert_eq!(service.asked(), 4);
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_ask_at_once() {
    let service = Service::start(|_, _| document(KEYS)).await;
    let url = Arc::new(KeySetUrl::new(&service.url).unwrap());
    let asking: Vec<_> =
        (0..20).map(|_| Arc::clone(&url)).map(|url| tokio::spawn(async move { url.fetch().await })).collect();
    let mut brought = 0;
    for task in asking {
        brought += usize::from(task.await.unwrap().is_some());
    }
    assert_eq!((brought, service.asked()), (1, 1));
    assert!(url.fetch().await.is_none() && url.fetch_if_old().await.is_none(), "only just");
    assert_eq!(service.asked(), 1);
}

#[tokio::test]
async fn what_is_no_key_set_is_not_taken_for_one() {
    let giant = format!("{{\"keys\": [], \"x\": \"{}\"}}", "y".repeat(10_000_000));
    let answers = [
        document("{}"),
        document("<html>"),
        document(&giant),
        status("500 Oops"),
        status("302 Found\r\nLocation: /"),
        String::from("x"),
    ];
    for answer in answers {
        let start: String = answer.chars().take(40).collect();
        let service = Service::start(move |_, _| answer.clone()).await;
        assert!(KeySetUrl::new(&service.url).unwrap().fetch().await.is_none(), "{start}");
        assert_eq!(service.asked(), 1, "{start}");
    }
    let none = KeySetUrl::new("file:///etc/passwd").unwrap_err();
    assert!(none.to_string().contains("http or https"), "{none}");
    assert!(KeySetUrl::new("not a url").is_err());
}

#[tokio::test]
async fn keys_that_rotate_are_fetched_again_after_the_pause() {
    let service = Service::start(|_, before| document(if before == 0 { KEYS } else { "{}" })).await;
    let url = KeySetUrl::new(&service.url).unwrap().with_pause(Duration::ZERO);
    assert_eq!(url.fetch().await.unwrap().len(), 3);
    assert!(url.fetch().await.is_none(), "the second document is broken: the first one's keys stay");
    assert_eq!(service.asked(), 2);
}
