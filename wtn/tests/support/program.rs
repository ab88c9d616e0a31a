//! The program `wtn` as a child process, with a data folder of its own.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// A data folder of its own, gone with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
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

pub fn wtn(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wtn"));
    command.args(args).env_clear().env("XDG_DATA_HOME", &folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(name: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = wtn(&Folder::new(name), args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A server that has said where it listens.
pub struct Running {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    pub http: String,
}

impl Running {
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", args)
    }

    pub fn start_at(folder: &Folder, http: &str, args: &[&str]) -> Self {
        let own = ["serve", "--http", http, "--media", "127.0.0.1:0", "--log-format", "json"];
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

    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code, and everything that was printed.
    pub fn end(mut self) -> (Option<i32>, String) {
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
