//! `wtn endpoint` and `wtn key` against the built binary, as their user meets them.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A data folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("manage-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("wtn/wtn.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wtn(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wtn"));
    command.args(args).env_clear().env("XDG_DATA_HOME", &folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

const SERVE: [&str; 7] = ["serve", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0", "--log-format", "json"];

/// A server that has said where it listens.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    url: String,
}

impl Running {
    fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut child = wtn(folder, &[&SERVE, args].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, stderr, url: String::new() };
        while running.url.is_empty() {
            let mut line = String::new();
            assert_ne!(running.stderr.read_line(&mut line).unwrap(), 0, "it ended");
            let event: Value = serde_json::from_str(&line).unwrap();
            running.url = event["http"].as_str().map(|http| format!("http://{http}")).unwrap_or_default();
        }
        running
    }

    /// Exit code, stdout, stderr of a command about this server.
    fn run(&self, folder: &Folder, args: &[&str]) -> (i32, String, String) {
        run(folder, &[args, &["--server", &self.url]].concat())
    }

    fn json(&self, folder: &Folder, args: &[&str]) -> Value {
        let (code, out, err) = self.run(folder, &[args, &["--json"]].concat());
        assert_eq!(code, 0, "{args:?}: {err}");
        serde_json::from_str(&out).unwrap()
    }

    /// What it logged until it was gone.
    fn stop(mut self, signal: Signal) -> String {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        self.child.wait().unwrap();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Folder, args: &[&str]) -> (i32, String, String) {
    let output = wtn(folder, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn endpoints_are_made_listed_changed_and_destroyed() {
    let folder = Folder::new("endpoints");
    let server = Running::start(&folder, &[]);
    let (code, out, _) = server.run(&folder, &["endpoint", "list"]);
    assert_eq!((code, out.contains("wtn endpoint create")), (0, true), "{out}");
    assert!(!folder.file().exists(), "nothing is made before it is needed");

    let create = ["endpoint", "create", "studio", "--publish-key", "--set", "codecs=h264,opus"];
    let (code, out, err) = server.run(&folder, &create);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(&format!("WHIP     {}/whip/studio", server.url)), "{out}");
    assert!(out.contains("codecs=h264,opus") && out.contains("shown this once"), "{out}");
    let change = ["endpoint", "change", "studio", "--set", "max_viewers=5", "--set", "codecs="];
    let (code, out, err) = server.run(&folder, &change);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("Policy   max_viewers=5\n"), "{out}");
    let (_, out, _) = server.run(&folder, &["endpoint", "list"]);
    let rows: Vec<_> = out.lines().collect();
    assert_eq!(rows.len(), 2, "{out}");
    assert!(rows[1].starts_with("studio  store    1 publish, 0 play  max_viewers=5"), "{out}");
    let show = server.json(&folder, &["endpoint", "show", "studio"]);
    assert_eq!(show["policy"]["max_viewers"], 5);
    let (code, out, _) = server.run(&folder, &["endpoint", "destroy", "studio"]);
    assert_eq!((code, &*out), (0, "studio is gone, and its sessions have ended\n"));
    assert_eq!(server.json(&folder, &["endpoint", "list"]), Value::Array(Vec::new()));
}

#[test]
fn keys_are_made_listed_rotated_and_revoked_and_their_secrets_are_logged_nowhere() {
    let folder = Folder::new("keys");
    let server = Running::start(&folder, &[]);
    server.json(&folder, &["endpoint", "create", "studio"]);
    let options = ["--label", "camera 2", "--expires-in", "30d"];
    let made =
        server.json(&folder, &[&["key", "create", "studio", "--allows", "publish"], &options[..]].concat());
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let (_, out, _) = server.run(&folder, &["key", "list", "studio"]);
    assert!(out.contains(id) && out.contains("camera 2") && !out.contains(secret), "{out}");
    let (code, _, err) = server.run(&folder, &["key", "revoke", "studio", id]);
    assert_eq!(code, 1);
    assert!(err.contains("[last_key]") && err.contains("rotate it"), "{err}");
    let rotated = server.json(&folder, &["key", "rotate", "studio", id, "--overlap", "1h"]);
    assert_eq!(rotated["label"], "camera 2");
    let (code, _, err) = server.run(&folder, &["key", "revoke", "studio", id]);
    assert_eq!(code, 0, "{err}");
    let keys = server.json(&folder, &["key", "list", "studio"]);
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["id"]), (1, &rotated["id"]));
    let said = server.stop(Signal::TERM);
    assert!(!said.contains(secret) && !said.contains(rotated["secret"].as_str().unwrap()), "{said}");
    let file = fs::read(folder.file()).unwrap();
    assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()), "the file has the secret");
}

