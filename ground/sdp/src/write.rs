//! Writes an answer: the text that says what [`crate::plan`] decided.

use crate::extensions::Direction;
use crate::formats::{Flow, OfferedFormat};
use crate::offer::{Offer, Section};
use crate::plan::{Accepted, Choice, Side};
use crate::{Local, Terms};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm, MediaKind, Mid};

/// The lines so far.
pub(crate) struct Sdp(pub String);

impl Sdp {
    /// One line. Writing to a string cannot fail.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(line);
        self.0.push_str("\r\n");
    }
}

macro_rules! line {
    ($sdp:expr, $($text:tt)*) => { $sdp.line(format_args!($($text)*)) };
}
pub(crate) use line;

/// What a description of ours is, as far as that changes its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer, by which one end of DTLS is settled.
    Answer(DtlsRole),
    /// An initial offer (RFC 9429 §5.2.1): one section alone has the transport, the others wait for the bundle.
    Offer,
}

/// Describes our end: the answer to `offer`, or an offer of our own to one who should have made that one.
pub(crate) fn describe(offer: &Offer, local: &Local, side: Side<'_>, choice: &Choice, kind: Kind) -> String {
    let candidates = candidates(&local.candidates);
    let msid = msid(&local.msid);
    let writer = Writer { offer, local, side, choice, kind, candidates, msid };
    let mut sdp = Sdp(String::with_capacity(4096));
    writer.session(&mut sdp);
    for (index, section) in offer.sections.iter().enumerate() {
        match choice.accepted.iter().find(|accepted| accepted.index == index) {
            Some(accepted) => writer.section(&mut sdp, section, accepted),
            None => rejected(&mut sdp, section),
        }
    }
    sdp.0
}

struct Writer<'a> {
    offer: &'a Offer,
    local: &'a Local,
    side: Side<'a>,
    choice: &'a Choice,
    kind: Kind,
    candidates: Vec<SocketAddr>,
    msid: String,
}

