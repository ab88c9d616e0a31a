//! TLS on the port of HTTP, and who may come without it.

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of every TLS connection: a handshake record (RFC 8446 §5.1). No HTTP request begins so.
const HANDSHAKE: u8 = 0x16;

/// A certificate with its chain and key, ready to be served.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<ServerConfig>);

/// Why a certificate cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CertificateError {
    /// What is wrong, without a dot at its end.
    pub what: String,
    /// What to do about it.
    pub fix: &'static str,
    /// Whether it is the key's file that is wrong.
    pub is_key: bool,
}

impl Certificate {
    /// Reads two PEM files: the certificate with what leads to its root, and its private key.
    ///
    /// # Errors
    /// A file that cannot be read, or has not in it what it should, or a key of another certificate.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain =
            chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(|error| unreadable(certificate, &error, false))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error, true))?;
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let unfit = |error: rustls::Error| CertificateError {
            what: format!("{} and {} do not fit together: {error}", certificate.display(), key.display()),
            fix: "name the certificate and the private key that was made for it",
            is_key: true,
        };
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(unfit)?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, secret).map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn unreadable(file: &Path, error: &pem::Error, is_key: bool) -> CertificateError {
    let what = match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", file.display()),
        pem::Error::NoItemsFound if is_key => format!("{} has no private key in it", file.display()),
        pem::Error::NoItemsFound => format!("{} has no certificate in it", file.display()),
        error => format!("{} is no PEM file: {error}", file.display()),
    };
    let fix = match (error, is_key) {
        (pem::Error::Io(_), _) => "check the path, and let the user that runs wtn read the file",
        (_, true) => "name a PEM file with BEGIN PRIVATE KEY, not encrypted",
        (_, false) => {
            "name a PEM file with BEGIN CERTIFICATE: the server's own first, then those up to its root"
        }
    };
    CertificateError { what, fix, is_key }
}

/// Who may come without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// Anybody.
    Allow,
    /// Programs on this machine, a proxy for one.
    Loopback,
    /// Nobody.
    Refuse,
}

/// What holds for connections that are accepted from now on; it can be changed at any time.
#[derive(Debug)]
pub struct Security(RwLock<(Option<Certificate>, Cleartext)>);

impl Security {
    /// With a certificate or without.
    pub fn new(certificate: Option<Certificate>, cleartext: Cleartext) -> Arc<Self> {
        Arc::new(Self(RwLock::new((certificate, cleartext))))
    }

    /// Everybody may come without TLS, and there is none.
    pub fn none() -> Arc<Self> {
        Self::new(None, Cleartext::Allow)
    }

    /// Other rules for connections to come; those that are open stay as they are.
    pub fn set(&self, certificate: Option<Certificate>, cleartext: Cleartext) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (certificate, cleartext);
    }

    /// Whether there is a certificate.
    pub fn has_certificate(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Takes a connection in: with TLS if its first byte is TLS. `None` if it says nothing in time, or no handshake
    /// comes about.
    pub(crate) async fn enter(&self, stream: TcpStream, remote: IpAddr, within: Duration) -> Option<Entered> {
        let (certificate, cleartext) = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let plain = |stream| match cleartext {
            Cleartext::Allow => Entered::Plain(stream),
            Cleartext::Loopback if remote.is_loopback() => Entered::Plain(stream),
            Cleartext::Loopback | Cleartext::Refuse => Entered::Refused(stream),
        };
        let Some(Certificate(config)) = certificate else { return Some(plain(stream)) };
        let entering = async {
            let mut first = [0];
            match stream.peek(&mut first).await {
                Ok(1) if first == [HANDSHAKE] => {
                    let tls = TlsAcceptor::from(config).accept(stream).await;
                    tls.inspect_err(|error| tracing::debug!(%remote, %error, "no TLS handshake"))
                        .ok()
                        .map(|tls| Entered::Tls(Box::new(tls)))
                }
                Ok(1) => Some(plain(stream)),
                Ok(_) | Err(_) => None,
            }
        };
        timeout(within, entering).await.ok().flatten()
    }
}

/// A connection that was taken in.
pub(crate) enum Entered {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
    /// It has no TLS and should have: every request is told so.
    Refused(TcpStream),
}
