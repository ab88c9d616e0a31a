//! `a=rtpmap`, `a=fmtp` and `a=rtcp-fb` of one section → the formats we can forward, and the `a=fmtp` by
//! which we take each.

use crate::lines::RawSection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wtn_media::plan::Feedback;
use wtn_media::{Codec, Format, MediaKind, PayloadType, Profile};

/// One payload type that we could carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedFormat {
    pub payload_type: PayloadType,
    pub format: Format,
    /// The retransmission payload type whose `apt` this is (RFC 4588 §8.6).
    pub rtx: Option<PayloadType>,
    /// What was offered of the feedback that we use.
    pub feedback: Feedback,
    /// The parameters as offered.
    parameters: String,
}

/// A section's formats: those that we could carry in the offer's order, and a list of all for messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Formats {
    pub usable: Vec<OfferedFormat>,
    /// Names of what was offered, for people.
    pub offered: String,
}

/// What the lines of a section say about one payload type.
#[derive(Default)]
struct Described<'a> {
    rtpmap: Option<&'a str>,
    fmtp: Option<&'a str>,
    feedback: Feedback,
}

/// The payload types of the `m=` line, each once, without those that RTCP needs for itself (RFC 5761 §4).
pub(crate) fn payload_types(section: &RawSection<'_>) -> Vec<PayloadType> {
    let mut order = Vec::new();
    for payload_type in section.formats.iter().filter_map(|text| payload_type(text)) {
        if !payload_type.collides_with_rtcp() && !order.contains(&payload_type) {
            order.push(payload_type);
        }
    }
    order
}

/// Reads the formats of a section. Lines about payload types that the `m=` line does not have are passed
/// over: Firefox writes some.
pub(crate) fn read(kind: MediaKind, section: &RawSection<'_>) -> Formats {
    let order = payload_types(section);
    let mut described: BTreeMap<PayloadType, Described<'_>> =
        order.iter().map(|payload_type| (*payload_type, Described::default())).collect();
    let mut for_all = Feedback::default();
    for attribute in &section.attributes {
        let (target, value) = attribute.value.split_once(' ').unwrap_or((attribute.value, ""));
        if attribute.is("rtcp-fb") && target == "*" {
            add_feedback(&mut for_all, value);
            continue;
        }
        let Some(entry) = payload_type(target).and_then(|pt| described.get_mut(&pt)) else { continue };
        if attribute.is("rtpmap") {
            entry.rtpmap.get_or_insert(value.trim());
        } else if attribute.is("fmtp") {
            entry.fmtp.get_or_insert(value.trim());
        } else if attribute.is("rtcp-fb") {
            add_feedback(&mut entry.feedback, value);
        }
    }
    Formats { usable: usable(kind, &order, &described, for_all), offered: names(&order, &described) }
}

fn payload_type(text: &str) -> Option<PayloadType> {
    // No sign, which `parse` would take.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .and_then(PayloadType::new)
}

fn add_feedback(feedback: &mut Feedback, value: &str) {
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("nack"), None) => feedback.nack = true,
        (Some("nack"), Some("pli")) => feedback.pli = true,
        (Some("ccm"), Some("fir")) => feedback.fir = true,
        (Some("transport-cc"), None) => feedback.transport_cc = true,
        (Some("goog-remb"), None) => feedback.remb = true,
        (Some("rrtr"), None) => feedback.rrtr = true,
        _ => {}
    }
}

