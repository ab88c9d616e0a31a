//! RTP header extensions: which ones wtn knows, and who calls them by which id (RFC 8285).

use std::ops::Range;

/// A header extension that wtn reads, writes or passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtensionKind {
    /// Which `m=` section (RFC 9143 §15). Ours to write: the viewer's mid is not the publisher's.
    Mid,
    /// Which encoding (RFC 8852 §3.1). Read from publishers, never sent to viewers.
    Rid,
    /// Which encoding an RTX packet repairs (RFC 8852 §3.2). Read from publishers.
    RepairedRid,
    /// Transport-wide sequence number. Ours to write, per session.
    TransportCc,
    /// Absolute send time. Ours to write, per packet.
    AbsSendTime,
    /// Client-to-mixer audio level (RFC 6464). Passed on.
    AudioLevel,
    /// Rotation of the picture (3GPP TS 26.114 §7.4.5). Passed on.
    VideoOrientation,
    /// When the frame was captured, on the sender's clock. Passed on.
    AbsCaptureTime,
    /// Bounds of the playout delay. Passed on.
    PlayoutDelay,
    /// Colour space of the picture. Passed on.
    ColorSpace,
    /// Screen or camera content. Passed on.
    VideoContentType,
    /// Which layers need the frame (see [`crate::dependency`]). Passed on with frame numbers of our own.
    DependencyDescriptor,
}

impl ExtensionKind {
    /// Every kind we know.
    pub const ALL: [Self; 12] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::ColorSpace,
        Self::VideoContentType,
        Self::DependencyDescriptor,
    ];

    /// The URI of `a=extmap`.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::VideoContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// Finds a kind by its URI, byte for byte (RFC 8285 §5).
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    /// Bytes that a value of it may have: what the one-byte form carries, but for the one that needs more.
    pub const fn len_max(self) -> usize {
        match self {
            Self::DependencyDescriptor => 255,
            _ => 16,
        }
    }

    /// True for what a publisher's value is handed to viewers unchanged.
    pub const fn passes_through(self) -> bool {
        matches!(
            self,
            Self::AudioLevel
                | Self::VideoOrientation
                | Self::AbsCaptureTime
                | Self::PlayoutDelay
                | Self::ColorSpace
                | Self::VideoContentType
                | Self::DependencyDescriptor
        )
    }
}

/// Which id stands for which extension in one session: `a=extmap`, both ways.
///
/// Ids are 1 to 14, which both forms can carry; offers with higher ids lose those extensions in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    kinds: [Option<ExtensionKind>; 15],
    is_mixed: bool,
}

impl ExtensionMap {
    /// Ids that the one-byte form can carry (RFC 8285 §4.2).
    pub const IDS: Range<u8> = 1..15;

    /// Assigns `id`. False, and nothing changes, if the id is out of range or taken, or the kind has one.
    pub fn insert(&mut self, id: u8, kind: ExtensionKind) -> bool {
        if !Self::IDS.contains(&id) || self.kinds[usize::from(id)].is_some() || self.id(kind).is_some() {
            return false;
        }
        self.kinds[usize::from(id)] = Some(kind);
        true
    }

    /// Both forms may be sent (`a=extmap-allow-mixed`, RFC 8285 §6), so that values may be longer than 16 bytes.
    pub fn allow_mixed(&mut self) {
        self.is_mixed = true;
    }

    /// Whether both forms may be sent.
    pub fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    /// What `id` stands for.
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.kinds.get(usize::from(id)).copied().flatten()
    }

    /// The id of `kind`.
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.iter().find(|(_, k)| *k == kind).map(|(id, _)| id)
    }

    /// All assignments, by rising id.
    pub fn iter(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        self.kinds.iter().zip(0u8..).filter_map(|(kind, id)| kind.map(|kind| (id, kind)))
    }
}
