//! What is kept, what is refused, and that nothing is lost without a word.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

#[allow(dead_code, reason = "each file of tests uses its part")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use support::{Folder, endpoint};
use wtn_store::{OpenFault, Store, WriteError};

fn fault(folder: &Folder) -> (OpenFault, String) {
    let error = Store::open(&folder.0).expect_err("a fault");
    let text = error.to_string();
    assert!(text.contains("wtn.redb"), "{text}");
    (error.fault, text)
}

#[test]
fn what_is_put_is_there_after_a_restart_until_it_is_removed() {
    let folder = Folder::new("restart");
    let (store, endpoints) = Store::open(&folder.0).unwrap();
    assert!(endpoints.is_empty());
    for (name, number) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
        store.put(&endpoint(name, number)).unwrap();
    }
    store.remove("c").unwrap();
    store.remove("nobody").unwrap();
    drop(store);
    let (store, endpoints) = Store::open(&folder.0).unwrap();
    assert_eq!(endpoints, [endpoint("a", 3), endpoint("b", 2)]);
    store.remove("a").unwrap();
    drop(store);
    assert_eq!(Store::open(&folder.0).unwrap().1, [endpoint("b", 2)]);
}

#[test]
fn nothing_is_made_before_the_first_write_and_then_for_its_owner_alone() {
    let folder = Folder::new("lazy");
    let place = folder.0.join("data/wtn");
    let (store, _) = Store::open(&place).unwrap();
    assert!(!place.exists());
    store.put(&endpoint("a", 1)).unwrap();
    assert_eq!(fs::metadata(store.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    let names: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["wtn.redb"]);
}

#[test]
fn a_half_made_file_is_made_anew() {
    let folder = Folder::new("half-made");
    fs::write(folder.0.join("wtn.redb.new"), b"redb and no more").unwrap();
    let (store, _) = Store::open(&folder.0).unwrap();
    store.put(&endpoint("a", 1)).unwrap();
    drop(store);
    assert_eq!(Store::open(&folder.0).unwrap().1, [endpoint("a", 1)]);
}

#[test]
fn a_second_owner_is_refused_with_the_name_of_the_file() {
    let folder = Folder::new("in-use");
    let (store, _) = Store::open(&folder.0).unwrap();
    let (early, _) = Store::open(&folder.0).unwrap();
    store.put(&endpoint("a", 1)).unwrap();
    let (found, text) = fault(&folder);
    assert!(matches!(found, OpenFault::InUse), "{found:?}");
    assert!(text.contains("another process") && text.contains("data_dir"), "{text}");
    // One that began when there was no file yet is refused by its first write.
    let error = early.put(&endpoint("b", 1)).unwrap_err();
    assert!(matches!(&error, WriteError::Open(open) if matches!(open.fault, OpenFault::InUse)), "{error}");
    drop(store);
    early.put(&endpoint("b", 1)).unwrap();
    drop(early);
    assert_eq!(Store::open(&folder.0).unwrap().1, [endpoint("a", 1), endpoint("b", 1)]);
}

#[test]
fn a_folder_that_cannot_be_made_fails_the_write_and_says_where() {
    let (store, endpoints) = Store::open("/proc/nowhere".as_ref()).unwrap();
    assert!(endpoints.is_empty());
    let error = store.put(&endpoint("a", 1)).unwrap_err();
    assert!(error.to_string().contains("/proc/nowhere/wtn.redb cannot be opened"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new("garbage");
    let file = folder.0.join("wtn.redb");
    for garbage in [&b""[..], b"hello", &[0; 4096], &[0xa5; 100_000]] {
        fs::write(&file, garbage).unwrap();
        let (found, text) = fault(&folder);
        assert!(matches!(found, OpenFault::Corrupted(_)), "{found:?}");
        assert!(text.contains("backup"), "{text}");
        assert_eq!(fs::read(&file).unwrap(), garbage);
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = Folder::new("newer");
    let (store, _) = Store::open(&folder.0).unwrap();
    store.put(&endpoint("a", 1)).unwrap();
    let file = store.file().to_owned();
    drop(store);
    let set_schema = |schema: u64| {
        let database = redb::Database::open(&file).unwrap();
        let transaction = database.begin_write().unwrap();
        let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
        transaction.open_table(numbers).unwrap().insert("schema", schema).unwrap();
        transaction.commit().unwrap();
    };
    set_schema(2);
    let (found, text) = fault(&folder);
    assert!(matches!(found, OpenFault::Newer(2)), "{found:?}");
    assert!(text.contains("newer wtn"), "{text}");
    set_schema(1);
    assert_eq!(Store::open(&folder.0).unwrap().1, [endpoint("a", 1)]);
}

#[test]
fn a_row_that_is_lost_is_missed() {
    let folder = Folder::new("missing-row");
    let (store, _) = Store::open(&folder.0).unwrap();
    store.put(&endpoint("a", 1)).unwrap();
    store.put(&endpoint("b", 1)).unwrap();
    let file = store.file().to_owned();
    drop(store);
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let endpoints = redb::TableDefinition::<&str, &[u8]>::new("endpoints");
    transaction.open_table(endpoints).unwrap().remove("a").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let (found, _) = fault(&folder);
    assert!(matches!(found, OpenFault::Corrupted(_)), "{found:?}");
}
