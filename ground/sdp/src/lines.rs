//! SDP as lines (RFC 8866 §5): the session's attributes, then each `m=` section with its own.
//!
//! Lenient: CRLF or bare LF, a last line without either, blank lines, trailing blanks and line types that we
//! have no use for all pass. Strict only where a wrong guess would cost: `v=0` first, `X=` on every line,
//! a readable `m=` line.

use crate::fault::Quoted;
use crate::{CANDIDATES_MAX, LINES_MAX, OFFER_LEN_MAX, SECTIONS_MAX, SdpFault};

/// One `a=` line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// Up to the first colon.
    pub name: &'a str,
    /// After it, without surrounding blanks (Chromium writes `msid-semantic: WMS`); empty for a flag.
    pub value: &'a str,
}

impl<'a> Attribute<'a> {
    /// Reads what follows `a=`.
    pub fn new(text: &'a str) -> Self {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        Self { name: name.trim(), value: value.trim() }
    }

    /// Whether it has that name. Case does not matter: the standard says it does, clients differ.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// One `m=` line and the attributes below it.
#[derive(Clone, Debug)]
pub(crate) struct RawSection<'a> {
    /// `audio`, `video`, `application`, …
    pub media: &'a str,
    /// Port; 0 disables the section, or waits for the bundle.
    pub port: u16,
    /// `UDP/TLS/RTP/SAVPF` and kin.
    pub protocol: &'a str,
    /// Payload types, for RTP; at least one.
    pub formats: Vec<&'a str>,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute<'a>>,
}

/// An SDP, split and not yet understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description<'a> {
    /// The attributes above the first `m=` line.
    pub session: Vec<Attribute<'a>>,
    /// The `m=` sections, in order.
    pub sections: Vec<RawSection<'a>>,
}

/// Splits an SDP, after holding it against the limits.
pub(crate) fn read(body: &[u8]) -> Result<Description<'_>, SdpFault> {
    let text = checked_text(body)?;
    let mut lines = text.split('\n').map(str::trim_end).filter(|line| !line.is_empty());
    if lines.next() != Some("v=0") {
        return Err(SdpFault::malformed("not_sdp", "The body does not begin with the line v=0."));
    }
    let mut description = Description::default();
    for (index, line) in lines.enumerate() {
        if index >= LINES_MAX {
            return Err(too_much("too_many_lines", "lines", LINES_MAX));
        }
        let Some((kind, value)) = split_line(line) else {
            let detail = format!("This line of the SDP is no type=value pair: {}", Quoted(line));
            return Err(SdpFault::malformed("bad_line", detail));
        };
        match kind {
            'm' if description.sections.len() == SECTIONS_MAX => {
                return Err(too_much("too_many_sections", "m= sections", SECTIONS_MAX));
            }
            'm' => description.sections.push(media_line(value)?),
            'a' => match description.sections.last_mut() {
                Some(section) => section.attributes.push(Attribute::new(value)),
                None => description.session.push(Attribute::new(value)),
            },
            _ => {}
        }
    }
    count_candidates(&description)?;
    Ok(description)
}

fn checked_text(body: &[u8]) -> Result<&str, SdpFault> {
    if body.len() > OFFER_LEN_MAX {
        return Err(too_much("offer_too_large", "bytes", OFFER_LEN_MAX));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(SdpFault::malformed("empty", "The body is empty; an SDP offer was expected."));
    }
    std::str::from_utf8(body).map_err(|_| SdpFault::malformed("not_sdp", "The body is not UTF-8 text."))
}

fn split_line(line: &str) -> Option<(char, &str)> {
    let (kind, value) = line.split_once('=')?;
    let mut letters = kind.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_lowercase() => Some((letter, value)),
        _ => None,
    }
}

/// `m=<media> <port>[/<count>] <proto> <fmt> …` (RFC 8866 §5.14).
fn media_line(value: &str) -> Result<RawSection<'_>, SdpFault> {
    let bad =
        || SdpFault::malformed("bad_media_line", format!("This m= line cannot be read: {}", Quoted(value)));
    let is_token =
        |text: &str| (1..=TOKEN_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let mut fields = value.split_ascii_whitespace();
    let media = fields.next().filter(|text| is_token(text)).ok_or_else(bad)?;
    let port = fields.next().ok_or_else(bad)?;
    let port = port.split_once('/').map_or(port, |(port, _)| port).parse().map_err(|_| bad())?;
    let protocol = fields.next().filter(|text| is_token(text)).ok_or_else(bad)?;
    let formats: Vec<_> = fields.collect();
    if formats.is_empty() || !is_token(formats[0]) {
        return Err(bad());
    }
    Ok(RawSection { media, port, protocol, formats, attributes: Vec::new() })
}

