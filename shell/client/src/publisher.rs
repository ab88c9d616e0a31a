//! The WHIP client without its sockets: sends the test clip at its own pace, and a keyframe when asked.
//!
//! Make one, POST its offer, hand over the answer, then feed it datagrams and the time and send what it gives.

use crate::clip::{AUDIO_TICKS, Clip, VIDEO_TICKS};
use crate::link::{BadSdp, Datagram, Ending, Link, Machine};
use crate::timeline::Timeline;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::format::Codec as StrCodec;
use str0m::media::{Direction, Frequency, MediaTime, Mid, Pt};
use str0m::{Event, RtcConfig};
use wtn_media::{Codec, MediaKind};

/// The least time between keyframes that were asked for: a request that comes while the last one is on its
/// way is answered after it, still within the 500 ms that a viewer may have to wait.
const KEYFRAME_SPACING: Duration = Duration::from_millis(250);

const VIDEO_PT: u8 = 96;
const RTX_PT: u8 = 97;

/// How to publish.
#[derive(Clone, Debug, Default)]
pub struct PublisherConfig {
    /// Stop after that long; without it, never.
    pub length: Option<Duration>,
    /// The first time stamp of both tracks (RFC 3550 §5.1: random). The clip's own time is added.
    pub rtp_start: u32,
    /// A moment on the wall clock: H.264 pictures then show the time at which they are sent.
    pub wall: Option<(Instant, SystemTime)>,
}

/// What one track has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentTrack {
    /// Pictures, or packets of sound.
    pub frames: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Encoded bytes.
    pub bytes: u64,
    /// RTP packets, without those sent again.
    pub packets: u64,
}

/// What a publisher has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PublisherStats {
    /// By [`MediaKind::index`].
    pub tracks: [SentTrack; 2],
    /// RTP packets sent again, because the server asked for them.
    pub retransmissions: u64,
    /// PLI and FIR received.
    pub keyframe_requests: u64,
    /// Round-trip time by the server's last receiver report.
    pub rtt: Option<Duration>,
    /// Packets that the server says it never got.
    pub lost_remotely: u64,
}

/// One WHIP session, sending.
pub struct Publisher {
    link: Link,
    clip: Clip,
    config: PublisherConfig,
    mids: [Mid; 2],
    formats: [Option<Pt>; 2],
    timeline: Option<Timeline>,
    keyframe_wanted: bool,
    last_keyframe_at: Option<Instant>,
    is_closed: bool,
    stats: PublisherStats,
}

impl Publisher {
    /// `locals` are the addresses of the caller's UDP sockets: its host candidates.
    pub fn new(now: Instant, clip: Clip, locals: &[SocketAddr], config: PublisherConfig) -> Self {
        let (link, audio, video) = Link::offer(rtc_config(clip.codec()), now, locals, Direction::SendOnly);
        Self {
            link,
            clip,
            config,
            mids: [audio, video],
            formats: [None; 2],
            timeline: None,
            keyframe_wanted: false,
            last_keyframe_at: None,
            is_closed: false,
            stats: PublisherStats::default(),
        }
    }

    /// The body of the POST.
    pub fn offer(&self) -> &str {
        self.link.sdp()
    }

    /// The body of the 201. A server that leaves out one of the two tracks is refused: WHIP knows no partial
    /// answers (RFC 9725 §4.4.2).
    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), BadSdp> {
        self.link.accept_answer(now, sdp)?;
        self.formats = self.mids.map(|mid| self.link.sending_format(mid));
        match MediaKind::ALL.into_iter().find(|kind| self.formats[kind.index()].is_none()) {
            Some(kind) => Err(BadSdp(format!("the server does not take the {kind} track"))),
            None => Ok(()),
        }
    }

    /// Everything that was to be sent has been.
    pub fn is_over(&self) -> bool {
        self.timeline.as_ref().is_some_and(Timeline::is_over)
    }

    /// The sums so far.
    pub fn stats(&self) -> PublisherStats {
        self.stats
    }
}

