//! Configuration: defaults, one TOML file, the environment, the command line; the later wins.
//!
//! Every key is one row of `KEYS` in `config/keys.rs`, whatever source it comes from, and every fault of every source is
//! reported at once, with its place and the nearest key that exists.

mod access;
mod fault;
mod keys;
mod kinds;
mod loaded;
mod origin;
mod reader;
mod reference;
mod table;
mod tables;
mod written;

pub use access::{Guarded, JwtConfig, RequestLimits, WebhookConfig};
pub use fault::{Fault, Faults};
pub use loaded::Loaded;
pub use origin::Origin;
pub use reference::{reference, schema};
pub use written::starting_file;
pub use wtn_http::Cleartext;
pub use wtn_wish::{
    Endpoint, EndpointKey, IceServer, Names, NoPublisher, Policy, Redirect, Routes, SecondPublisher,
    TalwtnApp,
};

use kinds::Kind as _;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::de::DeValue;
use wtn_http::{Certificate, CertificateError};

/// TCP port of the web pages and of signalling.
pub const HTTP_PORT: u16 = 8080;
/// UDP port of all media.
pub const MEDIA_PORT: u16 = 8189;
/// Prefix of environment variables that set a key: `WTN__HTTP__LISTEN` is `http.listen`.
pub const ENV_PREFIX: &str = "WTN__";

/// What the server is told to do. Every value has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `http.listen`: where HTTP is served. `[::]` also takes IPv4.
    pub http_listen: SocketAddr,
    /// `http.public_url`: scheme and host under which clients know this server.
    pub public_url: Option<String>,
    /// `http.handoff_secret`: what this server and those that it redirects to have in common.
    pub handoff_secret: Option<Secret>,
    /// `http.tls.certificate`: PEM file of the certificate and what leads to its root.
    pub tls_certificate: Option<PathBuf>,
    /// `http.tls.key`: PEM file of its private key.
    pub tls_key: Option<PathBuf>,
    /// `http.cleartext`: who may come by plain http; by whether there is a certificate if unset.
    pub cleartext: Option<Cleartext>,
    /// `media.listen`: the address of all media, UDP and TCP. `[::]` also takes IPv4.
    pub media_listen: SocketAddr,
    /// `media.tcp`: media may come by TCP too, on the same port number.
    pub media_tcp: bool,
    /// `media.public_addresses`: addresses outside of this machine that lead to the media port.
    pub public_addresses: Vec<IpAddr>,
    /// `shards`: media threads; one per core if unset.
    pub shards: Option<u16>,
    /// `auth.open`: anybody may publish.
    pub open: bool,
    /// `auth.publish_keys`: bearer tokens that may publish.
    pub publish_keys: Vec<Secret>,
    /// `auth.play_keys`: bearer tokens that may watch; none means that watching is open.
    pub play_keys: Vec<Secret>,
    /// `auth.admin_keys`: bearer tokens that may administer, from anywhere.
    pub admin_keys: Vec<Secret>,
    /// `auth.local_admin`: programs on this machine may administer without a key.
    pub local_admin: bool,
    /// `[auth.jwt]`: signed tokens that are believed.
    pub jwt: JwtConfig,
    /// `[auth.webhook]`: a service that is asked.
    pub webhook: WebhookConfig,
    /// `[limits]`: how fast anybody may ask.
    pub limits: RequestLimits,
    /// The rest of `[limits]`: how much of the machine may be used before newcomers are turned away.
    pub budgets: crate::Budgets,
    /// `[streams]`: what every endpoint does that does not say otherwise.
    pub policy: Policy,
    /// `[[ice_servers]]`: what clients are told of where the endpoint has none of its own.
    pub ice_servers: Vec<IceServer>,
    /// `streams.names`: which stream names there are.
    pub names: Names,
    /// `sessions.trickle`: candidates are taken by PATCH.
    pub trickle: bool,
    /// `sessions.ice_restart`: ICE may be restarted by PATCH.
    pub ice_restart: bool,
    /// `[[redirects]]`: who is sent to another server.
    pub redirects: Vec<Redirect>,
    /// `[aliases]`: whose URLs are understood besides our own.
    pub aliases: Routes,
    /// `[[talwtn.apps]]`: who may sign tokens for TALWTN's URLs.
    pub talwtn_apps: Vec<TalwtnApp>,
    /// `[[endpoints]]`.
    pub endpoints: Vec<Endpoint>,
    /// `log.format`.
    pub log_format: LogFormat,
    /// `data_dir`: where the key of the first start is kept; `$XDG_DATA_HOME/wtn` if unset.
    pub data_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, HTTP_PORT)),
            public_url: None,
            handoff_secret: None,
            tls_certificate: None,
            tls_key: None,
            cleartext: None,
            media_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, MEDIA_PORT)),
            media_tcp: true,
            public_addresses: Vec::new(),
            shards: None,
            open: false,
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            admin_keys: Vec::new(),
            local_admin: true,
            jwt: JwtConfig::default(),
            webhook: WebhookConfig::default(),
            limits: RequestLimits::default(),
            budgets: crate::Budgets::default(),
            policy: Policy::default(),
            ice_servers: Vec::new(),
            names: Names::Open,
            trickle: true,
            ice_restart: true,
            redirects: Vec::new(),
            aliases: Routes::default(),
            talwtn_apps: Vec::new(),
            endpoints: Vec::new(),
            log_format: LogFormat::Text,
            data_dir: None,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// JSON Lines, for machines.
    Json,
}

