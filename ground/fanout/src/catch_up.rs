//! How a viewer that starts from the last keyframe gets to the live edge: faster than real time, in slices.

use crate::clock::media_units;
use crate::gop_cache::GopCache;
use crate::line::OVERHEAD;
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

/// A keyframe is sliced for a viewer whose line takes longer than that for it.
const BURST_MAX: Duration = Duration::from_millis(20);

/// So many times what a line is believed to carry: an estimate errs to the low side, and what is late anyway should be
/// no later for us.
const HASTE_PERCENT: u64 = 150;

/// Packets of a slice on a slow line: few enough for any queue, enough to be one message.
const SLICE_SLOW: usize = 4;

/// How fast what a viewer is due goes out.
#[derive(Clone, Copy, Debug)]
struct Pace {
    packets: usize,
    pause: Duration,
}

impl Pace {
    /// Where nothing is known of the line.
    const USUAL: Self = Self { packets: SLICE, pause: SLICE_PAUSE };

    /// On a line that carries so much, for packets of `len` bytes.
    fn of(line_bps: u64, len: usize) -> Self {
        let bits = (SLICE_SLOW * len * 8) as u64;
        let pause = Duration::from_micros(bits * 1_000_000 * 100 / HASTE_PERCENT / line_bps.max(1));
        // A line that slow would never have been given this picture.
        Self { packets: SLICE_SLOW, pause: pause.min(BURST_MAX * 5) }
    }
}

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
    pace: Pace,
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
            pace: Pace::USUAL,
        };
        Some((behind, first, edge, chase))
    }

    /// Goes on behind the keyframe's first packet, which was sent, in slices that a line of `line_bps` takes; `None`
    /// where it may have all of it at once, or the keyframe is not what the cache has.
    pub fn slice(now: Instant, first: &Packet, cache: &GopCache, line_bps: u64) -> Option<Self> {
        let bits = cache.bytes() as u64 * 8;
        let is_first = cache.first().is_some_and(|kept| (kept.epoch, kept.seq) == (first.epoch, first.seq));
        if !is_first || bits * 1000 <= line_bps * BURST_MAX.as_millis() as u64 {
            return None;
        }
        let pace = Pace::of(line_bps, first.payload().len() + OVERHEAD);
        Some(Self {
            keyframe: (first.epoch, first.seq),
            next: SeqNo(first.seq.0 + 1),
            began: (now, first.arrived),
            not_before: now,
            left_of_slice: pace.packets - 1,
            speed: None,
            pace,
        })
    }

    /// The next step. A packet that it names counts as sent.
    pub fn step<'a>(&mut self, now: Instant, cache: &'a GopCache) -> Step<'a> {
        let Some(first) = cache.first() else { return Step::Lost };
        let overtaken = (first.epoch, first.seq) != self.keyframe;
        if overtaken {
            (self.keyframe, self.next, self.speed) = ((first.epoch, first.seq), first.seq, None);
        }
        let Some(packet) = cache.at_or_after(self.next) else { return Step::Done };
        let due = self.due(packet);
        if due > now {
            return Step::Wait(due);
        }
        self.take_of_slice(now);
        self.next = SeqNo(packet.seq.0 + 1);
        if overtaken { Step::Overtaken(packet) } else { Step::Send(packet) }
    }

    fn take_of_slice(&mut self, now: Instant) {
        self.left_of_slice -= 1;
        if self.left_of_slice == 0 {
            self.left_of_slice = self.pace.packets;
            self.not_before = now + self.pace.pause;
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
