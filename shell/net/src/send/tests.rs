//! The sender against a scripted kernel: every refusal, at every place, without a network.

use super::*;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Takes messages as its script says, and everything once the script is over.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    segmentation_works: bool,
    /// Datagrams longer than that are refused unless fragments are allowed; 0 stands for any.
    path_mtu: usize,
    fragments_allowed: bool,
    calls: usize,
    waits: u32,
    arrived: Vec<(SocketAddr, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Answer {
    Take(usize),
    Refuse(Refusal),
}
use Answer::{Refuse, Take};

impl Transport for &mut Script {
    fn send(&mut self, arena: &[u8], messages: &[Run]) -> Result<usize, Refusal> {
        self.calls += 1;
        assert!(!messages.is_empty());
        let taken = match self.answers.pop_front().unwrap_or(Take(usize::MAX)) {
            Take(count) => count.min(messages.len()),
            Refuse(refusal) => return Err(refusal),
        };
        for (index, message) in messages[..taken].iter().enumerate() {
            if message.len > message.segment && !self.segmentation_works {
                return if index == 0 { Err(Refusal::Segmentation) } else { Ok(index) };
            }
            let is_too_long = self.path_mtu > 0 && message.segment.min(message.len) > self.path_mtu;
            if is_too_long && !self.fragments_allowed {
                return if index == 0 { Err(Refusal::TooLong) } else { Ok(index) };
            }
            assert!(
                message.len <= MESSAGE_BYTES_MAX && message.len.div_ceil(message.segment) <= SEGMENTS_MAX
            );
            let bytes = &arena[message.start..][..message.len];
            self.arrived.extend(
                bytes.chunks(message.segment).map(|datagram| (message.to.address, datagram.to_vec())),
            );
        }
        Ok(taken)
    }

    fn wait_writable(&mut self) {
        self.waits += 1;
    }

    fn allow_fragments(&mut self, allowed: bool) {
        self.fragments_allowed = allowed;
    }
}

fn viewer(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 10_000 + n))
}

/// An arena of distinct bytes and one run for each (viewer, length, segment), one after another.
fn frame(parts: &[(u16, usize, usize)]) -> (Vec<u8>, Vec<Run>) {
    let mut runs = Vec::new();
    let mut start = 0;
    for &(to, len, segment) in parts {
        runs.push(Run { to: viewer(to).into(), start, len, segment });
        start += len;
    }
    ((0..start).map(|n| (n % 251) as u8).collect(), runs)
}

/// The datagrams of the runs, in order.
fn expected(arena: &[u8], runs: &[Run]) -> Vec<(SocketAddr, Vec<u8>)> {
    let datagrams = |run: &Run| {
        let to = run.to.address;
        arena[run.start..][..run.len].chunks(run.segment).map(move |d| (to, d.to_vec())).collect::<Vec<_>>()
    };
    runs.iter().flat_map(datagrams).collect()
}

fn sender<'a>(script: &'a mut Script, counters: &Arc<NetCounters>) -> Sender<&'a mut Script> {
    Sender::new(script, Arc::clone(counters), EgressOptions { segmentation: true, batch: 32 })
}

const FRAME: [(u16, usize, usize); 3] = [(1, 11_000, 1200), (2, 1000, 1000), (3, 200_000, 1200)];

#[test]
fn every_run_arrives_whole_and_in_order_with_and_without_segmentation() {
    let (arena, runs) = frame(&FRAME);
    for segmentation_works in [true, false] {
        let mut script = Script { segmentation_works, ..Script::default() };
        let counters = Arc::default();
        sender(&mut script, &counters).send(&arena, &runs);
        assert_eq!(script.arrived, expected(&arena, &runs));
        assert_eq!(counters.value(NetCounter::Sent), script.arrived.len() as u64);
        let refused = if segmentation_works { 0 } else { 2 };
        assert_eq!(counters.value(NetCounter::SegmentationRefused), refused);
    }
}

#[test]
fn long_runs_are_cut_to_what_one_message_may_hold() {
    // 64 segments, then as many as fit into 64 KiB, then one.
    for segment in [100, 1200, 40_000, 65_000] {
        let (arena, runs) = frame(&[(1, segment * 150 + 1, segment)]);
        let mut script = Script { segmentation_works: true, ..Script::default() };
        sender(&mut script, &Arc::default()).send(&arena, &runs);
        assert_eq!(script.arrived, expected(&arena, &runs));
    }
}

