//! The engine: N shards, each the sole owner of its sessions and viewers. Sans-IO; threads and sockets live
//! in `wtn-net`, the simulator of `testkit` drives the very same code.
//!
//! A packet's way, five rooms:
//! 1. `net.recv_batch` many datagrams, one syscall, one `now`.
//! 2. [`Shard::handle_datagram`] routes by remote address, else by STUN user name, else counts a drop.
//! 3. `Session::handle_datagram` classifies, refuses replays, decrypts; the publisher makes an `Arc<Packet>`.
//! 4. `Stream::forward` asks each subscriber: rewrite, or drop with a reason. Other shards with viewers of
//!    the stream get the same `Arc` over one bounded ring per (stream, shard).
//! 5. The session seals from the shared payload into the viewer's slot of the shard's arena;
//!    [`Shard::flush`] hands runs of equal segments to the [`Egress`].

mod arena;
mod directory;
mod hub;
mod inputs;
mod lifecycle;
mod mail;
mod peer;
mod random;
mod shard;
mod sink;
mod timers;
mod traffic;

pub mod command;
pub mod counters;
pub mod egress;
pub mod setup;
pub mod ticket;

pub use command::{Command, EndReason, Event, Restart};
pub use counters::{Counter, Counters};
pub use egress::{Egress, Run};
pub use mail::Wake;
pub use setup::{Control, EngineConfig, EngineStopped, build};
pub use shard::Shard;
pub use ticket::{ShardId, Ticket};
pub use wtn_fanout::LintNews;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
mod tests;
