//! Burns the time into the H.264 clip, without an encoder.
//!
//! A picture may consist of several slices, each decodable without the others. So a slice is written by hand that
//! lies below the picture of the file: two rows of macroblocks, the upper one dark, the lower one black and white
//! squares that spell milliseconds. The parameter sets of the file are altered to announce a picture that much
//! higher; its own slices stay as the encoder left them.
//!
//! Each square is a macroblock predicted from its left neighbour (Intra 16×16) and, where the colour changes, one
//! coefficient: the mean of the difference. `docs/decisions/0016-a-clock-in-the-picture.md` says why.

use super::containers::nal_units;

/// Macroblocks in a row of the clip's pictures: 640 pixels. So many squares there are.
const COLUMNS: usize = 40;
/// Rows of macroblocks in the file: 360 lines, rounded up.
const ROWS: u32 = 23;
/// Rows added below.
const ROWS_ADDED: u32 = 2;

/// What the clip's parameter sets say (`the_file_is_what_this_was_written_for` compares).
const FRAME_NUM_BITS: u32 = 4;
const INITIAL_QP: i32 = 29;

/// The coarsest quantiser, at which one step of the mean is [`STEP`] shades.
const QP: i32 = 51;
const STEP: i32 = 14;
/// What a macroblock without neighbours is predicted as.
const GREY: i32 = 128;
const DARK: i32 = GREY - 7 * STEP;
const BRIGHT: i32 = DARK + 15 * STEP;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;

/// An access unit of the clip with `ms` burnt in; `None` if it is not such a one.
pub(crate) fn burn_in(access_unit: &[u8], ms: u32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(access_unit.len() + 512);
    let mut last_slice = None;
    for nal in nal_units(access_unit) {
        match nal.first()? & 0x1f {
            SEQUENCE_PARAMETERS => push(&mut out, nal[0], &heightened(&nal[1..])?),
            kind => {
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(nal);
                last_slice = Some(nal).filter(|_| matches!(kind, SLICE | IDR_SLICE)).or(last_slice);
            }
        }
    }
    let slice = last_slice?;
    push(&mut out, slice[0], &time_slice(slice, &squares(ms))?);
    Some(out)
}

/// The squares that spell `ms`: bright, dark, 32 bits, the highest first, four bits that are the sum without carry of
/// the eight before them, dark, bright.
fn squares(ms: u32) -> [bool; COLUMNS] {
    let check = (0..8).fold(0, |check, nibble| check ^ (ms >> (4 * nibble)) & 0xf);
    let spelt = u64::from(ms) << 4 | u64::from(check);
    std::array::from_fn(|column| match column {
        0 | 39 => true,
        1 | 38 => false,
        column => spelt >> (37 - column) & 1 == 1,
    })
}

/// The sequence parameters with as many rows more, and none of them cropped.
fn heightened(parameters: &[u8]) -> Option<Vec<u8>> {
    let plain = unescaped(parameters);
    let mut reader = Reader { bytes: &plain, at: 0 };
    let mut out = Writer::default();
    // Profile, constraints, level; id, frame_num, order of output (2: as decoded), reference frames.
    out.bits(reader.bits(24)?, 24);
    for _ in 0..4 {
        out.unsigned(reader.unsigned()?);
    }
    out.bits(reader.bits(1)?, 1);
    out.unsigned(reader.unsigned()?);
    let rows = reader.unsigned()?;
    out.unsigned(rows + ROWS_ADDED);
    // No fields, direct inference, then the cropping.
    out.bits(reader.bits(2)?, 2);
    if reader.bits(1)? == 1 {
        for _ in 0..4 {
            reader.unsigned()?;
        }
    }
    out.bits(0, 1);
    while reader.at < 8 * plain.len() {
        out.bits(reader.bits(1)?, 1);
    }
    Some(out.whole_bytes())
}

