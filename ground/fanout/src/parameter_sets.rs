//! Parameter sets of H.264 and H.265, for encoders that send them once: whoever begins with a later keyframe could not
//! decode it. So each keyframe that comes without them gets a packet with those that were seen last, and what follows in
//! the encoding is numbered on by one.

use wtn_media::packet::{Marks, PacketInfo};
use wtn_media::peek::{ParameterSet, parameter_sets};
use wtn_media::{Codec, Format, Packet, RtpTime, SeqNo};

/// Bytes of one packet of parameter sets. What does not fit cannot be repeated; real ones take a tenth of it.
const BYTES_MAX: usize = 1000;

/// Packets that were put in, which late packets may still lie before: keyframes of the second that the packet store
/// reaches back.
const INSERTED_MAX: usize = 8;

/// The parameter sets of one source, and the numbers of what was put in.
#[derive(Debug, Default)]
pub struct ParameterSets {
    units: Vec<(ParameterSet, Box<[u8]>)>,
    codec: Option<Codec>,
    /// When they came last, by the media clock.
    time: Option<RtpTime>,
    /// The source's number behind the highest.
    next: Option<SeqNo>,
    /// The source's numbers before which one was put in lately, and how many were before those.
    inserted: Vec<SeqNo>,
    forgotten: u64,
}

impl ParameterSets {
    /// Takes every packet of the source, by its own number; true if the sets are to go before it.
    pub fn on_packet(
        &mut self,
        format: Format,
        marks: &Marks,
        seq: SeqNo,
        time: RtpTime,
        payload: &[u8],
    ) -> bool {
        if self.codec.replace(format.codec) != Some(format.codec) {
            self.units.clear();
        }
        if marks.parameter_sets {
            self.time = Some(time);
            parameter_sets(format.codec, payload).for_each(|(set, unit)| self.keep(set, unit));
        }
        let in_order = self.next == Some(seq);
        self.next = self.next.max(Some(SeqNo(seq.0 + 1)));
        // Where something is missing right before it, that may be what it needs.
        let lacks = marks.keyframe_start && !marks.parameter_sets && self.time != Some(time) && in_order;
        let is_known = self.units.iter().any(|(set, _)| set.is_sequence);
        if !lacks || !is_known {
            return false;
        }
        self.time = Some(time);
        self.inserted.push(seq);
        if self.inserted.len() > INSERTED_MAX {
            self.inserted.remove(0);
            self.forgotten += 1;
        }
        true
    }

    /// The number of a packet among those that were put in.
    pub fn number(&self, seq: SeqNo) -> SeqNo {
        let before = self.inserted.iter().filter(|at| **at <= seq).count() as u64;
        SeqNo(seq.0 + self.forgotten + before)
    }

    /// The packet that goes before a keyframe with that description, whose number is that of the keyframe itself.
    pub fn packet(&self, keyframe: &PacketInfo) -> Option<Packet> {
        let mut payload: Vec<u8> = match self.codec? {
            // STAP-A (RFC 6184 §5.7.1) and AP (RFC 7798 §4.4.2), of the highest importance.
            Codec::H264 => vec![0x78],
            Codec::H265 => vec![0x60, 0x01],
            _ => return None,
        };
        for (_, unit) in &self.units {
            payload.extend((unit.len() as u16).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        let marks = Marks { keyframe_start: true, parameter_sets: true, ..Marks::default() };
        let info = PacketInfo { seq: SeqNo(keyframe.seq.0 - 1), marker: false, marks, ..*keyframe };
        Some(Packet::new(info, &payload, []))
    }

    fn keep(&mut self, set: ParameterSet, unit: &[u8]) {
        self.units.retain(|(other, _)| *other != set);
        let bytes: usize = self.units.iter().map(|(_, unit)| unit.len() + 2).sum();
        if bytes + unit.len() + 2 > BYTES_MAX {
            self.units.clear();
        } else {
            self.units.push((set, unit.into()));
            // Video, sequence, picture.
            self.units.sort_by_key(|(set, _)| *set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use wtn_media::{EncodingId, MediaKind, peek};

    /// As x264 and x265 write them, cut short behind their ids.
    const SPS: [u8; 6] = [0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00];
    const PPS: [u8; 3] = [0x68, 0xce, 0x3c];
    const IDR: [u8; 3] = [0x65, 0x88, 0x80];
    const SLICE: [u8; 3] = [0x41, 0x9a, 0x00];

    /// Feeds payloads of H.264, each with its number and time; the answer is the numbers that go out, and whether each
    /// was put in.
    fn feed(sets: &mut ParameterSets, packets: &[(u64, u64, &[u8])]) -> Vec<(u64, bool)> {
        let mut out = Vec::new();
        for (seq, time, payload) in packets {
            let marks = peek::marks(Codec::H264, payload);
            let format = Format::new(Codec::H264);
            let inserts = sets.on_packet(format, &marks, SeqNo(*seq), RtpTime(*time), payload);
            let number = sets.number(SeqNo(*seq));
            let info = PacketInfo {
                epoch: 1,
                kind: MediaKind::Video,
                encoding: EncodingId(0),
                format,
                seq: number,
                time: RtpTime(*time),
                marker: true,
                marks,
                arrived: Instant::now(),
            };
            if inserts {
                let packet = sets.packet(&info).unwrap();
                assert!(packet.marks.keyframe_start && !packet.marker);
                assert!(peek::marks(Codec::H264, packet.payload()).parameter_sets);
                out.push((packet.seq.0, true));
            }
            out.push((number.0, false));
        }
        out
    }

    #[test]
    fn rtp_12_a_keyframe_without_parameter_sets_gets_those_that_were_sent_once() {
        let mut sets = ParameterSets::default();
        let sent = feed(&mut sets, &[(10, 1, &SPS), (11, 1, &PPS), (12, 1, &IDR), (13, 2, &SLICE)]);
        assert_eq!(sent, [(10, false), (11, false), (12, false), (13, false)], "they were there");
        let sent = feed(&mut sets, &[(14, 3, &IDR), (15, 3, &IDR), (16, 4, &SLICE), (17, 5, &IDR)]);
        assert_eq!(sent, [(14, true), (15, false), (16, false), (17, false), (18, true), (19, false)]);
        let info = sets.units.iter().map(|(_, unit)| unit.to_vec()).collect::<Vec<_>>();
        assert_eq!(info, [SPS.to_vec(), PPS.to_vec()]);
    }

    #[test]
    fn rtp_12_what_comes_late_keeps_its_place() {
        let mut sets = ParameterSets::default();
        feed(&mut sets, &[(10, 1, &SPS), (11, 1, &PPS), (12, 1, &IDR), (14, 2, &SLICE), (15, 3, &IDR)]);
        assert_eq!(feed(&mut sets, &[(13, 2, &SLICE)]), [(13, false)]);
        assert_eq!(feed(&mut sets, &[(16, 4, &SLICE)]), [(17, false)]);
    }

    #[test]
    fn rtp_12_nothing_is_put_in_where_the_sets_may_be_what_is_missing_or_are_not_known() {
        let mut sets = ParameterSets::default();
        assert_eq!(feed(&mut sets, &[(1, 1, &SLICE), (2, 2, &IDR)]).len(), 2);
        feed(&mut sets, &[(3, 3, &SPS), (4, 3, &PPS), (5, 3, &IDR)]);
        assert_eq!(feed(&mut sets, &[(8, 4, &IDR)]), [(8, false)]);
    }
}
