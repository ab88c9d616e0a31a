//! The way in: everything that has arrived, up to a budget, handed on as one `&mut [u8]` a datagram.
//!
//! A shard flushes once a pass, so what one pass takes decides how long its first packet waits for its last.
//! The kernel's buffer is the queue; a receiver keeps at most the one batch that it has read already.

pub use crate::platform::Receiver;

/// Datagrams a pass hands to its shard, at most. Each may cost a seal for every viewer of the shard (about
/// 0.4 µs), so with 500 viewers a full pass is 13 ms; more would batch no better, as a system call for 64
/// datagrams is already lost in the noise, and the first viewer would wait longer.
pub const RECV_BUDGET: usize = 64;

/// What one call of [`Receiver::receive`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Datagrams handed on.
    pub datagrams: usize,
    /// The budget ended the call, not the queue: come again without waiting.
    pub more: bool,
}
