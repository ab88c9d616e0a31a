//! Stories of one publisher: whose packet is this, what goes back to it.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

use std::time::{Duration, Instant};
use wtn_fanout::{Publisher, Unusable};
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::rtcp::{self, Block};
use wtn_media::rtp::{HeaderFields, HeaderWriter, RtpView};
use wtn_media::{
    Codec, EncodingId, ExtensionKind, ExtensionMap, Format, MediaKind, Mid, Packet, PayloadType, Rid, Rung,
    SessionPlan, Ssrc,
};

const OURS: Ssrc = Ssrc(1);
const VIDEO: Ssrc = Ssrc(10);
const RTX: Ssrc = Ssrc(11);

struct Story {
    start: Instant,
    publisher: Publisher,
}

impl Story {
    fn new(change: impl FnOnce(&mut SessionPlan)) -> Self {
        let start = Instant::now();
        let mut plan = plan();
        change(&mut plan);
        Self { start, publisher: Publisher::new(start, 3, plan, OURS) }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn rtp(
        &mut self,
        ms: u64,
        ssrc: Ssrc,
        payload_type: u8,
        index: u64,
        tags: &[(u8, &str)],
        payload: &[u8],
    ) -> Result<Packet, Unusable> {
        let tags: Vec<_> = tags.iter().map(|(id, value)| (*id, value.as_bytes())).collect();
        self.tagged(ms, ssrc, payload_type, index, &tags, payload)
    }

    /// A packet with that transport-wide number.
    fn numbered(&mut self, ms: u64, ssrc: Ssrc, payload_type: u8, index: u64, number: u16) {
        let number = number.to_be_bytes();
        self.tagged(ms, ssrc, payload_type, index, &[(TRANSPORT_CC, &number)], &[0]).unwrap();
    }

    fn limit(&mut self, bits_per_second: Option<u64>) {
        let spare = Publisher::new(self.start, 3, plan(), OURS);
        let publisher = std::mem::replace(&mut self.publisher, spare);
        self.publisher = publisher.with_limit(self.start, bits_per_second);
    }

    fn tagged(
        &mut self,
        ms: u64,
        ssrc: Ssrc,
        payload_type: u8,
        index: u64,
        tags: &[(u8, &[u8])],
        payload: &[u8],
    ) -> Result<Packet, Unusable> {
        let mut buffer = [0; 1500];
        let mut header = HeaderWriter::new(
            &mut buffer,
            HeaderFields {
                payload_type: PayloadType::new(payload_type).unwrap(),
                marker: false,
                sequence: index as u16,
                timestamp: (ms * 90) as u32,
                ssrc,
            },
        );
        for (id, value) in tags {
            header.extension(*id, value);
        }
        let len = header.finish();
        buffer[len..len + payload.len()].copy_from_slice(payload);
        let view = RtpView::parse(&buffer[..len + payload.len()]).unwrap();
        self.publisher.on_rtp(self.at(ms), index, &view)
    }

    fn rtcp(&mut self, ms: u64) -> Vec<Vec<u8>> {
        let now = self.at(ms);
        std::iter::from_fn(|| self.publisher.poll_rtcp(now)).map(|rtcp| rtcp.compound).collect()
    }
}

/// Opus as 111 in section 0; VP8 as 96 with RTX 97 in section 1; MID is extension 4, RID 10, repaired RID 11.
fn plan() -> SessionPlan {
    let mut extensions = ExtensionMap::default();
    for (id, kind) in [(4, ExtensionKind::Mid), (10, ExtensionKind::Rid), (11, ExtensionKind::RepairedRid)] {
        assert!(extensions.insert(id, kind));
    }
    let feedback = Feedback { nack: true, pli: true, fir: true, ..Feedback::default() };
    let track = |kind, mid, codec, payload_type, rtx: Option<u8>| TrackPlan {
        kind,
        mid: Mid::new(mid).unwrap(),
        formats: vec![PayloadFormat {
            payload_type: PayloadType::new(payload_type).unwrap(),
            format: Format::new(codec),
            rtx: rtx.and_then(PayloadType::new),
        }],
        feedback,
        rids: Vec::new(),
        ssrcs: Vec::new(),
    };
    SessionPlan {
        tracks: vec![
            track(MediaKind::Audio, "0", Codec::Opus, 111, None),
            track(MediaKind::Video, "1", Codec::Vp8, 96, Some(97)),
        ],
        extensions,
        reduced_size_rtcp: true,
        cname: "wtn".into(),
    }
}

#[test]
fn rtp_05_l15_a_source_is_known_by_mid_then_ssrc_then_payload_type() {
    let mut story = Story::new(|plan| {
        plan.tracks[1].ssrcs.push((Ssrc(20), None));
        let shared = plan.tracks[1].formats[0];
        plan.tracks[0].formats.push(PayloadFormat { format: Format::new(Codec::Pcmu), ..shared });
    });
    let by_mid = story.rtp(0, VIDEO, 96, 1, &[(4, "1")], &[0]).unwrap();
    let by_ssrc = story.rtp(0, Ssrc(20), 96, 1, &[], &[0]).unwrap();
    let by_payload_type = story.rtp(0, Ssrc(30), 111, 1, &[], &[0]).unwrap();
    let kinds = [by_mid, by_ssrc, by_payload_type].map(|packet| packet.kind);
    assert_eq!(kinds, [MediaKind::Video, MediaKind::Video, MediaKind::Audio]);
    assert_eq!(story.rtp(0, Ssrc(40), 77, 1, &[], &[0]).unwrap_err(), Unusable::UnknownTrack);
    assert_eq!(story.rtp(0, Ssrc(41), 77, 1, &[(4, "1")], &[0]).unwrap_err(), Unusable::UnknownTrack);
    assert!(story.rtp(1, VIDEO, 96, 2, &[], &[0]).is_ok(), "learnt from its first packet");
}

#[test]
fn rtp_06_simulcast_encodings_are_told_apart_by_rid() {
    let rids = ["0", "1", "2"].map(|rid| Rid::new(rid).unwrap());
    let mut story = Story::new(|plan| plan.tracks[1].rids = rids.to_vec());
    for (at, rid) in ["0", "1", "2"].into_iter().enumerate() {
        let ssrc = Ssrc(100 + at as u32);
        let packet = story.rtp(0, ssrc, 96, 7, &[(4, "1"), (10, rid)], &[0]).unwrap();
        assert_eq!(packet.encoding, EncodingId(at as u8));
        assert_eq!(story.rtp(1, ssrc, 96, 8, &[], &[0]).unwrap().encoding, EncodingId(at as u8));
    }
    assert_eq!(story.rtp(0, Ssrc(200), 96, 1, &[(4, "1")], &[0]).unwrap_err(), Unusable::UnknownTrack);
    assert_eq!(story.rtp(0, Ssrc(200), 96, 1, &[(10, "x")], &[0]).unwrap_err(), Unusable::UnknownTrack);
    story.rtp(1, Ssrc(102), 96, 10, &[], &[0]).unwrap();
    let repaired = story.rtp(2, Ssrc(202), 97, 1, &[(4, "1"), (11, "2")], &[0, 9, 1]).unwrap();
    assert_eq!((repaired.encoding, repaired.seq.0), (EncodingId(2), 9));
}

#[test]
fn rtp_16_a_retransmission_takes_the_place_of_what_was_lost() {
    let mut story = Story::new(|_| {});
    assert_eq!(story.rtp(0, RTX, 97, 1, &[], &[0, 8, 42]).unwrap_err(), Unusable::NothingToRepair);
    story.rtp(0, VIDEO, 96, 65_540, &[], &[1]).unwrap();
    story.rtp(1, VIDEO, 96, 65_542, &[], &[1]).unwrap();
    let packet = story.rtp(2, RTX, 97, 2, &[], &[0, 5, 42]).unwrap();
    assert_eq!((packet.seq.0, packet.payload()), (65_541, &[42][..]));
    assert_eq!(packet.format.codec, Codec::Vp8);
    assert_eq!(story.rtp(3, RTX, 97, 3, &[], &[0, 5, 42]).unwrap_err(), Unusable::Duplicate);
    assert_eq!(story.rtp(3, RTX, 97, 4, &[], &[]).unwrap_err(), Unusable::NothingToRepair, "padding");
}

#[test]
fn rtp_15_l13_a_loss_is_asked_for_alone_where_reduced_size_was_agreed() {
    let mut story = Story::new(|_| {});
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    story.rtp(0, VIDEO, 96, 4, &[], &[1]).unwrap();
    let sent = story.rtcp(15);
    assert_eq!(sent.len(), 1);
    let [Block::Nack { media, lost, .. }] = rtcp::blocks(&sent[0]).collect::<Vec<_>>()[..] else {
        panic!("a NACK alone: {sent:?}")
    };
    assert_eq!((media, lost.collect::<Vec<_>>()), (VIDEO, vec![2, 3]));
}

#[test]
fn rtp_17_l13_feedback_follows_a_report_where_reduced_size_was_not_agreed() {
    let mut story = Story::new(|plan| plan.reduced_size_rtcp = false);
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    story.publisher.want_keyframe(story.at(5), EncodingId(0));
    let sent = story.rtcp(5);
    assert_eq!(sent.len(), 1);
    let blocks: Vec<_> = rtcp::blocks(&sent[0]).collect();
    assert!(
        matches!(blocks[..], [Block::ReceiverReport { .. }, Block::Sdes(_), Block::Pli { media: VIDEO, .. }]),
        "{blocks:?}"
    );
}

#[test]
fn rtp_18_fir_steps_its_number_where_only_fir_was_agreed() {
    let mut story = Story::new(|plan| plan.tracks[1].feedback.pli = false);
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    let mut numbers = Vec::new();
    for ms in [0, 600, 2000] {
        story.publisher.want_keyframe(story.at(ms), EncodingId(0));
        for compound in story.rtcp(ms) {
            for block in rtcp::blocks(&compound) {
                if let Block::Fir { entries, .. } = block {
                    numbers.extend(entries);
                }
            }
        }
    }
    assert_eq!(numbers, [(VIDEO, 1), (VIDEO, 2), (VIDEO, 3)]);
}

#[test]
fn nothing_is_asked_for_that_was_not_negotiated() {
    let mut story = Story::new(|plan| plan.tracks[1].feedback = Feedback::default());
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    story.rtp(0, VIDEO, 96, 4, &[], &[1]).unwrap();
    story.publisher.want_keyframe(story.at(1), EncodingId(0));
    assert!(story.rtcp(500).is_empty());
    assert_eq!(story.publisher.next_timeout(), story.at(1000), "only the next report");
}

#[test]
fn rtp_23_reports_leave_every_second_and_name_every_source() {
    let mut story = Story::new(|_| {});
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    story.rtp(0, Ssrc(5), 111, 1, &[], &[1]).unwrap();
    assert!(story.rtcp(999).is_empty());
    let sent = story.rtcp(1000);
    let mut blocks = rtcp::blocks(&sent[0]);
    let Some(Block::ReceiverReport { sender, reports }) = blocks.next() else { panic!("a report first") };
    let sources: Vec<_> = reports.map(|report| report.ssrc).collect();
    assert_eq!((sender, sources), (OURS, vec![VIDEO, Ssrc(5)]));
    assert!(matches!(blocks.next(), Some(Block::Sdes(_))));
}

#[test]
fn a_sender_report_becomes_a_clock_of_its_encoding() {
    let mut story = Story::new(|_| {});
    story.rtp(100, VIDEO, 96, 1, &[], &[1]).unwrap();
    let mut report = Vec::new();
    let info = rtcp::SenderInfo { ntp: 77 << 32, rtp: 9_900, packets: 1, octets: 1 };
    rtcp::write_sender_report(&mut report, VIDEO, info, &[]);
    rtcp::write_sender_report(&mut report, Ssrc(99), info, &[]);
    let mut clocks = Vec::new();
    let now = story.at(110);
    story.publisher.on_rtcp(now, &report, |clock| clocks.push(clock));
    assert_eq!(clocks.len(), 1, "nobody has SSRC 99");
    assert_eq!((clocks[0].kind, clocks[0].ntp), (MediaKind::Video, 77 << 32));
    assert_eq!(clocks[0].time.wire(), 9_900);
}

#[test]
fn a_new_ssrc_for_the_same_track_is_a_newer_source() {
    let mut story = Story::new(|_| {});
    let first = story.rtp(0, VIDEO, 96, 500, &[], &[1]).unwrap();
    let second = story.rtp(5, Ssrc(77), 96, 3, &[(4, "1")], &[1]).unwrap();
    assert!(second.epoch > first.epoch);
    let next_session = Publisher::new(story.start, 4, plan(), OURS);
    let mut next = Story { start: story.start, publisher: next_session };
    assert!(next.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap().epoch > second.epoch);
}

#[test]
fn a_flood_of_ssrcs_is_bounded() {
    let mut story = Story::new(|_| {});
    for ssrc in 0..10_000 {
        story.rtp(u64::from(ssrc), Ssrc(1000 + ssrc), 96, 1, &[], &[1]).unwrap();
    }
    let mut next = Story::new(|_| {});
    next.publisher = Publisher::new(next.start, 4, plan(), OURS);
    let flooded = story.rtp(20_000, Ssrc(1), 96, 1, &[], &[1]).unwrap();
    assert!(next.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap().epoch > flooded.epoch);
    let sent = story.rtcp(20_000);
    let Some(Block::ReceiverReport { reports, .. }) = rtcp::blocks(&sent[0]).next() else { panic!() };
    assert!(reports.count() <= 16);
}

#[test]
fn a_track_is_announced_once_and_again_when_its_codec_changes() {
    let mut story = Story::new(|plan| {
        plan.tracks[1].formats.push(PayloadFormat {
            payload_type: PayloadType::new(98).unwrap(),
            format: Format::new(Codec::Vp9),
            rtx: None,
        });
    });
    story.rtp(0, VIDEO, 96, 1, &[], &[1]).unwrap();
    story.rtp(0, VIDEO, 96, 2, &[], &[1]).unwrap();
    let told = |story: &mut Story, ms| {
        let now = story.at(ms);
        story.publisher.poll_media(now).map(|(_, format)| format.codec)
    };
    assert_eq!(told(&mut story, 0), Some(Codec::Vp8));
    assert_eq!(told(&mut story, 0), None);
    let mut count = 0;
    for seq in 3..103 {
        story.rtp(seq * 20, VIDEO, if seq % 2 == 0 { 96 } else { 98 }, seq, &[], &[1]).unwrap();
        count += usize::from(told(&mut story, seq * 20).is_some());
    }
    assert_eq!(count, 2, "in two seconds, however often it changes");
}

const TRANSPORT_CC: u8 = 5;

#[test]
fn rtp_20_a_publisher_is_told_of_its_arrivals_every_50_to_100_ms() {
    let mut story = Story::new(|plan| {
        assert!(plan.extensions.insert(TRANSPORT_CC, ExtensionKind::TransportCc));
        plan.tracks.iter_mut().for_each(|track| track.feedback.transport_cc = true);
    });
    let mut told: Vec<(u64, Vec<(u16, bool)>)> = Vec::new();
    for at in 0..100u64 {
        let ms = 10 * at;
        let number = 65_500 + at;
        // Every tenth is lost; audio and video are numbered together.
        if at % 10 != 4 {
            let (ssrc, payload_type) = if at % 2 == 0 { (Ssrc(5), 111) } else { (VIDEO, 96) };
            story.numbered(ms, ssrc, payload_type, at, number as u16);
        }
        for compound in story.rtcp(ms) {
            for block in rtcp::blocks(&compound) {
                let Block::TransportFeedback(body) = block else { continue };
                let read = rtcp::TransportFeedback::read(body).unwrap();
                told.push((ms, read.packets().map(|(seq, at)| (seq, at.is_some())).collect()));
            }
        }
    }
    let gaps: Vec<u64> = told.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| (50..=100).contains(gap)), "{gaps:?}");
    let all: Vec<(u16, bool)> = told.into_iter().flat_map(|(_, packets)| packets).collect();
    let expected: Vec<(u16, bool)> =
        (0..all.len() as u64).map(|at| ((65_500 + at) as u16, at % 10 != 4)).collect();
    assert_eq!(all, expected, "each once, in order, over the wrap, losses as such");
    assert!(all.len() > 85, "{}", all.len());
}

