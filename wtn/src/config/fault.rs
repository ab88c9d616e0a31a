//! A fault in the configuration: where it is, what it is, how to mend it.

use std::fmt;
use std::io;
use std::ops::Range;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    fix: Option<String>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// An environment variable, a part of the command line, or a whole file.
    Named(String),
    /// Lines and columns count from 1, columns in characters.
    Line { file: String, line: usize, column: usize, width: usize, text: String },
}

/// All faults of one configuration, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl Fault {
    pub(super) fn outside(place: &str, what: &str, fix: Option<String>) -> Self {
        Self { what: what.to_owned(), fix, place: Place::Named(place.to_owned()) }
    }

    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        let fix = match error.kind() {
            io::ErrorKind::NotFound => "check the path, or leave --config out: every key has a default",
            io::ErrorKind::PermissionDenied => "let the user that runs wtn read it",
            _ => "check that it is a text file in UTF-8",
        };
        Self::outside(file, &format!("the file cannot be read: {error}"), Some(fix.to_owned()))
    }

    /// `span` is in bytes of `text`; a span of several lines is cut to its first.
    pub(super) fn in_file(
        file: &str,
        text: &str,
        span: Range<usize>,
        what: &str,
        fix: Option<String>,
    ) -> Self {
        let start = floor_char(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_char(text, span.end).clamp(start, line_end.max(start));
        let place = Place::Line {
            file: file.to_owned(),
            line: 1 + text[..start].matches('\n').count(),
            column: 1 + text[line_start..start].chars().count(),
            width: text[start..end].chars().count().max(1),
            text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        };
        Self { what: what.to_owned(), fix, place }
    }

    /// Covers the value on the line that is shown, whatever the key is called.
    pub(super) fn cover(&mut self) {
        if let Place::Line { text, .. } = &mut self.place {
            *text = match text.split_once('=') {
                Some((key, value)) => format!("{key}={}", covered(value)),
                None => covered(text),
            };
        }
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fix = self.fix.as_deref().unwrap_or_default();
        match &self.place {
            Place::Named(place) => {
                write!(f, "{place}: {}", self.what)?;
                if fix.is_empty() { writeln!(f) } else { writeln!(f, "; {fix}") }
            }
            Place::Line { file, line, column, width, text } => {
                let margin = " ".repeat(line.to_string().len());
                let indent: String = text
                    .chars()
                    .take(column - 1)
                    .map(|character| if character == '\t' { '\t' } else { ' ' })
                    .collect();
                writeln!(f, "{file}:{line}:{column}: {}", self.what)?;
                writeln!(f, " {margin} |")?;
                writeln!(f, " {line} | {}", redacted(text))?;
                writeln!(f, " {margin} | {indent}{} {fix}", "^".repeat(*width))
            }
        }
    }
}

/// What a line says that may hold a secret.
const SECRET_WORDS: [&str; 5] = ["key", "secret", "credential", "password", "token"];

/// Whether `text` speaks of a secret.
pub(super) fn may_tell(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| text.contains(word))
}

/// With every letter and digit covered.
fn covered(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() { '*' } else { c }).collect()
}

/// Lines that may hold a secret are shown with their values covered: error messages end up in logs.
///
/// A line is not always enough to know what a text in it belongs to (lists go on for many), so a text without a
/// name before it is covered too.
fn redacted(line: &str) -> String {
    let has_text = |text: &str| text.contains(['"', '\'']);
    match line.split_once('=') {
        Some((key, value)) if has_text(key) => format!("{}={}", covered(key), covered(value)),
        Some((key, value)) if may_tell(line) => format!("{key}={}", covered(value)),
        None if has_text(line) => covered(line),
        _ => line.to_owned(),
    }
}
