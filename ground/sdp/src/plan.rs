//! Decides, section by section, what an answer carries: a track, or nothing.

use crate::extensions::{self, AnsweredExtension, Claim};
use crate::fault::Quoted;
use crate::formats::{Flow, OfferedFormat};
use crate::offer::{Offer, Section};
use crate::{Local, SdpFault, StreamTrack, StreamTracks, Terms};
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::{Codec, ExtensionKind, ExtensionMap, MediaKind, Mid, PayloadType, Profile, Rid};

/// For whom the answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side<'a> {
    Publisher(&'a Terms<'a>),
    Subscriber(&'a StreamTracks),
}

impl Side<'_> {
    pub const fn flow(self) -> Flow {
        match self {
            Self::Publisher(_) => Flow::Inbound,
            Self::Subscriber(_) => Flow::Outbound,
        }
    }
}

/// One accepted section.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Its place among the offer's sections.
    pub index: usize,
    /// What the engine is told.
    pub track: TrackPlan,
    /// The chosen formats in the answer's order.
    pub formats: Vec<OfferedFormat>,
    pub extensions: Vec<AnsweredExtension>,
    /// Accepted rids with the restrictions to repeat.
    pub rids: Vec<(Rid, String)>,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// In the order of the offer. Never empty.
    pub accepted: Vec<Accepted>,
    /// The accepted mids in the bundle's order; empty if nothing is bundled.
    pub bundle: Vec<Mid>,
    pub extensions: ExtensionMap,
}

impl Choice {
    /// The section whose transport is everybody's (RFC 9143 §7.3): the bundle's first.
    pub fn tagged(&self) -> &Accepted {
        let first = self.bundle.first();
        self.accepted.iter().find(|accepted| Some(&accepted.track.mid) == first).unwrap_or(&self.accepted[0])
    }
}

/// Payload types kept in one section, retransmissions not counted: Chromium's 15 and room, and an answer
/// that stays under its limit.
const FORMATS_MAX: usize = 20;

/// Decides what is carried.
pub(crate) fn choose(offer: &Offer, local: &Local, side: Side<'_>) -> Result<Choice, SdpFault> {
    let live = live_sections(offer, side)?;
    let bundle = bundle(offer, &live)?;
    check_streams(&live, side)?;
    let mut accepted = Vec::with_capacity(live.len());
    for (index, kind, section) in &live {
        accepted.push(accept(*index, *kind, section, local, side)?);
    }
    let claims: Vec<_> = accepted
        .iter()
        .zip(&live)
        .map(|(accepted, (_, kind, section))| Claim {
            kind: *kind,
            offered: &section.extensions,
            simulcast: !accepted.rids.is_empty(),
            rtx: accepted.formats.iter().any(|format| format.rtx.is_some()),
            mixed: offer.allow_mixed || section.allow_mixed,
            transport_cc: accepted.track.feedback.transport_cc,
        })
        .collect();
    let (map, answered) = extensions::choose(side.flow(), &claims);
    for (accepted, extensions) in accepted.iter_mut().zip(answered) {
        // Without the extension nobody could tell the encodings apart.
        if !extensions.iter().any(|extension| extension.kind == ExtensionKind::Rid) {
            accepted.rids.clear();
            accepted.track.rids.clear();
        }
        // Without numbers there is nothing to report about.
        if !extensions.iter().any(|extension| extension.kind == ExtensionKind::TransportCc) {
            accepted.track.feedback.transport_cc = false;
            accepted.formats.iter_mut().for_each(|format| format.feedback.transport_cc = false);
        }
        accepted.extensions = extensions;
    }
    let choice = Choice { accepted, bundle, extensions: map };
    check_rtcp_mux(offer, &choice)?;
    Ok(choice)
}

type Live<'a> = (usize, MediaKind, &'a Section);

