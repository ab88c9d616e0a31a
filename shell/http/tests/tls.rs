//! TLS on the port of HTTP: with real handshakes over real sockets.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wtn_http::{Certificate, Cleartext, Limits, Security};

/// Handshakes take their time on a busy machine.
const PATIENT: Limits = Limits { head_within: Duration::from_secs(20), ..LIMITS };

/// A self-made certificate for localhost and its key, in files of their own.
struct Made {
    certificate: PathBuf,
    key: PathBuf,
}

impl Made {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let path = |what: &str| folder.join(format!("{name}-{}-{what}.pem", std::process::id()));
        let files = Self { certificate: path("certificate"), key: path("key") };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn load(&self) -> Certificate {
        Certificate::load(&self.certificate, &self.key).unwrap()
    }

    /// A connection that trusts this certificate alone.
    async fn connect(
        &self,
        server: &TestServer,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.certificate);
        let _ = std::fs::remove_file(&self.key);
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

async fn exchange(mut stream: TlsStream<TcpStream>, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("a close_notify, not a cut");
    Answer::parse(&bytes)
}

fn post() -> String {
    with_body(
        "POST",
        "/whip/live",
        &[("Host", "localhost"), ("Content-Type", "application/sdp")],
        &offer("pub-ffmpeg"),
    )
}

async fn server(made: &Made, limits: Limits, cleartext: Cleartext) -> (TestServer, Arc<Security>) {
    let security = Security::new(Some(made.load()), cleartext);
    (TestServer::secured(open_desk(), limits, Arc::clone(&security)).await, security)
}

#[tokio::test]
async fn http_01_a_post_by_https_gets_201_with_either_version_of_tls() {
    let made = Made::new("post");
    let (server, _) = server(&made, PATIENT, Cleartext::Refuse).await;
    for version in BOTH {
        let stream = made.connect(&server, &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = exchange(stream, &post()).await;
        assert_eq!(answer.status, 201, "{}", answer.head);
    }
}

#[tokio::test]
async fn http_01_plain_http_is_refused_where_the_operator_wants_it_so() {
    let made = Made::new("plain");
    let (refusing, _) = server(&made, PATIENT, Cleartext::Refuse).await;
    let answer = refusing.exchange(post()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.problem()["code"], "https_only");
    let page = "GET /watch/live?a=b HTTP/1.1\r\nHost: live.example.com\r\nConnection: close\r\n\r\n";
    let led_on = refusing.exchange(page).await;
    assert_eq!(led_on.status, 307);
    assert_eq!(led_on.header("Location"), Some("https://live.example.com/watch/live?a=b"));

    let (loopback, _) = server(&made, PATIENT, Cleartext::Loopback).await;
    assert_eq!(loopback.exchange(post()).await.status, 201);
}

#[tokio::test]
async fn http_15_a_handshake_that_stalls_is_dropped_and_makes_room() {
    let made = Made::new("stall");
    let limits = Limits { connections: 1, ..LIMITS };
    let (server, _) = server(&made, limits, Cleartext::Loopback).await;
    for start in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        let mut stalled = server.connect().await;
        stalled.write_all(start).await.unwrap();
        let waiting = server.ask("GET", "/livez");
        let mut bytes = Vec::new();
        let _ = stalled.read_to_end(&mut bytes).await;
        assert_eq!(waiting.await.status, 200, "{start:?}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_drops_no_old_one() {
    let (first, second) = (Made::new("first"), Made::new("second"));
    let (server, security) = server(&first, PATIENT, Cleartext::Refuse).await;
    let mut old = first.connect(&server, BOTH).await.unwrap();
    old.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    old.read_exact(&mut answer).await.unwrap();
    security.set(Some(second.load()), Cleartext::Refuse);

    assert!(first.connect(&server, BOTH).await.is_err(), "the old certificate is gone");
    assert_eq!(exchange(second.connect(&server, BOTH).await.unwrap(), &post()).await.status, 201);
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    old.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    old.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8(rest).unwrap().matches("HTTP/1.1 200 OK").count(), 1);
}

#[test]
fn a_certificate_that_cannot_be_served_says_which_file_and_what_to_do() {
    let (made, other) = (Made::new("made"), Made::new("other"));
    let nowhere = PathBuf::from("/nowhere/x.pem");
    let load = |certificate: &PathBuf, key: &PathBuf| Certificate::load(certificate, key).unwrap_err();
    let error = load(&nowhere, &made.key);
    assert!(error.what.contains("/nowhere/x.pem cannot be read") && !error.is_key, "{error}");
    let error = load(&made.certificate, &nowhere);
    assert!(error.what.contains("/nowhere/x.pem cannot be read") && error.is_key, "{error}");
    let error = load(&made.key, &made.key);
    assert!(error.what.ends_with("has no certificate in it"), "{error}");
    let error = load(&made.certificate, &made.certificate);
    assert!(error.what.ends_with("has no private key in it"), "{error}");
    let error = load(&made.certificate, &other.key);
    assert!(error.what.contains("do not fit together"), "{error}");
}
