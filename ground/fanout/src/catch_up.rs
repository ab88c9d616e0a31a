//! How a viewer that starts from the last keyframe gets to the live edge: faster than real time, in slices.

use crate::clock::{from_media_units, media_units};
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
pub const SLICE: usize = 32;
/// See [`SLICE`]: at 1200 bytes a packet the two make 150 Mbit/s.
pub const SLICE_PAUSE: Duration = Duration::from_millis(2);

/// A viewer's place in the cache, and when what comes next is due.
#[derive(Clone, Copy, Debug)]
pub struct CatchUp {
    /// The keyframe that it began with, and what comes next.
    keyframe: SeqNo,
    next: SeqNo,
    rate: u32,
    /// When the replay began, and the source time that it began with.
    began: (Instant, RtpTime),
    /// `None` once a newer keyframe has overtaken the replay: then everything is due at once.
    speed: Option<u32>,
}

/// What a viewer that is behind gets next.
#[derive(Debug)]
pub enum Step<'a> {
    /// This packet, now.
    Send(&'a Packet),
    /// A newer keyframe is here, with this packet: the replay continues with it, at the live edge.
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
        let distance = from_media_units(edge.0.saturating_sub(first.time.0), rate);
        let speed = 1 + distance.as_millis().div_ceil(MEET_WITHIN.as_millis()) as u32;
        let speed = speed.clamp(SPEED_MIN, SPEED_MAX);
        let chase = Chase::new(first.time, edge, speed);
        let began = (now, first.time);
        let behind = Self { keyframe: first.seq, next: first.seq, rate, began, speed: Some(speed) };
        Some((behind, first, edge, chase))
    }

    /// The next step. A packet that it names counts as sent.
    pub fn step<'a>(&mut self, now: Instant, cache: &'a GopCache) -> Step<'a> {
        let Some(first) = cache.first() else { return Step::Lost };
        let overtaken = first.seq != self.keyframe;
        if overtaken {
            (self.keyframe, self.next, self.speed) = (first.seq, first.seq, None);
        }
        let Some(packet) = cache.at_or_after(self.next) else { return Step::Done };
        let due = self.due(packet);
        if due > now {
            return Step::Wait(due);
        }
        self.next = SeqNo(packet.seq.0 + 1);
        if overtaken { Step::Overtaken(packet) } else { Step::Send(packet) }
    }

    /// True for a packet that the replay has still to come to; one before that is a late repair, and sent as
    /// such.
    pub fn will_send(&self, packet: &Packet) -> bool {
        packet.seq >= self.next
    }

    fn due(&self, packet: &Packet) -> Instant {
        let (began, start) = self.began;
        let Some(speed) = self.speed else { return began };
        began + from_media_units(packet.time.0.saturating_sub(start.0), self.rate) / speed
    }
}
