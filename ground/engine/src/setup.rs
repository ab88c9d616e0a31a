//! Builds N shards that know one another, and the handle by which the control plane speaks to them.

use crate::arena::Arena;
use crate::command::Command;
use crate::counters::Counters;
use crate::directory::{Routes, Tickets};
use crate::mail::{MAILBOX, Post, Wake};
use crate::random::Random;
use crate::shard::Shard;
use crate::ticket::ShardId;
use crate::timers::Timers;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;
use wtn_session::Identity;

/// Commands that wait for one shard. A crowd of thousands that joins within one pass fits.
const COMMANDS: usize = 8192;

/// What the engine can be told.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Number of shards, at least 1: one per core that media may use.
    pub shards: u16,
    /// Seed of all numbers that need no secrecy. The same seed, clock and input repeat a run exactly.
    pub seed: u64,
    /// The time at which the engine begins.
    pub now: Instant,
}

/// Builds the shards. `wakers` has one for each of `config.shards`.
pub fn build(
    config: &EngineConfig,
    identity: &Arc<Identity>,
    wakers: Vec<Arc<dyn Wake>>,
) -> (Vec<Shard>, Control) {
    let ids = || (0..config.shards.max(1)).map(ShardId);
    let (commands, command_ends): (Vec<_>, Vec<_>) = ids().map(|_| sync_channel(COMMANDS)).unzip();
    let (boxes, mailboxes): (Vec<_>, Vec<_>) = ids().map(|_| sync_channel(MAILBOX)).unzip();
    let counters: Vec<Arc<Counters>> = ids().map(|_| Arc::default()).collect();
    let ends = ids().zip(command_ends).zip(mailboxes).zip(&counters);
    let shards = ends
        .map(|(((id, commands), mailbox), counters)| {
            let post = Post::new(id, boxes.clone(), wakers.clone());
            shard(id, config, identity.clone(), commands, mailbox, post, counters.clone())
        })
        .collect();
    (shards, Control { commands: commands.into(), wakers: wakers.into(), counters: counters.into() })
}

fn shard(
    id: ShardId,
    config: &EngineConfig,
    identity: Arc<Identity>,
    commands: Receiver<Command>,
    mailbox: Receiver<crate::mail::Mail>,
    post: Post,
    counters: Arc<Counters>,
) -> Shard {
    Shard {
        id,
        identity,
        counters,
        random: Random::new(config.seed, u64::from(id.0)),
        commands,
        mailbox,
        post,
        tickets: Tickets::default(),
        routes: Routes::default(),
        peers: Slab::new(),
        keys: HashMap::new(),
        hubs: BTreeMap::new(),
        fed: BTreeSet::new(),
        dirty: Vec::new(),
        timers: Timers::default(),
        arena: Arena::default(),
        scratch: Vec::new(),
        report: Vec::new(),
        events: VecDeque::new(),
        farewells: VecDeque::new(),
        has_more: false,
        draining: false,
        drained: false,
        now: config.now,
    }
}

/// The control plane's way to all shards. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    commands: Arc<[SyncSender<Command>]>,
    wakers: Arc<[Arc<dyn Wake>]>,
    counters: Arc<[Arc<Counters>]>,
}

/// A thread of the engine is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineStopped;

impl Control {
    /// Tells every shard, and wakes each. Waits only for a shard that is thousands of commands behind.
    ///
    /// # Errors
    /// If a shard is gone; the others have been told.
    pub fn send(&self, command: Command) -> Result<(), EngineStopped> {
        let mut told = Ok(());
        for (sender, waker) in self.commands.iter().zip(&*self.wakers) {
            match sender.send(command.clone()) {
                Ok(()) => waker.wake(),
                Err(_) => told = Err(EngineStopped),
            }
        }
        told
    }

    /// The counters of every shard.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.commands.len()
    }
}
