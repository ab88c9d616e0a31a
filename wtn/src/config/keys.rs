//! The table of keys: every key of the configuration is one row of [`KEYS`].
//!
//! **To add a key**, add a field to [`Config`] with its default, and a row here. Everything else follows: it is read
//! from the file, from the environment and from `--set`; a value that does not fit is shown with its place; `config
//! show`, `init` and `schema` know it; a test fails until docs/configuration.md is written anew (it says how). A row
//! reads
//!
//! ```text
//! Key {
//!     path: "streams.grace_seconds",                          // as in TOML
//!     about: "How long viewers wait for a publisher.",        // a sentence or two for the reference
//!     wants: "seconds, 0 to 3600",                            // completes "it wants …"
//!     value: &Of { kind: Whole { min: 0, max: 3600 }, of: |config| &mut config.grace_seconds },
//! },
//! ```
//!
//! `of` says which field it is, `kind` what it may be; kinds.rs has them: `Flag`, `Whole` numbers, `OneOf` words,
//! `Text` with a function each way, `NOT_EMPTY`, `PATH`, `IP`, `URL`, `SECRET`, `Hidden` for other secrets, `Moment`,
//! and around them `Maybe` (may be unset: the field is an `Option`) and `List` (the field is a `Vec`).
//!
//! **A list of tables** (`[[endpoints]]`) is a row whose kind is `Tables`: it names a table of keys as this one is, but
//! of the element's type, and how an element begins. keys/endpoint.rs has three, one inside another.
//!
//! A key that only a restart brings into effect also goes into [`NEEDS_RESTART`]. What several keys must fulfil
//! together, [`flaws`] says.

pub(super) mod access;
pub(super) mod aliases;
pub(super) mod endpoint;
pub(super) mod policy;
pub(super) mod redirect;

use super::kinds::{Flag, IP, List, Listen, Maybe, OneOf, PATH, SECRET, URL, Whole};
use super::table::{At, Key};
use super::tables::Flaw;
use super::{Cleartext, Config, LogFormat};
use endpoint::{ENDPOINTS, ICE_SERVERS};
use redirect::REDIRECTS;
use wtn_wish::Names;

/// More media threads than any machine we know has cores; a typing error above.
const SHARDS_MAX: u16 = 256;

type Of<K> = At<Config, K>;

