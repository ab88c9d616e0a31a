//! What a row of the table of keys is: a path, words for people, and a [`Slot`] that reads, writes and describes
//! its value.
//!
//! A row knows nothing of where a value comes from; [`Reader`] does, and reports what does not fit.

use super::kinds::Kind;
use super::reader::Reader;
use serde_json::json;
use toml::de::DeValue;
use toml::{Spanned, Value};

/// One key of a `T`: of the configuration itself, or of an element of a list of tables.
pub(super) struct Key<T: 'static> {
    /// As in TOML: the tables it is in, and its own name last.
    pub path: &'static str,
    /// What it decides, in a sentence or two: for the reference and for the file of `config init`.
    pub about: &'static str,
    /// Completes "it wants …".
    pub wants: &'static str,
    pub value: &'static dyn Slot<T>,
}

/// Where a key's value lives in a `T`, and how it is read and written.
pub(super) trait Slot<T>: Sync {
    /// Reads `value`; if it does not fit, `into` is not touched and the reader knows why.
    fn read(&self, into: &mut T, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<()>;
    /// The value as TOML, secrets hidden; `None` if it is unset. Does not change `from`.
    fn write(&self, from: &mut T) -> Option<Value>;
    /// Whether both have the same value. Changes neither.
    fn same(&self, one: &mut T, other: &mut T) -> bool;
    fn copy(&self, from: &mut T, into: &mut T);
    fn schema(&self) -> serde_json::Value;
    /// The keys of each element, if this is a list of tables.
    fn rows(&self) -> Vec<Row>;
}

/// The [`Slot`] of a field and its kind of value.
pub(super) struct At<T: 'static, K: Kind> {
    pub kind: K,
    pub of: fn(&mut T) -> &mut K::Value,
}

impl<T, K: Kind> Slot<T> for At<T, K> {
    fn read(&self, into: &mut T, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<()> {
        *(self.of)(into) = self.kind.read(value, reader)?;
        Some(())
    }

    fn write(&self, from: &mut T) -> Option<Value> {
        self.kind.write((self.of)(from))
    }

    fn same(&self, one: &mut T, other: &mut T) -> bool {
        (self.of)(one) == (self.of)(other)
    }

    fn copy(&self, from: &mut T, into: &mut T) {
        (self.of)(into).clone_from((self.of)(from));
    }

    fn schema(&self) -> serde_json::Value {
        self.kind.schema()
    }

    fn rows(&self) -> Vec<Row> {
        self.kind.rows()
    }
}

/// A key as people are told of it.
pub(super) struct Row {
    pub path: &'static str,
    pub about: &'static str,
    pub wants: &'static str,
    /// `None`: unset.
    pub default: Option<Value>,
    pub required: bool,
    /// The keys of each element, if this is a list of tables.
    pub rows: Vec<Row>,
}

impl Row {
    /// The table that it is in; empty for none.
    pub fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Its name in that table.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
}

/// All keys, with the values of `defaults`.
pub(super) fn rows<T>(keys: &[Key<T>], defaults: &mut T, required: &[&str]) -> Vec<Row> {
    let row = |key: &Key<T>| Row {
        path: key.path,
        about: key.about,
        wants: key.wants,
        default: key.value.write(defaults),
        required: required.contains(&key.path),
        rows: key.value.rows(),
    };
    keys.iter().map(row).collect()
}

/// The JSON Schema of a table with these keys.
pub(super) fn schema<T>(keys: &[Key<T>], defaults: &mut T, required: &[&str]) -> serde_json::Value {
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": {} });
    for key in keys {
        let mut schema = key.value.schema();
        schema["description"] = format!("{} It wants {}.", key.about, key.wants).into();
        if let Some(default) = key.value.write(defaults).and_then(|value| serde_json::to_value(value).ok())
            && !required.contains(&key.path)
        {
            schema["default"] = default;
        }
        let mut table = &mut object;
        let mut steps = key.path.split('.').peekable();
        while let Some(step) = steps.next() {
            let inside = &mut table["properties"][step];
            if steps.peek().is_none() {
                *inside = std::mem::take(&mut schema);
            } else if inside.is_null() {
                *inside = json!({ "type": "object", "additionalProperties": false, "properties": {} });
            }
            table = &mut table["properties"][step];
        }
    }
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// All values that are set, as a table.
pub(super) fn write<T>(keys: &[Key<T>], from: &mut T) -> toml::Table {
    let mut written = toml::Table::new();
    for key in keys {
        let Some(value) = key.value.write(from) else { continue };
        let mut steps: Vec<_> = key.path.split('.').collect();
        let last = steps.pop().unwrap_or_default();
        let mut table = &mut written;
        for step in steps {
            let inside = table.entry(step).or_insert_with(|| Value::Table(toml::Table::new()));
            let Value::Table(inside) = inside else { unreachable!("a key is no table: {}", key.path) };
            table = inside;
        }
        table.insert(last.to_owned(), value);
    }
    written
}

pub(super) fn find<T>(keys: &'static [Key<T>], path: &str) -> Option<&'static Key<T>> {
    keys.iter().find(|key| key.path == path)
}

/// Whether `path` is a table that keys are in.
pub(super) fn is_table<T>(keys: &[Key<T>], path: &str) -> bool {
    keys.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key or table that `path` was probably meant to be.
pub(super) fn nearest<T>(keys: &'static [Key<T>], path: &str) -> Option<&'static str> {
    let tables = keys
        .iter()
        .flat_map(|key| key.path.match_indices('.').map(|(dot, _)| &key.path[..dot]).collect::<Vec<_>>());
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    keys.iter()
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
