//! How many sessions may be on the way at once, and how a crowd gets in all the same.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, SDP, Show, config, offer, refused};
use wtn_wish::{DeskConfig, Effect, Limits, Method, QueueId, Reply};

const SECOND: Duration = Duration::from_secs(1);
const HOME: &str = "198.51.100.7";

fn live() -> Show {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    show
}

fn watch(show: &mut Show, client: &str) -> Reply {
    let body = offer("play-chromium");
    show.call(Method::Post, "/whep/live").from(client).body(SDP, body.as_bytes()).send()
}

/// The queue that may move up because this viewer has connected.
fn connect(show: &mut Show, joined: &Joined) -> Option<QueueId> {
    match &show.desk.on_connected(show.now, joined.id())[..] {
        [] => None,
        [Effect::Room(queue)] => Some(*queue),
        other => panic!("{other:?}"),
    }
}

#[test]
fn live_16_ten_viewers_of_one_address_may_be_on_the_way_and_no_more() {
    let mut show = live();
    for _ in 0..10 {
        assert_eq!(watch(&mut show, HOME).status, 201);
    }
    let reply = watch(&mut show, HOME);
    refused(&reply, 429, "too_many_connecting");
    assert_eq!(reply.header("Retry-After"), Some("2"));
    assert_eq!(watch(&mut show, "198.51.100.8").status, 201, "others are not concerned");
    show.publish("other", "pub-obs");
    let body = offer("play-chromium");
    let other = show.call(Method::Post, "/whep/other").from(HOME).body(SDP, body.as_bytes()).send();
    assert_eq!(other.status, 201, "nor are other streams");
    show.wait(10 * SECOND);
    assert_eq!(watch(&mut show, HOME).status, 201, "ten seconds later they are forgotten");
}

#[test]
fn live_16_an_ipv6_household_is_one_address() {
    let mut show = live();
    for host in 0..10 {
        assert_eq!(watch(&mut show, &format!("2001:db8:0:1::{host}")).status, 201);
    }
    refused(&watch(&mut show, "2001:db8:0:1:ffff::1"), 429, "too_many_connecting");
    assert_eq!(watch(&mut show, "2001:db8:0:2::1").status, 201);
}

#[test]
fn live_16_a_thousand_posts_without_a_check_leave_nothing_behind() {
    let mut show = live();
    let statuses: Vec<_> = (0..1000).map(|_| watch(&mut show, HOME).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 10);
    assert!(statuses[10..].iter().all(|status| *status == 429));
    show.wait(16 * SECOND);
    assert!(show.desk.tick(show.now, 0).is_empty());
    assert_eq!(show.desk.session_count(), 1, "the publisher");
}

#[test]
fn a_crowd_behind_one_address_gets_in_like_a_slow_start() {
    let mut show = live();
    let (mut inside, mut rounds) = (0, 0);
    let mut on_the_way: Vec<Joined> = Vec::new();
    while inside < 2_000 {
        loop {
            let reply = watch(&mut show, HOME);
            if reply.status != 201 {
                let wait = reply.wait.unwrap();
                assert!(wait.until > show.now, "worth waiting for");
                break;
            }
            on_the_way.push(Joined::from(reply));
        }
        // One round trip, or a few.
        show.wait(Duration::from_millis(100));
        for joined in on_the_way.drain(..) {
            assert!(connect(&mut show, &joined).is_some(), "each makes room for those who wait");
            inside += 1;
        }
        rounds += 1;
    }
    assert!(rounds <= 9, "{rounds} rounds for {inside}");
}

#[test]
fn who_does_not_connect_takes_the_trust_back() {
    let mut show = live();
    for _ in 0..30 {
        let joined = Joined::from(watch(&mut show, HOME));
        connect(&mut show, &joined);
    }
    for _ in 0..40 {
        assert_eq!(watch(&mut show, HOME).status, 201, "ten, and one for each that has connected");
    }
    refused(&watch(&mut show, HOME), 429, "too_many_connecting");
    show.wait(10 * SECOND);
    for _ in 0..10 {
        assert_eq!(watch(&mut show, HOME).status, 201);
    }
    refused(&watch(&mut show, HOME), 429, "too_many_connecting");
}

#[test]
fn waiting_is_in_vain_when_nobody_has_come_in_for_a_second() {
    let mut show = live();
    let first: Vec<_> = (0..10).map(|_| Joined::from(watch(&mut show, HOME))).collect();
    let wait = watch(&mut show, HOME).wait.unwrap();
    assert_eq!(wait.until, show.now + SECOND);
    show.wait(SECOND);
    assert_eq!(watch(&mut show, HOME).wait, Some(wait), "the same queue, and no more time");
    assert_eq!(connect(&mut show, &first[0]), Some(wait.queue));
    assert_eq!(watch(&mut show, HOME).status, 201);
    assert_eq!(watch(&mut show, HOME).status, 201);
    assert_eq!(watch(&mut show, HOME).wait.unwrap().until, show.now + SECOND);
}

#[test]
fn other_refusals_are_not_worth_waiting_for() {
    let mut show = Show::open();
    assert_eq!(show.post("/whep/live", &offer("play-chromium")).wait, None);
    for _ in 0..10 {
        assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
    }
    let crowded = show.post("/whip/live", &offer("pub-obs"));
    refused(&crowded, 429, "too_many_connecting");
    assert_eq!(crowded.wait, None, "an encoder that restarts in a loop had better slow down");
}

#[test]
fn all_places_together_are_bounded_too() {
    let limits = Limits { half_open_viewers: 30, ..Limits::default() };
    let mut show = Show::new(DeskConfig { limits, ..config() });
    show.publish("live", "pub-obs");
    for n in 0..30 {
        assert_eq!(watch(&mut show, &format!("198.51.100.{}", n / 5)).status, 201);
    }
    refused(&watch(&mut show, "198.51.100.99"), 503, "server_full");
}

#[test]
fn places_are_forgotten_with_their_last_session() {
    let mut show = live();
    let before = format!("{:?}", show.desk).len();
    for n in 0..=255 {
        let joined = Joined::from(watch(&mut show, &format!("192.0.2.{n}")));
        connect(&mut show, &joined);
        show.end(&joined);
    }
    show.wait(16 * SECOND);
    show.desk.tick(show.now, 0);
    assert!(format!("{:?}", show.desk).len() < before + 1_000, "no table grows");
}
