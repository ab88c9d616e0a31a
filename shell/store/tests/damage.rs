//! What a disk or a hand may do to the file.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs;
use support::{Folder, endpoint};
use wtn_store::{OpenFault, Store, StoredEndpoint};

#[test]
fn a_damaged_file_is_refused_or_read_in_full_but_never_less() {
    let folder = Folder::new("damaged");
    let (store, _) = Store::open(&folder.0).unwrap();
    let expected: Vec<_> = (0..6).map(|n| endpoint(&format!("e{n}"), n)).collect();
    for each in &expected {
        store.put(each).unwrap();
    }
    let file = store.file().to_owned();
    drop(store);
    let whole = fs::read(&file).unwrap();
    // Panics of the database are part of the matter, and are many. No other test runs in this process.
    std::panic::set_hook(Box::new(|_| {}));
    let used: Vec<_> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut refused = 0;
    for at in used.iter().step_by(used.len() / 150) {
        let mut broken = whole.clone();
        broken[*at] ^= 0x15;
        refused += i32::from(is_refused_or_whole(&folder, &broken, &expected));
    }
    for len in [1, 64, 511, 4096, whole.len() / 2, whole.len() - 1] {
        refused += i32::from(is_refused_or_whole(&folder, &whole[..len], &expected));
    }
    let _ = std::panic::take_hook();
    assert!(refused > 5, "{refused}");
}

/// True if refused.
fn is_refused_or_whole(folder: &Folder, bytes: &[u8], expected: &[StoredEndpoint]) -> bool {
    fs::write(folder.0.join("wtn.redb"), bytes).unwrap();
    match Store::open(&folder.0) {
        Ok((_, endpoints)) => {
            assert_eq!(endpoints, expected);
            false
        }
        Err(error) => {
            assert!(matches!(error.fault, OpenFault::Corrupted(_) | OpenFault::Newer(_)), "{error}");
            true
        }
    }
}
