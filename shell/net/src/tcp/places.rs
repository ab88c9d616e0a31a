//! How many connections there are from where.

use super::TcpLimits;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// What one client or household has of the internet: an IPv4 address, or the first 64 bits of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(IpAddr);

impl Place {
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    unproven: usize,
}

/// The counts; no entry where there is no connection.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_place: HashMap<Place, Count>,
    all: Count,
}

impl Places {
    /// One more from there, if the limits let it in. Half of all is kept for those who have proved themselves, so
    /// that connections that never will cannot take the port from everybody.
    pub fn enter(&mut self, place: Place, limits: &TcpLimits) -> bool {
        let count = self.by_place.get(&place).copied().unwrap_or_default();
        let is_free = self.all.all < limits.connections
            && self.all.unproven < limits.connections.div_ceil(2)
            && count.all < limits.per_place
            && count.unproven < limits.unproven_per_place;
        if is_free {
            let count = self.by_place.entry(place).or_default();
            for count in [count, &mut self.all] {
                count.all += 1;
                count.unproven += 1;
            }
        }
        is_free
    }

    /// One of those from there has proved itself.
    pub fn prove(&mut self, place: Place) {
        if let Some(count) = self.by_place.get_mut(&place) {
            for count in [count, &mut self.all] {
                count.unproven = count.unproven.saturating_sub(1);
            }
        }
    }

    /// One is gone.
    pub fn leave(&mut self, place: Place, is_proven: bool) {
        if !is_proven {
            self.prove(place);
        }
        if let Some(count) = self.by_place.get_mut(&place) {
            count.all = count.all.saturating_sub(1);
            self.all.all = self.all.all.saturating_sub(1);
            if count.all == 0 {
                self.by_place.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::of(text.parse().unwrap())
    }

    #[test]
    fn live_18_a_network_of_ipv6_is_one_place_and_an_ipv4_address_another() {
        assert_eq!(place("2001:db8:1:2:3::4"), place("2001:db8:1:2:ffff::"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }

    #[test]
    fn live_18_each_limit_holds_and_what_leaves_makes_room() {
        let limits =
            TcpLimits { connections: 6, per_place: 3, unproven_per_place: 2, ..TcpLimits::default() };
        let mut places = Places::default();
        let [a, b, c] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(place);
        assert!(places.enter(a, &limits) && places.enter(a, &limits));
        assert!(!places.enter(a, &limits), "two that prove nothing");
        places.prove(a);
        assert!(places.enter(a, &limits));
        assert!(!places.enter(a, &limits), "three from one place");
        assert!(places.enter(b, &limits));
        assert!(!places.enter(c, &limits), "half of all prove nothing");
        places.leave(a, false);
        places.leave(a, false);
        assert!(places.enter(c, &limits));
        [b, c].into_iter().for_each(|place| places.prove(place));
        assert!(places.enter(b, &limits) && places.enter(c, &limits));
        [b, c].into_iter().for_each(|place| places.prove(place));
        assert!(places.enter(a, &limits) && !places.enter(b, &limits), "six in all");
        places.leave(a, false);
        places.leave(a, true);
        for place in [b, b, c, c] {
            places.leave(place, true);
        }
        assert!(places.by_place.is_empty() && places.all.all == 0 && places.all.unproven == 0);
    }
}
