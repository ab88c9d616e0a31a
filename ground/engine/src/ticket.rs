//! The ticket: a session that signalling has admitted and no shard owns yet.
//!
//! Every shard holds the same `Arc<Ticket>`. The first one that sees an authentic STUN check claims it, by
//! one compare-and-swap; the others then know whom to hand strays to. So a session lives where the kernel's
//! hash puts its client, and no lock is needed to find out.

use std::sync::atomic::{AtomicU16, Ordering};
use wtn_media::Admission;

/// One shard, 0 to N-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// An admitted session and who serves it.
#[derive(Debug)]
pub struct Ticket {
    /// What signalling settled.
    pub admission: Admission,
    owner: AtomicU16,
}

const UNCLAIMED: u16 = u16::MAX;

impl Ticket {
    /// A ticket that nobody has claimed.
    pub fn new(admission: Admission) -> Self {
        Self { admission, owner: AtomicU16::new(UNCLAIMED) }
    }

    /// Claims the session for `shard`. The answer is the owner: `shard` itself, or who was faster.
    pub fn claim(&self, shard: ShardId) -> ShardId {
        match self.owner.compare_exchange(UNCLAIMED, shard.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => shard,
            Err(owner) => ShardId(owner),
        }
    }

    /// The owner, if there is one.
    pub fn owner(&self) -> Option<ShardId> {
        match self.owner.load(Ordering::Acquire) {
            UNCLAIMED => None,
            owner => Some(ShardId(owner)),
        }
    }
}
