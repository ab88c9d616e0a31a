//! VP9 (RFC 9628 §4.2).

use super::PictureIds;
use super::bits::Bits;
use crate::layers::{SPATIAL_MAX, TEMPORAL_MAX};
use crate::packet::Marks;
use crate::{LayerMarks, Rung, Rungs};

const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const FRAME_START: u8 = 0x08;
const FRAME_END: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
/// Z: no higher spatial layer of this picture builds on this one.
const NOT_FOR_UPPER: u8 = 0x01;
/// U of the layer indices: higher temporal layers behind this picture build on nothing before it.
const SWITCHING_POINT: u8 = 0x10;
/// Of the reference indices: another one follows.
const MORE_REFERENCES: u8 = 0x01;
const REFERENCES_MAX: usize = 3;

/// A viewer may start with a frame that predicts from no other picture, in the lowest spatial layer: the higher layers
/// of a keyframe may predict from it.
pub(super) fn marks(payload: &[u8]) -> Marks {
    let Some(descriptor) = Descriptor::read(payload) else { return Marks::default() };
    let flags = descriptor.flags;
    let spatial = descriptor.layer.map_or(0, |layer| layer.spatial);
    let starts = flags & FRAME_START != 0 && flags & INTER_PREDICTED == 0 && spatial == 0;
    Marks {
        keyframe_start: starts && payload.len() > descriptor.len,
        layer: descriptor.layer.map_or(LayerMarks::WHOLE, |layer| layer.marks(flags)),
        ids: descriptor.ids,
        ..Marks::default()
    }
}

/// What each spatial layer measures, where the descriptor says it; else the keyframe's own header.
pub(super) fn sizes(payload: &[u8]) -> Option<super::Sizes> {
    let descriptor = Descriptor::read(payload)?;
    if descriptor.flags & (FRAME_START | INTER_PREDICTED) != FRAME_START {
        return None;
    }
    let mut rest = payload.get(descriptor.len..)?;
    if descriptor.flags & HAS_STRUCTURE != 0 {
        let (&head, after) = rest.split_first()?;
        if head & 0x10 != 0 {
            let count = usize::from(head >> 5) + 1;
            let sizes = after.as_chunks::<4>().0.get(..count)?;
            let size = |bytes: &[u8; 4]| {
                (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]))
            };
            return Some(sizes.iter().map(size).take(usize::from(SPATIAL_MAX)).collect());
        }
        rest = skip_pictures(head, after)?;
    }
    if descriptor.layer.is_some_and(|layer| layer.spatial > 0) {
        return None;
    }
    uncompressed_header(rest).map(|size| super::Sizes::from_iter([size]))
}

/// The description of a group of pictures in the scalability structure.
fn skip_pictures(head: u8, rest: &[u8]) -> Option<&[u8]> {
    if head & 0x08 == 0 {
        return Some(rest);
    }
    let (&count, mut rest) = rest.split_first()?;
    for _ in 0..count {
        let (&picture, after) = rest.split_first()?;
        rest = after.get(usize::from(picture >> 2 & 0x03)..)?;
    }
    Some(rest)
}

/// Of a keyframe of profile 0, which is the one that browsers send (VP9 bitstream specification §6.2).
fn uncompressed_header(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(frame);
    let marker_and_profile = bits.read(4)?;
    // No frame that is here already, a keyframe, shown, of any resilience, behind its sync code.
    let (existing, frame_type, _shown, _resilient) =
        (bits.read(1)?, bits.read(1)?, bits.read(1)?, bits.read(1)?);
    if marker_and_profile != 0b1000 || existing != 0 || frame_type != 0 || bits.read(24)? != 0x49_83_42 {
        return None;
    }
    const RGB: u32 = 7;
    if bits.read(3)? == RGB {
        return None;
    }
    bits.read(1)?;
    let (width, height) = (bits.read(16)? as u16, bits.read(16)? as u16);
    Some((width.checked_add(1)?, height.checked_add(1)?))
}

#[derive(Clone, Copy)]
struct LayerIndices {
    spatial: u8,
    temporal: u8,
    is_switching_point: bool,
}

impl LayerIndices {
    fn marks(self, flags: u8) -> LayerMarks {
        let mut marks = LayerMarks::of(self.spatial, self.temporal);
        let whole = SPATIAL_MAX - 1;
        let rungs = |spatial: u8, from: u8| {
            let rungs = (from..TEMPORAL_MAX).map(|temporal| Rung { spatial, temporal, ..Rung::default() });
            rungs.fold(Rungs::default(), Rungs::with)
        };
        if flags & NOT_FOR_UPPER != 0 && marks.spatial < whole {
            let all = Rungs(rungs(marks.spatial, marks.temporal).0 | rungs(whole, marks.temporal).0);
            marks.needed = all;
        }
        if self.is_switching_point {
            marks.joins = Rungs(rungs(marks.spatial, marks.temporal).0 | rungs(whole, marks.temporal).0);
        }
        marks.ends_layer = flags & FRAME_END != 0;
        marks
    }
}

struct Descriptor {
    flags: u8,
    ids: Option<PictureIds>,
    layer: Option<LayerIndices>,
    /// Without the scalability structure.
    len: usize,
}