/// A key that must not show up in logs: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `None` unless it can travel as a bearer token (RFC 6750 §2.1): visible ASCII, not empty.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The key itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Config {
    /// Reads the file, if there is one, the process environment and the `key=value` pairs of the command line.
    ///
    /// # Errors
    /// Every fault of all three, in that order.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, Faults> {
        Loaded::load(file, sets).map(|loaded| loaded.config)
    }

    /// [`load`](Self::load) without the file system: `file` is its name and text, `env` all variables.
    ///
    /// # Errors
    /// Every fault, in the order of the sources.
    pub fn read(
        file: Option<(&str, &str)>,
        env: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, Faults> {
        Loaded::read(file, env, sets).map(|loaded| loaded.config)
    }

    /// Reads the certificate, if there is one.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn certificate(&self) -> Result<Option<Certificate>, CertificateError> {
        let files = self.tls_certificate.as_ref().zip(self.tls_key.as_ref());
        files.map(|(certificate, key)| Certificate::load(certificate, key)).transpose()
    }

    /// Who may come by plain http.
    pub fn cleartext(&self) -> Cleartext {
        let has_certificate = self.tls_certificate.is_some();
        self.cleartext.unwrap_or(if has_certificate { Cleartext::Loopback } else { Cleartext::Allow })
    }

    /// The keys whose values differ, and whether only a restart brings each into effect.
    pub fn changes(&self, other: &Self) -> Vec<Change> {
        let (mut one, mut other) = (self.clone(), other.clone());
        let changed = keys::KEYS.iter().filter(|key| !key.value.same(&mut one, &mut other));
        let needs_restart = |key| keys::NEEDS_RESTART.contains(&key);
        changed.map(|key| Change { key: key.path, needs_restart: needs_restart(key.path) }).collect()
    }

    /// Takes over the value of one key.
    pub(crate) fn take(&mut self, key: &str, from: &Self) {
        if let Some(key) = table::find(keys::KEYS, key) {
            key.value.copy(&mut from.clone(), self);
        }
    }
}

/// A key that has another value than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub key: &'static str,
    /// Whether a running server keeps the old value.
    pub needs_restart: bool,
}

/// `ADDR:PORT`, `:PORT` or `PORT`, for flags of the command line.
///
/// # Errors
/// What it should have been.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let text = if text.parse::<u16>().is_ok() { format!(":{text}") } else { text.to_owned() };
    let listen = kinds::Listen.plain(&DeValue::String(text.into()));
    listen.ok_or_else(|| "write ADDRESS:PORT, or :PORT for every address".to_owned())
}
