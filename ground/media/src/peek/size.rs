//! What a picture measures, by the parameter sets of H.264 (§7.3.2.1.1), H.265 (§7.3.2.2.1) and AV1 (§5.5.1).

use super::bits::Bits;
use arrayvec::ArrayVec;

/// Bytes of a parameter set that are looked at: what comes before the size fits by far, but for scaling lists that
/// nobody sends.
const LOOK_MAX: usize = 256;

/// An H.264 SPS, its NAL unit header included.
pub(super) fn h264(unit: &[u8]) -> Option<(u16, u16)> {
    let bytes = unescaped(unit.get(1..)?);
    let mut bits = Bits::new(&bytes);
    let profile = bits.read(8)?;
    bits.read(16)?;
    bits.golomb()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.golomb()?;
        if chroma == 3 {
            bits.flag()?;
        }
        bits.golomb()?;
        bits.golomb()?;
        bits.flag()?;
        if bits.flag()? {
            scaling_lists(&mut bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        1 => {
            bits.flag()?;
            bits.signed_golomb()?;
            bits.signed_golomb()?;
            for _ in 0..bits.golomb()?.min(255) {
                bits.signed_golomb()?;
            }
        }
        _ => {}
    }
    bits.golomb()?;
    bits.flag()?;
    let across = bits.golomb()?.checked_add(1)?.checked_mul(16)?;
    let down = bits.golomb()?.checked_add(1)?.checked_mul(16)?;
    let is_whole_frames = bits.flag()?;
    if !is_whole_frames {
        bits.flag()?;
    }
    bits.flag()?;
    let rows = if is_whole_frames { 1 } else { 2 };
    let crop = (if chroma == 1 || chroma == 2 { 2 } else { 1 }, if chroma == 1 { 2 * rows } else { rows });
    cropped(&mut bits, (across, down.checked_mul(rows)?), crop)
}

/// Skips scaling lists (§7.3.2.1.1.1).
fn scaling_lists(bits: &mut Bits<'_>, count: usize) -> Option<()> {
    for list in 0..count {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed_golomb()? + 256) & 0xff;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

/// An H.265 SPS, its NAL unit header included.
pub(super) fn h265(unit: &[u8]) -> Option<(u16, u16)> {
    const PROFILE_BITS: u32 = 88;
    let bytes = unescaped(unit.get(2..)?);
    let mut bits = Bits::new(&bytes);
    bits.read(4)?;
    let sub_layers = bits.read(3)?;
    bits.read(1)?;
    skip(&mut bits, PROFILE_BITS + 8)?;
    let mut present = ArrayVec::<(bool, bool), 8>::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        skip(&mut bits, 2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        skip(&mut bits, if profile { PROFILE_BITS } else { 0 } + if level { 8 } else { 0 })?;
    }
    bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.flag()?;
    }
    let whole = (bits.golomb()?, bits.golomb()?);
    let crop = (if chroma == 1 || chroma == 2 { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 });
    cropped(&mut bits, whole, crop)
}

/// An AV1 sequence header, behind its OBU header.
pub(super) fn av1(header: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(header);
    bits.read(4)?;
    if bits.flag()? {
        bits.read(5)?;
    } else {
        let mut model_bits = None;
        if bits.flag()? {
            bits.read(32)?;
            bits.read(32)?;
            if bits.flag()? {
                bits.golomb()?;
            }
            if bits.flag()? {
                model_bits = Some(bits.read(5)? + 1);
                bits.read(32)?;
                bits.read(10)?;
            }
        }
        let has_delay = bits.flag()?;
        for _ in 0..=bits.read(5)? {
            bits.read(12)?;
            if bits.read(5)? > 7 {
                bits.flag()?;
            }
            if let Some(width) = model_bits
                && bits.flag()?
            {
                skip(&mut bits, 2 * width + 1)?;
            }
            if has_delay && bits.flag()? {
                bits.read(4)?;
            }
        }
    }
    let (across, down) = (bits.read(4)? + 1, bits.read(4)? + 1);
    let (width, height) = (bits.read(across)?, bits.read(down)?);
    Some((u16::try_from(width + 1).ok()?, u16::try_from(height + 1).ok()?))
}

/// The conformance or cropping window, in steps of `step` pixels, taken off.
fn cropped(bits: &mut Bits<'_>, whole: (u32, u32), step: (u32, u32)) -> Option<(u16, u16)> {
    let mut off = [0; 4];
    if bits.flag()? {
        for side in &mut off {
            *side = bits.golomb()?;
        }
    }
    let [left, right, top, bottom] = off;
    let width = whole.0.checked_sub(left.checked_add(right)?.checked_mul(step.0)?)?;
    let height = whole.1.checked_sub(top.checked_add(bottom)?.checked_mul(step.1)?)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn skip(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.read(1).map(drop))
}

/// Without the bytes that keep a start code from appearing within (§7.4.1).
fn unescaped(unit: &[u8]) -> ArrayVec<u8, LOOK_MAX> {
    let mut bytes = ArrayVec::new();
    let mut zeros = 0;
    for &byte in unit {
        if zeros == 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        if bytes.try_push(byte).is_err() {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::sizes;

    fn hex(text: &str) -> Vec<u8> {
        let text: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        text.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Parameter sets as encoders wrote them.
    #[test]
    fn parameter_sets_tell_the_size() {
        for (codec, case, size, bytes) in SETS {
            let bytes = hex(bytes);
            assert_eq!(sizes(codec, &bytes).unwrap().as_slice(), [size], "{codec}: {case}");
            for cut in 0..bytes.len() {
                let _ = sizes(codec, &bytes[..cut]);
            }
        }
    }

    const SETS: [(Codec, &str, (u16, u16), &str); 6] = [
        (Codec::H264, "x264, high", (1280, 720), "6764001facd9405005bb0110000003001000000303c0f1831960"),
        (Codec::H264, "x264, cropped", (1918, 1078), "6742c028d900780227a9b0110000030001000003003c0f183248"),
        (
            Codec::H264,
            "x264, interlaced",
            (1920, 1080),
            "67640028acd94078044fde0220000003002000000783e2c5b2c0",
        ),
        (
            Codec::H265,
            "x265",
            (1920, 1080),
            "420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000f04",
        ),
        (Codec::Av1, "SVT-AV1", (1280, 720), "18 08 0000002d4cffb3cfbf9004"),
        (Codec::Av1, "libaom", (640, 360), "18 08 2000000cc4ff6736be48086801"),
    ];
}
