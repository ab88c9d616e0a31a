//! The running server conforms, judged from outside by its own suite, in every configuration that matters.
//!
//! What it does not do, and why, stands in `docs/departures.toml`; nothing else may fail, and every check has to
//! have seen something in one of the configurations.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod server;

use serde_json::Value;
use server::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// A configuration, and how the suite is told of it: `{base}` in the flags is the server, `{other}` one that sends
/// everybody there.
struct Setup {
    name: &'static str,
    config: &'static str,
    flags: &'static [&'static str],
}

const SETUPS: &[Setup] = &[
    Setup { name: "open", config: "auth.open = true", flags: &["{base}", "--abuse"] },
    Setup {
        name: "keys",
        config: r#"
            auth.publish_keys = ["camera-one", "camera-two"]
            auth.play_keys = ["audience"]
            streams.second_publisher = "reject"
            media.public_addresses = ["203.0.113.7"]
            [[ice_servers]]
            url = "stun:stun.example.com:3478"
            [[ice_servers]]
            url = "turn:turn.example.com:3478?transport=udp"
            secret = "shared-with-coturn"
        "#,
        flags: &[
            "{base}",
            "--key",
            "camera-one",
            "--other-key",
            "camera-two",
            "--play-key",
            "audience",
            "--public-address",
            "203.0.113.7",
        ],
    },
    Setup {
        name: "wait",
        config: r#"
            auth.open = true
            streams.no_publisher = "wait"
            streams.counter_offer = true
        "#,
        flags: &["{base}", "--only", "WHEP,HTTP-1,SESS"],
    },
    // One endpoint for all, as other servers have it.
    Setup {
        name: "shared",
        config: r#"
            auth.publish_keys = ["for-others"]
            streams.names = "listed"
            [[endpoints]]
            name = "studio"
            publish_keys = ["for-the-studio"]
            policy.second_publisher = "reject"
        "#,
        flags: &[
            "{base}/whip/studio",
            "--whep",
            "{base}/whep/studio",
            "--key",
            "for-the-studio",
            "--other-key",
            "for-others",
            "--only",
            "HTTP-0,WHIP-0,SESS-0,SESS-2,WHEP-0,AUTH",
        ],
    },
    Setup {
        name: "away",
        config: r#"
            auth.open = true
            http.public_url = "http://127.0.0.1:9"
        "#,
        flags: &["{base}", "--only", "LB-01,LB-03", "--redirect", "{other}/whip/away-1"],
    },
];

/// Rows that no configuration here can show from outside, each with where it is shown instead.
const NOT_SEEN: &[(&str, &str)] = &[
    (
        "WHEP-28",
        "what the suite publishes has one layer: wtn-wish's tests, and Chromium in e2e/test/events.test.js",
    ),
    ("LIVE-19", "the loopback of IPv6 is not everywhere: wtn-net's tests"),
];

#[test]
fn the_running_server_conforms_in_every_configuration() {
    let runs: Vec<_> = SETUPS.iter().map(|setup| thread::spawn(|| (setup.name, judge(setup)))).collect();
    let departures = departures();
    let mut failed = Vec::new();
    let mut verdicts = BTreeMap::<String, BTreeSet<String>>::new();
    let mut reasons = BTreeMap::<String, String>::new();
    for run in runs {
        let (name, report) = run.join().unwrap();
        for finding in report["findings"].as_array().unwrap() {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let (row, verdict) = (text("row"), text("verdict"));
            if verdict == "fail" && !departures.contains_key(&row) {
                failed.push(format!("{name}: {row} {}", text("why")));
            }
            if verdict == "skip" {
                reasons.insert(row.clone(), format!("{name}: {}", text("why")));
            }
            verdicts.entry(row).or_default().insert(verdict);
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    let unseen: Vec<_> = verdicts
        .iter()
        .filter(|(row, seen)| !seen.contains("pass") && !departures.contains_key(*row))
        .filter(|(row, _)| NOT_SEEN.iter().all(|(known, _)| known != row))
        .map(|(row, _)| format!("{row}: {}", reasons[row]))
        .collect();
    assert!(unseen.is_empty(), "seen in no configuration:\n{}", unseen.join("\n"));
}

/// Runs `wtn conformance` against a server of that configuration.
fn judge(setup: &Setup) -> Value {
    let server = Server::start(setup.name, setup.config);
    let other = format!("auth.open = true\n[[redirects]]\nnames = \"away-*\"\nto = \"{}\"\n", server.base());
    let other = Server::start(&format!("{}-other", setup.name), &other);
    let flags = setup
        .flags
        .iter()
        .map(|flag| flag.replace("{base}", &server.base()).replace("{other}", &other.base()));
    let junit =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{}.xml", setup.name, std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_wtn"))
        .args(["conformance", "--json", "--junit"])
        .arg(&junit)
        .args(flags)
        .env_remove("WTN_KEY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}: {said}", setup.name));
    let is_ok = report["ok"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!is_ok)), "{}: {said}", setup.name);
    let xml = std::fs::read_to_string(&junit).unwrap();
    let _ = std::fs::remove_file(&junit);
    let findings = report["findings"].as_array().unwrap().len();
    assert_eq!(xml.matches("<testcase ").count(), findings, "{}", setup.name);
    // What the checks opened they have ended.
    // Sessions whose client just went silent are given thirty seconds.
    server::until("sessions are left over", 3 * server::PATIENCE, || {
        server.metric("wtn_sessions") + server.metric("wtn_sessions_half_open") == 0.0
    });
    report
}

/// Rows that we do not meet, with reasons.
fn departures() -> BTreeMap<String, String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/departures.toml");
    let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let text = |row: &toml::Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = table["departure"].as_array().unwrap();
    rows.iter().map(|row| (text(row, "row"), text(row, "reason"))).collect()
}

#[test]
fn usage_errors_of_the_suite_are_told_from_failures() {
    for args in [&["conformance", "ftp://x/"][..], &["conformance", "http://127.0.0.1:1", "--only", "NOPE"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_wtn")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_wtn")).args(["conformance", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}