impl Machine for Publisher {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        self.link.handle_datagram(now, source, destination, bytes);
        self.turn(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.turn(now);
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        let datagram = self.link.poll_transmit()?;
        if let Some(pt) = rtp_payload_type(&datagram.bytes) {
            self.count(pt);
        }
        Some(datagram)
    }

    fn next_timeout(&self) -> Option<Instant> {
        let due_at = self.timeline.as_ref().filter(|timeline| !timeline.is_over()).map(Timeline::due_at);
        let next = self.link.next_timeout()?;
        Some(due_at.map_or(next, |due_at| next.min(due_at)))
    }

    fn connected_at(&self) -> Option<Instant> {
        self.link.connected_at()
    }

    fn ending(&self) -> Option<&Ending> {
        self.link.ending()
    }

    fn close(&mut self, now: Instant) {
        self.is_closed = true;
        self.timeline = None;
        self.link.close(now);
    }
}

impl Publisher {
    fn turn(&mut self, now: Instant) {
        while let Some(event) = self.link.poll_event() {
            self.on_event(event);
        }
        if self.timeline.is_none()
            && !self.is_closed
            && let Some(connected_at) = self.link.connected_at()
            && self.link.ending().is_none()
        {
            self.timeline = Some(Timeline::new(connected_at, self.clip.slots(), self.config.length));
        }
        self.send_due(now);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::KeyframeRequest(request) if request.mid == self.mids[MediaKind::Video.index()] => {
                self.keyframe_wanted = true;
                self.stats.keyframe_requests += 1;
            }
            Event::MediaEgressStats(stats) => {
                self.stats.rtt = stats.rtt.or(self.stats.rtt);
                if stats.mid == self.mids[MediaKind::Video.index()]
                    && let Some(remote) = stats.remote
                {
                    self.stats.lost_remotely = remote.packets_lost;
                }
            }
            _ => {}
        }
    }

    fn send_due(&mut self, now: Instant) {
        let Some(mut timeline) = self.timeline.take() else { return };
        if timeline.catch_up(now) {
            self.keyframe_wanted = true;
        }
        while !timeline.is_over() && timeline.due_at() <= now && self.link.ending().is_none() {
            let captured = timeline.due_at();
            if timeline.has_picture() {
                if self.keyframe_wanted && self.may_send_keyframe(captured) {
                    timeline.jump(self.clip.keyframe_near(timeline.place()));
                }
                self.send_picture(now, captured, &timeline);
            }
            self.send_sound(now, captured, &timeline);
            timeline.advance();
        }
        // `close` may not come in between, so the timeline is ours to put back.
        self.timeline = Some(timeline);
    }

    fn may_send_keyframe(&self, at: Instant) -> bool {
        self.last_keyframe_at.is_none_or(|last| at >= last + KEYFRAME_SPACING)
    }

    fn send_picture(&mut self, now: Instant, captured: Instant, timeline: &Timeline) {
        let index = (timeline.place() / crate::clip::SLOTS_PER_FRAME) as usize;
        let Some(frame) = self.clip.video().get(index).cloned() else { return };
        let sent = &mut self.stats.tracks[MediaKind::Video.index()];
        if frame.is_keyframe {
            sent.keyframes += 1;
            self.last_keyframe_at = Some(captured);
            self.keyframe_wanted = false;
        }
        let time = MediaTime::from_90khz(u64::from(self.config.rtp_start) + timeline.slot() * VIDEO_TICKS);
        let shown_at = self.config.wall.map(|wall| unix_ms(wall, captured));
        let data = shown_at.map_or(frame.data.clone(), |ms| self.clip.with_time(&frame, ms));
        self.send(MediaKind::Video, now, captured, time, data);
    }

    fn send_sound(&mut self, now: Instant, captured: Instant, timeline: &Timeline) {
        let Some(packet) = self.clip.audio().get(timeline.place() as usize).cloned() else { return };
        let ticks = u64::from(self.config.rtp_start) + timeline.slot() * AUDIO_TICKS;
        let time = MediaTime::new(ticks, Frequency::FORTY_EIGHT_KHZ);
        self.send(MediaKind::Audio, now, captured, time, packet);
    }

    fn send(
        &mut self,
        kind: MediaKind,
        now: Instant,
        captured: Instant,
        time: MediaTime,
        data: std::sync::Arc<[u8]>,
    ) {
        let Some(pt) = self.formats[kind.index()] else { return };
        let sent = &mut self.stats.tracks[kind.index()];
        sent.frames += 1;
        sent.bytes += data.len() as u64;
        self.link.write(now, self.mids[kind.index()], pt, captured, time, data);
    }

    fn count(&mut self, pt: u8) {
        match MediaKind::ALL.into_iter().find(|kind| self.formats[kind.index()] == Some(pt.into())) {
            Some(kind) => self.stats.tracks[kind.index()].packets += 1,
            None => self.stats.retransmissions += 1,
        }
    }
}

