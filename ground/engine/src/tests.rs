//! What cannot be shown from outside: a crash in one session's code, and who speaks of a session's end.

use crate::directory::Tickets;
use crate::timers::Timer;
use crate::{
    Command, Control, Counter, EndReason, EngineConfig, Event, Restart, Shard, ShardId, Ticket, Wake, build,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_media::{
    Admission, DtlsRole, ExtensionMap, Fingerprint, HashAlgorithm, IceCredentials, Role, SessionId,
    SessionPlan, StreamId,
};
use wtn_session::Identity;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

fn engine(shards: u16) -> (Vec<Shard>, Control, Instant) {
    let now = Instant::now();
    let identity = Arc::new(Identity::generate().unwrap());
    let config = EngineConfig { shards, seed: 1, now };
    let wakers = (0..shards).map(|_| Arc::new(Silent) as Arc<dyn Wake>).collect();
    let (shards, control) = build(&config, &identity, wakers);
    (shards, control, now)
}

fn ticket(session: u64, now: Instant) -> Arc<Ticket> {
    let credentials =
        |ufrag: String| IceCredentials { ufrag, pwd: "a-password-of-twenty-two-or-more".to_owned() };
    Arc::new(Ticket::new(Admission {
        session: SessionId(session),
        stream: StreamId(1),
        role: Role::Subscriber,
        local: credentials(format!("ours{session}")),
        remote: credentials("theirs".to_owned()),
        dtls_role: DtlsRole::Server,
        fingerprints: vec![Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![0; 32] }],
        plan: SessionPlan {
            tracks: Vec::new(),
            extensions: ExtensionMap::default(),
            reduced_size_rtcp: true,
            cname: "wtn".to_owned(),
        },
        connect_by: now + Duration::from_secs(10),
        max_bitrate_bps: None,
        grace: Some(Duration::from_secs(10)),
        stands_by: false,
    }))
}

fn events(shard: &mut Shard) -> Vec<Event> {
    std::iter::from_fn(|| shard.poll_event()).collect()
}

#[test]
fn a_panic_ends_the_session_that_caused_it_and_no_other() {
    let (mut shards, control, now) = engine(1);
    let shard = &mut shards[0];
    let tickets = [ticket(1, now), ticket(2, now)];
    tickets.iter().for_each(|ticket| control.send(Command::Announce(ticket.clone())).unwrap());
    shard.handle_inbox(now);
    let keys = tickets.each_ref().map(|ticket| {
        assert_eq!(ticket.claim(ShardId(0)), ShardId(0));
        shard.peer_of(ticket).unwrap()
    });
    events(shard);

    shard.guarded(keys[0], |_| panic!("as a bug in a session would"));

    assert_eq!(events(shard), [Event::Ended(SessionId(1), EndReason::Crashed)]);
    assert_eq!(shard.counters.value(Counter::Panics), 1);
    assert_eq!(shard.sessions(), 1);
    shard.guarded(keys[1], |_| {});
    assert_eq!(shard.sessions(), 1, "its neighbour lives");
}

#[test]
fn t20_of_two_shards_that_hear_a_client_one_owns_it() {
    let ticket = ticket(1, Instant::now());
    assert_eq!(ticket.owner(), None);
    assert_eq!(ticket.claim(ShardId(3)), ShardId(3));
    assert_eq!(ticket.claim(ShardId(1)), ShardId(3));
    assert_eq!(ticket.claim(ShardId(3)), ShardId(3));
    assert_eq!(ticket.owner(), Some(ShardId(3)));
}

#[test]
fn live_16_an_unclaimed_session_is_reported_once_and_forgotten_by_all() {
    let (mut shards, control, now) = engine(3);
    control.send(Command::Announce(ticket(1, now))).unwrap();
    let late = now + Duration::from_secs(11);
    let mut told = Vec::new();
    for _ in 0..2 {
        for shard in &mut shards {
            shard.handle_inbox(late);
            shard.handle_timeout(late);
            told.extend(events(shard));
        }
    }
    assert_eq!(told, [Event::Ended(SessionId(1), EndReason::NeverConnected)]);
    assert!(shards.iter().all(|shard| shard.tickets.sessions().is_empty()));
}

#[test]
fn an_announcement_that_comes_after_the_drain_is_refused_once() {
    let (mut shards, control, now) = engine(2);
    control.send(Command::Drain).unwrap();
    control.send(Command::Announce(ticket(1, now))).unwrap();
    let mut told = Vec::new();
    for shard in &mut shards {
        shard.handle_inbox(now);
        told.extend(events(shard));
    }
    let ended = told.iter().filter(|event| matches!(event, Event::Ended(..)));
    assert_eq!(ended.collect::<Vec<_>>(), [&Event::Ended(SessionId(1), EndReason::Draining)]);
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Drained(_))).count(), 2);
}

