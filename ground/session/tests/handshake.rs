//! The DTLS handshake over a link that loses and repeats, and among forged datagrams.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use support::check::Check;
use support::peer::Peer;
use support::{Call, Fate, Link, Way, address, config, ms, secs};
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm};
use wtn_session::{CloseReason, DropReason, Inbound, Output, SessionConfig};

const ROLES: [DtlsRole; 2] = [DtlsRole::Server, DtlsRole::Client];

fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// A record of epoch 0.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9];
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// A whole handshake message in a record of its own.
fn handshake(kind: u8, sequence: u16, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let mut message = vec![kind];
    message.extend_from_slice(length);
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&[0; 3]);
    message.extend_from_slice(length);
    message.extend_from_slice(body);
    record(22, &message)
}

fn fatal_alert(description: u8) -> Vec<u8> {
    record(21, &[2, description])
}

/// ClientHellos that no handshake can come of.
fn bad_hellos() -> Vec<(&'static str, Vec<u8>)> {
    let hello = |version: [u8; 2], suites: &[u8], compression: &[u8]| {
        let mut body = version.to_vec();
        body.extend_from_slice(&[0xAB; 32]);
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&(suites.len() as u16).to_be_bytes());
        body.extend_from_slice(suites);
        body.push(compression.len() as u8);
        body.extend_from_slice(compression);
        body.extend_from_slice(&[0, 0]);
        handshake(1, 0, &body)
    };
    let good_suite = [0xC0, 0x2B];
    let mut fragment = hello([0xFE, 0xFD], &good_suite, &[0]);
    fragment[14..17].copy_from_slice(&[0, 1, 0]);
    let mut huge = hello([0xFE, 0xFD], &good_suite, &[0]);
    huge[14..17].copy_from_slice(&[0xFF; 3]);
    vec![
        ("null cipher", hello([0xFE, 0xFD], &[0, 0], &[0])),
        ("no cipher", hello([0xFE, 0xFD], &[], &[0])),
        ("DTLS 1.0", hello([0xFE, 0xFF], &good_suite, &[0])),
        ("DTLS 0.0", hello([0, 0], &good_suite, &[0])),
        ("no null compression", hello([0xFE, 0xFD], &good_suite, &[1])),
        ("no compression", hello([0xFE, 0xFD], &good_suite, &[])),
        ("no extensions", hello([0xFE, 0xFD], &good_suite, &[0])),
        ("one byte of body", handshake(1, 0, &[0xFE])),
        ("no body", handshake(1, 0, &[])),
        ("first fragment of something longer", fragment),
        ("16 MiB announced", huge),
        ("half a header", hello([0xFE, 0xFD], &good_suite, &[0])[..20].to_vec()),
        ("another message first", handshake(11, 0, &[0, 0, 0])),
        ("a foreign record version", {
            let mut bytes = hello([0xFE, 0xFD], &good_suite, &[0]);
            bytes[1..3].copy_from_slice(&[3, 3]);
            bytes
        }),
    ]
}

#[test]
fn rtp_01_as_server_we_take_gcm() {
    let call = Call::connected();
    let connected = Output::Connected { remote: address(1), srtp_profile: "SRTP_AEAD_AES_256_GCM" };
    assert_eq!(call.events.last(), Some(&connected));
    assert_eq!(call.session.seal_overhead(), 16);
}

#[test]
fn live_10_as_client_we_start_when_the_first_address_is_proven() {
    let mut call = Call::new(true, DtlsRole::Client);
    call.check(&Check::ordinary());
    assert_eq!(call.take_sent().iter().filter(|(_, bytes)| is_dtls(bytes)).count(), 1);
    assert!(call.run(secs(2), |call| call.session.is_connected()));
}

#[test]
fn without_loss_a_handshake_takes_two_round_trips() {
    for role in ROLES {
        let mut call = Call::new(false, role);
        assert!(call.connects_within(ms(50)), "{role:?}");
    }
}

/// Loses the datagrams of one way with these numbers, counted from 0.
fn losing(way: Way, lost: impl Fn(usize) -> bool + 'static) -> Link {
    let mut seen = 0;
    Box::new(move |of, datagram| {
        if of != way || !is_dtls(datagram) {
            return Fate::Pass;
        }
        seen += 1;
        if lost(seen - 1) { Fate::Lose } else { Fate::Pass }
    })
}

