//! UDP towards the server's media port: a bare socket for crafted checks, and a whole client on one.

use crate::ctx::{Ctx, Door, Session};
use crate::sdp::Sdp;
use crate::stun::{Check, Response};
use crate::verdict::{Stop, want};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::time::{timeout, timeout_at};
use url::Url;
use wtn_client::clip::Clip;
use wtn_client::{Machine, Player, Publisher, PublisherConfig};
use wtn_media::Codec;

/// For whatever the server does by itself: connecting, ending.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How long silence has to last to be taken for silence.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);
const DATAGRAM_MAX: usize = 2048;

/// A socket from which the address is reachable.
pub(crate) async fn socket_towards(server: SocketAddr) -> Result<UdpSocket, Stop> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let probe = UdpSocket::bind(any).await?;
    probe.connect(server).await?;
    Ok(UdpSocket::bind(SocketAddr::new(probe.local_addr()?.ip(), 0)).await?)
}

/// A socket of ours and the address of theirs, without any client behind it.
pub(crate) struct Bare {
    pub socket: UdpSocket,
    pub server: SocketAddr,
    pub ufrag: String,
    pub pwd: String,
    pub ours: String,
}

impl Bare {
    /// Towards the first candidate of the session.
    pub async fn towards(session: &Session) -> Result<Self, Stop> {
        let server = *session
            .sdp
            .udp_candidates()
            .first()
            .ok_or_else(|| Stop::Fail("the answer has no UDP candidate".to_owned()))?;
        let value = |name| session.sdp.first(name).unwrap_or_default().to_owned();
        Ok(Self {
            socket: socket_towards(server).await?,
            server,
            ufrag: value("ice-ufrag"),
            pwd: value("ice-pwd"),
            ours: session.ufrag.clone(),
        })
    }

    pub fn check(&self) -> Check<'_> {
        Check::nominating(&self.ufrag, &self.ours, &self.pwd)
    }

    /// Asks up to `tries` times, as datagrams may be lost; the answer, or `None` if there is none.
    pub async fn ask(&self, check: &Check<'_>, tries: u32) -> Result<Option<Response>, Stop> {
        for _ in 0..tries {
            let (bytes, id) = check.bytes();
            self.socket.send_to(&bytes, self.server).await?;
            let deadline = tokio::time::Instant::now() + SILENCE;
            let mut buffer = [0; DATAGRAM_MAX];
            while let Ok(received) = timeout_at(deadline, self.socket.recv_from(&mut buffer)).await {
                let len = received.map_or(0, |(len, _)| len);
                if let Some(response) = Response::read(&buffer[..len], &self.pwd)
                    && response.id == id
                {
                    return Ok(Some(response));
                }
            }
        }
        Ok(None)
    }

    /// The next datagram within that time.
    pub async fn receive(&self, within: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; DATAGRAM_MAX];
        let (len, _) = timeout(within, self.socket.recv_from(&mut buffer)).await.ok()?.ok()?;
        Some(buffer[..len].to_vec())
    }
}

/// Whether a datagram is a DTLS record with a ClientHello.
pub(crate) fn is_client_hello(bytes: &[u8]) -> bool {
    bytes.first() == Some(&22) && bytes.get(13) == Some(&1)
}

/// A client of the other stack on a socket of its own, driven by the check.
pub(crate) struct Wire<M> {
    pub machine: M,
    socket: UdpSocket,
    /// What the client believes its address to be; the socket's may change.
    local: SocketAddr,
    pub server: SocketAddr,
    /// SSRCs of RTP received.
    pub ssrcs: BTreeSet<u32>,
    pub datagrams: u64,
    /// RTP and RTCP received.
    pub media: u64,
    /// What the client sends is lost while this is set.
    pub muted: bool,
}

