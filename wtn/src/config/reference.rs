//! The table of keys for readers: docs/configuration.md, and a JSON Schema for editors.

use super::Config;
use super::keys::{KEYS, NEEDS_RESTART};
use super::table::{self, Row};
use super::written::by_table;
use std::fmt::Write as _;

/// The JSON Schema (2020-12) of the configuration file.
pub fn schema() -> serde_json::Value {
    let mut schema = table::schema(KEYS, &mut Config::default(), &[]);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Configuration of wtn".into();
    schema
}

/// Every key, its default and what it does, in Markdown.
pub fn reference() -> String {
    let rows = table::rows(KEYS, &mut Config::default(), &[]);
    let mut text = String::new();
    for (table, rows) in by_table(&rows) {
        let rows: Vec<_> = rows.into_iter().filter(|row| row.rows.is_empty()).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = match table {
            "" => writeln!(text, "### Outside of any table\n"),
            table => writeln!(text, "### `[{table}]`\n"),
        };
        write_rows(&mut text, &rows.into_iter().map(|row| (row.name(), row)).collect::<Vec<_>>());
    }
    let mut lists = Lists(Vec::new());
    lists.collect("", &rows);
    for (titles, about, rows) in lists.0 {
        let about = if about.is_empty() { about } else { format!("{about}\n\n") };
        let _ = write!(text, "### {}\n\n{about}", titles.join(", "));
        write_rows(&mut text, &rows.iter().map(|row| (row.path, row)).collect::<Vec<_>>());
    }
    text.trim_end().to_owned() + "\n"
}

/// Lists of tables; those with the same keys are told of once.
struct Lists<'a>(Vec<(Vec<String>, String, &'a [Row])>);

impl<'a> Lists<'a> {
    fn collect(&mut self, inside: &str, rows: &'a [Row]) {
        for row in rows.iter().filter(|row| !row.rows.is_empty()) {
            let (title, about) = match inside {
                "" => (format!("`[[{}]]`", row.path), row.about.to_owned()),
                inside => (format!("`{}` of `[[{inside}]]`", row.path), String::new()),
            };
            let paths = |rows: &[Row]| rows.iter().map(|row| row.path).collect::<Vec<_>>();
            match self.0.iter_mut().find(|(_, _, known)| paths(known) == paths(&row.rows)) {
                Some((titles, _, _)) => titles.push(title),
                None => {
                    self.0.push((vec![title], about, &row.rows));
                    self.collect(row.path, &row.rows);
                }
            }
        }
    }
}

fn write_rows(text: &mut String, rows: &[(&str, &Row)]) {
    let _ = writeln!(text, "| key | default | value | what |\n|---|---|---|---|");
    for (name, row) in rows {
        let default = match &row.default {
            _ if row.required => "required".to_owned(),
            Some(value) => format!("`{value}`"),
            None => "unset".to_owned(),
        };
        let restart = if NEEDS_RESTART.contains(&row.path) { " Needs a restart." } else { "" };
        let cell = |text: &str| text.replace('|', "\\|");
        let (wants, about) = (cell(row.wants), cell(row.about));
        let _ = writeln!(text, "| `{name}` | {default} | {wants} | {about}{restart} |");
    }
    text.push('\n');
}
