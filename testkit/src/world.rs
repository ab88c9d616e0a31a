//! The loop that moves time: deliver what has arrived, wake who is due, send what they say, go on to the next
//! moment at which anything happens.

use crate::clock::{Clock, since_start};
use crate::network::{Delivery, EndpointId, Network};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Turns within one instant after which an endpoint is taken to spin.
const SPIN_MAX: u32 = 10_000;

/// Something with an address and a sense of time: a client, or a whole server.
pub trait Endpoint {
    /// Under which it is attached to the network.
    fn id(&self) -> EndpointId;
    /// Takes a datagram.
    fn handle_datagram(&mut self, now: Instant, delivery: Delivery);
    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);
    /// When something will be due.
    fn next_timeout(&self) -> Option<Instant>;
    /// What it wants to send, one datagram after the other.
    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)>;
}

impl<T: Endpoint + ?Sized> Endpoint for &mut T {
    fn id(&self) -> EndpointId {
        (**self).id()
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        (**self).handle_datagram(now, delivery);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        (**self).next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        (**self).poll_transmit()
    }
}

/// Clock and network of one simulation.
#[derive(Debug)]
pub struct World {
    clock: Clock,
    /// The network.
    pub network: Network,
}

impl World {
    /// A world whose chance follows from `seed`, that of the clients on this thread included: one simulation
    /// a thread at a time.
    pub fn new(seed: u64) -> Self {
        crate::chance::seed(seed);
        Self { clock: Clock::new(), network: Network::new(seed) }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Moves the clock on by hand, for whoever drives endpoints alone.
    pub fn advance_to(&mut self, at: Instant) {
        self.clock.advance_to(at);
    }

    /// Lets `duration` pass for these endpoints. Datagrams for others are lost.
    ///
    /// # Panics
    /// If an endpoint does not come to rest.
    pub fn run(&mut self, duration: Duration, endpoints: &mut [&mut dyn Endpoint]) {
        let until = self.now() + duration;
        let index: BTreeMap<EndpointId, usize> =
            endpoints.iter().enumerate().map(|(index, endpoint)| (endpoint.id(), index)).collect();
        for endpoint in endpoints.iter_mut() {
            self.send_all(&mut **endpoint);
        }
        let mut wakes: Vec<Option<Instant>> =
            endpoints.iter().map(|endpoint| endpoint.next_timeout()).collect();
        let mut turns = 0;
        while let Some(next) = self.next_event(&wakes).filter(|&next| next <= until) {
            turns = if next > self.now() { 0 } else { turns + 1 };
            assert!(turns < SPIN_MAX, "no rest at {:?}", since_start(next));
            self.clock.advance_to(next);
            self.turn(&index, endpoints, &mut wakes);
        }
        self.clock.advance_to(until);
    }

    fn next_event(&self, wakes: &[Option<Instant>]) -> Option<Instant> {
        wakes.iter().copied().flatten().chain(self.network.next_arrival()).min()
    }

    /// Everything that happens at this instant, once.
    fn turn(
        &mut self,
        index: &BTreeMap<EndpointId, usize>,
        endpoints: &mut [&mut dyn Endpoint],
        wakes: &mut [Option<Instant>],
    ) {
        let now = self.now();
        while let Some(delivery) = self.network.poll_delivery(now) {
            let Some(&at) = index.get(&delivery.to) else { continue };
            endpoints[at].handle_datagram(now, delivery);
            self.send_all(&mut *endpoints[at]);
            wakes[at] = endpoints[at].next_timeout();
        }
        for (endpoint, wake) in endpoints.iter_mut().zip(wakes) {
            if wake.is_some_and(|at| at <= now) {
                endpoint.handle_timeout(now);
                self.send_all(&mut **endpoint);
                *wake = endpoint.next_timeout();
            }
        }
    }

    fn send_all(&mut self, endpoint: &mut dyn Endpoint) {
        while let Some((to, bytes)) = endpoint.poll_transmit() {
            self.network.send(self.clock.now(), endpoint.id(), to, bytes);
        }
    }
}
