//! TALWTN's way in: `/pub/{appID}/{streamID}` and `/sub/{appID}/{streamID}`, opened by tokens that an app signs
//! with the key it shares with this server (JWT, HS256).
//!
//! Shipped SDKs speak it, so its statuses are those that they know: 400, 401, 403, 404 and 500.

use crate::auth::Door;
use crate::{Problem, Request, is_stream_name};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use std::fmt;

/// A customer's application: its streams are its own, and its key signs for them.
#[derive(Clone, PartialEq, Eq)]
pub struct TalwtnApp {
    /// The `appID` of URLs and tokens: made like a stream's name.
    pub id: String,
    /// What tokens are signed with. Several, so that one can be exchanged for the next without a break.
    pub keys: Vec<String>,
}

/// Hides the keys.
impl fmt::Debug for TalwtnApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TalwtnApp").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a token says, as far as we look at it.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "appID")]
    app: String,
    #[serde(rename = "streamID")]
    stream: String,
    action: String,
    version: Option<String>,
    exp: Option<f64>,
    #[serde(rename = "enableSubAuth")]
    sub_auth: Option<bool>,
}

/// How a publisher that was let in wants its viewers to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Viewers need a token of their own.
    pub sub_auth: bool,
}

/// Versions of the token that we read.
const VERSION: &str = "1.0";
/// An expiry above this is meant in milliseconds, as one of the SDK's demos writes it: in seconds it would be
/// after the year 5000.
const MILLISECONDS_ABOVE: f64 = 1e11;
/// A clock may be wrong by so much, in seconds.
const LEEWAY_S: f64 = 30.0;

/// `{appID}+{streamID}`, if both are names. No other URL leads there, since `+` is in no stream's name: what an
/// app keeps behind tokens must not be open at `/whep/{name}`.
pub(crate) fn parts(name: &str) -> Option<(&str, &str)> {
    name.split_once('+').filter(|(app, stream)| is_stream_name(app) && is_stream_name(stream))
}

/// Whether the request's token opens `{appID}+{streamID}`. An app that does not exist looks like one whose
/// key is another.
pub(crate) fn open(
    apps: &[TalwtnApp],
    door: Door,
    name: &str,
    request: &Request<'_>,
) -> Result<Grant, Problem> {
    let (app, stream) = parts(name).ok_or_else(Problem::bad_name)?;
    let token = request.authorization.and_then(token).ok_or_else(Problem::no_app_token)?;
    let claims = verified(apps, app, token).ok_or_else(Problem::bad_app_token)?;
    let exp = claims.exp.map(|exp| if exp > MILLISECONDS_ABOVE { exp / 1000.0 } else { exp });
    if exp.is_none_or(|exp| exp + LEEWAY_S <= request.unix_now as f64) {
        return Err(Problem::app_token_expired());
    }
    let action = claims.action.to_ascii_lowercase();
    let is_for_door = match door {
        // One of the demos says `push`.
        Door::Publish => action == "pub" || action == "push",
        Door::Play => action == "sub",
    };
    let is_version = claims.version.as_deref().is_none_or(|version| version == VERSION);
    if claims.app != app || claims.stream != stream || !is_for_door || !is_version {
        return Err(Problem::app_token_scope());
    }
    Ok(Grant { sub_auth: claims.sub_auth.unwrap_or(true) })
}

/// The token of `Bearer <token>`, or the bare token, which is what the SDK sends without a `TokenType`.
fn token(authorization: &str) -> Option<&str> {
    let text = authorization.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) => return None,
        None if text.eq_ignore_ascii_case("bearer") => return None,
        None => text,
    };
    (!token.is_empty()).then_some(token)
}

/// The claims of a token that one of the app's keys has signed with HS256, and with nothing else.
fn verified(apps: &[TalwtnApp], app: &str, token: &str) -> Option<Claims> {
    let mut rule = Validation::new(Algorithm::HS256);
    // Time is handed in here, and looked at by the caller.
    rule.validate_exp = false;
    rule.validate_nbf = false;
    rule.validate_aud = false;
    rule.required_spec_claims.clear();
    let keys = apps.iter().find(|known| known.id == app).map_or(&[][..], |known| &known.keys);
    keys.iter().filter(|key| !key.is_empty()).find_map(|key| {
        let key = DecodingKey::from_secret(key.as_bytes());
        jsonwebtoken::decode::<Claims>(token, &key, &rule).ok().map(|data| data.claims)
    })
}

