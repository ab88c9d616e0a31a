//! ICE restarts (RFC 8445 §9): new credentials, the same DTLS, the same keys, media without a break.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use support::check::{Check, ICE_CONTROLLED, ICE_CONTROLLING};
use support::{Call, SERVER_PWD, address, credentials, ms, secs};
use wtn_media::{DtlsRole, Ssrc};
use wtn_session::{CloseReason, DropReason, Inbound, Output};

const NEW_PWD: &str = "another-server-password-of-length";

/// The nth restart of a call.
fn restart(call: &mut Call, nth: u8) {
    let (local, remote) = (format!("srv{nth}"), format!("cli{nth}"));
    call.session
        .restart(credentials(&local, NEW_PWD), credentials(&remote, "client-password-after-the-restart"));
}

/// A check with the credentials of the nth restart.
fn renewed(nth: u8) -> Check {
    Check::named(&format!("srv{nth}:cli{nth}")).signed_with(NEW_PWD)
}

fn rtp(sequence: u8) -> [u8; 16] {
    [0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4]
}

const UNKNOWN: Inbound<'static> = Inbound::Dropped(DropReason::UnknownUser);

#[test]
fn sess_17_what_was_before_a_restart_proves_nothing_new() {
    let mut call = Call::connected();
    restart(&mut call, 1);
    let events = call.events.len();
    for nth in [2, 3] {
        assert_eq!(call.check_from(address(nth), &Check::ordinary().nominating()), UNKNOWN);
        assert!(!call.session.knows(address(nth)));
    }
    // Crossed over: ours of one, theirs of the other.
    assert_eq!(call.check(&Check::named("srv1:cli0").signed_with(NEW_PWD)), UNKNOWN);
    assert_eq!(call.check(&Check::named("srv0:cli1")), UNKNOWN);
    assert_eq!(call.events.len(), events);
}

#[test]
fn sess_17_after_the_switch_nobody_is_answered_by_the_old_credentials() {
    let mut call = Call::connected();
    restart(&mut call, 1);
    call.check_from(address(2), &renewed(1).nominating());
    assert_eq!(call.events.last(), Some(&Output::Renewed));
    call.take_sent();
    for nth in [1, 2, 3] {
        assert_eq!(call.check_from(address(nth), &Check::ordinary().nominating()), UNKNOWN);
    }
    assert!(call.take_sent().is_empty());
    assert_eq!(call.session.remote(), Some(address(2)));
}

#[test]
fn sess_18_media_stays_on_the_old_pair_until_a_new_one_is_nominated() {
    let mut call = Call::connected();
    restart(&mut call, 1);
    assert_eq!(call.session.remote(), Some(address(1)));
    assert_eq!(call.check_from(address(2), &renewed(1)), Inbound::Consumed);
    assert!(call.session.knows(address(2)), "a pair of the new ones, not chosen yet");
    assert_eq!(call.session.remote(), Some(address(1)));
    assert!(!call.events.contains(&Output::Renewed));
    call.check_from(address(2), &renewed(1).nominating());
    assert_eq!(call.session.remote(), Some(address(2)));
    assert_eq!(call.events[call.events.len() - 2..], [Output::RemoteChanged(address(2)), Output::Renewed]);
}

#[test]
fn sess_18_dtls_and_keys_know_nothing_of_a_restart() {
    let mut call = Call::connected_as(true);
    let (mut seal, mut open) = call.peer.srtp();
    let mut exchange = |call: &mut Call, sequence: u8, from| {
        let packet = seal.encrypt_rtp(&rtp(sequence)).unwrap();
        let index = sequence.into();
        assert_eq!(call.inject(from, &packet), Inbound::Rtp { packet: b"", index });
        let mut out = [0; 64];
        out[..12].copy_from_slice(&rtp(sequence)[..12]);
        let len =
            call.session.seal_rtp(Ssrc(7), sequence.into(), 12, &rtp(sequence)[12..], &mut out).unwrap();
        assert_eq!(open.decrypt_rtp(&out[..len]).unwrap(), rtp(sequence)[..]);
    };
    exchange(&mut call, 1, address(1));
    call.take_sent();
    restart(&mut call, 1);
    exchange(&mut call, 2, address(1));
    call.check_from(address(2), &renewed(1).nominating());
    exchange(&mut call, 3, address(2));
    exchange(&mut call, 4, address(1)); // what was still under way
    call.pass(secs(5));
    exchange(&mut call, 5, address(2));
    assert!(call.take_sent().iter().all(|(_, bytes)| bytes[0] < 4), "checks are answered, DTLS is silent");
    let connected = call.events.iter().filter(|event| matches!(event, Output::Connected { .. }));
    assert_eq!(connected.count(), 1);
}