/// The audio and video sections that are really offered: at most one of each (RFC 9725 §4.4.2).
fn live_sections<'a>(offer: &'a Offer, side: Side<'_>) -> Result<Vec<Live<'a>>, SdpFault> {
    let mut live: Vec<Live<'_>> = Vec::new();
    for (index, section) in offer.sections.iter().enumerate() {
        let Some(kind) = section.kind else { continue };
        if section.port == 0 && !section.bundle_only {
            match side {
                // RFC 9725 §4.4.3: all or nothing.
                Side::Publisher(_) => return Err(disabled(kind)),
                Side::Subscriber(_) => continue,
            }
        }
        check_protocol(section)?;
        check_direction(kind, section, side)?;
        if live.iter().any(|(_, other, _)| *other == kind) {
            return Err(SdpFault::unacceptable(
                "too_many_tracks",
                format!("The offer has more than one {kind} section."),
                "Send one audio and one video track; for several qualities of one picture use simulcast.",
            ));
        }
        live.push((index, kind, section));
    }
    if live.is_empty() {
        return Err(SdpFault::unacceptable(
            "no_media",
            "The offer has no audio or video section that is enabled.",
            "Add an audio or a video track before creating the offer.",
        ));
    }
    Ok(live)
}

fn disabled(kind: MediaKind) -> SdpFault {
    SdpFault::unacceptable(
        "disabled_section",
        format!("The {kind} section has port 0 without a=bundle-only, which disables it."),
        format!("Leave the {kind} section out, or mark it a=bundle-only."),
    )
}

fn check_protocol(section: &Section) -> Result<(), SdpFault> {
    const DTLS_SRTP: [&str; 6] = [
        "UDP/TLS/RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
        "TCP/DTLS/RTP/SAVP",
        "RTP/SAVPF",
        "RTP/SAVP",
    ];
    if DTLS_SRTP.contains(&section.protocol.as_str()) {
        return Ok(());
    }
    Err(SdpFault::unacceptable(
        "bad_protocol",
        format!("The protocol {} is not DTLS-SRTP.", Quoted(&section.protocol)),
        "Offer UDP/TLS/RTP/SAVPF.",
    ))
}

/// RFC 9725 §4.2 and its mirror image for WHEP.
fn check_direction(kind: MediaKind, section: &Section, side: Side<'_>) -> Result<(), SdpFault> {
    if section.direction.allows(side.flow()) {
        return Ok(());
    }
    let (role, wanted) = match side {
        Side::Publisher(_) => ("publisher", "sendonly"),
        Side::Subscriber(_) => ("player", "recvonly"),
    };
    Err(SdpFault::unacceptable(
        "bad_direction",
        format!("The {kind} section is a={}; a {role} offers a={wanted}.", section.direction.name()),
        format!("Offer a={wanted}, or leave the {kind} section out."),
    ))
}

