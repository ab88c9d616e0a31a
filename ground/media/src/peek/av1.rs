//! AV1 (AOMedia's "RTP Payload Format for AV1" v1.0, §4.4).

use crate::packet::Marks;

/// Z: the first element goes on from the packet before.
const CONTINUES: u8 = 0x80;
/// N: first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
const OBU_TYPE_SHIFT: u8 = 3;
const OBU_SEQUENCE_HEADER: u8 = 1;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

pub(super) fn marks(payload: &[u8]) -> Marks {
    match payload.split_first() {
        Some((&head, rest)) if !rest.is_empty() => Marks {
            keyframe_start: head & NEW_SEQUENCE != 0 && head & CONTINUES == 0,
            parameter_sets: elements(head, rest)
                .skip(usize::from(head & CONTINUES != 0))
                .any(|element| element.first().is_some_and(|&obu| is_sequence_header(obu))),
            ..Marks::default()
        },
        _ => Marks::default(),
    }
}

/// The first sequence header, behind its OBU header.
pub(super) fn sequence_header(payload: &[u8]) -> Option<&[u8]> {
    let (&head, rest) = payload.split_first()?;
    let mut whole = elements(head, rest).skip(usize::from(head & CONTINUES != 0));
    let element = whole.find(|element| element.first().is_some_and(|&obu| is_sequence_header(obu)))?;
    let extension = usize::from(element[0] & HAS_EXTENSION != 0);
    let mut rest = element.get(1 + extension..)?;
    if element[0] & HAS_SIZE != 0 {
        rest = leb128(rest)?.1;
    }
    Some(rest)
}

fn is_sequence_header(obu: u8) -> bool {
    (obu >> OBU_TYPE_SHIFT) & 0x0f == OBU_SEQUENCE_HEADER
}

/// The OBU elements. W says how many there are, of which the last has no length in front; with W = 0 each
/// has one.
fn elements(head: u8, mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = (head >> 4) & 0x03;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if left == 1 {
            return Some(std::mem::take(&mut rest));
        }
        left = left.saturating_sub(1);
        let (len, after) = leb128(rest)?;
        let (element, after) = after.split_at_checked(len)?;
        rest = after;
        Some(element)
    })
}

/// A length of at most four bytes: no packet holds more.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::tests::{KEY, KEY_AND_SETS, NOTHING, SETS, check};

    /// First bytes of OBUs without extension and size field.
    const SEQUENCE_HEADER: u8 = 0x08;
    const FRAME: u8 = 0x30;

    #[test]
    fn av1_keyframes_start_where_a_sequence_does() {
        check(
            Codec::Av1,
            &[
                ("empty", &[], NOTHING),
                ("aggregation header alone", &[0x18], NOTHING),
                ("new sequence, W = 2", &[0x28, 2, SEQUENCE_HEADER, 0, FRAME, 0], KEY_AND_SETS),
                ("new sequence, W = 1, its frame elsewhere", &[0x18, SEQUENCE_HEADER, 0], KEY_AND_SETS),
                ("new sequence, W = 0", &[0x08, 2, SEQUENCE_HEADER, 0, 2, FRAME, 0], KEY_AND_SETS),
                ("new sequence without its header", &[0x18, FRAME, 0], KEY),
                ("frame", &[0x10, FRAME, 0], NOTHING),
                ("repeated sequence header", &[0x20, 1, SEQUENCE_HEADER, FRAME], SETS),
                ("continuation that looks like a header", &[0x90, SEQUENCE_HEADER, 0], NOTHING),
                ("continuation, then a header", &[0xa0, 1, 0x55, SEQUENCE_HEADER], SETS),
            ],
        );
    }

    #[test]
    fn av1_cut_elements_end_the_search() {
        check(
            Codec::Av1,
            &[
                ("length past the end", &[0x20, 9, SEQUENCE_HEADER], NOTHING),
                ("length without end", &[0x20, 0x80, 0x80, 0x80, 0x80, 0], NOTHING),
                ("length cut", &[0x20, 0x80], NOTHING),
                ("two-byte length", &[0x20, 0x81, 0x00, SEQUENCE_HEADER, FRAME], SETS),
                ("empty element first", &[0x30, 0, 1, SEQUENCE_HEADER, FRAME], SETS),
            ],
        );
    }
}
