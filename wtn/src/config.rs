//! Configuration: defaults, one TOML file, the environment, the command line; the later wins.
//!
//! Every key is one row of `KEYS` in `config/keys.rs`, whatever source it comes from, and every fault of every source is
//! reported at once, with its place and the nearest key that exists.

mod fault;
mod keys;

pub use fault::{Fault, Faults};

use keys::Key;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    /// `media.listen`: the UDP address of all media. `[::]` also takes IPv4.
    pub media_listen: SocketAddr,
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
    /// `streams.second_publisher`.
    pub second_publisher: SecondPublisher,
    /// `streams.grace_seconds`: how long viewers wait for a publisher to come back.
    pub grace: Duration,
    /// `log.format`.
    pub log_format: LogFormat,
    /// `data_dir`: where the key of the first start is kept; `$XDG_DATA_HOME/wtn` if unset.
    pub data_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, HTTP_PORT)),
            media_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, MEDIA_PORT)),
            public_addresses: Vec::new(),
            shards: None,
            open: false,
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            admin_keys: Vec::new(),
            local_admin: true,
            second_publisher: SecondPublisher::Replace,
            grace: Duration::from_secs(10),
            log_format: LogFormat::Text,
            data_dir: None,
        }
    }
}

/// What a publisher finds when its stream already has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondPublisher {
    /// The newcomer wins: an encoder that restarts must win over its own ghost.
    Replace,
    /// The newcomer is refused with 409.
    Reject,
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
        let text = file.map(|path| (path.display().to_string(), std::fs::read_to_string(path)));
        let (file, unreadable) = match text {
            Some((name, Ok(text))) => (Some((name, text)), None),
            Some((name, Err(error))) => (None, Some(Fault::unreadable(&name, &error))),
            None => (None, None),
        };
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        let read = Self::read(file.as_ref().map(|(name, text)| (&**name, &**text)), env, sets);
        match (read, unreadable) {
            (Ok(config), None) => Ok(config),
            (Ok(_), Some(fault)) => Err(Faults(vec![fault])),
            (Err(mut faults), unreadable) => {
                faults.0.splice(0..0, unreadable);
                Err(faults)
            }
        }
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
        let mut reading = Reading { config: Self::default(), faults: Vec::new() };
        if let Some((name, text)) = file {
            reading.file(name, text);
        }
        let mut env: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        env.sort();
        for (name, value) in &env {
            let path = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            reading.text(name, &path, value);
        }
        for pair in sets {
            reading.pair(pair);
        }
        if reading.faults.is_empty() { Ok(reading.config) } else { Err(Faults(reading.faults)) }
    }
}

/// `ADDR:PORT`, `:PORT` or `PORT`, for flags of the command line.
///
/// # Errors
/// What it should have been.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let value = text.parse().map_or_else(|_| string(text), |port: u16| string(&format!(":{port}")));
    keys::listen(&value).ok_or_else(|| "write ADDRESS:PORT, or :PORT for every address".to_owned())
}

fn string(text: &str) -> DeValue<'static> {
    DeValue::String(text.to_owned().into())
}

struct Reading {
    config: Config,
    faults: Vec<Fault>,
}

impl Reading {
    fn file(&mut self, name: &str, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.faults.push(Fault::in_file(name, text, span, error.message(), None));
        }
        self.table(&FileText { name, text }, "", table.get_ref());
    }

    fn table(&mut self, file: &FileText<'_>, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = format!("{prefix}{}", key.get_ref());
            if let Some(row) = keys::find(&path) {
                self.value(file, row, value);
            } else if let Some(table) = value.get_ref().as_table().filter(|_| keys::is_table(&path)) {
                self.table(file, &format!("{path}."), table);
            } else if keys::is_table(&path) {
                self.faults.push(file.fault(
                    value.span(),
                    &format!("`{path}` is a table"),
                    Some(format!("write `[{path}]` on a line of its own, its keys below")),
                ));
            } else {
                let near = keys::nearest(&path).map(|near| {
                    let near = near.strip_prefix(prefix).unwrap_or(near);
                    format!("did you mean `{near}`?")
                });
                self.faults.push(file.fault(key.span(), &format!("unknown key `{path}`"), near));
            }
        }
    }

    fn value(&mut self, file: &FileText<'_>, row: &Key, value: &Spanned<DeValue<'_>>) {
        if (row.set)(&mut self.config, value.get_ref()).is_none() {
            let what = format!("`{}` cannot be this", row.path);
            self.faults.push(file.fault(value.span(), &what, Some(format!("it wants {}", row.wants))));
        }
    }

    fn pair(&mut self, pair: &str) {
        match pair.split_once('=') {
            Some((path, value)) => self.text(&format!("--set {path}"), path.trim(), value.trim()),
            None => self.faults.push(Fault::outside(
                &format!("--set {pair}"),
                "there is no `=`",
                Some("write --set key=value".to_owned()),
            )),
        }
    }

    /// One value from outside a file: TOML if it is TOML, else plain text, else a list with commas.
    fn text(&mut self, place: &str, path: &str, value: &str) {
        let Some(row) = keys::find(path) else {
            let near = keys::nearest(path).map(|near| format!("did you mean `{near}`?"));
            self.faults.push(Fault::outside(place, &format!("unknown key `{path}`"), near));
            return;
        };
        let list = || {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            DeValue::Array(items.map(|item| Spanned::new(0..0, string(item))).collect())
        };
        let toml = DeValue::parse(value).ok().and_then(|value| (row.set)(&mut self.config, value.get_ref()));
        let set = toml
            .or_else(|| (row.set)(&mut self.config, &string(value)))
            .or_else(|| (row.set)(&mut self.config, &list()));
        if set.is_none() {
            let what = format!("`{}` cannot be this", row.path);
            self.faults.push(Fault::outside(place, &what, Some(format!("it wants {}", row.wants))));
        }
    }
}

struct FileText<'a> {
    name: &'a str,
    text: &'a str,
}

impl FileText<'_> {
    fn fault(&self, span: Range<usize>, what: &str, fix: Option<String>) -> Fault {
        Fault::in_file(self.name, self.text, span, what, fix)
    }
}
