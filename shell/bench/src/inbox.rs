//! Receiving as a reader does who wants to cost as little as possible: a run of equal datagrams at once (UDP_GRO),
//! with the kernel's own time of arrival.

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Longest run of datagrams that the kernel puts together.
const RUN_MAX: usize = 65_536;
/// Room in the kernel for what has come while the reader was busy.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Opens a socket towards `server`, on any port. With `gro` the kernel hands over runs; without, it cuts them for us,
/// which is charged to the sender on loopback.
pub(crate) async fn open(server: SocketAddr, gro: bool) -> io::Result<(UdpSocket, SocketAddr)> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let probe = UdpSocket::bind(any).await?;
    probe.connect(server).await?;
    let socket = UdpSocket::bind(SocketAddr::new(probe.local_addr()?.ip(), 0)).await?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &gro)?;
    // As much as the system allows.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    let local = socket.local_addr()?;
    Ok((socket, local))
}

/// Where a run is received; one for all sockets of a thread.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    control: Vec<u8>,
}

/// A run of datagrams from one sender.
pub(crate) struct Run<'a> {
    bytes: &'a [u8],
    segment: usize,
    /// When the kernel had it, in ns of the wall clock.
    pub at_ns: u64,
    pub source: SocketAddr,
}

impl<'a> Run<'a> {
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment)
    }
}

impl Inbox {
    pub fn new() -> Self {
        Self { bytes: vec![0; RUN_MAX], control: nix::cmsg_space!(TimeSpec, i32) }
    }

    /// What has come, if anything has.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<Option<Run<'_>>> {
        let (bytes, control) = (&mut self.bytes, &mut self.control);
        let read = socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(bytes)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
            let (mut at_ns, mut segment) = (0, 0);
            for note in message.cmsgs()? {
                match note {
                    ControlMessageOwned::ScmTimestampns(at) => {
                        at_ns = at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64;
                    }
                    ControlMessageOwned::UdpGroSegments(len) => segment = len as usize,
                    _ => {}
                }
            }
            Ok((message.bytes, segment, at_ns, message.address.as_ref().and_then(address)))
        });
        match read {
            Ok((len, segment, at_ns, Some(source))) => {
                let segment = if segment == 0 { len.max(1) } else { segment };
                Ok(Some(Run { bytes: &self.bytes[..len], segment, at_ns, source }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // An earlier datagram found nobody.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_come_with_sender_and_time() {
        let (socket, local) = open("127.0.0.1:9".parse().unwrap(), true).await.unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = crate::machine::wall_ns();
        sender.send_to(b"one", local).unwrap();
        socket.readable().await.unwrap();
        let mut inbox = Inbox::new();
        let run = inbox.receive(&socket).unwrap().unwrap();
        assert_eq!(run.datagrams().collect::<Vec<_>>(), [b"one"]);
        assert_eq!(run.source, sender.local_addr().unwrap());
        assert!(run.at_ns >= before && run.at_ns <= crate::machine::wall_ns());
        assert!(inbox.receive(&socket).unwrap().is_none());
    }
}
