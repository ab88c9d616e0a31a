//! The test clip: ten seconds of clock, timecode, flash and beep, encoded beforehand in four codecs.
//!
//! `clip/make.py` of this crate draws and encodes it; the files it writes are built into the binary. All of
//! them have the same pictures at the same times, so what follows is one grid: a slot of 20 ms is one packet
//! of Opus, every second slot is also one picture.

mod containers;
mod time_code;

use std::sync::Arc;
use std::time::Duration;
use wtn_media::{Codec, MediaKind};

/// The grid of the clip: as long as one packet of Opus.
pub const SLOT: Duration = Duration::from_millis(20);
/// Slots from one picture to the next: 25 pictures a second.
pub const SLOTS_PER_FRAME: u64 = 2;
/// RTP time that passes in one slot of audio, at 48 kHz.
pub const AUDIO_TICKS: u64 = 960;
/// RTP time that passes in one slot of video, at 90 kHz.
pub const VIDEO_TICKS: u64 = 1800;
/// The video codecs that there is a clip of.
pub const CODECS: [Codec; 4] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];

static H264: &[u8] = include_bytes!("../../clip/clip.h264");
static VP8: &[u8] = include_bytes!("../../clip/clip.vp8.ivf");
static VP9: &[u8] = include_bytes!("../../clip/clip.vp9.ivf");
static AV1: &[u8] = include_bytes!("../../clip/clip.av1.ivf");
static OPUS: &[u8] = include_bytes!("../../clip/clip.opus");

/// One picture, as the encoder left it.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// H.264: an access unit in Annex B form; else the frame of the IVF file.
    pub data: Arc<[u8]>,
    /// A decoder may start here.
    pub is_keyframe: bool,
}

/// Pictures and sound of one loop. The first picture is a keyframe; both parts are equally long.
#[derive(Clone, Debug)]
pub struct Clip {
    codec: Codec,
    video: Vec<VideoFrame>,
    audio: Vec<Arc<[u8]>>,
}

/// A file of the clip that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// There is no clip in this codec.
    #[error("there is no test clip in {0}; there is one in H264, VP8, VP9 and AV1")]
    NoSuchCodec(Codec),
    /// The container is broken.
    #[error("the test clip cannot be read: {0}")]
    Broken(&'static str),
    /// The first picture needs an earlier one.
    #[error("the test clip does not begin with a keyframe")]
    NoKeyframe,
    /// The sound ends before the pictures.
    #[error("the test clip has less sound than pictures")]
    TooLittleSound,
}

impl Clip {
    /// The built-in clip in `codec`, with its Opus sound.
    pub fn embedded(codec: Codec) -> Result<Self, ClipError> {
        let video = match codec {
            Codec::H264 => containers::access_units(H264),
            Codec::Vp8 => containers::ivf_frames(VP8, *b"VP80")?,
            Codec::Vp9 => containers::ivf_frames(VP9, *b"VP90")?,
            Codec::Av1 => containers::ivf_frames(AV1, *b"AV01")?,
            other => return Err(ClipError::NoSuchCodec(other)),
        };
        Self::new(codec, video, containers::opus_packets(OPUS)?)
    }

    fn new(codec: Codec, video: Vec<&[u8]>, audio: Vec<Vec<u8>>) -> Result<Self, ClipError> {
        let video: Vec<_> = video
            .into_iter()
            .map(|data| VideoFrame { data: data.into(), is_keyframe: is_keyframe(codec, data) })
            .collect();
        if !video.first().is_some_and(|frame| frame.is_keyframe) {
            return Err(ClipError::NoKeyframe);
        }
        let slots = video.len() * SLOTS_PER_FRAME as usize;
        if audio.len() < slots {
            return Err(ClipError::TooLittleSound);
        }
        // What is over only flushes the encoder's delay; the loop goes on with the first packet instead.
        let audio = audio.into_iter().take(slots).map(Arc::from).collect();
        Ok(Self { codec, video, audio })
    }

    /// The codec of the pictures.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The pictures, one every 40 ms.
    pub fn video(&self) -> &[VideoFrame] {
        &self.video
    }

    /// The Opus packets, one every 20 ms.
    pub fn audio(&self) -> &[Arc<[u8]>] {
        &self.audio
    }

    /// A picture with the time burnt in below it, which is told by `docs/decisions/0016-a-clock-in-the-picture.md`; as
    /// it is in codecs other than H.264.
    pub fn with_time(&self, frame: &VideoFrame, ms: u32) -> Arc<[u8]> {
        let burnt = (self.codec == Codec::H264).then(|| time_code::burn_in(&frame.data, ms)).flatten();
        burnt.map_or_else(|| frame.data.clone(), Arc::from)
    }

    /// How long one pass takes, in slots.
    pub fn slots(&self) -> u64 {
        self.audio.len() as u64
    }

    /// How long one pass takes.
    pub fn duration(&self) -> Duration {
        SLOT * self.audio.len() as u32
    }

    /// The keyframe nearest to `slot`, before it or after it, as a slot; the end of the clip counts as its
    /// beginning.
    pub fn keyframe_near(&self, slot: u64) -> u64 {
        let frames = self.video.len() as u64;
        let here = slot / SLOTS_PER_FRAME % frames;
        let distance = |frame: u64| here.abs_diff(frame).min(frames - here.abs_diff(frame));
        let keyframes = (0..frames).zip(&self.video).filter(|(_, frame)| frame.is_keyframe);
        keyframes.map(|(at, _)| at).min_by_key(|at| distance(*at)).unwrap_or(0) * SLOTS_PER_FRAME
    }
}

