//! One look at a payload: may a viewer start here? Everything else in it stays opaque.
//!
//! [`Marks::keyframe_start`] is on the first packet that a joining viewer needs:
//! - H.264, H.265: the first slice of a picture that needs no other (IDR; for H.265 any IRAP), **or** a
//!   sequence (H.265 also: video) parameter set. Encoders send these sets directly before such a picture,
//!   often as packets of their own with the same timestamp, and whoever starts after them sees nothing. So
//!   one keyframe may have several marked packets; the first of a timestamp is where to start. Encoders that
//!   refresh gradually and never send an IDR are served by the same rule: they send the sets where decoding
//!   may begin.
//! - VP8, VP9: the first packet of a keyframe, for VP9 in its lowest spatial layer.
//! - AV1: the first packet of a coded video sequence (the N bit).
//! - Audio never: any packet will do.

mod av1;
mod bits;
mod h264;
mod h265;
mod picture_ids;
mod size;
mod slices;
mod vp8;
mod vp9;

use crate::Codec;
use crate::packet::Marks;
use arrayvec::ArrayVec;

pub(crate) use bits::Bits;
pub use picture_ids::PictureIds;
pub use slices::has_b_slice;

/// Width and height in pixels, of each spatial layer.
pub type Sizes = ArrayVec<(u16, u16), 4>;

/// Reads the marks off a payload. Truncated or broken payloads have none.
pub fn marks(codec: Codec, payload: &[u8]) -> Marks {
    match codec {
        Codec::H264 => h264::marks(payload),
        Codec::H265 => h265::marks(payload),
        Codec::Vp8 => vp8::marks(payload),
        Codec::Vp9 => vp9::marks(payload),
        Codec::Av1 => av1::marks(payload),
        Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => Marks::default(),
    }
}

/// Which parameter set a NAL unit is, in the order that decoders need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterSet {
    /// The NAL unit type: video before sequence before picture in either codec.
    kind: u8,
    /// Its own id.
    id: u32,
    /// It says what a sequence of pictures is.
    pub is_sequence: bool,
}

/// The parameter sets that the packet has whole, as NAL units.
pub fn parameter_sets(codec: Codec, payload: &[u8]) -> impl Iterator<Item = (ParameterSet, &[u8])> {
    let is = |of: Codec| if codec == of { payload } else { &[] };
    let h264 = h264::units(is(Codec::H264)).filter_map(|unit| Some((h264::parameter_set(unit)?, unit)));
    let h265 = h265::units(is(Codec::H265)).filter_map(|unit| Some((h265::parameter_set(unit)?, unit)));
    h264.chain(h265).map(|((kind, id, is_sequence), unit)| (ParameterSet { kind, id, is_sequence }, unit))
}

/// What the picture measures, where this packet says so: parameter sets and keyframes do.
pub fn sizes(codec: Codec, payload: &[u8]) -> Option<Sizes> {
    let one = match codec {
        Codec::H264 => h264::units(payload).find(|unit| h264::is_sps(unit)).and_then(size::h264),
        Codec::H265 => h265::units(payload).find(|unit| h265::is_sps(unit)).and_then(size::h265),
        Codec::Vp8 => vp8::size(payload),
        Codec::Vp9 => return vp9::sizes(payload),
        Codec::Av1 => av1::sequence_header(payload).and_then(size::av1),
        Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => None,
    };
    one.map(|size| Sizes::from_iter([size]))
}

/// The parts of an aggregation packet, each with its 16-bit length in front (H.264 STAP-A, H.265 AP). A part
/// that is cut off ends the list.
fn aggregated(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, after) = rest.split_first_chunk::<2>()?;
        let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        rest = after;
        Some(part)
    })
}

/// Marks of several parts are the marks of the packet.
fn merged(parts: impl Iterator<Item = Marks>) -> Marks {
    parts.fold(Marks::default(), |all, part| Marks {
        keyframe_start: all.keyframe_start || part.keyframe_start,
        parameter_sets: all.parameter_sets || part.parameter_sets,
        ..all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerMarks;
    use proptest::prelude::*;

    pub(super) const NOTHING: Marks =
        Marks { keyframe_start: false, parameter_sets: false, layer: LayerMarks::WHOLE, ids: None };
    pub(super) const KEY: Marks =
        Marks { keyframe_start: true, parameter_sets: false, layer: LayerMarks::WHOLE, ids: None };
    pub(super) const SETS: Marks =
        Marks { keyframe_start: false, parameter_sets: true, layer: LayerMarks::WHOLE, ids: None };
    pub(super) const KEY_AND_SETS: Marks =
        Marks { keyframe_start: true, parameter_sets: true, layer: LayerMarks::WHOLE, ids: None };

    /// Rows of (case, payload, marks).
    pub(super) fn check(codec: Codec, table: &[(&str, &[u8], Marks)]) {
        for &(case, payload, expected) in table {
            // What layers there are is told elsewhere.
            let found = Marks { layer: LayerMarks::WHOLE, ids: None, ..marks(codec, payload) };
            assert_eq!(found, expected, "{codec}: {case}");
        }
    }

    #[test]
    fn audio_has_no_marks() {
        for codec in [Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722] {
            check(
                codec,
                &[("silence", &[0xf8, 0xff, 0xfe], NOTHING), ("looks like an IDR", &[0x65, 0x88], NOTHING)],
            );
        }
    }

    proptest! {
        #[test]
        fn any_payload_is_read_without_harm(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in Codec::ALL {
                for cut in 0..=payload.len() {
                    marks(codec, &payload[..cut]);
                    sizes(codec, &payload[..cut]);
                }
            }
        }
    }
}
