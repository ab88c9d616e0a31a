//! Where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file; lines count from 1.
    File {
        /// As it was given.
        name: String,
        /// The line.
        line: usize,
    },
    /// A variable of the environment, by its name.
    Env(String),
    /// `--set`, with the key.
    Set(String),
    /// Another flag of the command line.
    Flag(&'static str),
}

impl Origin {
    pub(super) fn in_file(name: &str, text: &str, at: usize) -> Self {
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self::File { name: name.to_owned(), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => f.write_str(name),
            Self::Set(key) => write!(f, "--set {key}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Origin, and place in the file if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub origin: Origin,
    pub span: Range<usize>,
}

/// By path; elements of lists as `endpoints[0].name`. What is not in it has its default.
pub(super) type Origins = BTreeMap<String, Spot>;
