//! When a receiver asks again: libwebrtc's `NackRequester`, as it stands in 2026.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wtn_testkit::ms;

/// What it takes a round trip for until it knows better. A Chromium that only receives never does.
pub const DEFAULT_RTT: Duration = ms(100);

/// Repetitions are looked for this often; a new gap is asked for at once.
const PROCESS_INTERVAL: Duration = ms(20);
const TRIES_MAX: u8 = 10;
const AGE_MAX: u64 = 10_000;
const MISSING_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct Missing {
    asked_at: Option<Instant>,
    tries: u8,
}

#[derive(Debug)]
pub struct Nacks {
    newest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    rtt: Duration,
    next_process: Instant,
}

impl Nacks {
    pub fn new(now: Instant, rtt: Duration) -> Self {
        Self { newest: None, missing: BTreeMap::new(), rtt, next_process: now + PROCESS_INTERVAL }
    }

    /// A packet came, by itself or as a repair; the answer is what to ask for at once.
    pub fn on_packet(&mut self, now: Instant, seq: u64) -> Vec<u16> {
        let Some(newest) = self.newest else {
            self.newest = Some(seq);
            return Vec::new();
        };
        if seq <= newest {
            self.missing.remove(&seq);
            return Vec::new();
        }
        self.newest = Some(seq);
        self.missing.retain(|missing, _| *missing + AGE_MAX > seq);
        if self.missing.len() + (seq - newest) as usize > MISSING_MAX {
            self.missing.clear();
            return Vec::new();
        }
        self.missing.extend((newest + 1..seq).map(|lost| (lost, Missing::default())));
        self.batch(now, |missing, _| missing.asked_at.is_none())
    }

    /// What to ask for again.
    pub fn process(&mut self, now: Instant) -> Vec<u16> {
        if now < self.next_process {
            return Vec::new();
        }
        self.next_process = now + PROCESS_INTERVAL;
        self.batch(now, |missing, rtt| missing.asked_at.is_none_or(|at| now >= at + rtt))
    }

    pub fn next_timeout(&self) -> Instant {
        self.next_process
    }

    fn batch(&mut self, now: Instant, is_due: impl Fn(&Missing, Duration) -> bool) -> Vec<u16> {
        let rtt = self.rtt;
        let mut batch = Vec::new();
        self.missing.retain(|seq, missing| {
            if is_due(missing, rtt) {
                missing.asked_at = Some(now);
                missing.tries += 1;
                batch.push(*seq as u16);
            }
            missing.tries < TRIES_MAX
        });
        batch
    }
}
