//! A WHIP client that sends a script of synthetic frames as RTP: str0m inside, sans-IO.

use crate::chance;
use crate::client::{Client, Standing, Tracks};
use crate::clock::ms;
use crate::frames::{FrameId, Part};
use crate::network::{Delivery, EndpointId};
use crate::world::Endpoint;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{Direction, Mid, Pt};
use str0m::rtp::RtpWrite;
use str0m::{Event, RtcError};
use wtn_media::{Codec, MediaKind};

/// Audio packets come every 20 ms, this long after the moment at which both tracks start: never at the same
/// instant as a video frame.
const AUDIO_OFFSET: Duration = ms(7);
const AUDIO_INTERVAL: Duration = ms(20);
const AUDIO_TICKS: u32 = 960;
const AUDIO_LEN: usize = 120;
const VIDEO_CLOCK: u32 = 90_000;

/// Added to a publisher's number in the frames of each further encoding.
pub const ENCODING: u16 = 1 << 12;

/// What a publisher sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Script {
    /// The video codec: H.264 or VP8.
    pub video: Codec,
    /// Opus besides.
    pub audio: bool,
    /// Video frames per second.
    pub fps: u32,
    /// A keyframe every so many frames, without being asked; 0 for the first one only.
    pub keyframe_every: u32,
    /// Packets of a keyframe.
    pub key_packets: u16,
    /// Packets of any other frame.
    pub delta_packets: u16,
    /// Bytes of a video payload.
    pub payload_len: usize,
    /// The later half of a frame's packets is a byte longer, as libwebrtc's rounding makes them.
    pub is_uneven: bool,
    /// Asked for a keyframe, it sends one. OBS does not.
    pub answers_pli: bool,
    /// The first sequence number of each track; `None` draws one below 32 768.
    pub first_seq: Option<u16>,
    /// Simulcast: the encodings, instead of the one that the fields above describe.
    pub encodings: &'static [Encoding],
    /// It estimates its line and sends as many packets a frame as that carries, between these kbit/s.
    pub adapts: Option<(u32, u32)>,
}

/// One encoding of a simulcast publisher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoding {
    /// Its name in the SDP.
    pub rid: &'static str,
    /// Packets of a keyframe.
    pub key_packets: u16,
    /// Packets of any other frame.
    pub delta_packets: u16,
    /// Bytes of a payload.
    pub payload_len: usize,
}

impl Encoding {
    /// Kbit/s of its payloads between keyframes.
    pub fn kbps(&self, fps: u32) -> u64 {
        u64::from(fps) * u64::from(self.delta_packets) * self.payload_len as u64 * 8 / 1000
    }
}

impl Script {
    /// 30 frames a second with a keyframe every 2 s, 2.5 Mbit/s or so, and Opus.
    pub const CAMERA: Self = Self {
        video: Codec::H264,
        audio: true,
        fps: 30,
        keyframe_every: 60,
        key_packets: 40,
        delta_packets: 8,
        payload_len: 1150,
        is_uneven: false,
        answers_pli: true,
        first_seq: None,
        encodings: &[],
        adapts: None,
    };

    /// VP8 in three encodings of 1.9 Mbit/s, 600 and 190 kbit/s without headers; keyframes only on request, four
    /// frames long.
    pub const SIMULCAST: Self = Self {
        video: Codec::Vp8,
        keyframe_every: 0,
        encodings: &[
            Encoding { rid: "h", key_packets: 28, delta_packets: 7, payload_len: 1130 },
            Encoding { rid: "m", key_packets: 12, delta_packets: 3, payload_len: 830 },
            Encoding { rid: "l", key_packets: 4, delta_packets: 1, payload_len: 790 },
        ],
        ..Self::CAMERA
    };

    /// OBS as it comes: a keyframe every 8 s, and deaf to requests.
    pub const OBS: Self = Self { keyframe_every: 240, answers_pli: false, ..Self::CAMERA };

    /// So few packets that NACK has time to repair every loss (see [`crate::viewer`]).
    pub const LIGHT: Self = Self { key_packets: 8, delta_packets: 3, ..Self::CAMERA };

    /// Few small packets and no audio, for shows with many viewers.
    pub const SMALL: Self = Self {
        audio: false,
        fps: 10,
        keyframe_every: 20,
        key_packets: 4,
        delta_packets: 1,
        payload_len: 400,
        ..Self::CAMERA
    };
}

/// A publisher in a simulation.
pub struct Publisher {
    client: Client,
    script: Script,
    tracks: Tracks,
    /// One for each encoding.
    video: Vec<Sender>,
    audio: Sender,
    keyframes_asked: u32,
    /// The estimate of its line, in bit/s.
    estimate: Option<u64>,
    /// The last REMB, in bit/s.
    remb: Option<u64>,
    is_paused: bool,
}

