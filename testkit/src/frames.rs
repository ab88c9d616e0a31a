//! Synthetic media: payloads that look like their codec at the front and say at the back which frame they are
//! part of, so that a viewer can prove what it got.

use crate::trace::Fnv;
use wtn_media::Codec;

/// Bytes at the end of every payload: mark, publisher, frame, index, count, flags, check.
pub const TRAILER_LEN: usize = 18;
/// The shortest payload: the longest codec prefix and the trailer.
pub const PAYLOAD_LEN_MIN: usize = 40;

const MARK: u8 = 0x5a;

/// One frame of one publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId {
    /// Which publisher, by its number in the simulation.
    pub publisher: u16,
    /// Counted from 0 by each publisher, for each track.
    pub frame: u32,
}

/// One packet's worth of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The frame.
    pub id: FrameId,
    /// A keyframe, or any frame of audio.
    pub is_key: bool,
    /// Which part, from 0.
    pub index: u16,
    /// Of how many.
    pub count: u16,
}

impl Part {
    /// First of its frame.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Last of its frame.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }

    /// The payload for this part, `len` bytes long, at least [`PAYLOAD_LEN_MIN`]. Follows from its arguments.
    pub fn payload(&self, codec: Codec, len: usize) -> Vec<u8> {
        let len = len.max(PAYLOAD_LEN_MIN);
        let mut payload = self.prefix(codec, len);
        let mut filler = Fnv::new();
        filler.write(&self.fields());
        while payload.len() < len - TRAILER_LEN {
            filler.write(&[payload.len() as u8]);
            payload.push((filler.0 >> 32) as u8);
        }
        payload.extend_from_slice(&self.fields());
        let mut check = Fnv::new();
        check.write(&payload);
        payload.extend_from_slice(&(check.0 as u32).to_be_bytes());
        payload
    }

    /// Reads what [`Self::payload`] wrote. `None` if so much as a bit differs.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (body, check) = payload.split_last_chunk::<4>()?;
        let (_, fields) = body.split_last_chunk::<{ TRAILER_LEN - 4 }>()?;
        let mut expected = Fnv::new();
        expected.write(body);
        if fields[0] != MARK || u32::from_be_bytes(*check) != expected.0 as u32 {
            return None;
        }
        let word = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
        let frame = u32::from_be_bytes([fields[3], fields[4], fields[5], fields[6]]);
        let id = FrameId { publisher: word(1), frame };
        Some(Self { id, index: word(7), count: word(9), is_key: fields[11] == 1 })
    }

    fn fields(&self) -> [u8; TRAILER_LEN - 4] {
        let mut fields = [0; TRAILER_LEN - 4];
        fields[0] = MARK;
        fields[1..3].copy_from_slice(&self.id.publisher.to_be_bytes());
        fields[3..7].copy_from_slice(&self.id.frame.to_be_bytes());
        fields[7..9].copy_from_slice(&self.index.to_be_bytes());
        fields[9..11].copy_from_slice(&self.count.to_be_bytes());
        fields[11] = u8::from(self.is_key);
        fields
    }

    /// What a server may look at.
    fn prefix(&self, codec: Codec, len: usize) -> Vec<u8> {
        match codec {
            Codec::H264 => self.h264_prefix(len),
            Codec::Vp8 => {
                let descriptor = if self.is_first() { 0x10 } else { 0x00 };
                vec![descriptor, if self.is_key { 0x50 } else { 0x51 }]
            }
            _ => vec![0xfc],
        }
    }

    /// A keyframe begins with SPS and PPS in an aggregate, whose last unit (SEI) holds the rest; then come the
    /// fragments of its slice. Frames of one packet are one slice.
    fn h264_prefix(&self, len: usize) -> Vec<u8> {
        let fragments_from = u16::from(self.is_key);
        if self.is_key && self.is_first() && self.count > 1 {
            let mut prefix = vec![0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 3, 0x68, 0xce, 0x3c];
            let sei_len = (len - prefix.len() - 2) as u16;
            prefix.extend_from_slice(&sei_len.to_be_bytes());
            prefix.push(0x06);
            return prefix;
        }
        let slice = if self.is_key { 5 } else { 1 };
        if self.index == fragments_from && self.is_last() || self.count == 1 {
            return vec![0x60 | slice, 0x88];
        }
        let start = if self.index == fragments_from { 0x80 } else { 0 };
        let end = if self.is_last() { 0x40 } else { 0 };
        vec![0x7c, start | end | slice, 0x88]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wtn_media::peek;

    fn part(is_key: bool, index: u16, count: u16) -> Part {
        Part { id: FrameId { publisher: 3, frame: 70_000 }, is_key, index, count }
    }

    #[test]
    fn the_server_sees_a_keyframe_where_one_starts_and_nowhere_else() {
        for codec in [Codec::H264, Codec::Vp8] {
            for count in 1..5 {
                for index in 0..count {
                    let key = peek::marks(codec, &part(true, index, count).payload(codec, 200));
                    // The slice that follows the parameter sets is marked as well.
                    let expected = index == 0 || codec == Codec::H264 && index == 1;
                    assert_eq!(key.keyframe_start, expected, "{codec} {index}/{count}");
                    assert_eq!(key.parameter_sets, codec == Codec::H264 && index == 0 && count > 1);
                    let delta = peek::marks(codec, &part(false, index, count).payload(codec, 200));
                    assert!(!delta.keyframe_start && !delta.parameter_sets, "{codec} {index}/{count}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_part_is_read_as_written_and_not_if_changed(
            (publisher, frame, index, more) in (any::<u16>(), any::<u32>(), 0u16..500, 1u16..500),
            is_key: bool,
            len in 0usize..1300,
            (at, flip) in (any::<prop::sample::Index>(), 1u8..),
        ) {
            let part = Part { id: FrameId { publisher, frame }, is_key, index, count: index + more };
            for codec in [Codec::H264, Codec::Vp8, Codec::Opus] {
                let mut payload = part.payload(codec, len);
                prop_assert_eq!(payload.len(), len.max(PAYLOAD_LEN_MIN));
                prop_assert_eq!(Part::read(&payload), Some(part));
                let at = at.index(payload.len());
                payload[at] ^= flip;
                prop_assert_eq!(Part::read(&payload), None);
            }
        }
    }
}
