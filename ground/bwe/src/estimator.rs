//! So what does the line carry?

use crate::acked::AckedRate;
use crate::loss::LossBound;
use crate::probe::{Due, Prober};
use crate::queue::{Queue, Sign};
use crate::sent::SentLog;
use std::time::{Duration, Instant};
use wtn_media::rtcp::TransportFeedback;

/// Bounds of any estimate: below the lower, nothing of use passes; above the upper, nobody asks for more.
const FLOOR_BPS: f64 = 30_000.0;
const CEILING_BPS: f64 = 100_000_000.0;

/// Of what came through while there was too much, this share is believed (draft-ietf-rmcat-gcc-02 §5.5): the rest
/// is to empty the queue.
const BACK_OFF: f64 = 0.85;

/// After backing off, this long until the next time: the feedback must first show what came of it.
const BACK_OFF_PAUSE: Duration = Duration::from_millis(400);

/// Growth while nothing is amiss, per second, and the bound that keeps an estimate close to what was seen to pass.
const GROWTH: f64 = 0.08;
const GROWTH_BOUND: f64 = 1.5;
const GROWTH_BOUND_PLUS_BPS: f64 = 10_000.0;

/// Without feedback for that long, while packets go out, the estimate is halved, and again each time.
const SILENCE: Duration = Duration::from_secs(1);

/// The estimate for one viewer's line. Each packet's number comes from [`Self::on_sent`]; what the viewer reports
/// goes to [`Self::on_feedback`]; [`Self::poll_probe`] asks for packets that carry nothing new.
#[derive(Debug)]
pub struct Estimator {
    log: SentLog,
    queue: Queue,
    acked: AckedRate,
    loss: LossBound,
    prober: Prober,
    start: Instant,
    bps: f64,
    backed_off: Option<Instant>,
    grown: Instant,
    heard: Option<Instant>,
    /// The first packet since the last feedback.
    unheard_since: Option<Instant>,
}

impl Estimator {
    /// An estimate that begins at `bits_per_second`.
    pub fn new(now: Instant, bits_per_second: u64) -> Self {
        Self {
            log: SentLog::new(now),
            queue: Queue::default(),
            acked: AckedRate::default(),
            loss: LossBound::default(),
            prober: Prober::new(now),
            start: now,
            bps: bits_per_second as f64,
            backed_off: None,
            grown: now,
            heard: None,
            unheard_since: None,
        }
    }

    /// A packet of that many bytes on the line goes out; the answer is its transport-wide number.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> u16 {
        self.unheard_since.get_or_insert(now);
        let probe = self.prober.on_sent(now, bytes);
        self.log.push(now, bytes, probe)
    }

    /// Takes what the viewer reports.
    pub fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) {
        let mut newest_sent_us = None;
        let Self { log, queue, acked, loss, prober, .. } = self;
        log.on_feedback(feedback, |packet| {
            newest_sent_us = newest_sent_us.max(Some(packet.sent_us));
            loss.on_packet(packet.sent_us, packet.bytes, packet.arrived_us.is_none());
            let Some(arrived_us) = packet.arrived_us else { return };
            queue.on_arrival(packet.sent_us, arrived_us);
            acked.on_arrival(arrived_us, packet.bytes);
            if let Some(probe) = packet.probe {
                prober.on_arrival(probe, packet.sent_us, arrived_us, packet.bytes);
            }
        });
        let Some(newest_sent_us) = newest_sent_us else { return };
        (self.heard, self.unheard_since) = (Some(now), None);
        let newest_sent = self.start + Duration::from_micros(newest_sent_us as u64);
        if let Some(carried) = self.prober.judge(now, newest_sent)
            && carried > self.bps
        {
            self.bps = carried.min(CEILING_BPS);
            self.loss.lift(carried);
        }
        self.follow_queue(now);
        if let Some(bound) = self.loss.judge(newest_sent_us, self.bps) {
            self.bps = self.bps.min(bound).max(FLOOR_BPS);
        }
    }

    fn follow_queue(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.grown).as_secs_f64().min(0.5);
        self.grown = now;
        let Some(acked) = self.acked.bps() else { return };
        match self.queue.sign() {
            Sign::TooMuch
                if self.prober.is_in_the_way(now)
                    && self.backed_off.is_none_or(|at| now >= at + 2 * SILENCE) =>
            {
                // Its own doing; should it stay, the next feedback says so.
            }
            Sign::TooMuch => {
                self.prober.stop(now);
                if self.backed_off.is_none_or(|at| now >= at + BACK_OFF_PAUSE) {
                    self.bps = self.bps.min(BACK_OFF * acked).max(FLOOR_BPS);
                    self.backed_off = Some(now);
                }
            }
            Sign::Drains => {}
            Sign::Clear => {
                let bound = GROWTH_BOUND * acked + GROWTH_BOUND_PLUS_BPS;
                if self.bps < bound {
                    self.bps = (self.bps * (1.0 + GROWTH * elapsed)).min(bound).min(CEILING_BPS);
                }
            }
        }
    }

    /// Does what time demands: who hears nothing for long assumes the worst.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.heard.is_some() && self.unheard_since.is_some_and(|since| now >= since + SILENCE) {
            self.unheard_since = Some(now);
            self.bps = (self.bps / 2.0).max(FLOOR_BPS);
        }
    }

    /// When [`Self::handle_timeout`] is due, if no feedback comes before.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.heard.and(self.unheard_since).map(|since| since + SILENCE)
    }

    /// Bits per second.
    pub fn bps(&self) -> u64 {
        self.bps as u64
    }

    /// When the last feedback came.
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// The queue that does not go away between frames.
    pub fn standing_queue(&self) -> Duration {
        Duration::from_micros(self.queue.standing_us().max(0) as u64)
    }

    /// The rate that would be of use. What is believed already is not probed for.
    pub fn want(&mut self, bits_per_second: Option<u64>) {
        self.prober.want(bits_per_second.map(|bps| bps as f64).filter(|bps| *bps > self.bps));
    }

    /// True if the estimate may rise any moment, for a probe is under way or about to begin.
    pub fn is_probing(&self, now: Instant) -> bool {
        self.prober.is_busy(now)
    }

    /// The bytes of old packets that are due now, for a probe. Nothing is probed before the first feedback, nor on a
    /// line that has a queue or loses too much.
    pub fn poll_probe(&mut self, now: Instant) -> Due {
        if self.heard.is_none() || self.loss.is_lossy() {
            return Due::Nothing;
        }
        self.prober.poll(now)
    }
}
