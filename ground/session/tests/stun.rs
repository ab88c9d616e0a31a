//! STUN and ICE-lite: who gets an answer, who gets silence, and where media goes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::net::SocketAddr;
use support::check::{Check, ICE_CONTROLLED, ICE_CONTROLLING, PRIORITY, TRANSACTION, USERNAME};
use support::{Call, SERVER_PWD, address};
use wtn_media::DtlsRole;
use wtn_session::stun::{BindingRequest, is_stun};
use wtn_session::{ADDRESSES_MAX, DropReason, Inbound, Output};

fn waiting() -> Call {
    Call::new(false, DtlsRole::Server)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// RFC 5769 §2.1.
const SAMPLE: &str = "00010058 2112a442 b7e7a701bc34d686fa87dfae \
    80220010 5354554e207465737420636c69656e74 00240004 6e0001ff 80290008 932ff9b151263b36 \
    00060009 6576746a3a68367659202020 00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 \
    80280004 e57a3bcf";

#[test]
fn the_sample_request_of_rfc_5769_is_read_and_verified() {
    let bytes = hex(SAMPLE);
    let request = BindingRequest::parse(&bytes).unwrap();
    assert_eq!((request.local_ufrag(), request.remote_ufrag()), ("evtj", "h6vY"));
    assert!(request.verify("VOkJxbRl1RmTxUk/WvJxBt"));
    assert!(!request.verify("VOkJxbRl1RmTxUk/WvJxBu"));
    assert!(request.claims_controlled() && !request.use_candidate());
    assert!(is_stun(&bytes));
}

#[test]
fn no_changed_bit_of_a_request_is_verified() {
    let good = hex(SAMPLE);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(request) = BindingRequest::parse(&bad) {
            assert!(!request.verify("VOkJxbRl1RmTxUk/WvJxBt"), "bit {bit}");
        }
    }
}

#[test]
fn live_02_another_implementation_accepts_the_answer() {
    let mut call = waiting();
    for from in [address(1).address, "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()] {
        assert_eq!(call.check_from(from.into(), &Check::ordinary()), Inbound::Consumed);
        let (to, answer) = call.take_sent().remove(0);
        assert_eq!(to, from.into());
        let message = is::stun::StunMessage::parse(&answer).unwrap();
        assert!(message.is_successful_binding_response());
        assert_eq!(message.mapped_address(), Some(from));
        assert!(message.verify(SERVER_PWD.as_bytes(), hmac_sha1));
        assert_eq!(answer[8..20], TRANSACTION);
        assert_eq!(answer[answer.len() - 8..answer.len() - 4], [0x80, 0x28, 0, 4], "fingerprint is last");
    }
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, &parts.concat()).as_ref().try_into().unwrap()
}

#[test]
fn an_ipv4_client_of_an_ipv6_socket_is_told_its_ipv4_address() {
    let mut call = waiting();
    let mapped: SocketAddr = "[::ffff:192.0.2.7]:4000".parse().unwrap();
    call.check_from(mapped.into(), &Check::ordinary());
    let answer = &call.take_sent()[0].1;
    let message = is::stun::StunMessage::parse(answer).unwrap();
    assert_eq!(message.mapped_address(), Some("192.0.2.7:4000".parse().unwrap()));
}

#[test]
fn live_03_l11_a_check_without_priority_and_controlling_is_answered_and_nominates() {
    let mut call = waiting();
    assert_eq!(call.check(&Check::of_ffmpeg()), Inbound::Consumed);
    assert_eq!(call.session.remote(), Some(address(1)));
    assert_eq!(call.take_sent().len(), 1);
}

#[test]
fn a_request_without_fingerprint_is_answered_if_its_integrity_fits() {
    let mut call = waiting();
    assert_eq!(call.check(&Check { has_fingerprint: false, ..Check::ordinary() }), Inbound::Consumed);
}

#[test]
fn live_05_a_client_that_claims_our_role_is_told_487() {
    let mut call = waiting();
    let check = Check::ordinary().without(ICE_CONTROLLING).with(ICE_CONTROLLED, &[9; 8]).nominating();
    assert_eq!(call.check(&check), Inbound::Consumed);
    let answer = call.take_sent().remove(0).1;
    let message = is::stun::StunMessage::parse(&answer).unwrap();
    assert_eq!(message.error_code(), Some((487, "Role Conflict")));
    assert!(message.verify(SERVER_PWD.as_bytes(), hmac_sha1));
    assert!(!call.session.knows(address(1)), "such a check proves no pair");
    assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed, "it may try again in its own role");
    assert!(call.session.knows(address(1)));
}

