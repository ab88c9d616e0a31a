//! UDP sockets, one for each address that a server could reach us at.
//!
//! One each, because ICE has to know by which address a datagram came, and a socket for all of them does not
//! say.

use crate::error::ClientError;
use crate::link::Datagram;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// More addresses than this only multiply the connectivity checks.
const SOCKETS_MAX: usize = 8;
/// Longer than any datagram of WebRTC; a longer one is cut, and then refused by its tag.
const DATAGRAM_MAX: usize = 2048;

/// The open sockets, by their addresses.
pub(crate) struct Sockets {
    open: Vec<(SocketAddr, UdpSocket)>,
    /// Where the next look for datagrams begins, so that no socket starves another.
    turn: usize,
}

/// A datagram that has come.
pub(crate) struct Received {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Sockets {
    /// Opens a socket at every usable address, first of all the one that leads to `servers`.
    pub async fn open(servers: &[SocketAddr]) -> Result<Self, ClientError> {
        let mut towards = Vec::new();
        for server in servers {
            towards.extend(address_towards(*server).await);
        }
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let addresses = usable(&towards, interfaces.iter().map(|interface| interface.ip()));
        let mut open = Vec::new();
        let mut fault = "this machine has no usable address".to_owned();
        for address in addresses.into_iter().take(SOCKETS_MAX) {
            let bound = UdpSocket::bind(SocketAddr::new(address, 0)).await;
            match bound.and_then(|socket| Ok((socket.local_addr()?, socket))) {
                Ok(socket) => open.push(socket),
                Err(error) => fault = error.to_string(),
            }
        }
        if open.is_empty() { Err(ClientError::NoSocket(fault)) } else { Ok(Self { open, turn: 0 }) }
    }

    /// The candidates.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|(address, _)| *address).collect()
    }

    /// Sends by the socket that the datagram names. What the kernel refuses (no route from that address) is a
    /// lost datagram: ICE tries other pairs.
    pub async fn send(&self, datagram: &Datagram) {
        let socket = self.open.iter().find(|(address, _)| *address == datagram.source);
        if let Some((_, socket)) = socket
            && let Err(error) = socket.send_to(&datagram.bytes, datagram.destination).await
        {
            tracing::trace!(%error, "a datagram was not sent");
        }
    }

    /// Waits for a datagram at any socket.
    pub async fn receive(&mut self) -> Received {
        std::future::poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        let mut buffer = [0; DATAGRAM_MAX];
        for offset in 0..self.open.len() {
            let at = (self.turn + offset) % self.open.len();
            let (destination, socket) = &self.open[at];
            let mut bytes = ReadBuf::new(&mut buffer);
            match socket.poll_recv_from(context, &mut bytes) {
                Poll::Ready(Ok(source)) => {
                    let received =
                        Received { source, destination: *destination, bytes: bytes.filled().to_vec() };
                    self.turn = at + 1;
                    return Poll::Ready(received);
                }
                Poll::Ready(Err(error)) if is_passing(error.kind()) => context.waker().wake_by_ref(),
                Poll::Ready(Err(error)) => tracing::debug!(%error, "a UDP socket has failed"),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }
}

/// Errors of an earlier datagram, reported to whoever asks next.
fn is_passing(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// The address that the kernel would send from. Connecting a UDP socket sends nothing.
async fn address_towards(server: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.ok()?;
    // Port 0 cannot be connected to, and which port does not matter for the route.
    let port = if server.port() == 0 { 9 } else { server.port() };
    socket.connect(SocketAddr::new(server.ip(), port)).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Addresses to listen at: those towards the server first, then the interfaces'. Loopback is for a server on
/// this machine only (RFC 8445 §5.1.1.1), and link-local IPv6 would need its zone.
fn usable(towards: &[IpAddr], interfaces: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let server_is_here = towards.iter().any(IpAddr::is_loopback);
    let fits = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in towards.iter().copied().chain(interfaces) {
        let fits = fits(&address) && (server_is_here || !address.is_loopback());
        if fits && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(towards: &[&str], interfaces: &[&str], expected: &[&str]) {
        let read = |list: &[&str]| {
            list.iter().map(|text| text.parse().expect("an address")).collect::<Vec<IpAddr>>()
        };
        assert_eq!(usable(&read(towards), read(interfaces)), read(expected));
    }

    #[test]
    fn the_way_to_the_server_comes_first_and_loopback_only_for_a_server_here() {
        let interfaces =
            ["127.0.0.1", "::1", "10.0.0.5", "192.168.1.7", "fe80::1", "169.254.3.3", "2001:db8::7"];
        check(&["192.168.1.7"], &interfaces, &["192.168.1.7", "10.0.0.5", "2001:db8::7"]);
        check(&["127.0.0.1"], &interfaces, &["127.0.0.1", "::1", "10.0.0.5", "192.168.1.7", "2001:db8::7"]);
        check(&[], &["127.0.0.1"], &[]);
    }

    #[tokio::test]
    async fn a_datagram_between_two_sockets_says_where_it_came_to() {
        let here = "127.0.0.1:0".parse().expect("an address");
        let (one, mut other) =
            (Sockets::open(&[here]).await.expect("open"), Sockets::open(&[here]).await.expect("open"));
        let (source, destination) = (one.addresses()[0], other.addresses()[0]);
        one.send(&Datagram { source, destination, bytes: vec![1, 2, 3] }).await;
        let received = other.receive().await;
        assert_eq!((received.source, received.destination), (source, destination));
        assert_eq!(received.bytes, [1, 2, 3]);
    }
}
