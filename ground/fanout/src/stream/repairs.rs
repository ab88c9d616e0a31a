//! What goes out again: because a viewer asked, or because its line loses so much that one repair is not enough.

use super::{Outbox, Stream, SubscriberId};
use std::time::Instant;
use wtn_media::Ssrc;

impl Stream {
    /// Sends the second repairs that viewers on lossy lines are due. The answer is when to come again.
    pub fn follow(&mut self, now: Instant, outbox: &mut impl Outbox) -> Option<Instant> {
        let mut again: Option<Instant> = None;
        for (id, subscriber) in &mut self.members {
            while let Some((kind, seq, origin)) = subscriber.poll_follow(now) {
                let track = &mut self.tracks[kind.index()];
                let Some(packet) = track.find(origin) else { continue };
                let layers = &mut track.layers[usize::from(packet.encoding.0)];
                if let Some(rewrite) = subscriber.resend(now, &packet, seq, layers) {
                    outbox.send(*id, subscriber, &packet, &rewrite);
                }
            }
            again = again.into_iter().chain(subscriber.next_follow()).min();
        }
        again
    }

    pub(super) fn resend(
        &mut self,
        now: Instant,
        id: SubscriberId,
        media: Ssrc,
        lost: impl Iterator<Item = u16>,
        outbox: &mut impl Outbox,
    ) {
        let Some(position) = self.positions.get(&id) else { return };
        let subscriber = &mut self.members[*position].1;
        for lost in lost {
            let Some((kind, seq, origin)) = subscriber.on_nack(now, media, lost) else { continue };
            let track = &mut self.tracks[kind.index()];
            let Some(packet) = track.find(origin) else {
                outbox.miss(id);
                continue;
            };
            let layers = &mut track.layers[usize::from(packet.encoding.0)];
            if let Some(rewrite) = subscriber.resend(now, &packet, seq, layers) {
                outbox.send(id, subscriber, &packet, &rewrite);
                subscriber.on_resent(now, kind, seq);
            }
        }
    }
}
