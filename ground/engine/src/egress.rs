//! The way out: a shard fills one contiguous arena, the egress hands it to the network.

use wtn_media::Remote;

/// A run of datagrams to one address: equal segments one after another, the last may be shorter. One
/// `sendmsg` with UDP_SEGMENT where the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it goes.
    pub to: Remote,
    /// First byte in the arena.
    pub start: usize,
    /// Bytes in all.
    pub len: usize,
    /// Bytes per datagram, but for the last.
    pub segment: usize,
}

/// Where a shard's datagrams go: a socket in production, a simulated network in tests.
pub trait Egress {
    /// Sends every run of `runs` out of `arena`, in order. What the network does not take is lost, as UDP
    /// is; the egress counts it.
    fn send(&mut self, arena: &[u8], runs: &[Run]);

    /// An address that lost some of its datagrams for want of room since the last question; each once a pass is
    /// enough. Its viewer goes without a picture until the next keyframe.
    fn poll_starved(&mut self) -> Option<Remote> {
        None
    }
}
