//! Would the line carry more? Sent for a moment at the rate in question, media and old packets together, it shows:
//! what comes through a line too narrow comes at the line's own rate.

use std::time::{Duration, Instant};

/// A probe lasts this long: a few frames, so that media counts in it, and a queue of a tenth of a second at most
/// where the line carries half of it.
const LENGTH: Duration = Duration::from_millis(100);

/// Packets of a probe at least; at low rates it lasts longer for them, but not longer than this.
const PACKETS_MIN: u32 = 10;
const LENGTH_MAX: Duration = Duration::from_millis(250);

/// Bytes that a packet is taken to have when lengths are worked out.
const PACKET: f64 = 1200.0;

/// Packets go out in slices of this length.
const SLICE: Duration = Duration::from_millis(5);

/// Feedback about the last packet of a probe should be here this long after it, one round trip not counted.
const PATIENCE: Duration = Duration::from_millis(400);

/// The share of its rate at which a probe has passed.
const PASSED: f64 = 0.85;

/// Of a probe that did not pass, this share of what came through is believed.
const BELIEVED: f64 = 0.97;

/// How long to wait with the next probe: after the first failure, and at most.
const PAUSE: Duration = Duration::from_secs(3);
const PAUSE_MAX: Duration = Duration::from_secs(7);

/// After one that passed, the next step may be tried at once.
const PAUSE_PASSED: Duration = Duration::from_millis(50);

/// What the owner should do for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send that many bytes of old packets now.
    Bytes(usize),
    /// Ask again then.
    Wait(Instant),
    /// Nothing is probed, and nothing will be before the next feedback.
    Nothing,
}

/// The probes of one transport.
#[derive(Debug)]
pub struct Prober {
    wanted_bps: Option<f64>,
    running: Option<Running>,
    /// Sent in full, and not yet judged.
    outstanding: Option<Running>,
    not_before: Instant,
    pause: Duration,
    number: u32,
    ended: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    number: u32,
    target_bps: f64,
    began: Instant,
    until: Instant,
    bytes_sent: u64,
    seen: Seen,
}

/// What feedback told of the packets of a probe.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    packets: u32,
    bytes: u64,
    first: Option<(i64, u32)>,
    last: Option<(i64, u32)>,
    first_sent_us: i64,
    last_sent_us: i64,
    last_sent_bytes: u32,
}

