//! Event streams: which there are, and for whom there is news.

use super::{FeedEntry, Part, Table};
use crate::events::{Bulletin, EventTypes, Feed, FeedId};
use crate::token::Secret;
use std::collections::BTreeSet;
use std::sync::Arc;
use wtn_media::{Layer, SessionId, StreamId};

/// Event streams of one session. A player needs one; a page that was loaded anew may have forgotten the one it had.
pub(in crate::desk) const FEEDS_OF_SESSION_MAX: usize = 4;

/// What listeners are to be told of. At most one entry for each stream and each event stream.
#[derive(Debug, Default)]
pub(in crate::desk) struct Changes {
    /// Streams with news that does not wait.
    pub now: BTreeSet<StreamId>,
    /// Streams whose viewers came or went: that is told once a second, or each of a thousand that come would be told to a
    /// thousand.
    later: BTreeSet<StreamId>,
    /// Event streams that have ended.
    pub ended: Vec<FeedId>,
}

impl Changes {
    /// What could wait has waited.
    pub fn ripen(&mut self) {
        self.now.append(&mut self.later);
    }
}

impl Table {
    /// One more event stream of that session; `None` if it has as many as it may.
    pub fn add_feed(&mut self, id: SessionId, secret: Secret, types: EventTypes) -> Option<()> {
        let session =
            self.sessions.get_mut(&id).filter(|session| session.feeds.len() < FEEDS_OF_SESSION_MAX)?;
        self.last_feed += 1;
        session.feeds.push(FeedEntry { id: FeedId(self.last_feed), secret, types });
        self.stream_of(id)?.feeds += 1;
        Some(())
    }

    /// The event stream of that URL.
    pub fn feed(&self, session: &str, feed: &str) -> Option<(SessionId, Feed)> {
        let (id, session) = self.by_secret(session)?;
        let secret = Secret::from_text(feed)?;
        let entry = session.feeds.iter().find(|entry| entry.secret == secret)?;
        let lives = self.streams.get(self.names.get(&session.stream)?)?.lives;
        let feed = Feed {
            id: entry.id,
            stream: session.stream,
            types: entry.types,
            picture: session.picture,
            was_active: lives > session.lives_before,
        };
        Some((id, feed))
    }

    /// Ends one event stream of a session.
    pub fn end_feed(&mut self, id: SessionId, feed: FeedId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.feeds.retain(|entry| entry.id != feed);
        if let Some(stream) = self.stream_of(id) {
            stream.feeds -= 1;
        }
        self.changes.ended.push(feed);
    }

    /// Ends all event streams of a session.
    pub(super) fn end_feeds(&mut self, id: SessionId) {
        let feeds = self.sessions.get(&id).map_or_else(Vec::new, |session| session.feeds.clone());
        for feed in feeds {
            self.end_feed(id, feed.id);
        }
    }

    /// A session has come or is about to go: its stream's listeners may want to know.
    pub(super) fn note_change(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (stream, is_publisher) = (session.stream, matches!(session.part, Part::Publisher { .. }));
        if self.stream_mut(stream).is_none_or(|stream| stream.feeds == 0) {
            return;
        }
        if is_publisher {
            self.changes.now.insert(stream);
        } else {
            self.changes.later.insert(stream);
        }
    }

    /// The stream's layers are these now.
    pub fn set_layers(&mut self, id: StreamId, layers: &[Layer]) {
        let Some(stream) = self.stream_mut(id).filter(|stream| stream.live.is_some()) else { return };
        let is_named =
            |layer: &&Layer| layer.rid.is_some() || layer.spatial.is_some() || layer.temporal.is_some();
        stream.layers = layers.iter().filter(is_named).copied().collect();
        if stream.feeds > 0 {
            self.changes.now.insert(id);
        }
    }

    /// How things stand with a stream.
    pub fn bulletin(&self, id: StreamId, leave: bool) -> Option<Bulletin> {
        let stream = self.streams.get(self.names.get(&id)?)?;
        let layers = Arc::clone(&stream.layers);
        Some(Bulletin { live: stream.live.is_some(), viewers: stream.viewers, layers, leave })
    }

    /// Everybody who listens is to be told.
    pub fn note_change_everywhere(&mut self) {
        let listened = self.streams.values().filter(|stream| stream.feeds > 0).map(|stream| stream.id);
        self.changes.now.extend(listened);
    }
}
