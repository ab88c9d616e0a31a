//! The lock of one stream's doors: what opens them.

use super::jwt::{JwtFault, JwtRules, LEEWAY_S};
use super::{Door, Key, KeySet, OpenedBy, Question, Verdict, WebhookQuestion, bearer, find};
use crate::{DeskConfig, Ending, Endpoint, EndpointKey, Problem, Request};

/// Everything that a request to a stream is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock<'a> {
    pub config: &'a DeskConfig,
    /// The keys behind the JWKS URL, once they have come.
    pub key_set: Option<&'a KeySet>,
    /// The stream's endpoint, if the operator has made one.
    pub endpoint: Option<&'a Endpoint>,
}

/// What became of a key that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Good,
    Expired,
    Nowhere,
}

impl Lock<'_> {
    /// Whether the request opens that door of the stream `name`.
    pub fn open(&self, door: Door, name: &str, request: &Request<'_>) -> Result<OpenedBy, Problem> {
        if !self.is_locked(door) {
            return Ok(OpenedBy::Nothing);
        }
        let token = request.authorization.and_then(bearer);
        let key = token.map(Key::new);
        let found = key.map_or(Found::Nowhere, |key| self.find(door, &key, request.unix_now));
        if let (Some(key), Found::Good) = (key, found) {
            return Ok(OpenedBy::Key(key));
        }
        let by_token = token.and_then(|token| self.read_token(door, name, token, request.unix_now));
        if let Some(Ok(opened_by)) = by_token {
            return Ok(opened_by);
        }
        if self.asks_webhook(door) {
            match request.verdict {
                Some(Verdict::Allowed) => return Ok(OpenedBy::Webhook(request.authorization.map(Key::new))),
                Some(Verdict::Denied) => {}
                Some(Verdict::Unreachable) | None => return Err(Problem::webhook_unreachable()),
            }
        }
        let Some(key) = key else { return Err(Problem::no_token()) };
        Err(match (found, by_token) {
            (Found::Expired, _) => Problem::key_expired(),
            (_, Some(Err(problem))) => problem,
            _ if self.find(door.other(), &key, request.unix_now) == Found::Good => {
                Problem::wrong_scope(match door {
                    Door::Publish => "This key allows watching, not publishing.",
                    Door::Play => "This key allows publishing, not watching.",
                })
            }
            _ if request.verdict == Some(Verdict::Denied) => Problem::denied_by_webhook(),
            _ => Problem::bad_token(),
        })
    }

    /// What must be found out before [`open`](Self::open) can be asked.
    pub fn question(
        &self,
        door: Door,
        name: &str,
        request: &Request<'_>,
        has_newest_keys: bool,
    ) -> Option<Question> {
        if !self.is_locked(door) {
            return None;
        }
        let token = request.authorization.and_then(bearer);
        if token.is_some_and(|token| self.find(door, &Key::new(token), request.unix_now) == Found::Good) {
            return None;
        }
        if let (Some(rules), Some(token)) = (self.jwt(door), token) {
            if !has_newest_keys && rules.wants_keys(self.key_set, token) {
                return Some(Question::KeySet);
            }
            if matches!(self.read_token(door, name, token, request.unix_now), Some(Ok(_))) {
                return None;
            }
        }
        let webhook = || Question::Webhook(Box::new(WebhookQuestion::new(door, name, request)));
        self.asks_webhook(door).then(webhook)
    }

    /// Whether the request comes from whoever opened the session: the same credential, or a newer token of the
    /// same subject that is good for the stream. One that has expired since is as good as it was: it can but end
    /// or move the session it made.
    pub fn session(
        &self,
        door: Door,
        name: &str,
        opened_by: OpenedBy,
        request: &Request<'_>,
    ) -> Result<(), Problem> {
        let Some(credential) = opened_by.credential() else { return Ok(()) };
        let shown = match opened_by {
            OpenedBy::Webhook(_) => request.authorization,
            _ => request.authorization.and_then(bearer),
        };
        let Some(shown) = shown else { return Err(Problem::no_token()) };
        if Key::new(shown) == credential {
            return Ok(());
        }
        let newer = self.read_token(door, name, shown, request.unix_now);
        if let (OpenedBy::Token { subject: Some(ours), .. }, Some(Ok(OpenedBy::Token { subject, .. }))) =
            (opened_by, &newer)
            && *subject == Some(ours)
        {
            return Ok(());
        }
        let is_known = matches!(newer, Some(Ok(_)))
            || self.find(door, &Key::new(shown), request.unix_now) != Found::Nowhere
            || self.find(door.other(), &Key::new(shown), request.unix_now) != Found::Nowhere;
        Err(match is_known {
            true => Problem::wrong_scope("This session was made with another key."),
            false => Problem::bad_token(),
        })
    }

    /// Why a session that was opened so should not run on, if it should not.
    pub fn ending(&self, door: Door, opened_by: OpenedBy, unix_now: u64) -> Option<Ending> {
        if !self.is_locked(door) {
            return None;
        }
        match opened_by {
            OpenedBy::Nothing => None,
            OpenedBy::Key(key) => match self.find(door, &key, unix_now) {
                Found::Good => None,
                Found::Expired => Some(Ending::Expired),
                Found::Nowhere => Some(Ending::Revoked),
            },
            OpenedBy::Token { .. } if self.jwt(door).is_none() => Some(Ending::Revoked),
            OpenedBy::Token { expires_at, .. } => {
                (unix_now >= expires_at.saturating_add(LEEWAY_S)).then_some(Ending::Expired)
            }
            OpenedBy::Webhook(_) if !self.asks_webhook(door) => Some(Ending::Revoked),
            OpenedBy::Webhook(_) => None,
        }
    }

    /// When a session that was opened so may come to its end by itself.
    pub fn ends_at(&self, door: Door, opened_by: OpenedBy) -> Option<u64> {
        match opened_by {
            OpenedBy::Key(key) => {
                self.own_keys(door).iter().find(|each| each.key == key).and_then(|each| each.expires_at)
            }
            OpenedBy::Token { expires_at, .. } => Some(expires_at.saturating_add(LEEWAY_S)),
            OpenedBy::Nothing | OpenedBy::Webhook(_) => None,
        }
    }

    fn is_locked(&self, door: Door) -> bool {
        !self.own_keys(door).is_empty()
            || !self.server_keys(door).is_empty()
            || self.jwt(door).is_some()
            || self.asks_webhook(door)
    }

    /// The keys of the endpoint count if it has any, else those of the server. All are compared.
    fn find(&self, door: Door, key: &Key, unix_now: u64) -> Found {
        let own = self.own_keys(door);
        if own.is_empty() {
            return if find(self.server_keys(door), key) { Found::Good } else { Found::Nowhere };
        }
        own.iter().filter(|each| each.key == *key).fold(Found::Nowhere, |found, each| {
            let is_good = each.expires_at.is_none_or(|end| unix_now < end);
            if is_good || found == Found::Good { Found::Good } else { Found::Expired }
        })
    }

    /// `None`: there are no rules for tokens at this door, or it is no such token.
    fn read_token(
        &self,
        door: Door,
        name: &str,
        token: &str,
        unix_now: u64,
    ) -> Option<Result<OpenedBy, Problem>> {
        let rules = self.jwt(door).filter(|_| JwtRules::has_shape(token))?;
        Some(match rules.read(self.key_set, token, unix_now) {
            Ok(grant) if grant.rights.allow(door, name) => Ok(OpenedBy::Token {
                token: Key::new(token),
                subject: grant.subject,
                expires_at: grant.expires_at,
            }),
            Ok(_) => Err(Problem::wrong_scope(match door {
                Door::Publish => "This token does not allow publishing this stream.",
                Door::Play => "This token does not allow watching this stream.",
            })),
            Err(JwtFault::UnknownKey) if rules.has_key_set && self.key_set.is_none() => {
                Err(Problem::key_set_missing())
            }
            Err(JwtFault::Expired) => Err(Problem::key_expired()),
            Err(fault) => Err(Problem::bad_jwt(fault.sentence(), fault.fix())),
        })
    }

    fn jwt(&self, door: Door) -> Option<&JwtRules> {
        self.config.auth.jwt.as_ref().filter(|rules| rules.guards.stand_at(door))
    }

    const fn asks_webhook(&self, door: Door) -> bool {
        self.config.auth.webhook.stand_at(door)
    }

    fn server_keys(&self, door: Door) -> &[Key] {
        match door {
            Door::Publish => &self.config.publish_keys,
            Door::Play => &self.config.play_keys,
        }
    }

    fn own_keys(&self, door: Door) -> &[EndpointKey] {
        self.endpoint.map_or(&[], |endpoint| match door {
            Door::Publish => &endpoint.publish_keys,
            Door::Play => &endpoint.play_keys,
        })
    }
}

impl Door {
    const fn other(self) -> Self {
        match self {
            Self::Publish => Self::Play,
            Self::Play => Self::Publish,
        }
    }
}
