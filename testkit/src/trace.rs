//! A fingerprint of everything that was delivered: two runs with the same trace were the same run.

use crate::clock::since_start;
use std::net::SocketAddr;
use std::time::Instant;

/// Two running hashes over all deliveries.
///
/// The *shape* covers time, addresses, length and the first byte of each datagram. It follows from the seed
/// alone, in every process. The *content* covers every byte besides; it repeats within one process only, for
/// sender reports carry the wall clock, and only as far as no client's hash tables show in the order of its
/// RTCP blocks (see [`crate::chance`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    shape: Fnv,
    content: Fnv,
    count: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { shape: Fnv::new(), content: Fnv::new(), count: 0, lines: None }
    }

    /// From now on every delivery is also kept as a line, to find out where two runs part.
    pub fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// The lines kept, one a delivery: microseconds, source, destination, length, hash of the bytes.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Hash of when, whence, whither, and how much.
    pub fn shape(&self) -> u64 {
        self.shape.0
    }

    /// Hash of the shape and of every byte.
    pub fn content(&self) -> u64 {
        self.content.0
    }

    /// Datagrams delivered.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn record(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let at = since_start(at).as_nanos() as u64;
        for hash in [&mut self.shape, &mut self.content] {
            hash.write(&at.to_be_bytes());
            hash.write_address(from);
            hash.write_address(to);
            hash.write(&(bytes.len() as u64).to_be_bytes());
        }
        self.shape.write(bytes.get(..1).unwrap_or_default());
        self.content.write(bytes);
        self.count += 1;
        if let Some(lines) = &mut self.lines {
            let mut hash = Fnv::new();
            hash.write(bytes);
            lines.push(format!("{} {from} {to} {} {:016x}", at / 1000, bytes.len(), hash.0));
        }
    }
}

/// FNV-1a: the same on every machine and in every release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fnv(pub u64);

impl Fnv {
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_address(&mut self, address: SocketAddr) {
        match address.ip() {
            std::net::IpAddr::V4(ip) => self.write(&ip.octets()),
            std::net::IpAddr::V6(ip) => self.write(&ip.octets()),
        }
        self.write(&address.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ms};

    #[test]
    fn every_difference_shows() {
        let now = Clock::new().now();
        let (a, b): (SocketAddr, SocketAddr) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let trace = |at, from, to, bytes: &[u8]| {
            let mut trace = Trace::new();
            trace.record(at, from, to, bytes);
            (trace.shape(), trace.content())
        };
        let first = trace(now, a, b, &[1, 2]);
        assert_eq!(first, trace(now, a, b, &[1, 2]));
        for other in [
            trace(now + ms(1), a, b, &[1, 2]),
            trace(now, b, a, &[1, 2]),
            trace(now, a, a, &[1, 2]),
            trace(now, a, b, &[1]),
            trace(now, a, b, &[2, 2]),
        ] {
            assert!(first.0 != other.0 && first.1 != other.1);
        }
        let same_shape = trace(now, a, b, &[1, 3]);
        assert!(first.0 == same_shape.0 && first.1 != same_shape.1);
    }
}
