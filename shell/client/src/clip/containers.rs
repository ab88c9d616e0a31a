//! Takes encoded files apart: Annex B, IVF, OBUs, Ogg Opus. Only as much of them as FFmpeg writes.

use super::ClipError;
use ogg::PacketReader;
use std::io::Cursor;

/// The frames of an IVF file whose codec is `fourcc`.
pub(super) fn ivf_frames(file: &[u8], fourcc: [u8; 4]) -> Result<Vec<&[u8]>, ClipError> {
    let header = file.get(..32).ok_or(ClipError::Broken("IVF header cut off"))?;
    if &header[..4] != b"DKIF" || header[8..12] != fourcc {
        return Err(ClipError::Broken("not an IVF file of that codec"));
    }
    let mut rest = file.get(usize::from(u16::from_le_bytes([header[6], header[7]]))..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        // The size, then eight bytes of timestamp: frames come one a tick.
        let frame =
            after.get(8..).and_then(|after| after.split_at_checked(u32::from_le_bytes(*size) as usize));
        let (frame, after) = frame.ok_or(ClipError::Broken("IVF frame cut off"))?;
        frames.push(frame);
        rest = after;
    }
    Ok(frames)
}

/// The access units of an H.264 byte stream, each beginning with its delimiter (NAL unit type 9).
pub(super) fn access_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<_> = start_codes(stream)
        .filter(|code| stream.get(code.end).is_some_and(|byte| byte & 0x1f == 9))
        .collect();
    let ends = starts.iter().skip(1).map(|code| code.begin).chain([stream.len()]);
    starts.iter().zip(ends).map(|(code, end)| &stream[code.begin..end]).collect()
}

/// The NAL units of an access unit, without start codes.
pub(super) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut codes = start_codes(stream).peekable();
    std::iter::from_fn(move || {
        let code = codes.next()?;
        Some(&stream[code.end..codes.peek().map_or(stream.len(), |next| next.begin)])
    })
}

struct StartCode {
    begin: usize,
    end: usize,
}

/// Annex B of H.264: `00 00 01`, with one more zero in front at most.
fn start_codes(stream: &[u8]) -> impl Iterator<Item = StartCode> {
    (0..stream.len().saturating_sub(2))
        .filter(|&at| stream[at..at + 3] == [0, 0, 1])
        .map(|at| StartCode { begin: if at > 0 && stream[at - 1] == 0 { at - 1 } else { at }, end: at + 3 })
}

/// The types of the OBUs of a temporal unit (AV1 §5.3). Ends at the first one that is cut off.
pub(super) fn obu_types(unit: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let (&header, after) = rest.split_first()?;
        let after = if header & 0b100 != 0 { after.get(1..)? } else { after };
        rest =
            if header & 0b10 != 0 { leb128(after).and_then(|(size, after)| after.get(size..))? } else { &[] };
        Some(header >> 3 & 0xf)
    })
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    let value = bytes[..len].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    Some((value, &bytes[len..]))
}

/// The packets of an Ogg Opus file after its two header packets (RFC 7845 §3).
pub(super) fn opus_packets(file: &[u8]) -> Result<Vec<Vec<u8>>, ClipError> {
    let mut reader = PacketReader::new(Cursor::new(file));
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet().map_err(|_| ClipError::Broken("not an Ogg file"))? {
        packets.push(packet.data);
    }
    let is_opus = packets.first().is_some_and(|head| head.starts_with(b"OpusHead"))
        && packets.get(1).is_some_and(|tags| tags.starts_with(b"OpusTags"));
    if !is_opus {
        return Err(ClipError::Broken("not an Opus file"));
    }
    Ok(packets.split_off(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_units_begin_at_the_delimiter_with_either_start_code() {
        let stream = [0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x65, 7, 0, 0, 1, 9, 0x30, 0, 0, 0, 1, 0x41, 8];
        let units = access_units(&stream);
        assert_eq!(units, [&stream[..11], &stream[11..]]);
        assert_eq!(nal_units(units[0]).collect::<Vec<_>>(), [&[9, 0x10][..], &[0x65, 7]]);
        assert_eq!(nal_units(units[1]).collect::<Vec<_>>(), [&[9, 0x30][..], &[0x41, 8]]);
    }

    #[test]
    fn no_start_code_means_no_nal_unit() {
        assert!(access_units(&[0, 0]).is_empty());
        assert!(access_units(&[]).is_empty());
        assert_eq!(nal_units(&[1, 2, 3, 4]).count(), 0);
    }

    fn ivf(frames: &[&[u8]]) -> Vec<u8> {
        let mut file = b"DKIF\0\0\x20\0VP80".to_vec();
        file.resize(32, 0);
        for frame in frames {
            file.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            file.extend_from_slice(&[0; 8]);
            file.extend_from_slice(frame);
        }
        file
    }

    #[test]
    fn ivf_frames_come_out_as_they_went_in() {
        let file = ivf(&[b"one", b"", b"three"]);
        assert_eq!(ivf_frames(&file, *b"VP80"), Ok(vec![&b"one"[..], b"", b"three"]));
    }

    #[test]
    fn a_broken_ivf_file_is_an_error_and_no_panic() {
        let file = ivf(&[b"one"]);
        assert!(ivf_frames(&file, *b"VP90").is_err());
        for len in 0..file.len() {
            let frames = ivf_frames(&file[..len], *b"VP80");
            assert!(frames.is_err() || frames == Ok(vec![]), "cut at {len}");
        }
    }

    #[test]
    fn obus_are_walked_with_and_without_size() {
        // A temporal delimiter, a sequence header of two bytes with extension, a frame to the end.
        assert_eq!(obu_types(&[0x12, 0, 0x0e, 0, 2, 9, 9, 0x30, 1, 2, 3]).collect::<Vec<_>>(), [2, 1, 6]);
        assert_eq!(obu_types(&[0x12, 5, 0]).count(), 0, "cut off");
        assert_eq!(leb128(&[0x80 | 3, 1, 7]), Some((131, &[7][..])));
        assert_eq!(leb128(&[0x80, 0x80, 0x80, 0x80, 1]), None);
    }

    #[test]
    fn a_file_that_is_not_ogg_opus_is_an_error() {
        assert!(opus_packets(b"").is_err());
        assert!(opus_packets(b"RIFFxxxxWAVE").is_err());
    }
}
