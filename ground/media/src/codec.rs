//! Codecs, and the few parameters that decide whether two ends mean the same thing.

use std::fmt;

/// Audio or video. A stream has at most one track of each (RFC 9725 §4.4.2), so this also names a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

impl MediaKind {
    /// Both, in the order of [`MediaKind::index`].
    pub const ALL: [Self; 2] = [Self::Audio, Self::Video];

    /// 0 for audio, 1 for video: for arrays with one slot a kind.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `audio` or `video`, as in an `m=` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec that wtn forwards. It never decodes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// AV1 (AOMedia's RTP payload format).
    Av1,
    /// Opus (RFC 7587).
    Opus,
    /// G.711 µ-law (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 §4.5.14).
    Pcma,
    /// G.722 (RFC 3551 §4.5.2).
    G722,
}

impl Codec {
    /// Every codec, video first.
    pub const ALL: [Self; 9] = [
        Self::H264,
        Self::H265,
        Self::Vp8,
        Self::Vp9,
        Self::Av1,
        Self::Opus,
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
    ];

    /// The kind of track that carries it.
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => MediaKind::Video,
            Self::Opus | Self::Pcmu | Self::Pcma | Self::G722 => MediaKind::Audio,
        }
    }

    /// RTP clock rate in Hz. G.722 keeps the 8000 of its old mistake (RFC 3551 §4.5.2).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            _ => 90_000,
        }
    }

    /// The encoding name of `a=rtpmap`, in its registered spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// Finds a codec by its `a=rtpmap` name, without regard to case (RFC 8866 §6.6).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The part of `a=fmtp` that two ends must agree on. Everything else passes through the SDP unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The codec has none, or the default.
    #[default]
    Default,
    /// RFC 6184 §8.1.
    H264 {
        /// `profile_idc`, the first byte of `profile-level-id`: 66 baseline, 77 main, 100 high.
        profile: u8,
        /// The constraint flags, its second byte: 0xe0 constrained baseline, 0x00 plain.
        constraints: u8,
        /// `packetization-mode`, 0 or 1; 1 is what every real sender uses.
        packetization_mode: u8,
    },
    /// `profile-id` of RFC 9628 §7: 0 is 8 bit 4:2:0.
    Vp9(u8),
    /// `profile` of the AV1 RTP payload format §7.2: 0 is main.
    Av1(u8),
    /// `profile-id` of RFC 7798 §7.1: 1 is main.
    H265(u8),
}

/// A codec with its profile: the unit of "can this viewer take it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// Its profile.
    pub profile: Profile,
}

impl Format {
    /// A format with the codec's default profile.
    pub const fn new(codec: Codec) -> Self {
        Self { codec, profile: Profile::Default }
    }

    /// How well media of this format suits a receiver that announced `accepted`: the smaller the better,
    /// `None` if not at all.
    ///
    /// H.264 senders announce one profile and send another (OBS says 42e01f whatever x264 makes), and every
    /// decoder takes the common ones, so the profile only ranks; the packetization mode ranks before it
    /// because mode 0 receivers exist on paper only. VP9 and AV1 profiles are true limits of decoders.
    pub fn distance(self, accepted: Self) -> Option<u8> {
        if self.codec != accepted.codec {
            return None;
        }
        match (self.profile, accepted.profile) {
            (ours, theirs) if ours == theirs => Some(0),
            (
                Profile::H264 { profile, constraints, packetization_mode },
                Profile::H264 { profile: p, constraints: c, packetization_mode: m },
            ) => Some(
                4 * u8::from(packetization_mode != m)
                    + 2 * u8::from(profile != p)
                    + u8::from(constraints != c),
            ),
            (Profile::Vp9(ours), Profile::Vp9(theirs)) => (ours == theirs).then_some(0),
            (Profile::Vp9(id), Profile::Default) | (Profile::Default, Profile::Vp9(id)) => {
                (id == 0).then_some(0)
            }
            (Profile::Av1(ours), Profile::Av1(theirs)) => (ours <= theirs).then_some(1),
            (Profile::Av1(id), Profile::Default) | (Profile::Default, Profile::Av1(id)) => {
                (id == 0).then_some(0)
            }
            (Profile::H265(ours), Profile::H265(theirs)) => (ours == theirs).then_some(0),
            _ => Some(7),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.profile {
            Profile::H264 { profile, constraints, .. } => {
                write!(f, "{} ({profile:02x}{constraints:02x})", self.codec)
            }
            Profile::Vp9(id) | Profile::Av1(id) | Profile::H265(id) if id > 1 => {
                write!(f, "{} (profile {id})", self.codec)
            }
            _ => self.codec.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn h264(profile: u8, constraints: u8, packetization_mode: u8) -> Format {
        Format { codec: Codec::H264, profile: Profile::H264 { profile, constraints, packetization_mode } }
    }

    #[test]
    fn nearest_h264_profile_wins_and_any_will_do() {
        let obs = h264(0x42, 0xe0, 1);
        assert_eq!(obs.distance(obs), Some(0));
        assert!(obs.distance(h264(0x42, 0x00, 1)) < obs.distance(h264(0x64, 0x00, 1)));
        assert!(obs.distance(h264(0x64, 0x00, 1)) < obs.distance(h264(0x42, 0xe0, 0)));
        assert_eq!(obs.distance(Format::new(Codec::Vp8)), None);
    }

    #[test]
    fn ten_bit_vp9_is_no_match_for_an_eight_bit_decoder() {
        let profile = |id| Format { codec: Codec::Vp9, profile: Profile::Vp9(id) };
        assert_eq!(profile(2).distance(profile(0)), None);
        assert_eq!(profile(0).distance(Format::new(Codec::Vp9)), Some(0));
        assert_eq!(profile(2).distance(Format::new(Codec::Vp9)), None);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Codec::from_name("OPUS"), Some(Codec::Opus));
        assert_eq!(Codec::from_name("rtx"), None);
    }
}
