//! What a packet costs the allocator on its whole way through the server, from the first byte to the last viewer.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use wtn_testkit::{Link, Script, Show, ms, secs};

/// Packets that are measured: several seconds, keyframes and sender reports among them.
const PACKETS: usize = 1500;

/// Allocations that a packet may cost when it comes in, whoever watches: what all share of it, and what its publisher
/// is told now and then.
const PER_PACKET_IN: u64 = 4;

/// Buffers that may still grow once more among more viewers. One allocation for each viewer and second would be twenty
/// times as many, one for each packet and viewer five thousand times.
const GROWTHS: u64 = 8;

struct Cost {
    allocations: u64,
    packets: usize,
    datagrams: usize,
}

/// What the passes over a publisher's packets allocate with so many viewers on so many shards.
fn cost(shards: u16, viewers: usize) -> Cost {
    let script = Script { is_uneven: true, keyframe_every: 30, key_packets: 20, ..Script::CAMERA };
    let mut show = Show::new(77, shards);
    let camera = show.publish("live", script);
    show.run(ms(500));
    for _ in 0..viewers {
        show.watch("live", Link::PERFECT);
    }
    // Long enough for every buffer to have had its largest keyframe, and for every viewer to be at the live edge.
    show.run(secs(8));
    let homes: BTreeSet<_> = show.server.claims().into_iter().skip(1).collect();
    assert_eq!(
        homes.len(),
        usize::from(shards),
        "viewers live on all shards, each of which keeps what all share"
    );
    let mut cost = Cost { allocations: 0, packets: 0, datagrams: 0 };
    while cost.packets < PACKETS {
        let mut arrived = show.next_packets(camera, 1);
        let (now, home) = (show.world.now(), show.server.shard_of(arrived[0].source));
        cost.packets += arrived.len();
        let used = allocation_counter::measure(|| {
            cost.datagrams += show.server.pass_discarding(now, home, &mut arrived).datagrams;
        });
        cost.allocations += used.count_total;
    }
    cost
}

#[test]
fn forwarding_allocates_nothing_for_a_viewer() {
    for shards in [1, 3] {
        let (few, many) = (cost(shards, 24), cost(shards, 58));
        assert!(
            many.datagrams > 30 * many.packets,
            "{} datagrams of {} packets",
            many.datagrams,
            many.packets
        );
        assert!(
            many.allocations <= few.allocations + GROWTHS,
            "on {shards} shards {} allocations for 24 viewers, {} for 58",
            few.allocations,
            many.allocations
        );
        let limit = PER_PACKET_IN * many.packets as u64;
        assert!(many.allocations <= limit, "{} for {} packets", many.allocations, many.packets);
    }
}
