//! What is written is read back; what is broken harms nobody.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const US: Ssrc = Ssrc(0x0101_0101);
const THEM: Ssrc = Ssrc(0x0202_0202);

/// A block as plain values, to compare and to print.
fn told(block: Block<'_>) -> String {
    match block {
        Block::SenderReport { sender, info, reports } => format!("SR {sender} {info:?} {:?}", list(reports)),
        Block::ReceiverReport { sender, reports } => format!("RR {sender} {:?}", list(reports)),
        Block::Sdes(items) => format!("SDES {:?}", list(items)),
        Block::Bye(ssrcs) => format!("BYE {:?}", list(ssrcs)),
        Block::Nack { sender, media, lost } => format!("NACK {sender} {media} {:?}", list(lost)),
        Block::Pli { sender, media } => format!("PLI {sender} {media}"),
        Block::Fir { sender, entries } => format!("FIR {sender} {:?}", list(entries)),
        Block::Remb { bitrate_bps, ssrcs } => format!("REMB {bitrate_bps} {:?}", list(ssrcs)),
        Block::ReferenceTime { sender, ntp } => format!("XR {sender} {ntp}"),
        Block::TransportFeedback(body) => format!("TWCC {body:?}"),
        Block::Other(packet_type) => format!("other {packet_type}"),
    }
}

fn list<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect()
}

fn check(datagram: &[u8], expected: &[&str]) {
    assert_eq!(blocks(datagram).map(told).collect::<Vec<_>>(), expected, "{datagram:02x?}");
}

#[test]
fn rtp_26_everything_mixed_in_one_compound_is_read_and_the_unknown_stepped_over() {
    let mut datagram = Vec::new();
    write_sender_report(
        &mut datagram,
        US,
        SenderInfo { ntp: 1 << 32 | 2, rtp: 3, packets: 4, octets: 5 },
        &[],
    );
    write_sdes_cname(&mut datagram, US, "wtn");
    datagram.extend_from_slice(&[0x81, 204, 0, 2, 1, 1, 1, 1, b'n', b'a', b'm', b'e']);
    write_nack(&mut datagram, US, THEM, &[10, 11, 26, 27, 500]);
    write_pli(&mut datagram, US, THEM);
    datagram.extend_from_slice(&[0x80, 207, 0, 1, 1, 1, 1, 1]);
    write_fir(&mut datagram, US, THEM, 7);
    write_remb(&mut datagram, US, 2_500_000, &[THEM]);
    datagram.extend_from_slice(&[0x8f, 205, 0, 4, 1, 1, 1, 1, 2, 2, 2, 2, 0, 9, 0, 1, 0, 0, 0, 0]);
    datagram.extend_from_slice(&[0x83, 205, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2]);
    datagram.extend_from_slice(&[0x80, 255, 0, 0]);
    write_bye(&mut datagram, &[US, THEM]);
    check(
        &datagram,
        &[
            "SR 01010101 SenderInfo { ntp: 4294967298, rtp: 3, packets: 4, octets: 5 } []",
            "SDES [(Ssrc(16843009), 1, [119, 116, 110])]",
            "other 204",
            "NACK 01010101 02020202 [10, 11, 26, 27, 500]",
            "PLI 01010101 02020202",
            "other 207",
            "FIR 01010101 [(Ssrc(33686018), 7)]",
            "REMB 2500000 [Ssrc(33686018)]",
            "TWCC [0, 9, 0, 1, 0, 0, 0, 0]",
            "other 205",
            "other 255",
            "BYE [Ssrc(16843009), Ssrc(33686018)]",
        ],
    );
}

#[test]
fn rtp_26_a_length_that_cannot_be_true_ends_the_datagram_there() {
    let pli = [0x81, 206, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2];
    let broken: [(&str, &[u8]); 11] = [
        ("head cut", &[0x80, 200, 0]),
        ("longer than the datagram", &[0x80, 201, 0, 9, 1, 1, 1, 1]),
        ("version 1", &[0x41, 206, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2]),
        ("SR without its info", &[0x80, 200, 0, 1, 1, 1, 1, 1]),
        ("RR without its report", &[0x81, 201, 0, 1, 1, 1, 1, 1]),
        ("RR without a sender", &[0x80, 201, 0, 0]),
        ("BYE without its source", &[0x81, 203, 0, 0]),
        ("PLI without its media source", &[0x81, 206, 0, 1, 1, 1, 1, 1]),
        (
            "REMB without its source",
            &[0x8f, 206, 0, 4, 1, 1, 1, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0, 0, 9],
        ),
        ("padding of zero", &[0xa0, 201, 0, 2, 1, 1, 1, 1, 0, 0, 0, 0]),
        ("padding longer than the packet", &[0xa0, 201, 0, 1, 1, 1, 1, 5]),
    ];
    for (case, bytes) in broken {
        let datagram = [&pli, bytes, &pli].concat();
        assert_eq!(blocks(&datagram).count(), 1, "{case}");
    }
}

