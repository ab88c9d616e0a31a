//! A stream without its ciphers: the real publisher and stream of `wtn-fanout` between scripted clients that ask
//! again as libwebrtc does. Lines carry plain RTP, so that many hours of lossy lines pass in a second.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say what it takes for granted")]

pub mod camera;
pub mod nacks;
pub mod player;
pub mod server;

use camera::Camera;
use player::{Manner, Player};
use server::Server;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::{
    Codec, ExtensionMap, Format, MediaKind, Mid, PayloadType, SeqNo, SessionPlan, Ssrc, unwrap::seq_near,
};
use wtn_testkit::{Endpoint, FrameId, Link, World, ms, secs};

pub const MEDIA: u8 = 96;
pub const RTX: u8 = 97;

/// What a camera sends.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub fps: u32,
    pub keyframe_every: u32,
    pub key_packets: u16,
    pub delta_packets: u16,
    pub payload_len: usize,
}

impl Shape {
    /// 30 frames a second, 2.2 Mbit/s, a keyframe every 2 s.
    pub const CAMERA: Self =
        Self { fps: 30, keyframe_every: 60, key_packets: 40, delta_packets: 8, payload_len: 1150 };

    /// That many packets a second, evenly: losses are then counted in packets alone.
    pub const fn even(packets_per_second: u16) -> Self {
        let delta_packets = packets_per_second / 25;
        Self { fps: 25, keyframe_every: 50, key_packets: delta_packets, delta_packets, payload_len: 200 }
    }
}

/// One stream and its people.
pub struct Play {
    pub world: World,
    pub server: Server,
    pub camera: Camera,
    pub players: Vec<Player>,
}

impl Play {
    /// A camera whose line is `line`, both ways.
    pub fn new(seed: u64, shape: Shape, line: Link) -> Self {
        Self::over(seed, shape, (line, line))
    }

    /// The same with a line from the camera and one to it.
    pub fn over(seed: u64, shape: Shape, (up, down): (Link, Link)) -> Self {
        let mut world = World::new(seed);
        let server_at = address(0);
        let server = world.network.attach(server_at);
        let camera = world.network.attach(address(1));
        world.network.set_links(camera, up, down);
        let now = world.now();
        Self {
            server: Server::new(now, server, address(1)),
            camera: Camera::new(now, camera, server_at, shape),
            players: Vec::new(),
            world,
        }
    }

    /// Adds a viewer whose line is `line`, both ways; the answer is its number.
    pub fn watch(&mut self, line: Link, manner: Manner) -> usize {
        self.watch_over((line, line), manner)
    }

    /// The same with a line from the viewer and one to it.
    pub fn watch_over(&mut self, (up, down): (Link, Link), manner: Manner) -> usize {
        let nth = self.players.len();
        let at = address(nth as u8 + 2);
        let id = self.world.network.attach(at);
        self.world.network.set_links(id, up, down);
        let now = self.world.now();
        self.players.push(Player::new(now, id, address(0), manner));
        self.server.admit(now, nth as u32, at, &player_plan());
        nth
    }

    pub fn run(&mut self, time: Duration) {
        let mut endpoints: Vec<&mut dyn Endpoint> = vec![&mut self.server, &mut self.camera];
        endpoints.extend(self.players.iter_mut().map(|player| player as &mut dyn Endpoint));
        self.world.run(time, &mut endpoints);
    }

    /// Lets the show settle, then plays on for `time`, and a little longer, so that everything sent in between had
    /// its chance; the answer is that stretch.
    pub fn measure(&mut self, time: Duration) -> Range<Instant> {
        self.run(secs(5));
        let since = self.world.now();
        self.run(time);
        let until = self.world.now();
        self.run(secs(3));
        since..until
    }

    /// Of the packets sent within `when`, how many a viewer never got, in percent.
    pub fn residual_percent(&self, player: usize, when: &Range<Instant>) -> f64 {
        let sent = self.camera.packets_in(when);
        let got = self.players[player].packets_of(sent.iter().map(|(_, part)| *part));
        100.0 * (sent.len() - got) as f64 / sent.len() as f64
    }

    /// Of the frames sent within `when`, the share that a viewer had whole within `within`, in percent.
    pub fn in_time_percent(&self, player: usize, when: &Range<Instant>, within: Duration) -> f64 {
        let sent = self.camera.frames_in(when);
        let whole = self.players[player].whole_frames();
        let is_in_time =
            |(at, id): &&(Instant, FrameId)| whole.get(id).is_some_and(|whole| *whole <= *at + within);
        100.0 * sent.iter().filter(is_in_time).count() as f64 / sent.len() as f64
    }

    /// By how much the slowest hundredth of the packets sent within `when` were later than on a clean line.
    pub fn added_p99(&self, player: usize, when: &Range<Instant>, clean: Duration) -> Duration {
        let sent = self.camera.packets_in(when);
        let mut added: Vec<Duration> = sent
            .iter()
            .filter_map(|(at, part)| {
                let got = self.players[player].packet_at(*part)?;
                Some(got.saturating_duration_since(*at + clean))
            })
            .collect();
        added.sort_unstable();
        added.get(added.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A line with that round trip and that share of losses, each by itself.
pub fn lossy(rtt_ms: u64, percent: f64) -> Link {
    Link::PERFECT.delay(Duration::from_micros(rtt_ms * 500)).loss_percent(percent)
}

/// The same with losses in rows of three on average.
pub fn bursty(rtt_ms: u64, percent: f64) -> Link {
    Link::PERFECT.delay(Duration::from_micros(rtt_ms * 500)).loss_in_bursts(percent, 3.0)
}

/// A line on which nothing is lost.
pub fn clean() -> Link {
    Link::PERFECT.delay(ms(5))
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, last], 5000))
}

pub const CAMERA_MEDIA: Ssrc = Ssrc(0xca11);
pub const CAMERA_RTX: Ssrc = Ssrc(0xca12);
pub const PLAYER_MEDIA: Ssrc = Ssrc(0x71de0);
pub const PLAYER_RTX: Ssrc = Ssrc(0x71de1);

pub fn camera_plan() -> SessionPlan {
    plan((CAMERA_MEDIA, Some(CAMERA_RTX)))
}

fn player_plan() -> SessionPlan {
    plan((PLAYER_MEDIA, Some(PLAYER_RTX)))
}

fn plan(ssrcs: (Ssrc, Option<Ssrc>)) -> SessionPlan {
    let format = PayloadFormat {
        payload_type: PayloadType::new(MEDIA).unwrap(),
        format: Format::new(Codec::Vp8),
        rtx: PayloadType::new(RTX),
    };
    SessionPlan {
        tracks: vec![TrackPlan {
            kind: MediaKind::Video,
            mid: Mid::new("0").unwrap(),
            formats: vec![format],
            feedback: Feedback { nack: true, pli: true, ..Feedback::default() },
            rids: Vec::new(),
            ssrcs: vec![ssrcs],
        }],
        extensions: ExtensionMap::default(),
        reduced_size_rtcp: true,
        cname: "plain".into(),
    }
}

/// Extends the sequence numbers of one source, as SRTP does.
#[derive(Debug, Default)]
pub struct Extended(Option<SeqNo>);

impl Extended {
    pub fn index(&mut self, wire: u16) -> SeqNo {
        let seq = self.0.map_or(SeqNo((1 << 16) + u64::from(wire)), |highest| seq_near(highest, wire));
        self.0 = self.0.max(Some(seq));
        seq
    }
}

/// RTCP has its packet types where RTP has the marker and payload types 64 to 95 (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|second| (192..224).contains(second))
}