/// Longest word of an `m=` line, as parts of it are repeated in the answer.
const TOKEN_LEN_MAX: usize = 64;

/// Refuses floods of candidates. Chromium repeats its list in every section: that counts once.
fn count_candidates(description: &Description<'_>) -> Result<(), SdpFault> {
    let mut seen: Vec<&str> = Vec::new();
    let sections = description.sections.iter().map(|section| &section.attributes);
    for attributes in std::iter::once(&description.session).chain(sections) {
        let seen_above = seen.len();
        for candidate in attributes.iter().filter(|attribute| attribute.is("candidate")) {
            if !seen[..seen_above].contains(&candidate.value) {
                seen.push(candidate.value);
            }
            if seen.len() > CANDIDATES_MAX {
                return Err(too_much("too_many_candidates", "candidates", CANDIDATES_MAX));
            }
        }
    }
    Ok(())
}

fn too_much(code: &'static str, what: &str, max: usize) -> SdpFault {
    SdpFault::unacceptable(
        code,
        format!("The offer has more than {max} {what}."),
        "Offer one audio and one video track, as the WebRTC stack wrote them.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKind;

    fn code(body: &[u8]) -> (FaultKind, &'static str) {
        let fault = read(body).unwrap_err();
        (fault.kind, fault.code)
    }

    #[test]
    fn sdp_02_bare_lf_blank_lines_and_a_missing_last_newline_are_read() {
        let description = read(b"v=0\no=-\n\na=x:y z \nm=audio 9/2 A 1 2\na=mid: 0").unwrap();
        assert_eq!(description.session[0].value, "y z");
        let section = &description.sections[0];
        assert_eq!((section.media, section.port, section.protocol), ("audio", 9, "A"));
        assert_eq!(section.formats, ["1", "2"]);
        assert!(section.attributes[0].is("MID") && section.attributes[0].value == "0");
    }

    #[test]
    fn what_is_no_sdp_is_malformed() {
        for body in [
            &b""[..],
            b" \r\n",
            b"hello",
            b"o=-\r\nv=0\r\n",
            b"v=0\r\nhello\r\n",
            b"v=0\r\nab=c\r\n",
            b"v=0\r\nm=audio\r\n",
            b"v=0\r\nm=audio x A 0\r\n",
            b"v=0\r\nm=audio 70000 A 0\r\n",
            b"v=0\r\nm=audio 9 A\r\n",
            b"v=0\r\na=\xff\r\n",
        ] {
            assert_eq!(code(body).0, FaultKind::Malformed, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_is_too_much_is_unacceptable() {
        let check = |body: String, expected| {
            assert_eq!(code(body.as_bytes()), (FaultKind::Unacceptable, expected));
        };
        check(format!("v=0\r\n{}", "a=x\r\n".repeat(LINES_MAX + 1)), "too_many_lines");
        check(format!("v=0\r\n{}", "m=audio 9 A 0\r\n".repeat(SECTIONS_MAX + 1)), "too_many_sections");
        check(format!("v=0\r\na={}", "x".repeat(OFFER_LEN_MAX)), "offer_too_large");
        let candidates = "a=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n".repeat(CANDIDATES_MAX + 1);
        check(format!("v=0\r\nm=audio 9 A 0\r\n{candidates}"), "too_many_candidates");
    }

    #[test]
    fn candidates_repeated_in_every_section_count_once() {
        let section: String = (0..CANDIDATES_MAX)
            .map(|port| format!("a=candidate:1 1 udp 1 1.2.3.4 {port} typ host\r\n"))
            .collect();
        let body = format!("v=0\r\nm=audio 9 A 0\r\n{section}m=video 9 A 0\r\n{section}");
        assert!(read(body.as_bytes()).is_ok());
        let one_more = format!("{body}a=candidate:1 1 udp 1 1.2.3.4 999 typ host\r\n");
        assert_eq!(code(one_more.as_bytes()).1, "too_many_candidates");
    }
}
