//! A session from its admission to its end: what it lives on, and what ends it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;
use support::check::Check;
use support::{CONNECT_WITHIN, Call, address, ms, secs, start};
use wtn_media::{ConnectionId, DtlsRole, Remote, Ssrc};
use wtn_session::{CloseReason, DropReason, Inbound, Output, SILENCE_MAX};

fn rtp(sequence: u8) -> [u8; 16] {
    [0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4]
}

fn report() -> [u8; 8] {
    [0x80, 201, 0, 1, 0, 0, 0, 7]
}

/// Ends when it says it ends, not earlier.
fn assert_silent_after(call: &mut Call, time: std::time::Duration) {
    let end = call.now + time;
    assert_eq!(call.session.next_timeout(), Some(end));
    call.pass(time - ms(1));
    assert!(call.session.is_connected());
    call.pass(ms(1));
    assert_eq!(call.closed(), Some(CloseReason::Silent));
    assert_eq!(call.session.next_timeout(), None);
}

#[test]
fn live_16_without_a_check_it_ends_when_its_time_is_up() {
    let mut call = Call::new(true, DtlsRole::Server);
    assert_eq!(call.session.next_timeout(), Some(start() + CONNECT_WITHIN));
    call.pass(CONNECT_WITHIN - ms(1));
    assert_eq!(call.closed(), None);
    call.pass(ms(1));
    assert_eq!(call.closed(), Some(CloseReason::NeverConnected));
    assert!(call.take_sent().is_empty());
}

#[test]
fn live_16_checks_alone_do_not_keep_it() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.peer.failure = Some(dimpl::Error::ConnectionClosed);
        while call.closed().is_none() && call.now < start() + secs(60) {
            call.check(&Check::ordinary().nominating());
            call.pass(secs(1));
        }
        assert_eq!(call.closed(), Some(CloseReason::NeverConnected), "{role:?}");
        assert_eq!(call.now, start() + CONNECT_WITHIN, "{role:?}");
    }
}

#[test]
fn live_13_l11_a_publisher_lives_on_any_authentic_packet() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    for sequence in 1..=5 {
        call.pass(secs(29));
        let packet = seal.encrypt_rtp(&rtp(sequence)).unwrap();
        let index = sequence.into();
        assert_eq!(call.inject(address(1), &packet), Inbound::Rtp { packet: b"", index });
    }
    call.pass(secs(29));
    let packet = seal.encrypt_rtcp(&report()).unwrap();
    assert_eq!(call.inject(address(1), &packet), Inbound::Rtcp(b""));
    call.pass(secs(29));
    call.check(&Check::ordinary());
    assert_silent_after(&mut call, SILENCE_MAX);
}

#[test]
fn live_14_a_viewer_lives_on_checks_and_reports_not_on_media() {
    let mut call = Call::connected();
    let (mut seal, _) = call.peer.srtp();
    call.pass(secs(20));
    call.check(&Check::ordinary());
    call.pass(secs(20));
    call.inject(address(1), &seal.encrypt_rtcp(&report()).unwrap());
    call.pass(secs(20));
    call.inject(address(1), &seal.encrypt_rtp(&rtp(1)).unwrap());
    assert_silent_after(&mut call, secs(10));
}

#[test]
fn live_13_what_is_not_authentic_is_no_sign_of_life() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    let replayed = seal.encrypt_rtp(&rtp(1)).unwrap();
    let reported = seal.encrypt_rtcp(&report()).unwrap();
    call.inject(address(1), &replayed);
    call.inject(address(1), &reported);
    for _ in 0..29 {
        call.pass(secs(1));
        assert_eq!(call.inject(address(1), &replayed), Inbound::Dropped(DropReason::Replay));
        assert_eq!(call.inject(address(1), &reported), Inbound::Dropped(DropReason::Replay));
        let forged = [&rtp(9)[..], &[0; 16]].concat();
        assert_eq!(call.inject(address(1), &forged), Inbound::Dropped(DropReason::BadTag));
        let forged = Check::ordinary().signed_with("guess");
        assert_eq!(call.check(&forged), Inbound::Dropped(DropReason::Unauthentic));
    }
    assert_silent_after(&mut call, secs(1));
}

