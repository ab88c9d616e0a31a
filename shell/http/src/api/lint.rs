//! What may be wrong with what publishers send.

use crate::events::SessionNote;
use serde::Serialize;
use utoipa::ToSchema;

/// Advice for a broadcaster, while it holds: docs/lint.md has every code.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Lint)]
pub(crate) struct LintView {
    /// Stable.
    #[schema(example = "keyframes_far_apart")]
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl LintView {
    /// All that is said of a publisher.
    pub fn of(note: &SessionNote) -> Vec<Self> {
        let view = |(code, value): (&wtn_media::LintCode, &i64)| Self {
            code: code.code(),
            detail: code.sentence(*value),
            fix: code.fix(),
        };
        note.lint.iter().map(view).collect()
    }
}
