//! A crowd that comes at once: what a join costs, and whether those who watch already notice.

use crate::crowd::{Crowd, Joins, OnAir, Totals};
use crate::fanout::Watch;
use crate::machine::{cpu_time, resident_bytes};
use crate::{BenchError, Cores, Stream, Target};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Those who watch already have settled.
const SETTLE: Duration = Duration::from_secs(4);

/// What to measure.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// The server.
    pub target: Target,
    /// Where server and load run.
    pub cores: Cores,
    /// What those watch who are there already.
    pub stream: Stream,
    /// How many they are.
    pub watching: usize,
    /// How many come.
    pub joins: usize,
    /// How many of them are on the way at any time.
    pub at_once: usize,
}

/// How it went.
#[derive(Clone, Debug, Serialize)]
pub struct JoinReport {
    /// Those who came.
    pub joins: Joins,
    /// CPU time of the server from POST to keys, for each, in µs: what it used while they came, less what it uses for
    /// those who are there, by the mean of before and after.
    pub server_us_per_join: f64,
    /// Memory of the server for each of them, connected and next to idle, in KiB.
    pub kib_per_viewer: f64,
    /// Those who watched: how many, what they got while the others came, and their delays before and then (p50, p99,
    /// worst, in ms).
    pub watching: usize,
    /// What they got.
    pub watched: Totals,
    /// Before.
    pub transit_before_ms: [f64; 3],
    /// While the others came.
    pub transit_during_ms: [f64; 3],
    /// Why these figures are not the server's alone.
    pub doubts: Vec<String>,
}

/// Runs inside a [`LocalSet`](tokio::task::LocalSet) of a current-thread runtime.
///
/// # Errors
/// A session that is refused or ends, or a system that does not give what is needed.
pub async fn join(options: &JoinOptions) -> Result<JoinReport, BenchError> {
    let pid = options.target.pid;
    options.cores.take(pid)?;
    let id = std::process::id();
    let (hot, quiet) = (format!("bench-hot-{id}"), format!("bench-quiet-{id}"));
    let on_air = OnAir::start(&options.target, &hot, options.stream).await?;
    let quiet_air = OnAir::start(&options.target, &quiet, Stream::QUIET).await?;
    let mut watchers = Crowd::new(&options.target, &hot, true, options.watching.div_ceil(40)).await?;
    watchers.grow(options.watching, 16).await?;
    tokio::time::sleep(SETTLE).await;

    watchers.restart();
    let before = cores_used(pid).await?;
    let transit_before_ms = transit(&watchers);

    let bytes = resident_bytes(pid)?;
    watchers.restart();
    let watch = Watch::start(pid, &on_air)?;
    let mut crowd = Crowd::new(&options.target, &quiet, true, options.joins).await?;
    let joins = crowd.grow(options.joins, options.at_once).await?;
    let noted = watch.stop(pid, &on_air)?;
    let (watched, transit_during_ms) = (watchers.totals(), transit(&watchers));
    let grown = resident_bytes(pid)?.saturating_sub(bytes);
    let after = cores_used(pid).await?;
    let watching_ns = (before + after) / 2.0 * noted.elapsed.as_nanos() as f64;
    let each = |sum: f64| sum / options.joins.max(1) as f64;
    let report = JoinReport {
        joins,
        server_us_per_join: each((noted.server.ran as f64 - watching_ns) / 1000.0),
        kib_per_viewer: each(grown as f64 / 1024.0),
        watching: watchers.len(),
        watched,
        transit_before_ms,
        transit_during_ms,
        doubts: noted.doubts(),
    };
    crowd.leave().await;
    watchers.leave().await;
    quiet_air.stop().await;
    on_air.stop().await;
    Ok(report)
}

/// By the server, for those who are there.
async fn cores_used(pid: u32) -> Result<f64, BenchError> {
    let (began, before) = (Instant::now(), cpu_time(pid)?);
    tokio::time::sleep(SETTLE).await;
    Ok(cpu_time(pid)?.since(before).ran as f64 / began.elapsed().as_nanos() as f64)
}

fn transit(crowd: &Crowd) -> [f64; 3] {
    crowd.seen(|seen| {
        let ms = |us: u64| us as f64 / 1000.0;
        [
            ms(seen.transit.value_at_quantile(0.5)),
            ms(seen.transit.value_at_quantile(0.99)),
            ms(seen.transit.max()),
        ]
    })
}