/// One track on its way out.
struct Sender {
    codec: Codec,
    shape: Encoding,
    /// Told apart by the publisher's number in its frames.
    number: u16,
    is_keyframe_due: bool,
    next_at: Option<Instant>,
    /// Extended, as str0m wants it; below 65 536 at first (RFC 3711 §3.3.1).
    seq: u64,
    time: u32,
    frame: u32,
    sent: BTreeSet<FrameId>,
    /// The same in order of time.
    log: Vec<(Instant, FrameId)>,
}

impl Sender {
    fn new(codec: Codec, number: u16, shape: Encoding, first_seq: Option<u16>) -> Self {
        let drawn = chance::draw_u64();
        let seq = u64::from(first_seq.unwrap_or((drawn & 0x7fff) as u16));
        Self {
            codec,
            shape,
            number,
            is_keyframe_due: true,
            next_at: None,
            seq,
            time: (drawn >> 32) as u32,
            frame: 0,
            sent: BTreeSet::new(),
            log: Vec::new(),
        }
    }
}

impl Publisher {
    /// A publisher at `inside`, attached as `id`. Its `number` is in every frame it sends.
    pub fn new(now: Instant, id: EndpointId, inside: SocketAddr, number: u16, script: Script) -> Self {
        let Script { key_packets, delta_packets, payload_len, .. } = script;
        let alone = [Encoding { rid: "", key_packets, delta_packets, payload_len }];
        let shapes = if script.encodings.is_empty() { &alone } else { script.encodings };
        let sender = |(shape, at): (&Encoding, u16)| {
            Sender::new(script.video, number + at * ENCODING, *shape, script.first_seq)
        };
        let sound = Encoding { rid: "", key_packets: 1, delta_packets: 1, payload_len: AUDIO_LEN };
        let first_guess = script.adapts.map(|_| 300);
        Self {
            client: Client::with_estimate(now, id, inside, &[script.video], first_guess),
            script,
            tracks: Tracks { video: None, audio: None },
            video: shapes.iter().zip(0..).map(sender).collect(),
            audio: Sender::new(Codec::Opus, number, sound, script.first_seq),
            keyframes_asked: 0,
            estimate: None,
            remb: None,
            is_paused: false,
        }
    }

    /// The body of the WHIP POST.
    pub fn offer(&mut self) -> String {
        let rids: Vec<&str> = self.script.encodings.iter().map(|encoding| encoding.rid).collect();
        let (offer, tracks) = self.client.offer(Direction::SendOnly, self.script.audio, &rids);
        self.tracks = tracks;
        offer
    }

    /// An offer with new ICE credentials; [`Self::accept_answer`] takes the old answer with the server's new ones.
    pub fn restart(&mut self) -> String {
        self.client.restart()
    }

    /// The body of the 201.
    ///
    /// # Errors
    /// If str0m does not like it.
    pub fn accept_answer(&mut self, now: Instant, answer: &str) -> Result<(), RtcError> {
        self.client.accept_answer(answer)?;
        self.react(now);
        Ok(())
    }

    /// How the session stands.
    pub fn standing(&self) -> Standing {
        self.client.standing()
    }

    /// The video frames sent from `since` on; with simulcast those of its first encoding.
    pub fn sent_since(&self, since: Instant) -> BTreeSet<FrameId> {
        let video = &self.video[0];
        let start = video.log.partition_point(|(at, _)| *at < since);
        video.log[start..].iter().map(|(_, id)| *id).collect()
    }

    /// When a frame of its first encoding, or of its sound, was sent.
    pub fn sent_at(&self, kind: MediaKind, id: FrameId) -> Option<Instant> {
        let log = match kind {
            MediaKind::Audio => &self.audio.log,
            MediaKind::Video => &self.video[0].log,
        };
        log.binary_search_by_key(&id, |(_, id)| *id).ok().map(|at| log[at].0)
    }

    /// The frames of that track sent so far; with simulcast those of its first encoding.
    pub fn sent(&self, kind: MediaKind) -> &BTreeSet<FrameId> {
        match kind {
            MediaKind::Audio => &self.audio.sent,
            MediaKind::Video => &self.video[0].sent,
        }
    }

    /// Keyframe requests received.
    pub fn keyframes_asked(&self) -> u32 {
        self.keyframes_asked
    }

    /// What it believes that its line carries, in bit/s.
    pub fn estimate(&self) -> Option<u64> {
        self.estimate
    }

    /// What it was told by REMB, in bit/s.
    pub fn remb(&self) -> Option<u64> {
        self.remb
    }

    /// Stops or resumes sending frames; the session stays up.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// The next frame is a keyframe.
    pub fn force_keyframe(&mut self) {
        self.video.iter_mut().for_each(|video| video.is_keyframe_due = true);
    }

    /// Says goodbye by close_notify.
    pub fn close(&mut self, now: Instant) {
        self.client.close(now);
    }

    /// Crashes: nothing more is sent.
    pub fn vanish(&mut self) {
        self.client.vanish();
    }

