//! One str0m session, driven the one way its contract allows: change it once, then drain it.
//!
//! Publisher and player are both built on it. Nothing here reads a clock or a socket: time and datagrams come
//! in, datagrams and the next wake-up go out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};

/// How long a path that answers no more checks may come back. str0m has by then waited 20 s for an answer
/// (consent, RFC 7675 §5.1, ends after 30 s).
const PATH_LOST_AFTER: Duration = Duration::from_secs(5);
/// Turns in which str0m may ask for the time at once, before we believe that it will do so for ever.
const SETTLE_TURNS: usize = 64;

/// A UDP payload and its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Whose socket it leaves by: one of the addresses handed to the constructor.
    pub source: SocketAddr,
    /// The far end.
    pub destination: SocketAddr,
    /// STUN, DTLS, SRTP or SRTCP.
    pub bytes: Vec<u8>,
}

/// Why a session is over without our doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// DTLS close_notify from the server.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// Connectivity checks have gone unanswered (RFC 7675).
    #[error("the network path to the server was lost")]
    PathLost,
    /// A handshake or a rule of the protocol failed.
    #[error("the connection failed: {0}")]
    Failed(String),
}

/// An answer, or an offer, of the server that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSdp(pub String);

/// The shape of publisher and player: give it datagrams and the time, then drain what it has to send.
pub trait Machine {
    /// A datagram from `source` came to the socket at `destination`.
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, bytes: &[u8]);
    /// The time of [`Self::next_timeout`] has come, or any other.
    fn handle_timeout(&mut self, now: Instant);
    /// Drain this after every other call.
    fn poll_transmit(&mut self) -> Option<Datagram>;
    /// When to call [`Self::handle_timeout`]; `None` once the session has ended.
    fn next_timeout(&self) -> Option<Instant>;
    /// When ICE and DTLS were through.
    fn connected_at(&self) -> Option<Instant>;
    /// Set when the session ended without our doing.
    fn ending(&self) -> Option<&Ending>;
    /// BYE and close_notify; then drain the transmits once more.
    fn close(&mut self, now: Instant);
}

pub(crate) struct Link {
    rtc: Rtc,
    sdp: String,
    pending: Option<SdpPendingOffer>,
    transmits: VecDeque<Datagram>,
    events: VecDeque<Event>,
    wake_at: Instant,
    connected_at: Option<Instant>,
    path_missing_since: Option<Instant>,
    ending: Option<Ending>,
}

impl Link {
    /// Makes an offer with one audio and one video section in direction `direction`.
    pub fn offer(
        config: RtcConfig,
        now: Instant,
        locals: &[SocketAddr],
        direction: Direction,
    ) -> (Self, Mid, Mid) {
        let mut link = Self::new(config, now, locals);
        // The track id is the CNAME too, which has to be one for the whole session (RFC 8834 §4.9).
        let name = Some("wtn".to_owned());
        let mut change = link.rtc.sdp_api();
        let audio = change.add_media(MediaKind::Audio, direction, name.clone(), name.clone(), None);
        let video = change.add_media(MediaKind::Video, direction, name.clone(), name, None);
        let (offer, pending) = change.apply().expect("two new sections need an offer");
        link.sdp = complete(&offer.to_sdp_string());
        link.pending = Some(pending);
        link.settle(now);
        (link, audio, video)
    }

    /// Answers an offer: for a server that wants to be the one who offers (a WHEP 406).
    pub fn answer(
        config: RtcConfig,
        now: Instant,
        locals: &[SocketAddr],
        offer: &str,
    ) -> Result<Self, BadSdp> {
        let mut link = Self::new(config, now, locals);
        let offer =
            SdpOffer::from_sdp_string(&with_ports(offer)).map_err(|fault| BadSdp(fault.to_string()))?;
        let answer = link.rtc.sdp_api().accept_offer(offer).map_err(|fault| BadSdp(fault.to_string()))?;
        link.sdp = complete(&answer.to_sdp_string());
        link.settle(now);
        Ok(link)
    }

