//! The addresses by which this host may be reached: the candidates of every answer.

use if_addrs::{IfOperStatus, Interface, get_if_addrs};
use std::net::IpAddr;

/// More addresses than this do not become candidates: an answer has to stay small, and a client checks every
/// one of them. Hosts with more are told which to announce by configuration.
pub const ADDRESSES_MAX: usize = 16;

/// Every usable address of every interface that is up, the likeliest first: public or private addresses of
/// real interfaces, then those of bridges and virtual networks, loopback last. No link-local addresses: a
/// client could not say by which of its interfaces they are reached.
pub fn host_addresses() -> Vec<IpAddr> {
    match get_if_addrs() {
        Ok(interfaces) => usable(&interfaces),
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces; name the public address in the configuration");
            Vec::new()
        }
    }
}

fn usable(interfaces: &[Interface]) -> Vec<IpAddr> {
    let mut ranked: Vec<(Rank, IpAddr)> = interfaces.iter().filter_map(rank).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut addresses = Vec::new();
    for (_, address) in ranked {
        if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Interface,
    VirtualNetwork,
    Loopback,
}

fn rank(interface: &Interface) -> Option<(Rank, IpAddr)> {
    let address = interface.ip();
    if address.is_loopback() {
        return Some((Rank::Loopback, address));
    }
    let is_down = matches!(
        interface.oper_status,
        IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown
    );
    if is_down || interface.is_link_local() || address.is_unspecified() || address.is_multicast() {
        return None;
    }
    let rank = if is_virtual(&interface.name) { Rank::VirtualNetwork } else { Rank::Interface };
    Some((rank, address))
}

/// Networks inside this host, by the names that container and virtual machine software gives them. They stay
/// candidates, since a client may live there, but nobody else can reach them.
fn is_virtual(name: &str) -> bool {
    ["docker", "br-", "virbr", "veth", "cni", "flannel", "lxc", "podman"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::{IfAddr, Ifv4Addr, Ifv6Addr};

    fn interface(name: &str, address: &str, oper_status: IfOperStatus) -> Interface {
        let addr = match address.parse().unwrap() {
            IpAddr::V4(ip) => IfAddr::V4(Ifv4Addr {
                ip,
                netmask: [255, 255, 255, 0].into(),
                prefixlen: 24,
                broadcast: None,
            }),
            IpAddr::V6(ip) => {
                IfAddr::V6(Ifv6Addr { ip, netmask: [0; 16].into(), prefixlen: 64, broadcast: None })
            }
        };
        Interface { name: name.into(), addr, index: None, oper_status, is_p2p: false }
    }

    #[test]
    fn the_addresses_that_clients_can_reach_come_first() {
        use IfOperStatus::{Down, Up};
        let host = [
            interface("lo", "127.0.0.1", Up),
            interface("lo", "::1", Up),
            interface("docker0", "172.17.0.1", Up),
            interface("eth0", "203.0.113.5", Up),
            interface("eth0", "fe80::1", Up),
            interface("eth0", "2001:db8::5", Up),
            interface("eth0", "203.0.113.5", Up),
            interface("wlan0", "192.168.1.20", Down),
            interface("zeroconf", "169.254.7.7", Up),
        ];
        let expected = ["203.0.113.5", "2001:db8::5", "172.17.0.1", "127.0.0.1", "::1"];
        assert_eq!(usable(&host), expected.map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn a_host_with_hundreds_of_addresses_keeps_its_answers_small() {
        let many: Vec<_> =
            (0..200).map(|n| interface("eth0", &format!("10.0.0.{n}"), IfOperStatus::Up)).collect();
        assert_eq!(usable(&many).len(), ADDRESSES_MAX);
    }

    #[test]
    fn this_host_has_a_loopback_address_and_it_is_last() {
        let addresses = host_addresses();
        assert!(addresses.last().is_some_and(IpAddr::is_loopback), "{addresses:?}");
    }
}
