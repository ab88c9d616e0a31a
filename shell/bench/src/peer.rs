//! One WebRTC session of the load: str0m, a socket, and the HTTP requests around it.

use crate::BenchError;
use crate::inbox;
use crate::outbox::Outbox;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Url};
use std::net::SocketAddr;
use std::time::Instant;
use str0m::change::SdpAnswer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

/// HTTP requests of one load under way.
const REQUESTS_MAX: usize = 64;

/// How to get a session: where, by which key, with which certificate.
pub(crate) struct Door {
    http: Client,
    endpoint: Url,
    key: Option<String>,
    server: SocketAddr,
    /// One for all: making it costs more than the handshake.
    certificate: DtlsCert,
    gro: bool,
    /// Requests at once; the rest waits, or they would be measured waiting for each other's connections.
    requests: Semaphore,
}

impl Door {
    /// `endpoint` is a WHIP or WHEP URL.
    pub async fn new(endpoint: &str, key: Option<&str>, gro: bool) -> Result<Self, BenchError> {
        let url =
            Url::parse(endpoint).map_err(|fault| BenchError::Url(endpoint.to_owned(), fault.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let server = tokio::net::lookup_host((host.as_str(), port)).await.ok().and_then(|mut all| all.next());
        let server =
            server.ok_or_else(|| BenchError::Url(endpoint.to_owned(), "nobody has this name".to_owned()))?;
        let certificate = crypto().dtls_provider.generate_certificate().ok_or(BenchError::Crypto)?;
        Ok(Self {
            http: Client::new(),
            endpoint: url,
            key: key.map(str::to_owned),
            server,
            certificate,
            gro,
            requests: Semaphore::new(REQUESTS_MAX),
        })
    }

    fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {key}")),
            None => request,
        }
    }

    async fn post(&self, offer: String) -> Result<(String, Url), BenchError> {
        let _turn = self.requests.acquire().await;
        let request = self.request(reqwest::Method::POST, self.endpoint.clone());
        let response = request.header(CONTENT_TYPE, "application/sdp").body(offer).send().await?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let session = location.and_then(|location| response.url().join(location).ok());
        let body = response.text().await?;
        match session {
            Some(session) if status == 201 => Ok((body, session)),
            _ => Err(BenchError::Refused(status, body.chars().take(300).collect())),
        }
    }
}

/// A session, from its POST to its DELETE.
pub(crate) struct Peer {
    pub rtc: Rtc,
    pub socket: UdpSocket,
    outbox: Outbox,
    local: SocketAddr,
    session: Url,
    pub audio: Mid,
    pub video: Mid,
    pub posted_at: Instant,
    pub answered_at: Instant,
    pub connected_at: Option<Instant>,
    /// When str0m wants to be woken.
    pub wake_at: Instant,
    pub is_over: bool,
}

impl Peer {
    /// POSTs an offer and takes the answer.
    pub async fn join(door: &Door, direction: Direction) -> Result<Self, BenchError> {
        let (socket, local) = inbox::open(door.server, door.gro).await?;
        let now = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(crypto().into())
            .set_dtls_cert(door.certificate.clone())
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(BenchError::rtc)?);
        let mut change = rtc.sdp_api();
        let name = Some("bench".to_owned());
        let audio = change.add_media(MediaKind::Audio, direction, name.clone(), None, None);
        let video = change.add_media(MediaKind::Video, direction, name, None, None);
        let (offer, pending) = change.apply().ok_or(BenchError::Crypto)?;
        let posted_at = Instant::now();
        let (answer, session) = door.post(offer.to_sdp_string()).await?;
        let answered_at = Instant::now();
        let answer = SdpAnswer::from_sdp_string(&answer).map_err(BenchError::rtc)?;
        rtc.sdp_api().accept_answer(pending, answer).map_err(BenchError::rtc)?;
        Ok(Self {
            rtc,
            socket,
            outbox: Outbox::default(),
            local,
            session,
            audio,
            video,
            posted_at,
            answered_at,
            connected_at: None,
            wake_at: answered_at,
            is_over: false,
        })
    }

    /// A datagram for str0m.
    pub fn handle(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, datagram)
            && self.rtc.handle_input(Input::Receive(now, receive)).is_err()
        {
            self.is_over = true;
        }
    }

    /// str0m's time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.is_over |= self.rtc.handle_input(Input::Timeout(now)).is_err();
    }

    /// Sends what str0m has to send, hands its events over, and notes when to wake it.
    pub fn drain(&mut self, now: Instant, mut on_event: impl FnMut(&mut Rtc, Event)) {
        while !self.is_over {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    self.outbox.push(&self.socket, transmit.destination, &transmit.contents);
                }
                Ok(Output::Event(Event::Connected)) => self.connected_at = Some(now),
                Ok(Output::Event(event)) => on_event(&mut self.rtc, event),
                Ok(Output::Timeout(at)) => {
                    self.wake_at = at;
                    break;
                }
                Err(_) => self.is_over = true,
            }
        }
        self.outbox.flush(&self.socket);
        self.is_over |= !self.rtc.is_alive();
    }

    /// Ends the session.
    pub async fn leave(self, door: &Door) {
        let _turn = door.requests.acquire().await;
        let _ = door.request(reqwest::Method::DELETE, self.session).send().await;
    }
}

fn crypto() -> CryptoProvider {
    str0m::crypto::from_feature_flags()
}
