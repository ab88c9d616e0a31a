//! What strangers do to a server in the open: it says no precisely, keeps nothing of it, and the show goes on.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod server;

use server::{PATIENCE, Server, header, status, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wtn_client::{
    Expectation, Length, PlayOptions, PlayReport, PublishOptions, PublishReport, play, publish_test,
};
use wtn_media::Codec;

const OFFER: &str = include_str!("../../ground/sdp/tests/fixtures/offers/pub-obs-simulcast.sdp");

const VIEWER: &str = include_str!("../../ground/sdp/tests/fixtures/offers/play-chromium.sdp");

/// What the allocator may keep of what is gone: far less than a thousand sessions or one of the bodies would
/// take if they stayed, and more than threads and arenas make a difference of.
const SLACK_KIB: u64 = 16 * 1024;

fn half_open(server: &Server) -> f64 {
    server.metric("wtn_sessions_half_open")
}

#[test]
fn live_16_a_thousand_posts_without_ice_leave_nothing_behind() {
    let server = Server::start("thousand", "auth.open = true");
    // Warm: what is allocated once is no growth.
    for at in 0..200 {
        assert_eq!(status(&server.post(&format!("/whip/warm-{}", at / 10), OFFER)), 201);
    }
    until("the first sessions are gone", PATIENCE, || half_open(&server) == 0.0);
    let (memory, descriptors) = (server.memory_kib(), server.descriptors());

    for at in 0..1_000 {
        // Ten a stream are as many as may be half open.
        assert_eq!(status(&server.post(&format!("/whip/name-{}", at / 10), OFFER)), 201, "{at}");
    }
    until("sessions without ICE are gone", PATIENCE, || half_open(&server) == 0.0);
    until("memory is back", PATIENCE, || server.memory_kib() < memory + SLACK_KIB);
    until("files are closed", PATIENCE, || server.descriptors() <= descriptors + 2);
    assert_eq!(server.get("/api/v1/streams").matches("\"name\"").count(), 0);
    assert_eq!(status(&server.post("/whip/name-1", OFFER)), 201);
}

#[test]
fn http_14_lb_05_half_open_sessions_are_capped_and_freed() {
    let server = Server::start("half-open", "auth.open = true");
    let answers: Vec<_> = (0..20).map(|_| server.post("/whip/crowded", OFFER)).collect();
    let taken = answers.iter().filter(|answer| status(answer) == 201).count();
    // On a machine so slow that ten seconds pass meanwhile, some have made room already.
    assert!((10..20).contains(&taken), "{taken} of 20 were taken");
    for refused in answers.iter().filter(|answer| status(answer) != 201) {
        assert!(matches!(status(refused), 429 | 503), "{refused}");
        let seconds: u32 = header(refused, "Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }
    assert_eq!(status(&server.post("/whip/quiet", OFFER)), 201, "another stream is not in the way");
    until("there is room again", PATIENCE, || status(&server.post("/whip/crowded", OFFER)) == 201);
}

/// A publisher and a player of the other stack, through the server under attack.
struct Show {
    stop: CancellationToken,
    publisher: JoinHandle<PublishReport>,
    player: JoinHandle<Option<PlayReport>>,
}

impl Show {
    fn start(server: &Server) -> Self {
        let stop = CancellationToken::new();
        let publish = PublishOptions {
            url: format!("{}/whip/show", server.base()),
            key: None,
            ca: None,
            codec: Codec::H264,
            length: Length::Forever,
            wait: PATIENCE,
        };
        let one = stop.clone();
        let show = Self {
            publisher: thread::spawn(move || runtime().block_on(publish_test(publish, one)).unwrap()),
            player: player(server, stop.clone()),
            stop,
        };
        until("both are connected", PATIENCE, || server.metric("wtn_sessions") >= 2.0);
        show
    }

    /// Ends it: nothing was lost, nobody was sent away.
    fn end(self) {
        self.stop.cancel();
        let (played, published) = (self.player.join().unwrap().unwrap(), self.publisher.join().unwrap());
        assert!(played.ok && published.ok, "{played}\n{published}");
        for track in &played.tracks {
            // A hole of the last moment may not have been repaired yet.
            assert!(track.lost <= 3 + track.packets / 1_000, "{played}");
            assert_eq!((track.unreadable, track.source_changes), (0, 0), "{played}");
        }
    }
}

#[test]
fn a_server_whose_line_is_full_turns_newcomers_away_and_keeps_whom_it_has() {
    let server = Server::start("overload", "auth.open = true\nlimits.egress_mbps = 1");
    let show = Show::start(&server);
    // Who is turned away tries again, until all leave.
    let (everybody, mut crowd) = (CancellationToken::new(), Vec::new());
    until("its line is full", PATIENCE, || {
        if crowd.len() < 12 {
            crowd.push(player(&server, everybody.clone()));
        }
        server.metric("wtn_overloaded") == 1.0
    });
    let refused = server.post("/whep/show", VIEWER);
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.contains("\"overloaded\"") && header(&refused, "Retry-After").is_some(), "{refused}");
    assert_eq!(status(&server.post("/whip/another", OFFER)), 503);
    everybody.cancel();
    crowd.into_iter().for_each(|player| _ = player.join().unwrap());
    until("its line is free", PATIENCE, || server.metric("wtn_overloaded") == 0.0);
    assert_eq!(status(&server.post("/whip/another", OFFER)), 201);
    show.end();
}

/// Watches the show until it is stopped; who never got in has nothing to report.
fn player(server: &Server, stop: CancellationToken) -> JoinHandle<Option<PlayReport>> {
    let options = PlayOptions {
        url: format!("{}/whep/show", server.base()),
        key: None,
        ca: None,
        length: None,
        wait: PATIENCE,
        expect: "h264+opus".parse::<Expectation>().unwrap(),
    };
    thread::spawn(move || runtime().block_on(play(options, stop)).ok())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connections that sent `bytes` and say no more.
fn stall(server: &Server, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let stalled = (0..count).map(|_| {
        let mut stream = TcpStream::connect(server.http).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    });
    stalled.collect()
}

/// That the server ends each of them, with 408 or without a word.
fn all_are_closed(streams: Vec<TcpStream>) {
    for mut stream in streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // A reset is an end too; a time-out is none.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || matches!(status(&answer), 400 | 408), "{answer}");
    }
}

#[test]
fn http_05_http_15_http_17_whip_09_mischief_is_refused_and_the_show_goes_on() {
    let server = Server::start("mischief", "auth.open = true");
    let show = Show::start(&server);
    let body = |len: usize| {
        format!(
            "POST /whip/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: {len}\r\n\r\n"
        )
    };
    // Once each, for what is allocated once.
    let _ = server.post("/whip/x", &"a=x\r\n".repeat(10_000));
    let _ = server.send(&[body(10_000_000).into_bytes(), vec![b'a'; 10_000_000]].concat());
    let (memory, descriptors) = (server.memory_kib(), server.descriptors());

    let slow_heads = stall(&server, 150, b"POST /whip/x HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let slow_bodies = stall(&server, 150, (body(5_000) + "v=0\r\n").as_bytes());
    let silent = stall(&server, 50, b"");
    for _ in 0..10 {
        let answer = server.send(&[body(10_000_000).into_bytes(), vec![b'a'; 10_000_000]].concat());
        assert_eq!(status(&answer), 413, "{answer}");
    }
    let lines = format!("{OFFER}{}", "a=x-padding\r\n".repeat(4_000));
    for (what, offer) in [("4 000 lines more", lines), ("10 000 lines", "a=x\r\n".repeat(10_000))] {
        let answer = server.post("/whip/x", &offer);
        assert!(matches!(status(&answer), 400 | 422), "{what}: {answer}");
    }
    let long = "x".repeat(4_096);
    for name in ["a%0d%0aX-Injected:%201", "%00", "a%2F..%2Fb", "%ff", &long, &"%41".repeat(1_365)] {
        let answer = server.post(&format!("/whip/{name}"), OFFER);
        assert!(matches!(status(&answer), 400 | 404), "{name}: {answer}");
        assert!(header(&answer, "X-Injected").is_none(), "{answer}");
    }
    for head in [
        "POST /whip/x y HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /whip/x\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /whip/x HTTP/1.1\r\nHost: x\r\nX-A: b\rX-Injected: 1\r\n\r\n".to_owned(),
        "POST /whip/x HTTP/1.1\r\nHost: x\r\nX A: b\r\n\r\n".to_owned(),
        format!("POST /whip/x HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(100_000)),
        format!("POST /whip/x HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(5_000)),
    ] {
        let answer = server.send(head.as_bytes());
        assert!(matches!(status(&answer), 400..=499), "{} {answer}", &head[..40]);
    }
    all_are_closed(slow_heads);
    all_are_closed(slow_bodies);
    all_are_closed(silent);
    until("files are closed", PATIENCE, || server.descriptors() <= descriptors + 2);
    until("memory is back", PATIENCE, || server.memory_kib() < memory + SLACK_KIB);
    assert_eq!(server.metric("wtn_sessions"), 2.0, "the publisher and the player");
    assert_eq!(half_open(&server), 0.0);
    show.end();
    until("all sessions are gone", Duration::from_secs(30), || server.metric("wtn_sessions") == 0.0);
}
