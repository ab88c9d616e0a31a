//! The header that a viewer gets: its own numbers, its own names for the extensions, nothing it did not agree to.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use std::time::Instant;
use wtn_fanout::{Rewrite, Subscriber};
use wtn_media::packet::{Marks, PacketInfo};
use wtn_media::rtp::RtpView;
use wtn_media::{
    Codec, EncodingId, ExtensionKind, Format, MediaKind, Packet, PayloadType, RtpTime, SeqNo, Ssrc,
};

/// When it was captured, and by how much that clock is ahead of the one of the sender's reports.
const CAPTURED: [u8; 16] = [0xec, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0x80, 0, 0, 0];

/// An audio packet whose publisher sent a level, an orientation and a RID along.
fn packet() -> Packet {
    Packet::new(
        info(),
        b"opus",
        [
            (ExtensionKind::AudioLevel, &[0x85][..]),
            (ExtensionKind::VideoOrientation, &[3]),
            (ExtensionKind::Rid, b"hi"),
            (ExtensionKind::TransportCc, &[1, 2]),
            (ExtensionKind::AbsCaptureTime, &CAPTURED),
        ],
    )
}

fn info() -> PacketInfo {
    PacketInfo {
        epoch: 256,
        kind: MediaKind::Audio,
        encoding: EncodingId(0),
        format: Format::new(Codec::Opus),
        seq: SeqNo(70_000),
        time: RtpTime(5_000),
        marker: true,
        marks: Marks::default(),
        arrived: Instant::now(),
    }
}

fn rewrite() -> Rewrite {
    Rewrite {
        marker: true,
        ids: None,
        frame_offset: 0,
        ssrc: Ssrc(0xabcd),
        payload_type: PayloadType::new(111).unwrap(),
        seq: SeqNo(65_536 + 7),
        time: 99,
        original: None,
        number: None,
    }
}

fn header(extensions: &[(u8, ExtensionKind)]) -> Vec<u8> {
    let mut plan = scene::vp8_viewer();
    for (id, kind) in extensions {
        assert!(plan.extensions.insert(*id, *kind));
    }
    let rewrite = rewrite();
    let mut out = vec![0xff; 200];
    let len = Subscriber::new(&plan, || 1).write_header(&packet(), &rewrite, &mut out);
    out.truncate(len);
    out
}

#[test]
fn rtp_07_extensions_come_under_the_viewers_ids_and_the_rest_is_left_behind() {
    let bytes = header(&[(9, ExtensionKind::AudioLevel), (2, ExtensionKind::Mid)]);
    let view = RtpView::parse(&bytes).unwrap();
    let extensions: Vec<_> = view.extensions().collect();
    assert_eq!(extensions, [(2, &b"0"[..]), (9, &[0x85][..])], "the MID is the viewer's");
}

#[test]
fn rtp_07_hop_by_hop_extensions_are_never_passed_on() {
    let bytes = header(&[
        (1, ExtensionKind::TransportCc),
        (3, ExtensionKind::Rid),
        (4, ExtensionKind::VideoOrientation),
    ]);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.extensions().collect::<Vec<_>>(), [(4, &[3][..])]);
}

#[test]
fn rtp_08_the_numbers_are_the_viewers() {
    let bytes = header(&[]);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.header_len(), 12, "no extension, no extension block");
    assert_eq!((view.ssrc(), view.payload_type().value()), (Ssrc(0xabcd), 111));
    assert_eq!((view.sequence(), view.timestamp(), view.marker()), (7, 99, true));
}

/// Reports to viewers show the publisher's own clock, so the offset from it to the camera's is as true as it was.
#[test]
fn rtp_28_the_time_of_capture_and_its_offset_pass_as_they_are() {
    let bytes = header(&[(5, ExtensionKind::AbsCaptureTime)]);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.extensions().collect::<Vec<_>>(), [(5, &CAPTURED[..])]);
}

#[test]
fn rtp_11_a_long_dependency_descriptor_takes_the_two_byte_form_and_has_our_frame_number() {
    let mut plan = scene::vp8_viewer();
    plan.extensions.allow_mixed();
    for (id, kind) in [(2, ExtensionKind::Mid), (7, ExtensionKind::DependencyDescriptor)] {
        assert!(plan.extensions.insert(id, kind));
    }
    let viewer = Subscriber::new(&plan, || 1);
    let mut value = [0x55; 90];
    value[1..3].copy_from_slice(&[0xff, 0xfe]);
    for len in [90, 3] {
        let extension = (ExtensionKind::DependencyDescriptor, &value[..len]);
        let packet = Packet::new(PacketInfo { kind: MediaKind::Video, ..info() }, b"av1", [extension]);
        let rewrite = Rewrite { frame_offset: 3, ..rewrite() };
        let mut out = vec![0xff; 200];
        let end = viewer.write_header(&packet, &rewrite, &mut out);
        let view = RtpView::parse(&out[..end]).unwrap();
        let extensions: Vec<_> = view.extensions().collect();
        assert_eq!(extensions[0], (2, &b"1"[..]));
        let mut expected = value[..len].to_vec();
        expected[1..3].copy_from_slice(&[0x00, 0x01]);
        assert_eq!(extensions[1], (7, &expected[..]));
        assert_eq!(out[12..14], if len > 16 { [0x10, 0x00] } else { [0xbe, 0xde] });
    }
}
