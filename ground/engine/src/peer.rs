//! One client of this shard: its association, and what it is to its stream.

use crate::arena::Arena;
use crate::counters::{Counter, Counters};
use crate::egress::Egress;
use crate::ticket::Ticket;
use slab::Slab;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use wtn_fanout::{Outbox, Publisher, Rewrite, Skip, Subscriber, SubscriberId};
use wtn_media::Packet;
use wtn_session::{DropReason, Session};

/// Longest header that we write: fixed part, MID, transport-wide number and every extension that a packet may keep.
/// One of these is long, and makes the heads of the others so.
const HEADER_MAX: usize = 12 + 4 + 10 * 18 + 257 + 3;

/// A session that lives on this shard.
pub struct Peer {
    /// Its ticket.
    pub ticket: Arc<Ticket>,
    /// Its association. Boxed: keys and handshake are touched only when it is served.
    pub session: Box<Session>,
    /// What it is to its stream.
    pub media: Media,
    /// Where its datagrams come from: as many addresses as the session keeps.
    pub addresses: Vec<SocketAddr>,
    /// The earliest timer that is set for it.
    pub wakes_at: Option<Instant>,
}

/// What a peer is to its stream.
pub enum Media {
    /// It sends to us.
    Publisher(Box<Publisher>),
    /// It receives from us; its numbers are in the stream.
    Subscriber {
        /// When its next sender report is due; `None` before it is connected.
        next_report: Option<Instant>,
    },
}

impl Peer {
    /// When this peer must be served without being spoken to.
    pub fn next_timeout(&self) -> Option<Instant> {
        let media = match &self.media {
            Media::Publisher(publisher) if self.session.is_connected() => Some(publisher.next_timeout()),
            Media::Publisher(_) => None,
            Media::Subscriber { next_report } => *next_report,
        };
        self.session.next_timeout().into_iter().chain(media).min()
    }

    /// Seals a compound of RTCP for the peer into the arena.
    pub fn send_rtcp(&mut self, compound: &[u8], scratch: &mut Vec<u8>, arena: &mut Arena) {
        scratch.clear();
        if let Some(to) = self.session.remote()
            && self.session.seal_rtcp(compound, scratch)
        {
            arena.push(to, scratch);
        }
    }
}

/// Which counter a dropped datagram goes under.
pub fn counter_of(reason: DropReason) -> Counter {
    match reason {
        DropReason::UnknownKind => Counter::DropUnknownKind,
        DropReason::BadStun => Counter::DropBadStun,
        DropReason::UnknownUser => Counter::DropUnknownUser,
        DropReason::Unauthentic => Counter::DropUnauthentic,
        DropReason::UnknownPeer => Counter::DropUnknownPeer,
        DropReason::BadDtls => Counter::DropBadDtls,
        DropReason::TooEarly => Counter::DropTooEarly,
        DropReason::BadTag => Counter::DropBadTag,
        DropReason::Replay => Counter::DropReplay,
        DropReason::Malformed => Counter::DropMalformed,
    }
}

/// Room 5: seals rewritten packets into the arena, each straight from the shared payload.
pub struct Sealer<'a, 'e> {
    /// The shard's peers.
    pub peers: &'a mut Slab<Peer>,
    /// Where datagrams go.
    pub arena: &'a mut Arena,
    /// Where the arena goes when it is full; `None` where little is sent.
    pub egress: Option<&'a mut (dyn Egress + 'e)>,
    /// What is counted.
    pub counters: &'a Counters,
    /// Payloads that differ from what is shared are put together here: retransmissions, other picture ids.
    pub scratch: &'a mut Vec<u8>,
    /// Peers whose service panicked, to be ended.
    pub crashed: &'a mut Vec<usize>,
}

impl Outbox for Sealer<'_, '_> {
    fn send(&mut self, to: SubscriberId, subscriber: &Subscriber, packet: &Packet, rewrite: &Rewrite) {
        let key = to.0 as usize;
        let sealed = catch_unwind(AssertUnwindSafe(|| self.seal(key, subscriber, packet, rewrite)));
        match sealed {
            Ok(Some(())) if rewrite.original.is_some() => self.counters.count(Counter::Retransmits),
            Ok(Some(())) => self.counters.count(Counter::PacketsOut),
            Ok(None) => {}
            Err(_) => self.crashed.push(key),
        }
    }

    fn skip(&mut self, _to: SubscriberId, reason: Skip) {
        self.counters.count(match reason {
            Skip::NoCodec => Counter::SkipNoCodec,
            Skip::NoKeyframe => Counter::SkipNoKeyframe,
            Skip::OtherEncoding => Counter::SkipOtherEncoding,
            Skip::OtherLayer => Counter::SkipOtherLayer,
            Skip::Late => Counter::SkipLate,
            Skip::Muted => Counter::SkipMuted,
            // Not skipped: it comes out of the cache.
            Skip::Behind => return,
        });
    }

    fn miss(&mut self, _to: SubscriberId) {
        self.counters.count(Counter::RetransmitMisses);
    }

    fn switch(&mut self, _to: SubscriberId) {
        self.counters.count(Counter::LayerSwitches);
    }
}

impl Sealer<'_, '_> {
    fn seal(
        &mut self,
        key: usize,
        subscriber: &Subscriber,
        packet: &Packet,
        rewrite: &Rewrite,
    ) -> Option<()> {
        let session = &mut self.peers.get_mut(key)?.session;
        let to = session.remote()?;
        let payload = match (rewrite.original, rewrite.ids) {
            (None, None) => packet.payload(),
            (original, ids) => {
                self.scratch.clear();
                self.scratch.extend(original.into_iter().flat_map(u16::to_be_bytes));
                let start = self.scratch.len();
                self.scratch.extend_from_slice(packet.payload());
                if let Some(ids) = ids {
                    ids.write(&mut self.scratch[start..]);
                }
                self.scratch.as_slice()
            }
        };
        let slot = self.arena.slot(HEADER_MAX + payload.len() + session.seal_overhead());
        let header = subscriber.write_header(packet, rewrite, slot);
        let len = session.seal_rtp(rewrite.ssrc, rewrite.seq.0, header, payload, slot)?;
        self.arena.commit(to, len);
        if self.arena.is_full()
            && let Some(egress) = &mut self.egress
        {
            let datagrams = self.arena.flush(&mut **egress);
            self.counters.add(Counter::DatagramsOut, datagrams);
        }
        Some(())
    }
}
