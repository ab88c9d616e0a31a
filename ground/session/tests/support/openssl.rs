//! The `openssl` program as the far end, over a loopback socket.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a real program needs a real socket, a real clock and a thread that reads what it prints"
)]

use super::check::Check;
use super::{CLIENT_PWD, IDENTITY, SERVER_PWD, credentials};
use aws_lc_rs::digest;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm};
use wtn_session::{DropReason, Inbound, Output, Session, SessionConfig};

const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that goes when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wtn-session-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A key and its self-signed certificate; `key` is what follows `-newkey`.
    pub fn certificate(&self, key: &[&str]) -> Certificate {
        let (pem, key_pem, der) = (self.0.join("c.pem"), self.0.join("k.pem"), self.0.join("c.der"));
        let mut request = openssl(&["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=test", "-newkey"]);
        finish(request.args(key).arg("-keyout").arg(&key_pem).arg("-out").arg(&pem));
        finish(openssl(&["x509", "-outform", "DER", "-in"]).arg(&pem).arg("-out").arg(&der));
        let hash = digest::digest(&digest::SHA256, &std::fs::read(der).unwrap());
        let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: hash.as_ref().to_vec() };
        Certificate { pem, key: key_pem, fingerprint }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

pub struct Certificate {
    pem: PathBuf,
    key: PathBuf,
    pub fingerprint: Fingerprint,
}

impl Certificate {
    fn arguments(&self) -> [&str; 4] {
        ["-cert", self.pem.to_str().unwrap(), "-key", self.key.to_str().unwrap()]
    }
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

fn finish(command: &mut Command) {
    let output = command.output().expect("these tests need the `openssl` program (OpenSSL 3) in the PATH");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running `openssl`, what it printed, and our session at the other end of the socket.
pub struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Receiver<String>,
    pub output: String,
    pub events: Vec<Output>,
    pub dropped: Vec<DropReason>,
    /// So many DTLS datagrams of ours get lost.
    pub losses: usize,
    pub session: Session,
    socket: UdpSocket,
    peer: Option<SocketAddr>,
}

impl Talk {
    /// `s_client` towards a session in the server role.
    pub fn with_client(certificate: &Certificate, arguments: &[&str]) -> Self {
        Self::with_anonymous_client(certificate, &[&certificate.arguments(), arguments].concat())
    }

    /// The same, but the certificate is only announced.
    pub fn with_anonymous_client(announced: &Certificate, arguments: &[&str]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap().to_string();
        let mut command = openssl(&["s_client", "-dtls1_2", "-connect", &to]);
        Self::start(command.args(arguments), socket, DtlsRole::Server, announced)
    }

    /// `s_server` towards a session in the client role.
    pub fn with_server(certificate: &Certificate, arguments: &[&str]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut command = openssl(&["s_server", "-dtls1_2", "-accept", "127.0.0.1:0", "-Verify", "1"]);
        command.args(certificate.arguments()).args(arguments);
        let mut talk = Self::start(&mut command, socket, DtlsRole::Client, certificate);
        talk.until(|talk| talk.after("ACCEPT ").is_some());
        let peer = talk.after("ACCEPT ").unwrap().parse().unwrap();
        talk.meet(peer);
        talk
    }

    fn start(command: &mut Command, socket: UdpSocket, role: DtlsRole, announced: &Certificate) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut child = command
            .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need the `openssl` program (OpenSSL 3) in the PATH");
        let (sender, printed) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let config = SessionConfig {
            local: credentials("srv0", SERVER_PWD),
            remote: credentials("cli0", CLIENT_PWD),
            dtls_role: role,
            fingerprints: vec![announced.fingerprint.clone()],
            connect_by: Instant::now() + PATIENCE,
            is_publisher: true,
        };
        Self {
            stdin: child.stdin.take(),
            child,
            printed,
            output: String::new(),
            events: Vec::new(),
            dropped: Vec::new(),
            losses: 0,
            session: Session::new(Instant::now(), config, &IDENTITY),
            socket,
            peer: None,
        }
    }

    /// Moves datagrams until `done`. Waits for a datagram at a time; gives up after 20 s.
    pub fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !self.step(&done) {
            assert!(Instant::now() < give_up, "events {:?}, openssl said:\n{}", self.events, self.output);
        }
    }

    fn step(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        let mut buffer = [0; 2048];
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            self.meet(from);
            let outcome = self.session.handle_datagram(Instant::now(), from, &mut buffer[..len]);
            if let Inbound::Dropped(reason) = outcome {
                self.dropped.push(reason);
            }
        }
        self.session.handle_timeout(Instant::now());
        self.drain();
        while let Ok(line) = self.printed.try_recv() {
            self.output += &line;
            self.output.push('\n');
        }
        done(self)
    }

    /// openssl speaks no STUN, so the check from its address is made for it.
    fn meet(&mut self, peer: SocketAddr) {
        if self.peer.replace(peer).is_none() {
            let mut check = Check::ordinary().nominating().bytes();
            self.session.handle_datagram(Instant::now(), peer, &mut check);
            self.drain();
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit { bytes, .. } if bytes[0] < 4 => {}
                Output::Transmit { .. } if self.losses > 0 => self.losses -= 1,
                Output::Transmit { to, bytes } => {
                    self.socket.send_to(&bytes, to.address).unwrap();
                }
                event => self.events.push(event),
            }
        }
    }

    /// The end of input makes `s_client` say close_notify.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub fn close(&mut self) {
        self.session.close(Instant::now());
        self.drain();
    }

    pub fn profile(&self) -> Option<&'static str> {
        self.events.iter().find_map(|event| match event {
            Output::Connected { srtp_profile, .. } => Some(*srtp_profile),
            _ => None,
        })
    }

    /// The rest of the line behind this text.
    pub fn after(&self, text: &str) -> Option<&str> {
        let (_, rest) = self.output.split_once(text)?;
        rest.split_once('\n').map(|(line, _)| line.trim())
    }

    pub fn inject(&mut self, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        let from = self.peer.unwrap();
        match self.session.handle_datagram(Instant::now(), from, &mut datagram) {
            Inbound::Rtp { packet, .. } => Some(packet.to_vec()),
            _ => None,
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
