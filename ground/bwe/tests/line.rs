//! Estimator and choice against a scripted line: a bottleneck with a queue, jitter and loss, from a seed.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wtn_bwe::{Choice, Due, Estimator};
use wtn_media::Ssrc;
use wtn_media::rtcp::{self, Block, TransportFeedback, write_transport_feedback};

const PACKET: usize = 1200;

/// Packets a frame, 30 frames a second: 2.0, 0.86 and 0.29 Mbit/s.
const LAYERS: [u64; 3] = [7, 3, 1];

fn rate(layer: usize) -> u64 {
    LAYERS[layer] * PACKET as u64 * 8 * 30
}

/// A line as it is now.
#[derive(Clone, Copy)]
struct Line {
    kbps: u64,
    queue_ms: u64,
    jitter_us: i64,
    loss: f64,
}

const GOOD: Line = Line { kbps: 2500, queue_ms: 250, jitter_us: 3000, loss: 0.0 };

struct Story {
    start: Instant,
    ms: u64,
    line: Line,
    chance: StdRng,
    estimator: Estimator,
    choice: Choice,
    watched: usize,
    idle_us: i64,
    under_way: VecDeque<(i64, u16)>,
    arrived: Vec<(u16, i64)>,
    untold: u16,
    reports: VecDeque<(u64, Vec<u8>)>,
    switches: Vec<(u64, usize)>,
    queues_ms: Vec<u64>,
    probed: usize,
    media: usize,
}

impl Story {
    fn new(seed: u64, line: Line) -> Self {
        let start = Instant::now();
        Self {
            start,
            ms: 0,
            line,
            chance: StdRng::seed_from_u64(seed),
            estimator: Estimator::new(start, 1_000_000),
            choice: Choice::default(),
            watched: 2,
            idle_us: 0,
            under_way: VecDeque::new(),
            arrived: Vec::new(),
            untold: 0,
            reports: VecDeque::new(),
            switches: Vec::new(),
            queues_ms: Vec::new(),
            probed: 0,
            media: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    fn send(&mut self) {
        let number = self.estimator.on_sent(self.now(), PACKET);
        let now_us = self.ms as i64 * 1000;
        let begin = self.idle_us.max(now_us);
        let queue_ms = ((begin - now_us) / 1000) as u64;
        let draws: [f64; 2] = self.chance.random();
        if queue_ms > self.line.queue_ms {
            return;
        }
        self.queues_ms.push(queue_ms);
        self.idle_us = begin + (PACKET as i64 * 8 * 1000) / self.line.kbps as i64;
        if draws[0] < self.line.loss {
            return;
        }
        let jitter = (draws[1] * self.line.jitter_us as f64) as i64;
        let last = self.under_way.back().map_or(0, |(at, _)| *at);
        self.under_way.push_back(((self.idle_us + 20_000 + jitter).max(last), number));
    }

    fn step(&mut self) {
        self.ms += 1;
        let now = self.now();
        // Frames come with some jitter of their own.
        if self.ms.is_multiple_of(33) {
            for _ in 0..LAYERS[self.watched] {
                self.media += 1;
                self.send();
            }
        }
        while let Due::Bytes(bytes) = self.estimator.poll_probe(now) {
            for _ in 0..bytes.div_ceil(PACKET) {
                self.probed += 1;
                self.send();
            }
        }
        while self.under_way.front().is_some_and(|(at, _)| *at <= self.ms as i64 * 1000) {
            let (at, number) = self.under_way.pop_front().unwrap();
            self.arrived.push((number, at));
        }
        if self.ms.is_multiple_of(60) {
            self.report();
        }
        while self.reports.front().is_some_and(|(at, _)| *at <= self.ms) {
            let (_, report) = self.reports.pop_front().unwrap();
            let Some(Block::TransportFeedback(body)) = rtcp::blocks(&report).next() else { panic!() };
            self.estimator.on_feedback(now, &TransportFeedback::read(body).unwrap());
            self.decide();
        }
        self.estimator.handle_timeout(now);
    }

    fn report(&mut self) {
        let Some(&(last, _)) = self.arrived.last() else { return };
        let count = usize::from(last.wrapping_sub(self.untold)) + 1;
        let mut ticks = vec![None; count];
        for (number, at_us) in self.arrived.drain(..) {
            // Another clock.
            ticks[usize::from(number.wrapping_sub(self.untold))] = Some(at_us / 250 + 1_000_000);
        }
        let mut out = Vec::new();
        write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), 0, self.untold, &ticks);
        self.untold = last.wrapping_add(1);
        self.reports.push_back((self.ms + 20, out));
    }

