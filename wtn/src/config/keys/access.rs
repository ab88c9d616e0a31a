//! `[auth.jwt]`, `[auth.webhook]` and `[limits]`.

use super::super::access::Guarded;
use super::super::kinds::{Flag, Hidden, List, Maybe, NOT_EMPTY, OneOf, PATH, Text, Whole};
use super::super::table::{At, Key};
use super::super::{Config, Secret};

const SECRET_LEN_MIN: usize = wtn_wish::auth::SECRET_LEN_MIN;
const LONG_SECRET: Hidden<Secret> = Hidden(
    |text| Secret::new(text).filter(|secret| secret.reveal().len() >= SECRET_LEN_MIN),
    "[\\x21-\\x7e]{32,}",
);
const DOOR: OneOf<Guarded> = OneOf(&[("publish", Guarded::Publish), ("play", Guarded::Play)]);
const DOORS: &str = "a list of \"publish\" and \"play\"";
/// A URL of a service, with a query perhaps; who it is shown to can read it.
const SERVICE: Text<String> = Text {
    read: service,
    write: String::clone,
    pattern: "https?://[^/?#@\\s]+(?:/[^#\\s]*)?(?:\\?[^#\\s]*)?",
};
/// No one client is that fast; a typing error above.
const REQUESTS: Whole<u32> = Whole { min: 0, max: 1_000_000 };
const AT_ONCE: Whole<u32> = Whole { min: 1, max: 10_000_000 };

fn service(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
    (is_web && is_host && !text.contains('#')).then(|| text.to_owned())
}

type Of<K> = At<Config, K>;

pub(super) const JWT_SECRET: Key<Config> = Key {
    path: "auth.jwt.secret",
    about: "The secret shared with whoever signs tokens by HS256, HS384 or HS512.",
    wants: "at least 32 visible ASCII characters without spaces",
    value: &Of { kind: Maybe(LONG_SECRET), of: |config| &mut config.jwt.secret },
};
pub(super) const JWT_PUBLIC_KEYS: Key<Config> = Key {
    path: "auth.jwt.public_keys",
    about: "Public keys of whoever signs tokens: RSA (RS256 and kin, PS256 and kin), P-256 (ES256), Ed25519 (EdDSA).",
    wants: "a list of PEM files",
    value: &Of { kind: List(PATH), of: |config| &mut config.jwt.public_keys },
};
pub(super) const JWT_JWKS_URL: Key<Config> = Key {
    path: "auth.jwt.jwks_url",
    about: "Where an identity server shows the keys that it signs tokens with. They are fetched anew every hour, and when \
            a token names one that is not known.",
    wants: "an http or https URL",
    value: &Of { kind: Maybe(SERVICE), of: |config| &mut config.jwt.jwks_url },
};
pub(super) const JWT_AUDIENCES: Key<Config> = Key {
    path: "auth.jwt.audiences",
    about: "A token's `aud` must name one of these. Without any, it is not looked at.",
    wants: "a list of texts",
    value: &Of { kind: List(NOT_EMPTY), of: |config| &mut config.jwt.audiences },
};
pub(super) const JWT_ISSUERS: Key<Config> = Key {
    path: "auth.jwt.issuers",
    about: "A token's `iss` must be one of these. Without any, it is not looked at.",
    wants: "a list of texts",
    value: &Of { kind: List(NOT_EMPTY), of: |config| &mut config.jwt.issuers },
};
pub(super) const JWT_GUARDS: Key<Config> = Key {
    path: "auth.jwt.guards",
    about: "What needs a token (or a key), once there are keys to check tokens with.",
    wants: DOORS,
    value: &Of { kind: List(DOOR), of: |config| &mut config.jwt.guards },
};
pub(super) const WEBHOOK_URL: Key<Config> = Key {
    path: "auth.webhook.url",
    about: "A service that is asked about each publisher and viewer whom no key and no token lets in, in MediaMTX' JSON.",
    wants: "an http or https URL",
    value: &Of { kind: Maybe(SERVICE), of: |config| &mut config.webhook.url },
};
pub(super) const WEBHOOK_TIMEOUT: Key<Config> = Key {
    path: "auth.webhook.timeout_seconds",
    about: "How long its answer is waited for. Without one, nobody comes in.",
    wants: "seconds, 1 to 30",
    value: &Of { kind: Whole { min: 1, max: 30 }, of: |config| &mut config.webhook.timeout_seconds },
};
pub(super) const WEBHOOK_KEEP: Key<Config> = Key {
    path: "auth.webhook.keep_seconds",
    about: "How long its answer is good for the very same question; 0: it is asked every time.",
    wants: "seconds, 0 to 3600",
    value: &Of { kind: Whole { min: 0, max: 3600 }, of: |config| &mut config.webhook.keep_seconds },
};
pub(super) const WEBHOOK_GUARDS: Key<Config> = Key {
    path: "auth.webhook.guards",
    about: "What it is asked about.",
    wants: DOORS,
    value: &Of { kind: List(DOOR), of: |config| &mut config.webhook.guards },
};
pub(super) const PER_SECOND: Key<Config> = Key {
    path: "limits.requests_per_second",
    about: "POST, PATCH and DELETE from one address, or IPv6 network of 64 bits; 0: no limit. A wrong key counts ten times.",
    wants: "a number, 0 to 1000000",
    value: &Of { kind: REQUESTS, of: |config| &mut config.limits.requests_per_second },
};
pub(super) const BURST: Key<Config> = Key {
    path: "limits.requests_at_once",
    about: "The same, at once after a pause: a crowd behind one address that joins.",
    wants: "a number, at least 1",
    value: &Of { kind: AT_ONCE, of: |config| &mut config.limits.requests_at_once },
};
pub(super) const KEY_PER_SECOND: Key<Config> = Key {
    path: "limits.requests_per_second_per_key",
    about: "POST, PATCH and DELETE with one key or token, which a whole audience may share; 0: no limit.",
    wants: "a number, 0 to 1000000",
    value: &Of { kind: REQUESTS, of: |config| &mut config.limits.requests_per_second_per_key },
};
pub(super) const KEY_BURST: Key<Config> = Key {
    path: "limits.requests_at_once_per_key",
    about: "The same, at once after a pause.",
    wants: "a number, at least 1",
    value: &Of { kind: AT_ONCE, of: |config| &mut config.limits.requests_at_once_per_key },
};
pub(super) const CONNECTIONS: Key<Config> = Key {
    path: "limits.connections_per_address",
    about: "HTTP connections of one address, or IPv6 network of 64 bits; 0: no limit.",
    wants: "a number, 0 to 1000000",
    value: &Of { kind: REQUESTS, of: |config| &mut config.limits.connections_per_address },
};
pub(super) const LOOPBACK: Key<Config> = Key {
    path: "limits.loopback",
    about: "Whether these hold for loopback addresses too. They are programs on this machine, and a proxy there speaks for \
            everybody.",
    wants: "true or false",
    value: &Of { kind: Flag, of: |config| &mut config.limits.loopback },
};
