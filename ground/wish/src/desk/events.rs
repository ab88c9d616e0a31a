//! What the engine says of sessions.

use super::Desk;
use super::table::{Part, Phase};
use crate::{Effect, Ending};
use std::time::Instant;
use wtn_media::{Format, MediaKind, SessionId};

impl Desk {
    /// The engine says: ICE and DTLS are done. A publisher that connects takes its stream over: the effects
    /// end the one before it, or itself if a newer one was faster. A session that the desk has given up is
    /// ended too.
    pub fn on_connected(&mut self, now: Instant, session: SessionId) -> Vec<Effect> {
        // First the event, then the clock: it may have waited at the door past its deadline.
        let effects = self.connected(session);
        self.table.expire(now);
        effects
    }

    fn connected(&mut self, id: SessionId) -> Vec<Effect> {
        let Some(session) = self.table.session(id) else { return vec![Effect::End(id, Ending::Deleted)] };
        let Part::Publisher { epoch, .. } = session.part else {
            if session.phase == Phase::Connected {
                return Vec::new();
            }
            return self.table.connect(id).map(Effect::Room).into_iter().collect();
        };
        let stream = session.stream;
        let live = self.table.stream_mut(stream).and_then(|stream| stream.live).filter(|live| *live != id);
        let live_epoch = live.and_then(|live| match self.table.session(live)?.part {
            Part::Publisher { epoch, .. } => Some(epoch),
            Part::Viewer => None,
        });
        if live_epoch.is_some_and(|live_epoch| live_epoch > epoch) {
            self.table.remove(id);
            return vec![Effect::End(id, Ending::Replaced)];
        }
        self.table.connect(id);
        live.into_iter()
            .map(|older| {
                self.table.remove(older);
                Effect::End(older, Ending::Replaced)
            })
            .collect()
    }

    /// The engine says: the session is gone, for whatever reason. Unknown ones are no news.
    pub fn on_ended(&mut self, now: Instant, session: SessionId) {
        self.note_departure(now, session);
        self.table.remove(session);
        self.table.expire(now);
    }

    /// The engine says: this is what a publisher's track carries now. New viewers are measured against it, unless
    /// the publisher has been replaced meanwhile.
    pub fn on_media(&mut self, publisher: SessionId, kind: MediaKind, format: Format) {
        let Some(stream) = self.table.session(publisher).map(|session| session.stream) else { return };
        if let Some(stream) = self.table.stream_mut(stream).filter(|stream| stream.live == Some(publisher)) {
            stream.current[kind.index()] = Some(format);
        }
    }
}
