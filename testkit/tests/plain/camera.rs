//! A publisher that sends frames at its pace, and again what it is asked for, as libwebrtc does: not twice
//! within a round trip.

use super::{CAMERA_MEDIA, CAMERA_RTX, MEDIA, RTX, Shape, is_rtcp};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};
use wtn_fanout::clock::{from_short_ntp, ntp_units};
use wtn_media::rtcp::{self, Block, SenderInfo};
use wtn_media::rtp::{HeaderFields, HeaderWriter};
use wtn_media::{Codec, PayloadType, Ssrc};
use wtn_testkit::{Delivery, Endpoint, EndpointId, FrameId, Part, clock::since_start, secs};

/// Old packets are forgotten after that many.
const HISTORY: u64 = 4096;

pub struct Camera {
    id: EndpointId,
    server: SocketAddr,
    shape: Shape,
    next_frame: Instant,
    next_report: Instant,
    frame: u32,
    time: u32,
    seq: u64,
    rtx_seq: u16,
    rtt: Option<Duration>,
    /// By number: what, its timestamp, and when it was sent again last.
    history: BTreeMap<u64, (Part, u32, Option<Instant>)>,
    packets: Vec<(Instant, Part)>,
    frames: Vec<(Instant, FrameId)>,
    outbox: VecDeque<Vec<u8>>,
    /// Packets sent again.
    pub resent: u64,
    /// NACKs received, by numbers asked for.
    pub asked: u64,
    /// Keyframe requests received, and when.
    pub keyframes_asked: Vec<Instant>,
    is_keyframe_due: bool,
}

fn within<'a, T>(sent: &'a [(Instant, T)], when: &Range<Instant>) -> &'a [(Instant, T)] {
    let before = |end: Instant| sent.partition_point(|(at, _)| *at < end);
    &sent[before(when.start)..before(when.end)]
}

impl Camera {
    pub fn new(now: Instant, id: EndpointId, server: SocketAddr, shape: Shape) -> Self {
        Self {
            id,
            server,
            shape,
            next_frame: now,
            next_report: now,
            frame: 0,
            time: 12_345,
            seq: 65_000,
            rtx_seq: 7,
            rtt: None,
            history: BTreeMap::new(),
            packets: Vec::new(),
            frames: Vec::new(),
            outbox: VecDeque::new(),
            resent: 0,
            asked: 0,
            keyframes_asked: Vec::new(),
            is_keyframe_due: false,
        }
    }

    pub fn packets_in(&self, when: &Range<Instant>) -> &[(Instant, Part)] {
        within(&self.packets, when)
    }

    pub fn frames_in(&self, when: &Range<Instant>) -> &[(Instant, FrameId)] {
        within(&self.frames, when)
    }

    fn send_frame(&mut self, now: Instant) {
        let Shape { fps, keyframe_every, key_packets, delta_packets, .. } = self.shape;
        let is_key = self.frame.is_multiple_of(keyframe_every) || std::mem::take(&mut self.is_keyframe_due);
        let count = if is_key { key_packets } else { delta_packets };
        let id = FrameId { publisher: 0, frame: self.frame };
        for index in 0..count {
            let part = Part { id, is_key, index, count };
            self.history.insert(self.seq, (part, self.time, None));
            self.packets.push((now, part));
            let header = (CAMERA_MEDIA, MEDIA, self.seq as u16);
            self.push(header, part, self.time, None);
            self.seq += 1;
        }
        self.frames.push((now, id));
        while self.history.len() as u64 > HISTORY {
            self.history.pop_first();
        }
        self.frame += 1;
        self.time = self.time.wrapping_add(90_000 / fps);
    }

    fn push(&mut self, (ssrc, payload_type, seq): (Ssrc, u8, u16), part: Part, time: u32, of: Option<u16>) {
        let mut bytes = vec![0; 64];
        let fields = HeaderFields {
            payload_type: PayloadType::new(payload_type).unwrap(),
            marker: part.is_last(),
            sequence: seq,
            timestamp: time,
            ssrc,
        };
        let len = HeaderWriter::new(&mut bytes, fields).finish();
        bytes.truncate(len);
        bytes.extend(of.into_iter().flat_map(u16::to_be_bytes));
        bytes.extend(part.payload(Codec::Vp8, self.shape.payload_len));
        self.outbox.push_back(bytes);
    }

    fn resend(&mut self, now: Instant, wire: u16) {
        self.asked += 1;
        let back = (self.seq as u16).wrapping_sub(wire);
        let Some(seq) = self.seq.checked_sub(u64::from(back)) else { return };
        let Some((part, time, last)) = self.history.get_mut(&seq) else { return };
        if self.rtt.zip(*last).is_some_and(|(rtt, last)| now < last + rtt) {
            return;
        }
        *last = Some(now);
        let (part, time) = (*part, *time);
        self.resent += 1;
        self.rtx_seq = self.rtx_seq.wrapping_add(1);
        self.push((CAMERA_RTX, RTX, self.rtx_seq), part, time, Some(wire));
    }

    fn report(&mut self, now: Instant) {
        let ntp = ntp_units(since_start(now));
        let info = SenderInfo { ntp, rtp: self.time, packets: self.seq as u32, octets: 0 };
        let mut out = Vec::new();
        rtcp::write_sender_report(&mut out, CAMERA_MEDIA, info, &[]);
        self.outbox.push_back(out);
    }
}

impl Endpoint for Camera {
    fn id(&self) -> EndpointId {
        self.id
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        assert!(is_rtcp(&delivery.bytes), "a server sends its publisher nothing else");
        for block in rtcp::blocks(&delivery.bytes) {
            match block {
                Block::Nack { media: CAMERA_MEDIA, lost, .. } => lost.for_each(|wire| self.resend(now, wire)),
                Block::Pli { .. } => {
                    self.keyframes_asked.push(now);
                    self.is_keyframe_due = true;
                }
                Block::ReceiverReport { reports, .. } => {
                    let short = (ntp_units(since_start(now)) >> 16) as u32;
                    for report in reports.filter(|report| report.last_sr != 0) {
                        let units = short.wrapping_sub(report.last_sr).wrapping_sub(report.delay_since_sr);
                        self.rtt = Some(from_short_ntp(units));
                    }
                }
                _ => {}
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next_frame <= now {
            self.next_frame += secs(1) / self.shape.fps;
            self.send_frame(now);
        }
        if self.next_report <= now {
            self.next_report += secs(1);
            self.report(now);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        Some(self.next_frame.min(self.next_report))
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        Some((self.server, self.outbox.pop_front()?))
    }
}
