//! Publishers and viewers of one load, and what they have got.

use crate::inbox::Inbox;
use crate::peer::Door;
use crate::publisher::{self, Sent};
use crate::viewer::{self, Progress, Seen, Stage, middle_and_p99};
use crate::{BenchError, Stream, Target};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A session that is not connected by then counts as failed.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// The publisher's tasks end with their DELETE.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// A publisher at work.
pub(crate) struct OnAir {
    pub sent: Rc<Sent>,
    stop: Rc<Notify>,
    task: JoinHandle<Result<(), BenchError>>,
}

impl OnAir {
    /// Publishes, and waits until it is connected.
    pub async fn start(target: &Target, name: &str, stream: Stream) -> Result<Self, BenchError> {
        let door = Rc::new(Door::new(&target.whip(name), target.key.as_deref(), true).await?);
        let (sent, stop) = (Rc::new(Sent::default()), Rc::new(Notify::new()));
        let task =
            tokio::task::spawn_local(publisher::publish(door, stream, Rc::clone(&sent), Rc::clone(&stop)));
        let mut on_air = Self { sent, stop, task };
        let began = Instant::now();
        while !on_air.sent.is_connected.get() {
            if on_air.task.is_finished() {
                return Err((&mut on_air.task)
                    .await
                    .map_or(BenchError::Ended, |end| end.err().unwrap_or(BenchError::Ended)));
            }
            if began.elapsed() > CONNECT_WITHIN {
                return Err(BenchError::NotConnected(1, 1, CONNECT_WITHIN.as_secs(), "no DTLS".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(on_air)
    }

    /// Leaves.
    pub async fn stop(self) {
        self.stop.notify_one();
        let _ = timeout(LEAVE_WITHIN, self.task).await;
    }
}

/// How a number of viewers came in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Joins {
    /// How many.
    pub viewers: usize,
    /// A second, from the first POST to the last handshake.
    pub per_second: f64,
    /// From POST to answer, in ms: middle and 99th of a hundred.
    pub post_ms: [f64; 2],
    /// From POST to the end of DTLS.
    pub connected_ms: [f64; 2],
    /// From POST to the first packet, which is a keyframe's.
    pub first_packet_ms: [f64; 2],
}

/// What all viewers together got while it counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Packets that should have come, by their numbers.
    pub expected: u64,
    /// Packets that came.
    pub received: u64,
    /// Came again.
    pub duplicates: u64,
    /// Came late.
    pub reordered: u64,
}

impl Totals {
    /// In percent.
    pub fn loss(&self) -> f64 {
        100.0 * (1.0 - self.received as f64 / self.expected.max(1) as f64)
    }
}

/// Viewers of one stream.
pub(crate) struct Crowd {
    stage: Stage,
    members: Vec<Rc<RefCell<Progress>>>,
    tasks: Vec<JoinHandle<()>>,
    sample_every: usize,
}

impl Crowd {
    /// Nobody yet; one of `sample_every` will be decrypted.
    pub async fn new(
        target: &Target,
        name: &str,
        gro: bool,
        sample_every: usize,
    ) -> Result<Self, BenchError> {
        let stage = Stage {
            door: Rc::new(Door::new(&target.whep(name), target.key.as_deref(), gro).await?),
            inbox: Rc::new(RefCell::new(Inbox::new())),
            seen: Rc::new(RefCell::new(Seen::new())),
            stop: Rc::new(Notify::new()),
            news: Rc::new(Notify::new()),
        };
        Ok(Self { stage, members: Vec::new(), tasks: Vec::new(), sample_every: sample_every.max(1) })
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Those whose content is compared.
    pub fn sampled(&self) -> usize {
        self.members.len().div_ceil(self.sample_every)
    }

    /// Viewers join until there are `viewers`, `at_once` of them on the way at any time.
    pub async fn grow(&mut self, viewers: usize, at_once: usize) -> Result<Joins, BenchError> {
        let first = self.members.len();
        let began = Instant::now();
        let mut pending: Vec<usize> = Vec::new();
        while self.members.len() < viewers || !pending.is_empty() {
            while pending.len() < at_once && self.members.len() < viewers {
                pending.push(self.members.len());
                self.add();
            }
            let _ = timeout(Duration::from_millis(100), self.stage.news.notified()).await;
            pending.retain(|at| {
                let member = self.members[*at].borrow();
                member.connected_at.is_none() && !member.is_over
            });
            self.check()?;
            if began.elapsed() > CONNECT_WITHIN + Duration::from_millis(20) * (viewers - first) as u32 {
                break;
            }
        }
        self.check()?;
        let newcomers = &self.members[first..];
        let last = newcomers.iter().filter_map(|each| each.borrow().connected_at).max();
        let took = last.map_or(Duration::ZERO, |last| last - began);
        self.first_packets(first).await;
        let newcomers = &self.members[first..];
        let since_post = |at: fn(&Progress) -> Option<Instant>| {
            let waits = newcomers.iter().filter_map(|each| {
                let each = each.borrow();
                Some(at(&each)? - each.posted_at?)
            });
            middle_and_p99(waits.collect()).map_or([f64::NAN; 2], |(middle, p99)| [middle, p99])
        };
        Ok(Joins {
            viewers: newcomers.len(),
            per_second: newcomers.len() as f64 / took.as_secs_f64().max(1e-9),
            post_ms: since_post(|each| each.answered_at),
            connected_ms: since_post(|each| each.connected_at),
            first_packet_ms: since_post(|each| each.first_packet_at),
        })
    }

    fn add(&mut self) {
        let is_sampled = self.members.len().is_multiple_of(self.sample_every);
        let progress = Rc::new(RefCell::new(Progress::default()));
        self.members.push(Rc::clone(&progress));
        self.tasks.push(tokio::task::spawn_local(viewer::watch(self.stage.clone(), is_sampled, progress)));
    }

    /// Waits, but not for ever, until everybody has got something.
    async fn first_packets(&self, first: usize) {
        let began = Instant::now();
        let is_missing = || self.members[first..].iter().any(|each| each.borrow().first_packet_at.is_none());
        while is_missing() && began.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn check(&self) -> Result<(), BenchError> {
        let failures: Vec<_> = self.members.iter().filter_map(|each| each.borrow().failure.clone()).collect();
        match failures.first() {
            None => Ok(()),
            Some(why) => {
                let all = self.members.len();
                Err(BenchError::NotConnected(failures.len(), all, CONNECT_WITHIN.as_secs(), why.clone()))
            }
        }
    }

    /// Counts anew from here.
    pub fn restart(&self) {
        self.stage.seen.borrow_mut().restart();
        for member in &self.members {
            member.borrow_mut().streams.values_mut().for_each(crate::sequence::Sequence::restart);
        }
    }

    /// What came since the restart.
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for member in &self.members {
            let [expected, received, duplicates, reordered] = member.borrow().totals();
            sum.expected += expected;
            sum.received += received;
            sum.duplicates += duplicates;
            sum.reordered += reordered;
        }
        sum
    }

    /// Looks at what the sample saw.
    pub fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.stage.seen.borrow())
    }

    /// All leave.
    pub async fn leave(self) {
        self.stage.stop.notify_waiters();
        for task in self.tasks {
            let _ = timeout(LEAVE_WITHIN, task).await;
        }
    }
}
