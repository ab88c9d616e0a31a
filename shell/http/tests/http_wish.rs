//! HTTP's rules where they meet WHIP and WHEP, over a real socket: types, methods, statuses, what may be kept.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{Answer, TestServer, offer, open_desk, with_body};
use wtn_wish::Key;

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

async fn send(server: &TestServer, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[("Host", "localhost")], headers].concat();
    server.exchange(with_body(method, path, &headers, body)).await
}

async fn publish(server: &TestServer, content_type: &str, body: &str) -> Answer {
    send(server, "POST", "/whip/live", &[("Content-Type", content_type)], body).await
}

/// A session that was just made.
async fn session(server: &TestServer) -> (String, String) {
    let answer = publish(server, "application/sdp", &offer("pub-ffmpeg")).await;
    assert_eq!(answer.status, 201);
    let header = |name| answer.header(name).unwrap().to_owned();
    (header("Location"), header("Etag"))
}

#[tokio::test]
async fn http_02_media_types_in_any_case_and_with_parameters_are_taken() {
    let server = TestServer::start().await;
    let answer = publish(&server, "Application/SDP; charset=utf-8", &offer("pub-ffmpeg")).await;
    assert_eq!(answer.status, 201);
    let (path, tag) = (answer.header("Location").unwrap(), answer.header("Etag").unwrap());
    let sdp = String::from_utf8(answer.body.clone()).unwrap();
    let line = |start: &str| {
        let offer = offer("pub-ffmpeg");
        offer.lines().find(|line| line.starts_with(start)).unwrap().trim().to_owned()
    };
    assert!(sdp.contains("a=ice-ufrag:"));
    let fragment = format!(
        "{}\r\n{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
        line("a=ice-ufrag:"),
        line("a=ice-pwd:")
    );
    let headers = [("Content-Type", "APPLICATION/trickle-ice-sdpfrag; charset=utf-8"), ("If-Match", tag)];
    let patched = send(&server, "PATCH", path, &headers, &fragment).await;
    assert_eq!(patched.status, 204, "{}", String::from_utf8_lossy(&patched.body));
}

#[tokio::test]
async fn http_03_a_wrong_or_absent_type_is_415_and_the_right_one_is_named() {
    let server = TestServer::start().await;
    let body = offer("pub-ffmpeg");
    for headers in [&[("Content-Type", "text/plain")][..], &[]] {
        let answer = send(&server, "POST", "/whip/live", headers, &body).await;
        assert_eq!((answer.status, answer.header("Accept-Post")), (415, Some("application/sdp")));
    }
    let (path, tag) = session(&server).await;
    for headers in [&[("Content-Type", "application/json"), ("If-Match", &tag)][..], &[("If-Match", &tag)]] {
        let answer = send(&server, "PATCH", &path, headers, "{}").await;
        assert_eq!((answer.status, answer.header("Accept-Patch")), (415, Some(FRAGMENT)));
    }
}

#[tokio::test]
async fn http_04_what_cannot_be_read_is_400_and_what_cannot_be_accepted_422() {
    let server = TestServer::start().await;
    assert_eq!(publish(&server, "application/sdp", "hello").await.status, 400);
    let unknown: String = offer("pub-ffmpeg")
        .lines()
        .map(|line| {
            if line.starts_with("a=rtpmap:") {
                "a=x-none\r\n".to_owned()
            } else {
                format!("{}\r\n", line.trim_end())
            }
        })
        .collect();
    let answer = publish(&server, "application/sdp", &unknown).await;
    assert_eq!(answer.status, 422, "{}", String::from_utf8_lossy(&answer.body));
}

#[tokio::test]
async fn http_05_a_long_offer_is_taken() {
    let server = TestServer::start().await;
    let mut long = offer("pub-ffmpeg");
    while long.len() < 60 * 1024 {
        long += "a=x-padding:0123456789012345678901234567890123456789\r\n";
    }
    assert_eq!(publish(&server, "application/sdp", &long).await.status, 201);
}

#[tokio::test]
async fn http_06_every_refusal_is_a_problem_with_its_own_status_and_no_secret() {
    let desk = wtn_wish::DeskConfig { publish_keys: vec![Key::new("hunter2")], ..open_desk() };
    let server = TestServer::with(desk, support::LIMITS).await;
    let auth = ("Authorization", "Bearer hunter2");
    let sdp = ("Content-Type", "application/sdp");
    let post = async |path: &str, headers: &[(&str, &str)], body: &str| {
        send(&server, "POST", path, headers, body).await
    };
    let answers = [
        (400, post("/whip/live", &[auth, sdp], "hello").await),
        (400, post("/whip/a%20b", &[auth, sdp], "hello").await),
        (401, post("/whip/live", &[sdp], "hello").await),
        (401, post("/whip/live", &[("Authorization", "Bearer hunter3"), sdp], "hello").await),
        (404, send(&server, "DELETE", "/session/0123", &[auth], "").await),
        (405, send(&server, "PUT", "/whip/live", &[auth], "").await),
        (409, post("/whep/live", &[sdp], &offer("play-chromium")).await),
        (415, post("/whip/live", &[auth], "hello").await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let problem = answer.problem();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "code", "detail", "fix"] {
            assert!(problem[member].is_string(), "{member} of {problem}");
        }
        let text = problem.to_string();
        assert!(!text.contains("hunter") && !text.contains(".rs:"), "{text}");
    }
}

