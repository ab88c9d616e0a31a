//! Answers an offer: for a publisher (WHIP) or a subscriber (WHEP).

use crate::plan::{self, Choice, Side};
use crate::transport::{self, Agreed};
use crate::write::Kind;
use crate::{ANSWER_LEN_MAX, IceFrame, Local, Offer, SdpFault, StreamTracks, Terms, write};
use wtn_media::{DtlsRole, Fingerprint, IceCredentials, SessionPlan};

/// An offer, answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer: CRLF lines, at most [`ANSWER_LEN_MAX`] bytes. Empty where the answer was the client's
    /// ([`CounterOffer::accept`](crate::CounterOffer::accept)).
    pub sdp: String,
    /// What offer and answer settled, for the engine.
    pub plan: SessionPlan,
    /// Who starts DTLS.
    pub dtls_role: DtlsRole,
    /// The client's ICE credentials.
    pub remote: IceCredentials,
    /// The certificates that the client may show. Never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// What an ICE restart will repeat.
    pub ice_frame: IceFrame,
}

/// WHIP: answers an offer to send, with `recvonly` sections (RFC 9725 §4.2).
///
/// # Errors
/// What we cannot, or by `terms` may not, take in full is refused: no half answers (RFC 9725 §4.4.3).
pub fn answer_publisher(offer: &Offer, local: &Local, terms: &Terms<'_>) -> Result<Answered, SdpFault> {
    answer(offer, local, Side::Publisher(terms))
}

/// WHEP: answers an offer to receive, with `sendonly` sections, the stream's current codec first.
///
/// # Errors
/// A viewer whose section of a published kind lacks the current codec is refused; so are offers that break
/// the rules of WHEP.
pub fn answer_subscriber(offer: &Offer, local: &Local, tracks: &StreamTracks) -> Result<Answered, SdpFault> {
    answer(offer, local, Side::Subscriber(tracks))
}

fn answer(offer: &Offer, local: &Local, side: Side<'_>) -> Result<Answered, SdpFault> {
    let choice = plan::choose(offer, local, side)?;
    let agreed = transport::agree(&levels(offer, &choice))?;
    let sdp = write::describe(offer, local, side, &choice, Kind::Answer(agreed.dtls_role));
    if sdp.len() > ANSWER_LEN_MAX {
        return Err(SdpFault::unacceptable(
            "answer_too_large",
            format!("The answer would have more than {ANSWER_LEN_MAX} bytes."),
            "Offer fewer codecs.",
        ));
    }
    Ok(settle(sdp, offer, local, choice, agreed))
}

/// What the engine is told once both ends have spoken: `theirs` is the client's word.
pub(crate) fn settle(sdp: String, theirs: &Offer, local: &Local, choice: Choice, agreed: Agreed) -> Answered {
    let ice_frame = IceFrame::of(theirs, &choice);
    let reduced_size_rtcp = choice.accepted.iter().any(|accepted| theirs.sections[accepted.index].rtcp_rsize);
    let plan = SessionPlan {
        tracks: choice.accepted.into_iter().map(|accepted| accepted.track).collect(),
        extensions: choice.extensions,
        reduced_size_rtcp,
        cname: local.cname.clone(),
    };
    Answered {
        sdp,
        plan,
        dtls_role: agreed.dtls_role,
        remote: agreed.remote,
        fingerprints: agreed.fingerprints,
        ice_frame,
    }
}

/// Where to look for transport attributes, the most decisive level first: the section that speaks for the
/// bundle, the session, then the other sections, as a bundle may be tagged by one that we reject.
pub(crate) fn levels<'a>(offer: &'a Offer, choice: &Choice) -> Vec<&'a transport::Transport> {
    let tagged = choice.tagged().index;
    let others =
        offer.sections.iter().enumerate().filter(|(index, _)| *index != tagged).map(|(_, section)| section);
    [&offer.sections[tagged].transport, &offer.transport]
        .into_iter()
        .chain(others.map(|section| &section.transport))
        .collect()
}
