//! Opens the media port: one socket a shard, all on the same port, with large buffers; IPv4 and IPv6 in one
//! where the address is `[::]`. A port that is taken is reported with who has it and what to do.

use crate::address::is_everything;
use crate::owner::{Owner, Protocol, port_owner};
use crate::platform;
use socket2::{Domain, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// What is asked of the kernel for either buffer of a socket. 4 MiB keep about 3600 datagrams of 1200 bytes
/// (the kernel doubles the figure and books 2.3 kB for each): 90 ms of 400 Mbit/s while a shard is busy.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// Opens the sockets of all shards.
#[derive(Clone, Copy, Debug)]
pub struct MediaSockets;

impl MediaSockets {
    /// Binds one socket for each of `shards` shards (at least one) to `addr`, or as many as this system lets share a
    /// port, which may be one. Port 0 takes a free one, the same for all. `[::]` takes IPv4 too, and is `0.0.0.0` on a
    /// host without IPv6.
    ///
    /// # Errors
    ///
    /// Whatever keeps the port from being ours, with the fix in its text.
    pub fn bind(addr: SocketAddr, shards: u16) -> Result<Vec<MediaSocket>, BindError> {
        Self::bind_sharing(addr, shards, platform::SHARES_PORT.then_some(platform::share_port as Share))
    }

    /// `share` lets a socket share its port, if there is a way.
    fn bind_sharing(
        addr: SocketAddr,
        shards: u16,
        share: Option<Share>,
    ) -> Result<Vec<MediaSocket>, BindError> {
        let first = first_socket(addr)?;
        let addr = first.local_addr();
        let mut sockets = vec![first];
        if shards < 2 {
            return Ok(sockets);
        }
        // Sandboxes and old kernels refuse as well, and a server with one shard is better than none.
        if let Err(error) = share_among(&mut sockets, addr, shards, share) {
            let has = sockets.len();
            tracing::warn!(%error, shards = has, wanted = shards, "this system cannot share the media port among more shards");
        }
        Ok(sockets)
    }
}

/// How a socket's port is opened to its siblings.
type Share = fn(&Socket) -> io::Result<()>;

fn share_among(
    sockets: &mut Vec<MediaSocket>,
    addr: SocketAddr,
    shards: u16,
    share: Option<Share>,
) -> io::Result<()> {
    let share = share.ok_or(io::ErrorKind::Unsupported)?;
    if let Some(first) = sockets.first() {
        share(&SockRef::from(first.udp()))?;
    }
    for _ in 1..shards {
        sockets.push(MediaSocket::open(addr, share)?);
    }
    Ok(())
}

/// The first socket is bound alone, so that nobody else's socket on the port goes unnoticed; only then is
/// the port opened to its siblings. Sharing from the start would let a second server take half of the
/// datagrams without a word.
fn first_socket(addr: SocketAddr) -> Result<MediaSocket, BindError> {
    let open = |addr| MediaSocket::open(addr, not_yet);
    match open(addr) {
        Err(error) if is_everything(addr) && !is_taken(&error) => {
            let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            tracing::info!(%error, "no IPv6 on this host; listening on IPv4 only");
            open(ipv4).map_err(|error| BindError::new(Protocol::Udp, ipv4, error))
        }
        other => other.map_err(|error| BindError::new(Protocol::Udp, addr, error)),
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn not_yet(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// One shard's socket on the media port. It never blocks.
#[derive(Debug)]
pub struct MediaSocket {
    socket: UdpSocket,
    local: SocketAddr,
    receive_buffer: usize,
    send_buffer: usize,
}

impl MediaSocket {
    fn open(addr: SocketAddr, before_bind: Share) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(!is_everything(addr))?;
        }
        before_bind(&socket)?;
        socket.bind(&addr.into())?;
        socket.set_nonblocking(true)?;
        platform::tune(&socket, SOCKET_BUFFER);
        Self::of(socket)
    }

    fn of(socket: Socket) -> io::Result<Self> {
        let (receive_buffer, send_buffer) = (socket.recv_buffer_size()?, socket.send_buffer_size()?);
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self { socket, local, receive_buffer, send_buffer })
    }

    /// The address it is bound to, with the port that was really taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Bytes of the receive buffer as the kernel counts them: on Linux, twice what it granted.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Bytes of the send buffer as the kernel counts them.
    pub fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    pub(crate) fn udp(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.local.is_ipv6()
    }
}

/// The media port could not be opened.
#[derive(Debug)]
pub struct BindError {
    /// By which transport.
    pub protocol: Protocol,
    /// The address that was wanted.
    pub addr: SocketAddr,
    /// Why not.
    pub fault: BindFault,
}

/// Why a port could not be opened.
#[derive(Debug)]
pub enum BindFault {
    /// Somebody has it; who, if the kernel lets us see.
    Taken(Option<Owner>),
    /// Not allowed: mostly a port below 1024 without the privilege.
    Forbidden,
    /// No interface of this host has the address.
    NotOurAddress,
    /// Anything else.
    Other(io::Error),
}

impl BindError {
    pub(crate) fn new(protocol: Protocol, addr: SocketAddr, error: io::Error) -> Self {
        let fault = match error.kind() {
            io::ErrorKind::AddrInUse => BindFault::Taken(port_owner(protocol, addr.port())),
            io::ErrorKind::PermissionDenied => BindFault::Forbidden,
            io::ErrorKind::AddrNotAvailable => BindFault::NotOurAddress,
            _ => BindFault::Other(error),
        };
        Self { protocol, addr, fault }
    }

    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match &self.fault {
            BindFault::Taken(Some(owner)) => {
                format!("stop {owner}, or choose another {} port", self.protocol)
            }
            BindFault::Taken(None) => format!("choose another {} port", self.protocol),
            BindFault::Forbidden => {
                "choose a port above 1023, or grant the program CAP_NET_BIND_SERVICE".into()
            }
            BindFault::NotOurAddress => "listen on [::], or on an address that this host has".into(),
            BindFault::Other(_) => "check the address".into(),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {} {}: ", self.protocol, self.addr)?;
        match &self.fault {
            BindFault::Taken(Some(owner)) => write!(f, "the port is taken by {owner}"),
            BindFault::Taken(None) => f.write_str("the port is taken"),
            BindFault::Forbidden => f.write_str("not permitted"),
            BindFault::NotOurAddress => f.write_str("no interface has this address"),
            BindFault::Other(error) => error.fmt(f),
        }?;
        write!(f, "; {}", self.fix())
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            BindFault::Other(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
impl MediaSocket {
    /// A socket as the portable code would have opened it.
    pub(crate) fn open_portable(addr: SocketAddr) -> Self {
        let socket = Socket::from(UdpSocket::bind(addr).unwrap());
        crate::portable::share_port(&socket).unwrap();
        crate::portable::tune(&socket, SOCKET_BUFFER);
        socket.set_nonblocking(true).unwrap();
        Self::of(socket).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    #[test]
    fn a_busy_port_names_its_owner_and_the_fix() {
        let holder = MediaSockets::bind(loopback(0), 1).unwrap();
        let port = holder[0].local_addr().port();
        let error = MediaSockets::bind(loopback(port), 1).unwrap_err();
        let BindFault::Taken(Some(owner)) = &error.fault else { panic!("{error:?}") };
        assert_eq!(owner.pid, std::process::id());
        let said = error.to_string();
        assert!(said.contains(&format!("pid {}", std::process::id())), "{said}");
        assert!(said.contains(&owner.name), "{said}");
        assert!(said.contains("choose another UDP port"), "{said}");
    }

    #[test]
    fn a_port_shared_by_shards_is_still_busy_for_a_second_server() {
        let shards = if platform::SHARES_PORT { 3 } else { 1 };
        let holder = MediaSockets::bind(loopback(0), shards).unwrap();
        let taken = holder[0].local_addr();
        assert_eq!(holder.len(), usize::from(shards));
        assert!(holder.iter().all(|socket| socket.local_addr() == taken));
        for shards in [1, shards] {
            let error = MediaSockets::bind(taken, shards).unwrap_err();
            assert!(matches!(error.fault, BindFault::Taken(_)), "{error}");
        }
    }

    #[test]
    fn where_the_port_cannot_be_shared_there_is_one_shard() {
        let refused: Share = |_| Err(io::ErrorKind::PermissionDenied.into());
        for share in [None, Some(refused)] {
            let sockets = MediaSockets::bind_sharing(loopback(0), 4, share).unwrap();
            assert_eq!(sockets.len(), 1);
            let again = MediaSockets::bind_sharing(sockets[0].local_addr(), 1, share).unwrap_err();
            assert!(matches!(again.fault, BindFault::Taken(_)), "{again}");
        }
    }

    #[test]
    fn siblings_that_the_system_refuses_leave_those_that_there_are() {
        // As a sandbox that takes the option and does nothing.
        let sockets = MediaSockets::bind_sharing(loopback(0), 4, Some(not_yet)).unwrap();
        assert_eq!(sockets.len(), 1);
    }

    #[test]
    fn an_address_of_somebody_else_says_so() {
        let error = MediaSockets::bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(matches!(error.fault, BindFault::NotOurAddress), "{error}");
    }

    #[test]
    fn the_buffers_are_larger_than_what_a_plain_socket_gets() {
        let plain = UdpSocket::bind(loopback(0)).unwrap();
        let plain = socket2::SockRef::from(&plain).recv_buffer_size().unwrap();
        let ours = &MediaSockets::bind(loopback(0), 1).unwrap()[0];
        assert!(ours.receive_buffer() >= plain, "{} < {plain}", ours.receive_buffer());
        assert!(ours.send_buffer() >= plain);
    }
}
