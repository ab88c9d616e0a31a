//! What is kept of an endpoint: one row of JSON, its keys included, so that every change is one write.

use aws_lc_rs::digest::{SHA256, digest};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Write as _};
use wtn_wish::{IceServer, PolicyOverrides};

/// An endpoint made at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredEndpoint {
    /// Its name, and the row's key.
    pub name: String,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// Seconds since 1970-01-01 UTC, of the last change to it or to one of its keys.
    pub changed_at: u64,
    /// Who may publish and who may watch.
    #[serde(default)]
    pub keys: Vec<StoredKey>,
    /// ICE servers to announce; `None`: the server's.
    #[serde(default)]
    pub ice_servers: Option<Vec<IceServer>>,
    /// Where it departs from the server's policy.
    #[serde(default)]
    pub policy: PolicyOverrides,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// Names the key in the API and in logs.
    pub id: String,
    /// What it opens.
    pub allows: Allows,
    /// What people call it.
    #[serde(default)]
    pub label: Option<String>,
    /// Of the secret.
    pub digest: Digest,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// Seconds since 1970-01-01 UTC from which on it opens nothing.
    #[serde(default)]
    pub expires_at: Option<u64>,
}

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Allows {
    /// The WHIP endpoint.
    Publish,
    /// The WHEP endpoint.
    Play,
}

/// SHA-256 of a secret; 64 hexadecimal digits in JSON. `Debug` hides it, though it opens nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `secret`.
    pub fn of(secret: &str) -> Self {
        Self::of_bytes(secret.as_bytes())
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let mut value = [0; 32];
        value.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(value)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
        let bytes = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok());
        let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
        (digits.len() == 64).then_some(())?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| D::Error::custom("no digest of 64 hexadecimal digits"))
    }
}

/// A row as it lies in the file: a checksum of name and JSON, then the JSON. The database below checks its
/// own pages only after a crash; this one sees a bit that the disk has turned.
pub(crate) mod row {
    use super::{Digest, StoredEndpoint};

    const SUM_LEN: usize = 8;

    pub fn write(endpoint: &StoredEndpoint) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(endpoint)?;
        Ok([&sum(&endpoint.name, &json), &*json].concat())
    }

    pub fn read(name: &str, bytes: &[u8]) -> Result<StoredEndpoint, String> {
        let (found, json) = bytes.split_at_checked(SUM_LEN).ok_or("a row is cut off")?;
        if found != sum(name, json) {
            return Err(format!("the row of {name:?} has changed since it was written"));
        }
        let endpoint: StoredEndpoint =
            serde_json::from_slice(json).map_err(|error| format!("the row of {name:?}: {error}"))?;
        if endpoint.name == name { Ok(endpoint) } else { Err(format!("the row of {name:?} is another's")) }
    }

    fn sum(name: &str, json: &[u8]) -> [u8; SUM_LEN] {
        let Digest(digest) = Digest::of_bytes(&[name.as_bytes(), b"\0", json].concat());
        let mut sum = [0; SUM_LEN];
        sum.copy_from_slice(&digest[..SUM_LEN]);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> StoredEndpoint {
        let key = StoredKey {
            id: "k1".into(),
            allows: Allows::Play,
            label: Some("the red carpet".into()),
            digest: Digest::of("secret"),
            created_at: 1,
            expires_at: Some(2),
        };
        StoredEndpoint {
            name: "live".into(),
            created_at: 1,
            changed_at: 2,
            keys: vec![key],
            ice_servers: None,
            policy: PolicyOverrides { grace_seconds: Some(3), ..PolicyOverrides::default() },
        }
    }

    #[test]
    fn a_row_reads_back_and_holds_no_secret() {
        let bytes = row::write(&endpoint()).unwrap();
        assert_eq!(row::read("live", &bytes), Ok(endpoint()));
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn any_turned_bit_is_seen() {
        let bytes = row::write(&endpoint()).unwrap();
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert!(row::read("live", &broken).is_err(), "byte {at}");
        }
        assert!(row::read("live", &bytes[..5]).is_err());
        assert!(row::read("other", &bytes).is_err());
    }

    #[test]
    fn a_digest_is_the_published_one_and_reads_back() {
        let json = serde_json::to_string(&Digest::of("abc")).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(json, "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), Digest::of("abc"));
        for bad in ["\"\"", "\"ba\"", &json.replace('b', "g"), &json.replace("ba", "b")] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Digest::of("abc")), "Digest(..)");
    }
}