impl Writer<'_> {
    fn session(&self, sdp: &mut Sdp) {
        line!(sdp, "v=0");
        // 63 bits: libwebrtc reads a signed number (RFC 9429 §5.2.1).
        line!(sdp, "o=- {} 1 IN IP4 0.0.0.0", self.local.sdp_session >> 1);
        line!(sdp, "s=-");
        line!(sdp, "t=0 0");
        if !self.choice.bundle.is_empty() {
            line!(sdp, "a=group:BUNDLE {}", spaced(&self.choice.bundle));
        }
        for group in &self.offer.lip_sync {
            let kept: Vec<Mid> =
                group.iter().copied().filter(|mid| self.choice.bundle.contains(mid)).collect();
            if !kept.is_empty() {
                line!(sdp, "a=group:LS {}", spaced(&kept));
            }
        }
        ice_abilities(sdp, self.offer.trickle);
        if self.offer.allow_mixed {
            line!(sdp, "a=extmap-allow-mixed");
        }
        if self.side.flow() == Flow::Outbound {
            line!(sdp, "a=msid-semantic:WMS *");
        }
    }

    fn section(&self, sdp: &mut Sdp, section: &Section, accepted: &Accepted) {
        let is_tagged = accepted.index == self.choice.tagged().index;
        if self.kind == Kind::Offer && !is_tagged {
            // RFC 9143 §7.2.1: what has no address of its own in an initial offer.
            line!(sdp, "m={} 0 {} {}", section.media, section.protocol, self.payload_types(accepted));
            line!(sdp, "c=IN IP4 0.0.0.0");
            line!(sdp, "a=bundle-only");
            return self.media(sdp, section, accepted);
        }
        // RFC 9429 §5.3.1: the default candidate, the same in every section of the bundle.
        let default = self.candidates.first();
        let port = default.map_or(9, SocketAddr::port);
        line!(sdp, "m={} {port} {} {}", section.media, section.protocol, self.payload_types(accepted));
        match default.map(SocketAddr::ip) {
            Some(IpAddr::V6(ip)) => line!(sdp, "c=IN IP6 {ip}"),
            Some(IpAddr::V4(ip)) => line!(sdp, "c=IN IP4 {ip}"),
            None => line!(sdp, "c=IN IP4 0.0.0.0"),
        }
        self.bandwidth(sdp, accepted);
        if is_tagged {
            candidate_lines(sdp, &self.candidates, self.local.tcp);
        }
        self.transport(sdp);
        self.media(sdp, section, accepted);
    }

    /// What of a section is not about its transport.
    fn media(&self, sdp: &mut Sdp, section: &Section, accepted: &Accepted) {
        if let Some(mid) = section.mid {
            line!(sdp, "a=mid:{mid}");
        }
        let direction = match self.side.flow() {
            Flow::Inbound => Direction::RecvOnly,
            Flow::Outbound => Direction::SendOnly,
        };
        line!(sdp, "a={}", direction.name());
        line!(sdp, "a=rtcp-mux");
        line!(sdp, "a=rtcp-mux-only");
        if section.rtcp_rsize {
            line!(sdp, "a=rtcp-rsize");
        }
        if section.allow_mixed {
            line!(sdp, "a=extmap-allow-mixed");
        }
        extensions(sdp, accepted);
        self.formats(sdp, accepted);
        simulcast(sdp, accepted);
        if self.side.flow() == Flow::Outbound {
            self.sources(sdp, accepted);
        }
    }

    /// Browsers obey it at once, long before any estimate. In the one spelling that all of them know (RFC 3890
    /// §6.2), and only in that: str0m, and so our own publisher, refuses a section with two such lines.
    fn bandwidth(&self, sdp: &mut Sdp, accepted: &Accepted) {
        if let Side::Publisher(Terms { max_bitrate_kbps: Some(kbps), .. }) = self.side
            && accepted.track.kind == MediaKind::Video
        {
            line!(sdp, "b=TIAS:{}", u64::from(*kbps) * 1000);
        }
    }

    /// Repeated in every section, for clients that look only there.
    fn transport(&self, sdp: &mut Sdp) {
        line!(sdp, "a=ice-ufrag:{}", self.local.ice.ufrag);
        line!(sdp, "a=ice-pwd:{}", self.local.ice.pwd);
        line!(sdp, "a=fingerprint:{}", fingerprint(&self.local.fingerprint));
        let setup = match self.kind {
            Kind::Answer(DtlsRole::Server) => "passive",
            Kind::Answer(DtlsRole::Client) => "active",
            Kind::Offer => "actpass",
        };
        line!(sdp, "a=setup:{setup}");
        if self.offer.tls_id {
            line!(sdp, "a=tls-id:{}", self.local.tls_id);
        }
    }

    /// Inbound in the offer's own order; outbound the preferred first, each with its retransmissions.
    fn payload_types(&self, accepted: &Accepted) -> String {
        let chosen: Vec<_> = accepted
            .formats
            .iter()
            .flat_map(|format| [Some(format.payload_type), format.rtx])
            .flatten()
            .collect();
        let offered = &self.offer.sections[accepted.index].payload_types;
        match self.side.flow() {
            Flow::Outbound => spaced(&chosen),
            Flow::Inbound => {
                spaced(&offered.iter().filter(|pt| chosen.contains(pt)).copied().collect::<Vec<_>>())
            }
        }
    }

    fn formats(&self, sdp: &mut Sdp, accepted: &Accepted) {
        for format in &accepted.formats {
            let pt = format.payload_type;
            line!(sdp, "a=rtpmap:{pt} {}", format.rtpmap());
            let parameters = format.answer_parameters(self.side.flow());
            if !parameters.is_empty() {
                line!(sdp, "a=fmtp:{pt} {parameters}");
            }
            feedback(sdp, format);
            if let Some(rtx) = format.rtx {
                line!(sdp, "a=rtpmap:{rtx} rtx/{}", format.format.codec.clock_rate());
                line!(sdp, "a=fmtp:{rtx} apt={pt}");
            }
        }
    }

    /// What we will send: RFC 8830 for the MediaStream, RFC 5576 for the SSRCs.
    fn sources(&self, sdp: &mut Sdp, accepted: &Accepted) {
        line!(sdp, "a=msid:{} {}", self.msid, accepted.track.kind);
        for (media, rtx) in &accepted.track.ssrcs {
            let cname = &self.local.cname;
            if let Some(rtx) = rtx {
                line!(sdp, "a=ssrc-group:FID {} {}", media.0, rtx.0);
            }
            line!(sdp, "a=ssrc:{} cname:{cname}", media.0);
            if let Some(rtx) = rtx {
                line!(sdp, "a=ssrc:{} cname:{cname}", rtx.0);
            }
        }
    }
}

/// RFC 8839 §5.3: session level only; libdatachannel looks nowhere else.
pub(crate) fn ice_abilities(sdp: &mut Sdp, trickle: bool) {
    line!(sdp, "a=ice-lite");
    line!(sdp, "a=ice-options:ice2{}", if trickle { " trickle" } else { "" });
}

