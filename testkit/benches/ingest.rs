//! What a packet costs on its way in, from the datagram to the stream that nobody watches, against opening it alone.
//!
//! `cargo bench -p wtn-testkit --bench ingest`. Real publishers' frames (str0m) go into a real shard, a frame of each
//! publisher in turn; the bare limit opens as many packets of the same size. CPU time of this thread; medians.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use wtn_testkit::Discarded;
use wtn_testkit::hot::{DATAGRAM_LEN, FRAME_PACKETS, HotStream};

const ROUNDS: usize = 301;

#[allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]
fn main() {
    let mut stream = HotStream::new(0);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key of 256 bits"));
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let mut sealed = vec![1; DATAGRAM_LEN];
    let tag = key
        .seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed[..DATAGRAM_LEN - 16])
        .expect("room");
    sealed[DATAGRAM_LEN - 16..].copy_from_slice(tag.as_ref());
    let (mut floor, mut shard) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut frame = stream.frame();
        let began = cpu_ns();
        stream.pass(&mut frame, &mut Discarded::default());
        shard.push((cpu_ns() - began) / FRAME_PACKETS as u64);
        let mut copies = vec![sealed.clone(); FRAME_PACKETS];
        let began = cpu_ns();
        for copy in &mut copies {
            black_box(key.open_in_place(nonce(), Aad::empty(), copy).expect("what was sealed"));
        }
        floor.push((cpu_ns() - began) / FRAME_PACKETS as u64);
    }
    let (floor, shard) = (median(floor), median(shard));
    println!(
        "ns per packet of {DATAGRAM_LEN} bytes, median of {ROUNDS} frames of {FRAME_PACKETS}, no socket, nobody watches"
    );
    println!("{:>8} {:>8} {:>12}", "opening", "shard", "on top of it");
    println!("{floor:>8} {shard:>8} {:>12}", shard.saturating_sub(floor));
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
