//! The two commands against servers on this machine: what they ask for over HTTP, and media over real sockets.

mod support;

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{Relay, Request, Response, Role, Server};
use tokio_util::sync::CancellationToken;
use wtn_client::{
    ClientError, Expectation, Length, Machine, PlayOptions, PlayReport, Player, PublishOptions,
    PublishReport, Publisher, PublisherConfig, play, publish_test,
};
use wtn_media::{Codec, MediaKind};

fn publishing(url: String) -> PublishOptions {
    PublishOptions {
        url,
        key: None,
        ca: None,
        codec: Codec::H264,
        length: Length::Once,
        wait: Duration::from_millis(200),
    }
}

fn playing(url: String) -> PlayOptions {
    PlayOptions {
        url,
        key: None,
        ca: None,
        length: Some(Duration::from_secs(2)),
        wait: Duration::from_millis(200),
        expect: Expectation::default(),
    }
}

async fn publish(options: PublishOptions) -> Result<PublishReport, ClientError> {
    publish_test(options, CancellationToken::new()).await
}

/// The answer of somebody who will never send a datagram.
fn answer_to(offer: &str) -> String {
    answer_from("127.0.0.1:9".parse().expect("addr"), offer)
}

fn answer_from(address: SocketAddr, offer: &str) -> String {
    Player::answering(Instant::now(), &[address], offer).expect("our own offer").sdp().to_owned()
}

/// Grants a session at `/session/1` to every POST and takes every DELETE.
fn granting(request: &Request) -> Response {
    match request.method.as_str() {
        "POST" => Response::created("/session/1", answer_to(&request.body)),
        _ => Response::new(200),
    }
}

