//! One stream on one shard: the only place where one packet becomes many.

mod repairs;

use crate::clock::SenderClock;
use crate::encoding_selector::{ENCODINGS_MAX, EncodingSelector};
use crate::gop_cache::GopCache;
use crate::line::{Line, LineReport, OVERHEAD, PROBE_PACKETS_MAX};
use crate::rewriter::Origin;
use crate::subscriber::{Layers, Rewrite, Skip, Subscriber};
use crate::thinning::Thinning;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_bwe::Due;
use wtn_media::layers::Rids;
use wtn_media::rtcp::{self, Block};
use wtn_media::store::PacketStore;
use wtn_media::{EncodingId, LayerSelection, MediaKind, Packet, Rung, Rungs, Ssrc};

/// Packets kept per encoding for viewers that ask again: over a second at 10 Mbit/s.
const STORE_PACKETS: usize = 2048;

/// How long they are kept: past this no jitter buffer waits for a repair.
const STORE_TIME: Duration = Duration::from_millis(1500);

/// Numbers of one NACK that are looked at: a keyframe's worth. The viewer repeats what it still misses.
const NACKED_MAX: usize = 512;

/// Between two goes of a probe.
const PROBE_PAUSE: Duration = Duration::from_millis(5);

/// Transport-wide feedbacks of one datagram that are read: few bytes can tell of very many packets.
const FEEDBACKS_MAX: usize = 4;

/// A subscriber, as its owner calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId(pub u32);

/// What a publisher gives to every shard that has viewers of it, in order.
#[derive(Clone, Debug)]
pub enum Feed {
    /// A packet.
    Packet(Arc<Packet>),
    /// The publisher told the time of an encoding.
    Clock(Box<SenderClock>),
    /// Something is missing here: the ring to this shard was full.
    Gap,
    /// The publisher's track of that kind was muted, or is heard again: what came before is no past to start
    /// from, and what follows goes out without a gap.
    Cut(MediaKind),
}

/// Where rewritten packets go.
pub trait Outbox {
    /// Sends `packet` under the numbers of `rewrite`; `subscriber` writes its header.
    fn send(&mut self, to: SubscriberId, subscriber: &Subscriber, packet: &Packet, rewrite: &Rewrite);

    /// Counts a packet that `to` does not get.
    fn skip(&mut self, to: SubscriberId, reason: Skip);

    /// Counts a packet that was asked for again and is no longer kept.
    fn miss(&mut self, to: SubscriberId);

    /// Counts that the line of `to` is good for another encoding now.
    fn switch(&mut self, to: SubscriberId);
}

/// The subscribers of one stream on one shard, and what they share.
#[derive(Debug, Default)]
pub struct Stream {
    members: Vec<(SubscriberId, Subscriber)>,
    positions: HashMap<SubscriberId, usize>,
    tracks: [Track; 2],
    /// By what names the encodings of the picture go.
    rids: Rids,
    /// The ladder that viewers were judged by last.
    judged: usize,
}

#[derive(Debug, Default)]
struct Track {
    /// Of the newest source of each encoding. A publisher's sources share all but the low eight bits.
    epochs: [u32; ENCODINGS_MAX],
    selector: EncodingSelector,
    stores: [Option<Box<PacketStore>>; ENCODINGS_MAX],
    caches: [GopCache; ENCODINGS_MAX],
    layers: [Layers; ENCODINGS_MAX],
    clocks: [Option<SenderClock>; ENCODINGS_MAX],
    wishes: [bool; ENCODINGS_MAX],
}

impl Stream {
    /// By what names its publisher's encodings go.
    pub fn set_rids(&mut self, rids: Rids) {
        self.rids = rids;
    }

    /// A viewer asks for that of the picture; `None`: for what its line is best for.
    pub fn select(
        &mut self,
        now: Instant,
        id: SubscriberId,
        selection: Option<LayerSelection>,
        outbox: &mut impl Outbox,
    ) {
        let Some(position) = self.positions.get(&id).copied() else { return };
        self.members[position].1.select(selection);
        self.judge(now, position, outbox);
    }

