//! What happens to a peer's datagrams and to a stream's packets: rooms 3 to 5.

use crate::command::{EndReason, Event};
use crate::counters::Counter;
use crate::egress::Egress;
use crate::peer::{Media, Sealer, counter_of};
use crate::shard::Shard;
use crate::timers::Timer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use wtn_fanout::publisher::Unusable;
use wtn_fanout::subscriber::REPORT_INTERVAL;
use wtn_fanout::{Feed, SubscriberId};
use wtn_media::rtp::RtpView;
use wtn_media::{Admission, EncodingId, MediaKind, Packet, Remote, StreamId};
use wtn_session::{CloseReason, Inbound, Output};

/// How often a stream forgets old packets and looks whether its grace time is over.
const STREAM_INTERVAL: Duration = Duration::from_secs(1);

/// A client that hops between two paths makes no more work for the control plane than that.
const MOVES_EVERY: Duration = Duration::from_secs(1);

/// What is due already was just served; whatever asks again waits this long, so that no mistake in a
/// timer can make a shard spin.
const TICK: Duration = Duration::from_micros(500);

impl Shard {
    /// Room 3: lets a peer's session have its datagram. A panic in there ends that session and no other.
    pub(crate) fn serve(&mut self, key: usize, from: Remote, datagram: &mut [u8]) {
        self.guarded(key, |shard| shard.handle_session_datagram(key, from, datagram));
    }

    /// A peer's time has come: handshake, silence, reports, requests.
    pub(crate) fn wake_peer(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        // Only the timer that was set last: older ones, and those of whoever had the key before, are dead.
        if peer.wakes_at.is_none_or(|at| at > self.now) {
            return;
        }
        peer.wakes_at = None;
        self.guarded(key, |shard| {
            let now = shard.now;
            if let Some(peer) = shard.peers.get_mut(key) {
                peer.session.handle_timeout(now);
            }
            shard.send_publisher_rtcp(key);
            // Also of the last layer that falls silent.
            shard.tell_news(key);
            shard.send_reports(key);
        });
    }

    /// Room 4 for every stream that got something, then the wishes that came of it.
    pub(crate) fn forward(&mut self, egress: &mut dyn Egress) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for stream in dirty.drain(..) {
            self.forward_stream(stream, egress);
        }
        // What the wishes marked is for the next pass; keep the allocation.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Viewers of this stream need a keyframe of an encoding whose publisher may be here.
    pub(crate) fn want_keyframe(&mut self, stream: StreamId, encoding: EncodingId) {
        let Some(key) = self.hubs.get(&stream).and_then(|hub| hub.publisher()) else { return };
        let now = self.now;
        if let Some(Media::Publisher(publisher)) = self.peers.get_mut(key).map(|peer| &mut peer.media) {
            publisher.want_keyframe(now, encoding);
        }
        self.send_publisher_rtcp(key);
        self.schedule(key);
    }

