//! What may be said of an endpoint, read from JSON: every fault is found, not only the first.
//!
//! A change is an RFC 7396 merge patch: it is merged into what there is, and the whole is read as if it was new.

use super::faults::{Faults, inside};
use serde_json::{Map, Value, json};
use wtn_media::Codec;
use wtn_wish::{IceServer, PolicyOverrides};

/// More than any client asks one after the other.
pub(crate) const ICE_SERVERS_MAX: usize = 8;
const TEXT_LEN_MAX: usize = 256;

/// A field of the policy: what it wants, and whether what serde has taken is that.
type Rule = (&'static str, &'static str, fn(&PolicyOverrides) -> bool);

/// Every field of [`PolicyOverrides`], with the bounds of the configuration file.
const POLICY: &[Rule] = &[
    ("second_publisher", "\"replace\", \"reject\" or \"backup\"", |_| true),
    ("hold_down_seconds", "seconds, 0 to 3600", |policy| is_in(policy.hold_down_seconds, 0, 3600)),
    ("no_publisher", "\"refuse\" or \"wait\"", |_| true),
    // A grace time of more than an hour is a typing error.
    ("grace_seconds", "seconds, 0 to 3600", |policy| is_in(policy.grace_seconds, 0, 3600)),
    ("codecs", "a list of codecs; there are H264, H265, VP8, VP9, AV1, opus, PCMU, PCMA, G722", |policy| {
        policy
            .codecs
            .as_ref()
            .is_none_or(|names| !names.is_empty() && names.iter().all(|name| is_codec(name)))
    }),
    ("max_viewers", "a number of viewers, 1 to 1000000", |policy| is_in(policy.max_viewers, 1, 1_000_000)),
    ("max_bitrate_kbps", "kbit/s, 8 to 100000000", |policy| is_in(policy.max_bitrate_kbps, 8, 100_000_000)),
    ("counter_offer", "true or false", |_| true),
    ("trickle_without_tag", "true or false", |_| true),
    ("session_url_is_capability", "true or false", |_| true),
    ("end_on_revoke", "true or false", |_| true),
];

fn is_in(value: Option<u32>, min: u32, max: u32) -> bool {
    value.is_none_or(|value| (min..=max).contains(&value))
}

fn is_codec(name: &str) -> bool {
    Codec::ALL.iter().any(|codec| codec.name().eq_ignore_ascii_case(name))
}

/// What an endpoint says beside its name and its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub ice_servers: Option<Vec<IceServer>>,
    pub policy: PolicyOverrides,
}

impl Settings {
    pub const FIELDS: [&str; 2] = ["ice_servers", "policy"];

    /// The settings in `object`. What else is there is none of ours.
    pub fn read(object: &Map<String, Value>, faults: &mut Faults) -> Self {
        let field = |name| object.get(name).filter(|value| !value.is_null());
        Self {
            ice_servers: field("ice_servers").and_then(|value| ice_servers(value, faults)),
            policy: field("policy").map(|value| policy(value, faults)).unwrap_or_default(),
        }
    }

    /// As JSON that [`read`](Self::read) takes, secrets included.
    pub fn write(&self) -> Value {
        json!({ "ice_servers": self.ice_servers, "policy": self.policy })
    }
}

fn policy(value: &Value, faults: &mut Faults) -> PolicyOverrides {
    let names: Vec<_> = POLICY.iter().map(|(name, ..)| *name).collect();
    let Some(object) = faults.object("policy", value, &names) else { return PolicyOverrides::default() };
    let mut fitting = Map::new();
    for (name, wants, is_fit) in POLICY {
        // One by one, so that serde's first fault is not its only one.
        let fits = |value: &Value| {
            let alone: PolicyOverrides = serde_json::from_value(json!({ *name: value })).ok()?;
            is_fit(&alone).then(|| value.clone())
        };
        if let Some(value) = faults.field("policy", object, name, wants, fits) {
            fitting.insert((*name).to_owned(), value);
        }
    }
    serde_json::from_value(Value::Object(fitting)).unwrap_or_default()
}