/// Looks into an encoded picture, not into an RTP payload: the descriptors of RTP are not there yet.
fn is_keyframe(codec: Codec, data: &[u8]) -> bool {
    debug_assert_eq!(codec.kind(), MediaKind::Video);
    match codec {
        Codec::H264 => {
            containers::nal_units(data).any(|nal| nal.first().is_some_and(|byte| byte & 0x1f == 5))
        }
        // RFC 6386 §9.1: the lowest bit is 0 on keyframes.
        Codec::Vp8 => data.first().is_some_and(|byte| byte & 1 == 0),
        // VP9 bitstream §6.2: frame_marker 10, profile 00, show_existing_frame 0, frame_type 0.
        Codec::Vp9 => data.first().is_some_and(|byte| byte >> 2 == 0b10_0000),
        // AV1 §7.5: a temporal unit that starts a coded video sequence carries a sequence header.
        Codec::Av1 => containers::obu_types(data).any(|kind| kind == 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clips() -> impl Iterator<Item = Clip> {
        CODECS.into_iter().map(|codec| Clip::embedded(codec).expect("built in"))
    }

    #[test]
    fn every_codec_has_ten_seconds_of_pictures_and_sound() {
        for clip in clips() {
            assert_eq!(clip.video().len(), 250, "{}", clip.codec());
            assert_eq!(clip.audio().len(), 500, "{}", clip.codec());
            assert_eq!(clip.duration(), Duration::from_secs(10));
        }
    }

    #[test]
    fn all_files_together_stay_below_500_kb() {
        let sizes = [H264.len(), VP8.len(), VP9.len(), AV1.len(), OPUS.len()];
        assert!(sizes.iter().sum::<usize>() <= 500_000, "{sizes:?}");
    }

    #[test]
    fn a_keyframe_opens_every_two_seconds_and_stands_nowhere_else() {
        for clip in clips() {
            let keyframes: Vec<_> =
                (0..).zip(clip.video()).filter(|(_, frame)| frame.is_keyframe).map(|(at, _)| at).collect();
            assert_eq!(keyframes, [0, 50, 100, 150, 200], "{}", clip.codec());
        }
    }

    #[test]
    fn h264_is_constrained_baseline_with_its_parameter_sets_in_band() {
        let clip = Clip::embedded(Codec::H264).expect("built in");
        for frame in clip.video() {
            let nals: Vec<_> = containers::nal_units(&frame.data).collect();
            let kinds: Vec<_> = nals.iter().map(|nal| nal[0] & 0x1f).collect();
            assert_eq!(kinds, if frame.is_keyframe { vec![9, 7, 8, 5] } else { vec![9, 1] });
            if let Some(parameters) = nals.iter().find(|nal| nal[0] & 0x1f == 7) {
                assert_eq!(parameters[1], 66, "profile_idc of baseline");
                assert_eq!(parameters[2] & 0x40, 0x40, "constraint_set1_flag");
            }
        }
    }

    #[test]
    fn av1_shows_one_frame_per_temporal_unit() {
        let clip = Clip::embedded(Codec::Av1).expect("built in");
        for frame in clip.video() {
            let kinds: Vec<_> = containers::obu_types(&frame.data).collect();
            assert_eq!(kinds, if frame.is_keyframe { vec![2, 1, 6] } else { vec![2, 6] });
        }
    }

    #[test]
    fn opus_packets_last_20_ms() {
        let clip = Clip::embedded(Codec::Vp8).expect("built in");
        for packet in clip.audio() {
            // RFC 6716 §3.1: the configuration in the upper five bits, one frame a packet in the lower two.
            let configuration = packet[0] >> 3;
            assert_eq!(packet[0] & 3, 0);
            assert!(matches!(configuration, 1 | 5 | 9 | 13 | 15 | 19 | 23 | 27 | 31), "{configuration}");
        }
    }

    #[test]
    fn the_nearest_keyframe_may_lie_ahead_behind_or_around_the_corner() {
        let clip = Clip::embedded(Codec::H264).expect("built in");
        for (slot, near) in
            [(0, 0), (40, 0), (60, 100), (101, 100), (199, 200), (449, 400), (451, 0), (499, 0)]
        {
            assert_eq!(clip.keyframe_near(slot), near, "from {slot}");
        }
    }

    #[test]
    fn there_is_no_clip_in_h265() {
        assert_eq!(Clip::embedded(Codec::H265).err(), Some(ClipError::NoSuchCodec(Codec::H265)));
    }

    #[test]
    fn a_clip_without_keyframe_or_with_too_little_sound_is_refused() {
        let delta: &[u8] = &[1, 0, 0];
        let key: &[u8] = &[0, 0, 0];
        assert_eq!(Clip::new(Codec::Vp8, vec![delta], vec![vec![0]; 2]).err(), Some(ClipError::NoKeyframe));
        assert_eq!(Clip::new(Codec::Vp8, vec![key], vec![vec![0]]).err(), Some(ClipError::TooLittleSound));
        assert_eq!(Clip::new(Codec::Vp8, vec![], vec![]).err(), Some(ClipError::NoKeyframe));
    }
}
