//! What offer and answer settled: handed by signalling to the engine, which never sees SDP.

use crate::{
    DtlsRole, ExtensionMap, Fingerprint, Format, IceCredentials, MediaKind, Mid, PayloadType, Rid, SessionId,
    Ssrc, StreamId,
};
use std::time::{Duration, Instant};

/// The RTCP feedback that was negotiated for a track (RFC 4585 §4.2). Nothing else may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`: "resend these packets".
    pub nack: bool,
    /// `nack pli`: "send a keyframe".
    pub pli: bool,
    /// `ccm fir` (RFC 5104): the older way to ask for a keyframe.
    pub fir: bool,
    /// `transport-cc`.
    pub transport_cc: bool,
    /// `goog-remb`.
    pub remb: bool,
}

/// One payload type of a track, with the payload type of its retransmissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// The number that stands for the format in this session.
    pub payload_type: PayloadType,
    /// What it stands for.
    pub format: Format,
    /// The RTX payload type whose `apt` is [`Self::payload_type`] (RFC 4588 §8.6).
    pub rtx: Option<PayloadType>,
}

/// One accepted `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackPlan {
    /// Audio or video.
    pub kind: MediaKind,
    /// Its name in this session.
    pub mid: Mid,
    /// What it may carry, the preferred format first. Never empty.
    pub formats: Vec<PayloadFormat>,
    /// The feedback that may flow.
    pub feedback: Feedback,
    /// Publisher: the rids of its encodings, best first as far as the offer tells; empty without simulcast.
    pub rids: Vec<Rid>,
    /// Publisher: media SSRCs announced in the offer, each with its RTX SSRC; often empty.
    /// Subscriber: exactly one, ours.
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
}

/// What a session carries once offer and answer are exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    /// At most one track a kind.
    pub tracks: Vec<TrackPlan>,
    /// Header extension ids: one numbering for the whole bundle (RFC 9143 §9).
    pub extensions: ExtensionMap,
    /// `a=rtcp-rsize`: feedback may travel without a report in front (RFC 5506).
    pub reduced_size_rtcp: bool,
    /// Our CNAME (RFC 3550 §6.5.1), the same for all tracks of the session.
    pub cname: String,
}

impl SessionPlan {
    /// The track of that kind.
    pub fn track(&self, kind: MediaKind) -> Option<&TrackPlan> {
        self.tracks.iter().find(|track| track.kind == kind)
    }
}

/// Which way media flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends to us (WHIP).
    Publisher {
        /// Rises with every publisher of the stream: of two, the higher is the newer.
        epoch: u32,
    },
    /// Receives from us (WHEP).
    Subscriber,
}

/// A session that signalling admitted: all that the engine must know to serve it.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The session.
    pub session: SessionId,
    /// Its stream.
    pub stream: StreamId,
    /// Which way media flows.
    pub role: Role,
    /// Ours: the user fragment by which the first check is recognised, the key that proves it.
    pub local: IceCredentials,
    /// The client's, of which only the user fragment is checked (RFC 8445 §7.3).
    pub remote: IceCredentials,
    /// Who starts DTLS.
    pub dtls_role: DtlsRole,
    /// Certificates that the client may show. Never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// What was negotiated.
    pub plan: SessionPlan,
    /// Without a connection by then the session ends.
    pub connect_by: Instant,
    /// A publisher is asked to send no more than this many bits a second.
    pub max_bitrate_bps: Option<u64>,
    /// How long the stream's viewers stay while nobody publishes; `None`: as long as they like.
    pub grace: Option<Duration>,
    /// A publisher that is connected waits until it is told that it is shown.
    pub stands_by: bool,
}
