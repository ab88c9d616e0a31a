//! What the operator decides.

use crate::{AuthRules, Key};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use wtn_media::Fingerprint;

/// How the desk works.
#[derive(Clone, Debug)]
pub struct DeskConfig {
    /// Every address where media reaches us, the public one first.
    pub candidates: Vec<SocketAddr>,
    /// The port of media at any other address by which a client reached us ([`Request::reached_by`](crate::Request)).
    pub media_port: u16,
    /// SHA-256 of the process's certificate.
    pub fingerprint: Fingerprint,
    /// Who may publish. Empty: anybody.
    pub publish_keys: Vec<Key>,
    /// Who may watch. Empty: anybody.
    pub play_keys: Vec<Key>,
    /// Who else may come in, and who may administer.
    pub auth: AuthRules,
    /// What happens to a second publisher of a stream.
    pub second_publisher: SecondPublisher,
    /// Whether the session URL alone allows PATCH and DELETE, for clients that forget their token there
    /// (mediamtx' reader, Eyevinn's SDK). Off by default.
    pub session_url_is_capability: bool,
    /// Whether a trickle PATCH without `If-Match` is taken (204) rather than refused (428). Off by default;
    /// an ICE restart always needs it.
    pub trickle_without_tag: bool,
    /// How long a client has from POST to a finished DTLS handshake.
    pub connect_within: Duration,
    /// Bounds of every table.
    pub limits: Limits,
}

impl DeskConfig {
    /// An open desk with the default limits.
    pub fn new(candidates: Vec<SocketAddr>, media_port: u16, fingerprint: Fingerprint) -> Self {
        Self {
            candidates,
            media_port,
            fingerprint,
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            auth: AuthRules::default(),
            second_publisher: SecondPublisher::default(),
            session_url_is_capability: false,
            trickle_without_tag: false,
            connect_within: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// What happens to a POST to a WHIP endpoint whose stream has a publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondPublisher {
    /// The newer one takes the stream when it is connected: an encoder that restarts wins over its ghost.
    #[default]
    Replace,
    /// It gets 409 until the first is gone, or has not connected in time.
    Reject,
}

/// How much the desk holds at most. What does not fit is refused with 429 or 503 and `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams that have a publisher or viewers.
    pub streams: usize,
    /// Sessions altogether. About 2 KiB each here and in the engine while they are half open.
    pub sessions: usize,
    /// Publishers of one stream that have not connected yet: an encoder that restarts in a loop must not
    /// pile them up.
    pub half_open_publishers: usize,
    /// Viewers of one stream that have not connected yet. A show's start brings thousands of viewers within
    /// seconds, each half open for some round trips; and as watching may be open to anybody, a low bound
    /// would let one idle script lock everybody else out. 2 joins per millisecond for one second.
    pub half_open_viewers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { streams: 1_024, sessions: 65_536, half_open_publishers: 10, half_open_viewers: 2_048 }
    }
}
