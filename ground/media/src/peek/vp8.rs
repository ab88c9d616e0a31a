//! VP8 (RFC 7741 §4.2, §4.3).

use super::PictureIds;
use crate::LayerMarks;
use crate::packet::Marks;

const EXTENDED: u8 = 0x80;
const PARTITION_START: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0PICIDX: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_TID_OR_KEYIDX: u8 = 0x30;
/// Y: depends on nothing but the lowest layer.
const LAYER_SYNC: u8 = 0x20;
/// P of the payload header: 1 in frames that need another.
const INTER_FRAME: u8 = 0x01;
/// Of a keyframe, behind its three-byte frame tag (RFC 6386 §9.1).
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// The start of partition 0 of a keyframe is where a viewer may start.
pub(super) fn marks(payload: &[u8]) -> Marks {
    let Some(descriptor) = Descriptor::read(payload) else { return Marks::default() };
    let frame = descriptor.frame(payload);
    let layer = match descriptor.temporal {
        Some((temporal, syncs)) => LayerMarks {
            syncs: syncs && temporal > 0 && frame.is_some(),
            ends_layer: false,
            ..LayerMarks::of(0, temporal)
        },
        None => LayerMarks::WHOLE,
    };
    let keyframe_start = frame.and_then(<[u8]>::first).is_some_and(|byte| byte & INTER_FRAME == 0);
    Marks { keyframe_start, layer, ids: descriptor.ids, ..Marks::default() }
}

/// Of a keyframe.
pub(super) fn size(payload: &[u8]) -> Option<(u16, u16)> {
    let frame = Descriptor::read(payload)?.frame(payload)?;
    if frame.first()? & INTER_FRAME != 0 || frame.get(3..6)? != START_CODE {
        return None;
    }
    let (width, rest) = frame.get(6..)?.split_first_chunk::<2>()?;
    let (height, _) = rest.split_first_chunk::<2>()?;
    // Two bits of each say how to scale.
    Some((u16::from_le_bytes(*width) & 0x3fff, u16::from_le_bytes(*height) & 0x3fff))
}

struct Descriptor {
    starts: bool,
    ids: Option<PictureIds>,
    /// The layer, and whether it is a sync.
    temporal: Option<(u8, bool)>,
    len: usize,
}

impl Descriptor {
    fn read(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let starts = first & PARTITION_START != 0 && first & PARTITION_MASK == 0;
        let mut descriptor = Self { starts, ids: None, temporal: None, len: 1 };
        if first & EXTENDED == 0 {
            return Some(descriptor);
        }
        let flags = *payload.get(1)?;
        let mut at = 2;
        if flags & HAS_PICTURE_ID != 0 {
            let (ids, end) = PictureIds::read(payload, at)?;
            descriptor.ids = Some(ids);
            at = end;
        }
        if flags & HAS_TL0PICIDX != 0 {
            descriptor.ids = descriptor.ids.map(|ids| ids.with_base(payload, at));
            at += 1;
        }
        if flags & HAS_TID_OR_KEYIDX != 0 {
            let byte = *payload.get(at)?;
            descriptor.temporal = (flags & HAS_TID != 0).then_some((byte >> 6, byte & LAYER_SYNC != 0));
            at += 1;
        }
        descriptor.len = at;
        Some(descriptor)
    }

    /// The frame, which only its first packet has from the beginning.
    fn frame<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        payload.get(self.len..).filter(|frame| self.starts && !frame.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::layers::Rungs;
    use crate::peek::tests::{KEY, NOTHING, check};
    use crate::peek::{marks, sizes};

    #[test]
    fn rtp_11_vp8_layers_and_numbers_are_read() {
        // I, L and T; 15-bit picture id 0x1122, TL0PICIDX 0x33, TID 2 with Y.
        let payload = [0x90, 0xe0, 0x91, 0x22, 0x33, 0xa0, 0x51, 0x01];
        let found = marks(Codec::Vp8, &payload);
        assert_eq!((found.layer.temporal, found.layer.syncs), (2, true));
        assert_eq!(found.layer.needed, Rungs::from_layer(0, 2));
        let ids = found.ids.unwrap();
        assert_eq!((ids.picture, ids.base()), (0x1122, Some(0x33)));
        // The same in the middle of the frame: nothing begins here.
        let middle = marks(Codec::Vp8, &[0x80, 0xe0, 0x91, 0x22, 0x33, 0xa0, 0x51]);
        assert_eq!((middle.layer.temporal, middle.layer.syncs), (2, false));
        // TL0PICIDX without a picture id is skipped, not taken for one.
        assert_eq!(marks(Codec::Vp8, &[0x90, 0x60, 0x33, 0x40, 0x51]).ids, None);
    }

    #[test]
    fn vp8_keyframes_tell_their_size() {
        let mut payload = vec![0x90, 0x80, 0x11, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a];
        payload.extend([0x80, 0x42, 0xe0, 0x01]);
        assert_eq!(sizes(Codec::Vp8, &payload).unwrap().as_slice(), [(640, 480)]);
        payload[3] |= 1;
        assert_eq!(sizes(Codec::Vp8, &payload), None);
    }

    #[test]
    fn vp8_keyframes_start_with_partition_zero() {
        check(
            Codec::Vp8,
            &[
                ("empty", &[], NOTHING),
                ("keyframe", &[0x10, 0x50, 0x01], KEY),
                ("inter frame", &[0x10, 0x51, 0x01], NOTHING),
                ("middle of partition 0", &[0x00, 0x50, 0x01], NOTHING),
                ("start of partition 1", &[0x11, 0x50, 0x01], NOTHING),
                ("cut after the descriptor", &[0x10], NOTHING),
            ],
        );
    }

    #[test]
    fn vp8_descriptors_of_every_length_are_skipped() {
        let whole: [&[u8]; 6] = [
            &[0x90, 0x00, 0x50],
            &[0x90, 0x80, 0x7f, 0x50],
            &[0x90, 0x80, 0x80, 0x11, 0x50],
            &[0x90, 0xc0, 0x11, 0x11, 0x50],
            &[0x90, 0xe0, 0x81, 0x11, 0x11, 0x21, 0x50],
            &[0x90, 0x30, 0x21, 0x50],
        ];
        for payload in whole {
            check(Codec::Vp8, &[("whole", payload, KEY)]);
            for cut in 0..payload.len() {
                check(Codec::Vp8, &[("cut", &payload[..cut], NOTHING)]);
            }
            let mut inter = payload.to_vec();
            *inter.last_mut().unwrap() |= 1;
            check(Codec::Vp8, &[("inter", &inter, NOTHING)]);
        }
    }
}
