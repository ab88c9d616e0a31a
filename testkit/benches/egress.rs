//! What a shard costs per packet and viewer without its socket, against sealing alone, in one run.
//!
//! `cargo bench -p wtn-testkit --bench egress`. A real publisher's datagrams go into a real shard with real viewers
//! (str0m at both far ends, by the simulated network); one pass takes a frame of nine packets, decrypts it, decides
//! for every viewer, writes its headers, seals, and lays the runs out. The bare limit seals as many packets of the
//! same size with as many keys. Both count CPU time of this thread, round by round in turn; the medians are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use wtn_testkit::{Delivery, Endpoint, Link, Script, Show, ms, secs};

const ROUNDS: usize = 61;
const FRAME_PACKETS: usize = 9;
/// With header, MID and tag, a datagram of 1200 bytes.
const PAYLOAD_LEN: usize = 1164;
const HEADER_LEN: usize = 20;
const TAG_LEN: usize = 16;

fn main() {
    println!(
        "ns per packet and viewer, median of {ROUNDS} frames of {FRAME_PACKETS} x {PAYLOAD_LEN} bytes, no socket"
    );
    println!("{:>8} {:>8} {:>8} {:>6} {:>18}", "viewers", "sealing", "shard", "ratio", "datagrams per run");
    for viewers in [10, 100, 400] {
        measure(viewers);
    }
}

fn measure(viewers: usize) {
    let (mut show, camera) = show(viewers);
    let mut bare = Bare::new(viewers);
    let (mut floor, mut shard) = (Vec::new(), Vec::new());
    let mut per_run = 0.0;
    for _ in 0..ROUNDS {
        let mut frame = frame(&mut show, camera);
        let now = show.world.now();
        let began = cpu_ns();
        let sent = show.server.pass_discarding(now, &mut frame);
        shard.push((cpu_ns() - began) / sent.datagrams as u64);
        assert_eq!(sent.datagrams, viewers * FRAME_PACKETS, "every packet to every viewer");
        per_run = sent.datagrams as f64 / sent.runs as f64;
        let began = cpu_ns();
        bare.frame();
        floor.push((cpu_ns() - began) / (viewers * FRAME_PACKETS) as u64);
    }
    let (floor, shard) = (median(floor), median(shard));
    let ratio = shard as f64 / floor as f64;
    println!("{viewers:>8} {floor:>8} {shard:>8} {ratio:>6.2} {per_run:>18.1}");
}

/// A publisher and that many viewers, all connected and at the live edge.
fn show(viewers: usize) -> (Show, usize) {
    let script = Script {
        audio: false,
        keyframe_every: 0,
        key_packets: FRAME_PACKETS as u16,
        delta_packets: FRAME_PACKETS as u16,
        payload_len: PAYLOAD_LEN,
        ..Script::CAMERA
    };
    let mut show = Show::new(1, 1);
    let camera = show.publish("live", script);
    show.run(ms(500));
    for _ in 0..viewers {
        show.watch("live", Link::PERFECT);
    }
    show.run(secs(4));
    (show, camera)
}

/// The datagrams of the publisher's next frame.
fn frame(show: &mut Show, camera: usize) -> Vec<Delivery> {
    let (to, destination) = (show.server.id(), show.server.address());
    let source = show.world.network.outside(show.publisher_id(camera));
    loop {
        let next = show.publisher(camera).next_timeout().expect("it goes on");
        show.world.advance_to(next);
        show.publisher(camera).handle_timeout(next);
        let publisher = show.publisher(camera);
        let sent: Vec<_> = std::iter::from_fn(|| publisher.poll_transmit()).map(|(_, bytes)| bytes).collect();
        let (media, rest): (Vec<_>, Vec<_>) = sent.into_iter().partition(|bytes| bytes.len() > PAYLOAD_LEN);
        let deliver = |bytes| Delivery { to, source, destination, bytes };
        // Its reports and checks, outside of what is measured.
        let now = show.world.now();
        show.server.pass_discarding(now, &mut rest.into_iter().map(deliver).collect::<Vec<_>>());
        if media.len() == FRAME_PACKETS {
            return media.into_iter().map(deliver).collect();
        }
    }
}

/// Sealing alone: the shared payload into each viewer's slot.
struct Bare {
    keys: Vec<LessSafeKey>,
    payloads: Vec<Vec<u8>>,
    slots: Vec<u8>,
    count: u64,
}

impl Bare {
    fn new(viewers: usize) -> Self {
        let key = |at: usize| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&at.to_le_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).unwrap())
        };
        Self {
            keys: (0..viewers).map(key).collect(),
            payloads: vec![vec![1; PAYLOAD_LEN]; FRAME_PACKETS],
            slots: vec![0; (HEADER_LEN + PAYLOAD_LEN + TAG_LEN) * FRAME_PACKETS],
            count: 0,
        }
    }

    fn frame(&mut self) {
        for key in &self.keys {
            let slots = self.slots.chunks_mut(HEADER_LEN + PAYLOAD_LEN + TAG_LEN);
            for (payload, slot) in self.payloads.iter().zip(slots) {
                self.count += 1;
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&self.count.to_be_bytes());
                let (header, body) = slot.split_at_mut(HEADER_LEN);
                let (body, tag) = body.split_at_mut(PAYLOAD_LEN);
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_out_of_place_scatter(nonce, Aad::from(&*header), payload, body, &[], tag).unwrap();
            }
            black_box(&mut self.slots);
        }
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
