//! Whatever strangers and broken clients send, the show goes on and every datagram is counted.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wtn_engine::Counter;
use wtn_media::MediaKind;
use wtn_testkit::{EndpointId, Link, Script, Show, ms, secs};

/// Datagrams per kind of garbage.
const EACH: usize = 2_500;

/// A show with a publisher and three viewers that has been running for a while.
fn running_show(seed: u64) -> (Show, usize) {
    let mut show = Show::new(seed, 2);
    let camera = show.publish("live", Script::CAMERA);
    show.run(secs(1));
    for _ in 0..3 {
        show.watch("live", Link::PERFECT.delay(ms(5)));
    }
    show.run(secs(2));
    (show, camera)
}

/// Sends `count` datagrams made by `make`, some every millisecond, while the show runs.
fn pelt(show: &mut Show, from: EndpointId, count: usize, mut make: impl FnMut() -> Vec<u8>) {
    let to = show.server.address();
    for at in 0..count {
        let bytes = make();
        show.world.network.send(show.world.now(), from, to, bytes);
        if at % 10 == 9 {
            show.run(ms(1));
        }
    }
}

/// Something that a client really sent, a little wrong: bits flipped, cut, made longer, or another's.
fn mutated(heard: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = heard[random.random_range(0..heard.len())].clone();
    // Distinct bytes, or two flips might make it right again: a replay, which is another story.
    let first = random.random_range(0..bytes.len());
    for byte in (first..bytes.len()).step_by(37).take(random.random_range(1..4)) {
        bytes[byte] ^= 1 << random.random_range(0..8);
    }
    match random.random_range(0..4) {
        0 => bytes.truncate(random.random_range(0..=bytes.len())),
        1 => bytes.extend((0..random.random_range(0..40)).map(|_| random.random::<u8>())),
        _ => {}
    }
    bytes
}

/// What the server has heard so far, the rare kinds as often as the common ones.
fn heard(show: &Show) -> Vec<Vec<u8>> {
    let all: Vec<_> = show.server.heard().map(|(_, bytes)| bytes.clone()).collect();
    let (media, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|bytes| bytes.first() >= Some(&128));
    let rest = rest.iter().cycle().take(media.len()).cloned();
    rest.chain(media.iter().cloned()).collect()
}

fn noise(random: &mut StdRng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..random.random_range(0..1500)).map(|_| random.random()).collect();
    // Half of it looks at first sight like one of the protocols that share the port.
    if let Some(first) = bytes.first_mut().filter(|_| random.random()) {
        *first = [0, 1, 20, 22, 63, 128, 144, 191][random.random_range(0..8)];
    }
    bytes
}

#[test]
fn auth_17_ten_thousand_garbage_datagrams_leave_the_running_stream_untouched() {
    let (mut show, camera) = running_show(21);
    let mut random = StdRng::seed_from_u64(99);
    let stranger = show.world.network.attach("203.0.113.9:4000".parse().expect("an address"));
    let viewer = show.viewer_id(0);
    let publisher = show.publisher_id(camera);
    let before = show.server.counter(Counter::DatagramsIn);
    let heard = heard(&show);

    pelt(&mut show, stranger, EACH, || noise(&mut random));
    pelt(&mut show, stranger, EACH, || mutated(&heard, &mut random));
    pelt(&mut show, viewer, EACH, || mutated(&heard, &mut random));
    pelt(&mut show, publisher, EACH, || mutated(&heard, &mut random));

    assert_eq!(show.lacking(camera), [], "no viewer lacks a frame");
    for at in 0..show.viewers() {
        let now = show.world.now();
        assert!(show.viewer(at).standing().is_connected());
        let reception = show.viewer(at).reception(MediaKind::Video);
        assert_eq!((reception.missing(), reception.corrupt()), (0, 0), "viewer {at}");
        assert!(reception.freeze_longest(now) < ms(100), "viewer {at}");
    }
    assert_eq!(show.server.counter(Counter::Panics), 0);
    assert_eq!(show.server.endings(), []);
    assert!(show.server.counter(Counter::DatagramsIn) >= before + 4 * EACH as u64);
    for counter in [
        Counter::DropUnknownKind,
        Counter::DropUnknownPeer,
        Counter::DropBadStun,
        Counter::DropUnauthentic,
        Counter::DropBadTag,
        Counter::DropReplay,
    ] {
        assert!(show.server.counter(counter) > 0, "{counter:?} did not move");
    }
    let dropped: u64 = Counter::ALL
        .iter()
        .filter(|counter| counter.code().starts_with("drop_"))
        .map(|counter| show.server.counter(*counter))
        .sum();
    assert!(dropped > 8_000, "{dropped} of 10 000 were counted under a reason");
}

#[test]
fn auth_15_a_stranger_gets_nothing_back_whatever_it_sends() {
    let (mut show, _) = running_show(22);
    let mut random = StdRng::seed_from_u64(5);
    let stranger = show.world.network.attach("203.0.113.9:4000".parse().expect("an address"));
    let heard = heard(&show);
    pelt(&mut show, stranger, EACH, || noise(&mut random));
    pelt(&mut show, stranger, EACH, || mutated(&heard, &mut random));
    assert_eq!(show.world.network.delivered_to(stranger), 0);
}

#[test]
fn whip_09_broken_offers_leave_nothing_behind() {
    let (mut show, camera) = running_show(23);
    let offer = show.publisher(camera).offer();
    let sessions = show.server.sessions_on_desk();
    let now = show.world.now();
    let mut random = StdRng::seed_from_u64(3);
    let mut refused = 0;
    for cut in (0..offer.len()).step_by(7) {
        let reply = show.server.publish(now, "other", &offer[..cut]);
        assert!((400..500).contains(&reply.status) || reply.status == 201, "{} at {cut}", reply.status);
        refused += usize::from(reply.status != 201);
    }
    for _ in 0..2_000 {
        let mut bytes = offer.clone().into_bytes();
        for _ in 0..random.random_range(1..20) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random_range(10..127);
        }
        let reply = show.server.publish(now, "other", &String::from_utf8_lossy(&bytes));
        assert!(matches!(reply.status, 201 | 400..500), "{}", reply.status);
        refused += usize::from(reply.status != 201);
    }
    assert!(refused > 500, "{refused}");
    show.run(secs(13));
    assert_eq!(show.server.sessions_on_desk(), sessions, "what was admitted and never came is forgotten");
    assert_eq!(show.lacking(camera), []);
    assert_eq!(show.server.counter(Counter::Panics), 0);
}

#[test]
fn a_check_of_another_session_replayed_from_a_publishers_address_costs_it_only_seconds() {
    let (mut show, camera) = running_show(24);
    let (viewer, publisher) = (show.viewer_id(0), show.publisher_id(camera));
    let from = show.world.network.outside(viewer);
    let is_check = |(source, bytes): &&(_, Vec<u8>)| *source == from && bytes.first() < Some(&4);
    let check = show.server.heard().find(is_check).expect("the viewer has sent checks").1.clone();
    let to = show.server.address();
    show.world.network.send(show.world.now(), publisher, to, check);
    show.run(secs(8));
    assert_eq!(show.lacking_lately(camera), [], "the publisher's own next check has mended it");
    assert!(show.publisher(camera).standing().is_connected());
    assert!(show.viewer(0).standing().is_connected());
}
