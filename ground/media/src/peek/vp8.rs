//! VP8 (RFC 7741 §4.2, §4.3).

const EXTENDED: u8 = 0x80;
const PARTITION_START: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0PICIDX: u8 = 0x40;
const HAS_TID_OR_KEYIDX: u8 = 0x30;
const LONG_PICTURE_ID: u8 = 0x80;
/// P of the payload header: 1 in frames that need another.
const INTER_FRAME: u8 = 0x01;

/// True at the start of partition 0 of a keyframe.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    frame_header(payload).is_some_and(|byte| byte & INTER_FRAME == 0)
}

/// First byte of the payload header, which only the first packet of a frame has.
fn frame_header(payload: &[u8]) -> Option<u8> {
    let (&first, mut rest) = payload.split_first()?;
    if first & PARTITION_START == 0 || first & PARTITION_MASK != 0 {
        return None;
    }
    if first & EXTENDED != 0 {
        let (&flags, after) = rest.split_first()?;
        rest = after;
        if flags & HAS_PICTURE_ID != 0 {
            let len = if rest.first()? & LONG_PICTURE_ID != 0 { 2 } else { 1 };
            rest = rest.get(len..)?;
        }
        let more = usize::from(flags & HAS_TL0PICIDX != 0) + usize::from(flags & HAS_TID_OR_KEYIDX != 0);
        rest = rest.get(more..)?;
    }
    rest.first().copied()
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::tests::{KEY, NOTHING, check};

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
