//! The program as its user meets it: exit codes, messages, signals, and what it must not print.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::{Duration, Instant};
use support::{Folder, Running, run, wtn};

#[test]
fn version_and_help_are_there() {
    let (code, out, _) = run("version", &["--version"]);
    assert_eq!((code, out), (Some(0), format!("wtn {}\n", env!("CARGO_PKG_VERSION"))));
    for verb in ["serve", "demo", "publish", "play", "bench", "config", "endpoint", "key"] {
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
fn config_check_says_all_that_is_wrong_and_exits_with_78_or_that_nothing_is() {
    let folder = Folder::new("config-check");
    let file = folder.0.join("wtn.toml");
    let check = ["config", "check", "--config", file.to_str().unwrap()];
    fs::write(&file, "shards = 0\n[[endpoints]]\nnme = \"a\"\n").unwrap();
    let output = wtn(&folder, &check).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{err}");
    for part in ["has 3 faults", "wtn.toml:1:10:", "did you mean `name`?", "there is no `name` here"] {
        assert!(err.contains(part), "{part} in {err}");
    }
    fs::write(&file, "shards = 1\n[[endpoints]]\nname = \"a\"\n").unwrap();
    let output = wtn(&folder, &check).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(out, format!("{} is right: 2 keys set, 1 endpoint\n", file.display()));
}

#[test]
fn config_show_tells_where_every_value_comes_from_and_no_secret() {
    let folder = Folder::new("config-show");
    let file = folder.0.join("wtn.toml");
    let text = "[auth]\nplay_keys = [\"hunter2\"]\n[[endpoints]]\nname = \"a\"\npolicy.max_viewers = 3\n";
    fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let show = ["config", "show", "--origin", "--config", name, "--set", "shards=2"];
    let output = wtn(&folder, &show).env("WTN__LOG__FORMAT", "json").output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    for line in [
        "shards = 2  # --set shards",
        "listen = \"[::]:8080\"  # default",
        "# public_url is not set  # default",
        "format = \"json\"  # WTN__LOG__FORMAT",
        &format!("play_keys = [\"(hidden)\"]  # {name}:2"),
        &format!("[[endpoints]]  # {name}:3"),
        &format!("policy.max_viewers = 3  # {name}:5"),
    ] {
        assert!(out.lines().any(|each| each == line), "{line} in {out}");
    }
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn config_init_writes_a_file_that_check_takes_and_never_over_another() {
    let folder = Folder::new("config-init");
    let file = folder.0.join("new.toml");
    let name = file.to_str().unwrap();
    let init = ["config", "init", "--out", name];
    assert_eq!(wtn(&folder, &init).output().unwrap().status.code(), Some(0));
    let check = wtn(&folder, &["config", "check", "--config", name]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
    fs::write(&file, "shards = 1\n").unwrap();
    let again = wtn(&folder, &init).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("is there already"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "shards = 1\n");
    let (code, printed, _) = run("config-init-out", &["config", "init"]);
    assert!(code == Some(0) && printed.contains("\n#listen = \"[::]:8080\"\n"), "{printed}");
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

#[test]
fn http_01_a_public_address_without_a_certificate_is_warned_of() {
    let folder = Folder::new("cleartext");
    for (address, warns) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let server = Running::start_at(&folder, address, &[]);
        server.signal(Signal::TERM);
        let (code, said) = server.end();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains("HTTP is not encrypted"), warns, "{address}: {said}");
    }
}

#[test]
fn http_01_the_client_publishes_by_https_with_a_certificate_of_ones_own() {
    let folder = Folder::new("https");
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.0.join("certificate.pem"), folder.0.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let set = |name: &str, value: &std::path::Path| format!("http.tls.{name}={}", value.display());
    let (first, second) = (set("certificate", &certificate), set("key", &key));
    let server = Running::start(&folder, &["--open", "--set", &first, "--set", &second]);
    let url = format!("https://{}/whip/live", server.http);
    let publish = ["publish", "test", "--to", &url, "--for", "500ms", "--codec", "vp8", "--json"];
    let distrusting = wtn(&folder, &publish).output().unwrap();
    assert_eq!(distrusting.status.code(), Some(1));
    let trusting = [&publish[..], &["--ca", certificate.to_str().unwrap()]].concat();
    let output = wtn(&folder, &trusting).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let none = wtn(&folder, &[&publish[..], &["--ca", key.to_str().unwrap()]].concat()).output().unwrap();
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no certificate in it"), "{none:?}");
    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("HTTP is not encrypted"), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_a_fault_of_the_configuration() {
    let folder = Folder::new("no-certificate");
    let file = folder.0.join("wtn.toml");
    fs::write(&file, "[http.tls]\ncertificate = \"/nowhere/c.pem\"\nkey = \"/nowhere/k.pem\"\n").unwrap();
    let output = wtn(&folder, &["config", "check", "--config", file.to_str().unwrap()]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert!(err.contains("wtn.toml:2:15: /nowhere/c.pem cannot be read"), "{err}");
}