#[test]
fn padding_belongs_to_no_block() {
    check(&[0xa1, 206, 0, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 4], &["PLI 01010101 02020202"]);
    check(
        &[0xa1, 205, 0, 4, 1, 1, 1, 1, 2, 2, 2, 2, 0, 5, 0, 0, 0, 0, 0, 4],
        &["NACK 01010101 02020202 [5]"],
    );
}

#[test]
fn several_sdes_chunks_and_items_are_read_up_to_the_first_broken_one() {
    let chunks = [
        &[0x83, 202, 0, 8][..],
        &[1, 1, 1, 1, 1, 1, b'a', 12, 1, b'h', 0, 0],
        &[2, 2, 2, 2, 1, 2, b'b', b'c', 0, 0, 0, 0],
        &[3, 3, 3, 3, 1, 9, b'x', b'y'],
    ]
    .concat();
    check(
        &chunks,
        &["SDES [(Ssrc(16843009), 1, [97]), (Ssrc(16843009), 12, [104]), (Ssrc(33686018), 1, [98, 99])]"],
    );
}

#[test]
fn nack_pairs_reach_sixteen_numbers_and_over_the_wrap() {
    for (lost, pairs) in [
        (&[][..], 0),
        (&[7], 1),
        (&[7, 23], 1),
        (&[7, 24], 2),
        (&[65_530, 65_535, 0, 10], 1),
        (&[65_530, 65_535, 0, 11], 2),
    ] {
        let mut out = Vec::new();
        write_nack(&mut out, US, THEM, lost);
        assert_eq!(out.len(), 12 + 4 * pairs);
        check(&out, &[&format!("NACK 01010101 02020202 {lost:?}")]);
    }
    let mut out = Vec::new();
    write_nack(&mut out, US, THEM, &[3, 3, 4]);
    check(&out, &["NACK 01010101 02020202 [3, 4]"]);
}

#[test]
fn remb_at_its_limits() {
    for (wanted, read) in
        [(0, 0), (1, 1), (262_143, 262_143), (262_145, 262_144), (u64::MAX, u64::MAX - (1 << 46) + 1)]
    {
        let mut out = Vec::new();
        write_remb(&mut out, US, wanted, &[]);
        check(&out, &[&format!("REMB {read} []")]);
    }
    let mut largest = vec![0x8f, 206, 0, 4, 1, 1, 1, 1, 0, 0, 0, 0];
    largest.extend_from_slice(b"REMB\x00\xff\xff\xff");
    check(&largest, &[&format!("REMB {} []", u64::MAX)]);
}

#[test]
fn more_reports_than_one_packet_holds_follow_in_another() {
    let report = |index| ReportBlock {
        ssrc: Ssrc(index),
        fraction_lost: 1,
        cumulative_lost: -2,
        highest_seq: 3,
        jitter: 4,
        last_sr: 5,
        delay_since_sr: 6,
    };
    let reports: Vec<_> = (0..40).map(report).collect();
    let mut out = Vec::new();
    write_sender_report(&mut out, US, SenderInfo::default(), &reports);
    let read: Vec<_> = blocks(&out)
        .flat_map(|block| match block {
            Block::SenderReport { reports, .. } | Block::ReceiverReport { reports, .. } => list(reports),
            other => panic!("{}", told(other)),
        })
        .collect();
    assert_eq!(read, reports);
    assert_eq!(blocks(&out).count(), 2);
}

