//! The program as its user meets it: exit codes, messages, signals, and what it must not print.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A data folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
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

fn run(name: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = wtn(&Folder::new(name), args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A server that has said where it listens.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    http: String,
}

impl Running {
    fn start(folder: &Folder, args: &[&str]) -> Self {
        let own = ["serve", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0", "--log-format", "json"];
        let mut child = wtn(folder, &[&own, args].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, stderr, said: String::new(), http: String::new() };
        while running.http.is_empty() {
            let mut line = String::new();
            assert_ne!(running.stderr.read_line(&mut line).unwrap(), 0, "it ended: {}", running.said);
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            running.http = event["http"].as_str().unwrap_or_default().to_owned();
            running.said += &line;
        }
        running
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code, and everything that was printed.
    fn end(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_are_there() {
    let (code, out, _) = run("version", &["--version"]);
    assert_eq!((code, out), (Some(0), format!("wtn {}\n", env!("CARGO_PKG_VERSION"))));
    for verb in ["serve", "demo", "publish", "play", "bench"] {
        let (code, out, _) = run("help", &[verb, "--help"]);
        assert_eq!(code, Some(0), "{verb}");
        assert!(out.contains("Examples:"), "{verb}: {out}");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [&["fly"][..], &["--http", "nowhere"], &["--shards", "0"], &["play"]] {
        let (code, _, err) = run("usage", args);
        assert_eq!(code, Some(2), "{args:?}: {err}");
    }
}

#[test]
fn a_bad_configuration_exits_with_78_and_shows_all_of_it() {
    let folder = Folder::new("bad-config");
    let file = folder.0.join("wtn.toml");
    fs::write(&file, "[http]\nlisen = \":80\"\n[log]\nformat = \"xml\"\n").unwrap();
    let mut command = wtn(&folder, &["--config", file.to_str().unwrap()]);
    let output = command.env("WTN__SHARD", "2").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert!(err.starts_with("wtn: the configuration has 3 faults\n"), "{err}");
    for part in ["did you mean `listen`?", "it wants \"text\" or \"json\"", "did you mean `shards`?"] {
        assert!(err.contains(part), "{part} in {err}");
    }

    let (code, _, err) = run("no-config", &["--config", "/nowhere/wtn.toml"]);
    assert_eq!(code, Some(78));
    assert!(err.contains("/nowhere/wtn.toml: the file cannot be read"), "{err}");
}

#[test]
fn a_busy_port_exits_with_69_and_names_its_owner_and_the_way_out() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap();
    let (code, _, err) = run("busy-tcp", &["--http", &addr.to_string(), "--media", "127.0.0.1:0"]);
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains(&format!("pid {}", std::process::id())), "{err}");
    assert!(err.contains("--http :"), "{err}");

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = udp.local_addr().unwrap();
    let (code, _, err) = run("busy-udp", &["--http", "127.0.0.1:0", "--media", &addr.to_string()]);
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains(&format!("pid {}", std::process::id())), "{err}");
}

#[test]
fn an_address_of_another_host_exits_with_69() {
    let (code, _, err) = run("address", &["--http", "192.0.2.77:8080"]);
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains("no interface has this address"), "{err}");
}

#[test]
fn lb_06_sigterm_ends_the_server_well_and_soon() {
    soon(|| {
        let folder = Folder::new("sigterm");
        let server = Running::start(&folder, &[]);
        assert!(server.get("/readyz").starts_with("HTTP/1.1 200 OK\r\n"));
        let _idle = TcpStream::connect(&server.http).unwrap();
        let begun = Instant::now();
        server.signal(Signal::TERM);
        let (code, said) = server.end();
        assert_eq!(code, Some(0), "{said}");
        for line in said.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_ne!(event["level"], "ERROR", "{line}");
        }
        begun.elapsed()
    });
}

#[test]
fn ctrl_c_ends_the_server_well() {
    let folder = Folder::new("sigint");
    let server = Running::start(&folder, &["--open"]);
    server.signal(Signal::INT);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn auth_08_the_key_of_the_first_start_is_kept_for_its_owner_and_printed_to_nobody_else() {
    let folder = Folder::new("first-start");
    let file = folder.0.join("wtn/publish.key");
    let mut kept = Vec::new();
    for _ in 0..2 {
        let server = Running::start(&folder, &[]);
        server.signal(Signal::TERM);
        let (_, said) = server.end();
        let key = fs::read_to_string(&file).unwrap();
        assert_eq!(key.trim().len(), 29);
        assert!(!said.contains(key.trim()), "{said}");
        assert!(said.contains("publish.key"), "{said}");
        kept.push(key);
    }
    assert_eq!(kept[0], kept[1]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_that_cannot_be_kept_is_good_until_the_server_stops() {
    let folder = Folder::new("no-folder");
    let server = Running::start(&folder, &["--set", "data_dir=/proc/nowhere"]);
    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.contains("good until the server stops"), "{said}");
}

/// The demo, once its banner is out.
struct Demo {
    child: Child,
    banner: String,
}

impl Demo {
    fn start(folder: &Folder) -> Self {
        let mut child =
            wtn(folder, &["demo", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut demo = Self { child, banner: String::new() };
        while !demo.banner.contains("Ctrl-C") {
            assert_ne!(stdout.read_line(&mut demo.banner).unwrap(), 0, "it ended: {}", demo.banner);
        }
        demo
    }

    /// `http://127.0.0.1:PORT`, as the banner has it.
    fn base(&self) -> &str {
        let url = self.banner.split_whitespace().find(|word| word.ends_with("/watch/test")).unwrap();
        url.strip_suffix("/watch/test").unwrap()
    }

    fn status(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.base().strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_is_a_picture_that_a_player_sees_and_ctrl_c_ends_it_all() {
    let folder = Folder::new("demo");
    let mut demo = Demo::start(&folder);
    let key = fs::read_to_string(folder.0.join("wtn/publish.key")).unwrap();
    assert!(demo.banner.contains(key.trim()), "{}", demo.banner);

    let url = format!("{}/whep/test", demo.base());
    let play = ["play", &url, "--for", "1s", "--expect", "h264+opus", "--json"];
    let output = wtn(&folder, &play).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["ok"], true);

    demo.interrupt();
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

/// What a shared machine holds up once says nothing of the server; what takes long by itself does so every time.
fn soon(attempt: impl Fn() -> Duration) {
    let took: Vec<_> = std::iter::repeat_with(attempt).take(3).collect();
    assert!(took.iter().any(|took| *took < Duration::from_secs(2)), "{took:?}");
}

#[test]
fn ctrl_c_ends_the_demo_within_two_seconds() {
    soon(|| {
        let mut demo = Demo::start(&Folder::new("demo-end"));
        let begun = Instant::now();
        demo.interrupt();
        assert_eq!(demo.child.wait().unwrap().code(), Some(0));
        begun.elapsed()
    });
}

#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    let folder = Folder::new("second");
    let mut demo = Demo::start(&folder);
    let url = format!("{}/whep/test", demo.base());
    assert_eq!(wtn(&folder, &["play", &url, "--for", "100ms"]).output().unwrap().status.code(), Some(0));
    demo.interrupt();
    // Goodbyes are said more than once, in case one is lost; that takes longer than this.
    while !demo.status("/readyz").contains("503") {}
    demo.interrupt();
    assert_eq!(demo.child.wait().unwrap().code(), Some(130));
}

#[test]
fn publishing_needs_the_key_and_says_so() {
    let folder = Folder::new("wrong-key");
    let server = Running::start(&folder, &[]);
    let url = format!("http://{}/whip/live", server.http);
    let output =
        wtn(&folder, &["publish", "test", "--to", &url, "--key", "wrong", "--wait", "1s"]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("401") && err.contains("Check the key"), "{err}");

    let key = fs::read_to_string(folder.0.join("wtn/publish.key")).unwrap();
    let publish =
        ["publish", "test", "--to", &url, "--key", key.trim(), "--for", "500ms", "--codec", "vp8", "--json"];
    let output = wtn(&folder, &publish).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.contains("\"code\":\"bad_token\""), "{said}");
    assert!(said.contains("publisher is live") && said.contains("VP8 + opus"), "{said}");
    assert!(!said.contains(key.trim()) && !said.contains("wrong\""), "{said}");
}

#[test]
fn a_player_without_a_server_fails_and_says_why() {
    let (code, _, err) = run("nobody", &["play", "http://127.0.0.1:1/whep/live", "--wait", "200ms"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("127.0.0.1:1"), "{err}");
}
