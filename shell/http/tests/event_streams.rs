//! Server-sent events over real connections: what a browser's EventSource would see.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wtn_engine::{EndReason, Event};
use wtn_http::{Limits, Security};
use wtn_media::{Layer, Rid, SessionId, StreamId};

const HOST: (&str, &str) = ("Host", "x");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const JSON: (&str, &str) = ("Content-Type", "application/json");
/// Whatever is waited for comes at once, or the test is stuck.
const STUCK: Duration = Duration::from_secs(20);
/// Nothing here is about how slow a client may be.
const PATIENT: Limits = Limits { head_within: STUCK, body_within: STUCK, ..LIMITS };

/// A server with a stream: its first session publishes, the others watch.
struct Show {
    server: TestServer,
    sessions: u64,
}

impl Show {
    async fn start() -> Self {
        let mut show = Self { server: TestServer::with(open_desk(), PATIENT).await, sessions: 0 };
        show.publish().await;
        show
    }

    async fn tell(&self, event: Event) {
        self.server.events.send(event).await.unwrap();
    }

    async fn join(&mut self, path: &str, offer: &str) -> (Answer, SessionId) {
        let answer = self.server.exchange(with_body("POST", path, &[HOST, SDP], offer)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let remote = ([192, 0, 2, 9], 9).into();
        self.tell(Event::Connected { session, remote, srtp_profile: "none" }).await;
        (answer, session)
    }

    async fn publish(&mut self) -> SessionId {
        let (_, session) = self.join("/whip/live", &offer("pub-obs")).await;
        // Until the server has heard of it.
        let is_live = async {
            while !self.server.signalling_is_live().await {
                tokio::task::yield_now().await;
            }
        };
        timeout(STUCK, is_live).await.expect("live");
        session
    }

    async fn watch(&mut self) -> (String, SessionId) {
        let (answer, session) = self.join("/whep/live", &offer("play-chromium")).await;
        (answer.header("Location").unwrap().to_owned(), session)
    }

    async fn subscribe(&self, session: &str, types: &str) -> String {
        let made =
            self.server.exchange(with_body("POST", &format!("{session}/events"), &[HOST, JSON], types)).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.header("Location").unwrap().to_owned()
    }
}

impl TestServer {
    async fn signalling_is_live(&self) -> bool {
        let list = self.ask("GET", "/api/v1/streams").await;
        String::from_utf8_lossy(&list.body).contains("\"live\":true")
    }
}

/// One end of a stream of events.
struct Source {
    stream: TcpStream,
    head: String,
    rest: Vec<u8>,
}

impl Source {
    async fn open(to: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: 7\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut source = Self { stream, head: String::new(), rest: Vec::new() };
        source.head = source.until("\r\n\r\n").await.expect("a head");
        source
    }

    /// The next event, taken apart; `None` at the end. Each comes as one chunk, or some in one.
    async fn event(&mut self) -> Option<(String, String)> {
        loop {
            let size = self.until("\r\n").await?;
            if usize::from_str_radix(size.trim(), 16) == Ok(0) {
                return None;
            }
            let block = self.until("\n\n").await?;
            if let Some(event) = block.strip_prefix("event: ") {
                let (name, data) = event.trim_end().split_once("\ndata: ").unwrap();
                assert!(!data.contains('\n'), "one line of data: {block:?}");
                let end = self.until("\r\n").await;
                assert_eq!(end.as_deref(), Some("\r\n"), "one event a chunk here");
                return Some((name.to_owned(), data.to_owned()));
            }
        }
    }

