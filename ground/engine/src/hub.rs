//! A stream as one shard sees it: where its packets come from, who gets them here, which shards want them.

use crate::mail::{Mail, Post};
use crate::ticket::ShardId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_fanout::{Feed, SenderClock, Stream};
use wtn_media::layers::Rids;
use wtn_media::{EncodingId, Packet, StreamId};

/// Packets in a ring between two shards: over a second at 10 Mbit/s. A shard that stalls for longer loses
/// packets and starts its viewers anew with the next keyframe; it never slows the publisher.
const RING: usize = 1024;

/// Feeds taken from a ring per pass: after a stall, the rest comes with the next passes, so that the first
/// viewer does not wait for the last packet.
pub const FETCH_BUDGET: usize = 128;

/// Keyframe wishes to another shard are repeated no sooner; the publisher there merges them anyway.
const WISH_INTERVAL: Duration = Duration::from_millis(50);

/// Where a stream's packets come from.
#[derive(Debug)]
pub enum Source {
    /// A publisher of this shard, by its peer key.
    Here { epoch: u32, key: usize },
    /// Another shard, which feeds us through a ring if we have viewers.
    There {
        epoch: u32,
        shard: ShardId,
        ring: Option<rtrb::Consumer<Feed>>,
        /// Its backlog has come, or there is no ring to follow one.
        has_backlog: bool,
    },
}

impl Source {
    /// Which publisher: of two, the higher is the newer.
    pub fn epoch(&self) -> u32 {
        match self {
            Self::Here { epoch, .. } | Self::There { epoch, .. } => *epoch,
        }
    }
}

/// A shard that has viewers of a stream whose publisher is here.
#[derive(Debug)]
struct Sink {
    shard: ShardId,
    ring: rtrb::Producer<Feed>,
    /// Something was left out: say so before anything else goes in.
    gap: bool,
}

/// An input that is to be shown from its next keyframe on.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// Its peer key.
    pub key: usize,
    /// The epoch of its turn.
    pub epoch: u32,
    /// Only a keyframe that came since counts.
    pub since: Instant,
}

/// One stream on one shard.
#[derive(Debug)]
pub struct Hub {
    /// Its viewers here.
    pub fan: Stream,
    /// What came in this pass.
    pub pending: Vec<Feed>,
    /// Publishers here, by their peer keys: the one that is shown, if it is here, and those that stand by.
    pub inputs: Vec<usize>,
    /// One of them that is to be shown from its next keyframe on.
    pub cue: Option<Cue>,
    source: Option<Source>,
    sinks: Vec<Sink>,
    orphan_since: Instant,
    /// How long its viewers stay without a publisher; `None`: as long as they like.
    grace: Option<Duration>,
    /// Of the last publisher that is known to be gone: mail about it may still be under way.
    last_epoch: Option<u32>,
    wished: Option<Instant>,
    /// The timer that is set for it; any other is left over from a stream of the same name.
    pub wakes_at: Instant,
    /// The timer that is set for viewers who are catching up.
    pub catches_up_at: Option<Instant>,
}

impl Hub {
    /// A stream that nobody publishes yet.
    pub fn new(now: Instant) -> Self {
        Self {
            fan: Stream::default(),
            pending: Vec::new(),
            inputs: Vec::new(),
            cue: None,
            source: None,
            sinks: Vec::new(),
            orphan_since: now,
            grace: None,
            wished: None,
            wakes_at: now,
            catches_up_at: None,
            last_epoch: None,
        }
    }

    /// Where its packets come from.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The peer key of its publisher, if that is here.
    pub fn publisher(&self) -> Option<usize> {
        match self.source {
            Some(Source::Here { key, .. }) => Some(key),
            _ => None,
        }
    }

    /// How long viewers stay without a publisher, from now on.
    pub fn set_grace(&mut self, grace: Option<Duration>) {
        self.grace = grace;
    }

    /// True if nobody has published it for the whole grace time.
    pub fn is_abandoned(&self, now: Instant) -> bool {
        self.source.is_none() && self.grace.is_some_and(|grace| now >= self.orphan_since + grace)
    }

    /// True if it can be forgotten.
    pub fn is_idle(&self) -> bool {
        self.source.is_none() && self.fan.is_empty() && self.inputs.is_empty()
    }

    /// A publisher here took the stream. False if a newer one has it already. Other shards that want packets ask
    /// for its.
    pub fn publish_here(&mut self, epoch: u32, key: usize, rids: &Rids) -> bool {
        if self.source.as_ref().is_some_and(|source| source.epoch() > epoch) {
            return false;
        }
        self.sinks.clear();
        self.source = Some(Source::Here { epoch, key });
        self.fan.set_rids(rids.clone());
        true
    }

