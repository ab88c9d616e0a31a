//! What one shard's socket has done, for the operator: one writer (the shard's thread), any reader.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// What is counted at the socket. The shard's own counters say what became of a datagram afterwards.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum NetCounter { $($(#[$doc])* $name,)* }

        impl NetCounter {
            /// Every counter.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A stable code for metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

counters! {
    /// Passes of the shard's thread; what went in and out, divided by them, says how large batches are.
    Passes => "net_passes",
    /// Time that the shard's thread spent in passes and not asleep, in ns.
    BusyNs => "net_busy_ns",
    /// Datagrams that the kernel handed us.
    Received => "net_received",
    /// What the kernel dropped since our receive buffer was full, as it told us with what came later; a
    /// message of several datagrams counts once.
    ReceiveOverflow => "net_receive_overflow",
    /// Datagrams longer than any buffer; dropped.
    ReceiveTruncated => "net_receive_truncated",
    /// Datagrams that the kernel took.
    Sent => "net_sent",
    /// Their bytes, without the headers of UDP and IP.
    SentBytes => "net_sent_bytes",
    /// Not sent: the send buffer stayed full for longer than a shard may wait.
    SendDropFull => "net_send_drop_full",
    /// Not sent: no way to that address (no route, forbidden by the firewall, wrong family).
    SendDropUnreachable => "net_send_drop_unreachable",
    /// Not sent: the kernel refused it for another reason, or the run was not within its arena.
    SendDropRefused => "net_send_drop_refused",
    /// Times that a shard waited for room in the send buffer.
    SendWaits => "net_send_waits",
    /// Runs with datagrams too long for their path; they went out in fragments, if at all.
    Fragmented => "net_fragmented",
    /// Runs whose segmentation the kernel refused; they went out one datagram at a time.
    SegmentationRefused => "net_segmentation_refused",
    /// TCP connections accepted. Those closed since are under the reasons that follow; the rest is open.
    TcpAccepted => "tcp_accepted",
    /// TCP connections turned away: too many, at all or from there.
    TcpRefused => "tcp_refused",
    /// TCP connections that the system did not give us, for lack of file descriptors mostly.
    TcpAcceptFailed => "tcp_accept_failed",
    /// Closed by the client, or broken.
    TcpClosedByPeer => "tcp_closed_by_peer",
    /// Closed: what came is no ICE-TCP.
    TcpClosedMalformed => "tcp_closed_malformed",
    /// Closed: no authentic check in time.
    TcpClosedUnproven => "tcp_closed_unproven",
    /// Closed: the client took nothing for too long.
    TcpClosedStalled => "tcp_closed_stalled",
    /// Closed: the client said nothing for too long.
    TcpClosedIdle => "tcp_closed_idle",
    /// Datagrams that came by TCP.
    TcpReceived => "tcp_received",
    /// Of those, lost since the shard was behind.
    TcpReceiveOverflow => "tcp_receive_overflow",
    /// Datagrams written to, or queued for, a TCP connection.
    TcpSent => "tcp_sent",
    /// Not sent: the client takes less than it is sent, and its queue is full.
    TcpSendDropSlow => "tcp_send_drop_slow",
    /// Not sent: the connection is gone.
    TcpSendDropGone => "tcp_send_drop_gone",
    /// Not sent: the thread that writes to all connections is behind.
    TcpSendDropBusy => "tcp_send_drop_busy",
}

/// The counters of one socket. Only its thread writes, so relaxed stores do and no cache line is shared.
#[derive(Debug)]
pub struct NetCounters([AtomicU64; NetCounter::ALL.len()]);

impl Default for NetCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl NetCounters {
    /// Adds `n`. For the owner alone.
    pub(crate) fn add(&self, counter: NetCounter, n: u64) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// The value, for anybody.
    pub fn value(&self, counter: NetCounter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}
