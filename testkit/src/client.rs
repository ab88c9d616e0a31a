//! What publisher and viewer have in common: a str0m instance with an address, offers and answers as text.

use crate::network::{Delivery, EndpointId};
use crate::{chance, clock::ms};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use str0m::bwe::Bitrate;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::Ssrc;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};
use wtn_media::Codec;

/// Reports of audio go out at an odd interval, so that they seldom meet those of video.
const AUDIO_REPORTS: std::time::Duration = ms(4_970);

/// A client's own view of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// ICE and DTLS were done.
    pub connected_at: Option<Instant>,
    /// ICE has lost the peer, for now.
    pub is_disconnected: bool,
    /// The peer said goodbye (close_notify), or str0m gave up.
    pub closed_at: Option<Instant>,
}

impl Standing {
    /// Connected, and nobody has said goodbye.
    pub fn is_connected(&self) -> bool {
        self.connected_at.is_some() && self.closed_at.is_none()
    }
}

pub(crate) struct Client {
    pub rtc: Rtc,
    id: EndpointId,
    pending: Option<SdpPendingOffer>,
    wake_at: Instant,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    standing: Standing,
}

/// Tracks of one client.
pub(crate) struct Tracks {
    pub video: Option<Mid>,
    pub audio: Option<Mid>,
}

impl Client {
    /// `inside` is its host candidate. It knows these video codecs, and Opus.
    pub fn new(now: Instant, id: EndpointId, inside: SocketAddr, video: &[Codec]) -> Self {
        Self::with_estimate(now, id, inside, video, None)
    }

    /// The same; with a first guess in kbit/s it estimates what its line carries.
    pub fn with_estimate(
        now: Instant,
        id: EndpointId,
        inside: SocketAddr,
        video: &[Codec],
        first_guess: Option<u32>,
    ) -> Self {
        let mut config = RtcConfig::new()
            .set_crypto_provider(chance::client_crypto())
            .set_dtls_cert(chance::certificate(1))
            .set_rtp_mode(true)
            .set_rtcp_report_interval_audio(AUDIO_REPORTS)
            .clear_codecs()
            .enable_opus(true, false);
        for codec in video {
            config = match codec {
                Codec::H264 => config.enable_h264(true),
                Codec::Vp9 => config.enable_vp9(true),
                Codec::Av1 => config.enable_av1(true),
                Codec::H265 => config.enable_h265(true),
                _ => config.enable_vp8(true),
            };
        }
        if let Some(guess) = first_guess {
            config = config.enable_bwe(Some(Bitrate::kbps(guess.into())));
        }
        let mut rtc = config.build(now);
        let candidate = Candidate::host(inside, "udp").expect("a usable host address");
        rtc.add_local_candidate(candidate);
        let standing = Standing::default();
        Self { rtc, id, pending: None, wake_at: now, outbox: VecDeque::new(), standing }
    }

    /// Writes an offer with one video and, if wanted, one audio track. With rids the video is simulcast.
    pub fn offer(&mut self, direction: Direction, audio: bool, rids: &[&str]) -> (String, Tracks) {
        let mut change = self.rtc.sdp_api();
        let mut add =
            |kind, simulcast| change.add_media(kind, direction, Some("show".into()), None, simulcast);
        let audio = audio.then(|| add(MediaKind::Audio, None));
        let layers = rids.iter().map(|rid| SimulcastLayer::new(rid)).collect();
        let simulcast = (!rids.is_empty()).then_some(Simulcast { send: layers, recv: Vec::new() });
        let video = Some(add(MediaKind::Video, simulcast));
        let (offer, pending) = change.apply().expect("there are changes");
        self.pending = Some(pending);
        (offer.to_sdp_string(), Tracks { video, audio })
    }

    /// Begins its ICE anew; the answer is an offer with the new credentials.
    pub fn restart(&mut self) -> String {
        let mut change = self.rtc.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().expect("there is a change");
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub fn accept_answer(&mut self, answer: &str) -> Result<(), RtcError> {
        let answer = SdpAnswer::from_sdp_string(answer)?;
        let pending = self.pending.take().expect("an offer is pending");
        self.rtc.sdp_api().accept_answer(pending, answer)
    }

    pub fn answer(&mut self, offer: &str) -> Result<String, RtcError> {
        let offer = SdpOffer::from_sdp_string(offer)?;
        Ok(self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string())
    }

    pub fn id(&self) -> EndpointId {
        self.id
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Feeds a datagram; one that is not for this instance is ignored, as a real client would.
    pub fn handle_datagram(&mut self, now: Instant, delivery: &Delivery) {
        let (source, destination) = (delivery.source, delivery.destination);
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, &delivery.bytes) else { return };
        let input = Input::Receive(now, receive);
        if self.rtc.accepts(&input) {
            self.input(now, input);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wake_at <= now {
            self.input(now, Input::Timeout(now));
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.rtc.is_alive().then_some(self.wake_at)
    }

    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// Empties str0m into the outbox and the list of events. Follows every change, by str0m's contract.
    pub fn drain(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.wake_at = at.max(now);
                    break;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.outbox.push_back((transmit.destination, transmit.contents.to_vec()));
                }
                Ok(Output::Event(event)) => {
                    self.note(now, &event);
                    events.push(event);
                }
                Err(_) => self.rtc.disconnect(),
            }
        }
        if !self.rtc.is_alive() {
            self.standing.closed_at.get_or_insert(now);
        }
        events
    }

    /// Says goodbye: close_notify is in the outbox afterwards.
    pub fn close(&mut self, now: Instant) {
        if self.rtc.close().is_ok() {
            self.drain(now);
        }
    }

    /// Gone without a word.
    pub fn vanish(&mut self) {
        self.rtc.disconnect();
        self.outbox.clear();
    }

    /// Asks the sender of that track for a keyframe by PLI.
    pub fn ask_for_keyframe(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
            stream.request_keyframe(str0m::media::KeyframeRequestKind::Pli);
        }
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        if self.rtc.is_alive() && self.rtc.handle_input(input).is_err() {
            self.rtc.disconnect();
            self.standing.closed_at.get_or_insert(now);
        }
    }

    fn note(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Connected => {
                self.standing.connected_at.get_or_insert(now);
            }
            Event::IceConnectionStateChange(state) => {
                self.standing.is_disconnected = *state == IceConnectionState::Disconnected;
            }
            Event::Closed => {
                self.standing.closed_at.get_or_insert(now);
            }
            _ => {}
        }
    }
}