/// A problem as TALWTN's SDKs can tell it: nobody there is `ResourcesNotFound`, taken is no permission, what is
/// wrong with the request is a parameter, and all else is the server's.
pub(crate) fn in_its_words(mut problem: Problem) -> Problem {
    problem.status = match (problem.status, problem.code) {
        (409, "not_live") => 404,
        (409, _) => 403,
        (known @ (400 | 401 | 403 | 404 | 405 | 307), _) => known,
        (429 | 500.., _) => 500,
        _ => 400,
    };
    problem
}

impl Problem {
    fn no_app_token() -> Self {
        let detail = "The request has no token of the app.";
        let fix = "Add ?Token=...&TokenType=Bearer to the URL, or send \"Authorization: Bearer TOKEN\".";
        Self::new(401, "app_token_missing", "A token is needed", detail, fix)
            .with("WWW-Authenticate", "Bearer realm=\"wtn\"")
    }

    fn bad_app_token() -> Self {
        let detail = "The token is not signed with the key of this app, or not by HS256.";
        let fix = "Sign it with the key that stands at the app in this server's configuration.";
        Self::new(401, "app_token_invalid", "The token is not valid", detail, fix)
            .with("WWW-Authenticate", "Bearer realm=\"wtn\", error=\"invalid_token\"")
    }

    fn app_token_expired() -> Self {
        let detail = "The token's \"exp\" has passed, or it has none.";
        let fix = "Make a new token, and see that the clocks of its maker and of this server agree.";
        Self::new(401, "app_token_expired", "The token has expired", detail, fix)
            .with("WWW-Authenticate", "Bearer realm=\"wtn\", error=\"invalid_token\"")
    }