#[test]
fn sess_18_a_restart_on_the_very_same_pair_needs_no_move() {
    let mut call = Call::connected();
    restart(&mut call, 1);
    let events = call.events.len();
    call.check(&renewed(1).nominating());
    assert_eq!(call.events[events..], [Output::Renewed]);
    assert_eq!(call.check(&Check::ordinary()), UNKNOWN);
}

#[test]
fn sess_17_consent_for_the_old_pair_is_answered_until_the_switch_and_moves_nothing() {
    let mut call = Call::connected();
    call.check_from(address(2), &Check::ordinary());
    restart(&mut call, 1);
    call.take_sent();
    // RFC 7675 §5.1: every 5 s or so, for longer than silence may last. This client never comes with the new
    // ones: perhaps it never got our reply.
    for _ in 0..20 {
        call.pass(secs(5));
        assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed);
        let reply = call.take_sent().remove(0).1;
        let message = is::stun::StunMessage::parse(&reply).unwrap();
        assert!(message.is_successful_binding_response() && message.verify(SERVER_PWD.as_bytes(), hmac_sha1));
    }
    assert_eq!(call.check_from(address(2), &Check::ordinary().nominating()), Inbound::Consumed);
    assert_eq!(call.session.remote(), Some(address(1)), "only the new ones nominate");
    call.pass(secs(31));
    assert_eq!(call.closed(), Some(CloseReason::Silent));
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, &parts.concat()).as_ref().try_into().unwrap()
}

#[test]
fn sess_23_of_several_restarts_the_last_is_in_force() {
    let mut call = Call::connected();
    for nth in 1..=9 {
        restart(&mut call, nth);
    }
    for nth in 1..9 {
        assert_eq!(call.check(&renewed(nth).nominating()), UNKNOWN, "restart {nth}");
    }
    assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed, "the pair in use keeps its consent");
    assert_eq!(call.check_from(address(2), &renewed(9).nominating()), Inbound::Consumed);
    assert_eq!(call.session.remote(), Some(address(2)));
    assert_eq!(call.check(&Check::ordinary()), UNKNOWN);
    restart(&mut call, 10);
    assert_eq!(call.check_from(address(2), &renewed(9)), Inbound::Consumed, "which is now the old one");
}

#[test]
fn sess_19_a_forged_check_ends_no_restart() {
    let mut call = Call::connected();
    restart(&mut call, 1);
    let forged = renewed(1).nominating().signed_with(SERVER_PWD);
    assert_eq!(call.check_from(address(2), &forged), Inbound::Dropped(DropReason::Unauthentic));
    let confused = renewed(1).nominating().without(ICE_CONTROLLING).with(ICE_CONTROLLED, &[9; 8]);
    assert_eq!(call.check_from(address(2), &confused), Inbound::Consumed, "487");
    assert_eq!(call.session.remote(), Some(address(1)));
    assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed, "the pair in use is answered as before");
    assert!(!call.events.contains(&Output::Renewed));
}

#[test]
fn sess_18_a_restart_before_the_first_check_leaves_one_way_in() {
    let mut call = Call::new(true, DtlsRole::Server);
    restart(&mut call, 1);
    assert_eq!(call.check(&Check::ordinary().nominating()), UNKNOWN);
    assert_eq!(call.check(&renewed(1).nominating()), Inbound::Consumed);
    assert!(call.run(secs(5), |call| call.session.is_connected() && call.peer.is_connected));
    assert!(!call.events.contains(&Output::Renewed), "nothing of before is left that could end");
}

#[test]
fn sess_18_a_restart_within_the_handshake_disturbs_it_not() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.check(&Check::ordinary().nominating());
        call.run(ms(15), |_| false);
        restart(&mut call, 1);
        call.check(&renewed(1).nominating());
        assert!(call.run(secs(5), |call| call.session.is_connected() && call.peer.is_connected), "{role:?}");
    }
}
