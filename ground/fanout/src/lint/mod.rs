//! Watches what a publisher sends for what will trouble viewers, and says so: `docs/lint.md` has the codes.
//!
//! Each packet costs a few comparisons; once a second what they add up to is judged. Nothing is held back and nothing
//! changed: it is advice. Each trouble is told when it begins and when it is over, and not more often than every ten
//! seconds.

mod drift;
mod picture;

use crate::encoding_selector::ENCODINGS_MAX;
use drift::Drift;
use picture::Picture;
use std::time::{Duration, Instant};
use wtn_media::{Codec, EncodingId, LintCode, MediaKind, Packet};

/// What was judged is judged again after this.
const INTERVAL: Duration = Duration::from_secs(1);

/// A trouble that has begun or is over is not told otherwise before that.
const NEWS_INTERVAL: Duration = Duration::from_secs(10);

/// Who sends no sender report for so long sends none. Browsers send one every few seconds, FFmpeg every five.
const REPORTS_WITHIN: Duration = Duration::from_secs(15);

/// A bitrate counts as too high once it has been for so many seconds, by more than a tenth: encoders overshoot.
const SECONDS_OVER: u32 = 3;
const OVER_PERCENT: u64 = 110;

/// Losses are counted over so many packets, in per mille: above the first they are told, below the second no more.
const LOSS_PACKETS: u64 = 1000;
const LOSS_BEGINS: u64 = 20;
const LOSS_ENDS: u64 = 10;

/// A trouble that has begun (with what it measures), or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LintNews {
    /// Which.
    pub code: LintCode,
    /// What [`LintCode::sentence`] wants to know; `None`: it is over.
    pub value: Option<i64>,
}

/// One publisher's lint.
#[derive(Debug, Default)]
pub struct Lint {
    max_kbps: Option<u64>,
    pictures: [Picture; ENCODINGS_MAX],
    /// By kind.
    drifts: [Drift; 2],
    /// By kind: when the first packet came, and whether a sender report has.
    began: [Option<Instant>; 2],
    has_reports: [bool; 2],
    judge_at: Option<Instant>,
    /// Bytes of video since the last judgement, and the seconds for which they were too many.
    video_bytes: u64,
    seconds_over: u32,
    /// Packets expected and received when losses were judged last.
    counted: (u64, u64),
    states: [State; LintCode::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// As it is.
    now: Option<i64>,
    is_told: bool,
    told_at: Option<Instant>,
}

impl Lint {
    /// For a publisher that is to send no more than that of video.
    pub fn new(max_bitrate_bps: Option<u64>) -> Self {
        Self { max_kbps: max_bitrate_bps.map(|bps| bps / 1000), ..Self::default() }
    }

    /// Takes every packet, in the order of arrival.
    pub fn on_packet(&mut self, packet: &Packet) {
        let (now, kind) = (packet.arrived, packet.kind);
        self.began[kind.index()].get_or_insert(now);
        self.drifts[kind.index()].on_packet(packet);
        match kind {
            MediaKind::Audio => {
                let is_other = packet.format.codec != Codec::Opus;
                self.set(LintCode::AudioNotOpus, is_other.then_some(0));
            }
            MediaKind::Video => {
                self.video_bytes += packet.payload().len() as u64;
                if let Some(picture) = self.pictures.get_mut(usize::from(packet.encoding.0)) {
                    picture.on_packet(packet);
                }
            }
        }
    }

    /// A keyframe was asked for.
    pub fn on_keyframe_request(&mut self, now: Instant, encoding: EncodingId) {
        if let Some(picture) = self.pictures.get_mut(usize::from(encoding.0)) {
            picture.on_request(now);
        }
    }

    /// A sender report came.
    pub fn on_sender_report(&mut self, kind: MediaKind) {
        self.has_reports[kind.index()] = true;
    }

