//! What a shard costs per packet and viewer without its socket, against sealing alone, in one run.
//!
//! `cargo bench -p wtn-testkit --bench egress`. A real publisher's datagrams go into a real shard with real viewers
//! (str0m at both far ends, by the simulated network); one pass takes a frame of nine packets, decrypts it, decides
//! for every viewer, writes its headers, seals, and lays the runs out. Both count CPU time of this thread, round by
//! round in turn; the medians are printed.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use wtn_testkit::Discarded;
use wtn_testkit::hot::{BareSealing, DATAGRAM_LEN, FRAME_PACKETS, HotStream};

const ROUNDS: usize = 61;

fn main() {
    println!(
        "ns per packet and viewer, median of {ROUNDS} frames of {FRAME_PACKETS} x {DATAGRAM_LEN} bytes, no socket"
    );
    println!("{:>8} {:>8} {:>8} {:>6} {:>18}", "viewers", "sealing", "shard", "ratio", "datagrams per run");
    for viewers in [10, 100, 400] {
        measure(viewers);
    }
}

fn measure(viewers: usize) {
    let mut stream = HotStream::new(viewers);
    let mut bare = BareSealing::new(viewers);
    let (mut floor, mut shard) = (Vec::new(), Vec::new());
    let mut per_run = 0.0;
    for _ in 0..ROUNDS {
        let mut frame = stream.frame();
        let mut sent = Discarded::default();
        let began = cpu_ns();
        stream.pass(&mut frame, &mut sent);
        shard.push((cpu_ns() - began) / sent.datagrams as u64);
        assert_eq!(sent.datagrams, viewers * FRAME_PACKETS, "every packet to every viewer");
        per_run = sent.datagrams as f64 / sent.runs as f64;
        let began = cpu_ns();
        bare.frame(|_, run| _ = black_box(run));
        floor.push((cpu_ns() - began) / (viewers * FRAME_PACKETS) as u64);
    }
    let (floor, shard) = (median(floor), median(shard));
    let ratio = shard as f64 / floor as f64;
    println!("{viewers:>8} {floor:>8} {shard:>8} {ratio:>6.2} {per_run:>18.1}");
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