    /// A publisher on `shard` took the stream.
    pub fn publish_there(&mut self, epoch: u32, shard: ShardId, rids: &Rids) -> bool {
        let is_newest = self.source.as_ref().is_none_or(|source| source.epoch() < epoch);
        if !is_newest || self.last_epoch >= Some(epoch) {
            return false;
        }
        self.source = Some(Source::There { epoch, shard, ring: None, has_backlog: true });
        self.fan.set_rids(rids.clone());
        self.sinks.clear();
        true
    }

    /// The publisher of that epoch is gone, which only matters to those who know no newer one.
    pub fn unpublish(&mut self, now: Instant, epoch: u32) {
        self.last_epoch = self.last_epoch.max(Some(epoch));
        if self.source.as_ref().is_some_and(|source| source.epoch() == epoch) {
            self.source = None;
            self.sinks.clear();
            self.orphan_since = now;
        }
    }

    /// Asks the publisher's shard for packets if there are viewers here, tells it to stop if there are none.
    pub fn settle(&mut self, me: ShardId, stream: StreamId, post: &mut Post) {
        let Some(Source::There { shard, ring, has_backlog, .. }) = &mut self.source else { return };
        match (ring.is_some(), self.fan.is_empty()) {
            (false, false) => {
                let (producer, consumer) = rtrb::RingBuffer::new(RING);
                *ring = Some(consumer);
                *has_backlog = false;
                post.send(*shard, Mail::Subscribe { stream, shard: me, ring: producer });
            }
            (true, true) => {
                *ring = None;
                self.fan.rest();
                post.send(*shard, Mail::Unsubscribe { stream, shard: me });
            }
            _ => {}
        }
    }

    /// `shard` wants packets.
    pub fn add_sink(&mut self, shard: ShardId, ring: rtrb::Producer<Feed>) {
        self.remove_sink(shard);
        self.sinks.push(Sink { shard, ring, gap: false });
    }

    /// Takes the backlog of a publisher elsewhere.
    pub fn adopt(&mut self, now: Instant, of: u32, backlog: &[Arc<Packet>], clocks: &[SenderClock]) {
        if let Some(Source::There { epoch, has_backlog, .. }) = &mut self.source
            && *epoch == of
        {
            *has_backlog = true;
            self.fan.adopt(now, backlog, clocks);
        }
    }

    /// `shard` wants no more packets.
    pub fn remove_sink(&mut self, shard: ShardId) {
        self.sinks.retain(|sink| sink.shard != shard);
    }

    /// Fetches what another shard's publisher sent, at most [`FETCH_BUDGET`] feeds, and nothing before the
    /// backlog, which is older. The answer counts them.
    pub fn fetch(&mut self) -> usize {
        let Some(Source::There { ring: Some(ring), has_backlog: true, .. }) = &mut self.source else {
            return 0;
        };
        let before = self.pending.len();
        self.pending.extend(std::iter::from_fn(|| ring.pop().ok()).take(FETCH_BUDGET));
        self.pending.len() - before
    }

    /// True if another shard feeds it.
    pub fn is_fed(&self) -> bool {
        matches!(self.source, Some(Source::There { ring: Some(_), .. }))
    }

    /// Hands this pass' packets to the other shards; the answer counts what found a ring full.
    pub fn share(&mut self, post: &mut Post) -> u64 {
        let pending = &self.pending;
        self.sinks.iter_mut().map(|sink| sink.push(pending, post)).sum()
    }

    /// Passes viewers' wishes on to a publisher elsewhere; those for one here are returned.
    pub fn pass_wishes(&mut self, now: Instant, stream: StreamId, post: &mut Post) -> Vec<EncodingId> {
        let mut here = Vec::new();
        if matches!(self.source, Some(Source::There { has_backlog: false, .. })) {
            // What is under way may serve them all.
            return here;
        }
        let rested = self.wished.is_none_or(|at| now >= at + WISH_INTERVAL);
        while let Some(encoding) = self.fan.poll_wish() {
            match &self.source {
                Some(Source::Here { .. }) => here.push(encoding),
                Some(Source::There { shard, .. }) if rested => {
                    post.try_send(*shard, Mail::Keyframe { stream, encoding });
                    self.wished = Some(now);
                }
                _ => {}
            }
        }
        here
    }
}

impl Sink {
    fn push(&mut self, feeds: &[Feed], post: &mut Post) -> u64 {
        if feeds.is_empty() {
            return 0;
        }
        post.wake(self.shard);
        if self.gap && self.ring.push(Feed::Gap).is_ok() {
            self.gap = false;
        }
        let mut lost = 0;
        for feed in feeds {
            if self.gap || self.ring.push(feed.clone()).is_err() {
                self.gap = true;
                lost += 1;
            }
        }
        lost
    }
}