impl<M: Machine> Wire<M> {
    /// Drives the client until `done`, or for that long. Whether it was done.
    pub async fn run(&mut self, within: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = Instant::now() + within;
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            self.flush().await;
            if done(self) {
                return true;
            }
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            let wake = self.machine.next_timeout().map_or(deadline, |at| at.min(deadline));
            match timeout_at(wake.into(), self.socket.recv_from(&mut buffer)).await {
                Ok(Ok((len, source))) => self.take(source, &buffer[..len]),
                Ok(Err(_)) | Err(_) => self.machine.handle_timeout(Instant::now()),
            }
        }
    }

    fn take(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.datagrams += 1;
        if bytes.first().is_some_and(|first| (128..192).contains(first)) {
            self.media += 1;
            if bytes.len() >= 12 && !(192..224).contains(&bytes[1]) {
                self.ssrcs.insert(u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]));
            }
        }
        self.machine.handle_datagram(Instant::now(), source, self.local, bytes);
    }

    async fn flush(&mut self) {
        while let Some(datagram) = self.machine.poll_transmit() {
            if !self.muted {
                let _ = self.socket.send_to(&datagram.bytes, datagram.destination).await;
            }
        }
    }

    /// Listens with the client asleep: how many datagrams of media come within that time.
    pub async fn count_media(&mut self, within: Duration) -> u64 {
        let deadline = tokio::time::Instant::now() + within;
        let mut buffer = [0; DATAGRAM_MAX];
        let mut media = 0;
        while let Ok(Ok((len, _))) = timeout_at(deadline, self.socket.recv_from(&mut buffer)).await {
            media += u64::from(len > 0 && (128..192).contains(&buffer[0]));
        }
        media
    }

    /// Goes on from another port, as after a NAT's rebinding.
    pub async fn move_away(&mut self) -> Result<(), Stop> {
        self.socket = socket_towards(self.server).await?;
        Ok(())
    }

    pub async fn inject(&self, bytes: &[u8]) -> Result<(), Stop> {
        self.socket.send_to(bytes, self.server).await?;
        Ok(())
    }

    pub async fn close(&mut self) {
        self.machine.close(Instant::now());
        self.flush().await;
    }

    pub async fn connect(&mut self) -> Result<(), Stop> {
        let done = self
            .run(SOON, |wire| wire.machine.connected_at().is_some() || wire.machine.ending().is_some())
            .await;
        let ending = self.machine.ending().map(ToString::to_string).unwrap_or_default();
        want!(done && ending.is_empty(), "ICE and DTLS do not complete within {SOON:?} {ending}");
        Ok(())
    }
}

/// The address of media can only be learnt by asking: a POST, its first candidate, and a DELETE.
async fn media_address(ctx: &Ctx, url: &Url, offer: &str, key: Option<&str>) -> Result<SocketAddr, Stop> {
    let session = ctx.open_at(url, offer, key).await?;
    ctx.delete(&session).await?;
    let candidates = session.sdp.udp_candidates();
    candidates.first().copied().ok_or_else(|| Stop::Fail("the answer has no UDP candidate".to_owned()))
}

impl Wire<Publisher> {
    /// Posts the offer of a publisher, changed by `edit`, and takes the answer.
    pub async fn post(
        ctx: &Ctx,
        url: &Url,
        edit: impl Fn(String) -> String,
    ) -> Result<(Self, Session), Stop> {
        let key = ctx.key_of(Door::Whip);
        let server = media_address(ctx, url, &crate::sdp::Offer::publish().text(), key).await?;
        let socket = socket_towards(server).await?;
        let local = socket.local_addr()?;
        let clip = Clip::embedded(Codec::Vp8).map_err(|error| Stop::Fail(error.to_string()))?;
        let mut machine = Publisher::new(Instant::now(), clip, &[local], PublisherConfig::default());
        let session = ctx.open_at(url, &edit(machine.offer().to_owned()), key).await?;
        let accepted = machine.accept_answer(Instant::now(), &session.answer.text());
        accepted.map_err(|fault| Stop::Fail(format!("another stack cannot take the answer: {fault}")))?;
        Ok((Self::new(machine, socket, local, server), session))
    }

    pub async fn live(ctx: &Ctx, url: &Url) -> Result<(Self, Session), Stop> {
        let (mut wire, session) = Self::post(ctx, url, |offer| offer).await?;
        wire.connect().await?;
        Ok((wire, session))
    }
}

impl Wire<Player> {
    pub async fn live(ctx: &Ctx, url: &Url) -> Result<(Self, Session), Stop> {
        let key = ctx.key_of(Door::Whep);
        let server = media_address(ctx, url, &crate::sdp::Offer::play().text(), key).await?;
        let socket = socket_towards(server).await?;
        let local = socket.local_addr()?;
        let mut machine = Player::new(Instant::now(), &[local]);
        let session = ctx.open_at(url, machine.sdp(), key).await?;
        let accepted = machine.accept_answer(Instant::now(), &session.answer.text());
        accepted.map_err(|fault| Stop::Fail(format!("another stack cannot take the answer: {fault}")))?;
        let mut wire = Self::new(machine, socket, local, server);
        wire.connect().await?;
        Ok((wire, session))
    }

    /// Until that many more datagrams of media are there.
    pub async fn receives(&mut self, more: u64) -> bool {
        let wanted = self.media + more;
        self.run(SOON, |wire| wire.media >= wanted).await
    }
}

impl<M: Machine> Wire<M> {
    fn new(machine: M, socket: UdpSocket, local: SocketAddr, server: SocketAddr) -> Self {
        let (ssrcs, datagrams, media) = Default::default();
        Self { machine, socket, local, server, ssrcs, datagrams, media, muted: false }
    }
}

/// The strings that a new `Sdp` of a restart's reply has.
pub(crate) fn credentials(text: &str) -> (String, String) {
    let sdp = Sdp::read(text);
    let find = |name: &str| {
        sdp.lines().find_map(|line| line.strip_prefix(&format!("a={name}:"))).unwrap_or_default().to_owned()
    };
    (find("ice-ufrag"), find("ice-pwd"))
}