/// A server for one stream: whoever POSTs to `/whip/…` is its publisher.
fn media_server() -> Server {
    let mut relay = Relay::start();
    Server::start(move |request| {
        let role = if request.path.starts_with("/whip/") { Role::Publisher } else { Role::Viewer };
        match request.method.as_str() {
            "POST" if role == Role::Viewer && !relay.is_on_air() => {
                Response::new(409).header("Retry-After", "1").body("text/plain", "nobody is publishing")
            }
            "POST" => {
                let (id, answer) = relay.join(role, &request.body);
                Response::created(&format!("/session/{id}"), answer)
            }
            _ => {
                let id = request.path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a session");
                relay.leave(id);
                Response::new(200)
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_can_be_played_and_both_end_with_delete() {
    let server = media_server();
    let stop = CancellationToken::new();
    let publisher = tokio::spawn(publish_test(
        PublishOptions {
            key: Some("pub-key".into()),
            length: Length::Forever,
            wait: Duration::from_secs(10),
            ..publishing(server.url("/whip/demo"))
        },
        stop.clone(),
    ));
    // PLAY-03: the player may well be first; it comes again after a second.
    let options = PlayOptions {
        key: Some("play-key".into()),
        wait: Duration::from_secs(10),
        expect: "h264+opus".parse().expect("known codecs"),
        ..playing(server.url("/whep/demo"))
    };
    let played = play(options, CancellationToken::new()).await.expect("a session");
    stop.cancel();
    let published = publisher.await.expect("no panic").expect("a session");

    assert!(played.ok && played.deleted, "{played}");
    assert!(published.ok && published.deleted, "{published}");
    let video = played.track(MediaKind::Video).expect("video");
    assert!((20.0..30.0).contains(&video.fps) && video.frames_decodable >= 20, "{played}");
    assert_eq!((video.lost, video.unreadable), (0, 0), "{played}");
    assert!(played.times_ms.first_keyframe >= played.times_ms.first_packet, "{played}");
    assert!(played.times_ms.first_packet.is_some() && published.times_ms.connected.is_some());
    assert!(published.keyframe_requests >= 1, "asked for a viewer who joins in the middle: {published}");

    // CLI-02: the key is on every request, each with its own.
    for request in server.log() {
        let key =
            if request.path == "/session/2" || request.path == "/whep/demo" { "play-key" } else { "pub-key" };
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {key}")), "{request:?}");
        assert_eq!(request.header("if-match"), None);
    }
    let lines = server.lines();
    let tail = &lines[lines.len() - 2..];
    assert_eq!(tail, ["DELETE /session/2", "DELETE /session/1"]);
}

#[tokio::test]
async fn play_02_a_counter_offer_is_answered_by_patch_and_plays() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("not zero");
    let here = socket.local_addr().expect("bound");
    let clip = wtn_client::clip::Clip::embedded(Codec::Vp9).expect("built in");
    let now = Instant::now();
    let mut publisher = Publisher::new(now, clip, &[here], PublisherConfig::default());
    let offer = publisher.offer().to_owned();
    let (answers, answered) = channel::<String>();
    let media = std::thread::spawn(move || {
        let answer = answered.recv().expect("a PATCH");
        publisher.accept_answer(Instant::now(), &answer).expect("a usable answer");
        let mut buffer = [0; 2048];
        while publisher.ending().is_none() {
            while let Some(datagram) = publisher.poll_transmit() {
                let _ = socket.send_to(&datagram.bytes, datagram.destination);
            }
            let received = socket.recv_from(&mut buffer).ok();
            let now = Instant::now();
            match received {
                Some((len, source)) => publisher.handle_datagram(now, source, here, &buffer[..len]),
                None => publisher.handle_timeout(now),
            }
        }
    });
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Response::new(406).header("Location", "s/7").body("application/sdp", offer.clone()),
        "PATCH" => {
            answers.send(request.body.clone()).expect("somebody waits");
            Response::new(204)
        }
        _ => Response::new(200),
    });
    let options = PlayOptions {
        wait: Duration::from_secs(5),
        length: Some(Duration::from_secs(1)),
        expect: "vp9+opus".parse().expect("known codecs"),
        ..playing(server.url("/whep/demo"))
    };
    let played = play(options, CancellationToken::new()).await.expect("a session");
    assert!(played.ok && played.deleted, "{played}");
    media.join().expect("the player said good-bye to DTLS");
    assert_eq!(server.lines(), ["POST /whep/demo", "PATCH /whep/s/7", "DELETE /whep/s/7"]);
    let patch = &server.log()[1];
    assert_eq!(patch.header("content-type"), Some("application/sdp"));
    assert_eq!(patch.body.matches("a=recvonly").count(), 2);
}

#[tokio::test]
async fn cli_01_post_is_sdp_and_says_so() {
    let server = Server::start(granting);
    publish(publishing(server.url("/whip/demo?room=1"))).await.expect("a session");
    let post = &server.log()[0];
    assert_eq!(
        (post.path.as_str(), post.header("content-type")),
        ("/whip/demo?room=1", Some("application/sdp"))
    );
    assert!(post.body.starts_with("v=0\r\n"));
    assert!(post.header("user-agent").is_some_and(|agent| agent.starts_with("wtn/")));
    // CLI-02: no key, no header.
    assert!(server.log().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn cli_03_any_2xx_with_sdp_and_location_is_a_session_and_is_deleted_when_it_does_not_connect() {
    for status in [200, 201, 202, 299] {
        let server = Server::start(move |request| Response { status, ..granting(request) });
        let report = publish(publishing(server.url("/whip/demo"))).await.expect("a session");
        assert!(!report.ok && report.deleted, "{status}: {report}");
        assert_eq!(report.failures[0].why, "no media connection within 0.2 s of the answer");
        assert_eq!(server.lines(), ["POST /whip/demo", "DELETE /session/1"], "{status}");
    }
}

#[tokio::test]
async fn cli_03_refusals_are_reasons_with_remedies_whatever_the_status() {
    let problem = r#"{"status":401,"title":"Key needed","detail":"demo wants a publish key","fix":"--key"}"#;
    for (status, body, why, fix) in [
        (401, problem, "demo wants a publish key", Some("--key")),
        (418, "", "it gave no reason", None),
        (599, "", "it has a fault", Some("look into the server's log")),
        (302, "", "a redirect that would lose the offer", Some("give the URL that it redirects to")),
        (406, "", "it gave no reason", None),
    ] {
        let server = Server::start(move |_| Response::new(status).body("application/problem+json", body));
        let error = publish(publishing(server.url("/whip/demo"))).await.expect_err("refused");
        let (why, fix) = (why.to_owned(), fix.map(str::to_owned));
        assert_eq!(error, ClientError::Refused { status, why, fix });
        assert_eq!(server.lines(), ["POST /whip/demo"]);
    }
}

#[tokio::test]
async fn a_reply_that_is_not_whip_is_refused_and_what_it_made_is_deleted() {
    let server = Server::start(|_| Response::new(200).body("text/html", "<html>"));
    let error = publish(publishing(server.url("/"))).await.expect_err("a web page");
    assert_eq!(error, ClientError::BadReply("200 without a Location".into()));

    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Response::created("/session/1", "v=0\r\nnot really\r\n"),
        _ => Response::new(200),
    });
    let error = publish(publishing(server.url("/whip/demo"))).await.expect_err("no SDP");
    assert!(matches!(error, ClientError::BadSdp(_)), "{error}");
    assert_eq!(server.lines(), ["POST /whip/demo", "DELETE /session/1"]);

    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Response::created("/session/1", "<html>"),
        _ => Response::new(200),
    });
    let error = publish(publishing(server.url("/whip/demo"))).await.expect_err("no SDP");
    assert!(matches!(error, ClientError::BadReply(_)), "{error}");
    assert_eq!(server.lines(), ["POST /whip/demo", "DELETE /session/1"]);
}

