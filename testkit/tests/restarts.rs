//! ICE restarts end to end, in simulated time: real clients' ICE, several shards, viewers who count frames.

use wtn_engine::{Counter, Event};
use wtn_media::MediaKind;
use wtn_testkit::{Link, Script, Show, ms, secs};

/// A publisher and viewers on every shard, well under way.
fn running(seed: u64, viewers: usize) -> (Show, usize, Vec<usize>) {
    let mut show = Show::new(seed, 3);
    let camera = show.publish("live", Script::LIGHT);
    show.run(secs(1));
    let viewers = (0..viewers).map(|_| show.watch("live", Link::PERFECT.delay(ms(20)))).collect();
    show.run(secs(3));
    (show, camera, viewers)
}

fn connected(show: &Show) -> usize {
    show.server.events().iter().filter(|event| matches!(event, Event::Connected { .. })).count()
}

/// DTLS datagrams that clients have sent so far.
fn dtls_heard(show: &Show) -> usize {
    show.server.heard().filter(|(_, bytes)| matches!(bytes.first(), Some(20..=63))).count()
}

#[test]
fn sess_18_a_publisher_restarts_and_no_viewer_sees_it() {
    for seed in 0..3 {
        let (mut show, camera, viewers) = running(400 + seed, 6);
        let (handshakes, connections) = (dtls_heard(&show), connected(&show));
        for round in 0..3 {
            show.restart_publisher(camera);
            show.run(secs(2));
            assert_eq!(show.lacking_lately(camera), [], "seed {seed} round {round}");
        }
        assert_eq!(show.lacking(camera), [], "seed {seed}");
        let now = show.world.now();
        for viewer in viewers {
            let reception = show.viewer(viewer).reception(MediaKind::Video);
            assert_eq!((reception.missing(), reception.duplicates(), reception.corrupt()), (0, 0, 0));
            // A frame every 33 ms; the line has 25 ms, a round trip of checks 10.
            assert!(reception.freeze_longest(now) < ms(100), "{:?}", reception.freeze_longest(now));
        }
        assert!(show.publisher(camera).standing().is_connected());
        assert!(dtls_heard(&show) <= handshakes, "no new handshake");
        assert_eq!(connected(&show), connections);
        assert_eq!(show.server.endings(), []);
    }
}

#[test]
fn sess_18_viewers_restart_and_miss_nothing() {
    let (mut show, camera, viewers) = running(410, 6);
    let connections = connected(&show);
    for viewer in &viewers {
        show.restart_viewer(*viewer);
        show.run(ms(300));
    }
    show.run(secs(3));
    assert_eq!(show.lacking(camera), []);
    let now = show.world.now();
    for viewer in viewers {
        assert!(
            show.viewer(viewer).standing().is_connected() && !show.viewer(viewer).standing().is_disconnected
        );
        let reception = show.viewer(viewer).reception(MediaKind::Video);
        assert_eq!((reception.missing(), reception.duplicates()), (0, 0));
        assert!(reception.freeze_longest(now) < ms(100), "{:?}", reception.freeze_longest(now));
    }
    assert_eq!(connected(&show), connections);
    assert_eq!(show.server.endings(), []);
}

#[test]
fn sess_18_a_client_that_restarts_from_another_network_goes_on_whichever_shard_hears_it() {
    let (mut show, camera, viewers) = running(420, 4);
    for (round, viewer) in viewers.iter().cycle().take(12).enumerate() {
        let id = show.viewer_id(*viewer);
        let outside = std::net::SocketAddr::from(([10, 9, 9, 9], 7000 + round as u16));
        show.world.network.rebind(id, outside);
        show.restart_viewer(*viewer);
        show.run(secs(3));
        assert_eq!(show.lacking_lately(camera), [], "round {round}");
    }
    assert_eq!(show.server.claims().len(), 5, "the same sessions all along");
    assert_eq!(show.server.endings(), []);
}

