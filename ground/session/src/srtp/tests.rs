//! SRTP against another implementation, against loss, reordering, replay and forgery.

use super::*;
use rtc_srtp::context::Context;
use rtc_srtp::crypto;
use rtc_srtp::protection_profile::ProtectionProfile;

const PROFILES: [Profile; 3] = [Profile::Gcm256, Profile::Gcm128, Profile::CmSha1];
const SSRC: u32 = 0x1234_5678;

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn material(profile: Profile) -> Vec<u8> {
    let (key_len, salt_len) = profile.master_lens();
    (0..2 * (key_len + salt_len)).map(|at| (at * 7 + 3) as u8).collect()
}

/// A server and its client.
fn pair(profile: Profile) -> (Srtp, Srtp) {
    let keys = material(profile);
    (
        Srtp::new(profile, &keys, DtlsRole::Server).unwrap(),
        Srtp::new(profile, &keys, DtlsRole::Client).unwrap(),
    )
}

/// The other implementation as the client: what it sends with, what it receives with.
fn foreign_client(profile: Profile) -> (Context, Context) {
    let keys = material(profile);
    let (key_len, salt_len) = profile.master_lens();
    let foreign = match profile {
        Profile::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        Profile::Gcm128 => ProtectionProfile::AeadAes128Gcm,
        Profile::CmSha1 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let provider = crypto::default_provider().unwrap();
    let context = |nth: usize| {
        let key = &keys[nth * key_len..][..key_len];
        let salt = &keys[2 * key_len + nth * salt_len..][..salt_len];
        Context::new(key, salt, foreign, None, None, provider.crypto()).unwrap()
    };
    (context(0), context(1))
}

/// A packet with one CSRC and a header extension, so that the header has 24 bytes.
fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x91, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x10, 0x55, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}

const HEADER_LEN: usize = 24;

fn seal(srtp: &Srtp, packet: &[u8], index: u64) -> Vec<u8> {
    let ssrc = Ssrc(u32::from_be_bytes(packet[8..12].try_into().unwrap()));
    let mut out = packet[..HEADER_LEN].to_vec();
    out.resize(packet.len() + srtp.profile().overhead(), 0);
    let len = srtp.seal_rtp(ssrc, index, HEADER_LEN, (&packet[HEADER_LEN..], 0), &mut out).unwrap();
    assert_eq!(len, out.len());
    out
}

/// A sealed packet of [`SSRC`] with this index.
fn sealed(srtp: &Srtp, index: u64) -> Vec<u8> {
    seal(srtp, &rtp(SSRC, index as u16, b"a picture"), index)
}

fn open(srtp: &mut Srtp, mut datagram: Vec<u8>) -> Result<u64, DropReason> {
    srtp.open_rtp(&mut datagram).map(|(_, index)| index)
}

/// A receiver report without blocks, as plain as RTCP gets.
fn report(ssrc: u32) -> Vec<u8> {
    let mut compound = vec![0x80, 201, 0, 1];
    compound.extend_from_slice(&ssrc.to_be_bytes());
    compound.extend_from_slice(&[0x81, 202, 0, 3]);
    compound.extend_from_slice(&ssrc.to_be_bytes());
    compound.extend_from_slice(&[1, 2, b'm', b'e', 0, 0, 0, 0]);
    compound
}

#[test]
fn another_implementation_finds_the_padding_that_we_seal() {
    for profile in PROFILES {
        let (server, _) = pair(profile);
        let (_, mut receive) = foreign_client(profile);
        for padding in 1..=PADDING_MAX {
            let mut packet = rtp(SSRC, padding as u16, &[7; 1001]);
            packet[0] |= 0x20;
            let mut out = packet[..HEADER_LEN].to_vec();
            out.resize(packet.len() + padding + profile.overhead(), 0);
            let body = (&packet[HEADER_LEN..], padding as u8);
            assert_eq!(
                server.seal_rtp(Ssrc(SSRC), padding as u64, HEADER_LEN, body, &mut out),
                Some(out.len())
            );
            packet.resize(packet.len() + padding - 1, 0);
            packet.push(padding as u8);
            assert_eq!(receive.decrypt_rtp(&out).unwrap(), packet);
        }
        let too_much = (&[7; 10][..], PADDING_MAX as u8 + 1);
        assert_eq!(server.seal_rtp(Ssrc(SSRC), 99, HEADER_LEN, too_much, &mut [0; 100]), None);
    }
}

#[test]
fn another_implementation_opens_what_we_seal() {
    for profile in PROFILES {
        let (mut server, _) = pair(profile);
        let (_, mut receive) = foreign_client(profile);
        for index in 65_530..65_545 {
            let packet = rtp(SSRC, index as u16, &[index as u8; 1100]);
            assert_eq!(receive.decrypt_rtp(&seal(&server, &packet, index)).unwrap(), packet);
        }
        for _ in 0..3 {
            let mut out = Vec::new();
            assert!(server.seal_rtcp(&report(SSRC), &mut out));
            assert_eq!(receive.decrypt_rtcp(&out).unwrap(), report(SSRC));
        }
    }
}

