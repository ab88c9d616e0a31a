//! `wtn bench`: what a server costs, measured from outside.

use crate::cli::parse_time;
use crate::exit::{FAILED, Failure};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::LocalSet;
use wtn_bench::{
    BenchError, Cores, FanoutOptions, Floor, Handover, IngestOptions, JoinOptions, Stream, Target,
};

const EXAMPLES: &str = "\
Without --server a server of this very program is started for the run. Server and load are put on cores of their own;
the load is one thread and says so when it was itself short of CPU.

Examples:
  wtn bench floor
  wtn bench fanout --viewers 1,10,50,100,200,400 --for 10s --report fanout.html
  wtn bench fanout --server http://localhost:8080 --pid 4711 --key KEY --viewers 200
  wtn bench join --watching 200 --joins 2000
  wtn bench ingest --publishers 500
";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One stream and more and more viewers: CPU per packet against the bare limit, delay, loss, memory.
    Fanout(FanoutArgs),
    /// A crowd that comes at once: CPU and memory per join, and whether those who watch notice.
    Join(JoinArgs),
    /// Many publishers whom nobody watches: CPU per packet on its way in.
    Ingest(IngestArgs),
    /// The bare limit of this machine: sealing a packet, and handing it to the kernel.
    Floor(FloorArgs),
}

#[derive(Args, Debug)]
struct ServerArgs {
    /// The HTTP side of a running server; streams are at /whip/NAME and /whep/NAME under it.
    #[arg(long, value_name = "URL", requires = "pid")]
    server: Option<String>,
    /// Its process, whose CPU time is counted.
    #[arg(long, value_name = "PID", requires = "server")]
    pid: Option<u32>,
    /// The bearer token.
    #[arg(long, env = "WTN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Media threads of the server that is started.
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "server")]
    shards: u16,
    /// Let both run on any core.
    #[arg(long)]
    unpinned: bool,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
    /// Report figures too that may be the load's own, because it was short of CPU.
    #[arg(long)]
    anyway: bool,
}

#[derive(Args, Debug)]
struct FanoutArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Viewers, step by step.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "1,10,50,100,200")]
    viewers: Vec<usize>,
    /// How long each step is measured.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    length: Duration,
    /// Viewers whose packets are decrypted, compared and timed.
    #[arg(long, value_name = "N", default_value = "40")]
    sample: usize,
    /// A keyframe every so many frames, of which there are 30 a second; 0 for the first one alone.
    #[arg(long, value_name = "FRAMES", default_value = "60")]
    keyframe_every: u32,
    /// Receivers take single packets, so that the kernel cuts every run: what a network card without
    /// segmentation would make it do.
    #[arg(long)]
    kernel_cuts: bool,
    /// Do not measure the bare limit besides.
    #[arg(long)]
    no_floor: bool,
    /// Write a page with plots.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct JoinArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How many come.
    #[arg(long, value_name = "N", default_value = "2000")]
    joins: usize,
    /// How many of them are on the way at any time.
    #[arg(long, value_name = "N", default_value = "200")]
    at_once: usize,
    /// How many watch already.
    #[arg(long, value_name = "N", default_value = "100")]
    watching: usize,
}

#[derive(Args, Debug)]
struct IngestArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How many publish.
    #[arg(long, value_name = "N", default_value = "100")]
    publishers: usize,
    /// How long it is measured.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    length: Duration,
}

#[derive(Args, Debug)]
struct FloorArgs {
    /// Receivers.
    #[arg(long, value_name = "N", default_value = "200")]
    viewers: usize,
    /// How long each way is measured.
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    length: Duration,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    let _ = crate::serve::raise_descriptor_limit();
    // One thread, so that there is one number to compare with one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(FAILED, error))?;
    LocalSet::new().block_on(&runtime, async {
        match &args.what {
            What::Fanout(args) => fanout(args).await,
            What::Join(args) => {
                let server = Server::find(&args.server)?;
                let options = JoinOptions {
                    target: server.target.clone(),
                    cores: args.server.cores(),
                    stream: Stream::default(),
                    watching: args.watching,
                    joins: args.joins,
                    at_once: args.at_once,
                };
                let report = wtn_bench::join(&options).await.map_err(failed)?;
                args.server.tell(&report, &report.doubts)
            }
            What::Ingest(args) => {
                let server = Server::find(&args.server)?;
                let options = IngestOptions {
                    target: server.target.clone(),
                    cores: args.server.cores(),
                    stream: Stream::default(),
                    publishers: args.publishers,
                    length: args.length,
                };
                let report = wtn_bench::ingest(&options).await.map_err(failed)?;
                args.server.tell(&report, &report.doubts)
            }
            What::Floor(args) => floor(args).await,
        }
    })
}

