//! Who may come in by other ways than keys of lists, and how fast anybody may ask.

use super::Secret;
use std::path::PathBuf;

/// `[auth.jwt]`: signed tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// `secret`: shared with the issuer, for HS256 and its kin.
    pub secret: Option<Secret>,
    /// `public_keys`: PEM files.
    pub public_keys: Vec<PathBuf>,
    /// `jwks_url`.
    pub jwks_url: Option<String>,
    /// `audiences`.
    pub audiences: Vec<String>,
    /// `issuers`.
    pub issuers: Vec<String>,
    /// `guards`.
    pub guards: Vec<Guarded>,
}

/// `[auth.webhook]`: a service that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `url`.
    pub url: Option<String>,
    /// `timeout_seconds`.
    pub timeout_seconds: u32,
    /// `keep_seconds`.
    pub keep_seconds: u32,
    /// `guards`.
    pub guards: Vec<Guarded>,
}

/// What needs leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// Publishing.
    Publish,
    /// Watching.
    Play,
}

/// `[limits]`: how fast anybody may ask, and how much one may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// `requests_per_second`, from one address; 0: no limit.
    pub requests_per_second: u32,
    /// `requests_at_once`, from one address after a pause.
    pub requests_at_once: u32,
    /// `requests_per_second_per_key`; 0: no limit.
    pub requests_per_second_per_key: u32,
    /// `requests_at_once_per_key`.
    pub requests_at_once_per_key: u32,
    /// `connections_per_address`; 0: no limit.
    pub connections_per_address: u32,
    /// `loopback`: whether programs on this machine are limited too.
    pub loopback: bool,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            secret: None,
            public_keys: Vec::new(),
            jwks_url: None,
            audiences: Vec::new(),
            issuers: Vec::new(),
            guards: vec![Guarded::Publish, Guarded::Play],
        }
    }
}

impl JwtConfig {
    /// Whether there is anything to check a token with.
    pub fn is_on(&self) -> bool {
        self.secret.is_some() || !self.public_keys.is_empty() || self.jwks_url.is_some()
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { url: None, timeout_seconds: 5, keep_seconds: 0, guards: vec![Guarded::Publish, Guarded::Play] }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            requests_per_second: 100,
            requests_at_once: 500,
            requests_per_second_per_key: 1_000,
            requests_at_once_per_key: 5_000,
            connections_per_address: 1_024,
            loopback: false,
        }
    }
}

impl super::Config {
    /// Whether anybody could publish by the server's own rules.
    pub fn has_way_in(&self) -> bool {
        let jwt = self.jwt.is_on() && self.jwt.guards.contains(&Guarded::Publish);
        let webhook = self.webhook.url.is_some() && self.webhook.guards.contains(&Guarded::Publish);
        self.open || !self.publish_keys.is_empty() || jwt || webhook
    }
}
