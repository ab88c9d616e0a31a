//! What shards tell one another. Media does not travel here but in rings; this is for the few words around it.

use crate::ticket::ShardId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use wtn_fanout::{Feed, SenderClock};
use wtn_media::layers::Rids;
use wtn_media::{EncodingId, Packet, Remote, SessionId, StreamId};

/// Mail that waits in one box. Strays are the bulk of it, and lost like any datagram when it is full.
pub const MAILBOX: usize = 4096;

/// Wakes a shard's thread from its wait: an eventfd in production, nothing in a simulation.
pub trait Wake: Send + Sync {
    /// Makes the shard's next wait return at once.
    fn wake(&self);
}

/// One message between shards.
#[derive(Debug)]
pub enum Mail {
    /// `shard` has the publisher of `stream` now.
    Publishing { stream: StreamId, epoch: u32, shard: ShardId, rids: Rids },
    /// The publisher with that epoch is gone.
    Unpublished { stream: StreamId, epoch: u32 },
    /// `shard` has viewers of `stream`: feed them through this ring.
    Subscribe { stream: StreamId, shard: ShardId, ring: rtrb::Producer<Feed> },
    /// To one who subscribed: what its viewers may start from, before anything comes through the ring.
    Backlog { stream: StreamId, epoch: u32, packets: Vec<Arc<Packet>>, clocks: Vec<SenderClock> },
    /// `shard` has no viewers of `stream` any more.
    Unsubscribe { stream: StreamId, shard: ShardId },
    /// Viewers of `stream` need a keyframe of this encoding.
    Keyframe { stream: StreamId, encoding: EncodingId },
    /// A datagram for a session of the receiver's, that the kernel gave to somebody else.
    Stray { from: Remote, datagram: Box<[u8]> },
    /// The session's ICE restart is over: forget the credentials before it.
    Renewed(SessionId),
    /// The session is over: forget its ticket.
    Forget(SessionId),
}

/// A shard's way to its colleagues.
pub struct Post {
    me: ShardId,
    boxes: Vec<SyncSender<Mail>>,
    wakers: Vec<Arc<dyn Wake>>,
    to_wake: Vec<bool>,
    /// Mail that must arrive and found the box full; goes first the next time. Bounded by what causes it:
    /// a few words per publisher, per ICE restart, and per session that ends.
    kept: VecDeque<(ShardId, Mail)>,
}

impl Post {
    /// The post of shard `me`, with everybody's boxes and wakers, its own included.
    pub fn new(me: ShardId, boxes: Vec<SyncSender<Mail>>, wakers: Vec<Arc<dyn Wake>>) -> Self {
        let to_wake = vec![false; boxes.len()];
        Self { me, boxes, wakers, to_wake, kept: VecDeque::new() }
    }

    /// Sends what must arrive. Order per receiver is kept.
    pub fn send(&mut self, to: ShardId, mail: Mail) {
        if self.kept.iter().any(|(other, _)| *other == to) {
            self.kept.push_back((to, mail));
        } else if let Err(mail) = self.put(to, mail) {
            self.kept.push_back((to, mail));
        }
    }

    /// Sends what may be lost; false if it was.
    pub fn try_send(&mut self, to: ShardId, mail: Mail) -> bool {
        // Nothing of it before what must arrive.
        !self.kept.iter().any(|(other, _)| *other == to) && self.put(to, mail).is_ok()
    }

    /// Tells everybody else.
    pub fn broadcast(&mut self, mail: impl Fn() -> Mail) {
        for to in (0..self.boxes.len() as u16).map(ShardId) {
            if to != self.me {
                self.send(to, mail());
            }
        }
    }

    /// Notes that `to` has something to fetch from a ring.
    pub fn wake(&mut self, to: ShardId) {
        if let Some(flag) = self.to_wake.get_mut(usize::from(to.0)) {
            *flag = true;
        }
    }

    /// Tries the kept mail again, then wakes everybody who got something in this pass, once.
    pub fn flush(&mut self) {
        for (to, mail) in std::mem::take(&mut self.kept) {
            self.send(to, mail);
        }
        for (flag, waker) in self.to_wake.iter_mut().zip(&self.wakers) {
            if std::mem::take(flag) {
                waker.wake();
            }
        }
    }

    /// True while mail that must arrive still waits for room.
    pub fn is_behind(&self) -> bool {
        !self.kept.is_empty()
    }

    fn put(&mut self, to: ShardId, mail: Mail) -> Result<(), Mail> {
        let Some(mailbox) = self.boxes.get(usize::from(to.0)) else { return Ok(()) };
        match mailbox.try_send(mail) {
            Ok(()) => {
                self.wake(to);
                Ok(())
            }
            Err(TrySendError::Full(mail)) => Err(mail),
            // A shard whose thread is gone has no sessions that could miss it.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

/// The receiving end.
pub type Mailbox = Receiver<Mail>;