impl Descriptor {
    fn read(payload: &[u8]) -> Option<Self> {
        let flags = *payload.first()?;
        let mut descriptor = Self { flags, ids: None, layer: None, len: 1 };
        let mut at = 1;
        if flags & HAS_PICTURE_ID != 0 {
            let (ids, end) = PictureIds::read(payload, at)?;
            descriptor.ids = Some(ids);
            at = end;
        }
        if flags & HAS_LAYERS != 0 {
            let byte = *payload.get(at)?;
            descriptor.layer = Some(LayerIndices {
                spatial: byte >> 1 & 0x07,
                temporal: byte >> 5,
                is_switching_point: byte & SWITCHING_POINT != 0,
            });
            at += 1;
            if flags & FLEXIBLE == 0 {
                descriptor.ids = descriptor.ids.map(|ids| ids.with_base(payload, at));
                payload.get(at)?;
                at += 1;
            }
        }
        if flags & FLEXIBLE != 0 && flags & INTER_PREDICTED != 0 {
            for left in (0..REFERENCES_MAX).rev() {
                let more = *payload.get(at)? & MORE_REFERENCES != 0;
                at += 1;
                if !more || left == 0 {
                    break;
                }
            }
        }
        descriptor.len = at;
        Some(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use crate::peek::tests::{KEY, NOTHING, check};
    use crate::peek::{marks, sizes};
    use crate::{Codec, Rung, Rungs};

    fn rung(spatial: u8, temporal: u8) -> Rung {
        Rung { spatial, temporal, ..Rung::default() }
    }

    #[test]
    fn rtp_11_vp9_layers_and_numbers_are_read_in_both_modes() {
        // I, P, L, B, E; picture id 0x1122; TID 1, U, SID 1, D; TL0PICIDX 0x33.
        let found = marks(Codec::Vp9, &[0xec, 0x91, 0x22, 0x33, 0x33, 0x86]);
        let layer = found.layer;
        assert_eq!((layer.spatial, layer.temporal, layer.ends_layer), (1, 1, true));
        assert_eq!(layer.needed, Rungs::from_layer(1, 1));
        assert!(layer.joins.has(rung(1, 2)) && layer.joins.has(rung(3, 3)) && !layer.joins.has(rung(2, 2)));
        let ids = found.ids.unwrap();
        assert_eq!((ids.picture, ids.base()), (0x1122, Some(0x33)));
        // Flexible mode has no TL0PICIDX.
        let flexible = marks(Codec::Vp9, &[0xfc, 0x91, 0x22, 0x22, 0x02, 0x86]);
        assert_eq!(flexible.ids.unwrap().base(), None);
        assert_eq!((flexible.layer.spatial, flexible.layer.joins), (1, Rungs::default()));
    }

    #[test]
    fn rtp_11_what_no_upper_layer_builds_on_is_for_its_own_layer_alone() {
        let lowest = marks(Codec::Vp9, &[0xed, 0x91, 0x22, 0x00, 0x33, 0x86]).layer;
        assert!(lowest.needed.has(rung(0, 0)) && lowest.needed.has(rung(0, 2)));
        assert!(!lowest.needed.has(rung(1, 0)) && !lowest.needed.has(rung(2, 2)));
        assert!(lowest.needed.has(Rung::whole(Default::default())), "all is all");
    }

    #[test]
    fn vp9_keyframes_tell_their_sizes() {
        // V with Y and three layers, no pictures.
        let mut payload = vec![0xaa, 0x11, 0x00, 0x33, 0x50];
        for (width, height) in [(320u16, 180u16), (640, 360), (1280, 720)] {
            payload.extend(width.to_be_bytes());
            payload.extend(height.to_be_bytes());
        }
        payload.push(0x82);
        assert_eq!(sizes(Codec::Vp9, &payload).unwrap().as_slice(), [(320, 180), (640, 360), (1280, 720)]);
        for cut in 0..payload.len() - 1 {
            assert_eq!(sizes(Codec::Vp9, &payload[..cut]), None);
        }
        // Profile 0, keyframe, shown; 640x480.
        let plain = [0x08, 0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x1d, 0xf0];
        assert_eq!(sizes(Codec::Vp9, &plain).unwrap().as_slice(), [(640, 480)]);
    }

    #[test]
    fn vp9_keyframes_start_where_nothing_is_predicted() {
        check(
            Codec::Vp9,
            &[
                ("empty", &[], NOTHING),
                ("keyframe start", &[0x08, 0x82], KEY),
                ("keyframe start and end", &[0x0c, 0x82], KEY),
                ("inter frame start", &[0x48, 0x86], NOTHING),
                ("keyframe middle", &[0x00, 0x82], NOTHING),
                ("keyframe end", &[0x04, 0x82], NOTHING),
                ("cut after the descriptor", &[0x08], NOTHING),
                ("short picture id", &[0x88, 0x11, 0x82], KEY),
                ("long picture id", &[0x88, 0x91, 0x11, 0x82], KEY),
                ("long picture id cut", &[0x88, 0x91], NOTHING),
                ("flexible mode, keyframe", &[0x98, 0x11, 0x82], KEY),
                ("flexible mode, inter frame", &[0xd8, 0x11, 0x02, 0x86], NOTHING),
            ],
        );
    }

    #[test]
    fn vp9_higher_spatial_layers_are_no_place_to_start() {
        check(
            Codec::Vp9,
            &[
                ("layer 0", &[0xa8, 0x11, 0x00, 0x07, 0x82], KEY),
                ("layer 0, temporal 1", &[0xa8, 0x11, 0x20, 0x07, 0x82], KEY),
                ("layer 1, predicted from layer 0", &[0xa8, 0x11, 0x03, 0x07, 0x86], NOTHING),
                ("layer 2", &[0xb8, 0x11, 0x05, 0x86], NOTHING),
                ("layer byte cut", &[0xa8, 0x11], NOTHING),
            ],
        );
    }
}
