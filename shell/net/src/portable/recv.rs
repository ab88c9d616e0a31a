//! One `recv_from` a datagram.

use crate::address::canonical;
use crate::counters::{NetCounter, NetCounters};
use crate::recv::Received;
use crate::socket::MediaSocket;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

/// Nothing that arrives is longer: the length field of UDP has 16 bits.
const DATAGRAM_MAX: usize = 65_535;

/// Reads one socket.
pub struct Receiver<'a> {
    socket: &'a MediaSocket,
    counters: Arc<NetCounters>,
    buffer: Box<[u8]>,
}

impl<'a> Receiver<'a> {
    /// A receiver for `socket`.
    pub fn new(socket: &'a MediaSocket, counters: Arc<NetCounters>) -> Self {
        Self { socket, counters, buffer: vec![0; DATAGRAM_MAX].into_boxed_slice() }
    }

    /// Hands up to `budget` datagrams that have arrived to `take`, in order, without waiting for any. Empty
    /// ones are left out: they are how this platform wakes a shard.
    ///
    /// # Errors
    ///
    /// The system refuses to hand out anything. A datagram that is no good is no error.
    pub fn receive(
        &mut self,
        budget: usize,
        mut take: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Received> {
        let mut datagrams = 0;
        for _ in 0..budget {
            match self.socket.udp().recv_from(&mut self.buffer) {
                Ok((0, _)) => {}
                Ok((len, from)) => {
                    take(canonical(from), &mut self.buffer[..len]);
                    datagrams += 1;
                    self.counters.add(NetCounter::Received, 1);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(Received { datagrams, more: false }),
                    // A late ICMP message about something sent: no concern of what comes in.
                    ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(Received { datagrams, more: true })
    }
}
