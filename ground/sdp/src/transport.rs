//! Who the client is: ICE credentials, certificate fingerprints, DTLS role.

use crate::SdpFault;
use crate::fault::Quoted;
use crate::lines::Attribute;
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm, IceCredentials};

/// Whether `text` may be an ICE user fragment: 4 to 256 ice-chars (RFC 8839 §5.4).
pub fn is_ice_ufrag(text: &str) -> bool {
    (4..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// Whether `text` may be an ICE password: 22 to 256 ice-chars (RFC 8839 §5.4).
pub fn is_ice_pwd(text: &str) -> bool {
    (22..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

pub(crate) const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// `a=setup` of an offer (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    ActPass,
    Active,
    Passive,
    HoldConn,
}

/// The transport attributes of one level: a section's, or the session's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transport {
    pub ufrag: Option<String>,
    pub pwd: Option<String>,
    pub fingerprints: Vec<Fingerprint>,
    pub setup: Option<Setup>,
}

/// Certificates that one client may have; aiortc announces one in three hashes.
const FINGERPRINTS_MAX: usize = 8;

impl Transport {
    /// Takes `attribute` in, if it is about the transport. Where one is repeated, the first counts.
    pub fn read(&mut self, attribute: Attribute<'_>) -> Result<(), SdpFault> {
        let value = attribute.value;
        if attribute.is("ice-ufrag") {
            read_once(&mut self.ufrag, "bad_ice_ufrag", value, is_ice_ufrag)
        } else if attribute.is("ice-pwd") {
            read_once(&mut self.pwd, "bad_ice_pwd", value, is_ice_pwd)
        } else if attribute.is("fingerprint") {
            if self.fingerprints.len() < FINGERPRINTS_MAX {
                self.fingerprints.extend(fingerprint(value)?);
            }
            Ok(())
        } else if attribute.is("setup") {
            self.setup = self.setup.or(Some(setup(value)?));
            Ok(())
        } else {
            Ok(())
        }
    }
}

fn read_once(
    slot: &mut Option<String>,
    code: &'static str,
    value: &str,
    is_valid: fn(&str) -> bool,
) -> Result<(), SdpFault> {
    if !is_valid(value) {
        return Err(SdpFault::malformed(
            code,
            "An ICE user fragment has 4 to 256, a password 22 to 256 letters, digits, + or /.",
        ));
    }
    slot.get_or_insert_with(|| value.to_owned());
    Ok(())
}

fn setup(value: &str) -> Result<Setup, SdpFault> {
    [
        ("actpass", Setup::ActPass),
        ("active", Setup::Active),
        ("passive", Setup::Passive),
        ("holdconn", Setup::HoldConn),
    ]
    .into_iter()
    .find(|(name, _)| name.eq_ignore_ascii_case(value))
    .map(|(_, setup)| setup)
    .ok_or_else(|| SdpFault::malformed("bad_setup", format!("a=setup:{} is unknown.", Quoted(value))))
}

/// `<hash> <hex pairs>` (RFC 8122 §5). Hashes that are no longer trusted, or not known, are passed over.
fn fingerprint(value: &str) -> Result<Option<Fingerprint>, SdpFault> {
    let (name, digest) = value.split_once(' ').unwrap_or((value, ""));
    let (algorithm, len) = match name.to_ascii_lowercase().as_str() {
        "sha-256" => (HashAlgorithm::Sha256, 32),
        "sha-384" => (HashAlgorithm::Sha384, 48),
        "sha-512" => (HashAlgorithm::Sha512, 64),
        _ => return Ok(None),
    };
    let digest: Option<Vec<u8>> = digest.trim().split(':').map(hex_byte).collect();
    match digest {
        Some(digest) if digest.len() == len => Ok(Some(Fingerprint { algorithm, digest })),
        _ => Err(SdpFault::malformed(
            "bad_fingerprint",
            format!("The {name} fingerprint is not {len} hexadecimal bytes."),
        )),
    }
}

fn hex_byte(pair: &str) -> Option<u8> {
    (pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(pair, 16).ok())
        .flatten()
}

/// The client's end of the transport, agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub remote: IceCredentials,
    pub fingerprints: Vec<Fingerprint>,
    pub dtls_role: DtlsRole,
}

/// Settles the transport from `levels`, the most decisive first: the tagged section's, then the session's,
/// then what else there is (RFC 9143 §7.1.3, RFC 8839 §5.4).
pub(crate) fn agree(levels: &[&Transport]) -> Result<Agreed, SdpFault> {
    let first_text = |part: fn(&Transport) -> Option<&String>| levels.iter().find_map(|level| part(level));
    let ufrag = first_text(|level| level.ufrag.as_ref());
    let pwd = first_text(|level| level.pwd.as_ref());
    let (Some(ufrag), Some(pwd)) = (ufrag, pwd) else {
        return Err(SdpFault::unacceptable(
            "no_ice",
            "The offer has no a=ice-ufrag with a=ice-pwd.",
            "Use a client that speaks WebRTC: wtn reaches its peers by ICE only.",
        ));
    };
    let fingerprints = levels.iter().map(|level| &level.fingerprints).find(|list| !list.is_empty());
    let Some(fingerprints) = fingerprints else {
        return Err(SdpFault::unacceptable(
            "no_fingerprint",
            "The offer has no a=fingerprint with sha-256, sha-384 or sha-512.",
            "Use a client that encrypts by DTLS-SRTP with a certificate hashed by SHA-256.",
        ));
    };
    let setup = levels.iter().find_map(|level| level.setup);
    Ok(Agreed {
        remote: IceCredentials { ufrag: ufrag.clone(), pwd: pwd.clone() },
        fingerprints: fingerprints.clone(),
        dtls_role: dtls_role(setup)?,
    })
}

/// RFC 8842 §5.3: towards `actpass` we stay passive, so that no ClientHello goes to an unproven address and
/// so that we, the DTLS server, choose the cipher. No `a=setup` at all means `active` (RFC 4145 §4).
fn dtls_role(setup: Option<Setup>) -> Result<DtlsRole, SdpFault> {
    match setup {
        Some(Setup::ActPass | Setup::Active) | None => Ok(DtlsRole::Server),
        Some(Setup::Passive) => Ok(DtlsRole::Client),
        Some(Setup::HoldConn) => Err(SdpFault::unacceptable(
            "holdconn",
            "The offer has a=setup:holdconn: nobody would start DTLS.",
            "Offer a=setup:actpass.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Transport, SdpFault> {
        let mut transport = Transport::default();
        for line in lines {
            transport.read(Attribute::new(line))?;
        }
        Ok(transport)
    }

    #[test]
    fn sdp_12_several_hashes_in_any_case_and_unknown_ones_are_read() {
        let sha256 = format!("fingerprint:SHA-256 {}", ["aB"; 32].join(":"));
        let sha384 = format!("fingerprint:sha-384 {}", ["0f"; 48].join(":"));
        let transport = read(&["fingerprint:sha-1 00", &sha256, &sha384, "fingerprint:md5 x"]).unwrap();
        let found: Vec<_> = transport.fingerprints.iter().map(|f| (f.algorithm, f.digest[0])).collect();
        assert_eq!(found, [(HashAlgorithm::Sha256, 0xab), (HashAlgorithm::Sha384, 0x0f)]);
    }

    #[test]
    fn sdp_12_a_broken_digest_is_malformed() {
        for digest in ["", "AB:CD", "zz", &["+1"; 32].join(":"), &["AB"; 33].join(":")] {
            let fault = read(&[&format!("fingerprint:sha-256 {digest}")]).unwrap_err();
            assert_eq!(fault.code, "bad_fingerprint", "{digest}");
        }
    }

    #[test]
    fn sess_22_credentials_keep_to_the_grammar() {
        for (line, good) in [
            ("ice-ufrag:abcd".to_owned(), true),
            (format!("ice-ufrag:{}", "a".repeat(256)), true),
            ("ice-ufrag:abc".to_owned(), false),
            (format!("ice-ufrag:{}", "a".repeat(257)), false),
            (format!("ice-pwd:{}", "+/".repeat(11)), true),
            (format!("ice-pwd:{}", "a".repeat(21)), false),
            ("ice-ufrag:ab-d".to_owned(), false),
        ] {
            assert_eq!(read(&[&line]).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn sdp_03_the_first_level_that_has_a_value_gives_it() {
        let digest = ["AB"; 32].join(":");
        let media = read(&["ice-ufrag:media", "setup:passive"]).unwrap();
        let session = read(&[
            "ice-ufrag:session",
            "ice-pwd:0123456789012345678901",
            "setup:actpass",
            &format!("fingerprint:sha-256 {digest}"),
        ])
        .unwrap();
        let agreed = agree(&[&media, &session]).unwrap();
        assert_eq!(agreed.remote.ufrag, "media");
        assert_eq!(agreed.dtls_role, DtlsRole::Client);
        assert_eq!(agreed.fingerprints.len(), 1);
        assert_eq!(agree(&[&media]).unwrap_err().code, "no_ice");
    }

    #[test]
    fn sdp_10_roles_by_setup() {
        assert_eq!(dtls_role(Some(Setup::ActPass)), Ok(DtlsRole::Server));
        assert_eq!(dtls_role(Some(Setup::Active)), Ok(DtlsRole::Server));
        assert_eq!(dtls_role(None), Ok(DtlsRole::Server));
        assert_eq!(dtls_role(Some(Setup::Passive)), Ok(DtlsRole::Client));
        assert!(dtls_role(Some(Setup::HoldConn)).is_err());
        assert_eq!(read(&["setup:sideways"]).unwrap_err().code, "bad_setup");
    }
}