pub(super) static KEYS: &[Key<Config>] = &[
    Key {
        path: "http.listen",
        about: "Where HTTP is served. `[::]` also takes IPv4.",
        wants: "an address and a TCP port, such as \"0.0.0.0:8080\" or \":8080\"",
        value: &Of { kind: Listen, of: |config| &mut config.http_listen },
    },
    Key {
        path: "http.public_url",
        about: "Scheme and host under which clients know this server. It makes the session's URL absolute in answers, \
                which clients need that were sent here from elsewhere.",
        wants: "an http or https URL without a path, such as \"https://live.example.com\"",
        value: &Of { kind: Maybe(URL), of: |config| &mut config.public_url },
    },
    Key {
        path: "http.handoff_secret",
        about: "What this server and those in `[[redirects]]` have in common. With it the URL of a redirect says that the \
                key was right, so that browsers, which drop the key on the way, are let in there.",
        wants: "the same text on each server, visible ASCII characters without spaces",
        value: &Of { kind: Maybe(SECRET), of: |config| &mut config.handoff_secret },
    },
    Key {
        path: "http.tls.certificate",
        about: "The certificate for https, on the same port: a PEM file with the server's own first, then those up to \
                its root. It is read again on SIGHUP. Without it HTTP is not encrypted.",
        wants: "a file",
        value: &Of { kind: Maybe(PATH), of: |config| &mut config.tls_certificate },
    },
    Key {
        path: "http.tls.key",
        about: "The private key of that certificate, in PEM, not encrypted.",
        wants: "a file",
        value: &Of { kind: Maybe(PATH), of: |config| &mut config.tls_key },
    },
    Key {
        path: "http.cleartext",
        about: "Who may come by plain http. If unset: this machine if there is a certificate, anybody if there is none.",
        wants: "\"allow\" (anybody), \"loopback\" (this machine, such as a proxy on it) or \"refuse\"",
        value: &Of {
            kind: Maybe(OneOf(&[
                ("allow", Cleartext::Allow),
                ("loopback", Cleartext::Loopback),
                ("refuse", Cleartext::Refuse),
            ])),
            of: |config| &mut config.cleartext,
        },
    },
    Key {
        path: "media.listen",
        about: "Where media arrives, by UDP and by TCP. `[::]` also takes IPv4.",
        wants: "an address and a port, such as \"0.0.0.0:8189\" or \":8189\"",
        value: &Of { kind: Listen, of: |config| &mut config.media_listen },
    },
    Key {
        path: "media.tcp",
        about: "Whether media may also come by TCP, on the same port number: for clients whose network forbids UDP. All \
                others go on to use UDP.",
        wants: "true or false",
        value: &Of { kind: Flag, of: |config| &mut config.media_tcp },
    },
    Key {
        path: "media.public_addresses",
        about: "Addresses outside of this machine that lead to the media port: those of a router or a cloud.",
        wants: "a list of IP addresses, such as [\"203.0.113.7\"]",
        value: &Of { kind: List(IP), of: |config| &mut config.public_addresses },
    },
    Key {
        path: "shards",
        about: "Media threads; one per core if unset.",
        wants: "the number of media threads, 1 to 256",
        value: &Of { kind: Maybe(Whole { min: 1, max: SHARDS_MAX }), of: |config| &mut config.shards },
    },
    Key {
        path: "auth.open",
        about: "Whether anybody may publish, whatever keys there are.",
        wants: "true or false",
        value: &Of { kind: Flag, of: |config| &mut config.open },
    },
    Key {
        path: "auth.publish_keys",
        about: "Bearer tokens that may publish. Without any, the first start makes one and keeps it.",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        value: &Of { kind: List(SECRET), of: |config| &mut config.publish_keys },
    },
    Key {
        path: "auth.play_keys",
        about: "Bearer tokens that may watch. Without any, everybody may.",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        value: &Of { kind: List(SECRET), of: |config| &mut config.play_keys },
    },
    Key {
        path: "auth.admin_keys",
        about: "Bearer tokens that may administer the server by /api/v1, from anywhere.",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        value: &Of { kind: List(SECRET), of: |config| &mut config.admin_keys },
    },
    Key {
        path: "auth.local_admin",
        about: "Whether programs on the server's own machine may administer it without a key.",
        wants: "true or false",
        value: &Of { kind: Flag, of: |config| &mut config.local_admin },
    },
    access::JWT_SECRET,
    access::JWT_PUBLIC_KEYS,
    access::JWT_JWKS_URL,
    access::JWT_AUDIENCES,
    access::JWT_ISSUERS,
    access::JWT_GUARDS,
    access::WEBHOOK_URL,
    access::WEBHOOK_TIMEOUT,
    access::WEBHOOK_KEEP,
    access::WEBHOOK_GUARDS,
    access::PER_SECOND,
    access::BURST,
    access::KEY_PER_SECOND,
    access::KEY_BURST,
    access::CONNECTIONS,
    access::LOOPBACK,
    Key {
        path: "limits.cpu_percent",
        about: "How much of its time the busiest media thread may work. Past that newcomers get 503, and who is here stays \
                whole.",
        wants: "a share in percent, 10 to 100",
        value: &Of { kind: Whole { min: 10, max: 100 }, of: |config| &mut config.budgets.cpu_percent },
    },
    Key {
        path: "limits.egress_mbps",
        about: "How much media may be sent in all, in Mbit/s: what the line is good for. Past that newcomers get 503.",
        wants: "a number of Mbit/s, 1 to 10000000",
        value: &Of {
            kind: Maybe(Whole { min: 1, max: 10_000_000 }),
            of: |config| &mut config.budgets.egress_mbps,
        },
    },
    Key {
        path: "limits.memory_percent",
        about: "How much of the memory that it may have, the machine's or the container's, the server may use. Past that \
                newcomers get 503.",
        wants: "a share in percent, 10 to 100",
        value: &Of { kind: Whole { min: 10, max: 100 }, of: |config| &mut config.budgets.memory_percent },
    },
    Key {
        path: "streams.names",
        about: "Which stream names there are.",
        wants: "\"open\" (any) or \"listed\" (those of the endpoints; others get 404)",
        value: &Of {
            kind: OneOf(&[("open", Names::Open), ("listed", Names::Listed)]),
            of: |config| &mut config.names,
        },
    },
    policy::SECOND_PUBLISHER,
    policy::HOLD_DOWN_SECONDS,
    policy::NO_PUBLISHER,
    policy::GRACE_SECONDS,
    policy::CODECS,
    policy::MAX_VIEWERS,
    policy::MAX_BITRATE_KBPS,
    policy::COUNTER_OFFER,
    policy::TRICKLE_WITHOUT_TAG,
    policy::SESSION_URL_IS_CAPABILITY,
    policy::END_ON_REVOKE,
    Key {
        path: "sessions.trickle",
        about: "Whether candidates are taken by PATCH. They are read and not needed, so clients lose nothing without.",
        wants: "true or false",
        value: &Of { kind: Flag, of: |config| &mut config.trickle },
    },
    Key {
        path: "sessions.ice_restart",
        about: "Whether a client whose network changes may restart ICE by PATCH, and so keep its session.",
        wants: "true or false",
        value: &Of { kind: Flag, of: |config| &mut config.ice_restart },
    },
    Key {
        path: "ice_servers",
        about: "ICE servers that clients are told of, in a `Link` header, where the endpoint has none of its own.",
        wants: "a list of tables: `[[ice_servers]]` above each",
        value: &Of { kind: ICE_SERVERS, of: |config| &mut config.ice_servers },
    },
    Key {
        path: "endpoints",
        about: "Endpoints with keys or a policy of their own. They cannot be changed by the API.",
        wants: "a list of tables: `[[endpoints]]` above each",
        value: &Of { kind: ENDPOINTS, of: |config| &mut config.endpoints },
    },
    Key {
        path: "redirects",
        about: "Which publishers and viewers are sent to another server, by 307; the first that fits decides.",
        wants: "a list of tables: `[[redirects]]` above each",
        value: &Of { kind: REDIRECTS, of: |config| &mut config.redirects },
    },
    aliases::MEDIAMTX,
    aliases::BROADCAST_BOX,
    aliases::JANUS,
    aliases::LALMAX,
    aliases::TALWTN_APPS,
    Key {
        path: "log.format",
        about: "How log lines look: for people, or JSON Lines for machines.",
        wants: "\"text\" or \"json\"",
        value: &Of {
            kind: OneOf(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            of: |config| &mut config.log_format,
        },
    },
    Key {
        path: "data_dir",
        about: "Where the server keeps what it makes itself; `$XDG_DATA_HOME/wtn` or `~/.local/share/wtn` if unset.",
        wants: "a folder",
        value: &Of { kind: Maybe(PATH), of: |config| &mut config.data_dir },
    },
];

/// Keys, and tables of keys, that a reload reads but only a restart brings into effect: who changes them is told.
pub(super) const NEEDS_RESTART: &[&str] = &[
    "http.listen",
    "media.listen",
    "media.tcp",
    "shards",
    "limits.connections_per_address",
    "limits.loopback",
    "log.format",
    "data_dir",
];

/// What is wrong with several keys together, each of which is right by itself.
pub(super) fn flaws(config: &Config) -> Vec<Flaw> {
    let flaw = |key, what: &str, fix: &str| Flaw { key, what: what.to_owned(), fix: fix.to_owned() };
    let mut flaws = Vec::new();
    match (&config.tls_certificate, &config.tls_key) {
        (Some(_), None) => flaws.push(flaw(
            "http.tls.certificate",
            "there is a certificate, and no private key",
            "add `http.tls.key`",
        )),
        (None, Some(_)) => flaws.push(flaw(
            "http.tls.key",
            "there is a private key, and no certificate",
            "add `http.tls.certificate`",
        )),
        (None, None) if config.cleartext == Some(Cleartext::Refuse) => flaws.push(flaw(
            "http.cleartext",
            "nobody could come in: plain http is refused, and https needs a certificate",
            "add `http.tls.certificate` and `http.tls.key`",
        )),
        _ => {}
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn what_needs_a_restart_is_a_key_and_no_key_is_there_twice() {
        for key in NEEDS_RESTART {
            assert!(table::find(KEYS, key).is_some(), "{key}");
        }
        for (index, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..index].iter().any(|other| other.path == key.path), "{}", key.path);
            assert!(!table::is_table(KEYS, key.path), "{} is a key and a table", key.path);
        }
    }
}
