//! Another shard that has viewers of a stream whose publisher is here: what it is fed, and what not when it is slow.

use crate::mail::Post;
use crate::ticket::ShardId;
use std::time::Instant;
use wtn_fanout::{Feed, Shedding};
use wtn_media::MediaKind;

/// Packets in a ring between two shards: over a second at 10 Mbit/s. A shard that stalls for longer loses
/// packets and starts its viewers anew with the next keyframe; it never slows the publisher.
pub const RING: usize = 1024;

/// Places that the picture leaves free: sound goes on for two seconds while the picture waits, and what must be
/// said of a gap finds room.
const SOUND_RESERVE: usize = 128;

/// The picture goes on once the shard has come down to that: a keyframe into a full ring would be the next gap.
const CAUGHT_UP: usize = RING / 2;

/// One shard's end of a ring.
#[derive(Debug)]
pub struct Sink {
    /// Whose it is.
    pub shard: ShardId,
    ring: rtrb::Producer<Feed>,
    /// By kind: something was left out that the other end has not been told of.
    untold: [bool; 2],
    /// Whether the picture is left out until the next keyframe.
    shedding: Option<Shedding>,
}

/// What came of a pass' feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Packets that were left out.
    pub lost: u64,
    /// A shard that was too slow has caught up and awaits a keyframe.
    pub wants_keyframe: bool,
}

impl Sink {
    /// The sink of `shard`.
    pub fn new(shard: ShardId, ring: rtrb::Producer<Feed>) -> Self {
        Self { shard, ring, untold: [false; 2], shedding: None }
    }

    /// Hands a pass' feeds over, as far as the shard keeps up.
    pub fn push(&mut self, now: Instant, feeds: &[Feed], post: &mut Post, shared: &mut Shared) {
        if feeds.is_empty() {
            return;
        }
        post.wake(self.shard);
        for feed in feeds {
            let is_taken = match feed {
                Feed::Packet(packet) if packet.kind == MediaKind::Video => {
                    self.push_picture(now, feed, packet.marks.keyframe_start)
                }
                Feed::Packet(_) => self.push_told(MediaKind::Audio, feed),
                // Small and few, and they stand for themselves.
                Feed::Clock(_) | Feed::Cut(_) | Feed::Gap(_) => self.ring.push(feed.clone()).is_ok(),
            };
            shared.lost += u64::from(!is_taken);
        }
        let is_waiting = self.shedding.is_some_and(|it| it.is_under_way() && !it.is_patient(now));
        shared.wants_keyframe |= is_waiting && self.has_caught_up();
    }

    fn push_picture(&mut self, now: Instant, feed: &Feed, is_keyframe: bool) -> bool {
        if let Some(shedding) = self.shedding.as_mut().filter(|it| it.is_under_way()) {
            if !(is_keyframe && self.ring.slots() >= CAUGHT_UP) {
                self.tell(MediaKind::Video);
                return false;
            }
            shedding.end(now);
        }
        if self.ring.slots() > SOUND_RESERVE && self.push_told(MediaKind::Video, feed) {
            return true;
        }
        self.shedding = Some(Shedding::begin(now, self.shedding));
        self.untold[MediaKind::Video.index()] = true;
        self.tell(MediaKind::Video);
        false
    }

    /// Puts a packet in, behind the word about what was left out before it.
    fn push_told(&mut self, kind: MediaKind, feed: &Feed) -> bool {
        let is_taken = self.tell(kind) && self.ring.push(feed.clone()).is_ok();
        self.untold[kind.index()] |= !is_taken;
        is_taken
    }

    /// Says that something of that kind was left out, if it was and there is room; true if nothing is left to say.
    fn tell(&mut self, kind: MediaKind) -> bool {
        let untold = &mut self.untold[kind.index()];
        *untold = *untold && self.ring.push(Feed::Gap(kind)).is_err();
        !*untold
    }

