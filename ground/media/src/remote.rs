//! Where a peer is and by which transport it is reached: what the engine routes by.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// One TCP connection, by a number that no other has had for four billion connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub NonZeroU32);

/// The far end of a path: an address, and the connection if it is not by UDP. A connection that is gone is no
/// path any more, even if the next one comes from the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remote {
    /// Where it is.
    pub address: SocketAddr,
    /// The TCP connection by which it is reached; `None`: UDP.
    pub connection: Option<ConnectionId>,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram each.
    Udp,
    /// Framed by RFC 4571 on a connection that the peer opened (RFC 6544).
    Tcp,
}

impl Remote {
    /// A peer reached by TCP.
    pub const fn tcp(address: SocketAddr, connection: ConnectionId) -> Self {
        Self { address, connection: Some(connection) }
    }

    /// By which transport.
    pub const fn transport(&self) -> Transport {
        match self.connection {
            None => Transport::Udp,
            Some(_) => Transport::Tcp,
        }
    }
}

impl Transport {
    /// As in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl From<SocketAddr> for Remote {
    /// A peer reached by UDP.
    fn from(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }
}

impl Hash for Remote {
    /// The address alone: two connections of one address are rare, and every datagram is looked up by this.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn live_18_connections_and_datagrams_of_one_address_are_different_paths() {
        let address: SocketAddr = "192.0.2.1:9".parse().expect("an address");
        let connection = |n| ConnectionId(NonZeroU32::new(n).expect("not 0"));
        let paths =
            [Remote::from(address), Remote::tcp(address, connection(1)), Remote::tcp(address, connection(2))];
        assert_eq!(paths.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(paths.map(|path| path.transport().name()), ["udp", "tcp", "tcp"]);
        assert!(paths.iter().all(|path| path.to_string() == "192.0.2.1:9"));
    }
}
