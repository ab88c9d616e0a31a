//! `docs/conformance.md` is what the rows, the departures and the names of the tests say.
//!
//! A test belongs to a row by its name: `fn sess_15_…`, or `WHEP-13 …` as the title of an end-to-end test. To write
//! the document anew: `WTN_WRITE_DOCS=1 cargo test -p wtn-conformance --test doc`.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use wtn_conformance::rows;

/// Where the suite's own checks are.
const SUITE: &str = "shell/conformance/src/checks/";

const HEAD: &str = "\
# Conformance

What the standards ask of a WHIP and WHEP server, row by row, and what shows that wtn does it. Written by
`WTN_WRITE_DOCS=1 cargo test -p wtn-conformance --test doc` from [the rows](../shell/conformance/rows.toml),
[the departures](departures.toml) and the names of the tests; a test compares.

*Suite* is `wtn conformance URL`, which anybody can run against any server; CI runs it against the built binary in several
configurations (`wtn/tests/conformance.rs`) and wants every row met but the departures. ADVISED is what no standard asks, but
clients that people use, or safe operation.
";

#[test]
fn the_document_is_what_rows_departures_and_tests_say() {
    let file = root().join("docs/conformance.md");
    let wanted = document();
    if std::env::var_os("WTN_WRITE_DOCS").is_some() {
        fs::write(&file, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "docs/conformance.md is out of date: WTN_WRITE_DOCS=1 cargo test -p wtn-conformance --test doc\n{differs:#?}"
    );
}

#[test]
fn departures_are_of_rows_and_give_reasons() {
    let known = known();
    for (row, reason) in departures() {
        assert!(known.contains(&*row), "{row}");
        assert!(reason.len() > 20 && reason.ends_with('.'), "{row}: {reason}");
    }
}

#[test]
fn names_of_tests_name_their_rows() {
    let names = |line: &str| rows_of_rust(line).into_iter().collect::<Vec<_>>();
    assert_eq!(names("    fn sess_05_06_07_what_admits() {"), ["SESS-05", "SESS-06", "SESS-07"]);
    assert_eq!(names("pub(super) async fn http_01_tls(ctx: Arc<Ctx>) -> Outcome {"), ["HTTP-01"]);
    assert_eq!(names("fn sdp_26_a_rule"), ["SDP-26"]);
    assert_eq!(names("fn t03_live_07_before_ice() {"), ["LIVE-07"]);
    assert_eq!(names("fn whip_endpoint"), [""; 0]);
    assert_eq!(names("fn rtp_10_is_elsewhere"), ["RTP-10"]);
    assert_eq!(
        rows_of_js("test('WHEP-13, SDP-29: a page', async () => {"),
        ["WHEP-13".to_owned(), "SDP-29".to_owned()].into()
    );
    assert!(rows_of_js("// WHEP-13 is elsewhere").is_empty());
}

fn document() -> String {
    let shown = shown();
    let departures = departures();
    let mut text = HEAD.to_owned();
    let mut counts = [0; 3];
    let mut tables = String::new();
    let mut open = Vec::new();
    for section in rows::sections() {
        let _ = write!(
            tables,
            "\n## {}\n\n| row | | what is asked | | shown by |\n|---|---|---|---|---|\n",
            section.title
        );
        for row in &section.rows {
            let by = shown.get(&row.id);
            let verdict = match (departures.contains_key(&row.id), by) {
                (true, _) => 1,
                (false, Some(_)) => 0,
                (false, None) => 2,
            };
            counts[verdict] += 1;
            if verdict == 2 {
                open.push(row.id.clone());
            }
            let verdict = ["met", "departs", "**open**"][verdict];
            let by: Vec<_> = by.into_iter().flatten().cloned().collect();
            let _ = writeln!(
                tables,
                "| {} | {} | {} ({}) | {verdict} | {} |",
                row.id,
                row.strength.name(),
                row.text,
                row.source,
                by.join(", ")
            );
        }
    }
    let [met, departs, missing] = counts;
    let _ = write!(
        text,
        "\n{met} rows are met, {departs} are departed from (reasons at the end), {missing} are open"
    );
    text += &if open.is_empty() { ".\n".to_owned() } else { format!(": {}.\n", open.join(", ")) };
    text += &tables;
    text += "\n## Departures\n\n| row | why |\n|---|---|\n";
    for (row, reason) in &departures {
        let _ = writeln!(text, "| {row} | {reason} |");
    }
    text
}

fn known() -> BTreeSet<&'static str> {
    rows::sections().iter().flat_map(|section| &section.rows).map(|row| &*row.id).collect()
}

/// By row: the files with its tests, as links.
fn shown() -> BTreeMap<String, BTreeSet<String>> {
    let known = known();
    let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
    for (folder, extension) in
        [("ground", "rs"), ("shell", "rs"), ("testkit", "rs"), ("wtn", "rs"), ("e2e/test", "js")]
    {
        for file in files(&root().join(folder), extension) {
            let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            let by = match path.strip_prefix(SUITE) {
                Some(_) => "suite".to_owned(),
                None => format!("[{}](../{path})", short(&path)),
            };
            for line in fs::read_to_string(&file).unwrap().lines() {
                let rows = if extension == "rs" { rows_of_rust(line) } else { rows_of_js(line) };
                for row in rows.into_iter().filter(|row| known.contains(&**row)) {
                    shown.entry(row).or_default().insert(by.clone());
                }
            }
        }
    }
    shown
}

/// `ground/wish/tests/sessions.rs` as `wish/sessions`.
fn short(path: &str) -> String {
    let parts = path.trim_end_matches(".rs").trim_end_matches(".test.js").split('/');
    let dull = ["ground", "shell", "tests", "test", "src", "mod"];
    parts.filter(|part| !dull.contains(part)).collect::<Vec<_>>().join("/")
}

/// `fn sess_05_06_…`: SESS-05 and SESS-06. What is no row is sorted out later.
fn rows_of_rust(line: &str) -> BTreeSet<String> {
    let Some((before, rest)) = line.split_once("fn ") else { return BTreeSet::new() };
    if !before.split_whitespace().all(|word| word == "async" || word.starts_with("pub")) {
        return BTreeSet::new();
    }
    let name = rest.split(['(', '<']).next().unwrap_or_default();
    let mut rows = BTreeSet::new();
    let mut family = "";
    for part in name.split('_') {
        if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) {
            rows.insert(format!("{}-{part}", family.to_ascii_uppercase()));
        } else {
            family = part;
        }
    }
    rows
}

/// The ids in the title of a test.
fn rows_of_js(line: &str) -> BTreeSet<String> {
    let is_test = ["test(", "it(", "describe("].iter().any(|call| line.trim_start().starts_with(call));
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words
        .filter(|_| is_test)
        .filter(|word| {
            word.split_once('-').is_some_and(|(family, number)| {
                !family.is_empty()
                    && family.bytes().all(|byte| byte.is_ascii_uppercase())
                    && number.len() == 2
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
        .map(str::to_owned)
        .collect()
}

fn departures() -> BTreeMap<String, String> {
    let table: toml::Table =
        fs::read_to_string(root().join("docs/departures.toml")).unwrap().parse().unwrap();
    let text = |row: &toml::Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = table["departure"].as_array().unwrap();
    let found: BTreeMap<_, _> = rows.iter().map(|row| (text(row, "row"), text(row, "reason"))).collect();
    assert_eq!(found.len(), rows.len(), "a row departs twice");
    found
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|each| each == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