#[test]
fn rtp_21_remb_goes_only_where_it_is_of_use() {
    for (transport_cc, remb, limit, expected) in [
        (false, true, None, vec![2_000_000]),
        (false, true, Some(600_000), vec![600_000]),
        (true, true, None, vec![]),
        (true, true, Some(600_000), vec![600_000]),
        (false, false, Some(600_000), vec![]),
    ] {
        let mut story = Story::new(|plan| {
            assert!(plan.extensions.insert(TRANSPORT_CC, ExtensionKind::TransportCc));
            let track = &mut plan.tracks[1];
            (track.feedback.transport_cc, track.feedback.remb) = (transport_cc, remb);
        });
        story.limit(limit);
        story.rtp(0, VIDEO, 96, 1, &[], &[0]).unwrap();
        let mut rembs = Vec::new();
        for compound in story.rtcp(1000) {
            rembs.extend(rtcp::blocks(&compound).filter_map(|block| match block {
                Block::Remb { bitrate_bps, ssrcs } => Some((bitrate_bps, ssrcs.collect::<Vec<_>>())),
                _ => None,
            }));
        }
        assert!(rembs.iter().all(|(_, ssrcs)| *ssrcs == [VIDEO]));
        let rates: Vec<u64> = rembs.into_iter().map(|(bitrate, _)| bitrate).collect();
        assert_eq!(rates, expected, "transport-cc {transport_cc}, remb {remb}, {limit:?}");
    }
}

