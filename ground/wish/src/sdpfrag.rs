//! `application/trickle-ice-sdpfrag` (RFC 8840 §9), read leniently.
//!
//! We are ICE-lite: candidates need only be well formed, since addresses are learnt from checks. What matters
//! is whether the credentials are the session's (a trickle) or new ones (an ICE restart).

use wtn_media::IceCredentials;
use wtn_sdp::{candidate, is_ice_pwd, is_ice_ufrag};

/// Candidates of one fragment at most; the same bound as in an offer.
const CANDIDATES_MAX: usize = wtn_sdp::CANDIDATES_MAX;

/// The credentials of a fragment. Clients put them at session level or below the `m=` line; the latter wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub ufrag: Option<&'a str>,
    pub pwd: Option<&'a str>,
}

/// What a fragment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// It belongs to the ICE session that runs.
    Trickle,
    /// Both credentials are new (RFC 8445 §9).
    Restart(IceCredentials),
    /// Only one is, which means nothing.
    HalfRestart,
}

impl Fragment<'_> {
    /// What it asks of a session whose client has the credentials `current`. Those that are left out are the
    /// current ones.
    pub fn intent(&self, current: &IceCredentials) -> Intent {
        let ufrag = self.ufrag.filter(|ufrag| *ufrag != current.ufrag);
        let pwd = self.pwd.filter(|pwd| *pwd != current.pwd);
        match (ufrag, pwd) {
            (None, None) => Intent::Trickle,
            (Some(ufrag), Some(pwd)) => {
                Intent::Restart(IceCredentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
            }
            _ => Intent::HalfRestart,
        }
    }
}

/// Reads a fragment. The error is what is wrong with it.
pub(crate) fn read(body: &[u8]) -> Result<Fragment<'_>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "It is not UTF-8 text.".to_owned())?;
    let mut fragment = Fragment::default();
    let mut in_media = (false, false);
    let (mut has_media_line, mut known, mut candidates) = (false, 0, 0);
    for line in text.split('\n').map(str::trim_end).filter(|line| !line.is_empty()) {
        let (kind, value) = line
            .split_once('=')
            .filter(|(kind, _)| kind.len() == 1)
            .ok_or("A line is no type=value pair.")?;
        // Kind, port, protocol and formats of a pseudo `m=` line say nothing (RFC 8840 §4.4).
        has_media_line |= kind == "m";
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match (kind, name.as_str()) {
            ("a", "ice-ufrag") if is_ice_ufrag(value) => {
                keep(&mut fragment.ufrag, &mut in_media.0, has_media_line, value)
            }
            ("a", "ice-pwd") if is_ice_pwd(value) => {
                keep(&mut fragment.pwd, &mut in_media.1, has_media_line, value)
            }
            ("a", "ice-ufrag" | "ice-pwd") => return Err(format!("a={name} breaks its grammar.")),
            ("a", "candidate") if candidate::is_well_formed(value) => candidates += 1,
            ("a", "candidate") => return Err("An a=candidate line cannot be read.".to_owned()),
            ("a", "end-of-candidates") => {}
            _ => continue,
        }
        known += 1;
        if candidates > CANDIDATES_MAX {
            return Err(format!("It has more than {CANDIDATES_MAX} candidates."));
        }
    }
    if known == 0 {
        return Err("It has neither candidates nor ICE credentials.".to_owned());
    }
    Ok(fragment)
}

/// The first value counts, but one below an `m=` line wins over the session's.
fn keep<'a>(slot: &mut Option<&'a str>, from_media: &mut bool, in_media: bool, value: &'a str) {
    if slot.is_none() || (in_media && !*from_media) {
        *slot = Some(value);
        *from_media = in_media;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PWD: &str = "0123456789012345678901";

    #[test]
    fn sess_11_credentials_at_either_level_and_the_media_level_wins() {
        let session = format!("a=ice-ufrag:abcd\r\na=ice-pwd:{PWD}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n");
        assert_eq!(read(session.as_bytes()).unwrap(), Fragment { ufrag: Some("abcd"), pwd: Some(PWD) });
        let media = "a=ice-ufrag:abcd\nm=x\na=ice-ufrag:efgh\nm=y\na=ice-ufrag:ijkl";
        assert_eq!(read(media.as_bytes()).unwrap().ufrag, Some("efgh"));
    }

    #[test]
    fn sess_09_unknown_lines_and_names_in_capitals_are_read_past() {
        let body =
            "a=foo\r\nb=x\r\na=Candidate:1 1 udp 1 1.2.3.4 5 typ host generation 0 ufrag X foo bar\r\n";
        assert!(read(body.as_bytes()).is_ok());
    }

    #[test]
    fn sess_02_what_is_no_fragment_is_refused() {
        let many = "a=candidate:1 1 udp 1 1.2.3.4 5 typ host\n".repeat(CANDIDATES_MAX + 1);
        for body in [
            &b""[..],
            b"\xff\xfe",
            b"hello",
            b"{\"candidate\":\"candidate:1 1 udp 1 1.2.3.4 5 typ host\"}",
            b"a=candidate:garbage\r\n",
            b"a=mid:0\r\n",
            b"a=ice-ufrag:abc\r\n",
            b"a=ice-pwd:short\r\n",
            many.as_bytes(),
        ] {
            assert!(read(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
