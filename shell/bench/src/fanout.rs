//! One stream, and more and more viewers: what each packet costs the server, and how long it takes.

use crate::crowd::{Crowd, Joins, OnAir, Totals};
use crate::floor::{Handover, floor};
use crate::machine::{CpuTime, cpu_time, datagrams_dropped, resident_bytes};
use crate::{BenchError, Cores, Stream, Target};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Joins and their catching up are over, and every player has its stream.
const SETTLE: Duration = Duration::from_secs(4);
/// Of what the load may do without being what is measured: share of its core, share of the time that it waited for
/// one, share of frames that left late.
const LOAD_RAN_MAX: f64 = 0.92;
const LOAD_WAITED_MAX: f64 = 0.05;
const LATE_FRAMES_MAX: f64 = 0.02;

/// What to measure.
#[derive(Clone, Debug)]
pub struct FanoutOptions {
    /// The server.
    pub target: Target,
    /// Where server and load run.
    pub cores: Cores,
    /// What is published.
    pub stream: Stream,
    /// Viewers, step by step; rising.
    pub viewers: Vec<usize>,
    /// How long each step is measured.
    pub length: Duration,
    /// How long the bare limit is measured for each step; zero: not at all.
    pub floor_length: Duration,
    /// Sessions on the way at once while viewers join.
    pub at_once: usize,
    /// Viewers whose packets are decrypted, compared and timed.
    pub sample: usize,
    /// Whether receivers take runs (as a network card would that cuts them) or the kernel cuts.
    pub gro: bool,
}

/// One number of viewers.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Viewers, all connected.
    pub viewers: usize,
    /// How those of this step came in.
    pub joins: Joins,
    /// What they got.
    pub totals: Totals,
    /// Packets that the server sent a second.
    pub packets_per_second: f64,
    /// CPU time of the server's process for each packet that arrived, in ns.
    pub server_ns_per_packet: f64,
    /// Cores that the server was busy on.
    pub server_cores: f64,
    /// From publisher to viewer, of the sample, in ms: p50, p99, p99.9, worst.
    pub transit_ms: [f64; 4],
    /// Viewers in the sample, their packets, and those of them that differed from what was published.
    pub sampled: usize,
    /// Packets compared.
    pub compared: u64,
    /// Packets that differed.
    pub corrupted: u64,
    /// Memory of the server for each viewer, in KiB, over the server before anybody watched.
    pub kib_per_viewer: f64,
    /// The bare limit on the same core, with the same bursts and receivers, in ns.
    pub floor_ns_per_packet: Option<f64>,
    /// Why these figures are not the server's alone; empty if they are.
    pub doubts: Vec<String>,
}

impl Step {
    /// What the server costs over the bare limit.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.server_ns_per_packet / self.floor_ns_per_packet?)
    }
}

/// All steps.
#[derive(Clone, Debug, Serialize)]
pub struct FanoutReport {
    /// What was published.
    pub stream: Stream,
    /// Whether receivers took runs.
    pub gro: bool,
    /// The steps that could be measured.
    pub steps: Vec<Step>,
}

impl FanoutReport {
    /// Takes out the steps whose figures may be the load's own, and says why.
    pub fn withhold(&mut self) -> Vec<String> {
        let (kept, doubtful) =
            std::mem::take(&mut self.steps).into_iter().partition(|step| step.doubts.is_empty());
        self.steps = kept;
        let told = |step: Step| format!("{} viewers: {}", step.viewers, step.doubts.join("; "));
        doubtful.into_iter().map(told).collect()
    }
}

/// Runs inside a [`LocalSet`](tokio::task::LocalSet) of a current-thread runtime: the load is one thread.
///
/// # Errors
/// A session that is refused or ends, or a system that does not give what is needed.
pub async fn fanout(options: &FanoutOptions) -> Result<FanoutReport, BenchError> {
    let pid = options.target.pid;
    options.cores.take(pid)?;
    let name = format!("bench-{}", std::process::id());
    let on_air = OnAir::start(&options.target, &name, options.stream).await?;
    let largest = options.viewers.iter().copied().max().unwrap_or(1);
    let sample_every = largest.div_ceil(options.sample.max(1));
    let mut crowd = Crowd::new(&options.target, &name, options.gro, sample_every).await?;
    tokio::time::sleep(SETTLE / 2).await;
    let idle_bytes = resident_bytes(pid)?;
    let mut steps = Vec::new();
    for viewers in &options.viewers {
        let joins = crowd.grow((*viewers).max(crowd.len()), options.at_once).await?;
        tokio::time::sleep(SETTLE).await;
        let mut step = measure(options, &crowd, &on_air, joins).await?;
        let grown = resident_bytes(pid)?.saturating_sub(idle_bytes);
        step.kib_per_viewer = grown as f64 / 1024.0 / crowd.len().max(1) as f64;
        steps.push(step);
    }
    crowd.leave().await;
    on_air.stop().await;
    if !options.floor_length.is_zero() {
        for step in &mut steps {
            let core = options.cores.server.first().copied();
            let bare =
                floor(options.stream, step.viewers, options.floor_length, core, Handover::Runs, options.gro);
            step.floor_ns_per_packet = Some(bare.await?.ns_per_packet);
        }
    }
    Ok(FanoutReport { stream: options.stream, gro: options.gro, steps })
}

