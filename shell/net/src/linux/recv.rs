//! recvmmsg, and the cutting of what the kernel has coalesced.

use super::calls::{RECEIVE_BATCH, ReceiveMany};
use crate::address::canonical;
use crate::counters::{NetCounter, NetCounters};
use crate::recv::Received;
use crate::socket::MediaSocket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Reads one socket in batches.
pub struct Receiver<'a> {
    socket: &'a MediaSocket,
    counters: Arc<NetCounters>,
    batch: ReceiveMany,
    /// Messages in `batch`, of which those before `at` are done, and `offset` bytes of that one.
    filled: usize,
    at: usize,
    offset: usize,
    overflowed: u32,
}

impl<'a> Receiver<'a> {
    /// A receiver for `socket`. Not to be shared: it belongs to the thread that makes it.
    pub fn new(socket: &'a MediaSocket, counters: Arc<NetCounters>) -> Self {
        let batch = ReceiveMany::new();
        Self { socket, counters, batch, filled: 0, at: 0, offset: 0, overflowed: 0 }
    }

    /// Hands up to `budget` datagrams that have arrived to `take`, in order, without waiting for any.
    ///
    /// # Errors
    ///
    /// The kernel refuses to hand out anything. A datagram that is no good is no error.
    pub fn receive(
        &mut self,
        budget: usize,
        mut take: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Received> {
        let mut datagrams = 0;
        let mut is_drained = false;
        while datagrams < budget {
            if self.at < self.filled {
                datagrams += self.hand_on(budget - datagrams, &mut take);
            } else if is_drained {
                break;
            } else {
                self.filled = self.batch.receive(self.socket.udp().as_fd())?;
                self.at = 0;
                // A batch that is not full has emptied the queue: asking again would only be told so.
                is_drained = self.filled < RECEIVE_BATCH;
            }
        }
        self.counters.add(NetCounter::Received, datagrams as u64);
        let more = self.at < self.filled || !is_drained;
        Ok(Received { datagrams, more })
    }

    /// Cuts the message at hand: up to `budget` datagrams of it, at least one.
    fn hand_on(&mut self, budget: usize, take: &mut impl FnMut(SocketAddr, &mut [u8])) -> usize {
        let message = self.batch.message(self.at);
        if let (0, Some(total)) = (self.offset, message.notes.overflowed) {
            self.counters.add(NetCounter::ReceiveOverflow, total.wrapping_sub(self.overflowed).into());
            self.overflowed = total;
        }
        let Some(from) = message.from.map(canonical).filter(|_| !message.is_truncated) else {
            self.counters.add(NetCounter::ReceiveTruncated, 1);
            self.at += 1;
            return 1;
        };
        let len = message.bytes.len();
        let segment = message.notes.segment.filter(|&size| size > 0).unwrap_or(len).max(1);
        let end = self.offset.saturating_add(segment.saturating_mul(budget)).min(len);
        let part = &mut message.bytes[self.offset..end];
        let datagrams = part.len().div_ceil(segment).max(1);
        if part.is_empty() {
            take(from, part);
        } else {
            part.chunks_mut(segment).for_each(|datagram| take(from, datagram));
        }
        (self.at, self.offset) = if end == len { (self.at + 1, 0) } else { (self.at, end) };
        datagrams
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::{Wire, has_gro, has_gso, wait};
    use crate::send::Transport;
    use crate::socket::MediaSockets;
    use std::time::Duration;
    use wtn_engine::Run;

    #[test]
    fn a_run_over_loopback_comes_in_as_one_message() {
        let open = || MediaSockets::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let (server, client) = (open(), open());
        let run = Run { to: client.local_addr().into(), start: 0, len: 11_500, segment: 1200 };
        Wire::new(&server).send(&[7; 11_500], &[run]).unwrap();
        let bell = crate::linux::Bell::new().unwrap();
        assert!(wait(&client, &bell, Some(Duration::from_secs(20))).unwrap().datagrams);
        let mut receiver = Receiver::new(&client, Arc::default());
        let messages = receiver.batch.receive(client.udp().as_fd()).unwrap();
        let first = receiver.batch.message(0);
        if has_gso() && has_gro() {
            assert_eq!((messages, first.notes.segment, first.bytes.len()), (1, Some(1200), 11_500));
        }
    }
}