    fn has_caught_up(&self) -> bool {
        self.ring.slots() >= CAUGHT_UP
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;
    use wtn_media::packet::{Marks, PacketInfo};
    use wtn_media::{Codec, EncodingId, Format, Packet, RtpTime, SeqNo};

    struct Pipe {
        sink: Sink,
        end: rtrb::Consumer<Feed>,
        post: Post,
        now: Instant,
        seq: u64,
    }

    impl Pipe {
        fn new() -> Self {
            let (ring, end) = rtrb::RingBuffer::new(RING);
            let post = Post::new(ShardId(0), vec![sync_channel(1).0, sync_channel(1).0], Vec::new());
            Self { sink: Sink::new(ShardId(1), ring), end, post, now: Instant::now(), seq: 0 }
        }

        fn push(&mut self, kind: MediaKind, keyframe_start: bool) -> Shared {
            self.seq += 1;
            let info = PacketInfo {
                epoch: 0,
                kind,
                encoding: EncodingId(0),
                format: Format::new(Codec::H264),
                seq: SeqNo(self.seq),
                time: RtpTime(0),
                marker: false,
                marks: Marks { keyframe_start, ..Marks::default() },
                arrived: self.now,
            };
            let mut shared = Shared::default();
            let feed = Feed::Packet(Arc::new(Packet::new(info, &[0], [])));
            self.sink.push(self.now, &[feed], &mut self.post, &mut shared);
            shared
        }

        /// What the other shard finds: `v`ideo, `k`eyframe, `a`udio, and capitals for gaps.
        fn drain(&mut self, count: usize) -> String {
            let feeds = std::iter::from_fn(|| self.end.pop().ok()).take(count);
            feeds
                .map(|feed| match feed {
                    Feed::Packet(packet) if packet.kind == MediaKind::Audio => 'a',
                    Feed::Packet(packet) if packet.marks.keyframe_start => 'k',
                    Feed::Gap(MediaKind::Audio) => 'A',
                    Feed::Gap(MediaKind::Video) => 'V',
                    _ => 'v',
                })
                .collect()
        }
    }

    #[test]
    fn a_slow_shard_loses_the_picture_up_to_a_keyframe_and_no_sound() {
        let mut pipe = Pipe::new();
        let mut lost = 0;
        for _ in 0..RING {
            lost += pipe.push(MediaKind::Video, false).lost;
        }
        assert_eq!(lost, SOUND_RESERVE as u64);
        assert_eq!(pipe.push(MediaKind::Video, true).lost, 1, "a keyframe would be cut off by the next gap");
        assert_eq!(pipe.push(MediaKind::Audio, true).lost, 0);
        assert_eq!(pipe.drain(RING - SOUND_RESERVE), "v".repeat(RING - SOUND_RESERVE));
        let shared = pipe.push(MediaKind::Video, false);
        assert_eq!(shared, Shared { lost: 1, wants_keyframe: true }, "it has caught up");
        for (kind, keyframe_start) in
            [(MediaKind::Audio, true), (MediaKind::Video, true), (MediaKind::Video, false)]
        {
            assert_eq!(pipe.push(kind, keyframe_start).lost, 0);
        }
        assert_eq!(pipe.drain(RING), "Vaakv", "told of the gap before what comes behind it");
    }

    #[test]
    fn a_shard_that_takes_nothing_loses_sound_too_and_hears_of_it() {
        let mut pipe = Pipe::new();
        let lost: u64 = (0..2 * RING).map(|_| pipe.push(MediaKind::Audio, true).lost).sum();
        assert_eq!(lost, RING as u64);
        assert_eq!(pipe.drain(RING), "a".repeat(RING));
        assert_eq!(pipe.push(MediaKind::Audio, true).lost, 0);
        assert_eq!(pipe.drain(RING), "Aa");
    }

    #[test]
    fn who_is_slow_again_and_again_asks_for_keyframes_ever_more_rarely() {
        let mut pipe = Pipe::new();
        let mut asked = 0;
        for _ in 0..60 {
            while pipe.push(MediaKind::Video, false).lost == 0 {}
            pipe.drain(RING);
            // A second in which it keeps up; whoever asks for a keyframe gets it.
            for _ in 0..20 {
                pipe.now += Duration::from_millis(50);
                if pipe.push(MediaKind::Video, false).wants_keyframe {
                    asked += 1;
                    pipe.push(MediaKind::Video, true);
                }
                pipe.drain(RING);
            }
        }
        assert!(
            (4..12).contains(&asked),
            "{asked} keyframes in a minute for a shard that overflows all the time"
        );
    }
}