fn ice_servers(value: &Value, faults: &mut Faults) -> Option<Vec<IceServer>> {
    let Some(list) = value.as_array().filter(|list| list.len() <= ICE_SERVERS_MAX) else {
        faults.add("ice_servers", format!("wants a list of at most {ICE_SERVERS_MAX} servers"));
        return None;
    };
    let read = |(place, value)| ice_server(&format!("ice_servers[{place}]"), value, faults);
    Some(list.iter().enumerate().filter_map(read).collect())
}

fn ice_server(field: &str, value: &Value, faults: &mut Faults) -> Option<IceServer> {
    let known = ["url", "username", "credential", "secret", "ttl_seconds"];
    let object = faults.object(field, value, &known)?;
    const URL: &str = "a stun:, turn: or turns: URL, such as \"turn:turn.example.com:3478?transport=udp\"";
    let is_url = |value: &Value| text(value).filter(|text| is_ice_url(text));
    let url = faults.field(field, object, "url", URL, is_url);
    if url.is_none() && object.get("url").is_none_or(Value::is_null) {
        faults.add(inside(field, "url"), format!("is missing; wants {URL}"));
    }
    let wants = "a text of 1 to 256 characters";
    let username = faults.field(field, object, "username", wants, text);
    let credential = faults.field(field, object, "credential", wants, text);
    let secret = faults.field(field, object, "secret", wants, text);
    let ttl = |value: &Value| {
        value.as_u64().filter(|ttl| (60..=604_800).contains(ttl)).and_then(|ttl| u32::try_from(ttl).ok())
    };
    // Credentials that outlive a week are not short-lived.
    let ttl_seconds = faults.field(field, object, "ttl_seconds", "seconds, 60 to 604800", ttl);
    let server = IceServer { url: url?, username, credential, secret, ttl_seconds };
    if let Some((name, detail)) = unfit_credentials(&server) {
        faults.add(inside(field, name), detail);
    }
    Some(server)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| (1..=TEXT_LEN_MAX).contains(&text.len())).map(str::to_owned)
}

/// RFC 7064, RFC 7065.
fn is_ice_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (host, query) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
    let is_turn = matches!(scheme, "turn" | "turns");
    let is_host = host.parse::<http::uri::Authority>().is_ok_and(|host| !host.as_str().contains('@'));
    let is_transport =
        query.is_none_or(|query| is_turn && matches!(query, "transport=udp" | "transport=tcp"));
    (is_turn || matches!(scheme, "stun" | "stuns")) && is_host && is_transport
}

