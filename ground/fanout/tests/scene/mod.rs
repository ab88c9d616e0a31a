//! A stage for one stream: packets in, what each viewer was sent out.

#![allow(dead_code, reason = "each test file uses its part of the stage")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_fanout::{Feed, Outbox, Rewrite, Skip, Stream, Subscriber, SubscriberId};
use wtn_media::dependency::{self, Structure};
use wtn_media::packet::{Marks, PacketInfo};
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::{
    Codec, EncodingId, ExtensionKind, ExtensionMap, Format, MediaKind, Mid, Packet, PayloadType, RtpTime,
    SeqNo, SessionPlan, Ssrc, rtcp,
};

pub const VIEWER_VIDEO: Ssrc = Ssrc(0x71de0);
pub const VIEWER_RTX: Ssrc = Ssrc(0x71de1);
pub const VIEWER_AUDIO: Ssrc = Ssrc(0xa0d10);

#[derive(Clone, Debug)]
pub struct Sent {
    pub to: u32,
    pub ssrc: Ssrc,
    pub payload_type: u8,
    pub seq: u64,
    pub time: u32,
    pub original: Option<u16>,
    pub payload: Vec<u8>,
    /// The publisher's own number.
    pub source_seq: u64,
    pub encoding: u8,
    pub keyframe_start: bool,
    /// The transport-wide number.
    pub number: Option<u16>,
    pub marker: bool,
    pub epoch: u32,
    /// The publisher's own time.
    pub source_time: u64,
    /// Spatial and temporal.
    pub layer: (u8, u8),
    /// Of the dependency descriptor, as it goes out.
    pub frame: Option<u16>,
}

#[derive(Default)]
pub struct Recorder {
    pub sent: Vec<Sent>,
    pub skipped: Vec<Skip>,
    pub missed: usize,
    pub switches: usize,
}

impl Outbox for Recorder {
    fn send(&mut self, to: SubscriberId, _subscriber: &Subscriber, packet: &Packet, rewrite: &Rewrite) {
        let mut payload = packet.payload().to_vec();
        if let Some(ids) = rewrite.ids {
            ids.write(&mut payload);
        }
        self.sent.push(Sent {
            to: to.0,
            ssrc: rewrite.ssrc,
            payload_type: rewrite.payload_type.value(),
            seq: rewrite.seq.0,
            time: rewrite.time,
            original: rewrite.original,
            payload,
            source_seq: packet.seq.0,
            encoding: packet.encoding.0,
            keyframe_start: packet.marks.keyframe_start,
            number: rewrite.number,
            marker: rewrite.marker,
            epoch: packet.epoch,
            source_time: packet.time.0,
            layer: (packet.marks.layer.spatial, packet.marks.layer.temporal),
            frame: packet.frame_number().map(|frame| frame.wrapping_add(rewrite.frame_offset)),
        });
    }

    fn skip(&mut self, _to: SubscriberId, reason: Skip) {
        self.skipped.push(reason);
    }

    fn switch(&mut self, _to: SubscriberId) {
        self.switches += 1;
    }

    fn miss(&mut self, _to: SubscriberId) {
        self.missed += 1;
    }
}

pub struct Scene {
    pub stream: Stream,
    pub now: Instant,
    pub recorder: Recorder,
    pub codec: Codec,
    pub epoch: u32,
    seqs: [u64; 4],
    audio_seq: u64,
    time: u64,
    structure: Option<Box<Structure>>,
}

impl Scene {
    pub fn new(codec: Codec) -> Self {
        Self {
            stream: Stream::default(),
            now: Instant::now(),
            recorder: Recorder::default(),
            codec,
            epoch: 256,
            seqs: [60_000, 100, 5, 9],
            audio_seq: 1,
            time: 1 << 33,
            structure: None,
        }
    }

    pub fn join(&mut self, id: u32) {
        self.join_as(id, &vp8_viewer());
    }

    /// A viewer of the publisher's codec.
    pub fn join_able(&mut self, id: u32) {
        self.join_as(id, &viewer_of(self.codec));
    }

    /// A viewer who tells of its line.
    pub fn join_telling(&mut self, id: u32, feedback: Feedback) {
        let mut plan = vp8_viewer();
        plan.tracks[1].feedback = feedback;
        self.join_as(id, &plan);
    }