    /// Adds a viewer. Its picture starts from the last keyframe and what came since; where there is none, the
    /// publisher is to be asked for one.
    pub fn add(&mut self, now: Instant, id: SubscriberId, mut subscriber: Subscriber) {
        subscriber.begin(now);
        self.tracks[MediaKind::Video.index()].start(now, &mut subscriber, &self.rids);
        self.positions.insert(id, self.members.len());
        self.members.push((id, subscriber));
    }

    /// Forgets the past: nothing comes in while nobody watches, and a cache with a hole is none.
    pub fn rest(&mut self) {
        self.tracks = Default::default();
    }

    /// Takes what another shard had in its cache before it fed this one, or what a publisher has kept whose turn
    /// it is; viewers who wait, or have a picture of another publisher's, start from it.
    pub fn adopt(&mut self, now: Instant, backlog: &[Arc<Packet>], clocks: &[SenderClock]) {
        for packet in backlog {
            self.tracks[packet.kind.index()].on_packet(packet);
        }
        clocks.iter().for_each(|clock| self.tracks[clock.kind.index()].on_clock(clock));
        let video = &mut self.tracks[MediaKind::Video.index()];
        for (_, subscriber) in &mut self.members {
            video.start_behind(now, subscriber, &self.rids);
        }
    }

    /// The last keyframe of each encoding, and everything since, in the order of arrival.
    pub fn backlog(&self) -> Vec<Arc<Packet>> {
        let caches = &self.tracks[MediaKind::Video.index()].caches;
        let mut backlog: Vec<_> = caches.iter().flat_map(|cache| cache.packets()).cloned().collect();
        backlog.sort_by_key(|packet| packet.arrived);
        backlog
    }

    /// What the publisher last told of its clocks.
    pub fn clocks(&self) -> Vec<SenderClock> {
        self.tracks.iter().flat_map(|track| track.clocks.iter().flatten()).copied().collect()
    }

    /// Sends what viewers who are behind are due, in slices; the answer is when to come again.
    pub fn catch_up(&mut self, now: Instant, outbox: &mut impl Outbox) -> Option<Instant> {
        let video = &mut self.tracks[MediaKind::Video.index()];
        let mut again: Option<Instant> = None;
        for (id, subscriber) in &mut self.members {
            let Some(encoding) = subscriber.behind() else { continue };
            let at = usize::from(encoding.0);
            let (cache, layers) = (&video.caches[at], &mut video.layers[at]);
            let due = loop {
                match subscriber.catch_up(now, cache, layers) {
                    Ok((packet, rewrite)) => outbox.send(*id, subscriber, packet, &rewrite),
                    Err(due) => break due,
                }
            };
            again = again.into_iter().chain(due).min();
        }
        again
    }

    /// Sends what probes of viewers' lines are due: old packets once more. The answer is when to come again.
    pub fn probe(&mut self, now: Instant, outbox: &mut impl Outbox) -> Option<Instant> {
        let mut again: Option<Instant> = None;
        for position in 0..self.members.len() {
            let (id, subscriber) = &mut self.members[position];
            let Some(line) = subscriber.line_mut() else { continue };
            let is_worse = line.handle_timeout(now);
            let due = self.tracks[MediaKind::Video.index()].probe(now, *id, subscriber, outbox);
            again = again.into_iter().chain(due).min();
            if is_worse {
                self.judge(now, position, outbox);
            }
        }
        again
    }

    /// How a viewer's line looks, if it tells of it.
    pub fn line(&self, id: SubscriberId) -> Option<LineReport> {
        self.members[*self.positions.get(&id)?].1.report()
    }

