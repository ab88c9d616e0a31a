//! VP9 (RFC 9628 §4.2).

const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FRAME_START: u8 = 0x08;
const LONG_PICTURE_ID: u8 = 0x80;
/// SID of the layer indices.
const SPATIAL_MASK: u8 = 0x0e;

/// True at the start of a frame that predicts from no other picture, in the lowest spatial layer: the
/// higher layers of a keyframe may predict from it.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    starts_lowest_layer(payload).is_some_and(|first| first & INTER_PREDICTED == 0)
}

/// The first byte of the descriptor, if a frame of the lowest spatial layer starts here and has a payload.
fn starts_lowest_layer(payload: &[u8]) -> Option<u8> {
    let (&first, mut rest) = payload.split_first()?;
    if first & FRAME_START == 0 {
        return None;
    }
    if first & HAS_PICTURE_ID != 0 {
        let len = if rest.first()? & LONG_PICTURE_ID != 0 { 2 } else { 1 };
        rest = rest.get(len..)?;
    }
    if first & HAS_LAYERS != 0 && rest.first()? & SPATIAL_MASK != 0 {
        return None;
    }
    (!rest.is_empty()).then_some(first)
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::tests::{KEY, NOTHING, check};

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