    fn join_as(&mut self, id: u32, plan: &SessionPlan) {
        let mut seed = u64::from(id);
        let random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed
        };
        self.stream.add(self.now, SubscriberId(id), Subscriber::new(plan, random));
    }

    pub fn leave(&mut self, id: u32) {
        assert!(self.stream.remove(SubscriberId(id)).is_some());
    }

    /// The publisher starts anew: other epoch, other numbers, other clock.
    pub fn new_publisher(&mut self) {
        self.epoch += 256;
        self.seqs = [77, 30_000, 400, 2];
        self.time = 5_000;
        self.now += Duration::from_millis(250);
    }

    /// The same publisher sends from another SSRC.
    pub fn new_source(&mut self) {
        self.epoch += 1;
    }

    pub fn old_source(&mut self) {
        self.epoch -= 1;
    }

    pub fn packet(&mut self, kind: MediaKind, keyframe: bool) -> Arc<Packet> {
        self.make(kind, EncodingId(0), 100, keyframe)
    }

    pub fn make(
        &mut self,
        kind: MediaKind,
        encoding: EncodingId,
        size: usize,
        keyframe: bool,
    ) -> Arc<Packet> {
        let seq = match kind {
            MediaKind::Audio => &mut self.audio_seq,
            MediaKind::Video => &mut self.seqs[usize::from(encoding.0)],
        };
        *seq += 1;
        let seq = SeqNo(*seq);
        self.now += Duration::from_millis(20);
        self.time += 1_800;
        let codec = if kind == MediaKind::Audio { Codec::Opus } else { self.codec };
        Arc::new(Packet::new(
            PacketInfo {
                epoch: self.epoch,
                kind,
                encoding,
                format: Format::new(codec),
                seq,
                time: RtpTime(self.time),
                marker: true,
                marks: Marks { keyframe_start: keyframe, ..Marks::default() },
                arrived: self.now,
            },
            &vec![seq.0 as u8; size],
            [],
        ))
    }

    /// A packet of the picture with that payload, of which a look tells the rest; `begins` a picture.
    pub fn payload(
        &mut self,
        encoding: EncodingId,
        payload: &[u8],
        begins: bool,
        marker: bool,
    ) -> Arc<Packet> {
        self.described(encoding, payload, None, begins, marker)
    }

    /// The same with a dependency descriptor.
    pub fn described(
        &mut self,
        encoding: EncodingId,
        payload: &[u8],
        descriptor: Option<&[u8]>,
        begins: bool,
        marker: bool,
    ) -> Arc<Packet> {
        let seq = &mut self.seqs[usize::from(encoding.0)];
        *seq += 1;
        if begins {
            self.now += Duration::from_millis(20);
            self.time += 1_800;
        }
        let info = PacketInfo {
            epoch: self.epoch,
            kind: MediaKind::Video,
            encoding,
            format: Format::new(self.codec),
            seq: SeqNo(*seq),
            time: RtpTime(self.time),
            marker,
            marks: dependency::marks(self.codec, payload, descriptor, &mut self.structure),
            arrived: self.now,
        };
        let descriptor = descriptor.map(|value| (ExtensionKind::DependencyDescriptor, value));
        Arc::new(Packet::new(info, payload, descriptor))
    }

    pub fn feed(&mut self, mut feeds: Vec<Feed>) {
        self.stream.forward(self.now, &mut feeds, &mut self.recorder);
        self.catch_up();
    }

    /// What viewers who are behind are due by now.
    pub fn catch_up(&mut self) {
        let mut now = self.now;
        while let Some(again) = self.stream.catch_up(now, &mut self.recorder).filter(|at| *at <= self.now) {
            now = again;
        }
    }

    pub fn keyframe(&mut self, count: usize) {
        for _ in 0..count {
            let packet = self.packet(MediaKind::Video, true);
            self.feed(vec![Feed::Packet(packet)]);
        }
    }

    pub fn frames(&mut self, count: usize) {
        for _ in 0..count {
            let packet = self.packet(MediaKind::Video, false);
            self.feed(vec![Feed::Packet(packet)]);
        }
    }

    pub fn simulcast(&mut self, encoding: EncodingId, size: usize, keyframe: bool) {
        let packet = self.make(MediaKind::Video, encoding, size, keyframe);
        self.feed(vec![Feed::Packet(packet)]);
    }

    pub fn audio(&mut self, count: usize) {
        for _ in 0..count {
            let packet = self.packet(MediaKind::Audio, false);
            self.feed(vec![Feed::Packet(packet)]);
        }
    }

    pub fn skip_packets(&mut self, count: u64) {
        self.seqs[0] += count;
    }

    pub fn viewer_says(&mut self, id: u32, compound: &[u8]) {
        self.stream.on_rtcp(self.now, SubscriberId(id), compound, &mut self.recorder);
    }

    pub fn sent_to(&self, id: u32) -> Vec<Sent> {
        self.recorder.sent.iter().filter(|sent| sent.to == id).cloned().collect()
    }

    pub fn skips(&self, reason: Skip) -> usize {
        self.recorder.skipped.iter().filter(|skip| **skip == reason).count()
    }
}

/// A viewer that takes VP8 as 100 with RTX, and Opus as 111.
pub fn vp8_viewer() -> SessionPlan {
    viewer_of(Codec::Vp8)
}

/// The same with another codec.
pub fn viewer_of(codec: Codec) -> SessionPlan {
    SessionPlan {
        tracks: vec![
            track(MediaKind::Audio, "0", Codec::Opus, 111, None, (VIEWER_AUDIO, None)),
            track(MediaKind::Video, "1", codec, 100, Some(101), (VIEWER_VIDEO, Some(VIEWER_RTX))),
        ],
        extensions: ExtensionMap::default(),
        reduced_size_rtcp: true,
        cname: "wtn".into(),
    }
}

fn track(
    kind: MediaKind,
    mid: &str,
    codec: Codec,
    payload_type: u8,
    rtx: Option<u8>,
    ssrcs: (Ssrc, Option<Ssrc>),
) -> TrackPlan {
    TrackPlan {
        kind,
        mid: Mid::new(mid).unwrap(),
        formats: vec![PayloadFormat {
            payload_type: PayloadType::new(payload_type).unwrap(),
            format: Format::new(codec),
            rtx: rtx.and_then(PayloadType::new),
        }],
        feedback: Feedback { nack: true, pli: true, ..Feedback::default() },
        rids: Vec::new(),
        ssrcs: vec![ssrcs],
    }
}

pub fn rtcp_nack(media: Ssrc, lost: &[u16]) -> Vec<u8> {
    let mut out = Vec::new();
    rtcp::write_nack(&mut out, Ssrc(1), media, lost);
    out
}

pub fn rtcp_pli(media: Ssrc) -> Vec<u8> {
    let mut out = Vec::new();
    rtcp::write_pli(&mut out, Ssrc(1), media);
    out
}