#[test]
fn many_viewers_share_a_call() {
    let parts: Vec<_> = (0..64).map(|n| (n, 10_800, 1200)).collect();
    let (arena, runs) = frame(&parts);
    let mut script = Script { segmentation_works: true, ..Script::default() };
    sender(&mut script, &Arc::default()).send(&arena, &runs);
    assert_eq!(script.calls, 2);
}

#[test]
fn a_kernel_that_takes_a_few_at_a_time_gets_the_rest_later() {
    let (arena, runs) = frame(&FRAME);
    let answers = VecDeque::from(vec![Take(1); 100]);
    let mut script = Script { segmentation_works: true, answers, ..Script::default() };
    sender(&mut script, &Arc::default()).send(&arena, &runs);
    assert_eq!(script.arrived, expected(&arena, &runs));
}

#[test]
fn a_full_buffer_is_waited_for_and_nothing_is_out_of_order() {
    let (arena, runs) = frame(&FRAME);
    let answers = VecDeque::from([Take(1), Refuse(Refusal::Full), Take(2), Refuse(Refusal::Full)]);
    let mut script = Script { segmentation_works: true, answers, ..Script::default() };
    let counters = Arc::default();
    sender(&mut script, &counters).send(&arena, &runs);
    assert_eq!(script.arrived, expected(&arena, &runs));
    assert_eq!(counters.value(NetCounter::SendWaits), 2);
    assert_eq!(script.waits, 2);
}

#[test]
fn a_card_that_is_stuck_costs_a_few_waits_and_then_runs() {
    let (arena, runs) = frame(&[(1, 5000, 1000), (2, 5000, 1000), (3, 5000, 1000)]);
    let mut script = Script { segmentation_works: true, ..Script::default() };
    script.answers = vec![Refuse(Refusal::Full); IDLE_WAITS_MAX as usize + 2].into();
    let counters = Arc::default();
    let mut sender = sender(&mut script, &counters);
    sender.send(&arena, &runs);
    assert_eq!(
        std::mem::take(&mut sender.starved),
        [viewer(1).into(), viewer(2).into()],
        "whose pictures stop"
    );
    assert_eq!(script.waits, IDLE_WAITS_MAX);
    assert_eq!(counters.value(NetCounter::SendDropFull), 10);
    assert_eq!(script.arrived, expected(&arena, &runs[2..]));
}

#[test]
fn a_card_that_is_slow_is_waited_for_as_long_as_a_pass_may_take() {
    let (arena, runs) = frame(&[(1, 100_000, 1000), (2, 100_000, 1000)]);
    let slow = || [Refuse(Refusal::Full), Take(1)].repeat(100).into();
    let counters = Arc::default();
    let mut script = Script { segmentation_works: true, ..Script::default() };
    let mut sender = sender(&mut script, &counters);
    for pass in 1..=2 {
        sender.patience = Patience::FULL;
        for _ in 0..30 {
            sender.transport.answers = slow();
            sender.send(&arena, &runs);
        }
        assert_eq!(sender.transport.waits, pass * WAITS_MAX, "however often a pass sends");
    }
    assert!(counters.value(NetCounter::SendDropFull) > 0);
}

#[test]
fn the_rest_of_a_run_is_dropped_not_its_beginning_repeated() {
    let (arena, runs) = frame(&[(1, 1200 * 130, 1200), (2, 1200, 1200)]);
    let mut answers = VecDeque::from([Take(1)]);
    answers.extend(vec![Refuse(Refusal::Full); IDLE_WAITS_MAX as usize + 1]);
    let mut script = Script { segmentation_works: true, answers, ..Script::default() };
    let counters = Arc::default();
    sender(&mut script, &counters).send(&arena, &runs);
    let per_message = MESSAGE_BYTES_MAX / 1200;
    assert_eq!(script.arrived.len(), per_message + 1);
    assert_eq!(script.arrived[..per_message], expected(&arena, &runs)[..per_message]);
    assert_eq!(script.arrived[per_message].0, viewer(2));
    assert_eq!(counters.value(NetCounter::SendDropFull), 130 - per_message as u64);
}

#[test]
fn an_unreachable_viewer_loses_its_own_run_only() {
    for (refusal, counter) in [
        (Refusal::Unreachable, NetCounter::SendDropUnreachable),
        (Refusal::Other, NetCounter::SendDropRefused),
    ] {
        let (arena, runs) = frame(&[(1, 2400, 1200), (2, 3600, 1200), (3, 2400, 1200)]);
        let answers = VecDeque::from([Take(1), Refuse(refusal)]);
        let mut script = Script { segmentation_works: true, answers, ..Script::default() };
        let counters = Arc::default();
        sender(&mut script, &counters).send(&arena, &runs);
        assert_eq!(script.arrived, expected(&arena, &[runs[0], runs[2]]));
        assert_eq!(counters.value(counter), 3);
    }
}

