//! HTTP/1.1 by hand, one connection a request: a library would mend what is to be judged.

use crate::answer::{Answer, parse};
use crate::verdict::Stop;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::ConfigVerifierExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

/// For connecting, and for each wait for bytes of an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// After a whole answer, how long we look whether something follows.
const LINGER: Duration = Duration::from_millis(200);
/// No answer of this protocol is longer.
const ANSWER_LEN_MAX: usize = 1024 * 1024;

/// One request that is yet to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    pub url: Url,
    /// In the order in which they are written; `Host`, `Connection` and the framing come by themselves.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Chunks instead of a length.
    pub chunked: bool,
}

impl Request {
    pub fn new(method: &str, url: &Url) -> Self {
        Self {
            method: method.to_owned(),
            url: url.clone(),
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self.header("Content-Type", content_type)
    }

    /// The head, with everything but the framing and the empty line.
    pub fn head(&self) -> String {
        let mut path = self.url.path().to_owned();
        if let Some(query) = self.url.query() {
            path += &format!("?{query}");
        }
        self.head_for(&path)
    }

    /// The same for a path that no URL library would leave alone.
    pub fn head_for(&self, path: &str) -> String {
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", self.method, host(&self.url));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "Connection: close\r\n"
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        if self.chunked {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(700) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            if !self.body.is_empty() || ["POST", "PATCH", "PUT"].contains(&&*self.method) {
                bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).into_bytes());
            }
            bytes.extend(b"\r\n");
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// What `Host` says for a URL.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens connections, with TLS where the URL wants it.
pub(crate) struct Connector {
    tls: Option<TlsConnector>,
}

impl Connector {
    /// Trusts whom this machine trusts, or the certificates of that file alone.
    pub fn new(ca: Option<&Path>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = match ca {
            None => rustls::ClientConfig::with_platform_verifier().ok(),
            Some(file) => CertificateDer::pem_file_iter(file).ok().map(|certificates| {
                let mut roots = rustls::RootCertStore::empty();
                roots.add_parsable_certificates(certificates.filter_map(Result::ok));
                rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
            }),
        };
        Self { tls: tls.map(|config| TlsConnector::from(Arc::new(config))) }
    }

    pub async fn open(&self, url: &Url) -> Result<Box<dyn Stream>, Stop> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let broken = |what: &dyn std::fmt::Display| Stop::Fail(format!("no connection to {host}: {what}"));
        let tcp = timeout(PATIENCE, TcpStream::connect((&*host, port))).await;
        let tcp = tcp.map_err(|_| broken(&"no answer"))?.map_err(|error| broken(&error))?;
        let _ = tcp.set_nodelay(true);
        if url.scheme() != "https" {
            return Ok(Box::new(tcp));
        }
        let tls = self.tls.as_ref().ok_or_else(|| broken(&"this machine has no trusted certificates"))?;
        let name = rustls::pki_types::ServerName::try_from(host.clone()).map_err(|error| broken(&error))?;
        let tls = timeout(PATIENCE, tls.connect(name, tcp)).await;
        Ok(Box::new(tls.map_err(|_| broken(&"no answer"))?.map_err(|error| broken(&error))?))
    }

    /// Sends `bytes` as they are and reads one answer.
    pub async fn exchange(&self, url: &Url, method: &str, bytes: &[u8]) -> Result<Answer, Stop> {
        let stream = self.open(url).await?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        // Both at once: a server may refuse a body that it has not read to its end.
        let sending = async {
            let sent = writer.write_all(bytes).await;
            let _ = writer.flush().await;
            sent
        };
        let (_, answer) = tokio::join!(timeout(PATIENCE, sending), read(&mut reader, method));
        answer
    }
}

/// Reads one answer to its end, and looks a moment whether something follows.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), method: &str) -> Result<Answer, Stop> {
    let mut bytes = Vec::new();
    let mut whole_at = None;
    loop {
        let parsed = parse(&bytes, method, false);
        if parsed.is_some() && whole_at.is_none() {
            whole_at = Some(Instant::now());
        }
        let deadline = whole_at.map_or_else(|| Instant::now() + PATIENCE, |at| at + LINGER);
        let mut chunk = [0; 16 * 1024];
        match timeout_at(deadline, stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => {
                let answer = parse(&bytes, method, true);
                return answer
                    .map(|answer| Answer { closed: true, ..answer })
                    .ok_or_else(|| no_answer(&bytes));
            }
            Ok(Ok(len)) if bytes.len() + len <= ANSWER_LEN_MAX => bytes.extend(&chunk[..len]),
            Ok(Ok(_)) => return Err(Stop::Fail("the answer does not end".to_owned())),
            Err(_) => return parsed.ok_or_else(|| no_answer(&bytes)),
        }
    }
}

fn no_answer(bytes: &[u8]) -> Stop {
    Stop::Fail(match bytes {
        [] => "no answer: the connection was closed, or nothing came in time".to_owned(),
        _ => format!("no whole HTTP answer, only {} bytes", bytes.len()),
    })
}
