//! Slices of pictures that refer to later ones.

use super::bits::Bits;
use super::h264;
use crate::Codec;

/// Whether a B slice of H.264 begins in the packet: its picture is shown before others that came earlier. Other
/// codecs use such slices without that, or have none.
pub fn has_b_slice(codec: Codec, payload: &[u8]) -> bool {
    let is_b = |unit: &[u8]| unit.split_first().is_some_and(|(head, body)| is_b_slice(*head, body));
    let begins = match payload {
        // The first fragment of a slice: its type and its header follow the indicator.
        [indicator, head, body @ ..] if indicator & 0x1f == 28 && head & 0x80 != 0 => is_b_slice(*head, body),
        _ => h264::units(payload).any(is_b),
    };
    codec == Codec::H264 && begins
}

/// A slice header begins with `first_mb_in_slice` and `slice_type`, both in Exp-Golomb code (H.264 §7.3.3); types 1
/// and 6 are B. An IDR has none.
fn is_b_slice(head: u8, body: &[u8]) -> bool {
    let mut bits = Bits::new(body);
    head & 0x1f == 1 && bits.golomb().is_some() && bits.golomb().is_some_and(|kind| kind % 5 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b_slices_are_told_from_others_in_every_packing() {
        // first_mb_in_slice 0 is "1"; slice_type 0 "1", 1 "010", 5 "00110", 6 "00111", 7 "0001000".
        for (case, payload, expected) in [
            ("P", &[0x41, 0b1100_0000][..], false),
            ("B", &[0x01, 0b1010_0000], true),
            ("all slices P", &[0x41, 0b1001_1000], false),
            ("all slices B", &[0x01, 0b1001_1100], true),
            ("I", &[0x41, 0b1000_1000], false),
            ("IDR that looks like it", &[0x65, 0b1010_0000], false),
            ("second slice, B", &[0x01, 0b0100_1000], true),
            ("fragment that begins a B slice", &[0x1c, 0x81, 0b1010_0000], true),
            ("fragment in its middle", &[0x1c, 0x01, 0b1010_0000], false),
            ("delimiter and B slice in one", &[0x18, 0, 2, 0x09, 0x50, 0, 2, 0x01, 0b1010_0000], true),
            ("cut off", &[0x01], false),
            ("nothing", &[], false),
        ] {
            assert_eq!(has_b_slice(Codec::H264, payload), expected, "{case}");
            assert!(!has_b_slice(Codec::H265, payload), "{case}: low-delay H.265 has them, too");
        }
    }
}
