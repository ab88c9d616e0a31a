//! `a=extmap` (RFC 8285): which header extensions are kept, under the offer's ids.

use crate::formats::Flow;
use crate::lines::Attribute;
use wtn_media::{ExtensionKind, ExtensionMap, MediaKind};

/// `a=sendonly` and kin; also what may follow an extension's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same, seen from the other end.
    pub const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Whether the offerer lets media flow that way.
    pub const fn allows(self, flow: Flow) -> bool {
        match flow {
            Flow::Inbound => matches!(self, Self::SendRecv | Self::SendOnly),
            Flow::Outbound => matches!(self, Self::SendRecv | Self::RecvOnly),
        }
    }
}

/// One `a=extmap` line of an offer.
#[derive(Clone, Debug)]
pub(crate) struct OfferedExtension {
    pub id: u8,
    pub uri: String,
    pub direction: Option<Direction>,
}

impl OfferedExtension {
    /// `<id>[/<direction>] <uri> [attributes]`. `None` for what cannot be read or has an id that the one-byte
    /// form cannot carry: those are simply not answered.
    pub fn read(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (id, uri) = (words.next()?, words.next()?);
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Some(Direction::from_name(direction)?)),
            None => (id, None),
        };
        let id = id.parse().ok().filter(|id| ExtensionMap::IDS.contains(id))?;
        Some(Self { id, uri: uri.to_owned(), direction })
    }
}

/// Lines read a section. Chromium writes 13.
const EXTENSIONS_MAX: usize = 32;

/// The extensions of a section.
pub(crate) fn read(attributes: &[Attribute<'_>]) -> Vec<OfferedExtension> {
    attributes
        .iter()
        .filter(|attribute| attribute.is("extmap"))
        .filter_map(|attribute| OfferedExtension::read(attribute.value))
        .take(EXTENSIONS_MAX)
        .collect()
}

/// One `a=extmap` line of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnsweredExtension {
    pub id: u8,
    pub kind: ExtensionKind,
    pub direction: Option<Direction>,
}

/// A section that takes part in the choice.
pub(crate) struct Claim<'a> {
    pub kind: MediaKind,
    pub offered: &'a [OfferedExtension],
    /// The publisher sends several encodings.
    pub simulcast: bool,
    /// Retransmissions were negotiated.
    pub rtx: bool,
    /// Both forms of extensions may be sent.
    pub mixed: bool,
    /// Feedback about transport-wide numbers was offered, and is of use.
    pub transport_cc: bool,
}