    fn new(config: RtcConfig, now: Instant, locals: &[SocketAddr]) -> Self {
        let mut rtc = config.build(now);
        for candidate in locals.iter().filter_map(|addr| Candidate::host(*addr, "udp").ok()) {
            rtc.add_local_candidate(candidate);
        }
        Self {
            rtc,
            sdp: String::new(),
            pending: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            wake_at: now,
            connected_at: None,
            path_missing_since: None,
            ending: None,
        }
    }

    /// Our offer or answer.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), BadSdp> {
        let bad = |fault: &dyn std::fmt::Display| BadSdp(fault.to_string());
        let pending = self.pending.take().ok_or_else(|| bad(&"there is an answer already"))?;
        let answer = SdpAnswer::from_sdp_string(&with_ports(sdp)).map_err(|fault| bad(&fault))?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|fault| bad(&fault))?;
        self.settle(now);
        Ok(())
    }

    /// True if something other than STUN, DTLS and RTP came, or STUN that cannot be read.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, bytes) else {
            return true;
        };
        let input = Input::Receive(now, receive);
        if self.rtc.accepts(&input) {
            let outcome = self.rtc.handle_input(input);
            self.note(outcome);
            self.settle(now);
        }
        false
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let outcome = self.rtc.handle_input(Input::Timeout(now));
        self.note(outcome);
        self.settle(now);
        if self.path_missing_since.is_some_and(|since| now >= since + PATH_LOST_AFTER) {
            self.ending.get_or_insert(Ending::PathLost);
        }
    }

    /// `None` once the session has ended.
    pub fn next_timeout(&self) -> Option<Instant> {
        let lost_at = self.path_missing_since.map(|since| since + PATH_LOST_AFTER);
        let next = lost_at.map_or(self.wake_at, |lost_at| self.wake_at.min(lost_at));
        self.ending.is_none().then_some(next)
    }

    pub fn poll_transmit(&mut self) -> Option<Datagram> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// RTCP BYE and DTLS close_notify; nothing else is sent after them.
    pub fn close(&mut self, now: Instant) {
        if let Err(fault) = self.rtc.close() {
            tracing::debug!(%fault, "closing");
        }
        self.settle(now);
    }

    /// The payload types that the answer left for `mid`, the preferred one first; empty if the server wants
    /// nothing of that track.
    pub fn sending_format(&mut self, mid: Mid) -> Option<Pt> {
        if !self.rtc.media(mid).is_some_and(|media| media.direction().is_sending()) {
            return None;
        }
        self.rtc.writer(mid)?.payload_params().next().map(|params| params.pt())
    }

    /// Sends one encoded frame. `captured` is the moment it belongs to, of which sender reports tell.
    pub fn write(
        &mut self,
        now: Instant,
        mid: Mid,
        pt: Pt,
        captured: Instant,
        time: MediaTime,
        data: std::sync::Arc<[u8]>,
    ) {
        if let Some(writer) = self.rtc.writer(mid) {
            let outcome = writer.write(pt, captured, time, data);
            self.note(outcome);
            self.settle(now);
        }
    }

    /// For what only one of publisher and player needs; whoever changes something calls `settle`.
    pub fn rtc(&mut self) -> &mut Rtc {
        &mut self.rtc
    }

    /// Drains, and hands over the time as often as str0m asks for it at once (packetizing is such a turn).
    pub fn settle(&mut self, now: Instant) {
        for _ in 0..SETTLE_TURNS {
            self.drain(now);
            if self.wake_at > now || self.ending.is_some() {
                break;
            }
            let outcome = self.rtc.handle_input(Input::Timeout(now));
            self.note(outcome);
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.wake_at = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => self.transmits.push_back(Datagram {
                    source: transmit.source,
                    destination: transmit.destination,
                    bytes: transmit.contents.into(),
                }),
                Ok(Output::Event(event)) => self.on_event(now, event),
                Err(fault) => {
                    self.note(Err(fault));
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected_at = Some(now),
            Event::Closed => {
                self.ending.get_or_insert(Ending::ClosedByServer);
            }
            Event::IceConnectionStateChange(state) => {
                let is_missing = state == IceConnectionState::Disconnected;
                self.path_missing_since =
                    if is_missing { self.path_missing_since.or(Some(now)) } else { None };
            }
            other => self.events.push_back(other),
        }
    }

    /// str0m drops noise by itself; what it reports cannot be gone on from.
    fn note(&mut self, outcome: Result<(), RtcError>) {
        if let Err(fault) = outcome {
            self.ending.get_or_insert(Ending::Failed(fault.to_string()));
        }
    }
}

