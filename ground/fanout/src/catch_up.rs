//! How a viewer that starts from the last keyframe gets to the live edge: faster than real time, in slices.

use crate::clock::media_units;
use crate::gop_cache::GopCache;
use crate::rewriter::Chase;
use std::time::{Duration, Instant};
use wtn_media::{Packet, RtpTime, SeqNo};

/// A viewer is back to the delay of everybody else within this time, if [`SPEED_MAX`] allows.
const MEET_WITHIN: Duration = Duration::from_secs(3);

/// Slowest and fastest replay, in multiples of real time. Twice is the least that gains on the present at a
/// pace worth having; four times meets the 8 s between keyframes of OBS' default in time, and is what a line
/// that carries a stream with some reserve can take for these seconds.
const SPEED_MIN: u32 = 2;
const SPEED_MAX: u32 = 4;

/// Packets sent to one viewer at once, and the pause after them: a keyframe of sixty packets in one burst would
/// overrun the small queue of a home router.
const SLICE: usize = 32;
/// See [`SLICE`]: at 1200 bytes a packet the two make 150 Mbit/s.
const SLICE_PAUSE: Duration = Duration::from_millis(2);

/// A viewer's place in the cache, and when what comes next is due.
#[derive(Clone, Copy, Debug)]
pub struct CatchUp {
    /// The keyframe that it began with, and what comes next.
    keyframe: (u32, SeqNo),
    next: SeqNo,
    /// When the replay began, and when what it began with had arrived.
    began: (Instant, Instant),
    /// The pause after a slice.
    not_before: Instant,
    left_of_slice: usize,
    /// `None` once a newer keyframe has overtaken the replay: then everything is due at once.
    speed: Option<u32>,
    /// It has, and its first packet is still to be sent.
    is_overtaken: bool,
}

/// What a viewer that is behind gets next.
#[derive(Debug)]
pub enum Step<'a> {
    /// This packet, now.
    Send(&'a Packet),
    /// A newer keyframe is here, with this packet: the replay goes on with it, at the live edge.
    Overtaken(&'a Packet),
    /// Nothing until then.
    Wait(Instant),
    /// It has caught up.
    Done,
    /// Its place is gone and there is no keyframe to go on with.
    Lost,
}

impl CatchUp {
    /// Begins with the keyframe of `cache`, whose media clock has `rate` Hz; `None` if there is none. The rest is
    /// what [`Rewriter::anchor_behind`](crate::rewriter::Rewriter::anchor_behind) needs.
    pub fn begin(now: Instant, cache: &GopCache, rate: u32) -> Option<(Self, &Packet, RtpTime, Chase)> {
        let (first, last) = (cache.first()?, cache.last()?);
        let edge = RtpTime(last.time.0 + media_units(now.saturating_duration_since(last.arrived), rate));
        // By arrival, not by the publisher's clock, which may jump.
        let distance = now.saturating_duration_since(first.arrived);
        let speed =
            1 + distance.as_millis().div_ceil(MEET_WITHIN.as_millis()).min(u128::from(SPEED_MAX)) as u32;
        let speed = speed.clamp(SPEED_MIN, SPEED_MAX);
        let chase = Chase::new(first.time, edge, speed);
        let behind = Self {
            keyframe: (first.epoch, first.seq),
            next: first.seq,
            began: (now, first.arrived),
            not_before: now,
            left_of_slice: SLICE,
            speed: Some(speed),
            is_overtaken: false,
        };
        Some((behind, first, edge, chase))
    }

    /// The next step. A packet that it names counts as sent.
    pub fn step<'a>(&mut self, now: Instant, cache: &'a GopCache) -> Step<'a> {
        let Some(first) = cache.first() else { return Step::Lost };
        if (first.epoch, first.seq) != self.keyframe {
            self.is_overtaken = true;
            (self.keyframe, self.next, self.speed) = ((first.epoch, first.seq), first.seq, None);
        }
        let Some(packet) = cache.at_or_after(self.next) else { return Step::Done };
        let due = self.due(packet);
        if due > now {
            return Step::Wait(due);
        }
        self.take_of_slice(now);
        self.next = SeqNo(packet.seq.0 + 1);
        if std::mem::take(&mut self.is_overtaken) { Step::Overtaken(packet) } else { Step::Send(packet) }
    }

    fn take_of_slice(&mut self, now: Instant) {
        self.left_of_slice -= 1;
        if self.left_of_slice == 0 {
            self.left_of_slice = SLICE;
            self.not_before = now + SLICE_PAUSE;
        }
    }

    /// True for a packet that the replay has still to come to; one before that is a late repair, and sent as
    /// such.
    pub fn will_send(&self, packet: &Packet) -> bool {
        packet.seq >= self.next
    }

    fn due(&self, packet: &Packet) -> Instant {
        let (began, start) = self.began;
        let Some(speed) = self.speed else { return self.not_before };
        self.not_before.max(began + packet.arrived.saturating_duration_since(start) / speed)
    }
}