#[test]
fn rtp_06_four_numeric_rids_and_their_repairs_each_find_their_encoding() {
    let rids = ["0", "1", "2", "3"];
    let mut story = Story::new(|plan| plan.tracks[1].rids = rids.into_iter().filter_map(Rid::new).collect());
    for (at, rid) in (0..).zip(rids) {
        let media = Ssrc(100 + u32::from(at));
        for (seq, tags) in [(7, &[(4, "1"), (10, rid)][..]), (9, &[])] {
            let packet = story.rtp(0, media, 96, seq, tags, &[0]).unwrap();
            assert_eq!((packet.encoding, packet.seq.0), (EncodingId(at), seq), "the rid is said once");
        }
    }
    // Number 8 of each comes again, in another order, on sources of their own.
    for at in [2, 0, 3, 1] {
        let (repair, rid) = (Ssrc(200 + at), rids[at as usize]);
        let packet = story.rtp(50, repair, 97, 1000, &[(4, "1"), (11, rid)], &[0, 8, 0x10, 1]).unwrap();
        assert_eq!((packet.encoding.0, packet.seq.0, packet.payload()), (at as u8, 8, &[0x10, 1][..]));
        let again = story.rtp(60, repair, 97, 1001, &[], &[0, 8, 0x10, 1]);
        assert_eq!(again.err(), Some(Unusable::Duplicate), "known without its rid by now");
    }
    assert_eq!(
        story.rtp(70, Ssrc(300), 96, 1, &[(4, "1"), (10, "4")], &[0]).err(),
        Some(Unusable::UnknownTrack)
    );
}

