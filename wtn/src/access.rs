//! What the configuration says of access, made into what the desk and its doorkeepers work by.

use crate::StartError;
use crate::config::{Config, Guarded, Secret};
use std::path::Path;
use std::time::Duration;
use wtn_auth::{KeySetUrl, Webhook, WebhookConfig};
use wtn_http::{Limits, Outside, Rates};
use wtn_wish::limiter::Rate;
use wtn_wish::{AuthRules, Guards, JwtKey, JwtRules, Key};

/// The desk's rules. Reads the key files.
pub(crate) fn rules(config: &Config) -> Result<AuthRules, StartError> {
    let guards = |doors: &[Guarded]| Guards {
        publish: doors.contains(&Guarded::Publish) && !config.open,
        play: doors.contains(&Guarded::Play),
    };
    let jwt = &config.jwt;
    let secret = jwt.secret.as_ref().and_then(|secret| JwtKey::from_secret(secret.reveal()));
    let files = jwt.public_keys.iter().map(|file| public_key(file)).collect::<Result<Vec<_>, _>>()?;
    let rules = JwtRules {
        keys: secret.into_iter().chain(files).collect(),
        has_key_set: jwt.jwks_url.is_some(),
        audiences: jwt.audiences.clone(),
        issuers: jwt.issuers.clone(),
        guards: guards(&jwt.guards),
    };
    Ok(AuthRules {
        admin_keys: config.admin_keys.iter().map(Secret::reveal).map(Key::new).collect(),
        local_admin: config.local_admin,
        jwt: jwt.is_on().then_some(rules),
        webhook: if config.webhook.url.is_some() {
            guards(&config.webhook.guards)
        } else {
            Guards::default()
        },
    })
}

fn public_key(file: &Path) -> Result<JwtKey, StartError> {
    let bad = |why: &str| StartError::Access(format!("auth.jwt.public_keys: {}: {why}", file.display()));
    let pem = std::fs::read_to_string(file).map_err(|error| bad(&error.to_string()))?;
    JwtKey::from_pem(&pem).ok_or_else(|| {
        bad("it is no public key in PEM of RSA, P-256 or Ed25519; of a certificate take it by openssl x509 -pubkey \
             -noout -in FILE, of a private key by openssl pkey -pubout -in FILE")
    })
}

/// Who is asked elsewhere.
pub(crate) fn outside(config: &Config) -> Result<Outside, StartError> {
    let bad = |key: &str, error: wtn_auth::BadUrl| StartError::Access(format!("{key}: {error}"));
    let webhook = config.webhook.url.clone().map(|url| {
        let timeout = Duration::from_secs(config.webhook.timeout_seconds.into());
        let keep = Duration::from_secs(config.webhook.keep_seconds.into());
        Webhook::new(WebhookConfig { url, timeout, keep })
    });
    let key_set = config.jwt.jwks_url.as_deref().map(KeySetUrl::new);
    Ok(Outside {
        webhook: webhook.transpose().map_err(|error| bad("auth.webhook.url", error))?,
        key_set: key_set.transpose().map_err(|error| bad("auth.jwt.jwks_url", error))?,
    })
}

pub(crate) fn rates(config: &Config) -> Rates {
    let limits = &config.limits;
    Rates {
        per_address: Rate { per_second: limits.requests_per_second, burst: limits.requests_at_once },
        per_key: Rate {
            per_second: limits.requests_per_second_per_key,
            burst: limits.requests_at_once_per_key,
        },
        limit_loopback: limits.loopback,
    }
}

/// The bounds of HTTP, with those of the configuration.
pub(crate) fn connections(limits: Limits, config: &Config) -> Limits {
    Limits {
        connections_per_address: config.limits.connections_per_address as usize,
        limit_loopback: config.limits.loopback,
        ..limits
    }
}