    /// The lines of all viewers who tell of theirs.
    pub fn lines(&self) -> impl Iterator<Item = LineReport> + '_ {
        self.members.iter().filter_map(|(_, subscriber)| subscriber.report())
    }

    /// Takes a viewer out.
    pub fn remove(&mut self, id: SubscriberId) -> Option<Subscriber> {
        let position = self.positions.remove(&id)?;
        let (_, subscriber) = self.members.swap_remove(position);
        if let Some((moved, _)) = self.members.get(position) {
            self.positions.insert(*moved, position);
        }
        Some(subscriber)
    }

    /// Sends a viewer nothing of the kinds that are `muted`, by [`MediaKind::index`]. A picture that comes back
    /// starts as for a viewer who joins.
    pub fn mute(&mut self, now: Instant, id: SubscriberId, muted: [bool; 2]) {
        let Some(position) = self.positions.get(&id) else { return };
        let subscriber = &mut self.members[*position].1;
        if subscriber.mute(muted) {
            self.tracks[MediaKind::Video.index()].start(now, subscriber, &self.rids);
        }
    }

    /// All viewers, in no particular order.
    pub fn subscribers(&self) -> impl Iterator<Item = SubscriberId> + '_ {
        self.members.iter().map(|(id, _)| *id)
    }

    /// True without viewers.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Room 4: everything that came in this pass, to everybody, one viewer after the other so that what one
    /// is due lies side by side.
    pub fn forward(&mut self, now: Instant, feeds: &mut Vec<Feed>, outbox: &mut impl Outbox) {
        feeds.retain(|feed| self.absorb(feed));
        self.judge_all(now, outbox);
        for (id, subscriber) in &mut self.members {
            for feed in feeds.iter() {
                let Feed::Packet(packet) = feed else { continue };
                let track = &mut self.tracks[packet.kind.index()];
                let chosen = subscriber.target().filter(|_| packet.kind == MediaKind::Video);
                let target = chosen.unwrap_or(Rung::whole(track.selector.best()));
                let layers = &mut track.layers[usize::from(packet.encoding.0)];
                let decision = subscriber.offer(now, packet, target, layers);
                if packet.kind == MediaKind::Video && subscriber.waits_for_keyframe() {
                    track.wish(target.encoding);
                }
                match decision {
                    Ok(rewrite) => outbox.send(*id, subscriber, packet, &rewrite),
                    Err(Skip::Behind) => {}
                    Err(reason) => {
                        if reason == Skip::NoKeyframe {
                            track.wish(target.encoding);
                        }
                        outbox.skip(*id, reason);
                    }
                }
            }
        }
    }

    /// Takes the decrypted RTCP of a viewer: resends what it lost, notes what it wishes and reports.
    pub fn on_rtcp(&mut self, now: Instant, id: SubscriberId, compound: &[u8], outbox: &mut impl Outbox) {
        let mut feedbacks = 0;
        for block in rtcp::blocks(compound) {
            match block {
                Block::Nack { media, lost, .. } => self.resend(now, id, media, lost.take(NACKED_MAX), outbox),
                Block::Pli { media, .. } => self.on_keyframe_wish(id, media),
                Block::Fir { entries, .. } => entries.for_each(|(media, _)| self.on_keyframe_wish(id, media)),
                Block::ReceiverReport { reports, .. } | Block::SenderReport { reports, .. } => {
                    if let Some(subscriber) = self.subscriber_mut(id) {
                        reports.for_each(|report| subscriber.on_report(now, &report));
                    }
                }
                Block::ReferenceTime { sender, ntp } => {
                    if let Some(subscriber) = self.subscriber_mut(id) {
                        subscriber.on_reference_time(now, sender, ntp);
                    }
                }
                Block::TransportFeedback(body) if feedbacks < FEEDBACKS_MAX => {
                    feedbacks += 1;
                    self.on_line(now, id, outbox, |line| line.on_feedback(now, body));
                }
                Block::Remb { bitrate_bps, .. } => {
                    self.on_line(now, id, outbox, |line| line.on_remb(bitrate_bps))
                }
                _ => {}
            }
        }
    }

    /// Appends the sender reports for a viewer; false if there is nothing to report.
    pub fn write_reports(&mut self, now: Instant, id: SubscriberId, cname: &str, out: &mut Vec<u8>) -> bool {
        let Some(position) = self.positions.get(&id) else { return false };
        let tracks = &self.tracks;
        let clock = |kind: MediaKind, encoding: EncodingId| {
            *tracks[kind.index()].clocks.get(usize::from(encoding.0))?
        };
        self.members[*position].1.write_reports(now, clock, cname, out)
    }

    /// True for a viewer whose reports say that what it is sent is of no use.
    pub fn is_hopeless(&self, now: Instant, id: SubscriberId) -> bool {
        self.positions.get(&id).is_some_and(|position| self.members[*position].1.is_hopeless(now))
    }

    /// A keyframe that the viewers of this shard need from the publisher.
    pub fn poll_wish(&mut self) -> Option<EncodingId> {
        let wishes = &mut self.tracks[MediaKind::Video.index()].wishes;
        let at = wishes.iter().position(|wish| *wish)?;
        wishes[at] = false;
        Some(EncodingId(at as u8))
    }

    /// Wishes for a keyframe of an encoding, or of the one that viewers watch.
    pub fn wish(&mut self, kind: MediaKind, encoding: Option<EncodingId>) {
        let track = &mut self.tracks[kind.index()];
        let encoding = encoding.unwrap_or(track.selector.best());
        track.wish(encoding);
    }

    /// Forgets packets that no viewer's jitter buffer would wait for.
    pub fn evict(&mut self, now: Instant) {
        for store in self.tracks.iter_mut().flat_map(|track| &mut track.stores).flatten() {
            store.evict(now);
        }
    }

    /// Notes what every viewer shares; false for what no viewer may see.
    fn absorb(&mut self, feed: &Feed) -> bool {
        match feed {
            Feed::Packet(packet) => self.tracks[packet.kind.index()].on_packet(packet),
            Feed::Clock(clock) => {
                self.tracks[clock.kind.index()].on_clock(clock);
                false
            }
            Feed::Gap => {
                self.tracks.iter_mut().flat_map(|track| &mut track.caches).for_each(GopCache::clear);
                self.members.iter_mut().for_each(|(_, subscriber)| subscriber.on_gap());
                false
            }
            Feed::Cut(kind) => {
                self.tracks[kind.index()].caches.iter_mut().for_each(GopCache::clear);
                self.members.iter_mut().for_each(|(_, subscriber)| subscriber.on_cut(*kind));
                false
            }
        }
    }

    fn on_line(
        &mut self,
        now: Instant,
        id: SubscriberId,
        outbox: &mut impl Outbox,
        heard: impl FnOnce(&mut Line),
    ) {
        let Some(position) = self.positions.get(&id).copied() else { return };
        if let Some(line) = self.members[position].1.line_mut() {
            heard(line);
            self.judge(now, position, outbox);
        }
    }

    /// Judges every line anew when what the encodings carry has changed.
    fn judge_all(&mut self, now: Instant, outbox: &mut impl Outbox) {
        let windows = self.tracks[MediaKind::Video.index()].selector.windows();
        if std::mem::replace(&mut self.judged, windows) != windows {
            (0..self.members.len()).for_each(|position| self.judge(now, position, outbox));
        }
    }

    /// Chooses what a viewer's line is good for. It goes on with the old encoding until the other's next keyframe,
    /// which is asked for at once.
    fn judge(&mut self, now: Instant, position: usize, outbox: &mut impl Outbox) {
        let video = &mut self.tracks[MediaKind::Video.index()];
        let (id, subscriber) = &mut self.members[position];
        let before = subscriber.target();
        if let Some(target) = subscriber.choose(now, video.selector.ladder(), &self.rids) {
            if subscriber.watches() != Some(target.encoding) {
                video.wish(target.encoding);
            }
            if before.is_some() {
                outbox.switch(*id);
            }
        }
    }

    fn on_keyframe_wish(&mut self, id: SubscriberId, media: Ssrc) {
        let Some(subscriber) = self.subscriber_mut(id) else { return };
        if let Some((MediaKind::Video, encoding)) = subscriber.watched(media) {
            self.wish(MediaKind::Video, Some(encoding));
        }
    }

    fn subscriber_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.positions.get(&id).map(|position| &mut self.members[*position].1)
    }
}