#[tokio::test]
async fn cli_05_redirects_keep_method_body_and_key_on_the_same_host() {
    let last = Server::start(|request| match request.path.as_str() {
        "/b" => Response::new(307).header("Location", "c/d"),
        "/c/d" => Response::created("../s/1", answer_to(&request.body)),
        _ => Response::new(200),
    });
    let target = last.url("/b");
    let first = Server::start(move |_| Response::new(308).header("Location", target.clone()));
    let options = PublishOptions { key: Some("k".into()), ..publishing(first.url("/whip/demo")) };
    publish(options).await.expect("a session");
    assert_eq!(first.lines(), ["POST /whip/demo"]);
    assert_eq!(last.lines(), ["POST /b", "POST /c/d", "DELETE /s/1"]);
    for request in last.log() {
        assert_eq!(request.header("authorization"), Some("Bearer k"));
    }
    assert_eq!(last.log()[1].body, first.log()[0].body);
}

#[tokio::test]
async fn cli_05_the_key_stays_at_home_when_another_host_takes_over() {
    let other = Server::start(granting);
    let target = format!("http://localhost:{}/whip/demo?ticket=1", other.port());
    let first = Server::start(move |_| Response::new(307).header("Location", target.clone()));
    let options = PublishOptions { key: Some("k".into()), ..publishing(first.url("/whip/demo")) };
    let report = publish(options).await.expect("a session");
    assert!(report.deleted);
    assert_eq!(other.lines(), ["POST /whip/demo?ticket=1", "DELETE /session/1"]);
    assert!(other.log().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn cli_05_a_circle_of_redirects_ends() {
    let server = Server::start(|_| Response::new(307).header("Location", "/whip/demo"));
    let error = publish(publishing(server.url("/whip/demo"))).await.expect_err("a circle");
    assert_eq!(error, ClientError::RedirectLoop);
    assert_eq!(server.lines().len(), 1 + wtn_client::signalling::REDIRECTS_MAX);
}

#[tokio::test]
async fn cli_13_a_stop_while_connecting_ends_with_delete() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("bound");
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Response::created("/session/1", answer_from(address, &request.body)),
        _ => Response::new(200),
    });
    let options = PublishOptions { wait: Duration::from_secs(30), ..publishing(server.url("/whip/demo")) };
    let stop = CancellationToken::new();
    let first_check = async {
        socket.recv_from(&mut [0; 2048]).await.expect("a connectivity check");
        stop.cancel();
    };
    let (report, ()) = tokio::join!(publish_test(options, stop.clone()), first_check);
    let report = report.expect("a session");
    assert_eq!((report.ok, report.deleted), (false, true));
    assert_eq!(server.lines(), ["POST /whip/demo", "DELETE /session/1"]);
}

