//! Keys as they are kept: by their SHA-256.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// A bearer token that opens something, known by its SHA-256 only: neither a copy of our memory nor of the
/// store gives it away. `Debug` hides even that.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

impl Key {
    /// The key that `token` is. The empty one opens nothing.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self::of_bytes(token.as_ref().as_bytes())
    }

    pub(super) fn of_bytes(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }

    /// The key with that SHA-256.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Its SHA-256, which is fit to be stored: of a long random token it tells nothing.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `token` is this key, in a time that does not tell how much of it is right.
    pub fn opens_for(&self, token: &str) -> bool {
        !token.is_empty() && *self == Self::new(token)
    }
}

/// In constant time.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_08_a_key_is_its_digest_and_shows_nothing() {
        let key = Key::new("abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(key.digest()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(Key::from_digest(*key.digest()), key);
        assert!(key.opens_for("abc") && !key.opens_for("abcd") && !key.opens_for("ab"));
        assert!(!Key::new("").opens_for(""), "an empty key opens nothing");
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
