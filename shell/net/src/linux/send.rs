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
        Some(libc::EPERM | libc::EACCES) => Refusal::Forbidden,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EHOSTDOWN
            | libc::ECONNREFUSED
            | libc::EADDRNOTAVAIL
            | libc::EAFNOSUPPORT,
        ) => Refusal::Unreachable,
        _ => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{NetCounter, NetCounters};
    use crate::linux::calls::set_option;
    use crate::linux::{Receiver, has_gso, wait};
    use crate::send::{EgressOptions, SocketEgress};
    use crate::socket::MediaSockets;
    use std::sync::Arc;
    use std::time::Duration;
    use wtn_engine::Egress;

    #[test]
    fn what_a_kernel_says_instead_of_segmenting_is_understood() {
        for (code, expected) in [
            (libc::EINVAL, Refusal::Segmentation),
            (libc::EIO, Refusal::Segmentation),
            (libc::EPERM, Refusal::Forbidden),
            (libc::EACCES, Refusal::Forbidden),
            (libc::ENOBUFS, Refusal::Full),
            (libc::EMSGSIZE, Refusal::TooLong),
            (libc::ENETUNREACH, Refusal::Unreachable),
            (libc::EBADF, Refusal::Other),
        ] {
            assert_eq!(refusal(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }

    #[test]
    fn a_kernel_that_refuses_segmentation_while_it_runs_sends_all_the_same() {
        if !has_gso() {
            // Then every other test of sending shows it.
            return;
        }
        let open = || MediaSockets::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let (server, client) = (open(), open());
        // A socket without checksums: Linux segments for others only, and says EINVAL.
        set_option(server.udp().as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
        let counters = Arc::<NetCounters>::default();
        let mut egress = SocketEgress::new(&server, counters.clone(), EgressOptions::default());
        let (arena, runs) = (vec![7; 3600], 20);
        let run = Run { to: client.local_addr().into(), start: 0, len: 3600, segment: 1200 };
        let mut receiver = Receiver::new(&client, Arc::default());
        let bell = crate::linux::Bell::new().unwrap();
        for _ in 0..runs {
            egress.begin_pass();
            egress.send(&arena, &[run]);
            let mut arrived = 0;
            while arrived < 3 {
                assert!(wait(&client, &bell, Some(Duration::from_secs(20))).unwrap().datagrams);
                let pass = receiver.receive(64, |_, datagram| assert_eq!(datagram.len(), 1200));
                arrived += pass.unwrap().datagrams;
            }
        }
        assert_eq!(counters.value(NetCounter::Sent), 3 * runs);
        // After some of them it is not tried any more.
        assert!((1..runs).contains(&counters.value(NetCounter::SegmentationRefused)));
    }
}
