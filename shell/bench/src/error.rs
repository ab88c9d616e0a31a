//! Why a benchmark could not be run.

use std::io;

/// Why a benchmark could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A URL that leads nowhere.
    #[error("{0}: {1}")]
    Url(String, String),
    /// The server did not grant a session.
    #[error("the server answered {0}: {1}")]
    Refused(u16, String),
    /// HTTP did not get through.
    #[error("no answer from the server: {0}")]
    Http(#[from] reqwest::Error),
    /// An answer that str0m does not take, or a session that it gave up.
    #[error("the session failed: {0}")]
    Session(String),
    /// The server ended a session that should have stayed.
    #[error("the server ended the session")]
    Ended,
    /// Not connected in time.
    #[error("{0} of {1} sessions were not connected within {2} s; the first failure: {3}")]
    NotConnected(usize, usize, u64, String),
    /// Sockets, threads, `/proc`.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Crypto,
}

impl BenchError {
    pub(crate) fn rtc(fault: impl std::fmt::Display) -> Self {
        Self::Session(fault.to_string())
    }
}

impl From<nix::Error> for BenchError {
    fn from(error: nix::Error) -> Self {
        Self::System(error.into())
    }
}
