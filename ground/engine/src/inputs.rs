//! Several publishers of one stream: one is shown, the others stand by. Which, the control plane says; when, the
//! keyframes.

use crate::command::Event;
use crate::counters::Counter;
use crate::hub::Cue;
use crate::lifecycle::rids;
use crate::mail::Mail;
use crate::peer::Media;
use crate::shard::Shard;
use wtn_fanout::Publisher;
use wtn_media::{MediaKind, Packet, SessionId, StreamId};

impl Shard {
    /// Shows an input of this shard, now or from its next keyframe on. Whoever waited for one waits no more, here
    /// and, as every shard is told, elsewhere.
    pub(crate) fn show(&mut self, stream: StreamId, session: SessionId, epoch: u32, at_once: bool) {
        if let Some(hub) = self.hubs.get_mut(&stream) {
            hub.cue = None;
        }
        let Some(key) = self.key_of(session) else { return };
        let Some(peer) = self.peers.get(key).filter(|peer| peer.session.is_connected()) else { return };
        let has_picture = peer.ticket.admission.plan.track(MediaKind::Video).is_some();
        if at_once || !has_picture {
            return self.begin_turn(stream, key, epoch);
        }
        self.hub(stream).cue = Some(Cue { key, epoch, since: self.now });
        self.ask_for_cue(stream);
    }

    /// Keeps a packet of an input that is not shown. It may be the keyframe that its turn waits for.
    pub(crate) fn keep(&mut self, stream: StreamId, key: usize, packet: Packet) {
        let Some(publisher) = self.publisher_mut(key) else { return };
        let kind = packet.kind;
        publisher.stand_by(packet);
        let cue = self.hubs.get(&stream).and_then(|hub| hub.cue).filter(|cue| cue.key == key);
        let Some(Cue { epoch, since, .. }) = cue.filter(|_| kind == MediaKind::Video) else { return };
        let now = self.now;
        match self
            .publisher_mut(key)
            .is_some_and(|publisher| publisher.lacks_keyframe(now, since).count() == 0)
        {
            true => self.begin_turn(stream, key, epoch),
            false => self.ask_for_cue(stream),
        }
    }

    /// Tells what is new of a publisher: whether it sends, and what may be wrong with it; of the one that
    /// is shown, what layers it has.
    pub(crate) fn tell_news(&mut self, key: usize) {
        let now = self.now;
        let Some(Media::Publisher(publisher)) = self.peers.get_mut(key).map(|peer| &mut peer.media) else {
            return;
        };
        let (flows, layers, lint) =
            (publisher.poll_flow(now), publisher.poll_layers(now), publisher.poll_lint(now));
        let is_news = flows.is_some() || layers.is_some() || lint.is_some();
        let Some(peer) = self.peers.get(key).filter(|_| is_news) else { return };
        let (session, stream) = (peer.ticket.admission.session, peer.ticket.admission.stream);
        let is_shown = self.hubs.get(&stream).is_some_and(|hub| hub.publisher() == Some(key));
        self.events.extend(lint.map(|news| Event::Lint { session, news }));
        self.events.extend(flows.map(|flows| Event::Flow { session, flows }));
        self.events.extend(layers.filter(|_| is_shown).map(|layers| Event::Layers { stream, layers }));
    }

    /// Asks an input for the keyframes that its turn waits for: every wish, until one is granted, merged.
    fn ask_for_cue(&mut self, stream: StreamId) {
        let now = self.now;
        let Some(Cue { key, since, .. }) = self.hubs.get(&stream).and_then(|hub| hub.cue) else { return };
        let Some(publisher) = self.publisher_mut(key) else { return };
        for encoding in publisher.lacks_keyframe(now, since) {
            publisher.want_keyframe(now, encoding);
        }
        self.send_publisher_rtcp(key);
        self.schedule(key);
    }

    /// From now on viewers get what this input sends. They start from what it has kept.
    fn begin_turn(&mut self, stream: StreamId, key: usize, epoch: u32) {
        let hub = self.hub(stream);
        hub.cue = None;
        if hub.publisher() == Some(key) && hub.source().is_some_and(|source| source.epoch() == epoch) {
            return;
        }
        let Some(rids) = self.peers.get(key).map(|peer| rids(&peer.ticket.admission.plan)) else { return };
        if !self.hub(stream).publish_here(epoch, key, &rids) {
            return;
        }
        let Some(turn) = self.publisher_mut(key).map(|publisher| publisher.begin_turn(epoch)) else { return };
        let now = self.now;
        self.hub(stream).fan.adopt(now, &turn.packets, &turn.clocks);
        let shard = self.id;
        self.post.broadcast(|| Mail::Publishing { stream, epoch, shard, rids: rids.clone() });
        self.tend(stream);
        self.dirty.push(stream);
        self.counters.count(Counter::InputSwitches);
        if let Some(peer) = self.peers.get(key) {
            self.events.push_back(Event::Shown { session: peer.ticket.admission.session, epoch });
        }
    }

    fn publisher_mut(&mut self, key: usize) -> Option<&mut Publisher> {
        match &mut self.peers.get_mut(key)?.media {
            Media::Publisher(publisher) => Some(publisher),
            Media::Subscriber { .. } => None,
        }
    }
}