#[tokio::test]
async fn http_07_get_is_an_empty_success() {
    let server = TestServer::start().await;
    let (path, _) = session(&server).await;
    for path in ["/whip/live", "/whep/live", &path] {
        let answer = server.ask("GET", path).await;
        assert!(matches!(answer.status, 200 | 204) && answer.body.is_empty(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn http_08_head_of_an_endpoint_and_a_session_is_their_get() {
    let server = TestServer::start().await;
    let (path, _) = session(&server).await;
    for path in ["/whip/live", "/whep/live", &path] {
        let (head, get) = (server.ask("HEAD", path).await, server.ask("GET", path).await);
        // To a 204 hyper adds a length of nothing for HEAD, and none for GET.
        let fixed = |answer: &Answer| {
            let lines =
                answer.head.lines().filter(|line| !line.starts_with("Date") && *line != "Content-Length: 0");
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(fixed(&head), fixed(&get), "{path}");
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn http_09_a_method_that_is_not_there_is_told_which_are() {
    let server = TestServer::start().await;
    let (path, _) = session(&server).await;
    for (method, path) in [("PUT", "/whip/live"), ("DELETE", "/whip/live"), ("PUT", &*path), ("POST", &*path)]
    {
        let answer = server.ask(method, path).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        let allow: Vec<_> = answer.header("Allow").unwrap().split(',').map(str::trim).collect();
        assert!(!allow.contains(&method) && allow.contains(&"OPTIONS"), "{method} {path}: {allow:?}");
        for allowed in allow {
            assert_ne!(server.ask(allowed, path).await.status, 405, "{allowed} {path}");
        }
    }
}

#[tokio::test]
async fn http_10_options_with_and_without_an_origin_name_what_is_accepted() {
    let server = TestServer::start().await;
    let preflight = [("Origin", "https://example.com"), ("Access-Control-Request-Method", "POST")];
    for headers in [&[][..], &preflight] {
        for path in ["/whip/live", "/whep/live"] {
            let answer = send(&server, "OPTIONS", path, headers, "").await;
            assert_eq!(
                (answer.status, answer.header("Accept-Post")),
                (200, Some("application/sdp")),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn http_11_fragments_are_announced_with_the_session() {
    let server = TestServer::start().await;
    let made = publish(&server, "application/sdp", &offer("pub-ffmpeg")).await;
    assert_eq!((made.status, made.header("Accept-Patch")), (201, Some(FRAGMENT)));
    let options = server.ask("OPTIONS", made.header("Location").unwrap()).await;
    assert_eq!((options.status, options.header("Accept-Patch")), (200, Some(FRAGMENT)));
}

#[tokio::test]
async fn http_16_nothing_about_a_session_may_be_kept() {
    let server = TestServer::start().await;
    let made = publish(&server, "application/sdp", &offer("pub-ffmpeg")).await;
    let path = made.header("Location").unwrap().to_owned();
    let unconditional =
        send(&server, "PATCH", &path, &[("Content-Type", FRAGMENT)], "a=ice-ufrag:x\r\n").await;
    assert_eq!(unconditional.status, 428);
    let mut answers = vec![made, unconditional];
    for (method, path) in
        [("OPTIONS", "/whip/live"), ("OPTIONS", "/whep/live"), ("GET", "/whip/live"), ("DELETE", &path)]
    {
        answers.push(server.ask(method, path).await);
    }
    for answer in answers {
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{}", answer.head);
    }
}

#[tokio::test]
async fn http_17_odd_names_fail_cleanly_over_the_wire() {
    let server = TestServer::start().await;
    let long = "x".repeat(4096);
    for name in ["a%2F..%2Fb", "%00", &long, "%FF%FE", "..%2f..%2fetc%2fpasswd", "a/../../b", "%0d%0aX:y"] {
        for door in ["whip", "whep", "session"] {
            let path = format!("/{door}/{name}");
            let answer = send(&server, "POST", &path, &[("Content-Type", "application/sdp")], "hello").await;
            assert!(matches!(answer.status, 400 | 404 | 405), "{path:.80}: {}", answer.status);
        }
    }
}