    fn app_token_scope() -> Self {
        let detail = "The token is for another app, stream or action, or of a version that is not 1.0.";
        let fix = "Make one whose appID and streamID are those of the URL; action is pub or sub.";
        Self::new(403, "app_token_scope", "The token is for something else", detail, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Method, Resource};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    const NOW: u64 = 1_700_000_000;

    fn apps() -> Vec<TalwtnApp> {
        let app = |id: &str, keys: &[&str]| TalwtnApp {
            id: id.to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        vec![app("school", &["new", "old"]), app("other", &["theirs"]), app("empty", &[""])]
    }

    fn signed(key: &str, claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(key.as_bytes());
        format!("Bearer {}", jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap())
    }

    fn claims(action: &str) -> serde_json::Value {
        json!({ "appID": "school", "streamID": "cam", "action": action, "version": "1.0", "exp": NOW + 60 })
    }

    fn with(name: &str, value: serde_json::Value) -> serde_json::Value {
        let mut claims = claims("pub");
        claims[name] = value;
        claims
    }

    fn at(door: Door, name: &str, authorization: Option<&str>) -> Result<Grant, (u16, &'static str)> {
        let request = Request {
            family: Family::Talwtn,
            authorization,
            unix_now: NOW,
            ..Request::new(Method::Post, Resource::WhipEndpoint(name.into()))
        };
        open(&apps(), door, name, &request).map_err(|problem| (problem.status, problem.code))
    }

    fn publish(authorization: &str) -> Result<Grant, (u16, &'static str)> {
        at(Door::Publish, "school+cam", Some(authorization))
    }

    #[test]
    fn talwtn_the_actions_case_does_not_matter() {
        for action in ["pub", "Pub", "PUB", "push"] {
            assert!(publish(&signed("new", &claims(action))).is_ok(), "{action}");
        }
        for action in ["sub", "Sub"] {
            let token = signed("new", &claims(action));
            assert!(at(Door::Play, "school+cam", Some(&token)).is_ok(), "{action}");
            assert_eq!(publish(&token), Err((403, "app_token_scope")), "{action}");
        }
    }

    #[test]
    fn talwtn_any_of_the_apps_keys_signs_and_no_other() {
        assert!(publish(&signed("old", &claims("pub"))).is_ok());
        let bare = signed("new", &claims("pub"));
        assert!(publish(bare.trim_start_matches("Bearer ")).is_ok(), "without a TokenType");
        for key in ["theirs", "", "neww"] {
            assert_eq!(publish(&signed(key, &claims("pub"))), Err((401, "app_token_invalid")), "{key}");
        }
        for name in ["empty+cam", "nobody+cam"] {
            let token = signed("", &claims("pub"));
            assert_eq!(at(Door::Publish, name, Some(&token)), Err((401, "app_token_invalid")), "{name}");
        }
    }

    #[test]
    fn auth_06_another_algorithm_is_no_signature() {
        let none =
            "Bearer eyJhbGciOiJub25lIn0.eyJhcHBJRCI6InNjaG9vbCIsInN0cmVhbUlEIjoiY2FtIiwiYWN0aW9uIjoicHViIn0.";
        assert_eq!(publish(none), Err((401, "app_token_invalid")));
        let key = EncodingKey::from_secret(b"new");
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let token = jsonwebtoken::encode(&Header::new(algorithm), &claims("pub"), &key).unwrap();
            assert_eq!(publish(&format!("Bearer {token}")), Err((401, "app_token_invalid")), "{algorithm:?}");
        }
    }

    #[test]
    fn talwtn_a_token_opens_its_own_stream_until_it_expires() {
        let check = |claims: serde_json::Value, expected| {
            assert_eq!(publish(&signed("new", &claims)).err(), expected, "{claims}");
        };
        let (scope, expired) = (Some((403, "app_token_scope")), Some((401, "app_token_expired")));
        check(with("appID", json!("other")), scope);
        check(with("streamID", json!("cam2")), scope);
        check(with("version", json!("2.0")), scope);
        check(with("exp", json!(NOW - 31)), expired);
        check(with("exp", json!(NOW - 29)), None);
        check(with("exp", json!(null)), expired);
        check(with("exp", json!((NOW + 60) * 1000)), None);
        check(with("exp", json!((NOW - 60) * 1000)), expired);
        check(with("version", json!(null)), None);
        check(with("streamID", json!(7)), Some((401, "app_token_invalid")));
    }

    #[test]
    fn talwtn_viewers_need_a_token_unless_the_publisher_says_otherwise() {
        for (value, expected) in [(json!(false), false), (json!(true), true), (json!(null), true)] {
            let grant = publish(&signed("new", &with("enableSubAuth", value.clone())));
            assert_eq!(grant, Ok(Grant { sub_auth: expected }), "{value}");
        }
    }

    #[test]
    fn talwtn_no_token_and_no_name() {
        for none in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic abc")] {
            assert_eq!(at(Door::Publish, "school+cam", none), Err((401, "app_token_missing")), "{none:?}");
        }
        for name in ["cam", "school+", "+cam", "school+a+b", "school+a/b"] {
            assert_eq!(at(Door::Publish, name, None), Err((400, "bad_name")), "{name}");
        }
    }

    #[test]
    fn talwtn_problems_come_as_statuses_that_the_sdk_knows() {
        let status = |problem: Problem| in_its_words(problem).status;
        assert_eq!(status(Problem::not_live(1)), 404);
        assert_eq!(status(Problem::taken()), 403);
        assert_eq!(status(Problem::offer_wanted()), 400);
        assert_eq!(status(Problem::body_too_large()), 400);
        assert_eq!(status(Problem::full("streams", 5)), 500);
        assert_eq!(status(Problem::crowded_stream()), 500);
        assert_eq!(status(Problem::not_found()), 404);
        assert_eq!(status(Problem::bad_app_token()), 401);
    }

    #[test]
    fn auth_08_an_app_shows_no_key() {
        assert!(!format!("{:?}", apps()).contains("theirs"));
    }
}
