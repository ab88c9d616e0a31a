//! RTP headers (RFC 3550 §5.1) with their extensions (RFC 8285): a checked view, and a writer that fills a
//! viewer's slot in place. Neither allocates.

use crate::{PayloadType, Ssrc};
use std::fmt;

/// Bytes of a header without CSRCs and extensions.
pub const HEADER_LEN_MIN: usize = 12;

/// Profile of the one-byte extension form (RFC 8285 §4.2).
const ONE_BYTE_FORM: u16 = 0xbede;
/// Profile of the two-byte form, whose low four bits are free (RFC 8285 §4.3).
const TWO_BYTE_FORM: u16 = 0x1000;

/// The bytes are not RTP, or their lengths contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a well-formed RTP packet")
    }
}

impl std::error::Error for Malformed {}

/// An RTP packet whose lengths were checked once, so that no accessor can fail.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    fixed: &'a [u8; HEADER_LEN_MIN],
    extensions: Extensions<'a>,
    payload: &'a [u8],
    header_len: usize,
}

impl<'a> RtpView<'a> {
    /// Checks version, CSRC list, extension block and padding.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, mut rest) = packet.split_first_chunk::<HEADER_LEN_MIN>().ok_or(Malformed)?;
        if fixed[0] >> 6 != 2 {
            return Err(Malformed);
        }
        rest = rest.get(4 * usize::from(fixed[0] & 0x0f)..).ok_or(Malformed)?;
        let mut extensions = Extensions { form: Form::None, rest: &[] };
        if fixed[0] & 0x10 != 0 {
            let (head, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (body, after) = after.split_at_checked(4 * words).ok_or(Malformed)?;
            extensions = Extensions { form: Form::of(u16::from_be_bytes([head[0], head[1]])), rest: body };
            rest = after;
        }
        let header_len = packet.len() - rest.len();
        let mut payload = rest;
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(Malformed)?);
            if padding == 0 || padding > rest.len() {
                return Err(Malformed);
            }
            payload = &rest[..rest.len() - padding];
        }
        Ok(Self { fixed, extensions, payload, header_len })
    }

    /// What the payload is, by the numbers of this session's SDP.
    pub fn payload_type(&self) -> PayloadType {
        PayloadType::from_low_bits(self.fixed[1])
    }

    /// The marker bit: for video the last packet of a frame.
    pub fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// The sequence number, 16 bits, wraps.
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The timestamp, 32 bits, wraps, in units of the codec's clock rate.
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// Who sent it.
    pub fn ssrc(&self) -> Ssrc {
        Ssrc(u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]]))
    }

    /// The payload without padding. Empty in packets that only probe the path.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes before the payload: fixed header, CSRCs and extensions.
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// The header extensions as (id, value), in either form. A broken element ends the list.
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    None,
    OneByte,
    TwoByte,
}

impl Form {
    fn of(profile: u16) -> Self {
        match profile {
            ONE_BYTE_FORM => Self::OneByte,
            profile if profile & 0xfff0 == TWO_BYTE_FORM => Self::TwoByte,
            _ => Self::None,
        }
    }
}

/// Iterator over header extensions, made by [`RtpView::extensions`].
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, after) = self.rest.split_first()?;
            if first == 0 {
                // Padding between elements, one byte at a time (RFC 8285 §4.1.2).
                self.rest = after;
                continue;
            }
            let element = match self.form {
                Form::None => None,
                Form::OneByte => one_byte_element(first, after),
                Form::TwoByte => two_byte_element(first, after),
            };
            self.rest = element.map_or(&[], |(_, _, rest)| rest);
            return element.map(|(id, value, _)| (id, value));
        }
    }
}

/// Ids 0 (with a length) and 15 end the list (RFC 8285 §4.2).
fn one_byte_element(first: u8, after: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let id = first >> 4;
    if id == 0 || id == 15 {
        return None;
    }
    let (value, rest) = after.split_at_checked(usize::from(first & 0x0f) + 1)?;
    Some((id, value, rest))
}

/// RFC 8285 §4.3.
fn two_byte_element(id: u8, after: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&len, after) = after.split_first()?;
    let (value, rest) = after.split_at_checked(usize::from(len))?;
    Some((id, value, rest))
}

/// The numbers of a header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// What the payload is, in the receiver's numbering.
    pub payload_type: PayloadType,
    /// The marker bit.
    pub marker: bool,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The sender.
    pub ssrc: Ssrc,
}

/// Writes a header into the slot it is sent from; extensions in the one-byte form (RFC 8285 §4.2), unless told
/// otherwise.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    out: &'a mut [u8],
    end: usize,
    is_two_byte: bool,
}