fn usable(
    kind: MediaKind,
    order: &[PayloadType],
    described: &BTreeMap<PayloadType, Described<'_>>,
    for_all: Feedback,
) -> Vec<OfferedFormat> {
    let mut formats: Vec<OfferedFormat> = Vec::new();
    for &payload_type in order {
        let Some(entry) = described.get(&payload_type) else { continue };
        let Some(codec) = codec_of(payload_type, entry.rtpmap).filter(|codec| codec.kind() == kind) else {
            continue;
        };
        let parameters = entry.fmtp.unwrap_or_default().to_owned();
        formats.push(OfferedFormat {
            payload_type,
            format: Format { codec, profile: profile(codec, &parameters) },
            rtx: None,
            feedback: Feedback {
                nack: entry.feedback.nack || for_all.nack,
                pli: entry.feedback.pli || for_all.pli,
                fir: entry.feedback.fir || for_all.fir,
                transport_cc: entry.feedback.transport_cc || for_all.transport_cc,
                remb: entry.feedback.remb || for_all.remb,
                rrtr: entry.feedback.rrtr || for_all.rrtr,
            },
            parameters,
        });
    }
    for &rtx in order {
        let Some(apt) = described.get(&rtx).and_then(retransmits) else { continue };
        if let Some(primary) = formats.iter_mut().find(|format| format.payload_type == apt) {
            primary.rtx.get_or_insert(rtx);
        }
    }
    formats
}

/// The payload type whose retransmissions this one carries.
fn retransmits(described: &Described<'_>) -> Option<PayloadType> {
    let (name, _) = described.rtpmap?.split_once('/')?;
    if !name.eq_ignore_ascii_case("rtx") {
        return None;
    }
    payload_type(parameter(described.fmtp?, "apt")?)
}

/// `<name>/<clock rate>[/<channels>]`. Opus may lack its channels (GStreamer), and must not have others than
/// two (RFC 7587 §7). Without a line the static payload types hold (RFC 3551 §6).
fn codec_of(payload_type: PayloadType, rtpmap: Option<&str>) -> Option<Codec> {
    let Some(rtpmap) = rtpmap else {
        return match payload_type.value() {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            9 => Some(Codec::G722),
            _ => None,
        };
    };
    let mut fields = rtpmap.split('/');
    let codec = Codec::from_name(fields.next()?)?;
    let clock_rate: u32 = fields.next()?.trim().parse().ok()?;
    let channels = fields.next().map(str::trim);
    let channels_ok = match codec {
        Codec::Opus => matches!(channels, None | Some("2")),
        _ => matches!(channels, None | Some("1" | "")),
    };
    (clock_rate == codec.clock_rate() && channels_ok).then_some(codec)
}

/// One parameter of `a=fmtp`; names compare without regard to case.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    each_parameter(parameters).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn each_parameter(parameters: &str) -> impl Iterator<Item = (&str, &str)> {
    parameters.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim()))
    })
}

fn profile(codec: Codec, parameters: &str) -> Profile {
    let number = |name| parameter(parameters, name).and_then(|value| value.parse().ok());
    match codec {
        Codec::H264 => h264_profile(parameters),
        // Absent: 0 (RFC 9628 §6), 0 (AV1 §7.2.1), 1 (RFC 7798 §7.1).
        Codec::Vp9 => Profile::Vp9(number("profile-id").unwrap_or(0)),
        Codec::Av1 => Profile::Av1(number("profile").unwrap_or(0)),
        Codec::H265 => Profile::H265(number("profile-id").unwrap_or(1)),
        _ => Profile::Default,
    }
}

/// By RFC 6184 §8.1 no `packetization-mode` is mode 0 and no `profile-level-id` plain baseline. GStreamer
/// leaves either out and sends and takes mode 1 and constrained baseline all the same: so that is what the
/// absent ones mean here. Mode 0 must be said.
fn h264_profile(parameters: &str) -> Profile {
    let packetization_mode = match parameter(parameters, "packetization-mode") {
        Some("0") => 0,
        _ => 1,
    };
    let level_id = parameter(parameters, "profile-level-id").and_then(six_digits).unwrap_or("42e01f");
    let byte = |at: usize| level_id.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    Profile::H264 {
        profile: byte(0).unwrap_or(0x42),
        constraints: byte(2).unwrap_or(0xe0),
        packetization_mode,
    }
}

/// FFmpeg 8.0.0 wrote its internal profile number, which has a ninth bit for "constrained": `242e01f`. The
/// last six digits are what it meant.
fn six_digits(value: &str) -> Option<&str> {
    let value = if value.len() == 7 { value.get(1..)? } else { value };
    (value.len() == 6 && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(value)
}

/// Which way the media of an answered section flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// From the client to us.
    Inbound,
    /// From us to the client.
    Outbound,
}