/// What it is, its bytes, and why it is dropped.
fn refused() -> Vec<(&'static str, Vec<u8>, DropReason)> {
    use DropReason::{BadStun, Unauthentic, UnknownKind, UnknownUser};
    let ordinary = Check::ordinary;
    let length_lies = |by: i16| {
        let mut bytes = ordinary().bytes();
        let length = i16::from_be_bytes([bytes[2], bytes[3]]) + by;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let mut bad_fingerprint = ordinary().bytes();
    *bad_fingerprint.last_mut().unwrap() ^= 1;
    let mut wrong_cookie = ordinary().bytes();
    wrong_cookie[4] ^= 1;
    let late = |kind: u16| Check { afterwards: vec![(kind, vec![0; 4])], ..ordinary() }.bytes();
    vec![
        ("no integrity", Check { has_integrity: false, ..ordinary() }.bytes(), BadStun),
        ("wrong key", ordinary().signed_with("another password of 32 character").bytes(), Unauthentic),
        ("their key", ordinary().signed_with(support::CLIENT_PWD).bytes(), Unauthentic),
        ("empty key", ordinary().signed_with("").bytes(), Unauthentic),
        ("wrong remote ufrag", Check::named("srv0:clix").bytes(), UnknownUser),
        ("wrong local ufrag", Check::named("srv1:cli0").bytes(), UnknownUser),
        ("the other way round", Check::named("cli0:srv0").bytes(), UnknownUser),
        ("no colon", Check::named("srv0cli0").bytes(), BadStun),
        ("only a colon", Check::named(":").bytes(), UnknownUser),
        ("two colons", Check::named("srv0:cli0:x").bytes(), UnknownUser),
        ("600 bytes of name", Check::named(&"a:".repeat(300)).bytes(), BadStun),
        ("no name", ordinary().without(USERNAME).bytes(), BadStun),
        ("two names", ordinary().with(USERNAME, b"srv0:cli0").bytes(), BadStun),
        (
            "a name that is not text",
            ordinary().without(USERNAME).with(USERNAME, b"srv0:\xFF").bytes(),
            BadStun,
        ),
        ("use-candidate after the integrity", late(support::check::USE_CANDIDATE), BadStun),
        ("an optional attribute after the integrity", late(0xC057), BadStun),
        ("a second integrity", late(support::check::MESSAGE_INTEGRITY), BadStun),
        ("bad fingerprint", bad_fingerprint, Unauthentic),
        ("19 bytes", ordinary().bytes()[..19].to_vec(), BadStun),
        ("a header alone", ordinary().bytes()[..20].to_vec(), BadStun),
        ("length too long", length_lies(4), BadStun),
        ("length too short", length_lies(-4), BadStun),
        ("length uneven", length_lies(1), BadStun),
        ("trailing bytes", [ordinary().bytes(), vec![0; 4]].concat(), BadStun),
        ("wrong cookie", wrong_cookie, BadStun),
        ("unknown required attribute", ordinary().with(0x7F00, &[0; 4]).bytes(), BadStun),
        ("an indication", Check { message_type: 0x0011, ..ordinary() }.bytes(), BadStun),
        ("a success", Check { message_type: 0x0101, ..ordinary() }.bytes(), BadStun),
        ("an error", Check { message_type: 0x0111, ..ordinary() }.bytes(), BadStun),
        ("TURN's Allocate", Check { message_type: 0x0003, ..ordinary() }.bytes(), BadStun),
        ("nothing", Vec::new(), UnknownKind),
    ]
}

#[test]
fn t05_bad_stun_is_silence_before_and_after_a_connection() {
    for mut call in [waiting(), Call::connected()] {
        let (remote, events) = (call.session.remote(), call.events.len());
        call.take_sent();
        for (what, bytes, reason) in refused() {
            for from in [address(1), address(66)] {
                assert_eq!(call.inject(from, &bytes), Inbound::Dropped(reason), "{what}");
            }
            assert!(call.take_sent().is_empty(), "{what}: no reply");
            assert_eq!(call.events.len(), events, "{what}: nothing happens");
        }
        assert!(!call.session.knows(address(66)));
        assert_eq!(call.session.remote(), remote);
        assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed, "the honest client goes on");
    }
}

