//! An SDP offer, typed: everything that an answer depends on, and nothing else.

use crate::SdpFault;
use crate::extensions::{self, Direction, OfferedExtension};
use crate::fault::Quoted;
use crate::formats::{self, Formats};
use crate::lines::{self, Attribute, RawSection};
use crate::simulcast::{self, OfferedRid};
use crate::transport::Transport;
use wtn_media::{MediaKind, Mid, PayloadType, Ssrc};

/// An SDP offer, read and typed.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) bundles: Vec<Vec<Mid>>,
    pub(crate) lip_sync: Vec<Vec<Mid>>,
    pub(crate) allow_mixed: bool,
    pub(crate) trickle: bool,
    pub(crate) tls_id: bool,
    pub(crate) transport: Transport,
    pub(crate) sections: Vec<Section>,
}

/// One `m=` section of an offer.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// `None`: neither audio nor video; always rejected.
    pub kind: Option<MediaKind>,
    pub media: String,
    pub port: u16,
    pub protocol: String,
    pub first_format: String,
    /// Every payload type of the `m=` line, each once.
    pub payload_types: Vec<PayloadType>,
    pub mid: Option<Mid>,
    pub bundle_only: bool,
    pub direction: Direction,
    pub transport: Transport,
    pub rtcp_mux: bool,
    pub rtcp_rsize: bool,
    pub allow_mixed: bool,
    pub formats: Formats,
    pub extensions: Vec<OfferedExtension>,
    pub rids: Vec<OfferedRid>,
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    /// MediaStream ids; `-`, which means none, left out.
    pub stream_ids: Vec<String>,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// [`FaultKind::Malformed`](crate::FaultKind) if it is no SDP, or broken where it matters;
    /// [`FaultKind::Unacceptable`](crate::FaultKind) past a limit.
    pub fn parse(body: &[u8]) -> Result<Self, SdpFault> {
        let description = lines::read(body)?;
        let session = &description.session;
        let default_direction = direction(session).unwrap_or(Direction::SendRecv);
        let sections = description
            .sections
            .iter()
            .map(|raw| section(raw, default_direction))
            .collect::<Result<Vec<_>, _>>()?;
        check_mids(&sections)?;
        let everywhere =
            || session.iter().chain(description.sections.iter().flat_map(|section| &section.attributes));
        Ok(Self {
            bundles: groups(session, "BUNDLE"),
            lip_sync: groups(session, "LS"),
            allow_mixed: has(session, "extmap-allow-mixed"),
            trickle: everywhere()
                .any(|attribute| attribute.is("ice-options") && names_trickle(attribute.value)),
            tls_id: everywhere().any(|attribute| attribute.is("tls-id")),
            transport: transport(session)?,
            sections,
        })
    }
}

/// Ill-formed lists (`ice2,trickle`, libdatachannel) are read for what they mean.
fn names_trickle(value: &str) -> bool {
    value.split([' ', ',']).any(|option| option.eq_ignore_ascii_case("trickle"))
}

