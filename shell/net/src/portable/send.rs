//! One `send_to` a datagram.

use crate::address::for_socket;
use crate::send::{Refusal, SEND_WAIT, Transport};
use crate::socket::MediaSocket;
use std::io::{self, ErrorKind};
use std::thread;
use wtn_engine::Run;

/// A socket as the egress sees it.
pub struct Wire<'a> {
    socket: &'a MediaSocket,
}

impl<'a> Wire<'a> {
    pub fn new(socket: &'a MediaSocket) -> Self {
        Self { socket }
    }

    fn send_one(&self, arena: &[u8], message: &Run) -> Result<(), Refusal> {
        let to = for_socket(message.to.address, self.socket.is_v6()).ok_or(Refusal::Unreachable)?;
        let bytes = &arena[message.start..message.start + message.len];
        self.socket.udp().send_to(bytes, to).map(drop).map_err(|error| refusal(&error))
    }
}

impl Transport for Wire<'_> {
    fn send(&mut self, arena: &[u8], messages: &[Run]) -> Result<usize, Refusal> {
        for (taken, message) in messages.iter().enumerate() {
            match self.send_one(arena, message) {
                Err(refusal) if taken == 0 => return Err(refusal),
                Err(_) => return Ok(taken),
                Ok(()) => {}
            }
        }
        Ok(messages.len())
    }

    fn wait_writable(&mut self) {
        thread::sleep(SEND_WAIT);
    }

    /// The system's default stays: std cannot change it.
    fn allow_fragments(&mut self, _allowed: bool) {}
}

/// `ENOBUFS` of the BSDs and macOS, and of Windows: std has no name for it.
const NO_BUFFERS: [i32; 2] = [55, 10055];

fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::OutOfMemory => Refusal::Full,
        ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::PermissionDenied
        | ErrorKind::AddrNotAvailable => Refusal::Unreachable,
        _ if error.raw_os_error().is_some_and(|code| NO_BUFFERS.contains(&code)) => Refusal::Full,
        _ => Refusal::Other,
    }
}
