//! What others may see of the desk: its streams, for status pages and metrics.

use super::Desk;
use wtn_media::{Format, StreamId};

impl Desk {
    /// The name of a stream that somebody is in.
    pub fn stream_name(&self, stream: StreamId) -> Option<&str> {
        self.table.name_of(stream)
    }

    /// Every stream, by name.
    pub fn streams(&self) -> impl Iterator<Item = StreamView<'_>> {
        self.table.streams().map(|(name, stream)| StreamView {
            id: stream.id,
            name,
            live: stream.live.is_some(),
            codecs: stream.codecs(),
            viewers: stream.viewers,
        })
    }

    /// Sessions on the desk, connected or half open.
    pub fn session_count(&self) -> usize {
        self.table.session_count()
    }
}

/// One stream, for status pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView<'a> {
    /// Its id, as in the engine.
    pub id: StreamId,
    /// Its name, as in the URL.
    pub name: &'a str,
    /// Whether a publisher is connected.
    pub live: bool,
    /// What its tracks carry, or carried last: video first.
    pub codecs: Vec<Format>,
    /// Viewers that are connected.
    pub viewers: usize,
}
