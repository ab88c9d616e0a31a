//! Sleeping and waking: one ppoll over the socket and an eventfd.

use super::calls::{event_file, poll};
use crate::socket::MediaSocket;
use crate::wake::Ready;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// An eventfd.
#[derive(Debug)]
pub struct Bell(File);

impl Bell {
    pub fn new() -> io::Result<Self> {
        event_file().map(Self)
    }

    /// The bell of the shard that reads `socket`; an eventfd needs no socket.
    pub fn attach(&self, _socket: &MediaSocket) -> io::Result<()> {
        Ok(())
    }

    /// Ends the [`wait`] of the one who sleeps, or the next one. It fails only when the counter is full, and
    /// then the bell rings already.
    pub fn ring(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it silent again; nothing to do if it is.
    fn silence(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

/// Sleeps until datagrams arrive, the bell rings or `timeout` is over (`None`: for ever). The timer of ppoll
/// never ends early, so who waits for a deadline finds it passed.
pub fn wait(socket: &MediaSocket, bell: &Bell, timeout: Option<Duration>) -> io::Result<Ready> {
    let files = [(socket.udp().as_fd(), libc::POLLIN), (bell.0.as_fd(), libc::POLLIN)];
    let [datagrams, rung] = poll(files, timeout)?;
    if rung != 0 {
        bell.silence();
    }
    if datagrams & libc::POLLERR != 0 {
        // Reading the error clears it; otherwise every further wait would end at once.
        let error = socket.udp().take_error();
        tracing::debug!(?error, "an error was pending on the media socket");
    }
    Ok(Ready { datagrams: datagrams != 0, bell: rung != 0 })
}