fn has(attributes: &[Attribute<'_>], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.is(name))
}

fn direction(attributes: &[Attribute<'_>]) -> Option<Direction> {
    attributes
        .iter()
        .filter(|attribute| attribute.value.is_empty())
        .find_map(|attribute| Direction::from_name(attribute.name))
}

fn transport(attributes: &[Attribute<'_>]) -> Result<Transport, SdpFault> {
    let mut transport = Transport::default();
    attributes.iter().try_for_each(|attribute| transport.read(*attribute))?;
    Ok(transport)
}

/// `a=group:<semantics> <mid> …`. Mids that no section has (FFmpeg 8.0) are dropped where groups are used.
fn groups(session: &[Attribute<'_>], semantics: &str) -> Vec<Vec<Mid>> {
    session
        .iter()
        .filter(|attribute| attribute.is("group"))
        .filter_map(|attribute| {
            let mut words = attribute.value.split_ascii_whitespace();
            words
                .next()
                .filter(|word| word.eq_ignore_ascii_case(semantics))
                .map(|_| words.filter_map(Mid::new).take(2 * crate::SECTIONS_MAX).collect())
        })
        .take(crate::SECTIONS_MAX)
        .collect()
}

fn section(raw: &RawSection<'_>, default_direction: Direction) -> Result<Section, SdpFault> {
    let attributes = &raw.attributes;
    let kind = MediaKind::ALL.into_iter().find(|kind| kind.name() == raw.media);
    Ok(Section {
        kind,
        media: raw.media.to_owned(),
        port: raw.port,
        protocol: raw.protocol.to_owned(),
        first_format: raw.formats.first().copied().unwrap_or("0").to_owned(),
        payload_types: formats::payload_types(raw),
        mid: mid(attributes)?,
        bundle_only: has(attributes, "bundle-only"),
        direction: direction(attributes).unwrap_or(default_direction),
        transport: transport(attributes)?,
        rtcp_mux: has(attributes, "rtcp-mux") || has(attributes, "rtcp-mux-only"),
        rtcp_rsize: has(attributes, "rtcp-rsize"),
        allow_mixed: has(attributes, "extmap-allow-mixed"),
        formats: kind.map_or_else(Formats::default, |kind| formats::read(kind, raw)),
        extensions: extensions::read(attributes),
        rids: simulcast::read(attributes),
        ssrcs: ssrcs(attributes),
        stream_ids: stream_ids(attributes),
    })
}

fn mid(attributes: &[Attribute<'_>]) -> Result<Option<Mid>, SdpFault> {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.is("mid")) else { return Ok(None) };
    Mid::new(attribute.value).map(Some).ok_or_else(|| {
        SdpFault::malformed(
            "bad_mid",
            format!("a=mid:{} is no token of 1 to 16 characters.", Quoted(attribute.value)),
        )
    })
}

fn check_mids(sections: &[Section]) -> Result<(), SdpFault> {
    for (index, section) in sections.iter().enumerate() {
        let Some(mid) = section.mid else { continue };
        if sections[..index].iter().any(|earlier| earlier.mid == Some(mid)) {
            let detail = format!("Two m= sections are called a=mid:{mid}.");
            return Err(SdpFault::malformed("duplicate_mid", detail));
        }
    }
    Ok(())
}

/// Pairs kept: three encodings with their retransmissions, and room.
const SSRCS_MAX: usize = 8;

/// The announced media SSRCs, each with its RTX SSRC. FFmpeg names the latter only in the group.
fn ssrcs(attributes: &[Attribute<'_>]) -> Vec<(Ssrc, Option<Ssrc>)> {
    let mut pairs: Vec<(Ssrc, Option<Ssrc>)> = Vec::new();
    for group in attributes.iter().filter(|attribute| attribute.is("ssrc-group")) {
        let mut words = group.value.split_ascii_whitespace();
        let is_fid = words.next().is_some_and(|word| word.eq_ignore_ascii_case("FID"));
        if let (true, Some(media), Some(rtx)) = (is_fid, ssrc(words.next()), ssrc(words.next()))
            && pairs.len() < SSRCS_MAX
            && !names(&pairs, media)
            && !names(&pairs, rtx)
            && media != rtx
        {
            pairs.push((media, Some(rtx)));
        }
    }
    for line in attributes.iter().filter(|attribute| attribute.is("ssrc")) {
        if let Some(media) = ssrc(line.value.split_ascii_whitespace().next())
            && pairs.len() < SSRCS_MAX
            && !names(&pairs, media)
        {
            pairs.push((media, None));
        }
    }
    pairs
}

fn ssrc(word: Option<&str>) -> Option<Ssrc> {
    word?.parse().ok().map(Ssrc)
}

fn names(pairs: &[(Ssrc, Option<Ssrc>)], ssrc: Ssrc) -> bool {
    pairs.iter().any(|(media, rtx)| *media == ssrc || *rtx == Some(ssrc))
}

/// `a=msid:<stream> [<track>]`, else the older `a=ssrc:<n> msid:<stream> <track>` (GStreamer).
fn stream_ids(attributes: &[Attribute<'_>]) -> Vec<String> {
    const IDS_MAX: usize = 4;
    let named = attributes.iter().filter(|attribute| attribute.is("msid")).map(|attribute| attribute.value);
    let by_ssrc = attributes
        .iter()
        .filter(|attribute| attribute.is("ssrc"))
        .filter_map(|attribute| attribute.value.split_once(" msid:").map(|(_, value)| value));
    let mut ids: Vec<String> = Vec::new();
    for value in named.chain(by_ssrc) {
        let id = value.split_ascii_whitespace().next().unwrap_or("-");
        if id != "-" && ids.len() < IDS_MAX && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}
