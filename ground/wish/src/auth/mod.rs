//! Bearer tokens (RFC 6750): who may publish, who may watch, whose session it is.

mod admin;
mod key;
mod question;

pub use admin::AdminRequest;
pub use key::Key;
pub use question::Verdict;

use crate::{DeskConfig, Problem};

/// Who may come in by other ways than the keys that have lists of their own.
#[derive(Clone, Debug)]
pub struct AuthRules {
    /// Who may administer the server from anywhere.
    pub admin_keys: Vec<Key>,
    /// Whether programs on this machine may do so without a key.
    pub local_admin: bool,
}

impl Default for AuthRules {
    fn default() -> Self {
        Self { admin_keys: Vec::new(), local_admin: true }
    }
}

/// What is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Publish,
    Play,
}

/// Which key opened. `None` where no key is asked for.
pub(crate) type OpenedBy = Option<Key>;

/// Whether the header opens the endpoint. With no keys configured any header will do.
pub(crate) fn endpoint(
    config: &DeskConfig,
    door: Door,
    authorization: Option<&str>,
) -> Result<OpenedBy, Problem> {
    let (keys, others) = keys(config, door);
    if keys.is_empty() {
        return Ok(None);
    }
    let Some(token) = authorization.and_then(bearer) else { return Err(Problem::no_token()) };
    let key = Key::new(token);
    if find(keys, &key) {
        return Ok(Some(key));
    }
    Err(match find(others, &key) {
        true => Problem::wrong_scope(match door {
            Door::Publish => "This key allows watching, not publishing.",
            Door::Play => "This key allows publishing, not watching.",
        }),
        false => Problem::bad_token(),
    })
}

/// Whether the header opens a session that `opened_by` made: only the same key does.
pub(crate) fn session(
    config: &DeskConfig,
    door: Door,
    opened_by: OpenedBy,
    authorization: Option<&str>,
) -> Result<(), Problem> {
    if opened_by.is_none() {
        return Ok(());
    }
    let found = endpoint(config, door, authorization)?;
    if found == opened_by {
        Ok(())
    } else {
        Err(Problem::wrong_scope("This session was made with another key."))
    }
}

fn keys(config: &DeskConfig, door: Door) -> (&[Key], &[Key]) {
    match door {
        Door::Publish => (&config.publish_keys, &config.play_keys),
        Door::Play => (&config.play_keys, &config.publish_keys),
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether `key` is one of `keys`. All of them are compared, so that the time taken does not tell which.
fn find(keys: &[Key], key: &Key) -> bool {
    keys.iter().fold(false, |found, each| found | (each == key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::{Fingerprint, HashAlgorithm};

    fn config(publish: &[&str], play: &[&str]) -> DeskConfig {
        let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![0; 32] };
        let keys = |tokens: &[&str]| tokens.iter().map(|token| Key::new(*token)).collect();
        DeskConfig {
            publish_keys: keys(publish),
            play_keys: keys(play),
            ..DeskConfig::new(Vec::new(), 0, fingerprint)
        }
    }

    fn status(result: Result<OpenedBy, Problem>) -> u16 {
        result.map_or_else(|problem| problem.status, |_| 200)
    }

    #[test]
    fn auth_01_any_case_of_the_scheme_opens() {
        let config = config(&["one", "two"], &[]);
        for header in ["Bearer two", "bearer two", "BEARER   two ", " Bearer two"] {
            assert_eq!(endpoint(&config, Door::Publish, Some(header)), Ok(Some(Key::new("two"))), "{header}");
        }
    }

    #[test]
    fn auth_02_and_06_three_ways_to_be_wrong() {
        let config = config(&["pub"], &["play"]);
        for none in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic cHVi"), Some("pub")] {
            assert_eq!(endpoint(&config, Door::Publish, none), Err(Problem::no_token()), "{none:?}");
        }
        for bad in ["Bearer undefined", "Bearer pu", "Bearer pubb", "Bearer PUB"] {
            assert_eq!(endpoint(&config, Door::Publish, Some(bad)), Err(Problem::bad_token()), "{bad}");
        }
        assert_eq!(status(endpoint(&config, Door::Publish, Some("Bearer play"))), 403);
        assert_eq!(status(endpoint(&config, Door::Play, Some("Bearer pub"))), 403);
    }

    #[test]
    fn auth_05_without_keys_any_header_passes() {
        let config = config(&[], &["play"]);
        assert_eq!(endpoint(&config, Door::Publish, Some("Bearer undefined")), Ok(None));
        assert_eq!(endpoint(&config, Door::Publish, None), Ok(None));
    }

    #[test]
    fn sess_29_a_session_opens_for_its_own_key_only() {
        let config = config(&["one", "two"], &[]);
        let one = Some(Key::new("one"));
        assert!(session(&config, Door::Publish, one, Some("Bearer one")).is_ok());
        assert_eq!(session(&config, Door::Publish, one, Some("Bearer two")).unwrap_err().status, 403);
        assert_eq!(session(&config, Door::Publish, one, None).unwrap_err().status, 401);
        assert!(session(&config, Door::Publish, None, None).is_ok());
    }

    #[test]
    fn an_empty_key_opens_nothing() {
        let config = config(&[""], &[]);
        assert_eq!(endpoint(&config, Door::Publish, Some("Bearer x")), Err(Problem::bad_token()));
    }
}