/// A slice of [`ROWS_ADDED`] rows that belongs to the picture of `slice`.
fn time_slice(slice: &[u8], squares: &[bool; COLUMNS]) -> Option<Vec<u8>> {
    let is_key = slice[0] & 0x1f == IDR_SLICE;
    let head = unescaped(slice.get(1..slice.len().min(24))?);
    let mut reader = Reader { bytes: &head, at: 0 };
    let _first = reader.unsigned()?;
    let (kind, parameters, frame_num) =
        (reader.unsigned()?, reader.unsigned()?, reader.bits(FRAME_NUM_BITS)?);
    let mut out = Writer::default();
    out.unsigned(ROWS * COLUMNS as u32);
    out.unsigned(kind);
    out.unsigned(parameters);
    out.bits(frame_num, FRAME_NUM_BITS);
    if is_key {
        out.unsigned(reader.unsigned()?); // idr_pic_id
        out.bits(0, 2); // earlier pictures are shown, this one is no long-term reference
    } else {
        out.bits(0b11, 2); // one reference, since after a keyframe there are no more,
        out.bits(0, 1); // in its place
        if slice[0] & 0x60 != 0 {
            out.bits(0, 1); // the oldest reference goes
        }
    }
    out.signed(QP - INITIAL_QP);
    out.unsigned(1); // no deblocking
    let mut left = GREY;
    for column in 0..COLUMNS {
        let prediction = if column == 0 { Prediction::Mean } else { Prediction::Left };
        macroblock(&mut out, is_key, prediction, DARK - left);
        left = DARK;
    }
    for (column, is_bright) in squares.iter().enumerate() {
        let prediction = if column == 0 { Prediction::Above } else { Prediction::Left };
        let wanted = if *is_bright { BRIGHT } else { DARK };
        macroblock(&mut out, is_key, prediction, wanted - left);
        left = wanted;
    }
    Some(out.with_stop_bit())
}

#[derive(Clone, Copy)]
enum Prediction {
    Above = 0,
    Left = 1,
    Mean = 2,
}

/// An Intra 16×16 macroblock (H.264 §7.3.5) that is `difference` brighter than predicted, and as grey.
fn macroblock(out: &mut Writer, is_key: bool, prediction: Prediction, difference: i32) {
    let intra = 1 + prediction as u32;
    if is_key {
        out.unsigned(intra);
    } else {
        out.unsigned(0); // none skipped
        out.unsigned(5 + intra);
    }
    out.unsigned(0); // colour: the mean of the neighbours
    out.signed(0); // the same quantiser
    level(out, difference / STEP);
}

/// One coefficient, the first of its block, or none (H.264 §9.2), among neighbours that have none. One of ±1 would
/// be spelt otherwise and does not occur.
fn level(out: &mut Writer, level: i32) {
    if level == 0 {
        return out.bits(1, 1);
    }
    out.bits(0b000101, 6);
    let magnitude = level.unsigned_abs();
    let code = 2 * magnitude - 4 + u32::from(level < 0);
    match code {
        0..14 => out.bits(1, code + 1),
        code => {
            out.bits(1, 15);
            out.bits(code - 14, 4);
        }
    }
    out.bits(1, 1); // no zeros before it
}

/// Appends a NAL unit, its start code in front and what looks like one within broken up (H.264 §7.4.1.1).
fn push(out: &mut Vec<u8>, header: u8, payload: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1, header]);
    let mut zeros = 0;
    for &byte in payload {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

fn unescaped(payload: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(payload.len());
    for &byte in payload {
        if byte != 3 || !plain.ends_with(&[0, 0]) {
            plain.push(byte);
        }
    }
    plain
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    /// Exp-Golomb (H.264 §9.1).
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
        }
        Some((1 << u32::min(zeros, 16)) - 1 + self.bits(u32::min(zeros, 16))?)
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    at: usize,
}