    fn decide(&mut self) {
        let now = self.now();
        let rates: Vec<u64> = (0..3).map(rate).collect();
        let budget = self.estimator.bps();
        let is_rising = self.estimator.is_probing(now);
        let choice = self.choice.choose(now, &rates, budget, is_rising).unwrap();
        self.estimator.want(self.choice.wants(now, &rates, budget));
        if choice != self.watched {
            self.watched = choice;
            self.switches.push((self.ms, choice));
        }
    }

    /// Runs that many seconds on a line; the answer is when the layer was first right, and how often it changed
    /// after that.
    fn run(&mut self, seconds: u64, line: Line, right: usize) -> (Option<u64>, usize) {
        self.line = line;
        let began = self.ms;
        let mut first = None;
        let mut changes = 0;
        for _ in 0..seconds * 1000 {
            let before = self.watched;
            self.step();
            if self.watched == right && first.is_none() {
                first = Some(self.ms - began);
            } else if first.is_some() && before != self.watched {
                changes += 1;
            }
        }
        (first, changes)
    }

    fn queue_p95_ms(&self) -> u64 {
        let mut queues = self.queues_ms.clone();
        queues.sort_unstable();
        queues[queues.len() * 95 / 100]
    }
}

#[test]
fn rtp_22_the_right_layer_after_each_change_of_the_line() {
    for seed in 0..20 {
        let mut story = Story::new(seed, GOOD);
        let line = |kbps| Line { kbps, ..GOOD };
        for (kbps, right, within_ms) in
            [(2500, 0, 10_000), (400, 2, 3_000), (1200, 1, 10_000), (4000, 0, 10_000)]
        {
            let (first, changes) = story.run(40, line(kbps), right);
            let took = first.unwrap_or(u64::MAX);
            assert!(took <= within_ms, "seed {seed}: {took} ms at {kbps} kbit/s, {:?}", story.switches);
            assert_eq!(changes, 0, "seed {seed} at {kbps} kbit/s: {:?}", story.switches);
        }
        let p95 = story.queue_p95_ms();
        assert!(p95 <= 150, "seed {seed}: {p95} ms");
        assert!(story.probed * 10 < story.media, "seed {seed}: {} of {}", story.probed, story.media);
    }
}

#[test]
fn rtp_22_loss_and_jitter_by_nature_cost_no_layer() {
    for seed in 0..10 {
        let line = Line { jitter_us: 15_000, loss: 0.05, kbps: 4000, ..GOOD };
        let mut story = Story::new(seed, line);
        let (first, changes) = story.run(120, line, 0);
        assert!(first.is_some_and(|ms| ms < 10_000), "seed {seed}: {:?}", story.switches);
        assert_eq!(changes, 0, "seed {seed}: {:?}", story.switches);
    }
}

#[test]
fn rtp_22_a_line_with_hardly_a_queue_shows_by_its_losses() {
    for seed in 0..10 {
        let line = |kbps| Line { kbps, queue_ms: 30, ..GOOD };
        let mut story = Story::new(seed, line(4000));
        story.run(20, line(4000), 0);
        let (first, _) = story.run(30, line(500), 2);
        assert!(first.is_some_and(|ms| ms < 5_000), "seed {seed}: {:?}", story.switches);
        assert_eq!(story.watched, 2, "seed {seed}");
    }
}

#[test]
fn rtp_22_who_reports_no_more_gets_the_least() {
    let mut story = Story::new(1, GOOD);
    story.run(20, GOOD, 0);
    assert_eq!(story.watched, 0);
    for _ in 0..10_000 {
        story.ms += 1;
        if story.ms.is_multiple_of(33) {
            let now = story.now();
            story.estimator.on_sent(now, PACKET);
            story.estimator.handle_timeout(now);
            story.decide();
        }
    }
    assert_eq!(story.watched, 2);
}