#[test]
fn a_cname_of_any_length_ends_on_a_word() {
    for len in [0, 1, 2, 3, 4, 5, 255, 300] {
        let cname = "c".repeat(len);
        let mut out = Vec::new();
        write_sdes_cname(&mut out, US, &cname);
        write_pli(&mut out, US, THEM);
        assert_eq!(blocks(&out).count(), 2);
        let Some(Block::Sdes(mut items)) = blocks(&out).next() else { panic!("no SDES") };
        assert_eq!(items.next(), Some((US, SDES_CNAME, &cname.as_bytes()[..len.min(255)])));
        assert_eq!(items.next(), None);
    }
}

fn any_report() -> impl Strategy<Value = ReportBlock> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (numbers, any::<u8>(), -0x80_0000..0x80_0000).prop_map(
        |((ssrc, highest_seq, jitter, last_sr, delay_since_sr), fraction_lost, cumulative_lost)| {
            ReportBlock {
                ssrc: Ssrc(ssrc),
                fraction_lost,
                cumulative_lost,
                highest_seq,
                jitter,
                last_sr,
                delay_since_sr,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..120)) {
        prop_assert!(blocks(&bytes).map(told).count() <= bytes.len() / 4);
    }

    /// Right heads with random bodies reach the readers behind them.
    #[test]
    fn any_bodies_are_read_without_harm(packets in vec((any::<u8>(), 199u8..=208, vec(any::<u8>(), 0..60)), 1..5)) {
        let mut bytes = Vec::new();
        for (first, packet_type, mut body) in packets {
            body.truncate(body.len() / 4 * 4);
            bytes.extend_from_slice(&[0x80 | (first & 0x3f), packet_type, 0, (body.len() / 4) as u8]);
            bytes.extend_from_slice(&body);
        }
        for cut in 0..=bytes.len() {
            prop_assert!(blocks(&bytes[..cut]).map(told).count() <= cut / 4);
        }
    }

    #[test]
    fn reports_are_read_as_written(sender: u32, ntp: u64, rtp: u32, packets: u32, octets: u32, reports in vec(any_report(), 0..32)) {
        let (sender, info) = (Ssrc(sender), SenderInfo { ntp, rtp, packets, octets });
        let mut out = Vec::new();
        write_sender_report(&mut out, sender, info, &reports);
        write_receiver_report(&mut out, sender, &reports);
        let more = if reports.len() > COUNT_MAX { 2 } else { 0 };
        prop_assert_eq!(blocks(&out).count(), 2 + more);
        if more == 0 {
            let expected = [format!("SR {sender} {info:?} {reports:?}"), format!("RR {sender} {reports:?}")];
            prop_assert_eq!(blocks(&out).map(told).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn lost_numbers_are_read_as_written(first: u16, gaps in vec(1u16..40, 0..100)) {
        let mut lost = vec![first];
        for gap in gaps {
            lost.push(lost[lost.len() - 1].wrapping_add(gap));
        }
        let mut out = Vec::new();
        write_nack(&mut out, US, THEM, &lost);
        prop_assert_eq!(told(blocks(&out).next().unwrap()), format!("NACK {US} {THEM} {lost:?}"));
    }
}

#[test]
fn rtp_26_an_xr_is_stepped_over_up_to_its_reference_time_and_answered() {
    // A block of another kind, then the one that asks (RFC 3611 §4.4).
    let xr = [
        0x80, 207, 0, 6, 0, 0, 0, 9, // header and sender
        7, 0, 0, 1, 1, 2, 3, 4, // something else
        4, 0, 0, 2, 0, 0, 0, 5, 0x80, 0, 0, 0, // five seconds and a half
    ];
    let read: Vec<_> = blocks(&xr).collect();
    assert!(
        matches!(read[..], [Block::ReferenceTime { sender: Ssrc(9), ntp }] if ntp == (5 << 32) + (1 << 31))
    );
    for cut in 1..6 {
        let mut broken = xr[..xr.len() - 4 * cut].to_vec();
        broken[3] -= cut as u8;
        assert!(blocks(&broken).all(|block| matches!(block, Block::Other(207))), "{cut} words short");
    }
    let mut answer = Vec::new();
    write_delay_since_reference(&mut answer, Ssrc(1), Ssrc(9), 0x0005_8000, 77);
    assert_eq!(answer, [0x80, 207, 0, 5, 0, 0, 0, 1, 5, 0, 0, 3, 0, 0, 0, 9, 0, 5, 0x80, 0, 0, 0, 0, 77]);
}