impl Prober {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self {
            wanted_bps: None,
            running: None,
            outstanding: None,
            not_before: now,
            pause: PAUSE,
            number: 0,
            ended: None,
        }
    }

    /// The rate that would be of use, if it is more than what is believed already.
    pub fn want(&mut self, bps: Option<f64>) {
        self.wanted_bps = bps;
    }

    /// True while a probe runs, is awaited, or follows at once: the estimate may rise any moment.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.running.is_some()
            || self.outstanding.is_some()
            || self.wanted_bps.is_some() && self.not_before <= now + PAUSE_PASSED
    }

    /// True for as long as a queue may be of its own making.
    pub fn is_in_the_way(&self, now: Instant) -> bool {
        self.running.is_some() || self.ended.is_some_and(|at| now < at + 2 * PATIENCE)
    }

    /// A packet goes out; the answer is the probe that it is part of.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> Option<u32> {
        let running = self.running.as_mut().filter(|running| now < running.until)?;
        running.bytes_sent += bytes as u64;
        Some(running.number)
    }

    /// What is due now. Only to be asked while the line is fit for it.
    pub fn poll(&mut self, now: Instant) -> Due {
        if let Some(running) = self.running {
            if now >= running.until {
                self.ended = Some(now);
                self.outstanding = self.running.take();
                return Due::Wait(now + PATIENCE);
            }
            let elapsed = (now - running.began + SLICE).as_secs_f64();
            let due = (running.target_bps / 8.0 * elapsed) as u64;
            return match due.checked_sub(running.bytes_sent) {
                Some(bytes) if bytes > 0 => Due::Bytes(bytes as usize),
                _ => Due::Wait((now + SLICE).min(running.until)),
            };
        }
        if self.outstanding.is_some() {
            return Due::Nothing;
        }
        let Some(target_bps) = self.wanted_bps else { return Due::Nothing };
        if now < self.not_before {
            return Due::Wait(self.not_before);
        }
        let for_packets = Duration::from_secs_f64(f64::from(PACKETS_MIN) * PACKET * 8.0 / target_bps);
        let until = now + for_packets.clamp(LENGTH, LENGTH_MAX);
        self.number = self.number.wrapping_add(1);
        self.running = Some(Running {
            number: self.number,
            target_bps,
            began: now,
            until,
            bytes_sent: 0,
            seen: Seen::default(),
        });
        Due::Bytes((target_bps / 8.0 * SLICE.as_secs_f64()) as usize)
    }

    /// Nothing more of it: the line shows that it carries too much already.
    pub fn stop(&mut self, now: Instant) {
        if self.running.take().is_some() {
            self.ended = Some(now);
        }
        self.outstanding = None;
        self.fail(now);
    }

    /// A packet of a probe arrived.
    pub fn on_arrival(&mut self, number: u32, sent_us: i64, arrived_us: i64, bytes: u32) {
        for probe in self.running.iter_mut().chain(&mut self.outstanding) {
            if probe.number == number {
                probe.seen.on_arrival(sent_us, arrived_us, bytes);
            }
        }
    }

    /// After each feedback: `newest_sent` is when the newest packet that it told of was sent. The answer is what
    /// the line carried, once a probe is over.
    pub fn judge(&mut self, now: Instant, newest_sent: Instant) -> Option<f64> {
        let probe =
            self.outstanding.filter(|probe| newest_sent >= probe.until || now >= probe.until + PATIENCE)?;
        self.outstanding = None;
        let Some((sent_bps, through_bps)) = probe.seen.rates() else {
            self.fail(now);
            return None;
        };
        // What was sent may fall short of what was meant, where there were few old packets.
        if through_bps >= PASSED * sent_bps {
            self.pause = PAUSE;
            let carried = through_bps.min(sent_bps);
            self.not_before = now + if carried >= PASSED * probe.target_bps { PAUSE_PASSED } else { PAUSE };
            return Some(carried);
        }
        self.fail(now);
        Some(BELIEVED * through_bps)
    }

    fn fail(&mut self, now: Instant) {
        self.not_before = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(PAUSE_MAX);
    }
}

impl Seen {
    fn on_arrival(&mut self, sent_us: i64, arrived_us: i64, bytes: u32) {
        if self.packets == 0 {
            self.first_sent_us = sent_us;
        }
        self.packets += 1;
        self.bytes += u64::from(bytes);
        if self.first.is_none_or(|(at, _)| arrived_us < at) {
            self.first = Some((arrived_us, bytes));
        }
        if self.last.is_none_or(|(at, _)| arrived_us >= at) {
            self.last = Some((arrived_us, bytes));
        }
        self.first_sent_us = self.first_sent_us.min(sent_us);
        if sent_us >= self.last_sent_us {
            (self.last_sent_us, self.last_sent_bytes) = (sent_us, bytes);
        }
    }

    /// Bits per second sent and come through. Of `n` packets only `n - 1` lie between the first and the last.
    fn rates(&self) -> Option<(f64, f64)> {
        let ((first_us, first_bytes), (last_us, _)) = (self.first?, self.last?);
        let (sent_us, through_us) = (self.last_sent_us - self.first_sent_us, last_us - first_us);
        if self.packets < PACKETS_MIN / 2 || sent_us <= 0 {
            return None;
        }
        let rate = |bytes: u64, us: i64| bytes as f64 * 8e6 / us.max(1) as f64;
        let sent = rate(self.bytes - u64::from(self.last_sent_bytes), sent_us);
        Some((sent, rate(self.bytes - u64::from(first_bytes), through_us)))
    }
}
