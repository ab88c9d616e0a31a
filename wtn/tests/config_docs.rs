//! What is written about the configuration is true.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use wtn::config::Config;

/// What follows is written by this test, if `WTN_WRITE_DOCS` is set.
const MARK: &str = "cargo test -p wtn --test config_docs -->\n";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md")
}

#[test]
fn the_reference_has_every_key_as_it_is() {
    let text = fs::read_to_string(file()).unwrap();
    let (prose, keys) = text.split_once(MARK).unwrap();
    let expected = format!("\n{}", wtn::config::reference());
    if std::env::var_os("WTN_WRITE_DOCS").is_some() {
        fs::write(file(), format!("{prose}{MARK}{expected}")).unwrap();
        return;
    }
    assert!(keys == expected, "write it anew: WTN_WRITE_DOCS=1 {}", MARK.trim_end_matches(" -->\n"));
}

#[test]
fn the_examples_are_configurations() {
    examples_of(&file());
    examples_of(&file().with_file_name("auth.md"));
}

fn examples_of(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let examples: Vec<_> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        Config::read(Some((&file.display().to_string(), example)), [], &[])
            .unwrap_or_else(|faults| panic!("{faults}"));
    }
}
