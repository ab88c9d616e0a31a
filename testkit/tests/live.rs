//! Rows of the checklist about live sessions that need whole clients, many of them, or much time.

use std::net::SocketAddr;
use wtn_engine::{Counter, EndReason};
use wtn_media::{Codec, MediaKind};
use wtn_testkit::{Endpoint, Link, Publisher, Script, Server, Show, Viewer, World, ms, secs};
use wtn_wish::Reply;

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[test]
fn live_01_the_server_is_ice_lite_says_so_and_never_speaks_first() {
    let mut show = Show::new(501, 2);
    // What the client sends is lost; what the server would send is not.
    let camera = show.publish_over("live", Script::SMALL, Link::PERFECT);
    let id = show.publisher_id(camera);
    show.world.network.set_links(id, Link::CUT, Link::PERFECT);
    show.run(secs(15));
    assert_eq!(show.world.network.delivered_to(id), 0);
    let mut world = World::new(1);
    let (client, inside) = (attach(&mut world, "10.0.0.9:5000"), address("10.0.0.9:5000"));
    let mut viewer = Publisher::new(world.now(), client, inside, 0, Script::SMALL);
    let answer = text(&show.server.publish(show.world.now(), "other", &viewer.offer()));
    assert!(answer.contains("\r\na=ice-lite\r\n"));
}

#[test]
fn live_10_at_200_ms_and_five_percent_loss_everybody_connects_within_five_seconds() {
    for seed in 0..4 {
        let mut show = Show::new(510 + seed, 3);
        show.publish("live", Script::SMALL);
        show.run(secs(1));
        let line = Link::PERFECT.delay(ms(100)).loss_percent(5.0);
        let viewers: Vec<_> = (0..8).map(|_| show.watch("live", line)).collect();
        show.run(secs(5));
        for viewer in viewers {
            assert!(show.viewer(viewer).standing().is_connected(), "seed {seed} viewer {viewer}");
        }
    }
}

#[test]
fn live_12_ten_idle_minutes_and_nobody_times_out() {
    let mut show = Show::new(520, 2);
    let camera = show.publish("live", Script::SMALL);
    show.run(secs(1));
    let anna = show.watch("live", Link::PERFECT.delay(ms(20)));
    show.run(secs(2));
    show.publisher(camera).pause(true);
    for minute in 0..10 {
        show.run(secs(60));
        let standings = [show.publisher(camera).standing(), show.viewer(anna).standing()];
        assert!(standings.iter().all(|one| one.is_connected() && !one.is_disconnected), "minute {minute}");
    }
    assert_eq!(show.server.endings(), []);
    show.publisher(camera).pause(false);
    assert_eq!(show.lacking_lately(camera), []);
}

#[test]
fn live_16_a_thousand_posts_without_ice_leave_nothing() {
    let mut show = Show::new(530, 3);
    let camera = show.publish("live", Script::SMALL);
    show.run(secs(1));
    let mut world = World::new(2);
    let (id, inside) = (attach(&mut world, "10.0.0.9:5000"), address("10.0.0.9:5000"));
    let viewing = Viewer::new(world.now(), id, inside, &[Codec::H264], false).offer();
    let publishing = Publisher::new(world.now(), id, inside, 0, Script::SMALL).offer();
    let now = show.world.now();
    let mut urls = Vec::new();
    for nth in 0..1_000 {
        let reply = match nth % 2 {
            0 => show.server.watch(now, "live", &viewing),
            _ => show.server.publish(now, &format!("ghost-{nth}"), &publishing),
        };
        assert_eq!(reply.status, 201, "{}", text(&reply));
        urls.push(reply.header("Location").expect("a 201 has one").to_owned());
    }
    assert_eq!(show.server.sessions_on_desk(), 1_001);
    show.run(secs(12));
    assert_eq!((show.server.sessions(), show.server.sessions_on_desk()), (1, 1));
    let now = show.world.now();
    assert!(urls.iter().all(|url| show.server.get(now, url).status == 404));
    let endings = show.server.endings();
    assert_eq!(endings.len(), 1_000, "each is reported once");
    assert!(endings.iter().all(|(_, reason)| *reason == EndReason::NeverConnected));
    show.watch("live", Link::PERFECT);
    show.run(secs(4));
    assert_eq!(show.lacking_lately(camera), [], "and the show went on");
}

