//! H.265 (RFC 7798 §4.4), without decoding order numbers, which no WebRTC sender uses.

use super::bits::Bits;
use super::{aggregated, merged};
use crate::packet::Marks;

/// BLA, IDR and CRA pictures, and the two types kept for more of them: decoding may begin there.
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const AGGREGATE: u8 = 48;
const FRAGMENT: u8 = 49;
const FU_START: u8 = 0x80;

pub(super) fn marks(payload: &[u8]) -> Marks {
    let Some((head, rest)) = payload.split_first_chunk::<2>() else { return Marks::default() };
    match kind(head) {
        AGGREGATE => merged(aggregated(rest).map(unit)),
        FRAGMENT => match rest.split_first() {
            Some((&fu, body)) if fu & FU_START != 0 => unit_marks(fu & 0x3f, body),
            _ => Marks::default(),
        },
        kind => unit_marks(kind, rest),
    }
}

/// The NAL units that are in the packet whole.
pub(super) fn units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let kind = payload.first_chunk::<2>().map(kind);
    let parts = if kind == Some(AGGREGATE) { &payload[2..] } else { &[] };
    let single = kind.is_some_and(|kind| kind < AGGREGATE).then_some(payload);
    single.into_iter().chain(aggregated(parts))
}

/// Type and id of a parameter set, and whether it is a sequence's (§7.3.2). A sequence's own id lies behind a part of
/// unsteady length, and senders have but one; its place is taken by the id of the video that it belongs to.
pub(super) fn parameter_set(unit: &[u8]) -> Option<(u8, u32, bool)> {
    let (head, body) = unit.split_first_chunk::<2>()?;
    let kind = kind(head);
    let mut bits = Bits::new(body);
    let id = match kind {
        VPS | SPS => bits.read(4)?,
        PPS => bits.golomb()?,
        _ => return None,
    };
    Some((kind, id, kind == SPS))
}

pub(super) fn is_sps(unit: &[u8]) -> bool {
    unit.first_chunk::<2>().is_some_and(|head| kind(head) == SPS)
}

fn unit(unit: &[u8]) -> Marks {
    unit.split_first_chunk::<2>().map_or(Marks::default(), |(head, body)| unit_marks(kind(head), body))
}

fn kind(head: &[u8; 2]) -> u8 {
    (head[0] >> 1) & 0x3f
}

/// `body` follows the NAL unit header. A slice header begins with `first_slice_segment_in_pic_flag`.
fn unit_marks(kind: u8, body: &[u8]) -> Marks {
    match kind {
        kind if IRAP.contains(&kind) => Marks {
            keyframe_start: body.first().is_some_and(|byte| byte & 0x80 != 0),
            parameter_sets: false,
            ..Marks::default()
        },
        VPS | SPS => Marks { keyframe_start: true, parameter_sets: true, ..Marks::default() },
        PPS => Marks { keyframe_start: false, parameter_sets: true, ..Marks::default() },
        _ => Marks::default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::tests::{KEY, KEY_AND_SETS, NOTHING, SETS, check};

    /// First bytes of a NAL unit header by type: `type << 1`, then layer 0 and temporal id 1.
    const TRAIL: u8 = 1 << 1;
    const IDR: u8 = 19 << 1;
    const CRA: u8 = 21 << 1;
    const VPS: u8 = 32 << 1;
    const SPS: u8 = 33 << 1;
    const PPS: u8 = 34 << 1;
    const AP: u8 = 48 << 1;
    const FU: u8 = 49 << 1;

    #[test]
    fn h265_keyframes_start_at_the_first_irap_slice_or_its_sets() {
        check(
            Codec::H265,
            &[
                ("empty", &[], NOTHING),
                ("half a header", &[IDR], NOTHING),
                ("IDR, first slice", &[IDR, 1, 0xaf], KEY),
                ("IDR, later slice", &[IDR, 1, 0x2f], NOTHING),
                ("IDR, cut after its header", &[IDR, 1], NOTHING),
                ("CRA", &[CRA, 1, 0x80], KEY),
                ("trailing picture", &[TRAIL, 1, 0xd0], NOTHING),
                ("VPS", &[VPS, 1, 0x0c], KEY_AND_SETS),
                ("SPS", &[SPS, 1, 0x01], KEY_AND_SETS),
                ("PPS", &[PPS, 1, 0xc1], SETS),
            ],
        );
    }

    #[test]
    fn h265_aggregates_count_for_all_their_parts() {
        check(
            Codec::H265,
            &[
                ("VPS and SPS", &[AP, 1, 0, 3, VPS, 1, 0, 0, 3, SPS, 1, 0], KEY_AND_SETS),
                ("PPS and IDR", &[AP, 1, 0, 3, PPS, 1, 0, 0, 3, IDR, 1, 0x80], KEY_AND_SETS),
                ("two trailing pictures", &[AP, 1, 0, 3, TRAIL, 1, 0x80, 0, 3, TRAIL, 1, 0x80], NOTHING),
                ("IDR cut off", &[AP, 1, 0, 9, IDR, 1, 0x80], NOTHING),
                ("part of one byte", &[AP, 1, 0, 1, IDR], NOTHING),
            ],
        );
    }

    #[test]
    fn h265_fragments_count_only_at_their_start() {
        check(
            Codec::H265,
            &[
                ("IDR start", &[FU, 1, 0x80 | 19, 0x80], KEY),
                ("IDR middle", &[FU, 1, 19, 0x80], NOTHING),
                ("IDR end", &[FU, 1, 0x40 | 19, 0x80], NOTHING),
                ("trailing start", &[FU, 1, 0x80 | 1, 0x80], NOTHING),
                ("cut after the payload header", &[FU, 1], NOTHING),
                ("cut after the FU header", &[FU, 1, 0x80 | 19], NOTHING),
            ],
        );
    }
}
