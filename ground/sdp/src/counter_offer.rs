//! An offer of our own, for a viewer whose offer cannot be answered (draft-ietf-wish-whep, "Server Sends
//! Counter-Offer").
//!
//! We write the offer that we wish the viewer had made, and answer it as any other, except that what comes out is an
//! offer; the viewer's answer is then read as if it had been that offer. So all that is decided about codecs,
//! extensions and numbers is decided in one place.

use crate::answer::{Answered, levels, settle};
use crate::plan::{self, Side};
use crate::write::{self, Kind, Sdp, line, spaced};
use crate::{Local, Offer, SdpFault, StreamTrack, StreamTracks, transport};
use wtn_media::{Codec, ExtensionKind, Format, IceCredentials, MediaKind, Profile};

/// Formats of one track: what it carries, and what its publisher may switch to. Each takes two of the 32 dynamic
/// payload types.
const FORMATS_MAX: usize = 6;

/// The first dynamic payload type (RFC 3551 §6).
const DYNAMIC: u8 = 96;

/// An offer of ours, and what is needed to take the answer to it.
#[derive(Clone, Debug)]
pub struct CounterOffer {
    local: Local,
    tracks: StreamTracks,
}

impl CounterOffer {
    /// To send what the stream carries. `None` if that is nothing yet.
    pub fn new(local: Local, tracks: StreamTracks) -> Option<Self> {
        let has_tracks = tracks.audio.is_some() || tracks.video.is_some();
        has_tracks.then_some(Self { local, tracks })
    }

    /// Our ICE credentials in it.
    pub fn ice(&self) -> &IceCredentials {
        &self.local.ice
    }

    /// The initial offer (RFC 9429 §5.2.1): bundled, `actpass`, `sendonly`, every candidate.
    ///
    /// # Errors
    /// None that is known: it fails only if the offer that we wish for could not be answered.
    pub fn sdp(&self) -> Result<String, SdpFault> {
        let wished = self.wished()?;
        let side = Side::Subscriber(&self.tracks);
        let choice = plan::choose(&wished, &self.local, side)?;
        Ok(write::describe(&wished, &self.local, side, &choice, Kind::Offer))
    }

    /// Takes the viewer's answer.
    ///
    /// # Errors
    /// [`FaultKind::Malformed`](crate::FaultKind) for what is no answer to this offer;
    /// [`FaultKind::Unacceptable`](crate::FaultKind) for one that leaves nothing to send.
    pub fn accept(&self, answer: &Offer) -> Result<Answered, SdpFault> {
        let wished = self.wished()?;
        let mut answer = answer.clone();
        check_shape(&wished, &answer)?;
        for (ours, theirs) in wished.sections.iter().zip(&mut answer.sections) {
            if theirs.direction == crate::extensions::Direction::Inactive {
                theirs.port = 0;
            }
            // RFC 9143 §7.3.2: no answer has it; port 0 is a refusal here.
            theirs.bundle_only = false;
            let is_ours =
                |id, uri: &str| ours.extensions.iter().any(|known| known.id == id && known.uri == uri);
            theirs.extensions.retain(|theirs| is_ours(theirs.id, &theirs.uri));
        }
        let choice = plan::choose(&answer, &self.local, Side::Subscriber(&self.tracks))?;
        let agreed = transport::agree(&levels(&answer, &choice))?;
        Ok(settle(String::new(), &answer, &self.local, choice, agreed))
    }

    /// The offer that would be answered in full.
    fn wished(&self) -> Result<Offer, SdpFault> {
        let mut sdp = Sdp(String::with_capacity(2048));
        let kinds: Vec<_> =
            MediaKind::ALL.into_iter().filter_map(|kind| Some((kind, self.tracks.track(kind)?))).collect();
        line!(sdp, "v=0");
        line!(sdp, "a=group:BUNDLE {}", spaced(&(0..kinds.len()).collect::<Vec<_>>()));
        line!(sdp, "a=ice-options:trickle");
        let mut free = DYNAMIC..;
        for (mid, (kind, track)) in kinds.into_iter().enumerate() {
            section(&mut sdp, mid, kind, track, &mut free);
        }
        Offer::parse(sdp.0.as_bytes())
    }
}

