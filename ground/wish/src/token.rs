//! Random names: session URLs, entity tags, ICE credentials.

use crate::Random;
use std::fmt::Write as _;
use wtn_media::IceCredentials;

/// `N` random bytes as `2 * N` lower-case hexadecimal digits: letters and digits only, which is what every
/// grammar these go into has in common (ice-chars, tokens, URLs, tags that survive `JSON.parse`).
pub(crate) fn hex<const N: usize>(random: &mut dyn Random) -> String {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    to_hex(&bytes)
}

/// Fresh ICE credentials of ours: 64 and 128 random bits (RFC 8445 §5.3 wants 24 and 128).
pub(crate) fn ice_credentials(random: &mut dyn Random) -> IceCredentials {
    IceCredentials { ufrag: hex::<8>(random), pwd: hex::<16>(random) }
}

/// The digits of `bytes`.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The secret of a session URL: 128 random bits (RFC 9725 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    /// A new one.
    pub fn new(random: &mut dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// From the last segment of a session URL.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }

    /// As the last segment of the URL.
    pub fn text(self) -> String {
        to_hex(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_and_nothing_else_does() {
        let mut counting = |bytes: &mut [u8]| (0u8..).zip(bytes).for_each(|(n, byte)| *byte = n);
        let secret = Secret::new(&mut counting);
        assert_eq!(secret.text(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(Secret::from_text(&secret.text()), Some(secret));
        for bad in [
            "",
            "00",
            "+0102030405060708090a0b0c0d0e0f0",
            "000102030405060708090A0B0C0D0E0F",
            &"g".repeat(32),
        ] {
            assert_eq!(Secret::from_text(bad), None, "{bad}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
