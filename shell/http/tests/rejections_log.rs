//! What the log says of rejected attempts. Alone in its program: who listens to the log is a thread's own matter,
//! but which lines are worth making is the program's.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{LIMITS, Log, TestServer, open_desk, with_body};
use wtn_wish::Key;

#[tokio::test]
async fn auth_08_one_line_each_and_no_secret_in_it() {
    let (log, _guard) = Log::start();
    let mut desk = open_desk();
    desk.publish_keys = vec![Key::new("right-key-marker")];
    let server = TestServer::with(desk, LIMITS).await;
    let headers = [("Authorization", "Bearer wrong-key-marker"), ("Host", "x")];
    let answer = server.exchange(with_body("POST", "/whip/live?key=url-marker", &headers, "v=0")).await;
    assert_eq!(answer.status, 401);
    let admin = "GET /api/v1/rejections HTTP/1.1\r\nHost: wtn.example\r\nConnection: close\r\n\r\n";
    assert_eq!(server.exchange(admin).await.status, 403);
    let line = log.line("publish request refused");
    assert!(line.contains("bad_token") && line.contains("stream=\"live\""), "{line}");
    assert!(log.line("admin request refused").contains("admin_local_only"));
    assert!(!log.text().contains("marker"), "{}", log.text());
}
