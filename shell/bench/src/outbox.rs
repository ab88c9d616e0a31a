//! Sending as an encoder's machine does whose kernel cuts: what one frame has made leaves at once, equal datagrams as
//! one run (UDP_SEGMENT).

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// UDP_SEGMENT takes 64 KiB, and 64 segments on older kernels.
const RUN_BYTES_MAX: usize = 60_000;
const SEGMENTS_MAX: usize = 64;

/// Datagrams to one place, on their way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    segment: usize,
    count: usize,
    destination: Option<SocketAddr>,
}

impl Outbox {
    /// Takes a datagram; what it cannot travel with leaves before it.
    pub fn push(&mut self, socket: &UdpSocket, destination: SocketAddr, datagram: &[u8]) {
        let fits = self.destination == Some(destination)
            && self.segment == datagram.len()
            && self.count < SEGMENTS_MAX
            && self.bytes.len() + datagram.len() <= RUN_BYTES_MAX;
        if !fits {
            self.flush(socket);
        }
        (self.destination, self.segment, self.count) = (Some(destination), datagram.len(), self.count + 1);
        self.bytes.extend_from_slice(datagram);
    }

    /// What has been pushed leaves. What does not fit now is lost, as it would be on a line.
    pub fn flush(&mut self, socket: &UdpSocket) {
        if let Some(destination) = self.destination.take() {
            let _ = socket.try_io(Interest::WRITABLE, || self.send(socket, destination));
        }
        self.bytes.clear();
        self.count = 0;
    }

    fn send(&self, socket: &UdpSocket, destination: SocketAddr) -> io::Result<()> {
        let segment = u16::try_from(self.segment).unwrap_or(u16::MAX);
        let note = [ControlMessage::UdpGsoSegments(&segment)];
        let notes = if self.count > 1 { &note[..] } else { &[] };
        let to = SockaddrStorage::from(destination);
        let flags = MsgFlags::MSG_DONTWAIT;
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(&self.bytes)], notes, flags, Some(&to))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::{self, Inbox};

    #[tokio::test]
    async fn equal_datagrams_travel_together_and_all_arrive_in_order() {
        let (receiver, to) = inbox::open("127.0.0.1:9".parse().unwrap(), true).await.unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.writable().await.unwrap();
        let mut outbox = Outbox::default();
        let sent: Vec<Vec<u8>> = [100, 100, 100, 7, 7, 100].map(|len| vec![len as u8; len]).into();
        sent.iter().for_each(|datagram| outbox.push(&sender, to, datagram));
        outbox.flush(&sender);
        let (mut inbox, mut got, mut runs) = (Inbox::new(), Vec::new(), 0);
        while got.len() < sent.len() {
            receiver.readable().await.unwrap();
            while let Some(run) = inbox.receive(&receiver).unwrap() {
                runs += 1;
                got.extend(run.datagrams().map(<[u8]>::to_vec));
            }
        }
        assert_eq!((got, runs), (sent, 3));
    }
}