#[test]
fn we_open_what_another_implementation_seals() {
    for profile in PROFILES {
        let (mut server, _) = pair(profile);
        let (mut send, _) = foreign_client(profile);
        for index in 65_530..65_545 {
            let packet = rtp(SSRC, index as u16, &[index as u8; 1100]);
            let mut datagram = send.encrypt_rtp(&packet).unwrap().to_vec();
            let (len, opened) = server.open_rtp(&mut datagram).unwrap();
            assert_eq!((&datagram[..len], opened), (&packet[..], index));
        }
        for _ in 0..3 {
            let mut datagram = send.encrypt_rtcp(&report(SSRC)).unwrap().to_vec();
            let len = server.open_rtcp(&mut datagram).unwrap();
            assert_eq!(datagram[..len], report(SSRC));
        }
    }
}

#[test]
fn an_empty_payload_and_the_plainest_header_pass() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        let mut datagram = rtp(SSRC, 7, b"")[..12].to_vec();
        datagram[0] = 0x80;
        datagram.resize(12 + profile.overhead(), 0);
        assert_eq!(server.seal_rtp(Ssrc(SSRC), 7, 12, (b"", 0), &mut datagram), Some(datagram.len()));
        assert_eq!(client.open_rtp(&mut datagram), Ok((12, 7)));
    }
}

#[test]
fn a_slot_too_short_or_an_index_too_long_is_refused() {
    for profile in PROFILES {
        let (server, _) = pair(profile);
        let mut out = [0; 100];
        let room = 100 - 12 - profile.overhead();
        assert!(server.seal_rtp(Ssrc(1), 1, 12, (&vec![0; room], 0), &mut out).is_some());
        assert!(server.seal_rtp(Ssrc(1), 1, 12, (&vec![0; room + 1], 0), &mut out).is_none());
        assert!(server.seal_rtp(Ssrc(1), 1, usize::MAX, (b"", 0), &mut out).is_none());
        assert!(server.seal_rtp(Ssrc(1), RTP_INDEX_MAX, 12, (b"", 0), &mut out).is_some());
        assert!(server.seal_rtp(Ssrc(1), RTP_INDEX_MAX + 1, 12, (b"", 0), &mut out).is_none());
    }
}

#[test]
fn a_retransmission_as_it_was_is_the_same_datagram() {
    for profile in PROFILES {
        let (server, _) = pair(profile);
        assert_eq!(sealed(&server, 70_000), sealed(&server, 70_000));
    }
}

#[test]
fn rtp_02_any_changed_bit_is_a_bad_tag_and_harms_nothing() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        assert_eq!(open(&mut client, sealed(&server, 1)), Ok(1));
        let good = sealed(&server, 2);
        for bit in 16..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (source, window) = (client.rtp_sources.len(), client.rtp_sources[0].window.clone());
            assert!(open(&mut client, bad).is_err(), "bit {bit}");
            assert_eq!(client.rtp_sources.len(), source);
            assert_eq!(client.rtp_sources[0].window, window);
        }
        assert_eq!(open(&mut client, good), Ok(2));
    }
}

#[test]
fn rtp_03_each_packet_passes_once_within_the_window() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        for index in [3_000, 4_023] {
            assert_eq!(open(&mut client, sealed(&server, index)), Ok(index));
            assert_eq!(open(&mut client, sealed(&server, index)), Err(DropReason::Replay));
        }
        assert_eq!(open(&mut client, sealed(&server, 3_000)), Err(DropReason::Replay), "just inside");
        assert_eq!(open(&mut client, sealed(&server, 3_001)), Ok(3_001), "late by 1022");
        assert_eq!(open(&mut client, sealed(&server, 2_999)), Err(DropReason::Replay), "just outside");
    }
}

#[test]
fn rtp_03_rtcp_is_not_replayed_either() {
    for profile in PROFILES {
        let (mut server, mut client) = pair(profile);
        let mut sent = Vec::new();
        for _ in 0..200 {
            let mut out = Vec::new();
            assert!(server.seal_rtcp(&report(SSRC), &mut out));
            sent.push(out);
        }
        let mut open = |nth: usize| client.open_rtcp(&mut sent[nth].clone()).map(|_| ());
        assert_eq!(open(150), Ok(()));
        assert_eq!(open(150), Err(DropReason::Replay));
        assert_eq!(open(23), Ok(()), "late by 127");
        assert_eq!(open(22), Err(DropReason::Replay), "late by 128");
        assert_eq!(open(151), Ok(()));
    }
}

#[test]
fn rtp_04_the_roll_over_counter_survives_loss_and_reordering_at_the_edge() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        let order = [
            65_530, 65_534, 65_537, 65_533, 65_536, 65_535, 65_541, 65_532, 97_541, 129_541, 131_075, 131_070,
        ];
        for index in order {
            assert_eq!(open(&mut client, sealed(&server, index)), Ok(index), "{profile:?}");
        }
    }
}

