//! sendmmsg of messages that the kernel or the network card cuts into datagrams.

use super::calls::{Leaving, SendMany, poll};
use crate::address::for_socket;
use crate::send::{Refusal, SEND_WAIT, Transport};
use crate::socket::MediaSocket;
use std::io;
use std::os::fd::AsFd;
use wtn_engine::Run;

/// A socket as the egress sees it.
pub struct Wire<'a> {
    socket: &'a MediaSocket,
    batch: SendMany,
}

impl<'a> Wire<'a> {
    pub fn new(socket: &'a MediaSocket) -> Self {
        Self { socket, batch: SendMany::new() }
    }
}

impl Transport for Wire<'_> {
    fn send(&mut self, arena: &[u8], messages: &[Run]) -> Result<usize, Refusal> {
        let is_v6 = self.socket.is_v6();
        let bytes_of = |run: &Run| &arena[run.start..run.start + run.len];
        let first = messages.first().ok_or(Refusal::Other)?;
        let to = for_socket(first.to.address, is_v6).ok_or(Refusal::Unreachable)?;
        if messages.len() == 1 && first.len <= first.segment {
            // A lone packet, which is all that an idle server sends: the call with the fewest arguments.
            let sent = self.socket.udp().send_to(bytes_of(first), to);
            return sent.map(|_| 1).map_err(|error| refusal(&error));
        }
        let leaving = messages.iter().map_while(|run| {
            let segment = u16::try_from(run.segment).ok().filter(|_| run.segment < run.len);
            Some(Leaving { to: for_socket(run.to.address, is_v6)?, segment, bytes: bytes_of(run) })
        });
        self.batch.send(self.socket.udp().as_fd(), leaving).map_err(|error| refusal(&error))
    }

    fn wait_writable(&mut self) {
        // Whether room was reported or time ran out: there may be some, the next attempt will tell.
        let _ = poll([(self.socket.udp().as_fd(), libc::POLLOUT)], Some(SEND_WAIT));
    }

    fn allow_fragments(&mut self, allowed: bool) {
        if let Err(error) = super::allow_fragments(self.socket.udp().as_fd(), allowed) {
            tracing::debug!(%error, "the kernel refuses to change its mind about fragments");
        }
    }
}

fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => Refusal::Full,
        Some(libc::EMSGSIZE) => Refusal::TooLong,
        // EIO: the route cannot do checksums late (IPsec, some tunnels). EINVAL: the kernel knows nothing of
        // UDP_SEGMENT, or is an older one that says so when a segment is longer than the path allows.
        Some(libc::EIO | libc::EINVAL) => Refusal::Segmentation,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EHOSTDOWN
            | libc::ECONNREFUSED
            | libc::EPERM
            | libc::EACCES
            | libc::EADDRNOTAVAIL
            | libc::EAFNOSUPPORT,
        ) => Refusal::Unreachable,
        _ => Refusal::Other,
    }
}