    fn react(&mut self, now: Instant) {
        for event in self.client.drain(now) {
            match event {
                Event::Connected => self.start(now),
                Event::KeyframeRequest(request) => {
                    self.keyframes_asked += 1;
                    let rid = request.rid.map(|rid| rid.to_string()).unwrap_or_default();
                    for video in self.video.iter_mut().filter(|video| video.shape.rid == rid) {
                        video.is_keyframe_due |= self.script.answers_pli;
                    }
                }
                Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                    self.estimate = Some(estimate.as_u64());
                }
                Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                    self.remb = Some(estimate.as_u64());
                }
                _ => {}
            }
        }
    }

    fn start(&mut self, now: Instant) {
        self.video.iter_mut().for_each(|video| video.next_at = Some(now));
        if let Some((least, most)) = self.script.adapts {
            let mut bwe = self.client.rtc.bwe();
            bwe.set_bitrate(Bitrate::kbps(least.into()), Bitrate::kbps(most.into()));
        }
        self.audio.next_at = self.tracks.audio.map(|_| now + AUDIO_OFFSET);
    }

    /// Sends what is due.
    fn perform(&mut self, now: Instant) {
        for at in 0..self.video.len() {
            while self.client.rtc.is_alive() && self.video[at].next_at.is_some_and(|due| due <= now) {
                let interval = Duration::from_secs(1) / self.script.fps;
                self.video[at].next_at = self.video[at].next_at.map(|due| due + interval);
                self.send_video_frame(now, at);
            }
        }
        while self.client.rtc.is_alive() && self.audio.next_at.is_some_and(|at| at <= now) {
            self.audio.next_at = self.audio.next_at.map(|at| at + AUDIO_INTERVAL);
            if !self.is_paused {
                self.send_frame(now, None, true, 1);
            }
            self.audio.time = self.audio.time.wrapping_add(AUDIO_TICKS);
        }
    }

    fn send_video_frame(&mut self, now: Instant, at: usize) {
        let every = self.script.keyframe_every;
        let video = &mut self.video[at];
        if !self.is_paused {
            let is_key = video.is_keyframe_due || every > 0 && video.frame.is_multiple_of(every);
            video.is_keyframe_due = false;
            let count = if is_key { video.shape.key_packets } else { video.shape.delta_packets };
            let count = self.packets_that_fit(at).unwrap_or(count);
            self.send_frame(now, Some(at), is_key, count);
        }
        let video = &mut self.video[at];
        video.time = video.time.wrapping_add(VIDEO_CLOCK / self.script.fps);
    }

    /// As many packets a frame as the estimate carries, for one who adapts.
    fn packets_that_fit(&self, at: usize) -> Option<u16> {
        let (least, most) = self.script.adapts?;
        let kbps = self.estimate.map_or(least, |bps| (bps / 1000) as u32).clamp(least, most);
        let packet_bits = self.video[at].shape.payload_len as u64 * 8;
        Some((u64::from(kbps) * 1000 / u64::from(self.script.fps) / packet_bits).max(1) as u16)
    }

    /// `encoding` is `None` for audio.
    fn send_frame(&mut self, now: Instant, encoding: Option<usize>, is_key: bool, count: u16) {
        let (sender, mid) = match encoding {
            None => (&mut self.audio, self.tracks.audio),
            Some(at) => (&mut self.video[at], self.tracks.video),
        };
        let Some((mid, pt)) = mid.and_then(|mid| Some((mid, payload_type(&self.client, mid)?))) else {
            return;
        };
        let id = FrameId { publisher: sender.number, frame: sender.frame };
        let (codec, time, first_seq, shape) = (sender.codec, sender.time, sender.seq, sender.shape);
        sender.seq += u64::from(count);
        sender.frame += 1;
        sender.sent.insert(id);
        sender.log.push((now, id));
        let rid = (!shape.rid.is_empty()).then(|| shape.rid.into());
        for index in 0..count {
            let part = Part { id, is_key, index, count };
            let rounded = usize::from(self.script.is_uneven && 2 * index >= count);
            let payload = part.payload(codec, shape.payload_len + rounded);
            let seq = (first_seq + u64::from(index)).into();
            let write = RtpWrite::new(pt, seq, time, now, payload)
                .marker(encoding.is_none() || part.is_last())
                .nackable(encoding.is_some());
            if let Some(stream) = self.client.rtc.direct_api().stream_tx_by_mid(mid, rid) {
                stream.write_rtp(write);
            }
            self.react(now);
        }
    }
}

/// The first payload type of the track that both sides have.
fn payload_type(client: &Client, mid: Mid) -> Option<Pt> {
    client.rtc.media(mid)?.remote_pts().first().copied()
}

impl Endpoint for Publisher {
    fn id(&self) -> EndpointId {
        self.client.id()
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        self.client.handle_datagram(now, &delivery);
        self.react(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.react(now);
        self.perform(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let client = self.client.next_timeout()?;
        let video = self.video.iter().filter_map(|video| video.next_at);
        video.chain(self.audio.next_at).chain([client]).min()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.client.poll_transmit()
    }
}
