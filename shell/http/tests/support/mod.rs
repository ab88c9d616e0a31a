//! A server on a loopback port, its one shard turned by hand and without a network, and a client that writes
//! raw bytes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod served;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wtn_engine::{EngineConfig, Event, Shard, Wake};
use wtn_http::{Limits, Network, Security, Signalling};
use wtn_media::{Fingerprint, HashAlgorithm};
use wtn_session::Identity;
use wtn_wish::DeskConfig;

/// Short waits, so that tests of time-outs are quick; long enough for a busy machine.
pub const LIMITS: Limits = Limits {
    connections: 64,
    head_within: Duration::from_millis(400),
    body_within: Duration::from_millis(400),
    connections_per_address: 0,
    limit_loopback: false,
    kept_within: Duration::from_millis(400),
};

pub struct TestServer {
    pub addr: SocketAddr,
    pub signalling: Arc<Signalling>,
    pub shard: Shard,
    pub events: mpsc::Sender<Event>,
    pub stop: CancellationToken,
    pub serving: JoinHandle<()>,
}

pub fn open_desk() -> DeskConfig {
    let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![7; 32] };
    DeskConfig::new(vec![SocketAddr::from(([192, 0, 2, 1], 8189))], 8189, fingerprint)
}

struct NoNetwork;

impl Network for NoNetwork {
    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("net_sent", 3)]
    }

    fn is_alive(&self) -> bool {
        true
    }
}

struct Unwoken;

impl Wake for Unwoken {
    fn wake(&self) {}
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(open_desk(), LIMITS).await
    }

    pub async fn with(desk: DeskConfig, limits: Limits) -> Self {
        Self::secured(desk, limits, Security::none()).await
    }

    pub async fn secured(desk: DeskConfig, limits: Limits, security: Arc<Security>) -> Self {
        listen();
        let config = EngineConfig { shards: 1, seed: 1, now: Instant::now() };
        let identity = Arc::new(Identity::generate().unwrap());
        let (mut shards, control) = wtn_engine::build(&config, &identity, vec![Arc::new(Unwoken)]);
        let shard = shards.remove(0);
        let signalling = Signalling::new(desk, control, Box::new(NoNetwork), limits);
        let (events, inbox) = mpsc::channel(16);
        tokio::spawn(Arc::clone(&signalling).follow(inbox));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = wtn_http::router(&signalling);
        let serving = tokio::spawn(wtn_http::serve(listener, router, limits, security, stop.clone()));
        Self { addr, signalling, shard, events, stop, serving }
    }

    /// Lets the shard take its commands and tells signalling what it says.
    pub async fn turn(&mut self) {
        self.shard.handle_inbox(Instant::now());
        while let Some(event) = self.shard.poll_event() {
            self.events.send(event).await.unwrap();
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends `request` on a connection of its own and reads until the server closes.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        Answer::read_to_end(&mut stream).await
    }

    /// A request without a body on a connection of its own.
    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        self.exchange(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }
}

/// A recorded offer.
pub fn offer(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ground/sdp/tests/fixtures/offers");
    std::fs::read_to_string(format!("{folder}/{name}.sdp")).unwrap()
}

/// A request with a body, all headers but `Content-Length` given.
pub fn with_body(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let len = body.len();
    format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n{body}")
}

/// Without this, a test that reads no log could be the first to come by a log line while one other test reads
/// one, and tracing would take the line for one that nobody ever wants.
fn listen() {
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink);
    let _ = tracing::subscriber::set_global_default(lines.finish());
}

/// Log lines of this thread, from now on until the guard is dropped.
#[derive(Clone, Default)]
pub struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    pub fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        listen();
        let log = Self::default();
        let writer = log.clone();
        let lines =
            tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).without_time();
        let guard = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
        (log, guard)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The one line that contains `part`.
    pub fn line(&self, part: &str) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains(part)).collect();
        assert_eq!(lines.len(), 1, "{part} in\n{text}");
        lines[0].trim().to_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that came back on one connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As on the wire.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn read_to_end(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Self::parse(&bytes)
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a complete head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head, body: bytes[end..].to_vec() }
    }

    /// A header's value; its name is compared as on the wire, case and all.
    pub fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }

    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("Content-Type"), Some("application/problem+json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }
}
