//! What `tools/instructions` counts under valgrind: passes of a shard, and as much sealing without one.
//!
//! Instructions are the same on every run and every machine, so a path that grows by a twentieth is seen, which no
//! clock on a shared machine sees. The cipher is left out of the verdict: valgrind knows other ciphers than the
//! processor (no AVX-512), and it is not ours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

#[path = "bare/mod.rs"]
mod bare;

use bare::Bare;
use std::hint::black_box;
use std::time::Instant;
use wtn_testkit::{Delivery, Link, Script, Server, Show, ms, secs};

const VIEWERS: usize = 40;
const FRAMES: usize = 20;
const FRAME_PACKETS: usize = 9;
const PAYLOAD_LEN: usize = 1164;

fn main() {
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
    for _ in 0..VIEWERS {
        show.watch("live", Link::PERFECT);
    }
    show.run(secs(3));
    let mut bare = Bare::new(VIEWERS, FRAME_PACKETS, PAYLOAD_LEN);
    let mut datagrams = 0;
    for _ in 0..FRAMES {
        let mut frame = show.next_packets(camera, FRAME_PACKETS);
        let (now, home) = (show.world.now(), show.server.shard_of(frame[0].source));
        show.server.pass_discarding(now, home, &mut []);
        datagrams += counted_pass(&mut show.server, now, home, &mut frame);
        counted_sealing(&mut bare);
    }
    assert_eq!(datagrams, FRAMES * FRAME_PACKETS * VIEWERS, "every packet to every viewer");
    println!("packets {datagrams}");
}

/// One pass over a frame. Found by its name, as is the next.
#[inline(never)]
fn counted_pass(server: &mut Server, now: Instant, home: usize, frame: &mut [Delivery]) -> usize {
    black_box(server.pass_discarding(now, home, frame)).datagrams
}

/// As many packets sealed with nothing around it.
#[inline(never)]
fn counted_sealing(bare: &mut Bare) {
    bare.frame();
    black_box(bare);
}
