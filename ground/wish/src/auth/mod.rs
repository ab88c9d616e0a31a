//! Who may publish, who may watch, whose session it is, who may administer.
//!
//! A request shows a bearer token (RFC 6750), in its header or its URL. It is held against the keys of the
//! endpoint, or of the server where the endpoint has none; then, if there are such rules, against those for signed
//! tokens (`jwt`); then somebody elsewhere is asked (`question`). The first who knows it decides. A door that has
//! neither keys nor rules is open, and whatever a request shows there is not looked at.

mod admin;
mod claims;
mod jwt;
mod key;
mod lock;
mod opened_by;
mod question;

pub use admin::AdminRequest;
pub use jwt::{JwtKey, JwtRules, KeySet, SECRET_LEN_MIN};
pub use key::Key;
pub(crate) use lock::Lock;
pub(crate) use opened_by::OpenedBy;
pub use question::{Question, Verdict, WebhookQuestion};

/// What is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Publish,
    Play,
}

/// Who may come in by other ways than the keys that have lists of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthRules {
    /// Who may administer the server from anywhere.
    pub admin_keys: Vec<Key>,
    /// Whether programs on this machine may do so without a key.
    pub local_admin: bool,
    /// Signed tokens that are believed.
    pub jwt: Option<JwtRules>,
    /// For which doors a webhook is asked.
    pub webhook: Guards,
}

impl Default for AuthRules {
    fn default() -> Self {
        Self { admin_keys: Vec::new(), local_admin: true, jwt: None, webhook: Guards::default() }
    }
}

/// Which doors a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Publishing.
    pub publish: bool,
    /// Watching.
    pub play: bool,
}

impl Guards {
    /// Both.
    pub const BOTH: Self = Self { publish: true, play: true };

    pub(crate) const fn stand_at(self, door: Door) -> bool {
        match door {
            Door::Publish => self.publish,
            Door::Play => self.play,
        }
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether `key` is one of `keys`. All of them are compared, so that the time taken does not tell which.
fn find(keys: &[Key], key: &Key) -> bool {
    keys.iter().fold(false, |found, each| found | (each == key))
}

#[cfg(test)]
mod tests;