/// UDP first, in its place and by its priority: it is what media should go by.
pub(crate) fn candidate_lines(sdp: &mut Sdp, candidates: &[SocketAddr], tcp: bool) {
    for (address, place) in candidates.iter().zip(0u32..) {
        // RFC 8445 §5.1.2.1: type preference 126 (host), a local preference of its own, component 1.
        let priority = (126 << 24) + ((65_535 - place) << 8) + 255;
        line!(sdp, "a=candidate:{} 1 udp {priority} {} {} typ host", place + 1, address.ip(), address.port());
    }
    let by_tcp = candidates.iter().take(if tcp { Local::TCP_CANDIDATES_MAX } else { 0 });
    for (address, place) in by_tcp.zip(0u32..) {
        // RFC 6544 §4.2: a lower type preference than UDP's, 90 as libwebrtc has it, and within the local preference
        // the direction's: 4 of 7 for passive.
        let priority = (90 << 24) + (((4 << 13) + 8191 - place) << 8) + 255;
        let (foundation, ip, port) = (101 + place, address.ip(), address.port());
        line!(sdp, "a=candidate:{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive");
    }
    line!(sdp, "a=end-of-candidates");
}

/// RFC 9429 §5.3.1: port 0, out of the bundle, but in its place and under its name.
fn rejected(sdp: &mut Sdp, section: &Section) {
    line!(sdp, "m={} 0 {} {}", section.media, section.protocol, section.first_format);
    line!(sdp, "c=IN IP4 0.0.0.0");
    if let Some(mid) = section.mid {
        line!(sdp, "a=mid:{mid}");
    }
    line!(sdp, "a=inactive");
}

fn extensions(sdp: &mut Sdp, accepted: &Accepted) {
    for extension in &accepted.extensions {
        let uri = extension.kind.uri();
        match extension.direction {
            Some(direction) => line!(sdp, "a=extmap:{}/{} {uri}", extension.id, direction.name()),
            None => line!(sdp, "a=extmap:{} {uri}", extension.id),
        }
    }
}

/// RFC 4585 §4.2: a subset of what was offered for this payload type.
fn feedback(sdp: &mut Sdp, format: &OfferedFormat) {
    let offered = format.feedback;
    let each = [
        (offered.nack, "nack"),
        (offered.pli, "nack pli"),
        (offered.fir, "ccm fir"),
        (offered.transport_cc, "transport-cc"),
        (offered.remb, "goog-remb"),
        (offered.rrtr, "rrtr"),
    ];
    for (wanted, name) in each {
        if wanted {
            line!(sdp, "a=rtcp-fb:{} {name}", format.payload_type);
        }
    }
}

/// RFC 8853 §5.3.2: every rid back, in one line of the offer's order. OBS stops otherwise.
fn simulcast(sdp: &mut Sdp, accepted: &Accepted) {
    for (rid, restrictions) in &accepted.rids {
        let space = if restrictions.is_empty() { "" } else { " " };
        line!(sdp, "a=rid:{rid} recv{space}{restrictions}");
    }
    if !accepted.rids.is_empty() {
        let list: Vec<_> = accepted.rids.iter().map(|(rid, _)| rid.as_str()).collect();
        line!(sdp, "a=simulcast:recv {}", list.join(";"));
    }
}

/// Usable addresses, each once.
pub(crate) fn candidates(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut usable: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let ip = address.ip();
        if !ip.is_unspecified() && !ip.is_multicast() && address.port() != 0 && !usable.contains(&address) {
            usable.push(address);
        }
    }
    usable.truncate(Local::CANDIDATES_MAX);
    usable
}

/// RFC 8122 §5: upper-case pairs.
pub(crate) fn fingerprint(fingerprint: &Fingerprint) -> String {
    let name = match fingerprint.algorithm {
        HashAlgorithm::Sha256 => "sha-256",
        HashAlgorithm::Sha384 => "sha-384",
        HashAlgorithm::Sha512 => "sha-512",
    };
    let pairs: Vec<String> = fingerprint.digest.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{name} {}", pairs.join(":"))
}

/// RFC 8830 §2: 1 to 64 token characters; `-` alone would mean "no stream".
pub(crate) fn msid(text: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || "-._~".contains(character) { character } else { '_' }
    };
    let id: String = text.chars().map(plain).take(64).collect();
    if id.is_empty() || id == "-" { "wtn".to_owned() } else { id }
}

pub(crate) fn spaced<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