#[test]
fn live_13_ten_minutes_of_media_alone_keep_a_publisher() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    for second in 1..=600_u16 {
        call.pass(secs(1));
        let [high, low] = second.to_be_bytes();
        let packet = [0x80, 96, high, low, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4];
        let index = second.into();
        let sealed = seal.encrypt_rtp(&packet).unwrap();
        assert_eq!(call.inject(address(1), &sealed), Inbound::Rtp { packet: b"", index }, "{second} s");
    }
    assert_silent_after(&mut call, SILENCE_MAX);
}

#[test]
fn live_12_consent_is_answered_for_ten_idle_minutes() {
    for is_publisher in [true, false] {
        let mut call = Call::connected_as(is_publisher);
        call.take_sent();
        for check in 1..=120 {
            call.pass(secs(5));
            assert_eq!(call.check(&Check::ordinary()), Inbound::Consumed);
            assert_eq!(call.take_sent().len(), 1, "check {check}");
        }
        assert!(call.session.is_connected());
    }
}

#[test]
fn live_11_a_lite_server_sends_no_checks_and_stops_after_thirty_silent_seconds() {
    let mut call = Call::connected();
    call.check(&Check::ordinary());
    call.take_sent();
    assert_silent_after(&mut call, SILENCE_MAX);
    assert!(call.take_sent().iter().all(|(_, bytes)| bytes[0] >= 20), "no STUN of our own");
    let mut out = [0; 64];
    assert_eq!(call.session.seal_rtp(Ssrc(7), 1, 12, &[1, 2, 3], &mut out), None, "nothing more can be sent");
}

#[test]
fn live_15_a_bye_alone_ends_nothing() {
    for is_publisher in [true, false] {
        let mut call = Call::connected_as(is_publisher);
        let (mut seal, _) = call.peer.srtp();
        let compound = [report().as_slice(), &[0x81, 203, 0, 1, 0, 0, 0, 7]].concat();
        assert_eq!(call.inject(address(1), &seal.encrypt_rtcp(&compound).unwrap()), Inbound::Rtcp(b""));
        call.pass(secs(20));
        assert!(call.session.is_connected() && call.closed().is_none());
    }
}

#[test]
fn live_06_authentic_media_from_an_unknown_address_moves_nothing() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    let packet = seal.encrypt_rtp(&rtp(1)).unwrap();
    assert_eq!(call.inject(address(9), &packet), Inbound::Dropped(DropReason::UnknownPeer));
    assert_eq!(call.session.remote(), Some(address(1)));
    assert_eq!(call.inject(address(1), &packet), Inbound::Rtp { packet: b"", index: 1 });
}

#[test]
fn live_15_close_notify_of_the_peer_ends_it_and_is_answered() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.connect();
        call.take_sent();
        call.peer.close(call.now);
        call.pass(secs(1));
        assert_eq!(call.closed(), Some(CloseReason::ClosedByPeer), "{role:?}");
        assert_eq!(call.take_sent().len(), 1, "{role:?}: close_notify comes back");
        assert!(!call.session.is_connected());
    }
}

#[test]
fn live_17_closing_tells_the_peer_once() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.connect();
        call.take_sent();
        call.close();
        call.close();
        assert_eq!(call.take_sent().len(), 1);
        call.pass(ms(100));
        assert!(call.peer.is_closed, "{role:?}");
        assert_eq!(call.closed(), None, "whoever closes it knows");
    }
}

#[test]
fn a_closed_session_takes_and_gives_nothing() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    call.close();
    call.take_sent();
    let sealed = seal.encrypt_rtp(&rtp(1)).unwrap();
    for datagram in [&Check::ordinary().bytes()[..], &sealed, &[22; 40]] {
        assert_eq!(call.inject(address(1), datagram), Inbound::Dropped(DropReason::UnknownPeer));
    }
    assert_eq!(call.session.seal_rtp(Ssrc(1), 1, 12, b"x", &mut [0; 100]), None);
    assert!(!call.session.seal_rtcp(&report(), &mut Vec::new()));
    call.pass(secs(100));
    assert!(call.take_sent().is_empty());
    assert_eq!((call.session.next_timeout(), call.closed()), (None, None));
}

#[test]
fn closing_before_the_handshake_is_done_sends_nothing() {
    for checks in 0..2 {
        let mut call = Call::new(true, DtlsRole::Server);
        for _ in 0..checks {
            call.check(&Check::ordinary());
        }
        call.take_sent();
        call.close();
        assert!(call.take_sent().is_empty());
    }
}