#[test]
fn t12_one_flight_lost_once_to_three_times() {
    for role in ROLES {
        for way in [Way::Up, Way::Down] {
            for first in 0..3 {
                for times in 1..=3 {
                    let mut call = Call::new(false, role);
                    call.link = losing(way, move |nth| (first..first + times).contains(&nth));
                    let limit = if times == 1 { secs(7) } else { secs(15) };
                    assert!(call.connects_within(limit), "{role:?} {way:?} {first} {times}");
                }
            }
        }
    }
}

#[test]
fn t12_every_flight_twice() {
    for role in ROLES {
        let mut call = Call::new(false, role);
        call.link = Box::new(|_, _| Fate::Twice);
        assert!(call.connects_within(secs(1)), "{role:?}");
    }
}

#[test]
fn t13_handshakes_at_10_20_and_50_percent_loss() {
    for (percent, limit) in [(10, 5), (20, 10), (50, 30)] {
        let mut state = 42_u64;
        let connected = (0..100)
            .filter(|nth| {
                let mut call = Call::new(false, ROLES[nth % 2]);
                state = state.wrapping_add(1);
                let mut random = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                call.link = Box::new(move |_, datagram| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let is_lost = is_dtls(datagram) && (random >> 33) % 100 < percent;
                    if is_lost { Fate::Lose } else { Fate::Pass }
                });
                call.connects_within(secs(limit))
            })
            .count();
        // At 50 % a try succeeds once in four, and a client that doubles its intervals has ten: 90 of 100.
        let wanted = if percent == 50 { 80 } else { 97 };
        assert!(connected >= wanted, "{connected} of 100 at {percent} % loss");
    }
}

#[test]
fn a_forged_alert_in_clear_ends_no_handshake() {
    for role in ROLES {
        for description in [0, 10, 40, 42, 48, 80] {
            let mut call = Call::new(false, role);
            call.check(&Check::ordinary().nominating());
            let mut forgeries = 0;
            while !call.session.is_connected() && forgeries < 50 {
                let outcome = call.inject(address(1), &fatal_alert(description));
                assert_eq!(outcome, Inbound::Dropped(DropReason::BadDtls));
                forgeries += 1;
                call.run(ms(5), |_| false);
            }
            assert!(call.session.is_connected(), "{role:?}, alert {description}");
            call.inject(address(1), &fatal_alert(description));
            assert!(call.session.is_connected());
        }
    }
}

#[test]
fn an_alert_in_clear_does_not_hide_the_record_behind_it() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.peer.drain();
    let hello = call.peer.outbox.remove(0);
    let outcome = call.inject(address(1), &[fatal_alert(40), hello, fatal_alert(40)].concat());
    assert_eq!(outcome, Inbound::Consumed);
    assert!(call.run(secs(1), |call| call.session.is_connected()));
}

#[test]
fn t02_bad_hellos_from_the_clients_own_address_before_its_hello() {
    for (what, bad) in bad_hellos() {
        let mut call = Call::new(false, DtlsRole::Server);
        call.check(&Check::ordinary().nominating());
        for _ in 0..20 {
            call.inject(address(1), &bad);
        }
        assert!(call.connects_within(secs(3)), "{what}");
    }
}

#[test]
fn t02_bad_hellos_during_and_after_the_handshake_change_nothing() {
    for (what, bad) in bad_hellos() {
        for role in ROLES {
            let mut call = Call::new(false, role);
            call.check(&Check::ordinary().nominating());
            call.run(ms(15), |_| false);
            call.run(ms(10), |call| !call.in_flight(Way::Up).is_empty());
            let connected = call.run(secs(3), |call| call.session.is_connected());
            assert!(connected, "{what}");
            for _ in 0..20 {
                call.inject(address(1), &bad);
            }
            assert!(call.session.is_connected() && call.closed().is_none(), "{what} {role:?}");
            call.session.close(call.now);
            let said_goodbye = std::iter::from_fn(|| call.session.poll())
                .any(|output| matches!(output, Output::Transmit { bytes, .. } if bytes[0] == 21));
            assert!(said_goodbye, "{what} {role:?}: DTLS is still alive");
        }
    }
}