#[test]
fn rtp_04_the_first_packet_may_come_from_behind_the_edge() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        for index in [65_538, 65_535, 65_537, 65_530] {
            assert_eq!(open(&mut client, sealed(&server, index)), Ok(index), "{profile:?}");
        }
    }
}

#[test]
fn rtp_04_nothing_is_older_than_the_first_index() {
    let (server, mut client) = pair(Profile::Gcm128);
    assert_eq!(open(&mut client, sealed(&server, 2)), Ok(2));
    assert_eq!(open(&mut client, sealed(&server, 65_535)), Err(DropReason::Replay));
    assert_eq!(open(&mut client, sealed(&server, 3)), Ok(3));
}

#[test]
fn forged_ssrcs_leave_no_trace() {
    for profile in PROFILES {
        let (server, mut client) = pair(profile);
        for ssrc in 0..1_000 {
            let mut forged = rtp(ssrc, ssrc as u16 * 65, &[0; 60]);
            forged[HEADER_LEN] = 1;
            assert_eq!(open(&mut client, forged), Err(DropReason::BadTag));
            let mut forged = report(ssrc);
            forged.extend_from_slice(&[0xFF; 20]);
            assert_eq!(client.open_rtcp(&mut forged), Err(DropReason::BadTag));
        }
        assert!(client.rtp_sources.is_empty() && client.rtcp_sources.is_empty());
        assert_eq!(open(&mut client, sealed(&server, 1)), Ok(1));
    }
}

#[test]
fn authentic_ssrcs_are_bounded_and_the_first_ones_stay() {
    let (mut server, mut client) = pair(Profile::Gcm128);
    for ssrc in 1..=40 {
        let expected = if ssrc <= SOURCES_MAX as u32 { Ok(5) } else { Err(DropReason::Replay) };
        assert_eq!(open(&mut client, seal(&server, &rtp(ssrc, 5, b"x"), 5)), expected);
        let mut out = Vec::new();
        assert!(server.seal_rtcp(&report(ssrc), &mut out));
        assert_eq!(client.open_rtcp(&mut out).is_ok(), expected.is_ok());
    }
    assert_eq!(open(&mut client, seal(&server, &rtp(1, 6, b"x"), 6)), Ok(6));
}

#[test]
fn rtcp_in_clear_is_refused() {
    for profile in PROFILES {
        let (mut server, mut client) = pair(profile);
        let mut out = Vec::new();
        assert!(server.seal_rtcp(&report(SSRC), &mut out));
        let at = out.len() - if profile == Profile::CmSha1 { 14 } else { 4 };
        out[at] &= 0x7F;
        assert_eq!(client.open_rtcp(&mut out), Err(DropReason::BadTag));
    }
}

#[test]
fn short_and_broken_packets_are_malformed() {
    for profile in PROFILES {
        let (_, mut client) = pair(profile);
        for len in 0..80 {
            for first in [0x80, 0x8F, 0x90, 0x9F, 0xBF] {
                let mut datagram = vec![first; len];
                assert!(client.open_rtp(&mut datagram).is_err());
                assert!(client.open_rtcp(&mut datagram).is_err());
            }
        }
        assert!(client.rtp_sources.is_empty() && client.rtcp_sources.is_empty());
    }
}

#[test]
fn rtcp_too_short_to_have_a_sender_is_not_sealed() {
    let (mut server, _) = pair(Profile::Gcm128);
    let mut out = b"before".to_vec();
    assert!(!server.seal_rtcp(&[0x80, 201, 0], &mut out));
    assert_eq!(out, b"before");
    assert!(server.seal_rtcp(&report(1), &mut out));
    assert_eq!(&out[..6], b"before");
}

#[test]
fn keying_material_of_the_wrong_length_is_refused() {
    for profile in PROFILES {
        let keys = material(profile);
        assert!(Srtp::new(profile, &keys[1..], DtlsRole::Server).is_err());
        assert!(Srtp::new(profile, &[], DtlsRole::Server).is_err());
    }
}

#[test]
fn no_profile_allocates_for_a_packet() {
    for profile in PROFILES {
        let (mut server, mut client) = pair(profile);
        assert_eq!(open(&mut client, sealed(&server, 0)), Ok(0));
        let compound = report(SSRC);
        let (mut slot, mut reports) = (rtp(SSRC, 0, &[0; 200]), Vec::with_capacity(1_000));
        assert!(server.seal_rtcp(&compound, &mut reports));
        assert!(client.open_rtcp(&mut reports).is_ok());
        let used = allocation_counter::measure(|| {
            for index in 1..50 {
                slot[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                let len = server.seal_rtp(Ssrc(SSRC), index, HEADER_LEN, (&[7; 100], 0), &mut slot).unwrap();
                assert_eq!(client.open_rtp(&mut slot[..len]), Ok((HEADER_LEN + 100, index)));
                reports.clear();
                assert!(server.seal_rtcp(&compound, &mut reports));
                assert!(client.open_rtcp(&mut reports).is_ok());
            }
        });
        assert_eq!(used.count_total, 0, "{profile:?}");
    }
}