#[test]
fn attribute_lengths_that_lie_never_reach_outside() {
    let good = Check::ordinary().nominating().bytes();
    for at in 20..good.len() {
        for value in [0, 1, 3, 0x7F, 0x80, 0xFF] {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(request) = BindingRequest::parse(&bytes) {
                assert!(bytes == good || !request.verify(SERVER_PWD), "byte {at} as {value}");
            }
        }
    }
}

#[test]
fn live_04_the_first_address_is_provisional_and_a_nomination_decides() {
    let mut call = waiting();
    call.check_from(address(1), &Check::ordinary());
    assert_eq!(call.session.remote(), Some(address(1)), "DTLS may start");
    call.check_from(address(2), &Check::ordinary());
    assert_eq!(call.session.remote(), Some(address(1)));
    call.check_from(address(2), &Check::ordinary().nominating());
    assert_eq!(call.session.remote(), Some(address(2)));
    assert_eq!(
        call.events,
        [
            Output::AddressLearned(address(1)),
            Output::RemoteChanged(address(1)),
            Output::AddressLearned(address(2)),
            Output::RemoteChanged(address(2)),
        ]
    );
}

#[test]
fn live_05_the_newest_nomination_wins() {
    let mut call = Call::connected();
    for nth in [2, 3, 2, 1] {
        call.check_from(address(nth), &Check::ordinary().nominating());
        assert_eq!(call.session.remote(), Some(address(nth)));
        assert_eq!(call.events.last(), Some(&Output::RemoteChanged(address(nth))));
    }
}

#[test]
fn live_06_a_check_that_does_not_nominate_moves_nothing() {
    let mut call = Call::connected();
    call.check_from(address(2), &Check::ordinary());
    assert!(call.session.knows(address(2)));
    assert_eq!(call.session.remote(), Some(address(1)));
}

#[test]
fn t04_keepalives_on_an_old_pair_are_answered_and_its_packets_taken() {
    let mut call = Call::connected_as(true);
    call.check_from(address(2), &Check::ordinary().nominating());
    call.take_sent();
    assert_eq!(call.check_from(address(1), &Check::ordinary()), Inbound::Consumed);
    assert_eq!(call.take_sent()[0].0, address(1));
    let (mut seal, _) = call.peer.srtp();
    for (sequence, from) in [(1, address(1)), (2, address(2)), (3, address(1))] {
        let packet = seal.encrypt_rtp(&[0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3]).unwrap();
        let index = sequence.into();
        assert_eq!(call.inject(from, &packet), Inbound::Rtp { packet: b"", index });
    }
    assert_eq!(call.session.remote(), Some(address(2)));
}

#[test]
fn addresses_are_bounded_and_the_selected_one_is_never_forgotten() {
    let mut call = Call::connected();
    for nth in 2..=40 {
        call.check_from(address(nth), &Check::ordinary());
        let known = (1..=40).filter(|&nth| call.session.knows(address(nth))).count();
        assert!(known <= ADDRESSES_MAX);
        assert!(call.session.knows(address(1)) && call.session.knows(address(nth)));
    }
    let forgotten = call.events.iter().filter(|event| matches!(event, Output::AddressForgotten(_))).count();
    assert_eq!(forgotten, 40 - ADDRESSES_MAX);
    assert_eq!(call.session.remote(), Some(address(1)));
}

#[test]
fn an_address_in_use_outlives_one_that_fell_silent() {
    let mut call = Call::connected();
    call.check_from(address(2), &Check::ordinary());
    for nth in 3..=20 {
        call.check_from(address(2), &Check::ordinary());
        call.check_from(address(nth), &Check::ordinary());
        assert!(call.session.knows(address(2)));
    }
}

#[test]
fn priority_of_any_value_is_ignored() {
    let mut call = waiting();
    assert_eq!(call.check(&Check::ordinary().without(PRIORITY).with(PRIORITY, b"odd")), Inbound::Consumed);
}
