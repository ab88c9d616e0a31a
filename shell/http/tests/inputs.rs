//! What the API, the metrics and the log tell of a stream's inputs, and of what is wrong with them.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Log, TestServer, offer, open_desk, with_body};
use wtn_engine::{Event, LintNews};
use wtn_media::{LintCode, SessionId};
use wtn_wish::{DeskConfig, Policy, SecondPublisher};

async fn get(server: &TestServer, path: &str) -> Value {
    let answer = server.exchange(with_body("GET", path, &[("Host", "localhost")], "")).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asks until the answer is as wanted: events take their way.
async fn until(server: &TestServer, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = get(server, path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer}");
        tokio::task::yield_now().await;
    }
}

async fn publish(server: &TestServer, path: &str, session: u64) {
    let headers = [("Host", "x"), ("Content-Type", "application/sdp")];
    let answer = server.exchange(with_body("POST", path, &headers, &offer("pub-obs"))).await;
    assert_eq!(answer.status, 201);
    let (session, remote) = (SessionId(session), "192.0.2.9:5000".parse().unwrap());
    let connected = Event::Connected { session, remote, srtp_profile: "SRTP_AEAD_AES_128_GCM" };
    server.events.send(connected).await.unwrap();
    server.events.send(Event::Flow { session, flows: true }).await.unwrap();
}

#[tokio::test]
async fn inputs_and_their_lint_are_told_everywhere() {
    let (log, _guard) = Log::start();
    let policy = Policy { second_publisher: SecondPublisher::Backup, ..Policy::default() };
    let server = TestServer::with(DeskConfig { policy, ..open_desk() }, support::LIMITS).await;
    publish(&server, "/whip/live", 1).await;
    publish(&server, "/whip/live?backup=1", 2).await;
    let input = |session: &str, backup: u8, shown: bool, sends: bool| json!({ "session": session, "backup": backup, "shown": shown, "sends": sends });
    let both = json!([input("1", 0, true, true), input("2", 1, false, true)]);
    until(&server, "/api/v1/streams", |streams| streams[0]["inputs"] == both).await;

    let news = LintNews { code: LintCode::KeyframesFarApart, value: Some(8300) };
    server.events.send(Event::Lint { session: SessionId(1), news }).await.unwrap();
    let has = |count: usize| move |streams: &Value| streams[0]["lint"].as_array().unwrap().len() == count;
    let streams = until(&server, "/api/v1/streams", has(1)).await;
    let lint = &streams[0]["lint"][0];
    assert_eq!(lint["code"], "keyframes_far_apart");
    assert!(lint["detail"].as_str().unwrap().contains("8.3 s"), "{lint}");
    assert_eq!(lint["fix"], LintCode::KeyframesFarApart.fix());
    let session = get(&server, "/api/v1/sessions/1").await;
    assert_eq!((&session["lint"][0], &session["input"]), (lint, &both[0]));
    let metrics = String::from_utf8(server.ask("GET", "/metrics").await.body).unwrap();
    for line in [
        "wtn_lint{code=\"keyframes_far_apart\"} 1",
        "wtn_lint{code=\"b_frames\"} 0",
        "wtn_inputs{state=\"shown\"} 1",
        "wtn_inputs{state=\"standing_by\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    // The one that is shown is the one whose lint viewers' pages tell.
    server.events.send(Event::Flow { session: SessionId(1), flows: false }).await.unwrap();
    let swapped = json!([input("1", 0, false, false), input("2", 1, true, true)]);
    let streams = until(&server, "/api/v1/streams", |streams| streams[0]["inputs"] == swapped).await;
    assert_eq!(streams[0]["lint"], json!([]));
    let over = LintNews { value: None, ..news };
    server.events.send(Event::Lint { session: SessionId(1), news: over }).await.unwrap();
    until(&server, "/api/v1/sessions/1", |session| session["lint"] == json!([])).await;

    let text = log.text();
    let told = text.lines().filter(|line| line.contains("code=\"keyframes_far_apart\"")).count();
    assert_eq!(told, 2, "once when it begins, once when it is over: {text}");
    assert!(log.line("8.3 s").contains("Set the keyframe interval"), "{text}");
    assert!(log.line("sends nothing").contains("stream=\"live\""), "{text}");
}
