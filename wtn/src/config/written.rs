//! The configuration as TOML: what is in effect, and a file to begin with.

use super::keys::KEYS;
use super::origin::Origin;
use super::table::{self, Row};
use super::{Config, Loaded};
use std::fmt::Write as _;
use toml::Value;

impl Loaded {
    /// Every value as TOML, secrets hidden; with where each came from, if `with_origin`.
    pub fn to_toml(&self, with_origin: bool) -> String {
        let rows = table::rows(KEYS, &mut self.config.clone(), &[]);
        let mut writer = Writer { loaded: self, with_origin, text: String::new() };
        for (table, rows) in by_table(&rows) {
            writer.heading(table);
            for row in rows {
                match &row.default {
                    Some(Value::Array(elements)) if !row.rows.is_empty() && !elements.is_empty() => {}
                    Some(value) => writer.value(row.name(), row.path, value),
                    None => writer.line(&format!("# {} is not set", row.name()), row.path),
                }
            }
        }
        for row in rows.iter().filter(|row| !row.rows.is_empty()) {
            let Some(Value::Array(elements)) = &row.default else { continue };
            for (place, element) in elements.iter().enumerate() {
                let path = format!("{}[{place}]", row.path);
                writer.text.push('\n');
                writer.line(&format!("[[{}]]", row.path), &path);
                writer.element("", &path, element);
            }
        }
        writer.text.trim_start().to_owned()
    }
}

struct Writer<'a> {
    loaded: &'a Loaded,
    with_origin: bool,
    text: String,
}

impl Writer<'_> {
    fn heading(&mut self, table: &str) {
        if !table.is_empty() {
            let _ = writeln!(self.text, "\n[{table}]");
        }
    }

    /// The keys of an element that are set, with dots where they are in tables of their own.
    fn element(&mut self, prefix: &str, path: &str, element: &Value) {
        for (key, value) in element.as_table().into_iter().flatten() {
            let (name, path) = (format!("{prefix}{key}"), format!("{path}.{key}"));
            match value {
                Value::Table(_) => self.element(&format!("{name}."), &path, value),
                Value::Array(items) if items.is_empty() && self.loaded.origin(&path) == Origin::Default => {}
                value => self.value(&name, &path, value),
            }
        }
    }

    fn value(&mut self, name: &str, path: &str, value: &Value) {
        self.line(&format!("{name} = {value}"), path);
    }

    fn line(&mut self, line: &str, path: &str) {
        let _ = match self.with_origin {
            true => writeln!(self.text, "{line}  # {}", self.loaded.origin(path)),
            false => writeln!(self.text, "{line}"),
        };
    }
}

/// A file to begin with: every key with what it does, at its default, commented out.
pub fn starting_file() -> String {
    let mut text = "\
# Configuration of wtn. Every key is optional; those that are commented out show their defaults.
# `wtn config check --config FILE` says whether the file is right, `wtn config show --origin` what is in effect.
# A running server reads it again on SIGHUP.
"
    .to_owned();
    let rows = table::rows(KEYS, &mut Config::default(), &[]);
    for (table, rows) in by_table(&rows) {
        if !table.is_empty() {
            let _ = writeln!(text, "\n\n[{table}]");
        }
        for row in rows.into_iter().filter(|row| row.rows.is_empty()) {
            describe(&mut text, row, row.name());
        }
    }
    for row in rows.iter().filter(|row| !row.rows.is_empty()) {
        let _ = writeln!(text, "\n");
        comment(&mut text, row.about);
        let _ = writeln!(text, "#[[{}]]", row.path);
        for row in &row.rows {
            describe(&mut text, row, row.path);
        }
    }
    text
}

fn describe(text: &mut String, row: &Row, name: &str) {
    text.push('\n');
    comment(text, row.about);
    comment(text, &format!("It is {}.", row.wants));
    let _ = match &row.default {
        Some(value) if !row.required => writeln!(text, "#{name} = {value}"),
        _ => writeln!(text, "#{name} ="),
    };
}

/// A paragraph of comments, no line of which is too long to read.
fn comment(text: &mut String, paragraph: &str) {
    const WIDTH: usize = 110;
    let mut line = String::from("#");
    for word in paragraph.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.truncate(1);
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

/// Rows by the table that they are in, those of no table first, as TOML wants it.
pub(super) fn by_table(rows: &[Row]) -> Vec<(&'static str, Vec<&Row>)> {
    let mut tables: Vec<(&str, Vec<&Row>)> = vec![("", Vec::new())];
    for row in rows {
        match tables.iter_mut().find(|(table, _)| *table == row.table()) {
            Some((_, rows)) => rows.push(row),
            None => tables.push((row.table(), vec![row])),
        }
    }
    tables
}
