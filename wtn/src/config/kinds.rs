//! The kinds of values that keys have.

use super::Secret;
use super::reader::Reader;
use super::table::Row;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use toml::de::DeValue;
use toml::{Spanned, Value};

/// How one kind of value is read from TOML, written and described.
pub(super) trait Kind: Sync {
    type Value: Clone + PartialEq;
    /// `None` if it does not fit.
    fn plain(&self, value: &DeValue<'_>) -> Option<Self::Value>;
    /// `None` if it is unset.
    fn write(&self, value: &Self::Value) -> Option<Value>;
    fn schema(&self) -> serde_json::Value;

    /// `None`, and the reader knows why, if it does not fit.
    fn read(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self::Value> {
        let read = self.plain(value.get_ref());
        if read.is_none() {
            reader.unfit(value.span());
        }
        read
    }

    /// The keys of each element, if this is a list of tables.
    fn rows(&self) -> Vec<Row> {
        Vec::new()
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn plain(&self, value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }

    fn write(&self, value: &bool) -> Option<Value> {
        Some(Value::Boolean(*value))
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

/// A whole number within bounds, both included.
pub(super) struct Whole<N> {
    pub min: N,
    pub max: N,
}

impl<N> Kind for Whole<N>
where
    N: TryFrom<i64> + PartialOrd + Copy + Sync + serde::Serialize,
    i64: TryFrom<N>,
{
    type Value = N;

    fn plain(&self, value: &DeValue<'_>) -> Option<N> {
        integer(value).filter(|number| (self.min..=self.max).contains(number))
    }

    fn write(&self, value: &N) -> Option<Value> {
        i64::try_from(*value).ok().map(Value::Integer)
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "integer", "minimum": self.min, "maximum": self.max })
    }
}

/// One of some words, each with what it means.
pub(super) struct OneOf<V: 'static>(pub &'static [(&'static str, V)]);

impl<V: Clone + PartialEq + Sync> Kind for OneOf<V> {
    type Value = V;

    fn plain(&self, value: &DeValue<'_>) -> Option<V> {
        let text = value.as_str()?;
        self.0.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone())
    }

    fn write(&self, value: &V) -> Option<Value> {
        self.0.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| Value::from(*word))
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "enum": self.0.iter().map(|(word, _)| word).collect::<Vec<_>>() })
    }
}

/// A value that may be left unset.
pub(super) struct Maybe<K>(pub K);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;

    fn plain(&self, value: &DeValue<'_>) -> Option<Self::Value> {
        self.0.plain(value).map(Some)
    }

    fn write(&self, value: &Self::Value) -> Option<Value> {
        value.as_ref().and_then(|value| self.0.write(value))
    }

    fn schema(&self) -> serde_json::Value {
        self.0.schema()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self::Value> {
        self.0.read(value, reader).map(Some)
    }

    fn rows(&self) -> Vec<Row> {
        self.0.rows()
    }
}

/// A list of values of one kind. Every item that does not fit is a fault of its own.
pub(super) struct List<K>(pub K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn plain(&self, value: &DeValue<'_>) -> Option<Self::Value> {
        value.as_array()?.iter().map(|item| self.0.plain(item.get_ref())).collect()
    }

    fn write(&self, value: &Self::Value) -> Option<Value> {
        value.iter().map(|item| self.0.write(item)).collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "array", "items": self.0.schema() })
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self::Value> {
        let Some(items) = value.get_ref().as_array() else {
            reader.unfit(value.span());
            return None;
        };
        let items: Vec<_> = items.iter().map(|item| self.0.read(item, reader)).collect();
        items.into_iter().collect()
    }
}

/// A text that `read` makes something of, and `write` a text of again.
pub(super) struct Text<V: 'static> {
    pub read: fn(&str) -> Option<V>,
    pub write: fn(&V) -> String,
    /// For the JSON Schema: what is between `^` and `$`; empty for anything.
    pub pattern: &'static str,
}

impl<V: Clone + PartialEq> Kind for Text<V> {
    type Value = V;

    fn plain(&self, value: &DeValue<'_>) -> Option<V> {
        value.as_str().and_then(self.read)
    }

    fn write(&self, value: &V) -> Option<Value> {
        Some(Value::String((self.write)(value)))
    }