impl OfferedFormat {
    /// What follows `a=rtpmap:<pt> ` in the answer.
    pub fn rtpmap(&self) -> String {
        let codec = self.format.codec;
        let channels = if codec == Codec::Opus { "/2" } else { "" };
        format!("{}/{}{channels}", codec.name(), codec.clock_rate())
    }

    /// What follows `a=fmtp:<pt> ` in the answer; empty for no such line. Only what we understand is
    /// repeated, and never changed but for the broken level of FFmpeg 8.0.0.
    pub fn answer_parameters(&self, flow: Flow) -> String {
        match self.format.codec {
            Codec::Opus => self.opus_parameters(flow),
            Codec::H264 => self.echo(&["level-asymmetry-allowed", "packetization-mode", "profile-level-id"]),
            Codec::Vp9 => self.echo(&["profile-id"]),
            Codec::Av1 => self.echo(&["level-idx", "profile", "tier"]),
            Codec::H265 => self.echo(&[
                "profile-space",
                "profile-id",
                "tier-flag",
                "level-id",
                "profile-compatibility-indicator",
                "interop-constraints",
                "tx-mode",
            ]),
            Codec::Vp8 | Codec::Pcmu | Codec::Pcma | Codec::G722 => String::new(),
        }
    }

    /// RFC 7587 §7.1: `stereo` and `useinbandfec` are what a receiver likes; without them browsers send mono
    /// and no FEC. To a viewer, `sprop-stereo` says what we may send.
    fn opus_parameters(&self, flow: Flow) -> String {
        let is_on = |name| parameter(&self.parameters, name) == Some("1");
        let stereo = is_on("stereo") || is_on("sprop-stereo");
        let mut text = self.echo(&["minptime"]);
        let mut add = |parameter: &str| {
            let separator = if text.is_empty() { "" } else { ";" };
            let _ = write!(text, "{separator}{parameter}");
        };
        if stereo {
            add("stereo=1");
        }
        if stereo && flow == Flow::Outbound {
            add("sprop-stereo=1");
        }
        if is_on("useinbandfec") {
            add("useinbandfec=1");
        }
        text
    }

    /// The parameters among `names`, in the offer's order, each once, if short and plain.
    fn echo(&self, names: &[&str]) -> String {
        const VALUE_LEN_MAX: usize = 16;
        let mut text = String::new();
        let mut left: Vec<&str> = names.to_vec();
        for (name, value) in each_parameter(&self.parameters) {
            let Some(at) = left.iter().position(|known| known.eq_ignore_ascii_case(name)) else { continue };
            let value =
                if left[at] == "profile-level-id" { six_digits(value).unwrap_or(value) } else { value };
            let is_plain = (1..=VALUE_LEN_MAX).contains(&value.len())
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_plain {
                let separator = if text.is_empty() { "" } else { ";" };
                let _ = write!(text, "{separator}{}={value}", left.swap_remove(at));
            }
        }
        text
    }
}

/// Codec names of a section, each once, for messages.
fn names(order: &[PayloadType], described: &BTreeMap<PayloadType, Described<'_>>) -> String {
    const NAMES_MAX: usize = 8;
    let mut names: Vec<String> = Vec::new();
    for payload_type in order {
        let rtpmap = described.get(payload_type).and_then(|entry| entry.rtpmap);
        let name = match (rtpmap, codec_of(*payload_type, rtpmap)) {
            (_, Some(codec)) => codec.name().to_owned(),
            (Some(rtpmap), None) => {
                crate::fault::Quoted(rtpmap.split('/').next().unwrap_or_default()).to_string()
            }
            (None, None) => format!("payload type {payload_type}"),
        };
        let is_helper =
            ["rtx", "red", "ulpfec", "flexfec-03", "CN", "telephone-event"].contains(&name.as_str());
        if !is_helper && !names.contains(&name) && names.len() < NAMES_MAX {
            names.push(name);
        }
    }
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
