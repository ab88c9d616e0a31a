//! Problem details (RFC 9457): every error says what is wrong and what to do.

use crate::Reply;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable, for programs: `[a-z_]+`.
    pub code: &'static str,
    /// The kind of error, the same words for the same code.
    pub title: &'static str,
    /// What was wrong this time.
    pub detail: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// The error as a reply, CORS headers and all.
    pub fn into_reply(self) -> Reply {
        Reply { status: self.status, headers: Vec::new(), body: Vec::new(), effects: Vec::new() }
    }

    /// For the shell, which sees that a body is too large before the desk could.
    pub fn body_too_large() -> Self {
        Self {
            status: 413,
            code: "body_too_large",
            title: "Body too large",
            detail: String::new(),
            fix: String::new(),
        }
    }
}
