//! HTTP/1.1 connections: accepted, bounded in number and in every wait, closed in good order.

use crate::crowd::Crowd;
use crate::framing::{Framing, Framings, Watched};
use crate::routes;
use crate::tls::{Entered, Security};
use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;
use wtn_wish::Problem;

/// Requests under way may finish for so long after the stop.
const STOP_WITHIN: Duration = Duration::from_millis(300);
/// A request's head: room for a long token, no room for mischief. hyper answers 431 above.
const HEAD_LEN_MAX: usize = 32 * 1024;
/// After the last answer we go on reading for so long and so much, or the kernel would answer late bytes of a
/// refused body with a reset that overtakes our refusal.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LEN_MAX: u64 = 1024 * 1024;
/// A client that is turned away and closes at once reads the reason; it holds nothing of ours for longer.
const TURN_AWAY_WITHIN: Duration = Duration::from_millis(100);
/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's backlog. Past three quarters of it every answer closes
    /// its connection, so that idle ones make room.
    pub connections: usize,
    /// For a whole request head, and so for an idle connection too.
    pub head_within: Duration,
    /// For a whole request body.
    pub body_within: Duration,
    /// Connections of one address (of an IPv6 network of 64 bits) at once; one more is told so and closed. 0: as
    /// many as there are. Many people may come from one address, each of whom keeps one for `head_within`.
    pub connections_per_address: usize,
    /// Whether all this is for loopback addresses too. They are programs on this machine, and a proxy there
    /// speaks for everybody.
    pub limit_loopback: bool,
    /// For a viewer's request that is kept until others of its crowd are in. Clients wait longer for an answer, but
    /// none waits for ever.
    pub kept_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_within: Duration::from_secs(15),
            body_within: Duration::from_secs(10),
            connections_per_address: 1_024,
            limit_loopback: false,
            kept_within: Duration::from_secs(3),
        }
    }
}

/// The two ends of the TCP connection, for handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub here: SocketAddr,
    pub remote: SocketAddr,
    /// Whether they speak TLS.
    pub secure: bool,
}

/// Serves `router` on `listener`, with TLS or without as `security` has it, until `stop`; then lets requests under way
/// finish, but not for long.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    security: Arc<Security>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut is_short = false;
    let crowd = Crowd::new(&limits);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let Some((slot, accepted)) = stop.run_until_cancelled(next).await else { break };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, remote)) => {
                is_short = false;
                let Some(place) = crowd.enter(remote.ip()) else {
                    connections.spawn(turn_away(stream));
                    continue;
                };
                let connection = Connection { router: router.clone(), limits, slots: Arc::clone(&slots) };
                let (security, stop) = (Arc::clone(&security), stop.clone());
                connections.spawn(async move {
                    connection.enter(stream, remote, &security, stop).await;
                    drop((slot, place));
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut is_short, true) {
                    tracing::warn!(%error, "HTTP connections are not accepted; the limit of open files may be low");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_WITHIN, finished).await.is_err() {
        connections.shutdown().await;
    }
}

struct Connection {
    router: Router,
    limits: Limits,
    slots: Arc<Semaphore>,
}

impl Connection {
    async fn enter(
        self,
        stream: TcpStream,
        remote: SocketAddr,
        security: &Security,
        stop: CancellationToken,
    ) {
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        // A client that does not take its answer is dropped by the kernel after the time that a body gets.
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.limits.body_within));
        let ends = Ends { here: canonical(local), remote: canonical(remote), secure: false };
        let entering = security.enter(stream, ends.remote.ip(), self.limits.head_within);
        match stop.run_until_cancelled(entering).await.flatten() {
            Some(Entered::Tls(stream)) => self.serve(*stream, Ends { secure: true, ..ends }, stop).await,
            Some(Entered::Plain(stream)) => self.serve(stream, ends, stop).await,
            Some(Entered::Refused(stream)) => {
                let router = Router::new().fallback(routes::only_by_https);
                Self { router, ..self }.serve(stream, ends, stop).await;
            }
            None => {}
        }
    }

    async fn serve<S>(self, stream: S, ends: Ends, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (head_within, remote) = (self.limits.head_within, ends.remote);
        let framings = Framings::default();
        let stream = Watched::new(stream, framings.clone());
        let service = service_fn(move |request| self.answer(request, ends, framings.next()));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_within)
            .max_buf_size(HEAD_LEN_MAX)
            // OBS and some embedded clients look for `Location:` spelt so.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service);
        let end = tokio::select! {
            end = poll_fn(|cx| connection.poll_without_shutdown(cx)) => end,
            () = stop.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        match end {
            Ok(()) => {
                let stream = connection.into_parts().io.into_inner().into_inner();
                let _ = stop.run_until_cancelled(linger(stream)).await;
            }
            Err(error) => tracing::debug!(%remote, %error, "HTTP connection broken"),
        }
    }

    fn answer(
        &self,
        mut request: Request<Incoming>,
        ends: Ends,
        framing: Option<Framing>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>> {
        request.extensions_mut().insert(ends);
        let mut router = self.router.clone();
        let crowded = self.slots.available_permits() < self.limits.connections / 4;
        Box::pin(async move {
            let mut response = match framing {
                Some(Framing::Contradictory) => routes::contradictory_lengths(),
                _ => router.call(request).await?,
            };
            if crowded || framing != Some(Framing::Length) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// Tells a client why, and closes. It gets no time for it: what does not fit into the socket's buffer is lost.
async fn turn_away(stream: TcpStream) {
    let problem = Problem::new(
        429,
        "too_many_connections",
        "Too many connections",
        "This address holds as many HTTP connections as one may.",
        "Close connections that are not needed, or raise limits.connections_per_address.",
    );
    let reply = problem.retry_after(10).into_reply();
    let mut text = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n".to_owned();
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", reply.body.len()));
    let bytes = [text.as_bytes(), &reply.body].concat();
    if stream.writable().await.is_ok() && stream.try_write(&bytes).is_ok() {
        let _ = timeout(TURN_AWAY_WITHIN, linger(stream)).await;
    }
}

/// An IPv4 address as such, where a dual-stack socket shows it mapped into IPv6.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Says that we are done and reads what is still under way, until the client closes too.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let rest = pin!(stream.take(LINGER_LEN_MAX));
    let _ = timeout(LINGER, drain(rest)).await;
}

async fn drain(mut rest: Pin<&mut (impl tokio::io::AsyncRead + ?Sized)>) {
    let mut scratch = [0; 4096];
    while matches!(rest.read(&mut scratch).await, Ok(1..)) {}
}