#[test]
fn media_before_the_keys_is_too_early() {
    let mut call = Call::new(true, DtlsRole::Server);
    call.check(&Check::ordinary());
    assert_eq!(call.inject(address(1), &rtp(1)), Inbound::Dropped(DropReason::TooEarly));
    assert_eq!(call.inject(address(1), &report()), Inbound::Dropped(DropReason::TooEarly));
    assert_eq!(call.session.seal_rtp(Ssrc(1), 1, 12, b"x", &mut [0; 100]), None);
    assert_eq!(call.session.seal_overhead(), 0);
}

#[test]
fn media_flows_both_ways_once_connected() {
    let mut call = Call::connected_as(true);
    let (mut seal, mut open) = call.peer.srtp();
    let mut datagram = seal.encrypt_rtp(&rtp(3)).unwrap().to_vec();
    let inbound = call.session.handle_datagram(call.now, address(1), &mut datagram);
    assert_eq!(inbound, Inbound::Rtp { packet: &rtp(3), index: 3 });
    let mut datagram = seal.encrypt_rtcp(&report()).unwrap().to_vec();
    let inbound = call.session.handle_datagram(call.now, address(1), &mut datagram);
    assert_eq!(inbound, Inbound::Rtcp(&report()));

    let mut out = [0; 12 + 4 + 16];
    out[..12].copy_from_slice(&rtp(8)[..12]);
    assert_eq!(call.session.seal_rtp(Ssrc(7), 8, 12, &rtp(8)[12..], &mut out), Some(32));
    assert_eq!(open.decrypt_rtp(&out).unwrap(), rtp(8)[..]);
    let mut out = Vec::new();
    assert!(call.session.seal_rtcp(&report(), &mut out));
    assert_eq!(open.decrypt_rtcp(&out).unwrap(), report()[..]);
}

#[test]
fn dtls_follows_the_client_to_its_new_address() {
    let mut call = Call::connected();
    call.check_from(address(2), &Check::ordinary().nominating());
    call.take_sent();
    call.close();
    assert_eq!(call.take_sent()[0].0, address(2));
}

#[test]
fn events_come_in_the_order_of_a_life() {
    let mut call = Call::connected();
    call.peer.close(call.now);
    call.pass(secs(1));
    assert_eq!(
        call.events,
        [
            Output::AddressLearned(address(1)),
            Output::RemoteChanged(address(1)),
            Output::Connected { remote: address(1), srtp_profile: "SRTP_AEAD_AES_256_GCM" },
            Output::Closed(CloseReason::ClosedByPeer),
        ]
    );
}

/// A path by TCP, to the place of `address(nth)`.
fn connection(nth: u8) -> Remote {
    Remote::tcp(address(nth).address, ConnectionId(NonZeroU32::new(nth.into()).unwrap()))
}

#[test]
fn live_18_a_connection_that_breaks_moves_media_to_a_path_that_is_left() {
    let mut call = Call::connected();
    call.check_from(connection(2), &Check::ordinary().nominating());
    assert_eq!(call.session.remote(), Some(connection(2)));
    call.session.handle_disconnect(connection(2));
    call.pass(Duration::ZERO);
    assert_eq!(call.session.remote(), Some(address(1)));
    assert!(!call.session.knows(connection(2)));
    assert!(
        call.events.ends_with(&[Output::AddressForgotten(connection(2)), Output::RemoteChanged(address(1)),])
    );
    call.session.handle_disconnect(connection(2));
    call.session.handle_disconnect(connection(3));
    assert_eq!(call.session.poll(), None, "nothing is known of those");
}

#[test]
fn live_18_a_session_without_any_path_waits_for_its_client_and_sends_nothing() {
    let mut call = Call::connected();
    call.check_from(connection(2), &Check::ordinary().nominating());
    call.session.handle_disconnect(connection(2));
    call.session.handle_disconnect(address(1));
    assert_eq!(call.session.remote(), None);
    assert!(call.session.is_connected());
    let mut late = [0x80; 40];
    assert_eq!(
        call.session.handle_datagram(call.now, connection(2), &mut late),
        Inbound::Dropped(DropReason::UnknownPeer)
    );
    // The same address again is another connection, and has to prove itself.
    call.check_from(connection(3), &Check::ordinary());
    assert_eq!(call.session.remote(), Some(connection(3)));
    call.session.handle_disconnect(connection(3));
    call.pass(SILENCE_MAX);
    assert!(call.events.ends_with(&[Output::Closed(CloseReason::Silent)]), "{:?}", call.events);
}

#[test]
fn a_session_may_move_to_its_shard() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&Call::new(true, DtlsRole::Server).session);
}
