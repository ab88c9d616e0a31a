//! Many publishers whom nobody watches: what a packet costs on its way in.

use crate::crowd::OnAir;
use crate::machine::{CpuTime, cpu_time, datagrams_dropped};
use crate::{BenchError, Cores, Stream, Target};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Publishers have connected and sent their first keyframes.
const SETTLE: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// The server.
    pub target: Target,
    /// Where server and load run.
    pub cores: Cores,
    /// What each publishes.
    pub stream: Stream,
    /// How many publish.
    pub publishers: usize,
    /// How long it is measured.
    pub length: Duration,
}

/// How it went.
#[derive(Clone, Debug, Serialize)]
pub struct IngestReport {
    /// How many published.
    pub publishers: usize,
    /// Packets that they sent a second.
    pub packets_per_second: f64,
    /// CPU time of the server's process for each, in ns, decryption included.
    pub server_ns_per_packet: f64,
    /// Cores that the server was busy on.
    pub server_cores: f64,
    /// Datagrams that found no room in a receive buffer: lost.
    pub dropped: u64,
    /// Why these figures are not the server's alone.
    pub doubts: Vec<String>,
}

/// Runs inside a [`LocalSet`](tokio::task::LocalSet) of a current-thread runtime.
///
/// # Errors
/// A session that is refused or ends, or a system that does not give what is needed.
pub async fn ingest(options: &IngestOptions) -> Result<IngestReport, BenchError> {
    let (pid, own) = (options.target.pid, std::process::id());
    options.cores.take(pid)?;
    let mut on_air = Vec::new();
    for at in 0..options.publishers {
        on_air.push(OnAir::start(&options.target, &format!("bench-{own}-{at}"), options.stream).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let sum = |look: fn(&OnAir) -> u64| on_air.iter().map(look).sum::<u64>();
    let packets = || sum(|each| each.sent.packets.get());
    let frames = || [sum(|each| each.sent.frames.get()), sum(|each| each.sent.late_frames.get())];
    let (began, sent_before, frames_before) = (Instant::now(), packets(), frames());
    let (server, load, dropped) = (cpu_time(pid)?, cpu_time(own)?, datagrams_dropped());
    tokio::time::sleep(options.length).await;
    let elapsed = began.elapsed();
    let (server, load) = (cpu_time(pid)?.since(server), cpu_time(own)?.since(load));
    let (sent, dropped) = (packets() - sent_before, datagrams_dropped() - dropped);
    let late = [frames()[0] - frames_before[0], frames()[1] - frames_before[1]];
    let is_lost = on_air.iter().any(|each| each.sent.is_over.get());
    for each in on_air {
        each.stop().await;
    }
    if is_lost {
        return Err(BenchError::Ended);
    }
    Ok(IngestReport {
        publishers: options.publishers,
        packets_per_second: sent as f64 / elapsed.as_secs_f64(),
        server_ns_per_packet: server.ran as f64 / sent.max(1) as f64,
        server_cores: server.ran as f64 / elapsed.as_nanos() as f64,
        dropped,
        doubts: doubts(load, elapsed, late),
    })
}

fn doubts(load: CpuTime, elapsed: Duration, frames: [u64; 2]) -> Vec<String> {
    let share = |ns: u64| ns as f64 / elapsed.as_nanos() as f64;
    let mut doubts = Vec::new();
    if share(load.ran) > 0.92 {
        doubts.push(format!("the load was busy {:.0} % of the time", share(load.ran) * 100.0));
    }
    if share(load.waited) > 0.05 {
        doubts.push(format!("the load waited {:.0} % of the time for its core", share(load.waited) * 100.0));
    }
    if frames[1] * 50 > frames[0] {
        doubts.push(format!("{} of {} published frames left late", frames[1], frames[0]));
    }
    doubts
}
