//! Addresses, the links behind them, and the datagrams under way, ordered by time and then by age.
//!
//! Every endpoint sits behind an up link and a down link that meet in a core without limits, like a home
//! behind its access line.

use crate::link::{Fate, Link, Pipe};
use crate::trace::Trace;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One attached endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(usize);

/// A datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose it is.
    pub to: EndpointId,
    /// The sender's address as seen from outside.
    pub source: SocketAddr,
    /// The receiver's address as it knows it itself.
    pub destination: SocketAddr,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// What became of all datagrams so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Handed to the network.
    pub sent: u64,
    /// Handed to an endpoint, copies included.
    pub delivered: u64,
    /// Lost on a link.
    pub lost: u64,
    /// Lost to a full queue.
    pub overflowed: u64,
    /// Sent to an address that nobody has.
    pub unroutable: u64,
}

/// The simulated network.
#[derive(Debug)]
pub struct Network {
    chance: StdRng,
    ports: Vec<Port>,
    routes: BTreeMap<SocketAddr, EndpointId>,
    flights: BinaryHeap<Flight>,
    next_flight: u64,
    tally: Tally,
    trace: Trace,
}

#[derive(Debug)]
struct Port {
    inside: SocketAddr,
    outside: SocketAddr,
    up: Pipe,
    down: Pipe,
    delivered: u64,
}

