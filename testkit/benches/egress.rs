//! What a shard costs per packet and viewer without its socket, against sealing alone, in one run.
//!
//! `cargo bench -p wtn-testkit --bench egress`. A real publisher's datagrams go into a real shard with real viewers
//! (str0m at both far ends, by the simulated network); one pass takes a frame of nine packets, decrypts it, decides
//! for every viewer, writes its headers, seals, and lays the runs out. The bare limit seals as many packets of the
//! same size with as many keys. Both count CPU time of this thread, round by round in turn; the medians are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

#[path = "bare/mod.rs"]
mod bare;

use bare::Bare;
use rustix::time::{ClockId, clock_gettime};
use wtn_testkit::{Delivery, Endpoint, Link, Script, Show, ms, secs};

const ROUNDS: usize = 61;
const FRAME_PACKETS: usize = 9;
/// With header, MID and tag, a datagram of 1200 bytes.
const PAYLOAD_LEN: usize = 1164;

/// What a pass finds.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    /// The sizes of libwebrtc, a byte apart; otherwise all are equal.
    is_uneven: bool,
    /// A packet of sound among them.
    sound: bool,
}

const SCENES: [Scene; 3] = [
    Scene { name: "equal packets", is_uneven: false, sound: false },
    Scene { name: "a byte apart", is_uneven: true, sound: false },
    Scene { name: "a byte apart, with sound", is_uneven: true, sound: true },
];

fn main() {
    println!(
        "ns per packet and viewer, median of {ROUNDS} frames of {FRAME_PACKETS} x {PAYLOAD_LEN} bytes, no socket"
    );
    println!(
        "{:<26} {:>8} {:>8} {:>8} {:>6} {:>22}",
        "a frame of", "viewers", "sealing", "shard", "ratio", "datagrams per message"
    );
    for viewers in [10, 100, 400] {
        measure(SCENES[0], viewers);
    }
    measure(SCENES[1], 100);
    measure(SCENES[2], 100);
    println!("\nviewers of a stream that is silent, no socket");
    println!("{:>8} {:>24} {:>20}", "viewers", "us per viewer and hour", "wake-ups per second");
    for viewers in [100, 400, 1600] {
        idle(viewers);
    }
}

/// What time alone demands: reports, silence, probes.
fn idle(viewers: usize) {
    const SECONDS: u64 = 20;
    let (mut show, camera) = show(SCENES[0], viewers);
    show.publisher(camera).pause(true);
    show.run(secs(2));
    let (mut spent, mut wakes) = (0, 0);
    let until = show.world.now() + secs(SECONDS);
    while let Some(next) = show.server.next_timeout().filter(|next| *next < until) {
        show.world.advance_to(next);
        let began = cpu_ns();
        show.server.handle_timeout(next);
        spent += cpu_ns() - began;
        wakes += 1;
        while show.server.poll_transmit().is_some() {}
    }
    let per_hour = spent as f64 / 1000.0 / viewers as f64 / SECONDS as f64 * 3600.0;
    println!("{viewers:>8} {per_hour:>24.1} {:>20}", wakes / SECONDS);
}

fn measure(scene: Scene, viewers: usize) {
    let (mut show, camera) = show(scene, viewers);
    let mut bare = Bare::new(viewers, FRAME_PACKETS, PAYLOAD_LEN);
    let (mut floor, mut shard) = (Vec::new(), Vec::new());
    let mut per_run = 0.0;
    for _ in 0..ROUNDS {
        let mut frame = frame(&mut show, camera, scene);
        let (now, home) = (show.world.now(), show.server.shard_of(frame[0].source));
        // What time demands, outside of what is measured.
        show.server.pass_discarding(now, home, &mut []);
        let began = cpu_ns();
        let sent = show.server.pass_discarding(now, home, &mut frame);
        shard.push((cpu_ns() - began) / sent.datagrams as u64);
        assert_eq!(sent.datagrams, viewers * frame.len(), "every packet to every viewer");
        per_run = sent.datagrams as f64 / sent.runs as f64;
        let began = cpu_ns();
        bare.frame();
        floor.push((cpu_ns() - began) / (viewers * FRAME_PACKETS) as u64);
    }
    let (floor, shard) = (median(floor), median(shard));
    let ratio = shard as f64 / floor as f64;
    println!("{:<26} {viewers:>8} {floor:>8} {shard:>8} {ratio:>6.2} {per_run:>22.1}", scene.name);
}

/// A publisher and that many viewers, all connected and at the live edge.
fn show(scene: Scene, viewers: usize) -> (Show, usize) {
    let script = Script {
        audio: scene.sound,
        keyframe_every: 0,
        key_packets: FRAME_PACKETS as u16,
        delta_packets: FRAME_PACKETS as u16,
        payload_len: PAYLOAD_LEN,
        is_uneven: scene.is_uneven,
        ..Script::CAMERA
    };
    let mut show = Show::new(1, 1);
    let camera = show.publish("live", script);
    show.run(ms(500));
    for _ in 0..viewers {
        show.watch("live", Link::PERFECT);
        show.run(ms(3));
    }
    show.run(secs(4));
    (show, camera)
}

/// The publisher's next frame, and with sound a packet of that in its middle.
fn frame(show: &mut Show, camera: usize, scene: Scene) -> Vec<Delivery> {
    let is_picture = |delivery: &Delivery| delivery.bytes.len() > PAYLOAD_LEN;
    loop {
        let (mut frame, mut sound) = (Vec::new(), Vec::new());
        while frame.len() < FRAME_PACKETS || scene.sound && sound.is_empty() {
            let (picture, rest): (Vec<_>, Vec<_>) =
                show.next_packets(camera, 1).into_iter().partition(is_picture);
            if !picture.is_empty() {
                frame = picture;
            }
            sound.extend(rest);
        }
        let now = show.world.now();
        sound.truncate(1);
        frame.splice(FRAME_PACKETS / 2..FRAME_PACKETS / 2, sound);
        if frame.len() >= FRAME_PACKETS {
            return frame;
        }
        let home = show.server.shard_of(frame[0].source);
        show.server.pass_discarding(now, home, &mut frame);
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