fn unfit_credentials(server: &IceServer) -> Option<(&'static str, &'static str)> {
    let is_turn = server.url.starts_with("turn");
    match (&server.username, &server.credential, &server.secret) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Some((
            "secret",
            "is one kind of credentials too many; leave it out, or `username` and `credential`",
        )),
        (Some(_), None, None) => Some(("credential", "is missing; a `username` needs one")),
        (None, Some(_), None) => Some(("username", "is missing; a `credential` needs one")),
        (None, None, None) if is_turn => {
            Some(("url", "is of a TURN server, which needs a `secret`, or `username` and `credential`"))
        }
        (_, _, None) if server.ttl_seconds.is_some() => {
            Some(("ttl_seconds", "goes with a `secret` only: static credentials do not expire"))
        }
        _ => None,
    }
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::faults::Refusal;
    use wtn_wish::{NoPublisher, SecondPublisher};

    fn read(json: Value) -> Result<Settings, Vec<(String, String)>> {
        let mut faults = Faults::default();
        let settings = Settings::read(json.as_object().unwrap(), &mut faults);
        faults.or(|| settings).map_err(|refusal| match refusal {
            Refusal::Faults(faults) => {
                faults.into_iter().map(|fault| (fault.field, fault.detail)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
    }

    fn fields(json: Value) -> Vec<String> {
        read(json).unwrap_err().into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn every_field_of_a_policy_has_its_rule() {
        let all = PolicyOverrides {
            second_publisher: Some(SecondPublisher::Reject),
            hold_down_seconds: Some(5),
            no_publisher: Some(NoPublisher::Wait),
            grace_seconds: Some(30),
            codecs: Some(vec!["h264".into(), "opus".into()]),
            max_viewers: Some(1),
            max_bitrate_kbps: Some(5_000),
            counter_offer: Some(true),
            trickle_without_tag: Some(true),
            session_url_is_capability: Some(true),
            end_on_revoke: Some(true),
        };
        let json = serde_json::to_value(&all).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        let mut ruled: Vec<_> = POLICY.iter().map(|(name, ..)| *name).collect();
        ruled.sort_unstable();
        assert_eq!(names, ruled);
        assert_eq!(read(json!({ "policy": json })).unwrap().policy, all);
    }

    #[test]
    fn the_document_has_the_same_fields() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let fields = |schema: &str| {
            let schema = &document["components"]["schemas"][schema];
            schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let mut ruled: Vec<_> = POLICY.iter().map(|(name, ..)| *name).collect();
        ruled.sort_unstable();
        assert_eq!(fields("Policy"), ruled);
        assert_eq!(fields("EndpointChange"), Settings::FIELDS);
        assert_eq!(fields("NewEndpoint"), ["ice_servers", "keys", "name", "policy"]);
        assert_eq!(fields("NewIceServer"), ["credential", "secret", "ttl_seconds", "url", "username"]);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = read(json!({
            "policy": {
                "grace_seconds": 4000, "codecs": ["h264", "theora"], "max_viewer": 5, "end_on_revoke": "yes",
                "max_bitrate_kbps": -1, "second_publisher": null,
            },
            "ice_servers": [
                { "url": "http://example.com" },
                { "username": "u" },
                { "url": "stun:stun.example.com", "secret": 5, "color": 1 },
                7,
            ],
        }))
        .unwrap_err();
        let fields: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "ice_servers[0].url",
                "ice_servers[1].url",
                "ice_servers[2].color",
                "ice_servers[2].secret",
                "ice_servers[3]",
                "policy.max_viewer",
                "policy.grace_seconds",
                "policy.codecs",
                "policy.max_bitrate_kbps",
                "policy.end_on_revoke",
            ]
        );
        assert!(faults[5].1.contains("did you mean `max_viewers`?"), "{faults:?}");
        assert!(faults[6].1.contains("0 to 3600"), "{faults:?}");
    }

    #[test]
    fn credentials_of_ice_servers_fit_together() {
        for (server, fault) in [
            (json!({ "url": "turn:t.example" }), "url"),
            (json!({ "url": "turn:t.example", "username": "u" }), "credential"),
            (json!({ "url": "turn:t.example", "credential": "c" }), "username"),
            (json!({ "url": "turn:t.example", "username": "u", "credential": "c", "secret": "s" }), "secret"),
            (
                json!({ "url": "turn:t.example", "username": "u", "credential": "c", "ttl_seconds": 60 }),
                "ttl_seconds",
            ),
            (json!({ "url": "turn:t.example", "secret": "s", "ttl_seconds": 59 }), "ttl_seconds"),
            (json!({ "url": "turn:user@t.example", "secret": "s" }), "url"),
            (json!({ "url": "stun:t.example?transport=udp" }), "url"),
        ] {
            assert_eq!(fields(json!({ "ice_servers": [server] })), [format!("ice_servers[0].{fault}")]);
        }
        for server in [
            json!({ "url": "stun:t.example" }),
            json!({ "url": "turns:t.example:5349?transport=tcp", "secret": "s", "ttl_seconds": 600 }),
            json!({ "url": "turn:[2001:db8::1]:3478", "username": "u", "credential": "c" }),
        ] {
            assert_eq!(read(json!({ "ice_servers": [server] })).unwrap().ice_servers.unwrap().len(), 1);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let json = json!({
            "ice_servers": [{ "url": "turn:t.example", "secret": "s" }], "policy": { "max_viewers": 3 },
        });
        let settings = read(json).unwrap();
        assert_eq!(read(settings.write()).unwrap(), settings);
        assert_eq!(read(Settings::default().write()).unwrap(), Settings::default());
    }

    #[test]
    fn merging_is_rfc_7396() {
        // Its appendix A.
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} {patch}");
        }
    }
}
