//! Any system that std knows: one call a datagram, one shard. Complete and tested, but for development and
//! small servers; what makes wtn cheap is in `linux/`.

mod bell;
mod recv;
mod send;

pub use bell::{Bell, wait};
pub use recv::Receiver;
pub use send::Wire;

use socket2::Socket;
use std::io;

/// Sharing a port spreads peers over sockets on Linux only; elsewhere one socket would get everything.
pub const SHARES_PORT: bool = false;

/// Nothing to share: there is one shard.
pub fn share_port(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// Large buffers, as far as the system grants them.
pub fn tune(socket: &Socket, buffer: usize) {
    for result in [socket.set_recv_buffer_size(buffer), socket.set_send_buffer_size(buffer)] {
        if let Err(error) = result {
            tracing::debug!(%error, "the system refuses a larger socket buffer");
        }
    }
}

/// Messages looked at between two refusals; each is a call of its own anyway.
pub const SEND_BATCH: usize = 32;

/// No message of many datagrams on the way out.
pub fn has_gso() -> bool {
    false
}

/// Nor on the way in.
pub fn has_gro() -> bool {
    false
}