impl Writer {
    fn bits(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.at.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(byte) = self.bytes.last_mut() {
                *byte |= ((value >> bit & 1) as u8) << (7 - self.at % 8);
            }
            self.at += 1;
        }
    }

    fn unsigned(&mut self, value: u32) {
        let len = (value + 1).ilog2();
        self.bits(0, len);
        self.bits(value + 1, len + 1);
    }

    fn signed(&mut self, value: i32) {
        let magnitude = value.unsigned_abs();
        self.unsigned(if value > 0 { 2 * magnitude - 1 } else { 2 * magnitude });
    }

    fn with_stop_bit(mut self) -> Vec<u8> {
        self.bits(1, 1);
        self.bytes
    }

    /// What was copied had its stop bit; zeros behind it that fill a byte of their own go.
    fn whole_bytes(mut self) -> Vec<u8> {
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Clip;
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use wtn_media::Codec;

    fn clip() -> Clip {
        Clip::embedded(Codec::H264).expect("built in")
    }

    #[test]
    fn the_file_is_what_this_was_written_for() {
        for frame in clip().video().iter().filter(|frame| frame.is_keyframe) {
            let nals: Vec<_> = nal_units(&frame.data).collect();
            let of = |kind| nals.iter().find(|nal| nal[0] & 0x1f == kind).map(|nal| unescaped(&nal[1..]));
            let (sequence, picture) = (of(SEQUENCE_PARAMETERS).unwrap(), of(8).unwrap());
            let mut reader = Reader { bytes: &sequence, at: 24 };
            let mut read = || reader.unsigned().unwrap();
            assert_eq!([read(), read() + 4, read()], [0, FRAME_NUM_BITS, 2]);
            read();
            reader.bits(1).unwrap();
            let size = [reader.unsigned().unwrap() + 1, reader.unsigned().unwrap() + 1];
            assert_eq!(size, [COLUMNS as u32, ROWS]);
            let mut reader = Reader { bytes: &picture, at: 0 };
            let mut read = || reader.unsigned().unwrap();
            assert_eq!([read(), read()], [0, 0]);
            assert_eq!(reader.bits(2), Some(0), "no CABAC, nothing about order");
            assert_eq!(
                [reader.unsigned(), reader.unsigned(), reader.unsigned()],
                [Some(0), Some(1), Some(0)],
                "two references, unless a slice says otherwise"
            );
            assert_eq!(reader.bits(3), Some(0), "no weights");
            assert_eq!(reader.unsigned(), Some(2 * (INITIAL_QP - 26) as u32 - 1));
            for _ in 0..2 {
                reader.unsigned();
            }
            assert_eq!(reader.bits(3), Some(0b100), "deblocking is for each slice to say");
        }
    }

    #[test]
    fn numbers_are_spelt_with_a_check() {
        let spelt: String =
            squares(0x8000_00f1).iter().map(|bright| if *bright { '1' } else { '0' }).collect();
        assert_eq!(spelt, "1010000000000000000000000011110001011001");
    }

    /// The luma of every picture as FFmpeg decodes it, 640×`height` each; `None` without FFmpeg.
    fn decoded(stream: &[u8], height: usize) -> Option<Vec<Vec<u8>>> {
        let arguments = ["-v", "error", "-f", "h264", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"];
        let child =
            Command::new("ffmpeg").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.ok()?;
        let mut stdin = child.stdin.take()?;
        let stream = stream.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&stream));
        let output = child.wait_with_output().ok()?;
        writer.join().expect("no panic").expect("FFmpeg reads all");
        assert!(output.status.success());
        Some(output.stdout.chunks_exact(640 * height).map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn a_decoder_shows_the_time_and_above_it_the_picture_as_it_was() {
        let frames: Vec<_> = clip().video().iter().take(100).cloned().collect();
        let plain: Vec<u8> = frames.iter().flat_map(|frame| frame.data.iter().copied()).collect();
        let time = |at: usize| 3_999_000_123u32.wrapping_add(40 * at as u32);
        let burnt: Vec<_> =
            (0..).zip(&frames).map(|(at, frame)| burn_in(&frame.data, time(at)).unwrap()).collect();
        let added: usize = burnt.iter().map(Vec::len).sum::<usize>() - plain.len();
        assert!(added < 100 * 320, "{added} bytes in 100 pictures");
        // Machines without FFmpeg leave the rest to the test in a browser.
        let Some(shown) = decoded(&burnt.concat(), 400) else { return };
        let before = decoded(&plain, 360).expect("FFmpeg is there");
        assert_eq!((shown.len(), before.len()), (100, 100));
        for (at, (shown, before)) in shown.iter().zip(&before).enumerate() {
            assert!(shown[..640 * 352] == before[..640 * 352], "picture {at}");
            let bars: [bool; COLUMNS] =
                std::array::from_fn(|column| shown[640 * 392 + 16 * column + 8] > 128);
            assert_eq!(bars, squares(time(at)), "picture {at}");
        }
    }
}
