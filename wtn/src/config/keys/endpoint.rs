//! `[[endpoints]]`, their keys, and ICE servers.

use super::super::kinds::{Hidden, Maybe, Moment, NOT_EMPTY, Text, Whole};
use super::super::table::{At, Key};
use super::super::tables::{Flaw, Tables};
use super::policy;
use wtn_wish::{Endpoint, EndpointKey, IceServer, PolicyOverrides, is_stream_name};

/// Credentials that outlive a week are not short-lived.
const TTL_SECONDS: Whole<u32> = Whole { min: 60, max: 604_800 };

pub(super) const ENDPOINTS: Tables<Endpoint> = Tables {
    keys: ENDPOINT_KEYS,
    new: |_| Endpoint {
        name: String::new(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy: PolicyOverrides::default(),
    },
    short: None,
    required: &["name"],
    unique: "name",
    flaw: two_keys_of_one_id,
};

type OfEndpoint<K> = At<Endpoint, K>;

static ENDPOINT_KEYS: &[Key<Endpoint>] = &[
    Key {
        path: "name",
        about: "The stream's name, as in /whip/NAME and /whep/NAME.",
        wants: "1 to 64 letters, digits, or any of - . _ ~",
        value: &OfEndpoint { kind: NAME, of: |endpoint| &mut endpoint.name },
    },
    Key {
        path: "publish_keys",
        about: "Who may publish here; the server's publish keys if there are none.",
        wants: KEYS_WANT,
        value: &OfEndpoint {
            kind: keys(|place| key(format!("publish-{}", place + 1))),
            of: |endpoint| &mut endpoint.publish_keys,
        },
    },
    Key {
        path: "play_keys",
        about: "Who may watch here; the server's play keys if there are none.",
        wants: KEYS_WANT,
        value: &OfEndpoint {
            kind: keys(|place| key(format!("play-{}", place + 1))),
            of: |endpoint| &mut endpoint.play_keys,
        },
    },
    Key {
        path: "ice_servers",
        about: "ICE servers for clients of this endpoint; the server's if unset, none if empty.",
        wants: "a list of tables, such as [{ url = \"stun:stun.example.com\" }]",
        value: &OfEndpoint { kind: Maybe(ICE_SERVERS), of: |endpoint| &mut endpoint.ice_servers },
    },
    policy::ENDPOINT_SECOND_PUBLISHER,
    policy::ENDPOINT_HOLD_DOWN_SECONDS,
    policy::ENDPOINT_NO_PUBLISHER,
    policy::ENDPOINT_GRACE_SECONDS,
    policy::ENDPOINT_CODECS,
    policy::ENDPOINT_MAX_VIEWERS,
    policy::ENDPOINT_MAX_BITRATE_KBPS,
    policy::ENDPOINT_COUNTER_OFFER,
    policy::ENDPOINT_TRICKLE_WITHOUT_TAG,
    policy::ENDPOINT_SESSION_URL_IS_CAPABILITY,
    policy::ENDPOINT_END_ON_REVOKE,
];

const NAME: Text<String> = Text {
    read: |text| is_stream_name(text).then(|| text.to_owned()),
    write: String::clone,
    pattern: "[A-Za-z0-9._~-]{1,64}",
};

fn two_keys_of_one_id(endpoint: &Endpoint) -> Option<Flaw> {
    let twin =
        endpoint.play_keys.iter().find(|key| endpoint.publish_keys.iter().any(|other| other.id == key.id));
    twin.map(|key| Flaw {
        key: "play_keys",
        what: format!("there are two keys with the id `{}`", key.id),
        fix: "give each id once in an endpoint".to_owned(),
    })
}

const KEYS_WANT: &str = "a list of keys, each of visible ASCII characters without spaces, or a table such as \
                         { id = \"studio\", key = \"KEY\", expires_at = 2030-01-01T00:00:00Z }";

const fn keys(new: fn(usize) -> EndpointKey) -> Tables<EndpointKey> {
    Tables {
        keys: KEY_KEYS,
        new,
        short: Some(|mut key, text| {
            key.key = (TOKEN.0)(text)?;
            Some(key)
        }),
        required: &["key"],
        unique: "id",
        flaw: |_| None,
    }
}

fn key(id: String) -> EndpointKey {
    EndpointKey { id, label: None, key: wtn_wish::Key::new(""), expires_at: None }
}

type OfKey<K> = At<EndpointKey, K>;

static KEY_KEYS: &[Key<EndpointKey>] = &[
    Key {
        path: "key",
        about: "The bearer token.",
        wants: "visible ASCII characters without spaces",
        value: &OfKey { kind: TOKEN, of: |key| &mut key.key },
    },
    Key {
        path: "id",
        about: "Names the key in logs and in the API; by its place in the list if unset.",
        wants: "1 to 64 letters, digits, or any of - . _ ~",
        value: &OfKey { kind: NAME, of: |key| &mut key.id },
    },
    Key {
        path: "label",
        about: "What people call it.",
        wants: "a text",
        value: &OfKey { kind: Maybe(NOT_EMPTY), of: |key| &mut key.label },
    },
    Key {
        path: "expires_at",
        about: "From when on it opens nothing; never if unset.",
        wants: "a moment, such as 2030-01-01T00:00:00Z, or seconds since 1970",
        value: &OfKey { kind: Maybe(Moment), of: |key| &mut key.expires_at },
    },
];

/// A bearer token (RFC 6750 §2.1).
const TOKEN: Hidden<wtn_wish::Key> =
    Hidden(|text| super::super::Secret::new(text).map(|_| wtn_wish::Key::new(text)), "[\\x21-\\x7e]+");

pub(super) const ICE_SERVERS: Tables<IceServer> = Tables {
    keys: ICE_SERVER_KEYS,
    new: |_| IceServer {
        url: String::new(),
        username: None,
        credential: None,
        secret: None,
        ttl_seconds: None,
    },
    short: None,
    required: &["url"],
    unique: "",
    flaw: unfit_credentials,
};

type OfIce<K> = At<IceServer, K>;

static ICE_SERVER_KEYS: &[Key<IceServer>] = &[
    Key {
        path: "url",
        about: "The server (RFC 7064, RFC 7065).",
        wants: "a stun:, turn: or turns: URL, such as \"turn:turn.example.com:3478?transport=udp\"",
        value: &OfIce { kind: ICE_URL, of: |server| &mut server.url },
    },
    Key {
        path: "username",
        about: "Static credentials, for TURN.",
        wants: "a text",
        value: &OfIce { kind: Maybe(NOT_EMPTY), of: |server| &mut server.username },
    },
    Key {
        path: "credential",
        about: "Static credentials, for TURN.",
        wants: "a text",
        value: &OfIce { kind: Maybe(HIDDEN_TEXT), of: |server| &mut server.credential },
    },
    Key {
        path: "secret",
        about: "Instead of both: the secret shared with the TURN server (`static-auth-secret` of coturn), of which each \
                session gets credentials of its own that expire.",
        wants: "a text",
        value: &OfIce { kind: Maybe(HIDDEN_TEXT), of: |server| &mut server.secret },
    },
    Key {
        path: "ttl_seconds",
        about: "How long such credentials are good.",
        wants: "seconds, 60 to 604800",
        value: &OfIce { kind: Maybe(TTL_SECONDS), of: |server| &mut server.ttl_seconds },
    },
];

const HIDDEN_TEXT: Hidden<String> = Hidden(|text| (!text.is_empty()).then(|| text.to_owned()), "[\\s\\S]+");

const ICE_URL: Text<String> = Text {
    read: |text| is_ice_url(text).then(|| text.to_owned()),
    write: String::clone,
    pattern: "(?:stuns?|turns?):[^\\s/?#\"<>]+(?:\\?transport=[a-z]+)?",
};

fn is_ice_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (host, query) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
    let is_turn = matches!(scheme, "turn" | "turns");
    let is_host = host.parse::<http::uri::Authority>().is_ok_and(|host| !host.as_str().contains('@'));
    let is_transport =
        query.is_none_or(|query| is_turn && matches!(query, "transport=udp" | "transport=tcp"));
    (is_turn || matches!(scheme, "stun" | "stuns")) && is_host && is_transport
}

fn unfit_credentials(server: &IceServer) -> Option<Flaw> {
    let flaw = |key, what: &str, fix: &str| Some(Flaw { key, what: what.to_owned(), fix: fix.to_owned() });
    let is_turn = server.url.starts_with("turn");
    match (&server.username, &server.credential, &server.secret) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => flaw(
            "secret",
            "there are two kinds of credentials",
            "leave out `secret`, or `username` and `credential`",
        ),
        (Some(_), None, None) => {
            flaw("username", "there is no `credential` for this `username`", "add `credential`")
        }
        (None, Some(_), None) => {
            flaw("credential", "there is no `username` for this `credential`", "add `username`")
        }
        (None, None, None) if is_turn => {
            flaw("url", "a TURN server needs credentials", "add `secret`, or `username` and `credential`")
        }
        _ if server.secret.is_none() && server.ttl_seconds.is_some() => flaw(
            "ttl_seconds",
            "credentials that are written here do not expire",
            "leave it out, or use `secret`",
        ),
        _ => None,
    }
}