#[test]
fn one_path_that_cannot_segment_leaves_the_others_alone() {
    let (arena, runs) = frame(&[(1, 6000, 1200), (2, 6000, 1200), (3, 6000, 1200)]);
    let counters = Arc::default();
    let mut script = Script { segmentation_works: true, ..Script::default() };
    let mut sender = sender(&mut script, &counters);
    for _ in 0..100 {
        sender.transport.answers = VecDeque::from([Take(1), Refuse(Refusal::Segmentation), Take(5)]);
        sender.send(&arena, &runs);
    }
    assert_eq!(sender.segmentation, Segmentation::On { refusals: 0 });
    assert_eq!(counters.value(NetCounter::SegmentationRefused), 100);
    let once = expected(&arena, &runs);
    assert!(script.arrived.len() == 1500 && script.arrived.chunks(15).all(|frame| frame == once));
}

#[test]
fn segmentation_that_never_works_is_given_up_and_tried_again_much_later() {
    let (arena, runs) = frame(&[(1, 6000, 1200)]);
    let counters = Arc::default();
    let mut script = Script::default();
    let mut sender = sender(&mut script, &counters);
    for _ in 0..REFUSALS_MAX {
        sender.send(&arena, &runs);
    }
    assert!(matches!(sender.segmentation, Segmentation::Paused { .. }));
    let calls = sender.transport.calls;
    sender.send(&arena, &runs);
    assert_eq!(sender.transport.calls, calls + 1, "no more attempts, one call for the five datagrams");

    sender.transport.segmentation_works = true;
    for _ in 0..PLAIN_RUNS {
        sender.send(&arena, &runs);
    }
    assert!(matches!(sender.segmentation, Segmentation::On { .. }));
    assert_eq!(counters.value(NetCounter::SegmentationRefused), REFUSALS_MAX.into());
}

#[test]
fn a_path_too_narrow_gets_fragments_and_the_next_run_none() {
    let (arena, runs) = frame(&[(1, 2000, 1000), (2, 3 * 1400, 1400), (3, 1300, 1300), (4, 2000, 1000)]);
    // Older kernels call the same thing a refused segmentation.
    for first_answer in [Refusal::TooLong, Refusal::Segmentation] {
        let mut script = Script { segmentation_works: true, path_mtu: 1200, ..Script::default() };
        script.answers = VecDeque::from([Take(1), Refuse(first_answer)]);
        let counters = Arc::default();
        let mut sender = sender(&mut script, &counters);
        sender.send(&arena, &runs);
        assert_eq!(sender.segmentation, Segmentation::On { refusals: 0 });
        assert!(!script.fragments_allowed);
        assert_eq!(script.arrived, expected(&arena, &runs));
        assert_eq!(counters.value(NetCounter::Fragmented), 2);
        assert_eq!(counters.value(NetCounter::SegmentationRefused), 0);
    }
}

#[test]
fn a_datagram_that_not_even_fragments_can_carry_is_dropped_alone() {
    let (arena, runs) = frame(&[(1, 70_000, 70_000), (2, 2400, 1200)]);
    let answers = VecDeque::from([Refuse(Refusal::TooLong), Refuse(Refusal::TooLong)]);
    let mut script = Script { segmentation_works: true, answers, ..Script::default() };
    let counters = Arc::default();
    let mut sender = sender(&mut script, &counters);
    sender.send(&arena, &runs);
    assert_eq!(sender.segmentation, Segmentation::On { refusals: 0 });
    assert!(!script.fragments_allowed);
    assert_eq!(script.arrived, expected(&arena, &runs[1..]));
    assert_eq!(counters.value(NetCounter::SendDropRefused), 1);
}

#[test]
fn a_run_outside_its_arena_is_counted_and_hurts_nobody() {
    let (arena, good) = frame(&[(1, 2400, 1200), (2, 2400, 1200)]);
    let bad = [
        Run { start: arena.len(), ..good[0] },
        Run { start: usize::MAX, ..good[0] },
        Run { segment: 0, ..good[0] },
        Run { len: 0, ..good[0] },
    ];
    let mut runs = vec![good[0]];
    runs.extend(bad);
    runs.push(good[1]);
    let mut script = Script { segmentation_works: true, ..Script::default() };
    let counters = Arc::default();
    sender(&mut script, &counters).send(&arena, &runs);
    assert_eq!(script.arrived, expected(&arena, &good));
    assert!(counters.value(NetCounter::SendDropRefused) >= 3);
}
