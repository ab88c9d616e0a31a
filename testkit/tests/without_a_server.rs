//! A publisher and a viewer, both str0m, straight across the simulated network: the tools themselves hold.

use std::net::SocketAddr;
use std::time::Duration;
use wtn_media::{Codec, MediaKind};
use wtn_testkit::{Endpoint, Link, Publisher, Script, Trace, Viewer, World, ms, secs};

const PUBLISHER: &str = "10.0.0.1:5000";
const VIEWER: &str = "10.0.0.2:5000";

/// A publisher that offers straight to a viewer.
struct Pair {
    world: World,
    publisher: Publisher,
    viewer: Viewer,
}

impl Pair {
    #[allow(clippy::unwrap_used, reason = "a test's own addresses and descriptions")]
    fn new(seed: u64, script: Script, up: Link, down: Link) -> Self {
        let mut world = World::new(seed);
        let (from, to): (SocketAddr, SocketAddr) = (PUBLISHER.parse().unwrap(), VIEWER.parse().unwrap());
        let (a, b) = (world.network.attach(from), world.network.attach(to));
        world.network.set_links(a, up, down);
        let now = world.now();
        let mut publisher = Publisher::new(now, a, from, 1, script);
        let mut viewer = Viewer::new(now, b, to, &[script.video], script.audio);
        let answer = viewer.answer(now, &publisher.offer()).unwrap();
        publisher.accept_answer(now, &answer).unwrap();
        Self { world, publisher, viewer }
    }

    fn run(&mut self, duration: Duration) {
        self.world.run(duration, &mut [&mut self.publisher, &mut self.viewer]);
    }

    /// Two seconds later, every frame sent until now is there. The show goes on meanwhile: a loss is noticed by
    /// what follows.
    fn expect_every_frame(&mut self) {
        let owed = self.publisher.sent(MediaKind::Video).clone();
        self.run(secs(2));
        assert_eq!(self.viewer.lacks(MediaKind::Video, &owed), []);
        for kind in MediaKind::ALL {
            assert_eq!(self.viewer.reception(kind).corrupt(), 0, "{kind}");
        }
    }
}

#[test]
fn every_frame_arrives_over_a_perfect_network() {
    for video in [Codec::H264, Codec::Vp8] {
        let mut pair = Pair::new(1, Script { video, ..Script::CAMERA }, Link::PERFECT, Link::PERFECT);
        pair.run(secs(5));
        pair.expect_every_frame();
        let reception = pair.viewer.reception(MediaKind::Video);
        assert!(reception.frames().count() > 140);
        assert!(reception.freeze_longest(pair.world.now()) < ms(50));
        assert_eq!(reception.missing(), 0);
        assert!(pair.viewer.reception(MediaKind::Audio).frames().count() > 240);
        assert_eq!((pair.viewer.keyframes_asked(), pair.publisher.keyframes_asked()), (0, 0));
    }
}

#[test]
fn losses_are_repaired_by_nack_whatever_the_seed() {
    let bad = Link::PERFECT.delay(ms(20)).jitter(ms(5)).loss_percent(5.0);
    for seed in 0..20 {
        let mut pair = Pair::new(seed, Script::LIGHT, bad, bad);
        pair.run(secs(8));
        pair.expect_every_frame();
        assert!(pair.world.network.tally().lost > 40, "seed {seed}");
        let reception = pair.viewer.reception(MediaKind::Video);
        assert_eq!(reception.frames().next().map(|frame| frame.id.frame), Some(0), "seed {seed}");
    }
}

#[test]
fn numbers_wrap_without_notice() {
    let script = Script { first_seq: Some(65_500), ..Script::CAMERA };
    let mut pair = Pair::new(3, script, Link::PERFECT, Link::PERFECT);
    pair.run(secs(3));
    pair.expect_every_frame();
}

#[test]
fn a_stuck_viewer_asks_and_the_publisher_answers_with_a_keyframe() {
    let script = Script { keyframe_every: 0, ..Script::CAMERA };
    let mut pair = Pair::new(4, script, Link::PERFECT.delay(ms(10)), Link::PERFECT.delay(ms(10)));
    pair.run(secs(2));
    // Two seconds of darkness are more than NACK repairs.
    pair.world.network.set_links(pair.publisher.id(), Link::CUT, Link::PERFECT);
    pair.run(secs(4));
    pair.world.network.set_links(pair.publisher.id(), Link::PERFECT, Link::PERFECT);
    pair.run(secs(4));
    assert!(pair.viewer.keyframes_asked() > 0);
    assert!(pair.publisher.keyframes_asked() > 0);
    let decodable = pair.viewer.reception(MediaKind::Video).decodable();
    let (last, _) = decodable.last().unwrap();
    assert_eq!(Some(last), pair.publisher.sent(MediaKind::Video).last());
}

#[test]
fn a_goodbye_is_heard() {
    let mut pair = Pair::new(5, Script::SMALL, Link::PERFECT, Link::PERFECT);
    pair.run(secs(1));
    let now = pair.world.now();
    assert!(pair.viewer.standing().connected_at.is_some_and(|at| at < now));
    pair.publisher.close(now);
    pair.run(secs(1));
    assert!(pair.viewer.standing().closed_at.is_some());
}

#[test]
fn the_same_seed_repeats_the_run_and_another_does_not() {
    let first = unlucky_run(42, Script::CAMERA);
    for _ in 0..3 {
        let again = unlucky_run(42, Script::CAMERA);
        let parted = first.lines().iter().zip(again.lines()).find(|(a, b)| shape_of(a) != shape_of(b));
        assert_eq!(parted, None);
        assert_eq!((first.shape(), first.count()), (again.shape(), again.count()));
    }
    assert_ne!(first.shape(), unlucky_run(43, Script::CAMERA).shape());
}

#[test]
fn with_one_track_the_run_repeats_byte_for_byte() {
    let script = Script { audio: false, ..Script::CAMERA };
    assert_eq!(unlucky_run(42, script), unlucky_run(42, script));
}

/// Eight seconds over a network with every vice.
fn unlucky_run(seed: u64, script: Script) -> Trace {
    let bad = Link::kbps(4000).delay(ms(20)).jitter(ms(10)).loss_in_bursts(5.0, 3.0);
    let (up, down) = (bad.duplicate_percent(1.0), bad.reorder_percent(2.0, ms(5)));
    let mut pair = Pair::new(seed, script, up, down);
    pair.world.network.trace_mut().keep_lines();
    pair.run(secs(8));
    pair.world.network.trace().clone()
}

/// A line without the hash of its bytes.
fn shape_of(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(shape, _)| shape)
}