impl Track {
    fn on_packet(&mut self, packet: &Arc<Packet>) -> bool {
        let at = usize::from(packet.encoding.0);
        if at >= ENCODINGS_MAX || !self.admits(at, packet.epoch) {
            return false;
        }
        let bytes = packet.payload().len() + OVERHEAD;
        self.selector.on_packet(packet.arrived, packet.encoding, packet.marks.layer, bytes);
        let store =
            self.stores[at].get_or_insert_with(|| Box::new(PacketStore::new(STORE_PACKETS, STORE_TIME)));
        store.insert(packet.clone());
        if packet.kind == MediaKind::Video {
            self.caches[at].push(packet);
            let layers = &mut self.layers[at];
            if layers.is_none() && packet.marks.layer.needed != Rungs::ALL {
                *layers = Some(Box::new(Thinning::new(packet)));
            }
            if let Some(thinning) = layers {
                thinning.on_packet(packet);
            }
        }
        true
    }

    fn on_clock(&mut self, clock: &SenderClock) {
        let at = usize::from(clock.encoding.0);
        if at < ENCODINGS_MAX && self.admits(at, clock.epoch) {
            self.clocks[at] = Some(*clock);
        }
    }

    /// False for what comes from a source that was replaced. A newer publisher starts the track anew, a newer
    /// source of the same publisher only its encoding.
    fn admits(&mut self, encoding: usize, epoch: u32) -> bool {
        let publisher = |epoch: u32| epoch >> 8;
        let known = self.epochs.iter().map(|epoch| publisher(*epoch)).max().unwrap_or(0);
        if publisher(epoch) > known {
            *self = Self::default();
        }
        if publisher(epoch) < known || epoch < self.epochs[encoding] {
            return false;
        }
        if epoch > self.epochs[encoding] {
            self.epochs[encoding] = epoch;
            self.stores[encoding] = None;
            self.clocks[encoding] = None;
            self.caches[encoding].clear();
            self.layers[encoding] = None;
        }
        true
    }