#[test]
fn rtp_12_parameter_sets_sent_once_go_before_every_keyframe() {
    let mut story = Story::new(|plan| plan.tracks[1].formats[0].format = Format::new(Codec::H264));
    let mut out = Vec::new();
    let mut send = |story: &mut Story, ms, index, payload: &[u8]| {
        let packet = story.rtp(ms, VIDEO, 96, index, &[(4, "1")], payload).unwrap();
        out.extend(story.publisher.take_inserted().map(|sets| (sets.seq.0, sets.payload()[0])));
        out.push((packet.seq.0, packet.payload()[0]));
    };
    // STAP-A of both sets, then the keyframe; later ones come alone.
    send(&mut story, 0, 1, &[0x78, 0, 5, 0x67, 0x42, 0xc0, 0x28, 0xd9, 0, 2, 0x68, 0xce]);
    send(&mut story, 0, 2, &[0x65, 0x88]);
    send(&mut story, 40, 3, &[0x41, 0x9a]);
    send(&mut story, 80, 4, &[0x65, 0x88]);
    send(&mut story, 120, 6, &[0x41, 0x9a]);
    assert_eq!(out, [(1, 0x78), (2, 0x65), (3, 0x41), (4, 0x78), (5, 0x65), (7, 0x41)]);
    // What is asked for again has the publisher's own number.
    let nacks = story.rtcp(1000).concat();
    let lost: Vec<u16> = rtcp::blocks(&nacks)
        .filter_map(
            |block| if let Block::Nack { lost, .. } = block { Some(lost.collect::<Vec<_>>()) } else { None },
        )
        .flatten()
        .collect();
    assert_eq!(lost, [5]);
    let late = story.rtp(1010, VIDEO, 96, 5, &[], &[0x41, 0x9a]).unwrap();
    assert_eq!(late.seq.0, 6);
}