/// Milliseconds since 1970-01-01 UTC at `at`, modulo 2^32.
fn unix_ms((then, wall): (Instant, SystemTime), at: Instant) -> u32 {
    let wall = wall + at.saturating_duration_since(then);
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u32
}

/// Opus and the one video codec of the clip, as the clip has it.
fn rtc_config(codec: Codec) -> RtcConfig {
    let mut config = RtcConfig::new()
        .clear_codecs()
        .enable_opus(true, false)
        .set_stats_interval(Some(Duration::from_secs(1)))
        .enable_vp8(codec == Codec::Vp8)
        .enable_av1(codec == Codec::Av1);
    let codecs = config.codec_config();
    match codec {
        Codec::H264 => codecs.add_h264(VIDEO_PT.into(), Some(RTX_PT.into()), true, 0x42_e01f),
        // Not `enable_vp9`, which would offer the ten bits of profile 2 as well.
        Codec::Vp9 => codecs.add_config(
            VIDEO_PT.into(),
            Some(RTX_PT.into()),
            StrCodec::Vp9,
            Frequency::NINETY_KHZ,
            None,
            str0m::format::FormatParams { profile_id: Some(0), ..Default::default() },
        ),
        _ => {}
    }
    config
}

/// The payload type of an RTP packet, of which all but the payload is readable; `None` for STUN, DTLS and
/// RTCP (RFC 7983 §7, RFC 5761 §4).
pub(crate) fn rtp_payload_type(datagram: &[u8]) -> Option<u8> {
    let (first, second) = (*datagram.first()?, *datagram.get(1)?);
    ((128..192).contains(&first) && !(192..224).contains(&second)).then_some(second & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(codec: Codec) -> String {
        let clip = Clip::embedded(codec).expect("built in");
        let locals = ["192.0.2.1:5000".parse().expect("addr")];
        Publisher::new(Instant::now(), clip, &locals, PublisherConfig::default()).offer().to_owned()
    }

    #[test]
    fn offer_has_opus_and_nothing_but_the_codec_of_the_clip() {
        for codec in crate::clip::CODECS {
            let offer = offer(codec);
            let mut names: Vec<_> = offer
                .lines()
                .filter_map(|line| line.strip_prefix("a=rtpmap:")?.split([' ', '/']).nth(1))
                .filter(|name| *name != "rtx")
                .collect();
            names.sort_unstable();
            let mut expected = [codec.name(), "opus"];
            expected.sort_unstable();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn cli_16_offer_serves_nack_rtx_pli_and_fir() {
        let offer = offer(Codec::H264);
        for wanted in ["nack", "nack pli", "ccm fir", "transport-cc"] {
            assert!(offer.lines().any(|line| line == format!("a=rtcp-fb:96 {wanted}")), "{wanted}");
        }
        assert!(offer.contains("a=fmtp:97 apt=96\r\n"));
        assert!(offer.contains("packetization-mode=1;profile-level-id=42e01f"));
    }

    #[test]
    fn rtp_is_told_from_rtcp_stun_and_dtls() {
        for (datagram, pt) in [
            (&[0x80, 96][..], Some(96)),
            (&[0x90, 0x80 | 111], Some(111)),
            (&[0x80, 200], None),
            (&[0x81, 206], None),
            (&[0, 1], None),
            (&[22, 254], None),
            (&[0x80], None),
        ] {
            assert_eq!(rtp_payload_type(datagram), pt, "{datagram:?}");
        }
    }
}