#[test]
fn what_was_made_is_there_after_a_restart_and_after_kill_9() {
    let folder = Folder::new("restart");
    let names = |server: &Running| {
        let list = server.json(&folder, &["endpoint", "list"]);
        let names = list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let server = Running::start(&folder, &[]);
    server.json(&folder, &["endpoint", "create", "a", "--publish-key", "--set", "grace_seconds=3"]);
    server.stop(Signal::TERM);
    let server = Running::start(&folder, &[]);
    assert_eq!(names(&server), ["a"]);
    server.json(&folder, &["endpoint", "create", "b"]);
    server.stop(Signal::KILL);
    let server = Running::start(&folder, &[]);
    assert_eq!(names(&server), ["a", "b"]);
    let a = server.json(&folder, &["endpoint", "show", "a"]);
    assert_eq!((&a["policy"]["grace_seconds"], a["keys"].as_array().unwrap().len()), (&Value::from(3), 1));
}

#[test]
fn a_store_that_is_in_use_or_damaged_exits_with_74_and_says_which_file() {
    let folder = Folder::new("in-use");
    let server = Running::start(&folder, &[]);
    server.json(&folder, &["endpoint", "create", "a"]);
    let (code, _, err) = run(&folder, &SERVE);
    assert_eq!(code, 74, "{err}");
    assert!(err.contains("wtn/wtn.redb is in use by another process"), "{err}");
    server.stop(Signal::TERM);
    fs::write(folder.file(), "not a database").unwrap();
    let (code, _, err) = run(&folder, &SERVE);
    assert_eq!(code, 74, "{err}");
    assert!(err.contains("wtn/wtn.redb is damaged") && err.contains("backup"), "{err}");
    assert_eq!(fs::read(folder.file()).unwrap(), b"not a database");
}

#[test]
fn refusals_say_what_is_wrong_and_what_to_do() {
    let folder = Folder::new("refusals");
    let config = folder.0.join("wtn.toml");
    fs::write(&config, "[[endpoints]]\nname = \"fixed\"\n").unwrap();
    let server = Running::start(&folder, &["--config", config.to_str().unwrap()]);
    let fails = |args: &[&str], parts: &[&str]| {
        let (code, out, err) = server.run(&folder, args);
        assert_eq!((code, &*out), (1, ""), "{args:?}: {err}");
        for part in parts {
            assert!(err.contains(part), "{args:?}: no {part:?} in {err}");
        }
    };
    fails(&["endpoint", "destroy", "fixed"], &["in the configuration file", "[endpoint_in_config]"]);
    fails(&["endpoint", "show", "nobody"], &["no endpoint \"nobody\"", "wtn endpoint list"]);
    let wrong = ["endpoint", "create", "a/b", "--set", "max_viewer=5", "--set", "grace_seconds=9999"];
    fails(
        &wrong,
        &["\n  name: wants", "did you mean `max_viewers`?", "\n  policy.grace_seconds: wants seconds"],
    );
    assert_eq!(server.json(&folder, &["endpoint", "list"])[0]["origin"], "config");
}

#[test]
fn without_a_server_or_without_the_key_the_exit_code_says_so() {
    let folder = Folder::new("nobody");
    let (code, _, err) = run(&folder, &["endpoint", "list", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("no server answers at http://127.0.0.1:1") && err.contains("--server"), "{err}");
    let (code, _, err) = run(&folder, &["endpoint", "list", "--server", "localhost"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("write it like http://localhost:8080"), "{err}");

    let admin = ["--set", "auth.admin_keys=an-admin-key", "--set", "auth.local_admin=false"];
    let server = Running::start(&folder, &admin);
    let (code, _, err) = server.run(&folder, &["endpoint", "list"]);
    assert_eq!(code, 77, "{err}");
    let (code, _, err) = server.run(&folder, &["endpoint", "list", "--admin-key", "wrong"]);
    assert_eq!(code, 77, "{err}");
    assert!(!err.contains("wrong"), "{err}");
    let (code, _, err) = server.run(&folder, &["endpoint", "list", "--admin-key", "an-admin-key"]);
    assert_eq!(code, 0, "{err}");
}