impl Network {
    /// An empty network whose luck follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            ports: Vec::new(),
            routes: BTreeMap::new(),
            flights: BinaryHeap::new(),
            next_flight: 0,
            tally: Tally::default(),
            trace: Trace::new(),
        }
    }

    /// Attaches an endpoint that knows its own address, over perfect links.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn attach(&mut self, address: SocketAddr) -> EndpointId {
        self.attach_behind_nat(address, address)
    }

    /// Attaches an endpoint that believes in `inside` while the world sees `outside`.
    ///
    /// # Panics
    /// If `outside` is taken.
    pub fn attach_behind_nat(&mut self, inside: SocketAddr, outside: SocketAddr) -> EndpointId {
        let id = EndpointId(self.ports.len());
        let up = Pipe::new(Link::PERFECT, self.chance.random());
        let down = Pipe::new(Link::PERFECT, self.chance.random());
        self.ports.push(Port { inside, outside, up, down, delivered: 0 });
        let taken = self.routes.insert(outside, id);
        assert!(taken.is_none(), "{outside} is taken");
        id
    }

    /// The address by which the world sees the endpoint.
    pub fn outside(&self, id: EndpointId) -> SocketAddr {
        self.ports[id.0].outside
    }

    /// Changes the links, towards the network and from it. What is under way is not touched.
    pub fn set_links(&mut self, id: EndpointId, up: Link, down: Link) {
        self.ports[id.0].up.set_link(up);
        self.ports[id.0].down.set_link(down);
    }

    /// How long a datagram to the endpoint would wait in front of its bottleneck.
    pub fn queue_towards(&self, id: EndpointId, now: Instant) -> Duration {
        self.ports[id.0].down.queue(now)
    }

    /// The NAT forgets: from now on the endpoint is seen at another address, and nothing sent to the old one
    /// arrives.
    ///
    /// # Panics
    /// If `outside` is taken.
    pub fn rebind(&mut self, id: EndpointId, outside: SocketAddr) {
        self.routes.remove(&self.ports[id.0].outside);
        self.ports[id.0].outside = outside;
        let taken = self.routes.insert(outside, id);
        assert!(taken.is_none(), "{outside} is taken");
    }

    /// The endpoint is gone; what is sent to it finds nobody.
    pub fn detach(&mut self, id: EndpointId) {
        self.routes.remove(&self.ports[id.0].outside);
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, from: EndpointId, to: SocketAddr, bytes: Vec<u8>) {
        self.tally.sent += 1;
        let port = &mut self.ports[from.0];
        let source = port.outside;
        let fate = port.up.carry(now, bytes.len());
        self.fly(fate, Leg::Up, source, to, bytes);
    }

    /// When the next datagram gets anywhere.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.flights.peek().map(|flight| flight.at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn poll_delivery(&mut self, now: Instant) -> Option<Delivery> {
        while self.next_arrival().is_some_and(|at| at <= now) {
            let flight = self.flights.pop()?;
            match flight.leg {
                Leg::Up => self.cross_core(flight),
                Leg::Down(to) => return Some(self.deliver(flight, to)),
            }
        }
        None
    }

    /// Datagrams that reached this endpoint.
    pub fn delivered_to(&self, id: EndpointId) -> u64 {
        self.ports[id.0].delivered
    }

    /// Counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The fingerprint of all deliveries.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// To ask it to keep lines.
    pub fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }

    fn cross_core(&mut self, flight: Flight) {
        let Some(&id) = self.routes.get(&flight.to) else {
            self.tally.unroutable += 1;
            return;
        };
        let fate = self.ports[id.0].down.carry(flight.at, flight.bytes.len());
        self.fly(fate, Leg::Down(id), flight.source, flight.to, flight.bytes);
    }

    fn deliver(&mut self, flight: Flight, to: EndpointId) -> Delivery {
        self.tally.delivered += 1;
        self.ports[to.0].delivered += 1;
        self.trace.record(flight.at, flight.source, flight.to, &flight.bytes);
        Delivery { to, source: flight.source, destination: self.ports[to.0].inside, bytes: flight.bytes }
    }

    fn fly(&mut self, fate: Fate, leg: Leg, source: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        match fate {
            Fate::Lost => self.tally.lost += 1,
            Fate::Overflowed => self.tally.overflowed += 1,
            Fate::Arrives(arrivals) => {
                for at in arrivals {
                    let id = self.next_flight;
                    self.next_flight += 1;
                    self.flights.push(Flight { at, id, leg, source, to, bytes: bytes.clone() });
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Leg {
    Up,
    Down(EndpointId),
}

#[derive(Debug)]
struct Flight {
    at: Instant,
    id: u64,
    leg: Leg,
    source: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// The earliest flight is the greatest: `BinaryHeap` gives the greatest first.
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.id).cmp(&(self.at, self.id))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Flight {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ms, secs};

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 5000))
    }

    fn drain(network: &mut Network, until: Instant) -> Vec<(Instant, Delivery)> {
        let mut all = Vec::new();
        while let Some(at) = network.next_arrival().filter(|&at| at <= until) {
            while let Some(delivery) = network.poll_delivery(at) {
                all.push((at, delivery));
            }
        }
        all
    }

    #[test]
    fn datagrams_pass_both_links_and_keep_their_order() {
        let now = Clock::new().now();
        let mut network = Network::new(1);
        let (a, b) = (network.attach(address(1)), network.attach(address(2)));
        network.set_links(a, Link::PERFECT.delay(ms(10)), Link::PERFECT);
        network.set_links(b, Link::CUT, Link::PERFECT.delay(ms(5)));
        for byte in 0..3 {
            network.send(now, a, address(2), vec![byte]);
        }
        network.send(now, b, address(1), vec![9]);
        network.send(now, a, address(9), vec![9]);
        let arrived = drain(&mut network, now + secs(1));
        assert!(arrived.iter().all(|(at, delivery)| *at == now + ms(15) && delivery.to == b));
        assert_eq!(arrived.iter().map(|(_, delivery)| delivery.bytes[0]).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(network.tally(), Tally { sent: 5, delivered: 3, lost: 1, overflowed: 0, unroutable: 1 });
    }

    #[test]
    fn a_rebound_endpoint_is_seen_elsewhere_and_its_old_address_is_dead() {
        let now = Clock::new().now();
        let mut network = Network::new(1);
        let server = network.attach(address(1));
        let client = network.attach_behind_nat("192.168.0.2:9".parse().unwrap(), address(2));
        let source_seen = |network: &mut Network| {
            network.send(now, client, address(1), vec![1]);
            drain(network, now)[0].1.source
        };
        assert_eq!(source_seen(&mut network), address(2));
        network.rebind(client, address(3));
        assert_eq!(source_seen(&mut network), address(3));
        network.send(now, server, address(2), vec![2]);
        network.send(now, server, address(3), vec![3]);
        let arrived = drain(&mut network, now);
        assert_eq!(arrived.len(), 1);
        assert_eq!(
            (arrived[0].1.destination, &arrived[0].1.bytes[..]),
            ("192.168.0.2:9".parse().unwrap(), &[3][..])
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
        let run = |seed| {
            let start = Clock::new().now();
            let mut network = Network::new(seed);
            let (a, b) = (network.attach(address(1)), network.attach(address(2)));
            let link = Link::kbps(2000).loss_in_bursts(10.0, 2.0).delay(ms(20)).jitter(ms(10));
            network.set_links(a, link.duplicate_percent(1.0), link);
            network.set_links(b, link, link.reorder_percent(5.0, ms(8)));
            for step in 0..500 {
                let now = start + ms(step);
                drain(&mut network, now);
                network.send(now, a, address(2), vec![step as u8; 200]);
                network.send(now, b, address(1), vec![step as u8; 100]);
            }
            drain(&mut network, start + secs(9));
            (network.trace().shape(), network.trace().content(), network.tally())
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5).0, run(6).0);
        assert!(run(5).2.lost > 50);
    }
}
