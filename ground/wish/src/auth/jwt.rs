//! JSON Web Tokens (RFC 7519): who signed them, until when they are good.
//!
//! The key decides which algorithms it may have signed with, never the token (RFC 8725 §3.1): a token that says
//! `none`, or `HS256` where the key is an RSA key, is a bad one. Times are held against the clock that the
//! request brings.

use super::Key;
use super::claims::{Claims, Rights};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use std::fmt;
use std::str::FromStr as _;

/// Longer tokens are refused unread; real ones have some hundred bytes, those of Keycloak 2 KiB.
const TOKEN_LEN_MAX: usize = 8 * 1024;
/// How far the issuer's clock may be from ours.
pub(crate) const LEEWAY_S: u64 = 30;
/// Keys taken of a set; providers publish two or three.
const KEYS_MAX: usize = 32;
/// Keys tried for one token: each costs up to a tenth of a millisecond.
const TRIES_MAX: usize = 4;
/// A shorter secret can be guessed from one token (RFC 7518 §3.2).
pub const SECRET_LEN_MIN: usize = 32;

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Which tokens are believed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JwtRules {
    /// The keys of the configuration.
    pub keys: Vec<JwtKey>,
    /// Whether there is a URL of more keys, which come by [`Desk::set_key_set`](crate::Desk::set_key_set).
    pub has_key_set: bool,
    /// `aud` must name one of them; empty: it is not looked at.
    pub audiences: Vec<String>,
    /// `iss` must be one of them; empty: it is not looked at.
    pub issuers: Vec<String>,
    /// For which doors a token is asked for.
    pub guards: super::Guards,
}

/// One key that signs tokens. `Debug` hides it.
#[derive(Clone)]
pub struct JwtKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
    digest: Key,
}

/// The keys behind a JWKS URL (RFC 7517).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySet(Vec<JwtKey>);

/// What a good token allows.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub rights: Rights,
    pub expires_at: u64,
    /// Whom it was issued to: its issuer and subject as one digest, where it names a subject.
    pub subject: Option<Key>,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtFault {
    Unreadable,
    UnknownKey,
    WrongAlgorithm,
    BadSignature,
    NoExpiry,
    Expired,
    NotYet,
    WrongAudience,
    WrongIssuer,
}

impl JwtKey {
    /// A secret that both sides know, for HS256, HS384 and HS512; at least [`SECRET_LEN_MIN`] bytes.
    pub fn from_secret(secret: &str) -> Option<Self> {
        (secret.len() >= SECRET_LEN_MIN)
            .then(|| Self::new(None, HMAC, DecodingKey::from_secret(secret.as_bytes()), secret.as_bytes()))
    }

    /// A public key in PEM (`BEGIN PUBLIC KEY`): RSA, P-256 or Ed25519.
    pub fn from_pem(pem: &str) -> Option<Self> {
        if pem.contains("PRIVATE KEY") {
            return None;
        }
        let bytes = pem.as_bytes();
        let rsa = DecodingKey::from_rsa_pem(bytes).map(|key| (RSA, key));
        let ec = || DecodingKey::from_ec_pem(bytes).map(|key| (&[Algorithm::ES256][..], key));
        let ed = || DecodingKey::from_ed_pem(bytes).map(|key| (&[Algorithm::EdDSA][..], key));
        let (algorithms, key) = rsa.or_else(|_| ec()).or_else(|_| ed()).ok()?;
        Some(Self::new(None, algorithms, key, bytes))
    }

    fn new(id: Option<String>, algorithms: &[Algorithm], key: DecodingKey, material: &[u8]) -> Self {
        let digest = Key::of_bytes(material);
        Self { id, algorithms: algorithms.to_vec(), key, digest }
    }

    /// `None` for keys that sign nothing here: of other kinds, for encryption, or secret ones, which no public
    /// URL should show.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let families: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                &[Algorithm::ES256]
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
                &[Algorithm::ES384]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        if jwk.common.public_key_use.as_ref().is_some_and(|each| *each != PublicKeyUse::Signature) {
            return None;
        }
        let named = jwk.common.key_algorithm.map(|name: KeyAlgorithm| Algorithm::from_str(&name.to_string()));
        let algorithms: Vec<_> = match named {
            Some(Ok(one)) => families.iter().copied().filter(|each| *each == one).collect(),
            Some(Err(_)) => return None,
            None => families.to_vec(),
        };
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
        let material = serde_json::to_vec(jwk).ok()?;
        Some(Self::new(jwk.common.key_id.clone(), &algorithms, key, &material))
    }
}

