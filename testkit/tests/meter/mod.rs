//! How much of the heap the server holds, to the byte: what is allocated and freed while it is called, with datagrams
//! counted to whoever holds them.

#![allow(dead_code, reason = "each test file uses its part of it")]

use std::net::SocketAddr;
use std::time::Instant;
use wtn_testkit::{Delivery, Endpoint, EndpointId, Server};

/// What the server holds more than when the metering began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Bytes.
    pub held: i64,
    /// The most of them at any time, to the call.
    pub peak: i64,
}

impl Meter {
    /// Calls into the server. Nothing may come out but what owns no memory.
    pub fn call<R: Copy>(&mut self, call: impl FnOnce() -> R) -> R {
        let mut result = None;
        let used = allocation_counter::measure(|| result = Some(call()));
        self.peak = self.peak.max(self.held + used.bytes_max as i64);
        self.held += used.bytes_current;
        result.unwrap()
    }
}

/// A server in a simulation whose heap is metered.
pub struct Metered<'a> {
    pub server: &'a mut Server,
    pub meter: &'a mut Meter,
}

impl Endpoint for Metered<'_> {
    fn id(&self) -> EndpointId {
        self.server.id()
    }

    fn handle_datagram(&mut self, now: Instant, delivery: Delivery) {
        // The server's from now on.
        self.meter.held += delivery.bytes.capacity() as i64;
        self.meter.call(|| self.server.handle_datagram(now, delivery));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.meter.call(|| self.server.handle_timeout(now));
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.server.next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let transmit = self.server.poll_transmit()?;
        self.meter.held -= transmit.1.capacity() as i64;
        Some(transmit)
    }
}