#[test]
fn t02_a_stolen_hello_of_another_client_does_not_lock_the_client_out() {
    let mut stranger = Peer::new(support::start(), DtlsRole::Server);
    stranger.drain();
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    // A client that has not begun drops what answers the stranger.
    call.link = losing(Way::Down, |nth| nth == 0);
    assert_eq!(call.inject(address(1), &stranger.outbox[0]), Inbound::Consumed);
    assert!(call.connects_within(secs(3)));
}

#[test]
fn a_client_that_starts_over_is_answered() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.link = losing(Way::Down, |nth| nth == 0);
    // Before anybody repeats anything, or the first handshake might be done.
    call.run(ms(30), |_| false);
    assert!(!call.session.is_connected());
    call.peer.restart(call.now);
    assert!(call.run(secs(3), |call| call.session.is_connected() && call.peer.is_connected));
}

#[test]
fn after_a_failed_handshake_the_next_one_succeeds() {
    // An empty Certificate in place of the client's, a ServerHello of DTLS 1.0 in place of the server's.
    let old_hello = [&[0xFE, 0xFF][..], &[0; 36]].concat();
    let forged = [handshake(11, 1, &[0, 0, 0]), handshake(2, 0, &old_hello)];
    for (role, forged) in ROLES.into_iter().zip(forged) {
        let mut call = Call::new(false, role);
        call.check(&Check::ordinary().nominating());
        call.run(ms(15), |_| false);
        assert_eq!(call.inject(address(1), &forged), Inbound::Dropped(DropReason::BadDtls), "{role:?}");
        call.run(ms(300), |_| false);
        assert!(!call.session.is_connected());
        call.peer.restart(call.now);
        assert!(call.run(secs(5), |call| call.session.is_connected()), "{role:?}");
    }
}

#[test]
fn a_hello_whose_rest_was_forged_is_taken_when_it_is_repeated() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.peer.drain();
    let hello = call.peer.outbox.remove(0);
    let body = hello.len() - 25;
    let fragment = |offset: usize, bytes: &[u8]| {
        let mut message = hello[13..19].to_vec();
        message.extend_from_slice(&(offset as u32).to_be_bytes()[1..]);
        message.extend_from_slice(&(bytes.len() as u32).to_be_bytes()[1..]);
        message.extend_from_slice(bytes);
        record(22, &message)
    };
    let (first, second) = (fragment(0, &hello[25..75]), fragment(50, &hello[75..]));
    call.inject(address(1), &first);
    call.inject(address(1), &fragment(50, &vec![0xEE; body - 60]));
    call.take_sent();
    call.inject(address(1), &second);
    assert!(call.take_sent().is_empty(), "the forged rest is in the way");
    call.inject(address(1), &first);
    call.inject(address(1), &second);
    assert!(call.run(secs(1), |call| call.session.is_connected()));
}

#[test]
fn t01_nothing_is_read_or_sent_before_ice_has_proven_the_address() {
    for role in ROLES {
        let mut call = Call::new(false, role);
        call.check_from(address(2), &Check::ordinary());
        call.take_sent();
        call.peer.drain();
        let hello = call.peer.outbox.first().cloned().unwrap_or_else(|| bad_hellos().remove(0).1);
        for _ in 0..100 {
            assert_eq!(call.inject(address(1), &hello), Inbound::Dropped(DropReason::UnknownPeer));
        }
        assert!(call.take_sent().is_empty());
    }
}

#[test]
fn t16_an_unfinished_peer_is_sent_a_bounded_number_of_bytes() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.peer.drain();
    let hello = call.peer.outbox.remove(0);
    call.peer.failure = Some(dimpl::Error::ConnectionClosed);
    call.take_sent();
    call.inject(address(1), &hello);
    let flight: usize = call.take_sent().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!((400..1200).contains(&flight), "{flight} bytes in a flight");
    call.run(secs(40), |_| false);
    let repeated: usize = call.take_sent().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(repeated <= 6 * flight, "{repeated} bytes in retransmissions of {flight}");
    assert_eq!(call.closed(), Some(CloseReason::NeverConnected));
}

