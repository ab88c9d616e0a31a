//! Linux: recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT, ppoll, eventfd. [`calls`] alone is `unsafe`.

mod bell;
mod calls;
mod recv;
mod send;
mod wire;

pub use bell::{Bell, wait};
pub use calls::SEND_BATCH;
pub use recv::Receiver;
pub use send::Wire;

use socket2::Socket;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Several sockets may have one port, and the kernel spreads the peers over them.
pub const SHARES_PORT: bool = true;

/// Lets siblings bind to the port of `socket`, before or after it is bound itself.
pub fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Large buffers, coalesced receiving, the count of what overflowed, and no fragments. None of it is needed
/// to work, so a kernel that refuses is not an error.
pub fn tune(socket: &Socket, buffer: usize) {
    let size = libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX);
    let set = |level, name, value| calls::set_option(socket.as_fd(), level, name, value);
    // The forced form goes past net.core.rmem_max, for those who may.
    if set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size).is_err() {
        refused("SO_RCVBUF", socket.set_recv_buffer_size(buffer));
    }
    if set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size).is_err() {
        refused("SO_SNDBUF", socket.set_send_buffer_size(buffer));
    }
    refused("UDP_GRO", set(libc::SOL_UDP, libc::UDP_GRO, 1));
    refused("SO_RXQ_OVFL", set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1));
    refused("IP_MTU_DISCOVER", allow_fragments(socket.as_fd(), false));
}

/// Whether an IPv4 datagram that is longer than its path allows is cut into fragments or refused. Refused is
/// the rule: only then the kernel need not draw an identification for every message, which costs two cache
/// misses, a tenth of a lone datagram. IPv6 has no such cost and keeps its default, which is to fragment.
fn allow_fragments(socket: BorrowedFd<'_>, allowed: bool) -> io::Result<()> {
    let mode = if allowed { libc::IP_PMTUDISC_WANT } else { libc::IP_PMTUDISC_DO };
    calls::set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, mode)
}

fn refused(option: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(option, %error, "the kernel refuses a socket option");
    }
}

/// True if the kernel takes many datagrams in one message (4.18 and later).
pub fn has_gso() -> bool {
    throwaway()
        .is_ok_and(|socket| calls::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 1200).is_ok())
}

/// True if the kernel hands over many datagrams as one (5.0 and later).
pub fn has_gro() -> bool {
    throwaway().is_ok_and(|socket| calls::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).is_ok())
}

fn throwaway() -> io::Result<Socket> {
    Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)
}
