//! What a shard costs per packet and viewer without its socket, against sealing alone, in one run.
//!
//! `cargo bench -p wtn-testkit --bench egress`. A real publisher's datagrams go into a real shard with real viewers
//! (str0m at both far ends, by the simulated network); one pass takes a frame of nine packets, decrypts it, decides
//! for every viewer, writes its headers, seals, and lays the runs out. Both count CPU time of this thread, round by
//! round in turn; the medians are printed.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;
use wtn_testkit::Discarded;
use wtn_testkit::hot::{BareSealing, DATAGRAM_LEN, FRAME_PACKETS, HotStream, Scene};

const ROUNDS: usize = 61;

fn main() {
    println!(
        "ns per packet and viewer, median of {ROUNDS} frames of {FRAME_PACKETS} x {DATAGRAM_LEN} bytes, no socket"
    );
    println!(
        "{:<17} {:>8} {:>8} {:>8} {:>6} {:>22}",
        "a frame", "viewers", "sealing", "shard", "ratio", "datagrams per message"
    );
    for viewers in [10, 100, 400] {
        measure(viewers, Scene::Equal);
    }
    measure(100, Scene::Uneven);
    measure(100, Scene::UnevenWithSound);
    println!("\na stream that is silent, no socket");
    println!("{:>8} {:>24} {:>18}", "viewers", "us per viewer and hour", "passes per second");
    for viewers in [100, 400, 1600] {
        idle(viewers);
    }
}

/// What time alone demands: reports, silence, probes.
fn idle(viewers: usize) {
    const SECONDS: u64 = 20;
    let mut stream = HotStream::new(viewers);
    stream.pause();
    let mut spent = 0;
    let passes = stream.idle(Duration::from_secs(SECONDS), |pass| {
        let began = cpu_ns();
        pass();
        spent += cpu_ns() - began;
    });
    let per_hour = spent as f64 / 1000.0 / viewers as f64 / SECONDS as f64 * 3600.0;
    println!("{viewers:>8} {per_hour:>24.0} {:>18}", passes / SECONDS);
}

fn measure(viewers: usize, scene: Scene) {
    let mut stream = HotStream::with(viewers, scene);
    let mut bare = BareSealing::new(viewers);
    let (mut floor, mut shard) = (Vec::new(), Vec::new());
    let mut per_run = 0.0;
    for _ in 0..ROUNDS {
        let mut frame = stream.frame();
        let mut sent = Discarded::default();
        let began = cpu_ns();
        stream.pass(&mut frame, &mut sent);
        shard.push((cpu_ns() - began) / sent.datagrams as u64);
        assert_eq!(sent.datagrams, viewers * frame.len(), "every packet to every viewer");
        per_run = sent.datagrams as f64 / sent.runs as f64;
        let began = cpu_ns();
        bare.frame(|_, run| _ = black_box(run));
        floor.push((cpu_ns() - began) / (viewers * FRAME_PACKETS) as u64);
    }
    let (floor, shard) = (median(floor), median(shard));
    let ratio = shard as f64 / floor as f64;
    println!("{:<17} {viewers:>8} {floor:>8} {shard:>8} {ratio:>6.2} {per_run:>22.1}", format!("{scene:?}"));
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
