//! H.264 (RFC 6184 §5).

use super::bits::Bits;
use super::{aggregated, merged};
use crate::packet::Marks;

const TYPE_MASK: u8 = 0x1f;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
const FU_START: u8 = 0x80;

pub(super) fn marks(payload: &[u8]) -> Marks {
    let Some((&first, rest)) = payload.split_first() else { return Marks::default() };
    match first & TYPE_MASK {
        STAP_A => merged(aggregated(rest).map(unit)),
        // Two bytes of decoding order number come first.
        STAP_B => merged(aggregated(rest.get(2..).unwrap_or_default()).map(unit)),
        kind @ (FU_A | FU_B) => match rest.split_first() {
            Some((&head, rest)) if head & FU_START != 0 => {
                let body = if kind == FU_B { rest.get(2..).unwrap_or_default() } else { rest };
                unit_marks(head & TYPE_MASK, body)
            }
            _ => Marks::default(),
        },
        _ => unit(payload),
    }
}

/// The NAL units that are in the packet whole.
pub(super) fn units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let kind = payload.first().map_or(0, |first| first & TYPE_MASK);
    let parts = if kind == STAP_A { &payload[1..] } else { &[] };
    let single = (1..STAP_A).contains(&kind).then_some(payload);
    single.into_iter().chain(aggregated(parts))
}

/// Type and id of a parameter set, and whether it is a sequence's (§7.3.2.1, §7.3.2.2).
pub(super) fn parameter_set(unit: &[u8]) -> Option<(u8, u32, bool)> {
    let kind = unit.first()? & TYPE_MASK;
    let at = match kind {
        SPS => 4,
        PPS => 1,
        _ => return None,
    };
    Some((kind, Bits::new(unit.get(at..)?).golomb()?, kind == SPS))
}

pub(super) fn is_sps(unit: &[u8]) -> bool {
    unit.first().is_some_and(|first| first & TYPE_MASK == SPS)
}

fn unit(unit: &[u8]) -> Marks {
    unit.split_first().map_or(Marks::default(), |(&first, body)| unit_marks(first & TYPE_MASK, body))
}

/// `body` follows the NAL unit header. A slice header begins with `first_mb_in_slice` in Exp-Golomb code, where
/// zero is a single one bit: only the slice that opens the picture counts, else a viewer could start at
/// the second slice of an IDR.
fn unit_marks(kind: u8, body: &[u8]) -> Marks {
    match kind {
        IDR => Marks {
            keyframe_start: body.first().is_some_and(|byte| byte & 0x80 != 0),
            parameter_sets: false,
            ..Marks::default()
        },
        SPS => Marks { keyframe_start: true, parameter_sets: true, ..Marks::default() },
        PPS => Marks { keyframe_start: false, parameter_sets: true, ..Marks::default() },
        _ => Marks::default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::tests::{KEY, KEY_AND_SETS, NOTHING, SETS, check};

    #[test]
    fn h264_keyframes_start_at_the_first_idr_slice_or_its_sps() {
        check(
            Codec::H264,
            &[
                ("empty", &[], NOTHING),
                ("IDR, first slice", &[0x65, 0x88, 0x84], KEY),
                ("IDR, second slice", &[0x65, 0x07, 0x84], NOTHING),
                ("IDR, cut after its header", &[0x65], NOTHING),
                ("non-IDR slice", &[0x41, 0x9a, 0x00], NOTHING),
                ("SEI", &[0x06, 0x05, 0x01], NOTHING),
                ("access unit delimiter", &[0x09, 0xf0], NOTHING),
                ("SPS", &[0x67, 0x42, 0xe0, 0x1f], KEY_AND_SETS),
                ("PPS", &[0x68, 0xce, 0x3c, 0x80], SETS),
            ],
        );
    }

    #[test]
    fn h264_aggregates_count_for_all_their_parts() {
        check(
            Codec::H264,
            &[
                ("SPS and PPS", &[0x78, 0, 3, 0x67, 0x42, 0xe0, 0, 2, 0x68, 0xce], KEY_AND_SETS),
                ("SPS, PPS and IDR", &[0x78, 0, 2, 0x67, 1, 0, 1, 0x68, 0, 2, 0x65, 0x88], KEY_AND_SETS),
                ("delimiter and IDR", &[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x65, 0x88], KEY),
                ("delimiter and slice", &[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x41, 0x9a], NOTHING),
                ("PPS alone", &[0x78, 0, 2, 0x68, 0xce], SETS),
                ("SPS cut off", &[0x78, 0, 3, 0x67, 0x42], NOTHING),
                ("IDR cut off behind a PPS", &[0x78, 0, 1, 0x68, 0, 9, 0x65, 0x88], SETS),
                ("size cut off", &[0x78, 0], NOTHING),
                ("empty part, then SPS", &[0x78, 0, 0, 0, 1, 0x67], KEY_AND_SETS),
                ("STAP-B", &[0x79, 0, 1, 0, 2, 0x65, 0x88], KEY),
                ("STAP-B cut off", &[0x79, 0], NOTHING),
            ],
        );
    }

    #[test]
    fn h264_fragments_count_only_at_their_start() {
        check(
            Codec::H264,
            &[
                ("IDR start", &[0x7c, 0x85, 0x88], KEY),
                ("IDR start of a later slice", &[0x7c, 0x85, 0x07], NOTHING),
                ("IDR middle", &[0x7c, 0x05, 0x88], NOTHING),
                ("IDR end", &[0x7c, 0x45, 0x88], NOTHING),
                ("slice start", &[0x7c, 0x81, 0x9a], NOTHING),
                ("SPS start", &[0x7c, 0x87, 0x42], KEY_AND_SETS),
                ("cut after the indicator", &[0x7c], NOTHING),
                ("cut after the FU header", &[0x7c, 0x85], NOTHING),
                ("FU-B IDR start", &[0x7d, 0x85, 0, 1, 0x88], KEY),
                ("FU-B cut off", &[0x7d, 0x85, 0], NOTHING),
            ],
        );
    }
}
