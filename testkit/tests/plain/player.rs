//! A viewer that asks again as libwebrtc does, and reports every second.

use super::nacks::{DEFAULT_RTT, Nacks};
use super::{Extended, PLAYER_MEDIA, PLAYER_RTX, is_rtcp};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wtn_fanout::reception::Reception;
use wtn_media::rtcp::{self, Block};
use wtn_media::rtp::RtpView;
use wtn_media::{RtpTime, SeqNo, Ssrc, unwrap::seq_near};
use wtn_testkit::{Delivery, Endpoint, EndpointId, FrameId, Part, ms, secs};

const ME: Ssrc = Ssrc(1);

/// How a viewer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Asks every 100 ms, as Chromium does that only receives and so knows no round trip.
    Chromium,
    /// Asks once per round trip.
    KnowsRoundTrip(Duration),
    /// Asks for nothing.
    Deaf,
    /// Says that it lost everything, every 5 ms.
    Nagging,
    /// The same, and wants a keyframe each time.
    Storm,
}

pub struct Player {
    id: EndpointId,
    server: SocketAddr,
    manner: Manner,
    nacks: Nacks,
    media: Extended,
    reception: Option<Reception>,
    next_report: Instant,
    next_storm: Option<Instant>,
    highest: Option<SeqNo>,
    /// When each part came first.
    parts: BTreeMap<(FrameId, u16), (Instant, u16)>,
    outbox: VecDeque<Vec<u8>>,
    /// Retransmissions received.
    pub repairs: u64,
    /// Of these, of what was there already.
    pub needless: u64,
    /// Datagrams and their bytes received.
    pub received: (u64, u64),
    /// The shortest time between two retransmissions of one packet.
    pub shortest_pause: Option<Duration>,
    repaired_at: BTreeMap<u64, Instant>,
}

impl Player {
    pub fn new(now: Instant, id: EndpointId, server: SocketAddr, manner: Manner) -> Self {
        let rtt = match manner {
            Manner::KnowsRoundTrip(rtt) => rtt,
            _ => DEFAULT_RTT,
        };
        Self {
            id,
            server,
            manner,
            nacks: Nacks::new(now, rtt),
            media: Extended::default(),
            reception: None,
            next_report: now + secs(1),
            next_storm: matches!(manner, Manner::Storm | Manner::Nagging).then_some(now),
            highest: None,
            parts: BTreeMap::new(),
            outbox: VecDeque::new(),
            repairs: 0,
            needless: 0,
            received: (0, 0),
            shortest_pause: None,
            repaired_at: BTreeMap::new(),
        }
    }

    pub fn packet_at(&self, part: Part) -> Option<Instant> {
        self.parts.get(&(part.id, part.index)).map(|(at, _)| *at)
    }

    pub fn packets_of(&self, sent: impl Iterator<Item = Part>) -> usize {
        sent.filter(|part| self.packet_at(*part).is_some()).count()
    }

    /// The frames that are whole, and since when.
    pub fn whole_frames(&self) -> BTreeMap<FrameId, Instant> {
        let mut frames: BTreeMap<FrameId, (u16, u16, Instant)> = BTreeMap::new();
        for ((id, _), (at, count)) in &self.parts {
            let frame = frames.entry(*id).or_insert((0, *count, *at));
            *frame = (frame.0 + 1, *count, frame.2.max(*at));
        }
        let whole = frames.into_iter().filter(|(_, (came, count, _))| came == count);
        whole.map(|(id, (_, _, at))| (id, at)).collect()
    }

    /// As libwebrtc does.
    fn asks(&self) -> bool {
        matches!(self.manner, Manner::Chromium | Manner::KnowsRoundTrip(_))
    }

    fn on_media(&mut self, now: Instant, rtp: &RtpView<'_>) {
        let (seq, payload) = match rtp.ssrc() {
            PLAYER_MEDIA => {
                let seq = self.media.index(rtp.sequence());
                let reception = self.reception.get_or_insert_with(|| Reception::new(90_000, seq));
                reception.on_packet(now, seq, RtpTime(u64::from(rtp.timestamp())));
                (seq, rtp.payload())
            }
            PLAYER_RTX => {
                let (original, payload) = rtp.payload().split_first_chunk::<2>().unwrap();
                let Some(highest) = self.highest else { return };
                self.repairs += 1;
                let seq = seq_near(highest, u16::from_be_bytes(*original));
                if let Some(before) = self.repaired_at.insert(seq.0, now) {
                    let pause = now - before;
                    self.shortest_pause = Some(self.shortest_pause.map_or(pause, |least| least.min(pause)));
                }
                (seq, payload)
            }
            other => panic!("{other:?} is nobody"),
        };
        self.highest = self.highest.max(Some(seq));
        let part = Part::read(payload).expect("what the camera sent");
        let entry = self.parts.entry((part.id, part.index));
        if rtp.ssrc() == PLAYER_RTX && matches!(entry, std::collections::btree_map::Entry::Occupied(_)) {
            self.needless += 1;
        }
        entry.or_insert((now, part.count));
        if self.asks() {
            let lost = self.nacks.on_packet(now, seq.0);
            self.ask(&lost);
        }
    }

    fn ask(&mut self, lost: &[u16]) {
        for lost in lost.chunks(250).filter(|lost| !lost.is_empty()) {
            let mut out = Vec::new();
            rtcp::write_nack(&mut out, ME, PLAYER_MEDIA, lost);
            self.outbox.push_back(out);
        }
    }

    fn report(&mut self, now: Instant) {
        let Some(reception) = &mut self.reception else { return };
        let mut out = Vec::new();
        rtcp::write_receiver_report(&mut out, ME, &[reception.report(now, PLAYER_MEDIA)]);
        self.outbox.push_back(out);
    }

    /// The last thousand packets, and a keyframe.
    fn storm(&mut self) {
        let Some(highest) = self.highest else { return };
        let all: Vec<u16> = (highest.0.saturating_sub(1_000)..=highest.0).map(|seq| seq as u16).collect();
        self.ask(&all);
        if self.manner == Manner::Storm {
            let mut out = Vec::new();
            rtcp::write_pli(&mut out, ME, PLAYER_MEDIA);
            self.outbox.push_back(out);
        }
    }
}

impl Endpoint for Player {
    fn id(&self) -> EndpointId {
        self.id
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        self.received.0 += 1;
        self.received.1 += delivery.bytes.len() as u64;
        if !is_rtcp(&delivery.bytes) {
            return self.on_media(now, &RtpView::parse(&delivery.bytes).expect("RTP"));
        }
        for block in rtcp::blocks(&delivery.bytes) {
            if let Block::SenderReport { sender: PLAYER_MEDIA, info, .. } = block
                && let Some(reception) = &mut self.reception
            {
                reception.on_sender_report(now, info.ntp);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.asks() {
            let lost = self.nacks.process(now);
            self.ask(&lost);
        }
        if self.next_report <= now {
            self.next_report += secs(1);
            self.report(now);
        }
        if self.next_storm.is_some_and(|at| at <= now) {
            self.next_storm = Some(now + ms(5));
            self.storm();
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let nacks = self.asks().then(|| self.nacks.next_timeout());
        nacks.into_iter().chain(self.next_storm).chain([self.next_report]).min()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        Some((self.server, self.outbox.pop_front()?))
    }
}
