//! What others may see of the desk: its streams, for status pages and metrics.

use super::Desk;
use wtn_media::{Format, SessionId, StreamId};

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
            inputs: stream.inputs.iter().filter_map(|id| self.input_view(stream.live, *id)).collect(),
            codecs: stream.codecs(),
            viewers: stream.viewers,
        })
    }

    fn input_view(&self, live: Option<SessionId>, session: SessionId) -> Option<InputView> {
        let input = self.table.session(session)?.input()?;
        Some(InputView {
            session,
            backup: input.backup,
            is_shown: live == Some(session),
            flows: input.flows_since.is_some(),
        })
    }

    /// What a connected publisher is among the inputs of its stream.
    pub fn input(&self, session: SessionId) -> Option<InputView> {
        let stream = self.table.session(session)?.stream;
        let live = self.table.stream(self.table.name_of(stream)?)?.live;
        self.input_view(live, session)
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
    /// Its connected publishers, the oldest first.
    pub inputs: Vec<InputView>,
}

/// One publisher among the inputs of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputView {
    /// Its session.
    pub session: SessionId,
    /// 0 for the main input, else the how manieth backup it is.
    pub backup: u8,
    /// Whether viewers get what it sends.
    pub is_shown: bool,
    /// Whether it sends.
    pub flows: bool,
}
