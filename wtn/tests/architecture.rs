//! The building stands as drawn: arrows only downward, and a ground floor without clock, socket or task.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may stand on whom. A new arrow is a decision: it is made here first.
const ARROWS: &[(&str, &[&str])] = &[
    ("wtn-media", &[]),
    ("wtn-sdp", &["wtn-media"]),
    ("wtn-wish", &["wtn-media", "wtn-sdp"]),
    ("wtn-session", &["wtn-media"]),
    ("wtn-bwe", &["wtn-media"]),
    ("wtn-fanout", &["wtn-bwe", "wtn-media"]),
    ("wtn-engine", &["wtn-fanout", "wtn-media", "wtn-session"]),
    ("wtn-net", &["wtn-engine", "wtn-media", "wtn-session"]),
    ("wtn-auth", &["wtn-wish"]),
    ("wtn-store", &["wtn-wish"]),
    ("wtn-http", &["wtn-auth", "wtn-engine", "wtn-media", "wtn-store", "wtn-wish"]),
    ("wtn-client", &["wtn-media", "wtn-sdp"]),
    // Not on `wtn-wish` and `wtn-sdp`: what judges a server shares no rule with it.
    ("wtn-conformance", &["wtn-client", "wtn-media"]),
    ("wtn-bench", &[]),
    (
        "wtn",
        &[
            "wtn-bench",
            "wtn-auth",
            "wtn-client",
            "wtn-conformance",
            "wtn-engine",
            "wtn-http",
            "wtn-media",
            "wtn-net",
            "wtn-session",
            "wtn-store",
            "wtn-wish",
        ],
    ),
];

/// Crates that bring a clock, sockets or tasks with them.
const SHELL_CRATES: &[&str] = &["axum", "hyper", "mio", "reqwest", "socket2", "tokio"];

/// What the sources of the ground floor may not say.
const SHELL_WORDS: &[&str] = &[
    ".await",
    "Instant::now",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "async fn",
    "thread::sleep",
    "thread::spawn",
];

#[test]
fn arrows_point_only_where_they_are_drawn() {
    for (name, folder) in crates() {
        let Some((_, allowed)) = ARROWS.iter().find(|(each, _)| *each == name) else {
            assert!(
                !folder.starts_with(root().join("ground")) && !folder.starts_with(root().join("shell")),
                "{name} has no row in ARROWS"
            );
            continue;
        };
        for dependency in dependencies(&folder).iter().filter(|each| each.starts_with("wtn-")) {
            assert!(allowed.contains(&&**dependency), "{name} may not stand on {dependency}");
        }
    }
}

#[test]
fn every_row_of_the_drawing_is_a_crate() {
    let crates = crates();
    for (name, _) in ARROWS {
        assert!(crates.contains_key(*name), "{name}");
    }
}

#[test]
fn no_ground_crate_brings_in_a_clock_or_a_socket_by_way_of_others() {
    let graph = Graph::read();
    for (name, folder) in crates() {
        if !folder.starts_with(root().join("ground")) {
            continue;
        }
        for below in graph.below(&name) {
            assert!(!SHELL_CRATES.contains(&&*below), "{name} brings in {below}");
        }
    }
}

#[test]
fn fan_out_does_not_know_that_sessions_exist() {
    let below = Graph::read().below("wtn-fanout");
    assert!(!below.contains("wtn-session") && !below.contains("dimpl"));
    assert!(below.contains("wtn-media"));
}

#[test]
fn the_graph_sees_through_other_peoples_crates() {
    let below = Graph::read().below("wtn-http");
    assert!(below.contains("mio"), "by way of tokio");
}

#[test]
fn ground_sources_say_nothing_of_clocks_sockets_and_tasks() {
    let mut read = 0;
    for file in sources(&root().join("ground")) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in product_lines(&text) {
            for word in SHELL_WORDS {
                // `.await`, not `.awaited`.
                let is_said = line.split(word).skip(1).any(|rest| {
                    !word.starts_with('.') || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                assert!(!is_said, "{}:{number} says {word}", file.display());
            }
        }
        read += 1;
    }
    assert!(read > 20, "only {read} files: is this the ground floor?");
}

/// Lines that are neither comments nor tests, which by our convention are the last of a file.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim().starts_with("//"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_tests =
            path.file_stem().is_some_and(|stem| stem == "tests" || stem == "examples" || stem == "benches");
        if path.is_dir() && !is_tests {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_tests {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every crate of the workspace by name, with its folder.
fn crates() -> BTreeMap<String, PathBuf> {
    let floors = ["ground", "shell"].map(|floor| root().join(floor));
    let inside =
        floors.iter().flat_map(|floor| fs::read_dir(floor).unwrap()).map(|entry| entry.unwrap().path());
    let folders = inside.chain([root().join("wtn")]).filter(|folder| folder.join("Cargo.toml").exists());
    folders
        .map(|folder| (manifest(&folder)["package"]["name"].as_str().unwrap().to_owned(), folder))
        .collect()
}

fn manifest(folder: &Path) -> toml::Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

fn dependencies(folder: &Path) -> Vec<String> {
    let manifest = manifest(folder);
    let table = manifest.get("dependencies").and_then(|table| table.as_table());
    table.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// Who depends on whom, by `Cargo.lock`: for the crates of others everything that any platform builds, for
/// ours without what only tests use.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Self {
        let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let name_of = |text: &toml::Value| text.as_str().unwrap().split(' ').next().unwrap().to_owned();
        let mut graph = BTreeMap::<_, BTreeSet<_>>::new();
        for package in packages {
            let below = package.get("dependencies").and_then(|list| list.as_array());
            // Several versions of a crate are taken together.
            graph
                .entry(name_of(&package["name"]))
                .or_default()
                .extend(below.into_iter().flatten().map(name_of));
        }
        for (name, folder) in crates() {
            graph.insert(name, dependencies(&folder).into_iter().collect());
        }
        Self(graph)
    }

    fn below(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left: Vec<_> = self.0[name].iter().collect();
        while let Some(next) = left.pop() {
            if found.insert(next.clone()) {
                left.extend(&self.0[next]);
            }
        }
        found
    }
}
