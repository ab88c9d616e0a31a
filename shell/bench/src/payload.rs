//! Synthetic media: payloads that look like H.264 or Opus at the front, and say at the back which packet they are
//! and when they left.

/// At the end of every payload: frame, index, time of sending, check.
const TRAILER_LEN: usize = 4 + 2 + 8 + 4;

/// One packet of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Counted from 0.
    pub frame: u32,
    /// Which packet of the frame, from 0.
    pub index: u16,
    /// When it was sent, in ns of the wall clock.
    pub sent_ns: u64,
}

/// What a server may look at: parameter sets and the start of a slice where a keyframe starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A video packet, of so many in its frame.
    Video { is_key: bool, count: u16 },
    /// A packet of sound.
    Audio,
}

impl Part {
    /// The payload, `len` bytes long.
    pub fn write(&self, kind: Kind, len: usize) -> Vec<u8> {
        let mut payload = prefix(kind, self.index, len);
        let mut state = self.seed();
        while payload.len() < len.saturating_sub(TRAILER_LEN) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            payload.push((state >> 56) as u8);
        }
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend_from_slice(&self.index.to_be_bytes());
        payload.extend_from_slice(&self.sent_ns.to_be_bytes());
        let check = check(&payload);
        payload.extend_from_slice(&check.to_be_bytes());
        payload
    }

    /// Reads what [`Self::write`] wrote. `None` if so much as a bit differs.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (body, sum) = payload.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*sum) != check(body) {
            return None;
        }
        let (_, fields) = body.split_last_chunk::<{ TRAILER_LEN - 4 }>()?;
        let (frame, rest) = fields.split_first_chunk::<4>()?;
        let (index, sent) = rest.split_first_chunk::<2>()?;
        Some(Self {
            frame: u32::from_be_bytes(*frame),
            index: u16::from_be_bytes(*index),
            sent_ns: u64::from_be_bytes(*sent.first_chunk()?),
        })
    }

    fn seed(&self) -> u64 {
        (u64::from(self.frame) << 16) | u64::from(self.index)
    }
}

/// RFC 6184: a keyframe begins with SPS and PPS in an aggregate whose last unit (SEI) holds the rest; its slice
/// follows in fragments. Any other frame is one fragmented slice. Opus is opaque (RFC 7587).
fn prefix(kind: Kind, index: u16, len: usize) -> Vec<u8> {
    let Kind::Video { is_key, count } = kind else { return vec![0xfc] };
    if is_key && index == 0 {
        let mut aggregate = vec![0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 3, 0x68, 0xce, 0x3c];
        let rest = len - aggregate.len() - 2;
        aggregate.extend_from_slice(&(rest as u16).to_be_bytes());
        aggregate.push(0x06);
        return aggregate;
    }
    let slice = if is_key { 5 } else { 1 };
    let start = if index == u16::from(is_key) { 0x80 } else { 0 };
    let end = if index + 1 == count { 0x40 } else { 0 };
    vec![0x7c, start | end | slice, 0x88]
}

/// FNV-1a.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_and_one_bit_spoils_it() {
        let part = Part { frame: 70_000, index: 64, sent_ns: 1_790_000_000_123_456_789 };
        for kind in
            [Kind::Audio, Kind::Video { is_key: true, count: 65 }, Kind::Video { is_key: false, count: 8 }]
        {
            let mut payload = part.write(kind, 200);
            assert_eq!(payload.len(), 200);
            assert_eq!(Part::read(&payload), Some(part));
            payload[100] ^= 4;
            assert_eq!(Part::read(&payload), None);
        }
        assert_eq!(Part::read(&[0; 7]), None);
    }

    #[test]
    fn a_keyframe_begins_with_its_parameter_sets() {
        let first = Part { frame: 0, index: 0, sent_ns: 0 };
        let payload = first.write(Kind::Video { is_key: true, count: 65 }, 1164);
        assert_eq!((payload[0] & 0x1f, payload[3] & 0x1f, payload[9] & 0x1f), (24, 7, 8));
        assert_eq!(usize::from(u16::from_be_bytes([payload[12], payload[13]])), 1164 - 14);
        let second = Part { index: 1, ..first }.write(Kind::Video { is_key: true, count: 65 }, 1164);
        assert_eq!((second[0] & 0x1f, second[1]), (28, 0x85));
    }
}
