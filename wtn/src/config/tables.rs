//! Lists of tables, such as `[[endpoints]]`.

use super::kinds::Kind;
use super::reader::Reader;
use super::table::{self, Key, Row};
use serde_json::json;
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

/// A list of tables, or of their short forms. Every fault of every element is reported.
pub(super) struct Tables<E: 'static> {
    /// The keys of an element, a table as the configuration has one: paths may have dots, values may again be lists
    /// of tables.
    pub keys: &'static [Key<E>],
    /// An element with nothing set, by its place in the list.
    pub new: fn(usize) -> E,
    /// What a mere text in place of a table sets, if there may be one.
    pub short: Option<fn(E, &str) -> Option<E>>,
    /// Keys that every element has.
    pub required: &'static [&'static str],
    /// The key whose text no two elements share; empty if there is none.
    pub unique: &'static str,
    /// What else is wrong with an element whose keys are all right.
    pub flaw: fn(&E) -> Option<Flaw>,
}

/// What is wrong with several keys together.
pub(super) struct Flaw {
    /// The key to point at.
    pub key: &'static str,
    pub what: String,
    pub fix: String,
}

impl<E: Clone + PartialEq> Kind for Tables<E> {
    type Value = Vec<E>;

    fn plain(&self, _: &DeValue<'_>) -> Option<Vec<E>> {
        None
    }

    fn write(&self, value: &Vec<E>) -> Option<Value> {
        let tables = value.iter().map(|element| table::write(self.keys, &mut element.clone()));
        Some(Value::Array(tables.map(Value::Table).collect()))
    }

    fn schema(&self) -> serde_json::Value {
        let element = table::schema(self.keys, &mut (self.new)(0), self.required);
        match self.short {
            Some(_) => json!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, element] } }),
            None => json!({ "type": "array", "items": element }),
        }
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Vec<E>> {
        let Some(elements) = value.get_ref().as_array() else {
            let path = reader.path();
            if value.get_ref().is_table() {
                let fix = format!("write `[[{path}]]` above each of its tables");
                reader.fault(value.span(), &format!("`{path}` is a list of tables"), Some(fix));
            } else {
                reader.unfit(value.span());
            }
            return None;
        };
        let mut seen = BTreeSet::new();
        let mut read = Vec::new();
        for (place, element) in elements.iter().enumerate() {
            let element = reader.element(place, element.span(), |reader| {
                let fine = self.element(place, element, reader);
                self.is_first(element, &mut seen, reader).then_some(fine).flatten()
            });
            read.push(element);
        }
        read.into_iter().collect()
    }

    fn rows(&self) -> Vec<Row> {
        table::rows(self.keys, &mut (self.new)(0), self.required)
    }
}

impl<E> Tables<E> {
    fn element(&self, place: usize, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<E> {
        let Some(table) = value.get_ref().as_table() else {
            let short = self.short.zip(value.get_ref().as_str());
            let element = short.and_then(|(set, text)| set((self.new)(place), text));
            if element.is_none() {
                reader.unfit(value.span());
            }
            return element;
        };
        let mut element = (self.new)(place);
        let mut is_fine = reader.table(&mut element, self.keys, table);
        for key in self.required.iter().filter(|key| !table.contains_key(**key)) {
            is_fine = false;
            let what = format!("there is no `{key}` here");
            let wants = table::find(self.keys, key).map(|key| format!("`{}` is {}", key.path, key.wants));
            reader.fault(value.span(), &what, wants);
        }
        let flaw = is_fine.then(|| (self.flaw)(&element)).flatten();
        if let Some(Flaw { key, what, fix }) = flaw {
            let at = entry(table, key).map_or(value.span(), Spanned::span);
            reader.fault(at, &what, Some(fix));
            is_fine = false;
        }
        is_fine.then_some(element)
    }

    /// Whether no element before had the same text for the key that is unique.
    fn is_first(
        &self,
        value: &Spanned<DeValue<'_>>,
        seen: &mut BTreeSet<String>,
        reader: &mut Reader<'_>,
    ) -> bool {
        let name = value.get_ref().as_table().and_then(|table| entry(table, self.unique));
        let Some((name, text)) = name.and_then(|name| Some((name, name.get_ref().as_str()?))) else {
            return true;
        };
        if seen.insert(text.to_owned()) {
            return true;
        }
        let what = format!("there are two with the {} `{text}`", self.unique);
        reader.fault(name.span(), &what, Some(format!("give each {} once", self.unique)));
        false
    }
}

/// The value at a path with dots.
fn entry<'t, 'i>(table: &'t DeTable<'i>, path: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => entry(table.get(first)?.get_ref().as_table()?, rest),
    }
}
