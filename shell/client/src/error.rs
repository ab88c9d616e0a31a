//! What can go wrong, each with what to do about it.

use crate::clip::ClipError;
use crate::link::{BadSdp, Ending};
use serde::Serialize;
use std::time::Duration;

/// A reason and a remedy, as people and scripts get to see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Failure {
    pub(crate) fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: why.into(), fix: Some(fix.into()) }
    }
}

/// Why a session did not come about, or ended before its time. Never contains a key or a session URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The endpoint's URL cannot be used.
    #[error("{url:?} is no WHIP or WHEP URL: {fault}")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The key has characters that a header cannot carry.
    #[error("the key has characters that cannot be sent in a header")]
    BadKey,
    /// The test clip.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// HTTP could not be set up on this machine at all.
    #[error("HTTP cannot be set up: {0}")]
    NoHttp(String),
    /// The file of certificates to trust cannot be used.
    #[error("{file} cannot be used: {fault}")]
    BadCa {
        /// As given.
        file: String,
        /// What is wrong with it.
        fault: String,
    },
    /// No UDP socket could be opened.
    #[error("no UDP socket could be opened: {0}")]
    NoSocket(String),
    /// The server does not answer HTTP.
    #[error("no answer from {host}: {fault}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The innermost cause.
        fault: String,
    },
    /// The server said no.
    #[error("the server refused with {status}: {why}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its own words, or what the status means.
        why: String,
        /// Its own advice, or ours.
        fix: Option<String>,
    },
    /// The server said yes, but not as WHIP and WHEP want it.
    #[error("the server's reply is not WHIP or WHEP: {0}")]
    BadReply(String),
    /// More redirects than [`crate::signalling::REDIRECTS_MAX`].
    #[error("the server redirects in a circle")]
    RedirectLoop,
    /// The SDP of the server cannot be used.
    #[error("the server's SDP cannot be used: {0}")]
    BadSdp(#[from] BadSdp),
    /// ICE and DTLS did not get through in this time after the answer.
    #[error("no media connection within {:.1} s of the answer", .0.as_secs_f64())]
    NotConnected(Duration),
    /// The session ended without our doing.
    #[error(transparent)]
    Ended(#[from] Ending),
    /// Stopped before there was a session.
    #[error("stopped before there was a connection")]
    Stopped,
}

impl ClientError {
    /// What to do about it.
    pub fn fix(&self) -> Option<String> {
        let fix = match self {
            Self::BadUrl { .. } => "give the endpoint as http://HOST:PORT/whip/NAME or /whep/NAME",
            Self::BadKey => "give the key as the server printed it, without spaces or line ends",
            Self::Clip(ClipError::NoSuchCodec(_)) => "choose h264, vp8, vp9 or av1",
            Self::Clip(_) => "this is a fault of the build: clip/make.py makes the clip anew",
            Self::BadCa { .. } => "name a PEM file with BEGIN CERTIFICATE",
            Self::NoHttp(_) => "check the system's certificates (package ca-certificates)",
            Self::NoSocket(_) => "check the limit of open files and the network interfaces",
            Self::Unreachable { .. } => "check that the server runs and that host and port are right",
            Self::Refused { fix, .. } => return fix.clone(),
            Self::BadReply(_) => "check that the URL is an endpoint, not a web page",
            Self::RedirectLoop => "check the redirects of the server or its proxy",
            Self::BadSdp(_) => "report this, with the SDP of both sides, to who makes the server",
            Self::NotConnected(_) => {
                "check that the server's UDP port is open and that it announces an address you can reach"
            }
            Self::Ended(Ending::ClosedByServer) => {
                "look into the server's log: the session was deleted, replaced, or the server stopped"
            }
            Self::Ended(Ending::PathLost) => "check the network between here and the server",
            Self::Ended(Ending::Failed(_)) => "look into the server's log",
            Self::Stopped => return None,
        };
        Some(fix.to_owned())
    }

    /// 2 for what the caller gave wrongly, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadUrl { .. } | Self::BadKey | Self::Clip(ClipError::NoSuchCodec(_)) => 2,
            _ => 1,
        }
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        Self { why: error.to_string(), fix: error.fix() }
    }
}
