//! What only somebody elsewhere can answer: asked as a value, answered as a value.

use super::{Door, Key};
use crate::Request;
use serde::Serialize;
use std::fmt;

/// Something to find out before a request can be judged.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whether there are newer keys behind the JWKS URL: the token is signed with one that we do not have.
    KeySet,
    /// Whether the webhook lets this client in.
    Webhook(Box<WebhookQuestion>),
}

/// What the webhook is asked, in the JSON that MediaMTX' users have. Holds a credential, which `Debug` hides.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct WebhookQuestion {
    /// Of `Authorization: Basic`, or of a bearer token `user:password`.
    pub user: String,
    /// Of the same.
    pub password: String,
    /// The bearer token, unless it is `user:password`.
    pub token: String,
    /// The client's address.
    pub ip: String,
    /// `publish` or `read`.
    pub action: &'static str,
    /// The stream's name.
    pub path: String,
    /// `webrtc`.
    pub protocol: &'static str,
    /// `null`: there is no session yet.
    pub id: Option<String>,
    /// The query of the URL.
    pub query: String,
    /// What the client calls itself.
    #[serde(rename = "userAgent")]
    pub user_agent: String,
}

/// What the webhook said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Come in.
    Allowed,
    /// Stay out.
    Denied,
    /// Nothing, or nothing that could be understood: stay out for now.
    Unreachable,
}

impl WebhookQuestion {
    pub(super) fn new(door: Door, stream: &str, request: &Request<'_>) -> Self {
        let header = request.authorization.unwrap_or_default().trim();
        let (scheme, value) = header.split_once(' ').unwrap_or_default();
        let value = value.trim();
        let (user, password, token) = if scheme.eq_ignore_ascii_case("basic") {
            let (user, password) = basic(value).unwrap_or_default();
            (user, password, String::new())
        } else {
            let value = if scheme.eq_ignore_ascii_case("bearer") { value } else { "" };
            match value.split_once(':') {
                Some((user, password)) if !password.contains(':') => {
                    (user.to_owned(), password.to_owned(), String::new())
                }
                _ => (String::new(), String::new(), value.to_owned()),
            }
        };
        Self {
            user,
            password,
            token,
            ip: request.client.map(|client| client.to_canonical().to_string()).unwrap_or_default(),
            action: match door {
                Door::Publish => "publish",
                Door::Play => "read",
            },
            path: stream.to_owned(),
            protocol: "webrtc",
            id: None,
            query: request.query.unwrap_or_default().to_owned(),
            user_agent: request.user_agent.unwrap_or_default().to_owned(),
        }
    }

    /// The question as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings alone: that cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Two questions with the same digest get the same answer, for a while.
    pub fn digest(&self) -> [u8; 32] {
        *Key::of_bytes(&self.to_json()).digest()
    }
}

impl fmt::Debug for WebhookQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, path, ip, .. } = self;
        f.debug_struct("WebhookQuestion")
            .field("action", action)
            .field("path", path)
            .field("ip", ip)
            .finish_non_exhaustive()
    }
}

/// User and password of `Basic` (RFC 7617).
fn basic(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(from_base64(value)?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// RFC 4648 §4, padding or not.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|each| *each == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Resource};

    fn ask(authorization: Option<&str>) -> serde_json::Value {
        let mut request = crate::auth::tests::request(authorization);
        request.method = Method::Post;
        request.resource = Resource::WhepEndpoint("live".into());
        request.client = Some("::ffff:192.0.2.7".parse().unwrap());
        request.query = Some("jwt=abc&x=1");
        request.user_agent = Some("OBS");
        let question = WebhookQuestion::new(Door::Play, "live", &request);
        assert!(!format!("{question:?}").contains("secret"));
        serde_json::from_slice(&question.to_json()).unwrap()
    }

    #[test]
    fn the_question_is_in_the_words_of_mediamtx() {
        let json = ask(Some("Bearer secret-token"));
        let expected = serde_json::json!({
            "user": "", "password": "", "token": "secret-token", "ip": "192.0.2.7", "action": "read",
            "path": "live", "protocol": "webrtc", "id": null, "query": "jwt=abc&x=1", "userAgent": "OBS",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn user_and_password_come_by_basic_or_in_the_bearer_token() {
        for (header, user, password, token) in [
            ("Basic YW5uYTpzZWNyZXQ=", "anna", "secret", ""),
            ("basic YW5uYTpzZWM6cmV0", "anna", "sec:ret", ""),
            ("Bearer anna:secret", "anna", "secret", ""),
            ("Bearer a:b:c", "", "", "a:b:c"),
            ("Basic !!", "", "", ""),
            ("Digest secret", "", "", ""),
            ("secret", "", "", ""),
        ] {
            let json = ask(Some(header));
            assert_eq!(
                (&json["user"], &json["password"], &json["token"]),
                (&user.into(), &password.into(), &token.into()),
                "{header}"
            );
        }
        assert_eq!(ask(None)["token"], "");
    }
}
