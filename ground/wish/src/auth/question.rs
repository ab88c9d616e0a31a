//! What only somebody elsewhere can answer: asked as a value, answered as a value.

/// What the webhook said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Come in.
    Allowed,
    /// Stay out.
    Denied,
    /// Nothing, or nothing that could be understood: stay out for now.
    Unreachable,
}
