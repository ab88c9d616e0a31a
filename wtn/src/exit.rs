//! What the program says on stdout, and how it ends when it does not end well.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use wtn::StartError;
use wtn::config::Faults;

/// The operation failed.
pub const FAILED: u8 = 1;
/// A second Ctrl-C: nothing is waited for.
pub const INTERRUPTED: i32 = 130;
/// `EX_CONFIG`.
const BAD_CONFIG: u8 = 78;

/// Prints data. A reader that has gone (`| head`) is no reason to panic.
pub fn print(data: impl fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "{data}").and_then(|()| stdout.flush());
}

/// What to say on stderr, and the exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    pub fn new(code: u8, text: impl fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }

    /// For what a report has said already.
    pub fn silent(code: u8) -> Self {
        Self { code, text: String::new() }
    }

    pub fn report(self) -> ExitCode {
        if !self.text.is_empty() {
            eprintln!("wtn: {}", self.text.trim_end());
        }
        ExitCode::from(self.code)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let count = match faults.0.len() {
            1 => "one fault".to_owned(),
            many => format!("{many} faults"),
        };
        Self::new(BAD_CONFIG, format!("the configuration has {count}\n\n{faults}"))
    }
}