/// Chooses for all sections of the bundle at once, because ids are shared (RFC 8843 §9, RFC 9143 §9): an id
/// that means two things is dropped everywhere; of two ids for one thing the first stays (werift has such).
pub(crate) fn choose(flow: Flow, claims: &[Claim<'_>]) -> (ExtensionMap, Vec<Vec<AnsweredExtension>>) {
    let mut map = ExtensionMap::default();
    if claims.iter().all(|claim| claim.mixed) {
        map.allow_mixed();
    }
    let mut answered = Vec::with_capacity(claims.len());
    for claim in claims {
        let mut chosen: Vec<AnsweredExtension> = Vec::new();
        for offered in claim.offered {
            let Some(kind) = ExtensionKind::from_uri(&offered.uri) else { continue };
            let direction = offered.direction;
            let flows = direction.unwrap_or(Direction::SendRecv).allows(flow);
            if !flows || !wanted(flow, kind, claim) || is_ambiguous(offered, claims) {
                continue;
            }
            let is_free = map.insert(offered.id, kind) || map.kind(offered.id) == Some(kind);
            if is_free && !chosen.iter().any(|other| other.kind == kind) {
                let direction = direction.map(Direction::mirrored);
                chosen.push(AnsweredExtension { id: offered.id, kind, direction });
            }
        }
        answered.push(chosen);
    }
    (map, answered)
}

fn is_ambiguous(offered: &OfferedExtension, claims: &[Claim<'_>]) -> bool {
    claims
        .iter()
        .flat_map(|claim| claim.offered)
        .any(|other| other.id == offered.id && other.uri != offered.uri)
}

/// No send times: nothing here reads or writes them.
fn wanted(flow: Flow, kind: ExtensionKind, claim: &Claim<'_>) -> bool {
    match kind {
        ExtensionKind::Mid => true,
        ExtensionKind::Rid => flow == Flow::Inbound && claim.simulcast,
        ExtensionKind::RepairedRid => flow == Flow::Inbound && claim.simulcast && claim.rtx,
        ExtensionKind::TransportCc => claim.transport_cc,
        ExtensionKind::AbsSendTime => false,
        ExtensionKind::AudioLevel => claim.kind == MediaKind::Audio,
        ExtensionKind::AbsCaptureTime => true,
        ExtensionKind::VideoOrientation
        | ExtensionKind::PlayoutDelay
        | ExtensionKind::ColorSpace
        | ExtensionKind::VideoContentType => claim.kind == MediaKind::Video,
        // Keyframes have long ones.
        ExtensionKind::DependencyDescriptor => claim.kind == MediaKind::Video && claim.mixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    const ROTATION: &str = "urn:3gpp:video-orientation";

    fn lines(lines: &[String]) -> Vec<OfferedExtension> {
        lines.iter().filter_map(|line| OfferedExtension::read(line)).collect()
    }

    fn video(offered: &[OfferedExtension]) -> Claim<'_> {
        Claim {
            kind: MediaKind::Video,
            offered,
            simulcast: false,
            rtx: false,
            mixed: false,
            transport_cc: false,
        }
    }

    #[test]
    fn sdp_26_ids_out_of_range_and_unreadable_lines_are_left_out() {
        let offered = lines(&["0 x", "15 x", "16 x", "256 x", "x x", "3", "", "4/up x"].map(str::to_owned));
        assert!(offered.is_empty());
    }

    #[test]
    fn sdp_26_directions_are_mirrored_and_must_fit_the_flow() {
        let offered = lines(&[format!("3/sendonly {MID}"), format!("4/recvonly {ROTATION}")]);
        let (_, inbound) = choose(Flow::Inbound, &[video(&offered)]);
        assert_eq!(
            inbound[0],
            [AnsweredExtension { id: 3, kind: ExtensionKind::Mid, direction: Some(Direction::RecvOnly) }]
        );
        let (_, outbound) = choose(Flow::Outbound, &[video(&offered)]);
        assert_eq!(
            outbound[0],
            [AnsweredExtension {
                id: 4,
                kind: ExtensionKind::VideoOrientation,
                direction: Some(Direction::SendOnly)
            }]
        );
    }

    #[test]
    fn sdp_26_an_id_with_two_meanings_is_dropped_everywhere() {
        let audio = lines(&["1 urn:something".to_owned(), format!("2 {MID}")]);
        let picture = lines(&[format!("1 {ROTATION}"), format!("2 {MID}")]);
        let (map, answered) = choose(Flow::Inbound, &[video(&audio), video(&picture)]);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(2, ExtensionKind::Mid)]);
        assert_eq!(answered.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn sdp_26_of_two_ids_for_one_extension_the_first_stays() {
        let audio = lines(&[format!("1 {MID}")]);
        let picture = lines(&[format!("3 {MID}")]);
        let (map, answered) = choose(Flow::Inbound, &[video(&audio), video(&picture)]);
        assert_eq!(map.id(ExtensionKind::Mid), Some(1));
        assert!(answered[1].is_empty());
    }

    #[test]
    fn rtp_11_the_dependency_descriptor_is_taken_where_long_values_may_be_sent() {
        let offered = lines(&[format!("11 {}", ExtensionKind::DependencyDescriptor.uri())]);
        for flow in [Flow::Inbound, Flow::Outbound] {
            let (map, answered) = choose(flow, &[video(&offered)]);
            assert!(answered[0].is_empty() && !map.is_mixed());
            let (map, answered) = choose(flow, &[Claim { mixed: true, ..video(&offered) }]);
            assert_eq!(answered[0].len(), 1);
            assert!(map.is_mixed());
        }
    }

    #[test]
    fn sdp_29_rids_are_asked_for_only_with_simulcast() {
        let offered = lines(&[format!("10 {RID}")]);
        assert!(choose(Flow::Inbound, &[video(&offered)]).1[0].is_empty());
        let claim = Claim { simulcast: true, ..video(&offered) };
        assert_eq!(choose(Flow::Inbound, &[claim]).1[0].len(), 1);
        let claim = Claim { simulcast: true, ..video(&offered) };
        assert!(choose(Flow::Outbound, &[claim]).1[0].is_empty());
    }
}
