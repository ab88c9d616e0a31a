//! What `tools/instructions` counts under valgrind: passes of a shard, and as much sealing without one.
//!
//! Instructions are the same on every run and every machine, so a path that grows by a twentieth is seen, which no
//! clock on a shared machine sees. The cipher is left out of the verdict: valgrind knows other ciphers than the
//! processor (no AVX-512), and it is not ours.

use std::hint::black_box;
use wtn_testkit::hot::{BareSealing, FRAME_PACKETS, HotStream};
use wtn_testkit::{Delivery, Discarded};

const VIEWERS: usize = 40;
const FRAMES: usize = 20;

fn main() {
    let mut stream = HotStream::new(VIEWERS);
    let mut bare = BareSealing::new(VIEWERS);
    let mut datagrams = 0;
    for _ in 0..FRAMES {
        let mut frame = stream.frame();
        datagrams += counted_pass(&mut stream, &mut frame);
        counted_sealing(&mut bare);
    }
    assert_eq!(datagrams, FRAMES * FRAME_PACKETS * VIEWERS, "every packet to every viewer");
    println!("packets {datagrams}");
}

/// One pass over a frame. Found by its name, as is the next.
#[inline(never)]
fn counted_pass(stream: &mut HotStream, frame: &mut [Delivery]) -> usize {
    let mut sent = Discarded::default();
    stream.pass(frame, &mut sent);
    black_box(sent).datagrams
}

/// As many packets sealed with nothing around it.
#[inline(never)]
fn counted_sealing(bare: &mut BareSealing) {
    bare.frame(|_, run| _ = black_box(run));
}
