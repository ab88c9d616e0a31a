//! Sleeping and waking without anything but the socket: who sleeps waits for a datagram, who wakes sends an
//! empty one.

use crate::socket::MediaSocket;
use crate::wake::Ready;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

/// A socket of its own and the one that it wakes, once that is known.
#[derive(Debug)]
pub struct Bell {
    target: OnceLock<(UdpSocket, SocketAddr)>,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Self { target: OnceLock::new() })
    }

    /// The bell of the shard that reads `socket`. Rung before, it is silent: nobody can be asleep yet.
    pub fn attach(&self, socket: &MediaSocket) -> io::Result<()> {
        let mut to = socket.local_addr();
        let any: IpAddr = match to.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        if to.ip().is_unspecified() {
            to.set_ip(match to.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let from = UdpSocket::bind((any, 0))?;
        from.set_nonblocking(true)?;
        // A second shard for one bell would be our own mistake; the first stays.
        let _ = self.target.set((from, to));
        Ok(())
    }

    /// Ends the [`wait`] of the one who sleeps, or the next one. If there is no room for the empty datagram
    /// then the socket has others to wake for.
    pub fn ring(&self) {
        if let Some((from, to)) = self.target.get() {
            let _ = from.send_to(&[], to);
        }
    }
}

/// Sleeps until a datagram arrives, an empty one included, or `timeout` is over (`None`: for ever).
pub fn wait(socket: &MediaSocket, _bell: &Bell, timeout: Option<Duration>) -> io::Result<Ready> {
    let udp = socket.udp();
    // Zero would mean "for ever" to some systems and is refused by std.
    udp.set_read_timeout(timeout.map(|timeout| timeout.max(Duration::from_micros(1))))?;
    udp.set_nonblocking(false)?;
    let peeked = udp.peek_from(&mut [0; 1]);
    udp.set_nonblocking(true)?;
    let is_ready = match peeked {
        Ok(_) => true,
        // Some systems call a datagram that is longer than the buffer, or a late ICMP message, an error.
        Err(error) => {
            !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
        }
    };
    Ok(Ready { datagrams: is_ready, bell: is_ready })
}