/// Adds what str0m leaves out: `rtcp-mux-only` (RFC 8858 §3, wanted by RFC 9725 §4.4.1) and, since
/// all candidates are there and none will trickle, `end-of-candidates` (RFC 8840 §4.1).
fn complete(sdp: &str) -> String {
    let last_candidate = sdp.lines().rfind(|line| line.starts_with("a=candidate:"));
    let mut completed = String::with_capacity(sdp.len() + 128);
    for line in sdp.lines() {
        completed.push_str(line);
        completed.push_str("\r\n");
        if line == "a=rtcp-mux" {
            completed.push_str("a=rtcp-mux-only\r\n");
        }
        if Some(line) == last_candidate {
            completed.push_str("a=end-of-candidates\r\n");
        }
    }
    completed
}

/// Gives bundle-only sections the port that they share. str0m takes port 0 for a refusal also there, where it
/// is none (RFC 9143 §6).
fn with_ports(sdp: &str) -> String {
    let is_section = |line: &str| line.starts_with("m=");
    let lines: Vec<_> = sdp.lines().collect();
    let mut changed = String::with_capacity(sdp.len());
    for (at, line) in lines.iter().enumerate() {
        let mut section = lines[at + 1..].iter().take_while(|line| !is_section(line));
        let shares = is_section(line) && section.any(|line| line.trim_end() == "a=bundle-only");
        changed.push_str(&if shares { line.replacen(" 0 ", " 9 ", 1) } else { (*line).to_owned() });
        changed.push_str("\r\n");
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(locals: &[&str]) -> Link {
        let locals: Vec<_> = locals.iter().map(|addr| addr.parse().expect("an address")).collect();
        Link::offer(RtcConfig::new(), Instant::now(), &locals, Direction::SendOnly).0
    }

    #[test]
    fn cli_01_offer_is_one_bundle_of_one_audio_and_one_video_with_mux_only_and_actpass() {
        let link = link(&["192.0.2.1:5000", "192.0.2.2:5001"]);
        let count = |wanted: &str| link.sdp().lines().filter(|line| line.starts_with(wanted)).count();
        assert_eq!((count("m=audio 9 "), count("m=video 9 "), count("m=")), (1, 1, 2));
        assert_eq!(count("a=group:BUNDLE "), 1);
        assert_eq!((count("a=rtcp-mux\n"), count("a=rtcp-mux-only")), (0, 2));
        assert_eq!((count("a=setup:actpass"), count("a=sendonly")), (2, 2));
        assert_eq!((count("a=candidate:"), count("a=end-of-candidates")), (2, 1));
        assert!(link.sdp().starts_with("v=0\r\n") && !link.sdp().replace("\r\n", "").contains('\n'));
    }

    #[test]
    fn a_bundle_only_section_is_no_refusal_and_port_zero_alone_is_one() {
        let sdp = "v=0\r\nm=audio 0 X 1\r\na=mid:0\r\nm=video 0 X 0\r\na=mid:1\r\na=bundle-only\r\nm=audio 7 X 1\r\n";
        let expected = sdp.replace("m=video 0 X 0", "m=video 9 X 0");
        assert_eq!(with_ports(sdp), expected);
    }

    #[test]
    fn an_answer_that_is_no_sdp_is_refused() {
        let mut link = link(&["192.0.2.1:5000"]);
        assert!(link.accept_answer(Instant::now(), "<html>").is_err());
    }

    #[test]
    fn noise_is_told_apart_and_does_no_harm() {
        let mut link = link(&["192.0.2.1:5000"]);
        let (from, to) = ("192.0.2.9:9".parse().expect("addr"), "192.0.2.1:5000".parse().expect("addr"));
        assert!(link.handle_datagram(Instant::now(), from, to, &[255; 40]));
        assert!(link.handle_datagram(Instant::now(), from, to, &[]));
        assert_eq!(link.ending(), None);
    }
}
