//! What the operator decides.

use crate::{AuthRules, IceServer, Key, Policy, Routes, TalwtnApp};
use serde::{Deserialize, Serialize};
use std::fmt;
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
    /// Media reaches us at the same addresses and port by TCP too.
    pub tcp: bool,
    /// SHA-256 of the process's certificate.
    pub fingerprint: Fingerprint,
    /// Who may publish. Empty: anybody.
    pub publish_keys: Vec<Key>,
    /// Who may watch. Empty: anybody.
    pub play_keys: Vec<Key>,
    /// Who else may come in, and who may administer.
    pub auth: AuthRules,
    /// What every endpoint does that does not say otherwise.
    pub policy: Policy,
    /// Which stream names there are.
    pub names: Names,
    /// ICE servers that clients are told of, where the endpoint has none of its own.
    pub ice_servers: Vec<IceServer>,
    /// Scheme and authority under which clients know this server, such as `https://live.example.com`. It
    /// makes every `Location` absolute, which clients need who were redirected here.
    pub public_url: Option<String>,
    /// Which POSTs are sent elsewhere; the first rule that fits decides.
    pub redirects: Vec<Redirect>,
    /// Whose URLs are understood besides our own.
    pub routes: Routes,
    /// Who may sign tokens for TALWTN's URLs, which are understood if there is anybody.
    pub talwtn: Vec<TalwtnApp>,
    /// What this server and those that it redirects to have in common: by it they know whom the other let in.
    pub handoff_secret: Option<SharedSecret>,
    /// Whether trickled candidates are taken. On by default, as is the next; a server with neither has no use for
    /// PATCH on a session (RFC 9725 §4.3.1).
    pub trickle: bool,
    /// Whether a client may restart ICE.
    pub ice_restart: bool,
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
            tcp: false,
            fingerprint,
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            auth: AuthRules::default(),
            policy: Policy::default(),
            names: Names::default(),
            ice_servers: Vec::new(),
            public_url: None,
            redirects: Vec::new(),
            routes: Routes::default(),
            talwtn: Vec::new(),
            handoff_secret: None,
            trickle: true,
            ice_restart: true,
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
    /// All stay connected, and the best of them that sends is shown: the main input, or else the first backup
    /// that lives.
    Backup,
}

/// What of the machine is used up, so that one session more would cost those that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// The time of a media thread.
    Cpu,
    /// What may be sent.
    Egress,
    /// Memory.
    Memory,
}

impl Overload {
    /// A stable code for metrics and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Egress => "egress",
            Self::Memory => "memory",
        }
    }
}

/// Which stream names there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// Any: a stream begins to exist with its publisher.
    #[default]
    Open,
    /// Those of the endpoints; all others are 404.
    Listed,
}

/// Sends the POSTs for some streams to another server, with 307 (RFC 9725 §4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The streams' name, or how it begins and then `*`.
    pub names: String,
    /// The other server: scheme and authority, and a path in front of `/whip/{name}` if need be.
    pub to: String,
}

/// A secret that servers share. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(String);

impl SharedSecret {
    /// A secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

impl Redirect {
    /// Whether the rule is about this stream.
    pub fn is_for(&self, name: &str) -> bool {
        match self.names.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.names,
        }
    }
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
    /// Inputs of one stream where backups are taken: each sends all the time, and its last keyframe and what came
    /// since is kept. A main input and a backup, each with a successor on the way.
    pub inputs: usize,
    /// Viewers of one stream from one place that have not connected yet, to begin with: each that connects lets
    /// one more be on the way, up to [`half_open_viewers`](Self::half_open_viewers).
    pub half_open_viewers_of_client: usize,
    /// How long after the last admission a place that is full may still be expected to make room: some round trips
    /// of a slow network. After that whoever is on the way has gone wrong, and waiting for them helps nobody.
    pub patience: Duration,
    /// Viewers of one stream that have not connected yet. A show's start brings thousands of viewers within
    /// seconds, each half open for some round trips; and as watching may be open to anybody, a low bound
    /// would let one idle script lock everybody else out. 2 joins per millisecond for one second.
    pub half_open_viewers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 1_024,
            sessions: 65_536,
            half_open_publishers: 10,
            inputs: 4,
            half_open_viewers_of_client: 10,
            patience: Duration::from_secs(1),
            half_open_viewers: 2_048,
        }
    }
}