impl<'a> HeaderWriter<'a> {
    /// Writes the fixed header.
    ///
    /// # Panics
    /// If `out` is shorter than [`HEADER_LEN_MIN`]: slots are ours, so that would be our bug.
    pub fn new(out: &'a mut [u8], fields: HeaderFields) -> Self {
        out[0] = 0x80;
        out[1] = (u8::from(fields.marker) << 7) | fields.payload_type.value();
        out[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        out[8..HEADER_LEN_MIN].copy_from_slice(&fields.ssrc.0.to_be_bytes());
        Self { out, end: HEADER_LEN_MIN, is_two_byte: false }
    }

    /// Extensions in the two-byte form (RFC 8285 §4.3), which carries up to 255 bytes in each. Before the first.
    pub fn two_byte(mut self) -> Self {
        self.is_two_byte = true;
        self
    }

    /// Appends an extension. False, and nothing is written, if the form cannot carry it (id 1 to 14, value 1 to 16
    /// bytes, or 255) or the slot is full.
    pub fn extension(&mut self, id: u8, value: &[u8]) -> bool {
        let start = if self.end == HEADER_LEN_MIN { HEADER_LEN_MIN + 4 } else { self.end };
        let (head, len_max) = if self.is_two_byte { (2, 255) } else { (1, 16) };
        let end = start + head + value.len();
        if !(1..15).contains(&id)
            || !(1..=len_max).contains(&value.len())
            || end.next_multiple_of(4) > self.out.len()
            || end > usize::from(u16::MAX)
        {
            return false;
        }
        if self.is_two_byte {
            self.out[start..start + head].copy_from_slice(&[id, value.len() as u8]);
        } else {
            self.out[start] = (id << 4) | (value.len() as u8 - 1);
        }
        self.out[start + head..end].copy_from_slice(value);
        self.end = end;
        true
    }

    /// Closes the extension block, if there is one. The answer is the header's length: the payload goes
    /// there.
    pub fn finish(self) -> usize {
        if self.end == HEADER_LEN_MIN {
            return self.end;
        }
        let end = self.end.next_multiple_of(4);
        self.out[self.end..end].fill(0);
        self.out[0] |= 0x10;
        let words = (end - HEADER_LEN_MIN - 4) / 4;
        let form = if self.is_two_byte { TWO_BYTE_FORM } else { ONE_BYTE_FORM };
        self.out[HEADER_LEN_MIN..HEADER_LEN_MIN + 2].copy_from_slice(&form.to_be_bytes());
        self.out[HEADER_LEN_MIN + 2..HEADER_LEN_MIN + 4].copy_from_slice(&(words as u16).to_be_bytes());
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Version 2, marker, payload type 96, sequence 0x0102, timestamp 0x03040506, SSRC 0x0708090a.
    const FIXED: [u8; 12] = [0x80, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = FIXED.to_vec();
        packet[0] = first;
        packet.extend_from_slice(rest);
        packet
    }

    fn extensions_of(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let view = RtpView::parse(packet).unwrap();
        view.extensions().map(|(id, value)| (id, value.to_vec())).collect()
    }

    #[test]
    fn the_plain_header_is_read() {
        let bytes = packet(0x80, b"payload");
        let view = RtpView::parse(&bytes).unwrap();
        assert_eq!(view.payload_type().value(), 96);
        assert!(view.marker());
        assert_eq!((view.sequence(), view.timestamp()), (0x0102, 0x0304_0506));
        assert_eq!(view.ssrc(), Ssrc(0x0708_090a));
        assert_eq!((view.header_len(), view.payload()), (12, &b"payload"[..]));
        assert_eq!(view.extensions().count(), 0);
    }

    #[test]
    fn csrcs_extensions_and_padding_frame_the_payload() {
        let bytes = packet(0xb1, &[0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0, b'x', b'y', 0, 2]);
        let view = RtpView::parse(&bytes).unwrap();
        assert_eq!((view.header_len(), view.payload()), (24, &b"xy"[..]));
        assert_eq!(view.extensions().collect::<Vec<_>>(), [(1, &[7u8][..])]);
        let probe = packet(0xa0, &[0, 0, 3]);
        assert_eq!(RtpView::parse(&probe).unwrap().payload(), b"");
    }

    #[test]
    fn contradicting_lengths_are_malformed() {
        let table: [(&str, Vec<u8>); 9] = [
            ("empty", vec![]),
            ("cut in the fixed header", FIXED[..11].to_vec()),
            ("version 1", packet(0x40, &[0; 8])),
            ("two CSRCs announced, one there", packet(0x82, &[0; 4])),
            ("extension head cut", packet(0x90, &[0xbe, 0xde, 0])),
            ("extension body cut", packet(0x90, &[0xbe, 0xde, 0, 2, 1, 2, 3, 4])),
            ("padding without a byte", packet(0xa0, &[])),
            ("padding of zero", packet(0xa0, &[1, 0])),
            ("padding longer than the payload", packet(0xa0, &[1, 3])),
        ];
        for (case, bytes) in table {
            assert_eq!(RtpView::parse(&bytes).err(), Some(Malformed), "{case}");
        }
    }

    /// Case, extension block, what is read.
    type Row = (&'static str, &'static [u8], &'static [(u8, &'static [u8])]);