#[test]
fn more_commands_than_one_pass_takes_ask_for_the_next_pass_at_once() {
    let (mut shards, control, now) = engine(1);
    (0..1500).for_each(|session| control.send(Command::Announce(ticket(session, now))).unwrap());
    let shard = &mut shards[0];
    shard.handle_inbox(now);
    assert_eq!(shard.next_timeout(), Some(now));
    shard.handle_inbox(now);
    assert_eq!(shard.tickets.sessions().len(), 1500);
    assert!(shard.next_timeout() > Some(now));
}

#[test]
fn dead_timers_do_not_breed() {
    let (mut shards, control, now) = engine(1);
    let shard = &mut shards[0];
    let ticket = ticket(1, now);
    control.send(Command::Announce(ticket.clone())).unwrap();
    shard.handle_inbox(now);
    ticket.claim(ShardId(0));
    let key = shard.peer_of(&ticket).unwrap();
    shard.guarded(key, |_| {});
    (0..1000).for_each(|ms| shard.timers.push(now + Duration::from_millis(ms), Timer::Peer(key)));
    for ms in 0..5_000 {
        shard.handle_timeout(now + Duration::from_millis(ms));
    }
    assert_eq!(shard.sessions(), 1);
    assert!(shard.timers.len() < 5, "{} timers for one peer", shard.timers.len());
}

fn restart(session: u64, nth: u8) -> Restart {
    let credentials =
        |of: &str| IceCredentials { ufrag: format!("{of}{session}-{nth}"), pwd: format!("password {nth}") };
    Restart { session: SessionId(session), local: credentials("ours"), remote: credentials("theirs") }
}

/// By which user names a session is found, of its ticket and its restarts.
fn found(tickets: &Tickets, session: u64) -> Vec<String> {
    let names =
        std::iter::once(format!("ours{session}")).chain((1..9).map(|nth| format!("ours{session}-{nth}")));
    names.filter(|ufrag| tickets.by_ufrag(ufrag).is_some()).collect()
}

#[test]
fn sess_17_a_shard_finds_a_session_by_old_and_new_names_until_the_switch() {
    let mut tickets = Tickets::default();
    let ticket = ticket(1, Instant::now());
    ticket.claim(ShardId(2));
    tickets.insert(ticket);
    (1..=3).for_each(|nth| tickets.restart(restart(1, nth)));
    assert_eq!(found(&tickets, 1), ["ours1", "ours1-3"], "the one in use, and the last");
    assert_eq!(tickets.by_ufrag("ours1-3").map(|(_, pwd)| pwd), Some("password 3"));
    tickets.settle(SessionId(1));
    assert_eq!(found(&tickets, 1), ["ours1-3"]);
    tickets.restart(restart(1, 4));
    assert_eq!(found(&tickets, 1), ["ours1-3", "ours1-4"]);
    tickets.remove(SessionId(1));
    assert_eq!(found(&tickets, 1), [""; 0]);
}

#[test]
fn sess_17_a_session_without_an_owner_has_one_name() {
    let mut tickets = Tickets::default();
    tickets.insert(ticket(1, Instant::now()));
    (1..=3).for_each(|nth| tickets.restart(restart(1, nth)));
    assert_eq!(found(&tickets, 1), ["ours1-3"]);
    tickets.restart(restart(2, 1));
    assert_eq!(found(&tickets, 2), [""; 0], "a session that has ended meanwhile");
}

#[test]
fn sess_18_a_session_claimed_after_its_restart_begins_with_what_that_brought() {
    let (mut shards, control, now) = engine(2);
    let ticket = ticket(1, now);
    control.send(Command::Announce(ticket.clone())).unwrap();
    control.send(Command::Restart(Arc::new(restart(1, 1)))).unwrap();
    shards.iter_mut().for_each(|shard| shard.handle_inbox(now));
    assert_eq!(found(&shards[1].tickets, 1), ["ours1-1"]);
    ticket.claim(ShardId(0));
    assert!(shards[0].peer_of(&ticket).is_some());
    control.send(Command::End(SessionId(1), EndReason::Deleted)).unwrap();
    shards.iter_mut().for_each(|shard| shard.handle_inbox(now));
    assert!(shards.iter().all(|shard| found(&shard.tickets, 1).is_empty()));
}
