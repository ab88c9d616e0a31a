//! One spelling for an address: a dual-stack socket says `::ffff:192.0.2.1`, everybody else `192.0.2.1`.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address as the rest of wtn writes it: IPv4 is IPv4, however it reached us (RFC 4291 §2.5.5.2).
pub fn canonical(from: SocketAddr) -> SocketAddr {
    match from {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => from,
        },
        SocketAddr::V4(_) => from,
    }
}

/// The address as a socket of this family wants it; `None` for an IPv6 address on an IPv4 socket.
pub fn for_socket(to: SocketAddr, socket_is_v6: bool) -> Option<SocketAddr> {
    match (to, socket_is_v6) {
        (SocketAddr::V4(v4), true) => {
            Some(SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0)))
        }
        (SocketAddr::V6(v6), false) => v6.ip().to_ipv4_mapped().map(|v4| SocketAddr::from((v4, v6.port()))),
        (same, _) => Some(same),
    }
}

/// `[::]`, which stands for every address of the host, IPv4 too.
pub fn is_everything(addr: SocketAddr) -> bool {
    addr.ip() == Ipv6Addr::UNSPECIFIED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_mapped_address_is_the_same_peer_as_its_ipv4_address() {
        assert_eq!(canonical(addr("[::ffff:192.0.2.7]:5000")), addr("192.0.2.7:5000"));
        assert_eq!(canonical(addr("192.0.2.7:5000")), addr("192.0.2.7:5000"));
        assert_eq!(canonical(addr("[2001:db8::7]:5000")), addr("[2001:db8::7]:5000"));
    }

    #[test]
    fn each_socket_gets_addresses_of_its_own_family() {
        assert_eq!(for_socket(addr("192.0.2.7:5000"), true), Some(addr("[::ffff:192.0.2.7]:5000")));
        assert_eq!(for_socket(addr("192.0.2.7:5000"), false), Some(addr("192.0.2.7:5000")));
        assert_eq!(for_socket(addr("[2001:db8::7]:5000"), true), Some(addr("[2001:db8::7]:5000")));
        assert_eq!(for_socket(addr("[2001:db8::7]:5000"), false), None);
    }
}