    fn schema(&self) -> serde_json::Value {
        match self.pattern {
            "" => json!({ "type": "string" }),
            pattern => json!({ "type": "string", "pattern": format!("^(?:{pattern})$") }),
        }
    }
}

/// Any text but the empty one.
pub(super) const NOT_EMPTY: Text<String> = Text {
    read: |text| (!text.is_empty()).then(|| text.to_owned()),
    write: String::clone,
    pattern: "[\\s\\S]+",
};

/// A file or a folder.
pub(super) const PATH: Text<PathBuf> = Text {
    read: |text| (!text.is_empty()).then(|| PathBuf::from(text)),
    write: |path| path.display().to_string(),
    pattern: "[\\s\\S]+",
};

/// An IP address.
pub(super) const IP: Text<IpAddr> =
    Text { read: |text| text.parse().ok(), write: IpAddr::to_string, pattern: "[0-9A-Fa-f:.]+" };

/// `http` or `https`, a host, a port perhaps, and nothing behind.
pub(super) const URL: Text<String> = Text {
    read: |text| web_url(text).filter(|url| url.matches('/').count() == 2),
    write: String::clone,
    pattern: "https?://[^/?#@\\s]+/?",
};

/// The same, and a path perhaps.
pub(super) const URL_WITH_PATH: Text<String> =
    Text { read: web_url, write: String::clone, pattern: "https?://[^/?#@\\s]+(?:/[^?#\\s]*)?" };

/// Without a slash at its end.
fn web_url(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
    let is_plain = uri.query().is_none() && !text.contains('#');
    (is_web && is_host && is_plain).then(|| text.trim_end_matches('/').to_owned())
}

/// What is shown in place of a secret. It can travel as a bearer token, so that what `config show` prints is a
/// configuration too.
pub(super) const HIDDEN: &str = "(hidden)";

/// A bearer token.
pub(super) const SECRET: Hidden<Secret> = Hidden(Secret::new, "[\\x21-\\x7e]+");

/// A secret: read, never written.
pub(super) struct Hidden<V: 'static>(pub fn(&str) -> Option<V>, pub &'static str);

impl<V: Clone + PartialEq> Kind for Hidden<V> {
    type Value = V;

    fn plain(&self, value: &DeValue<'_>) -> Option<V> {
        value.as_str().and_then(self.0)
    }

    fn write(&self, _: &V) -> Option<Value> {
        Some(Value::from(HIDDEN))
    }

    fn schema(&self) -> serde_json::Value {
        Text::<()> { read: |_| None, write: |()| String::new(), pattern: self.1 }.schema()
    }
}

/// A moment, as seconds since 1970-01-01 UTC: written so, or as a date and time of TOML with its offset.
pub(super) struct Moment;

impl Kind for Moment {
    type Value = u64;

    fn plain(&self, value: &DeValue<'_>) -> Option<u64> {
        match value.as_datetime() {
            Some(datetime) => unix_seconds(datetime),
            None => integer(value),
        }
    }

    fn write(&self, value: &u64) -> Option<Value> {
        i64::try_from(*value).ok().map(Value::Integer)
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "format": "date-time" }] })
    }
}

fn unix_seconds(datetime: &toml::value::Datetime) -> Option<u64> {
    let (date, time) = (datetime.date?, datetime.time?);
    let offset = match datetime.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    // Days since 1970-01-01 in the Gregorian calendar, whose year begins in March here: leap days come last.
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let (hour, minute) = (i64::from(time.hour), i64::from(time.minute));
    let second = i64::from(time.second.unwrap_or(0));
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second - offset).ok()
}

/// `ADDRESS:PORT`, `:PORT`, or the port alone.
pub(super) struct Listen;

impl Kind for Listen {
    type Value = SocketAddr;

    fn plain(&self, value: &DeValue<'_>) -> Option<SocketAddr> {
        listen(value)
    }

    fn write(&self, value: &SocketAddr) -> Option<Value> {
        Some(Value::String(value.to_string()))
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 65535 },
            { "type": "string", "pattern": "^(?:\\*|localhost|[0-9.]*|\\[[0-9A-Fa-f:.%]+\\]):[0-9]{1,5}$" },
        ] })
    }
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

fn integer<T: TryFrom<i64>>(value: &DeValue<'_>) -> Option<T> {
    let digits = value.as_integer()?;
    let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok()?;
    T::try_from(number).ok()
}