#[test]
fn live_17_who_is_ended_by_the_server_knows_within_a_second_even_on_a_bad_line() {
    for seed in 0..4 {
        let mut show = Show::new(540 + seed, 2);
        show.publish("live", Script::SMALL);
        show.run(secs(1));
        let anna = show.watch("live", Link::PERFECT.delay(ms(20)));
        show.run(secs(2));
        let id = show.viewer_id(anna);
        show.world.network.set_links(id, Link::CUT, Link::CUT);
        let before = show.viewer(anna).reception(MediaKind::Video).packets();
        assert_eq!(show.unwatch(anna).status, 200);
        show.run(ms(200)); // the first goodbye is lost
        assert!(show.viewer(anna).standing().is_connected(), "seed {seed}");
        show.world.network.set_links(id, Link::PERFECT, Link::PERFECT);
        show.run(secs(1));
        assert!(!show.viewer(anna).standing().is_connected(), "seed {seed}");
        assert_eq!(show.viewer(anna).reception(MediaKind::Video).packets(), before, "no media any more");
    }
}

#[test]
fn sess_28_after_delete_nothing_of_it_is_heard_or_forwarded() {
    let mut show = Show::new(550, 2);
    let camera = show.publish("live", Script::SMALL);
    show.run(secs(1));
    let anna = show.watch("live", Link::PERFECT);
    show.run(secs(2));
    // It never hears the goodbye, and goes on sending.
    let id = show.publisher_id(camera);
    show.world.network.set_links(id, Link::PERFECT, Link::CUT);
    let url = show.publisher_url(camera);
    assert_eq!(show.unpublish(camera).status, 200);
    show.run(ms(100));
    let got = show.viewer(anna).reception(MediaKind::Video).packets();
    let (accepted, unknown) =
        (show.server.counter(Counter::PacketsIn), show.server.counter(Counter::DropUnknownPeer));
    show.run(secs(5));
    assert_eq!(show.viewer(anna).reception(MediaKind::Video).packets(), got, "nothing is forwarded");
    assert_eq!(show.server.counter(Counter::PacketsIn), accepted);
    assert!(show.server.counter(Counter::DropUnknownPeer) > unknown + 10, "it did go on");
    assert!(show.server.counter(Counter::DropUnknownUser) > 0, "its checks too");
    assert_eq!(show.server.get(show.world.now(), &url).status, 404);
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn attach(world: &mut World, text: &str) -> wtn_testkit::EndpointId {
    world.network.attach(address(text))
}

#[test]
fn live_19_clients_that_know_only_ipv6_publish_and_watch() {
    let mut world = World::new(560);
    let at = "[2001:db8::1]:8189";
    let id = attach(&mut world, at);
    let mut server = Server::new(world.now(), id, address(at), 3);
    let ids =
        ["[2001:db8:a::9]:5000", "[2001:db8:b::9]:5000"].map(|at| (attach(&mut world, at), address(at)));
    let mut camera = Publisher::new(world.now(), ids[0].0, ids[0].1, 0, Script::SMALL);
    let reply = server.publish(world.now(), "live", &camera.offer());
    assert!(text(&reply).contains(" 2001:db8::1 8189 typ host\r\n"), "{}", text(&reply));
    assert!(text(&reply).contains("\r\nc=IN IP6 2001:db8::1\r\n"));
    camera.accept_answer(world.now(), &text(&reply)).expect("an answer");
    world.run(secs(1), &mut [&mut server as &mut dyn Endpoint, &mut camera]);
    let mut viewer = Viewer::new(world.now(), ids[1].0, ids[1].1, &[Codec::H264], false);
    let reply = server.watch(world.now(), "live", &viewer.offer());
    viewer.accept_answer(world.now(), &text(&reply)).expect("an answer");
    world.run(secs(3), &mut [&mut server as &mut dyn Endpoint, &mut camera, &mut viewer]);
    assert!(camera.standing().is_connected() && viewer.standing().is_connected());
    assert!(viewer.reception(MediaKind::Video).frames().count() > 20);
}
