//! The WHEP player without its sockets: receives, repairs, and counts instead of decoding.
//!
//! Make one, POST its offer, hand over the answer, then feed it datagrams and the time and send what it gives.

use crate::link::{BadSdp, Datagram, Ending, Link, Machine};
use crate::meter::{Arrival, LipSync, Meter};
use crate::publisher::rtp_payload_type;
use crate::report::{TrackReport, track_reports};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::format::Codec as StrCodec;
use str0m::media::{Direction, KeyframeRequestKind, Mid};
use str0m::rtp::RtpPacket;
use str0m::{Event, RtcConfig};
use wtn_media::{Codec, MediaKind, Ssrc, peek};

/// How long packets may come without a first picture before a keyframe is asked for: a server that starts with
/// one needs no request. A picture that has stopped is worth a request at once.
const KEYFRAME_PATIENCE: Duration = Duration::from_millis(300);
/// The least time between two requests.
const KEYFRAME_SPACING: Duration = Duration::from_secs(1);

/// What a player has asked for and what came of it, beside the tracks' own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayerStats {
    /// RTX packets, also those that brought nothing new.
    pub retransmissions: u64,
    /// PLIs sent.
    pub keyframe_requests: u64,
    /// Packets asked for again.
    pub nacks: u64,
    /// Milliseconds by which sound comes later than its picture, by the sender reports.
    pub sound_late_ms: Option<f64>,
}

/// One WHEP session, receiving.
pub struct Player {
    link: Link,
    mids: [Option<Mid>; 2],
    formats: Vec<(u8, Codec)>,
    repair_formats: Vec<u8>,
    meters: [Meter; 2],
    lip_sync: LipSync,
    stats: PlayerStats,
    may_ask_for_keyframe: bool,
    stuck_since: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Player {
    /// `locals` are the addresses of the caller's UDP sockets: its host candidates.
    pub fn new(now: Instant, locals: &[SocketAddr]) -> Self {
        let (link, audio, video) = Link::offer(rtc_config(), now, locals, Direction::RecvOnly);
        Self::over(link, [Some(audio), Some(video)])
    }

    /// Takes the server's offer instead of making one (a WHEP 406); [`Self::sdp`] is then the answer to
    /// PATCH.
    pub fn answering(now: Instant, locals: &[SocketAddr], offer: &str) -> Result<Self, BadSdp> {
        let mut player = Self::over(Link::answer(rtc_config(), now, locals, offer)?, [None; 2]);
        player.learn_formats();
        player.drain(now, None);
        Ok(player)
    }

    fn over(link: Link, mids: [Option<Mid>; 2]) -> Self {
        Self {
            link,
            mids,
            formats: Vec::new(),
            repair_formats: Vec::new(),
            meters: MediaKind::ALL.map(Meter::new),
            lip_sync: LipSync::default(),
            stats: PlayerStats::default(),
            may_ask_for_keyframe: false,
            stuck_since: None,
            asked_at: None,
        }
    }

    /// The body of the POST, which offers every codec that wtn forwards; or of the PATCH, see
    /// [`Self::answering`].
    pub fn sdp(&self) -> &str {
        self.link.sdp()
    }

    /// The body of the 201.
    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), BadSdp> {
        self.link.accept_answer(now, sdp)?;
        self.learn_formats();
        Ok(())
    }

    fn learn_formats(&mut self) {
        for params in self.link.rtc().codec_config().params() {
            let Some(codec) = codec_of(params.spec().codec) else { continue };
            self.formats.push((*params.pt(), codec));
            self.repair_formats.extend(params.resend().map(|pt| *pt));
            self.may_ask_for_keyframe |= codec.kind() == MediaKind::Video && params.fb_pli();
        }
    }

    /// The tracks of which anything came, video first. `since` is when the POST was sent; a track that is
    /// silent at `now` has died.
    pub fn tracks(&self, since: Instant, now: Instant) -> Vec<TrackReport> {
        let tallies = MediaKind::ALL.into_iter().zip(self.meters.iter().map(Meter::tally));
        track_reports(tallies, since, now)
    }

    /// The sums so far.
    pub fn stats(&self) -> PlayerStats {
        PlayerStats { sound_late_ms: self.lip_sync.sound_late_ms(), ..self.stats }
    }
}

impl Machine for Player {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        self.link.handle_datagram(now, source, destination, bytes);
        let format = rtp_payload_type(bytes);
        let passed_on = self.drain(now, format);
        if self.link.connected_at().is_some()
            && let Some(pt) = format
        {
            self.count(pt, bytes, passed_on);
        }
        self.look_after(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.drain(now, None);
        for meter in &mut self.meters {
            meter.handle_timeout(now);
        }
        self.look_after(now);
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.link.poll_transmit()
    }

    fn next_timeout(&self) -> Option<Instant> {
        let holes = self.meters.iter().filter_map(Meter::next_timeout);
        Some(holes.chain(self.asks_at()).fold(self.link.next_timeout()?, Instant::min))
    }

    fn connected_at(&self) -> Option<Instant> {
        self.link.connected_at()
    }

    fn ending(&self) -> Option<&Ending> {
        self.link.ending()
    }

    fn close(&mut self, now: Instant) {
        self.link.close(now);
    }
}