/// RFC 9725 §4.4.1: several sections share one transport. One alone needs no group.
fn bundle(offer: &Offer, live: &[Live<'_>]) -> Result<Vec<Mid>, SdpFault> {
    let mids: Vec<Mid> = live.iter().filter_map(|(_, _, section)| section.mid).collect();
    let all_named = mids.len() == live.len();
    let group = offer.bundles.iter().find(|group| all_named && mids.iter().all(|mid| group.contains(mid)));
    match group {
        Some(group) => {
            let mut order: Vec<Mid> = Vec::with_capacity(mids.len());
            for mid in group.iter().filter(|mid| mids.contains(mid)) {
                if !order.contains(mid) {
                    order.push(*mid);
                }
            }
            Ok(order)
        }
        None if live.len() == 1 => Ok(Vec::new()),
        None => Err(SdpFault::unacceptable(
            "not_bundled",
            "Audio and video are not in one BUNDLE group.",
            "Use the bundle policy max-bundle, so that the offer has a=group:BUNDLE with every a=mid.",
        )),
    }
}

/// RFC 9143 §9.3: the tagged section speaks for all.
fn check_rtcp_mux(offer: &Offer, choice: &Choice) -> Result<(), SdpFault> {
    if offer.sections[choice.tagged().index].rtcp_mux {
        return Ok(());
    }
    Err(SdpFault::unacceptable(
        "no_rtcp_mux",
        "The offer lacks a=rtcp-mux: RTCP would need a port of its own.",
        "Use the RTCP mux policy require.",
    ))
}

/// RFC 9725 §4.4.2: one MediaStream.
fn check_streams(live: &[Live<'_>], side: Side<'_>) -> Result<(), SdpFault> {
    let mut ids = live.iter().flat_map(|(_, _, section)| &section.stream_ids);
    let first = ids.next();
    if matches!(side, Side::Subscriber(_)) || ids.all(|id| Some(id) == first) {
        return Ok(());
    }
    Err(SdpFault::unacceptable(
        "too_many_streams",
        "The tracks belong to different MediaStreams.",
        "Add audio and video with the same MediaStream, so that their a=msid lines begin alike.",
    ))
}

fn accept(
    index: usize,
    kind: MediaKind,
    section: &Section,
    local: &Local,
    side: Side<'_>,
) -> Result<Accepted, SdpFault> {
    let mut formats = match side {
        Side::Publisher(terms) => for_publisher(kind, section, terms)?,
        Side::Subscriber(tracks) => for_subscriber(kind, section, tracks.track(kind))?,
    };
    formats.truncate(FORMATS_MAX);
    let line = LineFeedback::of(kind, section, &formats, side);
    formats.iter_mut().for_each(|format| format.feedback = line.usable(format.feedback));
    let Some(preferred) = formats.first() else {
        return Err(SdpFault::no_usable_codec(kind, &section.formats.offered));
    };
    let feedback = preferred.feedback;
    let rids = match side {
        Side::Publisher(_) if kind == MediaKind::Video => rids(section, &formats),
        _ => Vec::new(),
    };
    let ssrcs = match side {
        Side::Publisher(_) => section.ssrcs.clone(),
        Side::Subscriber(_) => {
            let (media, rtx) = local.ssrcs[kind.index()];
            vec![(media, formats.iter().any(|format| format.rtx.is_some()).then_some(rtx))]
        }
    };
    let track = TrackPlan {
        kind,
        mid: section.mid.unwrap_or_else(|| unnamed(kind)),
        formats: formats.iter().map(payload_format).collect(),
        feedback,
        rids: rids.iter().map(|(rid, _)| *rid).collect(),
        ssrcs,
    };
    Ok(Accepted { index, track, formats, extensions: Vec::new(), rids })
}

/// What feedback about the line is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineFeedback {
    /// A publisher is told all that it knows how to read.
    Told,
    /// A viewer's line decides what it gets: transport-wide feedback is the best there is.
    Decides,
    /// The same, but the viewer has no transport-wide numbers, or no retransmissions by which a line is probed.
    DecidesByRemb,
    /// A viewer for whom there is nothing to choose.
    Idle,
}

impl LineFeedback {
    /// Towards a viewer, only video that comes in several encodings leaves a choice; a stream that nobody
    /// publishes yet might.
    fn of(kind: MediaKind, section: &Section, formats: &[OfferedFormat], side: Side<'_>) -> Self {
        let Side::Subscriber(tracks) = side else { return Self::Told };
        if kind != MediaKind::Video || tracks.video.as_ref().is_some_and(|track| !track.has_choice) {
            return Self::Idle;
        }
        let uri = ExtensionKind::TransportCc.uri();
        let is_numbered = section.extensions.iter().any(|extension| extension.uri == uri);
        let is_repaired = formats.iter().all(|format| format.rtx.is_some());
        if is_numbered && is_repaired { Self::Decides } else { Self::DecidesByRemb }
    }

    fn usable(self, offered: Feedback) -> Feedback {
        let (transport_cc, remb) = match self {
            Self::Told => (offered.transport_cc, offered.remb),
            Self::Decides => (offered.transport_cc, offered.remb && !offered.transport_cc),
            Self::DecidesByRemb => (false, offered.remb),
            Self::Idle => (false, false),
        };
        // Who sends learns the round trip from our reports.
        let rrtr = offered.rrtr && self != Self::Told;
        Feedback { transport_cc, remb, rrtr, ..offered }
    }
}

/// A section without `a=mid` stands alone; the engine wants a name all the same.
fn unnamed(kind: MediaKind) -> Mid {
    Mid::new(kind.name()).expect("audio and video are tokens")
}

const fn payload_format(format: &OfferedFormat) -> PayloadFormat {
    PayloadFormat { payload_type: format.payload_type, format: format.format, rtx: format.rtx }
}

/// All that we forward and the operator allows, in the offer's order. 10-bit VP9 goes where 8-bit is offered too: vue-wish puts it
/// first, and most players cannot decode it.
fn for_publisher(
    kind: MediaKind,
    section: &Section,
    terms: &Terms<'_>,
) -> Result<Vec<OfferedFormat>, SdpFault> {
    let usable: Vec<_> =
        section.formats.usable.iter().filter(|format| terms.allow(format.format.codec)).collect();
    if usable.is_empty() && !section.formats.usable.is_empty() {
        let allowed = terms.codecs.unwrap_or_default();
        return Err(SdpFault::codec_not_allowed(kind, allowed, &section.formats.offered));
    }
    let is_vp9 = |format: &OfferedFormat| format.format.codec == Codec::Vp9;
    let is_main_vp9 = |format: &OfferedFormat| is_vp9(format) && format.format.profile == Profile::Vp9(0);
    let has_main_vp9 = usable.iter().any(|format| is_main_vp9(format));
    let fits = |format: &&OfferedFormat| !(has_main_vp9 && is_vp9(format) && !is_main_vp9(format));
    Ok(usable.into_iter().filter(fits).cloned().collect())
}

/// All that we might ever forward, what the stream carries now first, then what its publisher might switch
/// to, so that a change of source needs no new session. A kind that the stream lacks is taken as offered: it
/// stays silent until somebody sends it.
fn for_subscriber(
    kind: MediaKind,
    section: &Section,
    track: Option<&StreamTrack>,
) -> Result<Vec<OfferedFormat>, SdpFault> {
    let mut formats = section.formats.usable.clone();
    let Some(track) = track else { return Ok(formats) };
    if !formats.iter().any(|format| track.current.distance(format.format).is_some()) {
        return Err(SdpFault::no_common_codec(kind, track.current, &section.formats.offered));
    }
    formats.sort_by_cached_key(|offered| {
        let fits = |ours: &wtn_media::Format| ours.distance(offered.format);
        match (fits(&track.current), track.others.iter().filter_map(fits).min()) {
            (Some(distance), _) => (0, distance),
            (None, Some(distance)) => (1, distance),
            (None, None) => (2, 0),
        }
    });
    Ok(formats)
}

/// The rids that stay: those not bound to payload types that went (RFC 8851 §6.3).
fn rids(section: &Section, formats: &[OfferedFormat]) -> Vec<(Rid, String)> {
    let kept = |pt: &PayloadType| formats.iter().any(|format| format.payload_type == *pt);
    let mut rids = Vec::new();
    for offered in &section.rids {
        let bound: Vec<String> =
            offered.payload_types.iter().filter(|pt| kept(pt)).map(ToString::to_string).collect();
        if bound.is_empty() && !offered.payload_types.is_empty() {
            continue;
        }
        let pt = if bound.is_empty() { String::new() } else { format!("pt={}", bound.join(",")) };
        let parts: Vec<&str> =
            [pt.as_str(), &offered.restrictions].into_iter().filter(|part| !part.is_empty()).collect();
        rids.push((offered.rid, parts.join(";")));
    }
    rids
}