/// RFC 3264 §6: as many sections, in the same order, under the same names.
fn check_shape(ours: &Offer, theirs: &Offer) -> Result<(), SdpFault> {
    let same = ours.sections.len() == theirs.sections.len()
        && ours.sections.iter().zip(&theirs.sections).all(|(ours, theirs)| {
            ours.media == theirs.media && (theirs.mid.is_none() || ours.mid == theirs.mid)
        });
    if same {
        return Ok(());
    }
    Err(SdpFault::malformed(
        "not_our_answer",
        "The SDP has other m= sections than the offer that it should answer.",
    ))
}

fn section(
    sdp: &mut Sdp,
    mid: usize,
    kind: MediaKind,
    track: &StreamTrack,
    free: &mut impl Iterator<Item = u8>,
) {
    let mut formats = vec![track.current];
    for other in &track.others {
        if !formats.contains(other) && formats.len() < FORMATS_MAX {
            formats.push(*other);
        }
    }
    let mut next = || free.next().unwrap_or(DYNAMIC);
    // Payload type, retransmissions, format.
    let numbered: Vec<(u8, Option<u8>, Format)> = formats
        .into_iter()
        .map(|format| match fixed_number(format.codec) {
            Some(number) => (number, None, format),
            None => (next(), (kind == MediaKind::Video).then(&mut next), format),
        })
        .collect();
    let numbers = numbered.iter().flat_map(|(number, rtx, _)| [Some(*number), *rtx]).flatten();
    line!(sdp, "m={kind} 9 UDP/TLS/RTP/SAVPF {}", spaced(&numbers.collect::<Vec<_>>()));
    line!(sdp, "a=mid:{mid}");
    line!(sdp, "a=recvonly");
    line!(sdp, "a=rtcp-mux");
    line!(sdp, "a=rtcp-rsize");
    for (extension, id) in extensions(kind).into_iter().zip(1..) {
        // One numbering for the whole bundle (RFC 9143 §9): those of video after those of audio but for the common.
        let id = if kind == MediaKind::Video && id > COMMON { id + 1 } else { id };
        line!(sdp, "a=extmap:{id} {}", extension.uri());
    }
    for (number, rtx, format) in numbered {
        let codec = format.codec;
        let channels = if codec == Codec::Opus { "/2" } else { "" };
        line!(sdp, "a=rtpmap:{number} {codec}/{}{channels}", codec.clock_rate());
        let parameters = parameters(format);
        if !parameters.is_empty() {
            line!(sdp, "a=fmtp:{number} {parameters}");
        }
        if kind == MediaKind::Video {
            for feedback in ["nack", "nack pli", "ccm fir"] {
                line!(sdp, "a=rtcp-fb:{number} {feedback}");
            }
        }
        if let Some(rtx) = rtx {
            line!(sdp, "a=rtpmap:{rtx} rtx/{}", codec.clock_rate());
            line!(sdp, "a=fmtp:{rtx} apt={number}");
        }
    }
}

/// Extensions that both kinds have, first in both lists.
const COMMON: i32 = 2;

fn extensions(kind: MediaKind) -> Vec<ExtensionKind> {
    use ExtensionKind::{AbsCaptureTime, AudioLevel, ColorSpace, Mid, PlayoutDelay, VideoContentType};
    match kind {
        MediaKind::Audio => vec![Mid, AbsCaptureTime, AudioLevel],
        MediaKind::Video => {
            vec![
                Mid,
                AbsCaptureTime,
                ExtensionKind::VideoOrientation,
                PlayoutDelay,
                VideoContentType,
                ColorSpace,
            ]
        }
    }
}

/// RFC 3551 §6.
const fn fixed_number(codec: Codec) -> Option<u8> {
    match codec {
        Codec::Pcmu => Some(0),
        Codec::Pcma => Some(8),
        Codec::G722 => Some(9),
        _ => None,
    }
}

/// What `a=fmtp` must say of a format. Levels are those that every decoder has; what we send may exceed them, as
/// publishers do, and decoders take it.
fn parameters(format: Format) -> String {
    match (format.codec, format.profile) {
        (_, Profile::H264 { profile, constraints, packetization_mode }) => format!(
            "level-asymmetry-allowed=1;packetization-mode={packetization_mode};\
             profile-level-id={profile:02x}{constraints:02x}1f"
        ),
        (_, Profile::Vp9(id)) => format!("profile-id={id}"),
        (_, Profile::Av1(id)) => format!("profile={id}"),
        (_, Profile::H265(id)) => format!("profile-id={id};tier-flag=0;level-id=93;tx-mode=SRST"),
        (Codec::Opus, _) => "minptime=10;useinbandfec=1;stereo=1".to_owned(),
        _ => String::new(),
    }
}
