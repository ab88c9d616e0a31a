//! Twenty broken files, and every word that is said about each.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use wtn::config::Config;

const BROKEN: [&str; 20] = [
    "htpp.listen = \":80\"",
    "[http]\nlisen = \":80\"",
    "[http]\nlisten = \"everywhere\"",
    "http = 5",
    "[http]\npublic_url = \"https://example.com/path\"",
    "[http.tls]\ncertificate = \"c.pem\"",
    "[http]\ncleartext = \"refuse\"",
    "shards = 0\nshards = 2",
    "shards = ",
    "open = true",
    "[media]\npublic_addresses = [\"203.0.113.7\", \"example.com\"]",
    "[auth]\nplay_keys = [\"fine\", \"two words\"]",
    "[streams]\ngrace_seconds = \"10s\"",
    "[streams]\ncodecs = [\"H264\", \"divx\"]",
    "[endpoints.live]\npublish_keys = [\"k\"]",
    "[[endpoints]]\nname = \"a\"\n[[endpoints]]\nname = \"b/c\"\n[[endpoints]]\nname = \"a\"",
    "[[endpoints]]\npolicy.max_viewer = 3",
    "[[endpoints]]\nname = \"a\"\nplay_keys = [{ id = \"x\", key = \"k\" }, { id = \"x\", key = \"l\", expires_at = \"soon\" }]",
    "[[ice_servers]]\nurl = \"turn:turn.example.com\"\nusername = \"u\"\n[[ice_servers]]\nurl = \"https://x\"",
    "[[redirects]]\nnames = \"a*b\"\nto = \"example.com\"",
];

#[test]
fn every_message_is_as_it_was_written_down() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/config_faults.txt");
    let mut said = String::new();
    for (number, text) in (1..).zip(BROKEN) {
        let faults = Config::read(Some(("wtn.toml", text)), [], &[]).unwrap_err();
        writeln!(said, "--- {number}\n{faults}").unwrap();
    }
    if std::env::var_os("WTN_WRITE_DOCS").is_some() {
        fs::write(file, said).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap();
    for (expected, said) in expected.split("--- ").zip(said.split("--- ")) {
        assert_eq!(said, expected);
    }
    assert_eq!(said.len(), expected.len());
}
