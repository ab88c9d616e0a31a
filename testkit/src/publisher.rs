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
    /// Asked for a keyframe, it sends one. OBS does not.
    pub answers_pli: bool,
    /// The first sequence number of each track; `None` draws one below 32 768.
    pub first_seq: Option<u16>,
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
        answers_pli: true,
        first_seq: None,
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
    number: u16,
    tracks: Tracks,
    video: Sender,
    audio: Sender,
    is_keyframe_due: bool,
    keyframes_asked: u32,
    is_paused: bool,
}

/// One track on its way out.
struct Sender {
    codec: Codec,
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
    fn new(codec: Codec, first_seq: Option<u16>) -> Self {
        let drawn = chance::draw_u64();
        let seq = u64::from(first_seq.unwrap_or((drawn & 0x7fff) as u16));
        Self {
            codec,
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
        Self {
            client: Client::new(now, id, inside, script.video),
            script,
            number,
            tracks: Tracks { video: None, audio: None },
            video: Sender::new(script.video, script.first_seq),
            audio: Sender::new(Codec::Opus, script.first_seq),
            is_keyframe_due: true,
            keyframes_asked: 0,
            is_paused: false,
        }
    }

    /// The body of the WHIP POST.
    pub fn offer(&mut self) -> String {
        let (offer, tracks) = self.client.offer(Direction::SendOnly, self.script.audio);
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

    /// The video frames sent from `since` on.
    pub fn sent_since(&self, since: Instant) -> BTreeSet<FrameId> {
        let start = self.video.log.partition_point(|(at, _)| *at < since);
        self.video.log[start..].iter().map(|(_, id)| *id).collect()
    }

    /// The frames of that track sent so far.
    pub fn sent(&self, kind: MediaKind) -> &BTreeSet<FrameId> {
        match kind {
            MediaKind::Audio => &self.audio.sent,
            MediaKind::Video => &self.video.sent,
        }
    }

    /// Keyframe requests received.
    pub fn keyframes_asked(&self) -> u32 {
        self.keyframes_asked
    }

    /// Stops or resumes sending frames; the session stays up.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// The next frame is a keyframe.
    pub fn force_keyframe(&mut self) {
        self.is_keyframe_due = true;
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
                Event::KeyframeRequest(_) => {
                    self.keyframes_asked += 1;
                    self.is_keyframe_due |= self.script.answers_pli;
                }
                _ => {}
            }
        }
    }

    fn start(&mut self, now: Instant) {
        self.video.next_at = Some(now);
        self.audio.next_at = self.tracks.audio.map(|_| now + AUDIO_OFFSET);
    }

    /// Sends what is due.
    fn perform(&mut self, now: Instant) {
        while self.client.rtc.is_alive() && self.video.next_at.is_some_and(|at| at <= now) {
            self.video.next_at = self.video.next_at.map(|at| at + Duration::from_secs(1) / self.script.fps);
            self.send_video_frame(now);
        }
        while self.client.rtc.is_alive() && self.audio.next_at.is_some_and(|at| at <= now) {
            self.audio.next_at = self.audio.next_at.map(|at| at + AUDIO_INTERVAL);
            if !self.is_paused {
                self.send_frame(now, MediaKind::Audio, true, 1, AUDIO_LEN);
            }
            self.audio.time = self.audio.time.wrapping_add(AUDIO_TICKS);
        }
    }

    fn send_video_frame(&mut self, now: Instant) {
        if !self.is_paused {
            let every = self.script.keyframe_every;
            let is_key = self.is_keyframe_due || every > 0 && self.video.frame.is_multiple_of(every);
            self.is_keyframe_due = false;
            let count = if is_key { self.script.key_packets } else { self.script.delta_packets };
            self.send_frame(now, MediaKind::Video, is_key, count, self.script.payload_len);
        }
        self.video.time = self.video.time.wrapping_add(VIDEO_CLOCK / self.script.fps);
    }

    fn send_frame(&mut self, now: Instant, kind: MediaKind, is_key: bool, count: u16, len: usize) {
        let (sender, mid) = match kind {
            MediaKind::Audio => (&mut self.audio, self.tracks.audio),
            MediaKind::Video => (&mut self.video, self.tracks.video),
        };
        let Some((mid, pt)) = mid.and_then(|mid| Some((mid, payload_type(&self.client, mid)?))) else {
            return;
        };
        let id = FrameId { publisher: self.number, frame: sender.frame };
        let (codec, time, first_seq) = (sender.codec, sender.time, sender.seq);
        sender.seq += u64::from(count);
        sender.frame += 1;
        sender.sent.insert(id);
        sender.log.push((now, id));
        for index in 0..count {
            let part = Part { id, is_key, index, count };
            let payload = part.payload(codec, len);
            let seq = (first_seq + u64::from(index)).into();
            let write = RtpWrite::new(pt, seq, time, now, payload)
                .marker(kind == MediaKind::Video && part.is_last() || kind == MediaKind::Audio)
                .nackable(kind == MediaKind::Video);
            if let Some(stream) = self.client.rtc.direct_api().stream_tx_by_mid(mid, None) {
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
        [self.video.next_at, self.audio.next_at].into_iter().flatten().chain([client]).min()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.client.poll_transmit()
    }
}
