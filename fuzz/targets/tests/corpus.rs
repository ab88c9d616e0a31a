//! Every file of the committed corpus goes through its target, also cut short and with bits turned.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::PathBuf;
use wtn_fuzz_targets::{TARGETS, feed};

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn auth_17_the_corpus_goes_through_every_target() {
    for (name, _) in TARGETS {
        let files: Vec<_> = fs::read_dir(fuzz().join("corpus").join(name)).unwrap().collect();
        assert!(files.len() >= 3, "{name} has a corpus of {}", files.len());
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            println!("{}", path.display());
            feed(name, &bytes);
            for part in 1..8 {
                feed(name, &bytes[..bytes.len() * part / 8]);
            }
            for at in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
                let mut turned = bytes.clone();
                turned[at] ^= 1 << (at % 8);
                feed(name, &turned);
            }
        }
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(fuzz().join(format!("fuzz_targets/{name}.rs")).exists(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
