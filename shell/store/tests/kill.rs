//! P04: `kill -9` in the middle of writes. What was acknowledged is there, nothing is there by half.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{Folder, endpoint};
use wtn_store::{Store, StoredEndpoint};

const FOLDER: &str = "WTN_STORE_TEST_FOLDER";
const FROM: &str = "WTN_STORE_TEST_FROM";
const ROUNDS: u64 = 40;

/// The n-th write of all: mostly puts, some over others, and now and then a removal.
enum Write {
    Put(StoredEndpoint),
    Remove(String),
}

fn nth(number: u64) -> Write {
    let name = format!("e{}", number * 7 % 13);
    if number % 5 == 4 { Write::Remove(name) } else { Write::Put(endpoint(&name, number)) }
}

fn after(writes: u64) -> Vec<StoredEndpoint> {
    let mut rows = BTreeMap::new();
    for number in 0..writes {
        match nth(number) {
            Write::Put(endpoint) => drop(rows.insert(endpoint.name.clone(), endpoint)),
            Write::Remove(name) => drop(rows.remove(&name)),
        }
    }
    rows.into_values().collect()
}

/// The child: writes until it is killed, and says so after each write.
#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn writer() {
    let (Some(folder), Ok(from)) = (std::env::var_os(FOLDER), std::env::var(FROM)) else { return };
    let mut stdout = std::io::stdout().lock();
    let mut say = |text: String| {
        stdout.write_all(text.as_bytes()).unwrap();
        stdout.flush().unwrap();
    };
    say("\nbegun\n".to_owned());
    let (store, _) = Store::open(folder.as_ref()).unwrap();
    for number in from.parse::<u64>().unwrap().. {
        match nth(number) {
            Write::Put(endpoint) => store.put(&endpoint).unwrap(),
            Write::Remove(name) => store.remove(&name).unwrap(),
        }
        say(format!("\nwritten {number}\n"));
    }
}

fn spawn(folder: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills a writer once it has acknowledged so many writes and then some; how many it has acknowledged when it
/// is gone.
fn killed(folder: &Path, from: u64, after_writes: u64, then_spins: u64) -> u64 {
    let mut child = spawn(folder, from);
    let mut acknowledged = from;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut read = |wanted: Option<u64>| {
        for line in lines.by_ref() {
            if let Some(number) = line.strip_prefix("written ") {
                acknowledged = number.parse::<u64>().unwrap() + 1;
            } else if line != "begun" {
                continue;
            }
            if wanted.is_some_and(|wanted| acknowledged >= from + wanted) {
                break;
            }
        }
    };
    read(Some(after_writes));
    // Not to wait for anything, but to hit another point of the next write each time.
    let begun = Instant::now();
    while begun.elapsed().as_micros() < u128::from(then_spins) {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    read(None);
    child.wait().unwrap();
    acknowledged
}

#[test]
fn p04_kill_9_in_mid_write_loses_nothing_acknowledged_and_halves_nothing() {
    let mut folder = Folder::new("kill-0");
    let mut written = 0;
    let mut in_flight = 0;
    for round in 0..ROUNDS {
        if round % 8 == 7 {
            // The first write, which makes the file, is to be hit too.
            folder = Folder::new(&format!("kill-{round}"));
            written = 0;
        }
        let acknowledged = killed(&folder.0, written, round * 5 % 8, round * 997 % 6_000);
        let (store, endpoints) = Store::open(&folder.0).expect("it opens after every kill");
        let is_there = |writes| endpoints == after(writes);
        // A write that was under way may have been done, whole.
        written =
            [acknowledged, acknowledged + 1].into_iter().find(|writes| is_there(*writes)).unwrap_or_else(
                || panic!("round {round}: {acknowledged} writes acknowledged, but there is {endpoints:?}"),
            );
        in_flight += written - acknowledged;
        drop(store);
    }
    println!("{in_flight} of {ROUNDS} kills came after a write was done and before it was acknowledged");
}