async fn measure(
    options: &FanoutOptions,
    crowd: &Crowd,
    on_air: &OnAir,
    joins: Joins,
) -> Result<Step, BenchError> {
    crowd.restart();
    let watch = Watch::start(options.target.pid, on_air)?;
    tokio::time::sleep(options.length).await;
    let noted = watch.stop(options.target.pid, on_air)?;
    let totals = crowd.totals();
    let ms = |us: u64| us as f64 / 1000.0;
    let transit_ms = crowd.seen(|seen| {
        let at = |part| ms(seen.transit.value_at_quantile(part));
        [at(0.5), at(0.99), at(0.999), ms(seen.transit.max())]
    });
    let (compared, corrupted) = crowd.seen(|seen| (seen.compared, seen.corrupted));
    let seconds = noted.elapsed.as_secs_f64();
    Ok(Step {
        viewers: crowd.len(),
        joins,
        totals,
        packets_per_second: totals.received as f64 / seconds,
        server_ns_per_packet: noted.server.ran as f64 / totals.received.max(1) as f64,
        server_cores: noted.server.ran as f64 / 1e9 / seconds,
        transit_ms,
        sampled: crowd.sampled(),
        compared,
        corrupted,
        kib_per_viewer: 0.0,
        floor_ns_per_packet: None,
        doubts: noted.doubts(),
    })
}

/// The clocks of one measurement.
pub(crate) struct Watch {
    began: Instant,
    server: CpuTime,
    load: CpuTime,
    dropped: u64,
    frames: [u64; 2],
}

/// What they showed.
pub(crate) struct Noted {
    pub elapsed: Duration,
    pub server: CpuTime,
    load: CpuTime,
    dropped: u64,
    frames: [u64; 2],
}

impl Watch {
    pub fn start(server: u32, on_air: &OnAir) -> Result<Self, BenchError> {
        Ok(Self {
            began: Instant::now(),
            server: cpu_time(server)?,
            load: cpu_time(std::process::id())?,
            dropped: datagrams_dropped(),
            frames: [on_air.sent.frames.get(), on_air.sent.late_frames.get()],
        })
    }

    pub fn stop(self, server: u32, on_air: &OnAir) -> Result<Noted, BenchError> {
        let frames = [on_air.sent.frames.get(), on_air.sent.late_frames.get()];
        Ok(Noted {
            elapsed: self.began.elapsed(),
            server: cpu_time(server)?.since(self.server),
            load: cpu_time(std::process::id())?.since(self.load),
            dropped: datagrams_dropped() - self.dropped,
            frames: [frames[0] - self.frames[0], frames[1] - self.frames[1]],
        })
    }
}

impl Noted {
    /// Why the figures may be the load's own.
    pub fn doubts(&self) -> Vec<String> {
        let elapsed = self.elapsed.as_nanos() as f64;
        let (ran, waited) = (self.load.ran as f64 / elapsed, self.load.waited as f64 / elapsed);
        let late = self.frames[1] as f64 / self.frames[0].max(1) as f64;
        let mut doubts = Vec::new();
        if ran > LOAD_RAN_MAX {
            doubts.push(format!("the load was busy {:.0} % of the time", ran * 100.0));
        }
        if waited > LOAD_WAITED_MAX {
            doubts.push(format!("the load waited {:.0} % of the time for its core", waited * 100.0));
        }
        if late > LATE_FRAMES_MAX {
            doubts.push(format!("{:.0} % of the published frames left late", late * 100.0));
        }
        if self.server.waited as f64 / elapsed > LOAD_WAITED_MAX {
            let share = self.server.waited as f64 / elapsed * 100.0;
            doubts.push(format!("the server waited {share:.0} % of the time for its core"));
        }
        if self.dropped > 0 {
            doubts.push(format!("receive buffers overflowed: {} datagrams", self.dropped));
        }
        doubts
    }
}
