//! Columns as wide as their widest cell.

use crate::error::Failure;
use std::fmt;

/// Names to the left, numbers to the right: the first two columns are names.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let cell = if column < 2 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A duration in milliseconds, with a digit behind the point while it is short.
pub(super) fn show_ms(ms: f64) -> String {
    if ms < 100.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `label value` for what is known, joined by gaps.
pub(super) fn show_times<'a>(times: impl IntoIterator<Item = (&'a str, Option<f64>)>) -> String {
    let known = times.into_iter().filter_map(|(label, ms)| Some(format!("{label} {}", show_ms(ms?))));
    known.collect::<Vec<_>>().join("   ")
}

/// The verdict, then why and what to do.
pub(super) fn write_verdict(f: &mut fmt::Formatter<'_>, what: &str, failures: &[Failure]) -> fmt::Result {
    writeln!(f, "{}: {what}", if failures.is_empty() { "ok" } else { "FAILED" })?;
    for failure in failures {
        writeln!(f, "  {}", failure.why)?;
        if let Some(fix) = &failure.fix {
            writeln!(f, "    fix: {fix}")?;
        }
    }
    Ok(())
}