impl Player {
    /// Takes what str0m has to say. True if it passed on a packet.
    fn drain(&mut self, now: Instant, wire_format: Option<u8>) -> bool {
        let is_repair = wire_format.is_some_and(|pt| self.repair_formats.contains(&pt));
        let mut passed_on = false;
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::RtpPacket(packet) => {
                    passed_on = true;
                    self.on_packet(now, &packet, is_repair);
                }
                Event::SenderFeedback(feedback) => {
                    if let Some(kind) = self.kind_of(feedback.mid) {
                        let info = feedback.sender_info;
                        self.lip_sync.on_report(now, kind, info.ntp_time, info.rtp_time.numer() as u32);
                    }
                }
                Event::MediaAdded(added) => {
                    let kind = if added.kind.is_audio() { MediaKind::Audio } else { MediaKind::Video };
                    self.mids[kind.index()].get_or_insert(added.mid);
                }
                Event::MediaIngressStats(stats) if self.kind_of(stats.mid) == Some(MediaKind::Video) => {
                    self.stats.nacks = stats.nacks;
                }
                _ => {}
            }
        }
        passed_on
    }

    fn on_packet(&mut self, now: Instant, packet: &RtpPacket, is_repair: bool) {
        let Some(codec) = self.codec(*packet.header.payload_type) else { return };
        let kind = codec.kind();
        self.meters[kind.index()].on_packet(Arrival {
            at: now,
            ssrc: Ssrc(*packet.header.ssrc),
            codec,
            seq: *packet.seq_no,
            time: packet.time.numer(),
            marker: packet.header.marker,
            payload_len: packet.payload.len(),
            is_keyframe_start: peek::marks(codec, &packet.payload).keyframe_start,
            is_repair,
        });
        if !is_repair {
            self.lip_sync.on_packet(now, kind, packet.header.timestamp, codec.clock_rate());
        }
    }

    /// An RTP packet has come. One that str0m kept to itself had come before, or its source or tag is wrong.
    fn count(&mut self, pt: u8, bytes: &[u8], passed_on: bool) {
        if self.repair_formats.contains(&pt) {
            self.stats.retransmissions += 1;
        } else if !passed_on && let (Some(codec), Some(seq)) = (self.codec(pt), bytes.get(2..4)) {
            self.meters[codec.kind().index()].on_refused(u16::from_be_bytes([seq[0], seq[1]]));
        }
    }

    fn look_after(&mut self, now: Instant) {
        let is_stuck = self.meters[MediaKind::Video.index()].wants_keyframe();
        self.stuck_since = if is_stuck { self.stuck_since.or(Some(now)) } else { None };
        if self.asks_at().is_some_and(|at| at <= now) {
            self.asked_at = Some(now);
            self.ask_for_keyframe(now);
        }
    }

    fn asks_at(&self) -> Option<Instant> {
        if !self.may_ask_for_keyframe || self.link.ending().is_some() {
            return None;
        }
        let had_one = self.meters[MediaKind::Video.index()].tally().keyframes > 0;
        let patience = if had_one { Duration::ZERO } else { KEYFRAME_PATIENCE };
        let patient_until = self.stuck_since? + patience;
        Some(self.asked_at.map_or(patient_until, |asked_at| patient_until.max(asked_at + KEYFRAME_SPACING)))
    }

    fn ask_for_keyframe(&mut self, now: Instant) {
        let Some(ssrc) = self.meters[MediaKind::Video.index()].ssrc() else { return };
        if let Some(stream) = self.link.rtc().direct_api().stream_rx(&ssrc.0.into()) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.stats.keyframe_requests += 1;
            self.link.settle(now);
        }
    }

    fn kind_of(&self, mid: Mid) -> Option<MediaKind> {
        MediaKind::ALL.into_iter().find(|kind| self.mids[kind.index()] == Some(mid))
    }

    fn codec(&self, pt: u8) -> Option<Codec> {
        self.formats.iter().find(|(format, _)| *format == pt).map(|(_, codec)| *codec)
    }
}

/// Whole packets instead of frames, of every codec that wtn forwards.
fn rtc_config() -> RtcConfig {
    RtcConfig::new()
        .set_rtp_mode(true)
        .set_stats_interval(Some(Duration::from_secs(1)))
        .enable_pcmu(true, false)
        .enable_pcma(true, false)
        .enable_g722(true, false)
}

fn codec_of(codec: StrCodec) -> Option<Codec> {
    Some(match codec {
        StrCodec::H264 => Codec::H264,
        StrCodec::H265 => Codec::H265,
        StrCodec::Vp8 => Codec::Vp8,
        StrCodec::Vp9 => Codec::Vp9,
        StrCodec::Av1 => Codec::Av1,
        StrCodec::Opus => Codec::Opus,
        StrCodec::PCMU => Codec::Pcmu,
        StrCodec::PCMA => Codec::Pcma,
        StrCodec::G722 => Codec::G722,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn play_01_offers_every_codec_that_wtn_forwards_to_receive_only() {
        let player = Player::new(Instant::now(), &["192.0.2.1:5000".parse().expect("addr")]);
        for codec in Codec::ALL {
            let rtpmap = format!(" {}/", codec.name());
            let has_it =
                player.sdp().lines().any(|line| line.starts_with("a=rtpmap:") && line.contains(&rtpmap));
            assert!(has_it, "{codec}");
        }
        assert_eq!(player.sdp().matches("a=recvonly\r\n").count(), 2);
        assert!(player.sdp().len() < 16 * 1024, "{}", player.sdp().len());
    }
}