#[tokio::test]
async fn cli_13_a_stop_in_the_middle_of_the_post_deletes_what_comes_of_it() {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let server = Server::start(move |request| {
        stopping.cancel();
        granting(request)
    });
    let error = publish_test(publishing(server.url("/whip/demo")), stop).await.expect_err("stopped");
    assert_eq!(error, ClientError::Stopped);
    assert_eq!(server.lines(), ["POST /whip/demo", "DELETE /session/1"]);
}

#[tokio::test]
async fn cli_14_links_change_nothing() {
    let server = Server::start(|request| {
        granting(request)
            .header("Link", r#"<stun:stun.example:3478>; rel="ice-server", <x:y>; rel="unknown, really""#)
            .header(
                "Link",
                "<turn:t.example?transport=udp>; rel=\"ice-server\"; username=\"a,b\"; credential=\"c\"",
            )
            .header("Link", "complete <nonsense")
            .header("ETag", "*")
    });
    let report = publish(publishing(server.url("/whip/demo"))).await.expect("a session");
    assert!(report.deleted);
}

#[tokio::test]
async fn cli_15_play_03_a_refusal_that_may_pass_is_tried_again_after_the_time_it_names() {
    tokio::join!(is_tried_again_after(409), is_tried_again_after(429), is_tried_again_after(503));
}

async fn is_tried_again_after(status: u16) {
    let mut refusals = 1;
    let server = Server::start(move |request| match (request.method.as_str(), refusals) {
        ("POST", 1) => {
            refusals = 0;
            Response::new(status).header("Retry-After", "1")
        }
        _ => granting(request),
    });
    let options = PlayOptions { wait: Duration::from_secs(3), ..playing(server.url("/whep/demo")) };
    let report = play(options, CancellationToken::new()).await.expect("a session");
    assert_eq!((report.attempts, report.deleted), (2, true), "{status}");
    let log = server.log();
    assert!(log[1].at - log[0].at >= Duration::from_secs(1), "{status}: {:?}", log[1].at - log[0].at);
    assert_eq!(server.lines(), ["POST /whep/demo", "POST /whep/demo", "DELETE /session/1"]);
}

#[tokio::test]
async fn play_03_waiting_ends_when_the_next_try_would_come_too_late_and_at_once_when_stopped() {
    let refusing =
        |_: &Request| Response::new(409).header("Retry-After", "60").body("text/plain", "nobody is there");
    let server = Server::start(refusing);
    let error = play(playing(server.url("/whep/demo")), CancellationToken::new()).await.expect_err("refused");
    let why = "nobody is there".to_owned();
    assert!(matches!(&error, ClientError::Refused { status: 409, why: said, .. } if *said == why), "{error}");
    let report = PlayReport::without_session(&server.url("/whep/demo"), &error);
    assert_eq!((report.ok, report.exit_code()), (false, 1));

    let options = PlayOptions { wait: Duration::from_secs(600), ..playing(server.url("/whep/demo")) };
    let error = play(options, server.stop_after_replies(2)).await.expect_err("stopped");
    assert_eq!(error, ClientError::Stopped);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_the_cause() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let error = publish(publishing(format!("http://127.0.0.1:{port}/whip/demo?key=secret"))).await;
    let error = error.expect_err("nobody listens");
    assert!(error.to_string().starts_with(&format!("no answer from 127.0.0.1:{port}: ")), "{error}");
    assert!(error.to_string().contains("refused") && !error.to_string().contains("secret"), "{error}");
    assert!(error.fix().is_some());
}
