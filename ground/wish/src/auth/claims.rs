//! What a token says its bearer may do: our own claim, and the one that MediaMTX's users have.

use super::Door;
use serde::{Deserialize, Deserializer};

/// Longer patterns are of no use for names of 64 characters, but for expressions with many words.
const PATTERN_LEN_MAX: usize = 512;

/// A token's claims, as far as we read them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "exp", default, deserialize_with = "time")]
    pub expires_at: Option<u64>,
    #[serde(rename = "nbf", default, deserialize_with = "time")]
    pub not_before: Option<u64>,
    #[serde(rename = "iss", default)]
    pub issuer: Option<String>,
    #[serde(rename = "sub", default)]
    pub subject: Option<String>,
    #[serde(rename = "aud", default, deserialize_with = "one_or_many")]
    pub audiences: Vec<String>,
    #[serde(flatten)]
    pub rights: Rights,
}

/// Who may do what with which streams.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Rights {
    #[serde(default)]
    wtn: Option<Scope>,
    #[serde(default, deserialize_with = "permissions")]
    mediamtx_permissions: Vec<Permission>,
}

/// Our own claim: `{"publish": ["studio-*"], "play": "*"}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    #[serde(default, deserialize_with = "one_or_many")]
    publish: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    play: Vec<String>,
}

/// One entry of MediaMTX's claim: `{"action": "publish", "path": "~^studio-"}`.
#[derive(Clone, Debug, Deserialize)]
struct Permission {
    action: String,
    #[serde(default)]
    path: String,
}

impl Rights {
    /// Whether they let their bearer through that door of that stream.
    pub fn allow(&self, door: Door, stream: &str) -> bool {
        let (patterns, action) = match (door, &self.wtn) {
            (Door::Publish, Some(scope)) => (&*scope.publish, "publish"),
            (Door::Play, Some(scope)) => (&*scope.play, "read"),
            (Door::Publish, None) => (&[][..], "publish"),
            (Door::Play, None) => (&[][..], "read"),
        };
        patterns.iter().any(|pattern| fits(pattern, stream))
            || self
                .mediamtx_permissions
                .iter()
                .any(|each| each.action == action && is_path(&each.path, stream))
    }
}

/// Whether `name` is `pattern`, where each `*` stands for any characters, or none.
fn fits(pattern: &str, name: &str) -> bool {
    if pattern.len() > PATTERN_LEN_MAX {
        return false;
    }
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last star is, and how much of the name it has taken.
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// MediaMTX's rule: nothing means any; with a tilde, a regular expression that is found somewhere in it.
fn is_path(path: &str, stream: &str) -> bool {
    match path.strip_prefix('~') {
        _ if path.is_empty() => true,
        None => path == stream,
        Some(expression) if expression.len() > PATTERN_LEN_MAX => false,
        Some(expression) => regex_lite::RegexBuilder::new(expression)
            .size_limit(64 * 1024)
            .build()
            .is_ok_and(|expression| expression.is_match(stream)),
    }
}

/// NumericDate (RFC 7519 §2): seconds, perhaps with a fraction.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<f64>::deserialize(from)?;
    // Floats saturate: what is before 1970 is 0, what is beyond all time is the end of it.
    Ok(number.map(|seconds| seconds as u64))
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Either>::deserialize(from)? {
        None => Vec::new(),
        Some(Either::One(one)) => vec![one],
        Some(Either::Many(many)) => many,
    })
}

/// A list, or a text that holds the list, as some identity servers write it.
fn permissions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Permission>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(Vec<Permission>),
        Text(String),
    }
    match Option::<Either>::deserialize(from)? {
        None => Ok(Vec::new()),
        Some(Either::List(list)) => Ok(list),
        Some(Either::Text(text)) => serde_json::from_str(&text).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(json: &str) -> Rights {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn auth_06_our_own_claim_names_streams_by_pattern() {
        let rights = rights(r#"{"wtn": {"publish": ["studio-*", "lobby"], "play": "*"}}"#);
        for (name, expected) in
            [("studio-1", true), ("studio-", true), ("lobby", true), ("lobby2", false), ("x", false)]
        {
            assert_eq!(rights.allow(Door::Publish, name), expected, "{name}");
        }
        assert!(rights.allow(Door::Play, "anything"));
        for nothing in ["{}", r#"{"wtn": {}}"#, r#"{"wtn": null}"#, r#"{"wtn": {"publish": []}}"#] {
            let none = self::rights(nothing);
            assert!(!none.allow(Door::Publish, "x") && !none.allow(Door::Play, "x"), "{nothing}");
        }
        assert!(serde_json::from_str::<Rights>(r#"{"wtn": {"pubish": ["*"]}}"#).is_err(), "a typing error");
    }

    #[test]
    fn auth_06_mediamtx_permissions_mean_what_they_mean_there() {
        let json = r#"{"mediamtx_permissions": [
            {"action": "publish", "path": "~^cam[0-9]+$"}, {"action": "read", "path": ""}, {"action": "api"}
        ]}"#;
        let list = rights(json);
        let inner = json.split_once(':').unwrap().1.trim().trim_end_matches('}');
        let text = format!(r#"{{"mediamtx_permissions": {}}}"#, serde_json::to_string(inner).unwrap());
        for rights in [list, rights(&text)] {
            assert!(rights.allow(Door::Publish, "cam12") && !rights.allow(Door::Publish, "cam12x"));
            assert!(rights.allow(Door::Play, "anything"));
        }
        let exact = rights(r#"{"mediamtx_permissions": [{"action": "read", "path": "live"}]}"#);
        assert!(exact.allow(Door::Play, "live") && !exact.allow(Door::Play, "live2"));
        assert!(!exact.allow(Door::Publish, "live"));
        let broken = rights(r#"{"mediamtx_permissions": [{"action": "read", "path": "~("}]}"#);
        assert!(!broken.allow(Door::Play, "("), "an expression that cannot be read allows nothing");
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("**", "a", true),
            ("a*b*c", "aXbYbc", true),
            ("ab", "abc", false),
            ("*.x", "a.x", true),
            ("a?c", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        let slow = format!("{}b", "a*".repeat(250));
        assert!(!fits(&slow, &"a".repeat(64)));
    }

    #[test]
    fn times_may_have_fractions_and_audiences_may_be_one() {
        let claims: Claims =
            serde_json::from_str(r#"{"exp": 1700000000.5, "nbf": -3, "aud": "wtn", "iss": "me"}"#).unwrap();
        assert_eq!((claims.expires_at, claims.not_before), (Some(1_700_000_000), Some(0)));
        assert_eq!(claims.audiences, ["wtn"]);
        for bad in [r#"{"exp": "never"}"#, r#"{"exp": 1, "exp": 2}"#, r#"{"exp": [1]}"#] {
            assert!(serde_json::from_str::<Claims>(bad).is_err(), "{bad}");
        }
    }
}
