//! One publisher and one stream of `wtn-fanout`, driven as a shard drives them.

use super::{Extended, camera_plan, is_rtcp};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wtn_fanout::subscriber::REPORT_INTERVAL;
use wtn_fanout::{Feed, Outbox, Publisher, Rewrite, Skip, Stream, Subscriber, SubscriberId};
use wtn_media::rtp::RtpView;
use wtn_media::{Packet, SessionPlan, Ssrc};
use wtn_testkit::{Delivery, Endpoint, EndpointId, secs};

pub struct Server {
    id: EndpointId,
    camera: SocketAddr,
    publisher: Publisher,
    stream: Stream,
    indices: BTreeMap<u32, Extended>,
    names: BTreeMap<SocketAddr, u32>,
    mail: Mailbag,
    next_report: Instant,
    next_eviction: Instant,
    again: Option<Instant>,
}

/// What goes out.
#[derive(Default)]
pub struct Mailbag {
    addresses: BTreeMap<u32, SocketAddr>,
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    /// By viewer: packets sent first, sent again, and asked for in vain.
    pub counts: BTreeMap<u32, [u64; 3]>,
}

impl Outbox for Mailbag {
    fn send(&mut self, to: SubscriberId, subscriber: &Subscriber, packet: &Packet, rewrite: &Rewrite) {
        let mut bytes = vec![0; 128];
        let len = subscriber.write_header(packet, rewrite, &mut bytes);
        bytes.truncate(len);
        bytes.extend(rewrite.original.into_iter().flat_map(u16::to_be_bytes));
        bytes.extend_from_slice(packet.payload());
        self.counts.entry(to.0).or_default()[usize::from(rewrite.original.is_some())] += 1;
        self.datagrams.push_back((self.addresses[&to.0], bytes));
    }

    fn skip(&mut self, _to: SubscriberId, _reason: Skip) {}

    fn miss(&mut self, to: SubscriberId) {
        self.counts.entry(to.0).or_default()[2] += 1;
    }

    fn switch(&mut self, _to: SubscriberId) {}
}

impl Server {
    pub fn new(now: Instant, id: EndpointId, camera: SocketAddr) -> Self {
        Self {
            id,
            camera,
            publisher: Publisher::new(now, 1, camera_plan(), Ssrc(9)),
            stream: Stream::default(),
            indices: BTreeMap::new(),
            names: BTreeMap::new(),
            mail: Mailbag::default(),
            next_report: now + REPORT_INTERVAL,
            next_eviction: now + secs(1),
            again: None,
        }
    }

    pub fn admit(&mut self, now: Instant, name: u32, at: SocketAddr, plan: &SessionPlan) {
        self.names.insert(at, name);
        self.mail.addresses.insert(name, at);
        let mut random = 77 + u64::from(name);
        let subscriber = Subscriber::new(plan, || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random
        });
        self.stream.add(now, SubscriberId(name), subscriber);
    }

    /// Packets sent first, sent again, and asked for in vain by a viewer.
    pub fn counts(&self, name: u32) -> [u64; 3] {
        self.mail.counts.get(&name).copied().unwrap_or_default()
    }

    fn on_publisher(&mut self, now: Instant, bytes: &[u8]) {
        let mut feeds = Vec::new();
        if is_rtcp(bytes) {
            self.publisher.on_rtcp(now, bytes, |clock| feeds.push(Feed::Clock(Box::new(clock))));
        } else {
            let rtp = RtpView::parse(bytes).expect("RTP");
            let index = self.indices.entry(rtp.ssrc().0).or_default().index(rtp.sequence());
            let packet = self.publisher.on_rtp(now, index.0, &rtp);
            feeds.extend(packet.ok().map(|packet| Feed::Packet(Arc::new(packet))));
        }
        self.stream.forward(now, &mut feeds, &mut self.mail);
    }

    /// What a shard does at the end of each pass.
    fn finish(&mut self, now: Instant) {
        let behind = self.stream.catch_up(now, &mut self.mail);
        let probe = self.stream.probe(now, &mut self.mail);
        self.again = behind.into_iter().chain(probe).chain(self.stream.follow(now, &mut self.mail)).min();
        while let Some(encoding) = self.stream.poll_wish() {
            self.publisher.want_keyframe(now, encoding);
        }
        while let Some(rtcp) = self.publisher.poll_rtcp(now) {
            self.mail.datagrams.push_back((self.camera, rtcp.compound));
        }
    }
}

impl Endpoint for Server {
    fn id(&self) -> EndpointId {
        self.id
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        if delivery.source == self.camera {
            self.on_publisher(now, &delivery.bytes);
        } else if let Some(name) = self.names.get(&delivery.source) {
            self.stream.on_rtcp(now, SubscriberId(*name), &delivery.bytes, &mut self.mail);
        }
        self.finish(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next_report <= now {
            self.next_report += REPORT_INTERVAL;
            for (name, address) in &self.mail.addresses {
                let mut out = Vec::new();
                if self.stream.write_reports(now, SubscriberId(*name), "plain", &mut out) {
                    self.mail.datagrams.push_back((*address, out));
                }
            }
        }
        if self.next_eviction <= now {
            self.next_eviction += secs(1);
            self.stream.evict(now);
        }
        self.finish(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let own = self.next_report.min(self.next_eviction).min(self.publisher.next_timeout());
        Some(self.again.map_or(own, |again| again.min(own)))
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.mail.datagrams.pop_front()
    }
}
