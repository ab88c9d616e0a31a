//! `a=candidate` (RFC 8839 §5.1): the grammar only. We are ICE-lite and learn addresses from checks.

use crate::transport::is_ice_char;

/// Whether `value`, what follows `candidate:`, is a candidate at all: foundation, component, transport,
/// priority, address, port, `typ` and a type. Names, TCP and odd types are fine; what comes after is not read.
pub fn is_well_formed(value: &str) -> bool {
    let mut fields = value.split_ascii_whitespace();
    let mut next = || fields.next().unwrap_or_default();
    let foundation = next();
    // 32 by the standard. aiortc and werift write hashes of that length and over.
    let foundation_ok = (1..=64).contains(&foundation.len()) && foundation.bytes().all(is_ice_char);
    let component_ok = next().parse::<u16>().is_ok();
    let transport_ok = !next().is_empty();
    let priority_ok = next().parse::<u32>().is_ok();
    let address_ok = !next().is_empty();
    let port_ok = next().parse::<u16>().is_ok();
    let type_ok = next().eq_ignore_ascii_case("typ") && !next().is_empty();
    foundation_ok && component_ok && transport_ok && priority_ok && address_ok && port_ok && type_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_as_clients_write_them() {
        for good in [
            "272385566 1 udp 2122260223 127.0.0.1 33697 typ host generation 0 ufrag fWsm network-id 1",
            "0 2 UDP 2122187006 1086bf1a-392b-4f10-b356-45be9515cd94.local 43056 typ host",
            "2 1 TCP 1015021823 fe80::1 9 typ host tcptype active",
            "67b69f260933ec15436c8fa3b0123456789ab 1 udp 1 10.77.0.1 1 typ host",
            "1 0 udp 1 example.com 1 typ relay raddr 0.0.0.0 rport 0",
        ] {
            assert!(is_well_formed(good), "{good}");
        }
    }

    #[test]
    fn garbage_is_not_a_candidate() {
        for bad in [
            "",
            "garbage",
            "1 1 udp x 1.2.3.4 5 typ host",
            "1 1 udp 1 1.2.3.4 70000 typ host",
            "1 1 udp 1 1.2.3.4 5 typ",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
