//! How a check ends.

use serde::Serialize;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "why")]
pub enum Verdict {
    /// The server does what the row says.
    Pass,
    /// It does not, and this is how it showed.
    Fail(String),
    /// It could not be seen, and this is why.
    Skip(String),
}

/// Why a check ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Fail(String),
    Skip(String),
}

pub(crate) type Outcome = Result<(), Stop>;

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Pass,
            Err(Stop::Fail(why)) => Self::Fail(why),
            Err(Stop::Skip(why)) => Self::Skip(why),
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Fail(error.to_string())
    }
}

pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skip(why.into()))
}

/// Ends the check with a failure unless the condition holds.
macro_rules! want {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::verdict::Stop::Fail(format!($($why)+)));
        }
    };
}

/// Ends the check with a failure unless the answer has one of the statuses.
macro_rules! want_status {
    ($answer:expr, $statuses:pat, $what:expr) => {
        let answer = &$answer;
        if !matches!(answer.status, $statuses) {
            return Err($crate::verdict::Stop::Fail(format!(
                "{}: {} instead of {}",
                $what,
                answer.brief(),
                stringify!($statuses).replace(" | ", " or ").replace("..=", " to ")
            )));
        }
    };
}

pub(crate) use {want, want_status};
