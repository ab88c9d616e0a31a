//! Why an offer is refused, in words for the person who set the encoder up.

use std::fmt;
use wtn_media::{Codec, Format, MediaKind};

/// Whose rule was broken: it decides between 400 and 422 (RFC 9725 §4.2, §4.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not SDP, or breaks its grammar where that matters: 400.
    Malformed,
    /// It reads well, but we cannot or may not serve it: 422.
    Unacceptable,
}

/// One refusal. The texts may quote the offer, shortened and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct SdpFault {
    /// 400 or 422.
    pub kind: FaultKind,
    /// Stable, for programs: `[a-z_]+`.
    pub code: &'static str,
    /// What is wrong.
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

/// What every encoder that speaks WHIP does right by itself, as the advice where grammar is broken.
const FIX_GRAMMAR: &str = "Send the SDP offer exactly as the WebRTC stack made it, as application/sdp.";

impl SdpFault {
    pub(crate) fn malformed(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { kind: FaultKind::Malformed, code, sentence: sentence.into(), fix: FIX_GRAMMAR.into() }
    }

    pub(crate) fn unacceptable(
        code: &'static str,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { kind: FaultKind::Unacceptable, code, sentence: sentence.into(), fix: fix.into() }
    }

    /// A publisher's section with nothing in it that we forward.
    pub(crate) fn no_usable_codec(kind: MediaKind, offered: &str) -> Self {
        let ours = match kind {
            MediaKind::Audio => "Opus, G.722 or G.711",
            MediaKind::Video => "H.264, H.265, VP8, VP9 or AV1",
        };
        Self::unacceptable(
            "no_usable_codec",
            format!("The {kind} section offers no codec that this server forwards ({offered})."),
            format!("Set the {kind} encoder to {ours}."),
        )
    }

    /// A publisher's section with codecs that we forward, but not at this endpoint.
    pub(crate) fn codec_not_allowed(kind: MediaKind, allowed: &[Codec], offered: &str) -> Self {
        let names: Vec<_> =
            allowed.iter().filter(|codec| codec.kind() == kind).map(|codec| codec.name()).collect();
        let fix = match names.as_slice() {
            [] => format!("Publish without {kind}."),
            names => format!("Set the {kind} encoder to {}.", names.join(" or ")),
        };
        let allows = if names.is_empty() { format!("no {kind}") } else { names.join(", ") };
        Self::unacceptable(
            "codec_not_allowed",
            format!("This endpoint allows {allows}; the {kind} section offers {offered}."),
            fix,
        )
    }

    /// A viewer that cannot take what the stream carries.
    pub(crate) fn no_common_codec(kind: MediaKind, current: Format, offered: &str) -> Self {
        Self::unacceptable(
            "no_common_codec",
            format!("The stream's {kind} is {current}; the player takes only {offered}."),
            format!("Use a player that decodes {current}, or publish the {kind} in a codec that it offers."),
        )
    }
}

/// Text of an offer, fit to be quoted: printable ASCII, 40 characters at most.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        const LEN_MAX: usize = 40;
        for (index, character) in self.0.chars().enumerate() {
            if index == LEN_MAX {
                return f.write_str("...");
            }
            f.write_char(if character.is_ascii_graphic() || character == ' ' { character } else { '?' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_short_and_printable() {
        assert_eq!(Quoted("opus\r\n\u{7f}é").to_string(), "opus????");
        assert_eq!(Quoted(&"x".repeat(100)).to_string(), format!("{}...", "x".repeat(40)));
    }

    #[test]
    fn a_fault_displays_its_sentence() {
        let fault = SdpFault::no_usable_codec(MediaKind::Video, "theora");
        assert_eq!(fault.kind, FaultKind::Unacceptable);
        assert!(fault.to_string().contains("theora") && fault.fix.contains("H.264"));
    }
}
