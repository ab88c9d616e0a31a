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
        let mut leaving = messages
            .iter()
            .map_while(|run| {
                let segment = u16::try_from(run.segment).ok().filter(|_| run.segment < run.len);
                let bytes = &arena[run.start..run.start + run.len];
                Some(Leaving { to: for_socket(run.to, is_v6)?, segment, bytes })
            })
            .peekable();
        if leaving.peek().is_none() {
            return Err(Refusal::Unreachable);
        }
        self.batch.send(self.socket.udp().as_fd(), leaving).map_err(|error| refusal(&error))
    }

    fn wait_writable(&mut self) {
        // Whether it became writable or time ran out: the next attempt will tell.
        let _ = poll([(self.socket.udp().as_fd(), libc::POLLOUT)], Some(SEND_WAIT));
    }
}

fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => Refusal::Full,
        // EIO: the route cannot do checksums late (IPsec, some tunnels). EINVAL, and EMSGSIZE from 6.14 on: a
        // segment is larger than the path's MTU, or the kernel knows nothing of UDP_SEGMENT.
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE) => Refusal::Segmentation,
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
