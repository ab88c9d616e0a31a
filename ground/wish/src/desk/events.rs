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
        let mut effects = self.connected(now, session);
        self.table.expire(now);
        effects.extend(self.settle_inputs(now));
        effects
    }

    fn connected(&mut self, now: Instant, id: SessionId) -> Vec<Effect> {
        let Some(session) = self.table.session(id) else { return vec![Effect::End(id, Ending::Deleted)] };
        let Part::Publisher { epoch, input, .. } = session.part else {
            if session.phase == Phase::Connected {
                return Vec::new();
            }
            return self.table.connect(now, id).map(Effect::Room).into_iter().collect();
        };
        let stream = session.stream;
        if input.stands_by {
            self.table.connect(now, id);
            return self.evict_input(stream).into_iter().collect();
        }
        let inputs = self.table.stream_mut(stream).map_or_else(Vec::new, |stream| stream.inputs.clone());
        let others: Vec<_> = inputs.into_iter().filter(|other| *other != id).collect();
        let is_newer = |other: &SessionId| self.epoch_of(*other).is_some_and(|other| other > epoch);
        if others.iter().any(is_newer) {
            self.table.remove(id);
            return vec![Effect::End(id, Ending::Replaced)];
        }
        self.table.connect(now, id);
        let replaced = |older| {
            self.table.remove(older);
            Effect::End(older, Ending::Replaced)
        };
        others.into_iter().map(replaced).collect()
    }

    /// The engine says: the session is gone, for whatever reason. Unknown ones are no news. The effects show
    /// another input in place of one that was shown.
    pub fn on_ended(&mut self, now: Instant, session: SessionId) -> Vec<Effect> {
        self.note_departure(now, session);
        self.table.remove(session);
        self.table.expire(now);
        self.settle_inputs(now)
    }

    /// The engine says: this is what a publisher's track carries now. New viewers are measured against it, unless
    /// the publisher has been replaced meanwhile.
    pub fn on_media(&mut self, publisher: SessionId, kind: MediaKind, format: Format) {
        let Some(session) = self.table.session_mut(publisher) else { return };
        let stream = session.stream;
        if let Some(input) = session.input_mut() {
            input.current[kind.index()] = Some(format);
        }
        if let Some(stream) = self.table.stream_mut(stream).filter(|stream| stream.live == Some(publisher)) {
            stream.current[kind.index()] = Some(format);
        }
    }
}