async fn fanout(args: &FanoutArgs) -> Result<(), Failure> {
    let server = Server::find(&args.server)?;
    let keyframe_every = if args.keyframe_every == 0 { u32::MAX } else { args.keyframe_every };
    let options = FanoutOptions {
        target: server.target.clone(),
        cores: args.server.cores(),
        stream: Stream { keyframe_every, ..Stream::default() },
        viewers: args.viewers.clone(),
        length: args.length,
        floor_length: if args.no_floor { Duration::ZERO } else { args.length.min(Duration::from_secs(5)) },
        at_once: 16,
        sample: args.sample,
        gro: !args.kernel_cuts,
    };
    let mut report = wtn_bench::fanout(&options).await.map_err(failed)?;
    let withheld = if args.server.anyway { Vec::new() } else { report.withhold() };
    if let Some(file) = &args.report {
        std::fs::write(file, wtn_bench::html(&report))
            .map_err(|error| Failure::new(FAILED, format!("{}: {error}", file.display())))?;
    }
    tell(&report, args.server.json)?;
    refuse(&withheld)
}

/// The ways of the floor, by name.
#[derive(Serialize)]
struct Floors {
    viewers: usize,
    seal: Floor,
    seal_and_runs: Floor,
    seal_and_runs_cut_by_kernel: Floor,
    seal_and_single: Floor,
}

impl Display for Floors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "ns of one thread per packet of 1200 bytes, {} receivers that read", self.viewers)?;
        writeln!(f, "  sealed, AES-128-GCM                            {:>6.0}", self.seal.ns_per_packet)?;
        writeln!(
            f,
            "  and sent in runs (UDP_SEGMENT), taken as runs  {:>6.0}",
            self.seal_and_runs.ns_per_packet
        )?;
        let cut = self.seal_and_runs_cut_by_kernel.ns_per_packet;
        writeln!(f, "  and sent in runs, cut by the kernel            {cut:>6.0}")?;
        write!(
            f,
            "  and sent one by one                            {:>6.0}",
            self.seal_and_single.ns_per_packet
        )
    }
}

async fn floor(args: &FloorArgs) -> Result<(), Failure> {
    let cores = Cores::apart(1);
    cores.take(std::process::id()).map_err(|error| Failure::new(FAILED, error))?;
    let core = cores.server.first().copied();
    let measure =
        |handover, gro| wtn_bench::floor(Stream::default(), args.viewers, args.length, core, handover, gro);
    let floors = Floors {
        viewers: args.viewers,
        seal: measure(Handover::Nothing, true).await.map_err(failed)?,
        seal_and_runs: measure(Handover::Runs, true).await.map_err(failed)?,
        seal_and_runs_cut_by_kernel: measure(Handover::Runs, false).await.map_err(failed)?,
        seal_and_single: measure(Handover::Single, false).await.map_err(failed)?,
    };
    tell(&floors, args.json)
}

fn tell<T: Display + Serialize>(report: &T, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report).map_err(|error| Failure::new(FAILED, error))?;
        crate::exit::print(format_args!("{text}\n"));
    } else {
        crate::exit::print(format_args!("{report}\n"));
    }
    Ok(())
}

fn failed(error: BenchError) -> Failure {
    Failure::new(FAILED, error)
}

/// Figures that may be the load's own are not the server's.
fn refuse(doubts: &[String]) -> Result<(), Failure> {
    if doubts.is_empty() {
        return Ok(());
    }
    let text =
        format!("withheld, as the load was short of CPU (--anyway shows them):\n  {}", doubts.join("\n  "));
    Err(Failure::new(FAILED, text))
}

impl ServerArgs {
    fn tell<T: Display + Serialize>(&self, report: &T, doubts: &[String]) -> Result<(), Failure> {
        if self.anyway || doubts.is_empty() { tell(report, self.json) } else { refuse(doubts) }
    }

    fn cores(&self) -> Cores {
        if self.unpinned { Cores::default() } else { Cores::apart(self.shards.into()) }
    }
}

/// The server that is measured; one that was started for it ends with this value.
struct Server {
    target: Target,
    child: Option<Child>,
}

impl Server {
    fn find(args: &ServerArgs) -> Result<Self, Failure> {
        if let (Some(base), Some(pid)) = (&args.server, args.pid) {
            let target = Target { base: base.clone(), key: args.key.clone(), pid };
            return Ok(Self { target, child: None });
        }
        Self::start(args.shards).map_err(|error| Failure::new(FAILED, format!("no server: {error}")))
    }

    fn start(shards: u16) -> std::io::Result<Self> {
        let shards = shards.to_string();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--open", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"])
            .args(["--shards", &shards, "--log-format", "json"])
            // What is beyond the budgets is to be measured too.
            .args(["--set", "limits.cpu_percent=100"])
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child.id();
        let mut lines = BufReader::new(child.stderr.take().ok_or(std::io::ErrorKind::BrokenPipe)?);
        let mut server = Self { target: Target { base: String::new(), key: None, pid }, child: Some(child) };
        let mut line = String::new();
        while server.target.base.is_empty() {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(std::io::Error::other("it ended at once"));
            }
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(http) = event["http"].as_str() {
                server.target.base = format!("http://{http}");
            }
        }
        // It goes on talking, and must not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
