//! Ctrl-C and SIGTERM: the first one asks for a good end, a second Ctrl-C gets a quick one. SIGHUP: the
//! configuration is to be read again.

use crate::exit;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for either. From then on a Ctrl-C exits at once.
    pub async fn stop(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tokio::spawn(async move {
            self.interrupt.recv().await;
            std::process::exit(exit::INTERRUPTED);
        });
    }
}

/// SIGHUP, caught from the moment this is made; until then it ends the process, as when its terminal goes.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    pub fn catch() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Calls `reload` at each, for ever.
    pub async fn each(mut self, mut reload: impl FnMut()) {
        while self.0.recv().await.is_some() {
            reload();
        }
    }
}
