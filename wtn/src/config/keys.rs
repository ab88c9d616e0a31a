//! The table of keys: path, what it wants in words, and how a value becomes part of the [`Config`].

use super::{Config, LogFormat, SecondPublisher, Secret};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// More media threads than any machine we know has cores; a typing error above.
const SHARDS_MAX: u16 = 256;
/// A grace time of more than an hour is a typing error.
const GRACE_MAX: Duration = Duration::from_secs(3600);

pub(super) struct Key {
    pub path: &'static str,
    /// Completes "it wants …".
    pub wants: &'static str,
    /// `None`, and nothing changes, if the value does not fit.
    pub set: fn(&mut Config, &DeValue<'_>) -> Option<()>,
}

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "http.listen",
        wants: "an address and a TCP port, such as \"0.0.0.0:8080\" or \":8080\"",
        set: |config, value| listen(value).map(|addr| config.http_listen = addr),
    },
    Key {
        path: "media.listen",
        wants: "an address and a UDP port, such as \"0.0.0.0:8189\" or \":8189\"",
        set: |config, value| listen(value).map(|addr| config.media_listen = addr),
    },
    Key {
        path: "media.public_addresses",
        wants: "a list of IP addresses, such as [\"203.0.113.7\"]",
        set: |config, value| list(value, |text| text.parse().ok()).map(|list| config.public_addresses = list),
    },
    Key {
        path: "shards",
        wants: "the number of media threads, 1 to 256",
        set: |config, value| {
            let shards = integer(value).filter(|shards| (1..=SHARDS_MAX).contains(shards))?;
            config.shards = Some(shards);
            Some(())
        },
    },
    Key {
        path: "auth.open",
        wants: "true or false",
        set: |config, value| value.as_bool().map(|open| config.open = open),
    },
    Key {
        path: "auth.publish_keys",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        set: |config, value| list(value, Secret::new).map(|keys| config.publish_keys = keys),
    },
    Key {
        path: "auth.play_keys",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        set: |config, value| list(value, Secret::new).map(|keys| config.play_keys = keys),
    },
    Key {
        path: "auth.admin_keys",
        wants: "a list of keys, each of visible ASCII characters without spaces",
        set: |config, value| list(value, Secret::new).map(|keys| config.admin_keys = keys),
    },
    Key {
        path: "auth.local_admin",
        wants: "true or false",
        set: |config, value| value.as_bool().map(|local| config.local_admin = local),
    },
    Key {
        path: "streams.second_publisher",
        wants: "\"replace\" (the newcomer wins) or \"reject\" (it gets 409)",
        set: |config, value| {
            config.second_publisher = match value.as_str()? {
                "replace" => SecondPublisher::Replace,
                "reject" => SecondPublisher::Reject,
                _ => return None,
            };
            Some(())
        },
    },
    Key {
        path: "streams.grace_seconds",
        wants: "seconds, 0 to 3600",
        set: |config, value| {
            let grace = Duration::from_secs(integer::<u32>(value)?.into());
            (grace <= GRACE_MAX).then(|| config.grace = grace)
        },
    },
    Key {
        path: "log.format",
        wants: "\"text\" or \"json\"",
        set: |config, value| {
            config.log_format = match value.as_str()? {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            Some(())
        },
    },
    Key {
        path: "data_dir",
        wants: "a folder",
        set: |config, value| {
            let folder = value.as_str().filter(|text| !text.is_empty())?;
            config.data_dir = Some(PathBuf::from(folder));
            Some(())
        },
    },
];

pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

pub(super) fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key or table that `path` was probably meant to be.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let tables = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(table, _)| table);
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    KEYS.iter()
        .map(|key| key.path)
        .chain(tables)
        .map(|known| {
            // The right word in the wrong table is also near.
            let whole = strsim::damerau_levenshtein(path, known);
            let word = 1 + strsim::damerau_levenshtein(&last(path), &last(known));
            (whole.min(word), known)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + path.len() / 4)
        .map(|(_, known)| known)
}

pub(super) fn listen(value: &DeValue<'_>) -> Option<SocketAddr> {
    let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    if let Some(port) = integer(value) {
        return Some(any(port));
    }
    let text = value.as_str()?;
    if let Ok(addr) = text.parse() {
        return Some(addr);
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match host {
        "" | "*" => Some(any(port)),
        "localhost" => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        _ => host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)),
    }
}

fn list<T>(value: &DeValue<'_>, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(|value| item(value.get_ref().as_str()?)).collect()
}

fn integer<T: TryFrom<i64>>(value: &DeValue<'_>) -> Option<T> {
    let digits = value.as_integer()?;
    let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok()?;
    T::try_from(number).ok()
}