#[test]
fn t01_a_flood_of_hellos_signs_a_bounded_number_of_times() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.take_sent();
    call.link = Box::new(|way, _| if way == Way::Down { Fate::Lose } else { Fate::Pass });
    let mut stranger = Peer::new(call.now, DtlsRole::Server);
    stranger.drain();
    for nth in 0..1_000_u32 {
        let mut hello = stranger.outbox[0].clone();
        hello[30..34].copy_from_slice(&nth.to_be_bytes());
        call.now += ms(u64::from(nth % 2));
        call.inject(address(1), &hello);
    }
    let flights = call.take_sent().len();
    assert!((32..100).contains(&flights), "{flights} flights in half a second");
    call.link = Box::new(|_, _| Fate::Pass);
    assert!(call.connects_within(secs(3)), "and the client still gets in");
}

fn with_fingerprints(role: DtlsRole, announced: impl Fn(&Peer) -> Vec<Fingerprint>) -> Call {
    let peer = Peer::new(support::start(), role);
    let config = SessionConfig { fingerprints: announced(&peer), ..config(&peer, role) };
    Call::with(config, peer)
}

fn foreign(algorithm: HashAlgorithm) -> Fingerprint {
    let len = match algorithm {
        HashAlgorithm::Sha256 => 32,
        HashAlgorithm::Sha384 => 48,
        HashAlgorithm::Sha512 => 64,
    };
    Fingerprint { algorithm, digest: vec![7; len] }
}

#[test]
fn t14_a_certificate_that_was_not_announced_ends_the_session_without_keys() {
    for role in ROLES {
        let mut call = with_fingerprints(role, |_| vec![foreign(HashAlgorithm::Sha256)]);
        assert!(!call.connects_within(secs(1)));
        assert_eq!(call.closed(), Some(CloseReason::WrongCertificate));
        assert!(!call.session.is_connected());
        assert_eq!(call.session.seal_overhead(), 0, "no keys");
        assert!(!call.session.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 0], &mut Vec::new()));
        assert!(!call.events.iter().any(|event| matches!(event, Output::Connected { .. })));
        call.run(ms(100), |_| false);
        assert!(call.peer.is_closed, "the peer is told");
        assert_eq!(call.session.next_timeout(), None);
    }
}

#[test]
fn t14_one_fit_among_several_fingerprints_is_enough() {
    for role in ROLES {
        for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            let mut call = with_fingerprints(role, |peer| {
                vec![foreign(HashAlgorithm::Sha256), foreign(algorithm), peer.fingerprint_by(algorithm)]
            });
            assert!(call.connects_within(secs(1)), "{role:?} {algorithm:?}");
        }
    }
}

#[test]
fn t14_no_fingerprint_and_a_cut_one_fit_nothing() {
    let cut = |peer: &Peer| {
        let mut fingerprint = peer.fingerprint();
        fingerprint.digest.truncate(16);
        vec![fingerprint]
    };
    for mut call in
        [with_fingerprints(DtlsRole::Server, |_| Vec::new()), with_fingerprints(DtlsRole::Server, cut)]
    {
        assert!(!call.connects_within(secs(1)));
        assert_eq!(call.closed(), Some(CloseReason::WrongCertificate));
    }
}

#[test]
fn a_mismatch_before_the_proof_of_possession_ends_nothing() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    call.run(ms(15), |_| false);
    // Somebody else's certificate in the client's place: seen, but nothing follows that proves its key.
    let stranger = Peer::new(call.now, DtlsRole::Server).certificate.certificate;
    let length = |more: usize| ((stranger.len() + more) as u32).to_be_bytes();
    let body = [&length(3)[1..], &length(0)[1..], &stranger].concat();
    call.inject(address(1), &handshake(11, 1, &body));
    call.run(secs(1), |_| false);
    assert_eq!(call.closed(), None);
}

#[test]
fn large_dtls_datagrams_are_dropped_unread() {
    let mut call = Call::new(false, DtlsRole::Server);
    call.check(&Check::ordinary().nominating());
    let mut large = handshake(1, 0, &[0; 1000]);
    large.resize(2_049, 0);
    assert_eq!(call.inject(address(1), &large), Inbound::Dropped(DropReason::BadDtls));
    assert!(call.connects_within(secs(1)));
}
