//! The rows: what the standards ask, as data.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// How much a row asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Strength {
    /// A requirement of the source.
    Must,
    /// A recommendation of the source.
    Should,
    /// A choice that the source allows.
    May,
    /// Asked by no standard, but by clients that people use or by safe operation.
    Advised,
}

impl Strength {
    /// As it is written in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Advised => "ADVISED",
        }
    }
}

/// One testable sentence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Such as `SESS-15`.
    pub id: String,
    /// How much it asks.
    pub strength: Strength,
    /// Where it is written.
    pub source: String,
    /// What a server does that meets it.
    pub text: String,
}

/// Rows that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

#[derive(Deserialize)]
struct File {
    section: Vec<Section>,
}

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../rows.toml")).expect("rows.toml is read by a test");
    file.section
});

/// All rows, by section.
pub fn sections() -> &'static [Section] {
    &SECTIONS
}

/// The row of that id.
pub fn row(id: &str) -> Option<&'static Row> {
    sections().iter().flat_map(|section| &section.rows).find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_there_once_and_says_something() {
        let rows: Vec<_> = sections().iter().flat_map(|section| &section.rows).collect();
        let ids: BTreeSet<_> = rows.iter().map(|row| &row.id).collect();
        assert_eq!(ids.len(), rows.len());
        for row in rows {
            assert!(row.text.ends_with('.') && !row.source.is_empty(), "{}", row.id);
        }
        assert_eq!(row("SESS-15").map(|row| row.strength), Some(Strength::Must));
        assert!(row("SESS-99").is_none());
    }
}
