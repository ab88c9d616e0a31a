//! What a viewer costs to keep, and that a packet costs no allocation.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use support::check::Check;
use support::{Call, address, secs};
use wtn_media::{DtlsRole, Ssrc};
use wtn_session::{Inbound, Session};

/// The design's limit for a connected viewer without media.
const VIEWER_BYTES_MAX: usize = 16 * 1024;

fn connected_session(is_publisher: bool) -> Session {
    let mut call = Call::connected_as(is_publisher);
    call.session.handle_timeout(call.now);
    call.session
}

/// The heap of this process, the C library's part included. Linux tells it by the page.
#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn a_connected_viewer_fits_its_budget() {
    const VIEWERS: usize = 1_500;
    drop((0..200).map(|_| connected_session(false)).collect::<Vec<_>>());
    let before = resident_bytes();
    let viewers: Vec<_> = (0..VIEWERS).map(|_| connected_session(false)).collect();
    let each = resident_bytes().saturating_sub(before) / VIEWERS;
    assert_eq!(viewers.len(), VIEWERS);
    println!("{each} bytes a connected viewer, {} of them in Session", size_of::<Session>());
    assert!(each <= VIEWER_BYTES_MAX, "{each} bytes a viewer");
}

#[test]
fn sealing_and_opening_packets_allocates_nothing() {
    let mut call = Call::connected_as(true);
    let (mut seal, _) = call.peer.srtp();
    let packet = |sequence: u8| [&[0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7][..], &[5; 1_000]].concat();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let mut inbound: Vec<_> = (1..=100).map(|nth| seal.encrypt_rtp(&packet(nth)).unwrap().to_vec()).collect();
    inbound.extend((0..10).map(|_| seal.encrypt_rtcp(&report).unwrap().to_vec()));
    let (mut slot, mut reports) = (packet(0), Vec::with_capacity(4_096));
    slot.resize(1_200, 0);
    let session = &mut call.session;
    // The first packet of an SSRC may: it is remembered from then on.
    for datagram in [&mut inbound.remove(0), inbound.last_mut().unwrap()] {
        assert!(matches!(
            session.handle_datagram(call.now, address(1), datagram),
            Inbound::Rtp { .. } | Inbound::Rtcp(_)
        ));
    }
    let used = allocation_counter::measure(|| {
        for datagram in &mut inbound {
            session.handle_datagram(call.now, address(1), datagram);
        }
        for index in 0..100 {
            assert!(session.seal_rtp(Ssrc(7), index, 12, &[9; 1_000], &mut slot).is_some());
            reports.clear();
            assert!(session.seal_rtcp(&report, &mut reports));
        }
    });
    assert_eq!(used.count_total, 0);
}

/// A fragment of a handshake message as the validated client may send it.
fn fragment(sequence: u16, total: u32, offset: u32, len: usize) -> Vec<u8> {
    let mut record = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9];
    record.extend_from_slice(&(12 + len as u16).to_be_bytes());
    record.push(if sequence == 0 { 1 } else { 11 });
    record.extend_from_slice(&total.to_be_bytes()[1..]);
    record.extend_from_slice(&sequence.to_be_bytes());
    record.extend_from_slice(&offset.to_be_bytes()[1..]);
    record.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    record.resize(record.len() + len, 7);
    record
}

#[test]
fn t11_fragments_without_end_fill_no_memory() {
    for (sequence, total) in [(0, 0xFF_FFFF), (1, 0xFF_FFFF), (1, 60_000), (5, 1_000)] {
        let mut call = Call::new(true, DtlsRole::Server);
        call.check(&Check::ordinary().nominating());
        call.peer.drain();
        let hello = call.peer.outbox[0].clone();
        let used = allocation_counter::measure(|| {
            call.inject(address(1), &hello);
            for nth in 0..10_000_u32 {
                let len = [0, 1, 500, 1_300][nth as usize % 4];
                call.inject(address(1), &fragment(sequence, total, (nth * 7_919) % total, len));
            }
            call.take_sent();
        });
        let kept = used.bytes_current.max(0) as u64;
        assert!(kept < 64 * 1024 && used.bytes_max < 256 * 1024, "{kept} kept, {} at most", used.bytes_max);
        call.peer.restart(call.now);
        assert!(call.run(secs(30), |call| call.session.is_connected() || call.closed().is_some()));
    }
}
