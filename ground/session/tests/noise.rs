//! Datagrams of every first byte and every small length, in every phase, from friend and stranger.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use support::check::Check;
use support::{Call, address, ms, secs};
use wtn_media::DtlsRole;
use wtn_session::{DropReason, Inbound};

/// What is behind the first byte.
fn fillings() -> [fn(usize) -> u8; 4] {
    [|_| 0, |_| 0xFF, |at| at as u8, |at| (at * 89 + 7) as u8]
}

fn shout_at(call: &mut Call) {
    let (remote, events) = (call.session.remote(), call.events.len());
    for fill in fillings() {
        for first in 0..=255 {
            for len in 0..=64 {
                let mut datagram: Vec<u8> = (0..len).map(fill).collect();
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                for from in [address(1), address(99)] {
                    let outcome = call.inject(from, &datagram);
                    check_outcome(first, len, from == address(1), &outcome);
                }
            }
        }
    }
    assert_eq!(call.events.len(), events, "nothing happened");
    assert_eq!(call.session.remote(), remote);
    assert!(!call.session.knows(address(99)));
}

fn check_outcome(first: u8, len: usize, is_peer: bool, outcome: &Inbound<'_>) {
    match outcome {
        // dimpl takes what is noise to it without a word.
        Inbound::Consumed => assert!((20..64).contains(&first) && is_peer, "{first} {len}"),
        Inbound::Rtp { .. } | Inbound::Rtcp(_) => panic!("{first} {len} is authentic?"),
        Inbound::Dropped(reason) => {
            let is_known_kind = len > 0 && matches!(first, 0..=3 | 20..=63 | 128..=191);
            assert_eq!(*reason == DropReason::UnknownKind, !is_known_kind, "{first} {len} {reason:?}");
        }
    }
}

#[test]
fn t03_live_07_before_ice() {
    let mut call = Call::new(true, DtlsRole::Server);
    shout_at(&mut call);
    assert!(call.take_sent().is_empty());
    assert!(call.connects_within(secs(1)));
}

#[test]
fn t03_live_07_between_ice_and_dtls() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.check(&Check::ordinary().nominating());
        shout_at(&mut call);
        assert!(call.connects_within(secs(3)), "{role:?}");
    }
}

#[test]
fn t03_live_07_within_the_handshake() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        for moment in [5, 15, 25] {
            let mut call = Call::new(true, role);
            call.check(&Check::ordinary().nominating());
            call.run(ms(moment), |_| false);
            shout_at(&mut call);
            assert!(call.connects_within(secs(5)), "{role:?} {moment}");
        }
    }
}

#[test]
fn t03_live_07_when_live() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        let mut call = Call::new(true, role);
        call.connect();
        call.take_sent();
        shout_at(&mut call);
        assert!(call.take_sent().is_empty());
        assert!(call.session.is_connected());
        let (mut seal, _) = call.peer.srtp();
        let packet = seal.encrypt_rtp(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3]).unwrap();
        assert_eq!(call.inject(address(1), &packet), Inbound::Rtp { packet: b"", index: 1 });
        call.close();
        call.pass(ms(100));
        assert!(call.peer.is_closed);
    }
}

#[test]
fn t03_after_the_end() {
    let mut call = Call::connected();
    call.close();
    for first in 0..=255 {
        let outcome = call.inject(address(1), &[first; 40]);
        assert_eq!(outcome, Inbound::Dropped(DropReason::UnknownPeer));
    }
}

#[test]
fn t18_large_datagrams_of_every_kind_are_dropped_whole() {
    let mut call = Call::connected_as(true);
    for len in [1_501, 2_049, 9_000, 65_507] {
        for first in [0, 1, 20, 22, 23, 63, 128, 144, 191] {
            let outcome = call.inject(address(1), &vec![first; len]);
            assert!(matches!(outcome, Inbound::Dropped(_) | Inbound::Consumed), "{first} {len}");
        }
    }
    assert!(call.session.is_connected());
}

/// Every datagram of an honest handshake with one byte changed, in place of the honest one.
#[test]
fn a_changed_byte_anywhere_in_the_handshake_is_survived() {
    for role in [DtlsRole::Server, DtlsRole::Client] {
        for nth in 0..2 {
            for at in (0..700).step_by(3) {
                let mut call = Call::new(true, role);
                call.check(&Check::ordinary().nominating());
                let mut seen = 0;
                call.tamper = Box::new(move |datagram| {
                    let is_it = seen == nth;
                    seen += 1;
                    if is_it && let Some(byte) = datagram.get_mut(at) {
                        *byte ^= 0x55;
                    }
                });
                call.run(secs(1), |call| call.session.is_connected());
                assert!(call.closed().is_none(), "{role:?} {nth} {at}");
            }
        }
    }
}