    /// Lets a connected peer's tracks be as muted as its ticket says.
    pub(crate) fn apply_mute(&mut self, key: usize) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.session.is_connected()) else { return };
        let Admission { session, stream, .. } = peer.ticket.admission;
        let muted = self.tickets.muted(session);
        match &mut peer.media {
            Media::Publisher(publisher) => {
                for kind in publisher.mute(muted) {
                    self.feed(stream, key, Feed::Cut(kind));
                    if kind == MediaKind::Video
                        && !muted[kind.index()]
                        && let Some(hub) = self.hubs.get_mut(&stream)
                    {
                        hub.fan.wish(kind, None);
                    }
                }
            }
            Media::Subscriber { .. } => {
                if let Some(hub) = self.hubs.get_mut(&stream) {
                    hub.fan.mute(now, SubscriberId(key as u32), muted);
                }
            }
        }
        self.dirty.push(stream);
    }

    /// Lets a connected viewer have what its ticket says it asked for.
    pub(crate) fn apply_selection(&mut self, key: usize) {
        let now = self.now;
        let Some(peer) = self.peers.get(key).filter(|peer| peer.session.is_connected()) else { return };
        let Admission { session, stream, .. } = peer.ticket.admission;
        let selection = self.tickets.selected(session);
        if let Media::Subscriber { .. } = peer.media {
            self.with_fan(stream, None, |fan, sealer| {
                fan.select(now, SubscriberId(key as u32), selection, sealer)
            });
            self.dirty.push(stream);
        }
    }

    pub(crate) fn wake_stream(&mut self, stream: StreamId) {
        let Some(hub) = self.hubs.get_mut(&stream).filter(|hub| hub.wakes_at <= self.now) else { return };
        hub.wakes_at = self.now + STREAM_INTERVAL;
        hub.fan.evict(self.now);
        for kbps in hub.fan.lines().filter_map(|line| line.estimate_bps).map(|bps| bps / 1000) {
            self.counters.count(Counter::LineEstimates);
            self.counters.add(Counter::LineEstimatesKbit, kbps);
        }
        if hub.is_abandoned(self.now) {
            let viewers: Vec<_> = hub.fan.subscribers().collect();
            for SubscriberId(key) in viewers {
                self.end(key as usize, EndReason::NoPublisher);
            }
        }
        self.tend(stream);
        if self.hubs.contains_key(&stream) {
            self.timers.push(self.now + STREAM_INTERVAL, Timer::Stream(stream));
        }
    }

    /// Sets the timer that the peer asks for, unless an earlier one is set.
    pub(crate) fn schedule(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(at) = peer.next_timeout() else { return };
        let at = at.max(self.now + TICK);
        if peer.wakes_at.is_none_or(|set| at < set) {
            peer.wakes_at = Some(at);
            self.timers.push(at, Timer::Peer(key));
        }
    }

    /// Calls into one session's code, then takes what it has to say. A panic ends the session.
    pub(crate) fn guarded(&mut self, key: usize, call: impl FnOnce(&mut Self)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            call(self);
            self.drain_session(key)
        }));
        match outcome {
            Ok(None) => self.schedule(key),
            Ok(Some(reason)) => self.end(key, reason),
            Err(_) => {
                self.counters.count(Counter::Panics);
                self.end(key, EndReason::Crashed);
            }
        }
    }

    fn handle_session_datagram(&mut self, key: usize, from: Remote, datagram: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        match peer.session.handle_datagram(self.now, from, datagram) {
            Inbound::Rtp { packet, index } => self.on_rtp(key, index, packet),
            Inbound::Rtcp(compound) => self.on_rtcp(key, compound),
            Inbound::Consumed => {}
            Inbound::Dropped(reason) => self.counters.count(counter_of(reason)),
        }
    }

    fn on_rtp(&mut self, key: usize, index: u64, packet: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Media::Publisher(publisher) = &mut peer.media else {
            return self.counters.count(Counter::DropUnknownTrack);
        };
        let Ok(rtp) = RtpView::parse(packet) else { return self.counters.count(Counter::DropMalformed) };
        let made = publisher.on_rtp(self.now, index, &rtp);
        let changed = publisher.poll_media(self.now);
        let inserted = publisher.take_inserted();
        let is_muted = made.as_ref().is_ok_and(|packet| publisher.is_muted(packet.kind));
        let (session, stream) = (peer.ticket.admission.session, peer.ticket.admission.stream);
        if let Some((kind, format)) = changed {
            self.events.push_back(Event::Media { session, stream, kind, format });
        }
        match made {
            Ok(_) if is_muted => self.counters.count(Counter::DropMuted),
            Ok(packet) => {
                self.counters.count(Counter::PacketsIn);
                if let Some(sets) = inserted {
                    self.on_media(stream, key, sets);
                }
                self.on_media(stream, key, packet);
            }
            Err(Unusable::UnknownTrack) => self.counters.count(Counter::DropUnknownTrack),
            Err(Unusable::Duplicate) => self.counters.count(Counter::DropDuplicate),
            Err(Unusable::NothingToRepair) => self.counters.count(Counter::DropEmptyRepair),
        }
        self.tell_news(key);
    }

    /// A packet for viewers, or one that its publisher keeps until its turn comes.
    fn on_media(&mut self, stream: StreamId, key: usize, packet: Packet) {
        if self.hubs.get(&stream).is_some_and(|hub| hub.publisher() == Some(key)) {
            return self.feed(stream, key, Feed::Packet(Arc::new(packet)));
        }
        self.counters.count(Counter::PacketsStoodBy);
        self.keep(stream, key, packet);
    }

    fn on_rtcp(&mut self, key: usize, compound: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let stream = peer.ticket.admission.stream;
        match &mut peer.media {
            Media::Publisher(publisher) => {
                let mut clocks = Vec::new();
                publisher.on_rtcp(self.now, compound, |clock| clocks.push(clock));
                for clock in clocks {
                    self.feed(stream, key, Feed::Clock(Box::new(clock)));
                }
            }
            Media::Subscriber { .. } => self.on_viewer_rtcp(stream, key, compound),
        }
    }

    fn on_viewer_rtcp(&mut self, stream: StreamId, key: usize, compound: &[u8]) {
        let now = self.now;
        self.with_fan(stream, None, |fan, sealer| {
            fan.on_rtcp(now, SubscriberId(key as u32), compound, sealer)
        });
        self.dirty.push(stream);
    }

    /// Queues what a publisher sent, if it is the one whose turn it is.
    fn feed(&mut self, stream: StreamId, key: usize, feed: Feed) {
        let Some(hub) = self.hubs.get_mut(&stream).filter(|hub| hub.publisher() == Some(key)) else { return };
        if hub.pending.is_empty() {
            self.dirty.push(stream);
        }
        hub.pending.push(feed);
    }

    fn forward_stream(&mut self, stream: StreamId, egress: &mut dyn Egress) {
        let Some(hub) = self.hubs.get_mut(&stream) else { return };
        let shared = hub.share(self.now, &mut self.post);
        self.counters.add(Counter::RingOverflow, shared.lost);
        let mut pending = std::mem::take(&mut hub.pending);
        let now = self.now;
        let again = self.with_fan(stream, Some(egress), |fan, sealer| {
            fan.forward(now, &mut pending, sealer);
            let behind = fan.catch_up(now, sealer);
            let probe = fan.probe(now, sealer);
            behind.into_iter().chain(probe).chain(fan.follow(now, sealer)).min()
        });
        pending.clear();
        let Some(hub) = self.hubs.get_mut(&stream) else { return };
        hub.pending = pending;
        self.counters.add(Counter::ShedRing, hub.fan.take_shed());
        if shared.wants_keyframe {
            hub.fan.wish(MediaKind::Video, None);
        }
        if let Some(at) = again.flatten().filter(|at| hub.catches_up_at.is_none_or(|set| *at < set)) {
            hub.catches_up_at = Some(at);
            self.timers.push(at.max(self.now + TICK), Timer::CatchUp(stream));
        }
        for encoding in hub.pass_wishes(self.now, stream, &mut self.post) {
            self.want_keyframe(stream, encoding);
        }
    }

    /// Lends a stream's viewers the means to send. Whoever panicked over it is ended; if the panic was nobody's,
    /// the stream is, and the other streams go on.
    fn with_fan<R>(
        &mut self,
        stream: StreamId,
        egress: Option<&mut dyn Egress>,
        call: impl FnOnce(&mut wtn_fanout::Stream, &mut Sealer<'_, '_>) -> R,
    ) -> Option<R> {
        let hub = self.hubs.get_mut(&stream)?;
        let mut crashed = Vec::new();
        let mut sealer = Sealer {
            peers: &mut self.peers,
            arena: &mut self.arena,
            egress,
            counters: &self.counters,
            scratch: &mut self.scratch,
            crashed: &mut crashed,
        };
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut hub.fan, &mut sealer)));
        if result.is_err() {
            crashed.extend(hub.publisher());
            crashed.extend(hub.fan.subscribers().map(|SubscriberId(key)| key as usize));
        }
        crashed.dedup();
        for key in crashed {
            self.counters.count(Counter::Panics);
            self.end(key, EndReason::Crashed);
        }
        result.ok()
    }

    /// Sends what the session has to send; the answer is why it is over, if it is.
    fn drain_session(&mut self, key: usize) -> Option<EndReason> {
        loop {
            let peer = self.peers.get_mut(key)?;
            let Some(output) = peer.session.poll() else {
                self.tell_move(key);
                return None;
            };
            match output {
                Output::Transmit { to, bytes } => self.arena.push(to, &bytes),
                Output::AddressLearned(address) => {
                    peer.addresses.push(address);
                    self.routes.insert_peer(address, key);
                }
                Output::AddressForgotten(address) => {
                    peer.addresses.retain(|known| *known != address);
                    self.routes.remove_peer(address, key);
                }
                Output::RemoteChanged(_) => {}
                Output::Renewed => {
                    let session = peer.ticket.admission.session;
                    self.on_renewed(session);
                }
                Output::Connected { remote, srtp_profile } => {
                    let session = peer.ticket.admission.session;
                    peer.told = Some((remote, self.now));
                    self.events.push_back(Event::Connected { session, remote, srtp_profile });
                    if let Some(reason) = self.on_connected(key) {
                        return Some(reason);
                    }
                }
                Output::Closed(reason) => {
                    return Some(match reason {
                        CloseReason::ClosedByPeer => EndReason::ClosedByPeer,
                        CloseReason::NeverConnected => EndReason::NeverConnected,
                        CloseReason::Silent => EndReason::Silent,
                        CloseReason::WrongCertificate => EndReason::WrongCertificate,
                    });
                }
            }
        }
    }

    /// Tells the control plane where a peer is now, if that is news. What is held back to keep it to once a second
    /// is told with whatever comes from the client later; its next check is seconds away at most.
    fn tell_move(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let (Some((told, at)), Some(remote)) = (&mut peer.told, peer.session.remote()) else { return };
        if *told != remote && self.now >= *at + MOVES_EVERY {
            (*told, *at) = (remote, self.now);
            self.events.push_back(Event::Moved { session: peer.ticket.admission.session, remote });
        }
    }

    pub(crate) fn send_publisher_rtcp(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.session.is_connected()) else { return };
        while let Media::Publisher(publisher) = &mut peer.media
            && let Some(rtcp) = publisher.poll_rtcp(self.now)
        {
            if rtcp.is_keyframe_request {
                self.counters.count(Counter::KeyframeRequests);
            }
            peer.send_rtcp(&rtcp.compound, &mut self.scratch, &mut self.arena);
        }
    }

    fn send_reports(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Media::Subscriber { next_report: Some(due) } = &mut peer.media else { return };
        if self.now < *due {
            return;
        }
        *due = self.now + REPORT_INTERVAL;
        let Some(hub) = self.hubs.get_mut(&peer.ticket.admission.stream) else { return };
        if hub.fan.is_hopeless(self.now, SubscriberId(key as u32)) {
            return self.end(key, EndReason::LineHopeless);
        }
        self.report.clear();
        let cname = &peer.ticket.admission.plan.cname;
        if hub.fan.write_reports(self.now, SubscriberId(key as u32), cname, &mut self.report) {
            peer.send_rtcp(&self.report, &mut self.scratch, &mut self.arena);
        }
    }

    /// Keeps a stream's ring in step with whether it has viewers here, and forgets it when it is idle.
    pub(crate) fn tend(&mut self, stream: StreamId) {
        let Some(hub) = self.hubs.get_mut(&stream) else { return };
        hub.settle(self.id, stream, &mut self.post);
        if hub.is_fed() {
            self.fed.insert(stream);
        } else {
            self.fed.remove(&stream);
        }
        if hub.is_idle() {
            self.hubs.remove(&stream);
        }
    }
}