    #[test]
    fn both_extension_forms_are_read_and_broken_elements_end_the_list() {
        let table: [Row; 8] = [
            ("one-byte", &[0xbe, 0xde, 0, 2, 0x12, 1, 2, 3, 0x20, 9, 0, 0], &[(1, &[1, 2, 3]), (2, &[9])]),
            ("padding between", &[0xbe, 0xde, 0, 2, 0x10, 5, 0, 0, 0, 0x30, 6, 0], &[(1, &[5]), (3, &[6])]),
            ("id 15 stops", &[0xbe, 0xde, 0, 2, 0x10, 5, 0xf0, 6, 0x20, 7, 0, 0], &[(1, &[5])]),
            ("id 0 with a length stops", &[0xbe, 0xde, 0, 2, 0x10, 5, 0x01, 6, 0x20, 7, 0, 0], &[(1, &[5])]),
            ("value cut", &[0xbe, 0xde, 0, 1, 0x10, 5, 0x23, 6], &[(1, &[5])]),
            ("two-byte", &[0x10, 0x03, 0, 2, 200, 0, 7, 3, 1, 2, 3, 0], &[(200, &[]), (7, &[1, 2, 3])]),
            ("two-byte cut", &[0x10, 0x00, 0, 1, 7, 1, 9, 8], &[(7, &[9])]),
            ("foreign profile", &[0xab, 0xcd, 0, 1, 0x12, 1, 2, 3], &[]),
        ];
        for (case, bytes, expected) in table {
            let expected: Vec<_> = expected.iter().map(|&(id, value)| (id, value.to_vec())).collect();
            assert_eq!(extensions_of(&packet(0x90, bytes)), expected, "{case}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_the_header_whole() {
        let mut out = [0xff; 28];
        let mut writer = HeaderWriter::new(&mut out, fields());
        assert!(writer.extension(1, &[1; 8]));
        assert!(!writer.extension(0, &[1]) && !writer.extension(15, &[1]));
        assert!(!writer.extension(2, &[]) && !writer.extension(2, &[0; 17]));
        assert!(!writer.extension(2, &[2; 3]), "the slot is full");
        assert!(writer.extension(3, &[3]));
        assert_eq!(writer.finish(), 28);
        assert_eq!(extensions_of(&out), [(1, vec![1; 8]), (3, vec![3])]);
    }

    fn fields() -> HeaderFields {
        let payload_type = PayloadType::new(111).unwrap();
        HeaderFields { payload_type, marker: false, sequence: 7, timestamp: 8, ssrc: Ssrc(9) }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80), first: u8) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = 0x80 | (first & 0x3f);
            }
            if let Ok(view) = RtpView::parse(&bytes) {
                prop_assert!(view.header_len() + view.payload().len() <= bytes.len());
                prop_assert!(view.extensions().all(|(id, value)| id != 0 && value.len() < 256));
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            (payload_type, marker, sequence, timestamp, ssrc) in (0u8..128, any::<bool>(), any::<u16>(), any::<u32>(), any::<u32>()),
            extensions in proptest::collection::vec((1u8..15, proptest::collection::vec(any::<u8>(), 1..17)), 0..6),
            is_two_byte: bool,
            payload in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let payload_type = PayloadType::new(payload_type).unwrap();
            let fields = HeaderFields { payload_type, marker, sequence, timestamp, ssrc: Ssrc(ssrc) };
            let mut out = [0xaa; 200];
            let mut writer = HeaderWriter::new(&mut out, fields);
            if is_two_byte {
                writer = writer.two_byte();
            }
            for (id, value) in &extensions {
                prop_assert!(writer.extension(*id, value));
            }
            let header_len = writer.finish();
            out[header_len..header_len + payload.len()].copy_from_slice(&payload);
            let packet = &out[..header_len + payload.len()];
            let view = RtpView::parse(packet).unwrap();
            let read = HeaderFields {
                payload_type: view.payload_type(),
                marker: view.marker(),
                sequence: view.sequence(),
                timestamp: view.timestamp(),
                ssrc: view.ssrc(),
            };
            prop_assert_eq!(read, fields);
            prop_assert_eq!(view.header_len(), header_len);
            prop_assert_eq!(view.payload(), &payload[..]);
            prop_assert_eq!(extensions_of(packet), extensions);
        }
    }
}