#[test]
fn rtp_11_a_dependency_descriptor_tells_the_layers_of_av1() {
    let mut story = Story::new(|plan| {
        plan.tracks[1].formats[0].format = Format::new(Codec::Av1);
        assert!(plan.extensions.insert(12, ExtensionKind::DependencyDescriptor));
    });
    // Two temporal layers, two decode targets: templates 0 (needed by both) and 1 (by the second, discardable).
    let key = [0xc0, 0x00, 0x01, 0x80, 0x01, 0x7a, 0x14, 0x00];
    let mut packet = |index, value: &[u8], payload: &[u8]| {
        story.tagged(index * 20, VIDEO, 96, index, &[(4, b"1"), (12, value)], payload).unwrap()
    };
    let first = packet(1, &key, &[0x18, 0x08, 0]);
    assert_eq!(first.frame_number(), Some(1));
    assert!(first.marks.keyframe_start);
    let upper = packet(2, &[0xc1, 0x00, 0x02], &[0x10, 0x30, 0]);
    assert_eq!((upper.marks.layer.temporal, upper.frame_number()), (1, Some(2)));
    let lower = packet(3, &[0xc0, 0x00, 0x03], &[0x10, 0x30, 0]);
    assert_eq!(lower.marks.layer.temporal, 0);
    let rung = |temporal| Rung { temporal, ..Rung::default() };
    assert!(!upper.marks.layer.needed.has(rung(0)) && upper.marks.layer.needed.has(rung(1)));
    assert!(lower.marks.layer.needed.has(rung(0)) && lower.marks.layer.needed.has(rung(1)));
}
