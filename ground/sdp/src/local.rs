//! What we bring to an answer: our end of the transport, and what the stream carries.

use std::net::SocketAddr;
use wtn_media::{Codec, Fingerprint, Format, IceCredentials, MediaKind, Ssrc};

/// Our end of one new session. Everything random in the answer is handed in here.
#[derive(Clone, Debug)]
pub struct Local {
    /// Fresh for this session: 16 and 32 characters of `[A-Za-z0-9]`.
    pub ice: IceCredentials,
    /// SHA-256 of the certificate that we will show.
    pub fingerprint: Fingerprint,
    /// Where we receive, best first: FFmpeg takes the first and looks no further. At most
    /// [`Self::CANDIDATES_MAX`] are written; what nobody can reach, and repetitions, are left out.
    pub candidates: Vec<SocketAddr>,
    /// The same addresses and ports listen by TCP too (RFC 6544).
    pub tcp: bool,
    /// `sess-id` of the `o=` line (RFC 8866 §5.2): any random number; its top bit is not written.
    pub sdp_session: u64,
    /// Our CNAME (RFC 3550 §6.5.1): random, short-lived (RFC 7022 §4.2), `[A-Za-z0-9]`.
    pub cname: String,
    /// `a=tls-id` (RFC 8842 §4), written if the offer has one: 20 to 255 characters of `[A-Za-z0-9]`.
    pub tls_id: String,
    /// MediaStream id towards viewers (RFC 8830 §2): the stream's name. What `a=msid` cannot carry is
    /// replaced by `_`.
    pub msid: String,
    /// By [`MediaKind::index`]: the SSRC that we send with, and the one of its retransmissions. All different.
    pub ssrcs: [(Ssrc, Ssrc); 2],
}

impl Local {
    /// Candidates written at most: more than a few only slow the client's checks down (RFC 8445 §5.2 wants
    /// one a family of a lite agent).
    pub const CANDIDATES_MAX: usize = 16;

    /// TCP candidates written at most. Who cannot send UDP is somewhere else, and reaches us by the first addresses.
    pub const TCP_CANDIDATES_MAX: usize = 8;
}

/// What a publisher may send, where the operator restricts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The codecs that it may send; `None`: all that we forward.
    pub codecs: Option<&'a [Codec]>,
    /// What it is told to send of video at most, all encodings together, in kbit/s.
    pub max_bitrate_kbps: Option<u32>,
}

impl Terms<'_> {
    /// Whether it may send this codec.
    pub(crate) fn allow(&self, codec: Codec) -> bool {
        self.codecs.is_none_or(|codecs| codecs.contains(&codec))
    }
}

/// One track of a stream, as its publisher has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTrack {
    /// What it carries now. A viewer that cannot take it is refused.
    pub current: Format,
    /// What else the publisher negotiated and might switch to.
    pub others: Vec<Format>,
    /// Whether it is to be had in several encodings or layers, so that viewers' lines matter.
    pub has_choice: bool,
}

/// What the stream carries, for the answer to a viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTracks {
    /// Audio, if the publisher has it.
    pub audio: Option<StreamTrack>,
    /// Video, if the publisher has it.
    pub video: Option<StreamTrack>,
}

impl StreamTracks {
    /// The track of that kind.
    pub fn track(&self, kind: MediaKind) -> Option<&StreamTrack> {
        match kind {
            MediaKind::Audio => self.audio.as_ref(),
            MediaKind::Video => self.video.as_ref(),
        }
    }
}
