//! How much of the machine is used up, looked at four times a second: beyond its budgets the server takes nobody new,
//! so that those whom it has stay whole.

mod memory;

use crate::server::Workers;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use wtn_http::{Load, Signalling};
use wtn_net::NetCounter;
use wtn_wish::Overload;

/// How often it is looked. A crowd of 2000 a second then brings at most 500 more than it should.
const EVERY: Duration = Duration::from_millis(250);

/// A look tells of the last second, so that one busy pass is no overload.
const LOOKS: usize = 4;

/// Once over a budget, the load must fall to this share of it: else one viewer who leaves would let one in, and
/// everybody would come and go at the edge.
const BACK_AT: f64 = 0.95;

/// What may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// `cpu_percent`: of the time of a media thread.
    pub cpu_percent: u32,
    /// `egress_mbps`: of all media sent, in Mbit/s.
    pub egress_mbps: Option<u32>,
    /// `memory_percent`: of what this process may have.
    pub memory_percent: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { cpu_percent: 85, egress_mbps: None, memory_percent: 85 }
    }
}

/// What the counters say at one moment.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    /// Of each shard.
    busy_ns: Vec<u64>,
    sent_bytes: u64,
    /// What the process has, and may have.
    memory: Option<[u64; 2]>,
}

/// The last second, and what was over budget in it.
#[derive(Debug, Default)]
struct Watch {
    samples: VecDeque<Sample>,
    over: Option<Overload>,
}

impl Watch {
    fn look(&mut self, budgets: &Budgets, sample: Sample) -> Load {
        self.samples.push_back(sample);
        if self.samples.len() > LOOKS + 1 {
            self.samples.pop_front();
        }
        let (Some(old), Some(new)) = (self.samples.front(), self.samples.back()) else {
            return Load::default();
        };
        let seconds = new.at.saturating_duration_since(old.at).as_secs_f64();
        let rate =
            |old: u64, new: u64| if seconds > 0.0 { new.saturating_sub(old) as f64 / seconds } else { 0.0 };
        let busy = old.busy_ns.iter().zip(&new.busy_ns).map(|(old, new)| rate(*old, *new) / 1e9);
        let cpu = busy.fold(0.0, f64::max).min(1.0);
        let egress_bps = rate(old.sent_bytes, new.sent_bytes) * 8.0;
        let memory = new.memory.map_or(0.0, |[has, may]| has as f64 / may.max(1) as f64);
        let used = |what| match what {
            Overload::Cpu => cpu * 100.0 / f64::from(budgets.cpu_percent),
            Overload::Egress => budgets.egress_mbps.map_or(0.0, |mbps| egress_bps / 1e6 / f64::from(mbps)),
            Overload::Memory => memory * 100.0 / f64::from(budgets.memory_percent),
        };
        let was = self.over;
        let is_over = |what: &Overload| used(*what) >= if was == Some(*what) { BACK_AT } else { 1.0 };
        self.over = [Overload::Cpu, Overload::Egress, Overload::Memory].into_iter().find(is_over);
        Load { cpu, egress_bps, memory, over: self.over }
    }
}

/// Looks until the server is gone.
pub(crate) async fn watch(signalling: Weak<Signalling>, workers: Workers, budgets: Arc<Mutex<Budgets>>) {
    let mut watch = Watch::default();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let may = memory::allowed();
    loop {
        tick.tick().await;
        let Some(signalling) = signalling.upgrade() else { return };
        let counters = workers.each();
        let sample = Sample {
            at: Instant::now(),
            busy_ns: counters.iter().map(|shard| shard.value(NetCounter::BusyNs)).collect(),
            sent_bytes: counters.iter().map(|shard| shard.value(NetCounter::SentBytes)).sum(),
            memory: memory::resident().zip(may).map(|(has, may)| [has, may]),
        };
        let budgets = *budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let (was, load) = (watch.over, watch.look(&budgets, sample));
        match (was, load.over) {
            (None, Some(what)) => tracing::warn!(
                used_up = what.code(),
                cpu = load.cpu,
                egress_bps = load.egress_bps,
                memory = load.memory,
                "at the limit: new sessions are turned away"
            ),
            (Some(_), None) => tracing::info!("below the limit again: new sessions are taken"),
            _ => {}
        }
        signalling.set_load(load);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a quarter second; each step: share of the busier of two shards, Mbit/s, share of memory.
    fn check(steps: &[(f64, f64, f64, Option<Overload>)]) {
        let budgets = Budgets { cpu_percent: 80, egress_mbps: Some(100), memory_percent: 50 };
        let (mut watch, start) = (Watch::default(), Instant::now());
        let (mut busy, mut bytes) = (0.0, 0.0);
        for (at, (cpu, mbps, memory, expected)) in steps.iter().enumerate() {
            busy += cpu * EVERY.as_nanos() as f64;
            bytes += mbps * 1e6 / 8.0 * EVERY.as_secs_f64();
            let sample = Sample {
                at: start + EVERY * at as u32,
                busy_ns: vec![(busy / 4.0) as u64, busy as u64],
                sent_bytes: bytes as u64,
                memory: Some([(memory * 1000.0) as u64, 1000]),
            };
            assert_eq!(watch.look(&budgets, sample).over, *expected, "step {at}");
        }
    }

    #[test]
    fn the_busiest_shard_over_a_second_decides_and_one_busy_moment_does_not() {
        let calm = (0.4, 1.0, 0.1, None);
        let busy = |over| (0.9, 1.0, 0.1, over);
        check(&[calm, calm, calm, calm, busy(None), calm, calm, calm]);
        let over = Some(Overload::Cpu);
        check(&[calm, calm, calm, calm, busy(None), busy(None), busy(None), busy(over)]);
    }

    #[test]
    fn it_ends_well_below_the_budget_only() {
        let at = |mbps, over| (0.1, mbps, 0.1, over);
        let over = Some(Overload::Egress);
        check(&[
            at(90.0, None),
            at(90.0, None),
            at(130.0, over),
            at(98.0, over),
            at(98.0, over),
            at(98.0, over),
        ]);
        let steps = [130.0, 130.0, 130.0, 90.0, 90.0, 90.0, 90.0, 90.0];
        let told = [None, over, over, over, over, over, None, None];
        check(&steps.into_iter().zip(told).map(|(mbps, over)| at(mbps, over)).collect::<Vec<_>>());
    }

    #[test]
    fn memory_counts_at_once() {
        check(&[(0.1, 1.0, 0.49, None), (0.1, 1.0, 0.51, Some(Overload::Memory)), (0.1, 1.0, 0.4, None)]);
    }

    #[test]
    fn without_a_limit_nothing_is_over_it() {
        let budgets = Budgets { egress_mbps: None, ..Budgets::default() };
        let (mut watch, start) = (Watch::default(), Instant::now());
        for at in 0..8u64 {
            let sample =
                Sample { at: start + EVERY * at as u32, busy_ns: vec![], sent_bytes: at << 40, memory: None };
            assert_eq!(watch.look(&budgets, sample).over, None);
        }
    }
}