impl KeySet {
    /// Reads a JWKS document. Keys that are of no use here are left out.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|error| format!("it is no JWKS document: {error}"))?;
        let jwk = |value| serde_json::from_value::<Jwk>(value).ok().as_ref().and_then(JwtKey::from_jwk);
        let keys: Vec<_> = document.keys.into_iter().filter_map(jwk).take(KEYS_MAX).collect();
        match keys.is_empty() {
            true => Err("it has no public key for RS, PS, ES256, ES384 or EdDSA signatures".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    /// How many keys are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never, unless by default.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl JwtRules {
    /// Whether `token` has the shape of a JWT. Static keys of that shape are possible, and asked first.
    pub(crate) fn has_shape(token: &str) -> bool {
        token.len() <= TOKEN_LEN_MAX
            && token.split('.').count() == 3
            && token.starts_with("ey")
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    }

    /// Whether a key that we do not have would be needed to judge it.
    pub(crate) fn wants_keys(&self, set: Option<&KeySet>, token: &str) -> bool {
        self.has_key_set
            && Self::has_shape(token)
            && jsonwebtoken::decode_header(token).is_ok_and(|header| {
                let signs = |key: &&JwtKey| key.algorithms.contains(&header.alg);
                let fetched = set.into_iter().flat_map(|set| &set.0);
                match &header.kid {
                    None => set.is_none(),
                    Some(kid) => !fetched.filter(signs).any(|key| key.id.as_ref() == Some(kid)),
                }
            })
    }

    /// What the token allows, if it is good at `unix_now`.
    pub(crate) fn read(&self, set: Option<&KeySet>, token: &str, unix_now: u64) -> Result<Grant, JwtFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtFault::Unreadable)?;
        // A token may ask for extensions that must be understood (RFC 7515 §4.1.11), as that its payload is to be
        // read in another way (RFC 7797). We understand none.
        if header.crit.is_some() || header.extras.inner().contains_key("b64") {
            return Err(JwtFault::Unreadable);
        }
        let all = || self.keys.iter().chain(set.into_iter().flat_map(|set| &set.0));
        let is_named = |key: &&JwtKey| match (&key.id, &header.kid) {
            (Some(id), Some(kid)) => id == kid,
            // Keys of files have no names; and a token that names none may be by any.
            _ => true,
        };
        if !all().any(|key| is_named(&key)) {
            return Err(JwtFault::UnknownKey);
        }
        let signers: Vec<_> = all()
            .filter(is_named)
            .filter(|key| key.algorithms.contains(&header.alg))
            .take(TRIES_MAX)
            .collect();
        if signers.is_empty() {
            return Err(if self.has_key_set && set.is_none() {
                JwtFault::UnknownKey
            } else {
                JwtFault::WrongAlgorithm
            });
        }
        let claims = signers.into_iter().find_map(|key| verified(token, header.alg, key));
        let claims = claims.ok_or(JwtFault::BadSignature)??;
        self.check(&claims, unix_now)?;
        let subject = claims.subject.as_ref().map(|subject| {
            // A byte that JSON strings of names do not have keeps the two apart.
            Key::new(format!("{}\0{subject}", claims.issuer.as_deref().unwrap_or_default()))
        });
        let expires_at = claims.expires_at.ok_or(JwtFault::NoExpiry)?;
        Ok(Grant { rights: claims.rights, expires_at, subject })
    }

    fn check(&self, claims: &Claims, unix_now: u64) -> Result<(), JwtFault> {
        let expires_at = claims.expires_at.ok_or(JwtFault::NoExpiry)?;
        if unix_now >= expires_at.saturating_add(LEEWAY_S) {
            return Err(JwtFault::Expired);
        }
        if claims.not_before.is_some_and(|start| unix_now.saturating_add(LEEWAY_S) < start) {
            return Err(JwtFault::NotYet);
        }
        if !self.audiences.is_empty() && !claims.audiences.iter().any(|each| self.audiences.contains(each)) {
            return Err(JwtFault::WrongAudience);
        }
        let issuer = claims.issuer.as_ref();
        if !self.issuers.is_empty() && !issuer.is_some_and(|issuer| self.issuers.contains(issuer)) {
            return Err(JwtFault::WrongIssuer);
        }
        Ok(())
    }
}

/// The claims, if `key` has signed the token; `Err` if it has, and they cannot be read.
fn verified(token: &str, algorithm: Algorithm, key: &JwtKey) -> Option<Result<Claims, JwtFault>> {
    let mut only_signature = Validation::new(algorithm);
    only_signature.validate_exp = false;
    only_signature.validate_nbf = false;
    only_signature.validate_aud = false;
    only_signature.required_spec_claims.clear();
    match jsonwebtoken::decode::<Claims>(token, &key.key, &only_signature) {
        Ok(data) => Some(Ok(data.claims)),
        Err(error) => match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => Some(Err(JwtFault::Unreadable)),
            _ => None,
        },
    }
}

impl JwtFault {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Unreadable => "The token is no JWT that can be read.",
            Self::UnknownKey => "The token is signed with a key that this server does not know.",
            Self::WrongAlgorithm => "The token's algorithm is not one of those of this server's keys.",
            Self::BadSignature => "The token's signature is wrong.",
            Self::NoExpiry => "The token does not say when it expires.",
            Self::Expired => "The token has expired.",
            Self::NotYet => "The token is not good yet.",
            Self::WrongAudience => "The token is meant for others: its aud names none of auth.jwt.audiences.",
            Self::WrongIssuer => "The token comes from somebody else: its iss is none of auth.jwt.issuers.",
        }
    }

    pub fn fix(self) -> &'static str {
        match self {
            Self::Unreadable => "Copy it whole, without line breaks.",
            Self::UnknownKey | Self::WrongAlgorithm | Self::BadSignature => {
                "Sign with the key that auth.jwt names, by one of its algorithms."
            }
            Self::NoExpiry => "Have the issuer set exp, in seconds since 1970.",
            Self::Expired => "Get a new one.",
            Self::NotYet => "Wait, or see that both clocks are right.",
            Self::WrongAudience => "Have the issuer set aud, or change auth.jwt.audiences.",
            Self::WrongIssuer => "Have the issuer set iss, or change auth.jwt.issuers.",
        }
    }
}

impl PartialEq for JwtKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.algorithms, &self.digest) == (&other.id, &other.algorithms, &other.digest)
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey").field("id", &self.id).finish_non_exhaustive()
    }
}