    /// Starts a viewer's picture from the past, or asks for what it can start from.
    fn start(&mut self, now: Instant, subscriber: &mut Subscriber, rids: &Rids) {
        if !self.start_behind(now, subscriber, rids) {
            self.wish(self.target_of(subscriber).encoding);
        }
    }

    /// Starts a viewer's picture from the last keyframe of the encoding that it should be on, if there is one.
    fn start_behind(&mut self, now: Instant, subscriber: &mut Subscriber, rids: &Rids) -> bool {
        subscriber.choose(now, self.selector.ladder(), rids);
        let target = self.target_of(subscriber);
        let at = usize::from(target.encoding.0);
        let Some(layers) = self.layers.get_mut(at) else { return false };
        subscriber.start_behind(now, &self.caches[at], target, layers)
    }

    /// The rung that a viewer should be on.
    fn target_of(&self, subscriber: &Subscriber) -> Rung {
        subscriber.target().unwrap_or(Rung::whole(self.selector.best()))
    }

    /// Sends what a probe of one viewer's line is due, and tells when to come again.
    fn probe(
        &mut self,
        now: Instant,
        id: SubscriberId,
        subscriber: &mut Subscriber,
        outbox: &mut impl Outbox,
    ) -> Option<Instant> {
        for _ in 0..PROBE_PACKETS_MAX {
            match subscriber.line_mut()?.poll_probe(now) {
                Due::Bytes(_) => {}
                Due::Wait(at) => return Some(at),
                Due::Nothing => return None,
            }
            let Some((seq, origin)) = subscriber.probe() else { break };
            if let Some(packet) = self.find(origin)
                && let layers = &mut self.layers[usize::from(packet.encoding.0)]
                && let Some(rewrite) = subscriber.resend(now, &packet, seq, layers)
            {
                outbox.send(id, subscriber, &packet, &rewrite);
            }
        }
        // There is nothing to send for now, or enough of it.
        Some(now + PROBE_PAUSE)
    }

    /// A packet for one who asks again: out of the store, or, for one who is behind, out of the cache.
    fn find(&mut self, origin: Origin) -> Option<Arc<Packet>> {
        let at = usize::from(origin.rung.encoding.0);
        let thinning = self.layers.get_mut(at)?.as_mut();
        let seq = thinning.map_or(origin.seq, |thinning| thinning.source(origin.rung, origin.seq));
        let stored = self.stores[at].as_ref().and_then(|store| store.get(seq));
        let packet = stored.or_else(|| self.caches[at].find(seq));
        packet.filter(|packet| packet.epoch == origin.epoch).cloned()
    }

    fn wish(&mut self, encoding: EncodingId) {
        if let Some(wish) = self.wishes.get_mut(usize::from(encoding.0)) {
            *wish = true;
        }
    }
}