    /// News, if there is any; `counts` tells how many packets were expected until now, and how many came.
    pub fn poll(&mut self, now: Instant, counts: impl FnOnce() -> (u64, u64)) -> Option<LintNews> {
        let judge_at = *self.judge_at.get_or_insert(now + INTERVAL);
        if now >= judge_at {
            self.judge_at = Some(now + INTERVAL);
            self.judge(now, now.saturating_duration_since(judge_at) + INTERVAL, counts());
        }
        let is_news = |state: &State| {
            let is_rested = state.told_at.is_none_or(|at| now >= at + NEWS_INTERVAL);
            state.now.is_some() != state.is_told && is_rested
        };
        let at = self.states.iter().position(is_news)?;
        let state = &mut self.states[at];
        (state.is_told, state.told_at) = (state.now.is_some(), Some(now));
        Some(LintNews { code: LintCode::ALL[at], value: state.now })
    }

    fn judge(&mut self, now: Instant, over: Duration, counts: (u64, u64)) {
        let of = |judge: fn(&Picture, Instant) -> Option<i64>| {
            self.pictures.iter().filter_map(|picture| judge(picture, now)).max()
        };
        let (b_frames, far) = (of(Picture::b_frames), of(Picture::keyframes_far_apart));
        let irregular = of(Picture::keyframes_irregular).filter(|_| far.is_none());
        let (missing, once) = (of(Picture::sets_missing), of(Picture::sets_not_repeated));
        self.set(LintCode::BFrames, b_frames);
        self.set(LintCode::KeyframesFarApart, far);
        self.set(LintCode::KeyframesIrregular, irregular);
        self.set(LintCode::ParameterSetsMissing, missing);
        self.set(LintCode::ParameterSetsNotRepeated, once);
        let drift = self.drifts.iter().filter_map(Drift::parts_per_million).max_by_key(|ppm| ppm.abs());
        self.set(LintCode::ClockDrift, drift);
        let mute = MediaKind::ALL.into_iter().any(|kind| {
            let began = self.began[kind.index()];
            !self.has_reports[kind.index()] && began.is_some_and(|began| now >= began + REPORTS_WITHIN)
        });
        self.set(LintCode::NoSenderReports, mute.then_some(0));
        self.judge_bitrate(over);
        self.judge_losses(counts);
    }

    fn judge_bitrate(&mut self, over: Duration) {
        let kbps = std::mem::take(&mut self.video_bytes) * 8 / over.as_millis().max(1) as u64;
        let is_over = self.max_kbps.is_some_and(|max| kbps * 100 > max * OVER_PERCENT);
        self.seconds_over = if is_over {
            (self.seconds_over + 1).min(2 * SECONDS_OVER)
        } else {
            self.seconds_over.saturating_sub(1)
        };
        let was_over = self.states[LintCode::BitrateOverPolicy as usize].now;
        match self.seconds_over {
            0 => self.set(LintCode::BitrateOverPolicy, None),
            SECONDS_OVER.. => self.set(LintCode::BitrateOverPolicy, was_over.or(Some(kbps as i64))),
            _ => {}
        }
    }

    fn judge_losses(&mut self, (expected, received): (u64, u64)) {
        let (expected_then, received_then) = self.counted;
        let (came, due) = (received.saturating_sub(received_then), expected.saturating_sub(expected_then));
        // Fewer than before: a source has made room for another.
        if expected < expected_then {
            self.counted = (expected, received);
        }
        if due < LOSS_PACKETS {
            return;
        }
        self.counted = (expected, received);
        let lost = due.saturating_sub(came) * 1000 / due;
        let is_told = self.states[LintCode::UplinkLoss as usize].now.is_some();
        let is_bad = lost >= if is_told { LOSS_ENDS } else { LOSS_BEGINS };
        self.set(LintCode::UplinkLoss, is_bad.then_some(lost as i64));
    }

    fn set(&mut self, code: LintCode, value: Option<i64>) {
        self.states[code as usize].now = value;
    }
}

#[cfg(test)]
mod tests;