#[test]
fn sess_23_restarts_that_overtake_one_another_leave_a_session_that_works() {
    let (mut show, camera, viewers) = running(430, 3);
    for _ in 0..10 {
        show.restart_viewer(viewers[0]);
        show.restart_publisher(camera);
    }
    show.run(secs(3));
    assert_eq!(show.lacking_lately(camera), []);
    // And some while the one before is under way: 20 ms there, 20 ms back.
    for pause in [5, 15, 25, 35, 45, 55] {
        show.restart_viewer(viewers[1]);
        show.run(ms(pause));
    }
    show.run(secs(5));
    assert_eq!(show.lacking_lately(camera), []);
    assert_eq!(show.server.endings(), []);
}

#[test]
fn sess_15_a_restart_before_the_first_check_connects() {
    let mut show = Show::new(440, 3);
    let camera = show.publish("live", Script::SMALL);
    show.restart_publisher(camera);
    show.run(secs(2));
    assert!(show.publisher(camera).standing().is_connected());
    let anna = show.watch("live", Link::PERFECT.delay(ms(50)));
    show.run(ms(20)); // its first check is on its way
    show.restart_viewer(anna);
    show.run(secs(3));
    assert!(show.viewer(anna).standing().is_connected());
    assert_eq!(show.lacking_lately(camera), []);
}

#[test]
fn sess_17_a_session_that_nobody_claimed_is_found_by_its_new_credentials_only() {
    let mut show = Show::new(450, 3);
    let camera = show.publish_over("live", Script::SMALL, Link::CUT);
    let url = show.publisher_url(camera);
    let fragment = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 X 0\r\na=mid:0\r\n";
    let reply = show.server.patch(show.world.now(), &url, "application/trickle-ice-sdpfrag", fragment);
    assert_eq!(reply.status, 200);
    let id = show.publisher_id(camera);
    show.world.network.set_links(id, Link::PERFECT, Link::PERFECT);
    show.run(secs(3));
    // str0m knows nothing of this restart and checks by what it has.
    assert!(show.server.counter(Counter::DropUnknownUser) > 0);
    assert_eq!(show.server.claims(), []);
}

#[test]
fn sess_19_a_client_that_never_gets_the_reply_goes_on_as_before() {
    let (mut show, camera, viewers) = running(460, 2);
    let url = show.viewer_url(viewers[0]);
    let fragment = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 X 0\r\na=mid:0\r\n";
    let reply = show.server.patch(show.world.now(), &url, "application/trickle-ice-sdpfrag", fragment);
    assert_eq!(reply.status, 200);
    show.run(secs(60));
    assert!(!show.viewer(viewers[0]).standing().is_disconnected);
    assert_eq!(show.lacking_lately(camera), []);
    assert_eq!(show.server.endings(), []);
    show.restart_viewer(viewers[0]);
    show.run(secs(3));
    assert_eq!(show.lacking_lately(camera), [], "and may try again");
}

#[test]
fn sess_08_nothing_is_sent_to_a_candidate_and_no_name_is_looked_up() {
    let (mut show, _, viewers) = running(470, 1);
    let trap = show.world.network.attach("10.66.66.66:4242".parse().expect("an address"));
    let resolver = show.world.network.attach("10.0.0.53:53".parse().expect("an address"));
    let url = show.viewer_url(viewers[0]);
    let fragment = "a=candidate:1 1 udp 2130706431 10.66.66.66 4242 typ host\r\n\
         a=candidate:2 1 udp 1 example.com 4242 typ host\r\n\
         a=candidate:3 1 udp 1 4e7a.local 4242 typ host\r\n\
         a=candidate:4 1 tcp 1 10.66.66.66 9 typ host tcptype active\r\n\
         a=candidate:5 2 udp 1 10.66.66.66 4242 typ host\r\n";
    let reply = show.server.patch(show.world.now(), &url, "application/trickle-ice-sdpfrag", fragment);
    assert_eq!(reply.status, 204);
    show.run(secs(10));
    let reached = [trap, resolver].map(|id| show.world.network.delivered_to(id));
    assert_eq!(reached, [0, 0]);
}