    /// All bytes to the end of that text; `None` if they end before.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.rest.windows(end.len()).position(|bytes| bytes == end.as_bytes()) {
                let found: Vec<u8> = self.rest.drain(..at + end.len()).collect();
                return Some(String::from_utf8(found).unwrap());
            }
            let read = timeout(STUCK, self.stream.read_buf(&mut self.rest)).await.expect("news");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn hears(&mut self, name: &str, data: &str) {
        assert_eq!(self.event().await, Some((name.to_owned(), data.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_23_and_24_events_follow_the_publisher() {
    let mut show = Show::start().await;
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "[\"active\",\"inactive\"]").await;
    let mut source = Source::open(show.server.addr, &url).await;
    for line in [
        "HTTP/1.1 200 OK",
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "Access-Control-Allow-Origin: *",
        "X-Accel-Buffering: no",
    ] {
        assert!(source.head.contains(line), "{line} in {}", source.head);
    }
    source.hears("active", "{}").await;
    show.tell(Event::Ended(SessionId(1), EndReason::ClosedByPeer)).await;
    source.hears("inactive", "{}").await;
    show.publish().await;
    source.hears("active", "{}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_25_a_second_viewer_is_counted_soon() {
    let mut show = Show::start().await;
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "[\"viewercount\"]").await;
    let mut source = Source::open(show.server.addr, &url).await;
    let (_, second) = show.watch().await;
    // It may have heard of none or one first.
    while source.event().await.expect("an event").1 != "{\"viewercount\":2}" {}
    let list = show.server.ask("GET", "/api/v1/streams").await;
    assert!(String::from_utf8_lossy(&list.body).contains("\"viewers\":2"));
    show.tell(Event::Ended(second, EndReason::Deleted)).await;
    source.hears("viewercount", "{\"viewercount\":1}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_26_a_stream_closes_by_delete_and_with_its_session() {
    let mut show = Show::start().await;
    let (session, id) = show.watch().await;
    for by_session in [false, true] {
        let url = show.subscribe(&session, "[\"active\"]").await;
        let mut source = Source::open(show.server.addr, &url).await;
        source.hears("active", "{}").await;
        if by_session {
            show.tell(Event::Ended(id, EndReason::ClosedByPeer)).await;
        } else {
            assert_eq!(show.server.ask("DELETE", &url).await.status, 200);
        }
        assert_eq!(source.event().await, None);
        let gone = show.server.ask("GET", &url).await;
        assert_eq!((gone.status, gone.problem()["code"].as_str()), (404, Some("not_found")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_26_a_later_reader_takes_the_stream_over_and_hears_how_things_stand() {
    let mut show = Show::start().await;
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "[\"active\",\"inactive\"]").await;
    let mut first = Source::open(show.server.addr, &url).await;
    first.hears("active", "{}").await;
    show.tell(Event::Ended(SessionId(1), EndReason::ClosedByPeer)).await;
    first.hears("inactive", "{}").await;
    let mut second = Source::open(show.server.addr, &url).await;
    second.hears("inactive", "{}").await;
    assert_eq!(first.event().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lb_06_who_listens_is_told_before_the_server_stops() {
    let mut show = Show::start().await;
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "[\"reconnect\"]").await;
    let mut source = Source::open(show.server.addr, &url).await;
    let signalling = Arc::clone(&show.server.signalling);
    let draining = tokio::spawn(async move { signalling.drain(STUCK).await });
    source.hears("reconnect", "{}").await;
    assert_eq!(source.event().await, None);
    let drained = async {
        while !draining.is_finished() {
            show.server.turn().await;
            tokio::task::yield_now().await;
        }
    };
    timeout(STUCK, drained).await.expect("drained");
    show.server.stop.cancel();
    timeout(STUCK, &mut show.server.serving).await.expect("stopped").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_23_listeners_leave_room_for_signalling() {
    let mut show = Show::start().await;
    // Half of the connections there are; a session may have four event streams.
    let mut sources = Vec::new();
    for _ in 0..PATIENT.connections / 8 {
        let (session, _) = show.watch().await;
        for _ in 0..4 {
            let url = show.subscribe(&session, "[\"active\"]").await;
            let mut source = Source::open(show.server.addr, &url).await;
            source.hears("active", "{}").await;
            sources.push(source);
        }
    }
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "").await;
    let refused = show.server.ask("GET", &url).await;
    assert_eq!((refused.status, refused.problem()["code"].as_str()), (503, Some("too_many_listeners")));
    assert!(refused.header("Retry-After").is_some());
    // Each that goes makes room.
    sources.pop();
    let room = async {
        while !Source::open(show.server.addr, &url).await.head.contains(" 200 ") {
            tokio::task::yield_now().await;
        }
    };
    timeout(STUCK, room).await.expect("room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whep_23_who_does_not_read_is_dropped_by_the_system() {
    // Small buffers at both ends, so that they are soon full.
    let limits = Limits { body_within: Duration::from_millis(400), ..PATIENT };
    let server = TestServer::with(open_desk(), limits).await;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(8).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    let small = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = wtn_http::router(&server.signalling);
    tokio::spawn(wtn_http::serve(listener, router, limits, Security::none(), stop.clone()));
    let mut show = Show { server, sessions: 0 };
    show.publish().await;
    let (session, _) = show.watch().await;
    let url = show.subscribe(&session, "[\"layers\"]").await;
    let lazy = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    lazy.set_recv_buffer_size(2048).unwrap();
    lazy.connect(&small.into()).unwrap();
    lazy.set_nonblocking(true).unwrap();
    let mut lazy = TcpStream::from_std(lazy.into()).unwrap();
    lazy.write_all(format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let is_dropped = async {
        for bitrate in 1.. {
            let layer = |rid| Layer {
                rid: Rid::new(rid),
                spatial: None,
                temporal: None,
                bitrate,
                width: 1280,
                height: 720,
            };
            let layers = ["a", "b", "c", "d", "e", "f", "g", "h"].map(layer);
            show.tell(Event::Layers { stream: StreamId(1), layers: Arc::new(layers) }).await;
            // The system gives such a connection up without a word; who writes to it then is told.
            if bitrate % 50 == 0
                && lazy.try_write(b"x").is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(STUCK, is_dropped).await.expect("dropped");
    stop.cancel();
}
