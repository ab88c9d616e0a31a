//! What a WHIP/WHEP server costs, measured from outside: real sessions over real sockets, thousands of viewers in
//! one process.
//!
//! ```text
//!   fanout   one stream, more and more viewers        join    a crowd comes at once
//!   ingest   many publishers, nobody watches          floor   sealing and sending, and nothing else
//!   ────────────────────────────────────────────────────────────────────────────────────────────
//!   crowd    who is there, and what they got          report  tables, JSON, pages with plots
//!   publisher, viewer   one session each              peer    str0m, a socket, POST and DELETE
//!   inbox    runs of datagrams and their times        sequence, payload   what came of each packet
//!   machine  CPU time, memory, cores
//! ```
//!
//! Every packet of every viewer is counted by its header; a stated sample is decrypted by str0m, compared bit by bit
//! and timed. The server's share is the CPU time of its process alone. A run in which the load itself was short of
//! CPU says so instead of giving figures that are its own.

mod crowd;
mod error;
mod fanout;
mod floor;
mod inbox;
mod ingest;
mod join;
mod machine;
mod outbox;
mod payload;
mod peer;
mod publisher;
mod report;
mod sequence;
mod viewer;

pub use error::BenchError;
pub use fanout::{FanoutOptions, FanoutReport, Step, fanout};
pub use floor::{Floor, Handover, floor};
pub use ingest::{IngestOptions, IngestReport, ingest};
pub use join::{JoinOptions, JoinReport, join};
pub use report::html;

use serde::Serialize;
use std::io;

/// Where the server is, and which process it is.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its HTTP side, such as `http://127.0.0.1:8080`; streams are at `/whip/{name}` and `/whep/{name}`.
    pub base: String,
    /// The bearer token of publishers and viewers.
    pub key: Option<String>,
    /// Its process, for CPU time and memory; it must run on this machine.
    pub pid: u32,
}

impl Target {
    pub(crate) fn whip(&self, stream: &str) -> String {
        format!("{}/whip/{stream}", self.base.trim_end_matches('/'))
    }

    pub(crate) fn whep(&self, stream: &str) -> String {
        format!("{}/whep/{stream}", self.base.trim_end_matches('/'))
    }
}

/// What a publisher sends: H.264 of equal packets, and Opus, 50 packets of 120 bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Frames per second.
    pub fps: u32,
    /// A keyframe every so many frames.
    pub keyframe_every: u32,
    /// Packets of a keyframe.
    pub key_packets: u16,
    /// Packets of any other frame.
    pub delta_packets: u16,
    /// Bytes of a video payload; 36 more on the wire.
    pub payload_len: usize,
}

impl Default for Stream {
    /// 2.5 Mbit/s, 30 frames a second, a keyframe of 65 packets every two seconds.
    fn default() -> Self {
        Self { fps: 30, keyframe_every: 60, key_packets: 65, delta_packets: 8, payload_len: 1_164 }
    }
}

impl Stream {
    /// Next to nothing, so that what is measured is not media.
    pub const QUIET: Self =
        Self { fps: 1, keyframe_every: 10, key_packets: 2, delta_packets: 1, payload_len: 200 };
}

/// Who runs where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cores {
    /// The server's; empty: wherever it is.
    pub server: Vec<usize>,
    /// The load's; empty: anywhere.
    pub load: Vec<usize>,
}

impl Cores {
    /// The load on the last core, the server on those before it, as many as it has shards.
    pub fn apart(shards: usize) -> Self {
        let cores = machine::cores();
        if cores < 2 {
            return Self::default();
        }
        Self { server: (0..shards.clamp(1, cores - 1)).collect(), load: vec![cores - 1] }
    }

    /// Puts both in their places.
    ///
    /// # Errors
    /// Cores that this machine has not, or a process that is not ours.
    pub fn take(&self, server: u32) -> io::Result<()> {
        if !self.server.is_empty() {
            machine::pin_process(server, &self.server)?;
        }
        if !self.load.is_empty() {
            machine::pin_thread(&self.load)?;
        }
        Ok(())
    }
}
