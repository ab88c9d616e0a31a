//! What tests of a running server share.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "only tests use this, and a panic is how they fail")]

pub mod driven;
pub mod program;
pub mod sdk;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use program::{Folder, Running, run, wtn};

use std::time::{Duration, Instant};

/// Waits until `condition` gives something. A busy machine may take long; one that never gets there fails.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    const WITHIN: Duration = Duration::from_secs(60);
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
