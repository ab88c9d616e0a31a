//! Why a server did not start: what, why, and what to do, in one sentence.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use wtn_http::CertificateError;
use wtn_net::{BindError, Owner, Protocol, port_owner};
use wtn_store::OpenError;

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The HTTP port could not be opened.
    Http {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// Who has the port, if somebody does and we may see it.
        owner: Option<Owner>,
    },
    /// The media port could not be opened.
    Media(BindError),
    /// The certificate cannot be served.
    Certificate(CertificateError),
    /// The endpoints made at run time cannot be read: see [`OpenError`].
    Store(OpenError),
    /// There are no keys, and nobody said that the server is open: nobody could publish.
    NoKeys,
    /// A key file or a URL of `auth` is of no use.
    Access(String),
    /// The system or a library refused something that always works.
    System(Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    pub(crate) fn http(addr: SocketAddr, error: io::Error) -> Self {
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        let owner = is_taken.then(|| port_owner(Protocol::Tcp, addr.port())).flatten();
        Self::Http { addr, error, owner }
    }

    pub(crate) fn system(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::System(error.into())
    }

    /// The exit code of a program that could not start: 77 for want of permission, 69 for any other trouble
    /// with a port, 74 for the data folder, 78 for a bad configuration, 1 else (`sysexits.h`).
    pub fn exit_code(&self) -> u8 {
        use wtn_net::socket::BindFault;
        match self {
            Self::Http { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => 77,
            Self::Media(BindError { fault: BindFault::Forbidden, .. }) => 77,
            Self::Http { .. } | Self::Media(_) => 69,
            Self::Store(_) => 74,
            Self::Certificate(_) | Self::Access(_) => 78,
            Self::NoKeys | Self::System(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { addr, error, owner } => write_http(f, *addr, error, owner.as_ref()),
            Self::Media(error) => error.fmt(f),
            Self::Certificate(error) => write!(f, "{error}; {}", error.fix),
            Self::Store(error) => error.fmt(f),
            Self::NoKeys => f.write_str(
                "nobody could publish: there is no publish key, and the server is not open; give it a key, or \
                 say that it is open",
            ),
            Self::Access(what) => f.write_str(what),
            Self::System(error) => error.fmt(f),
        }
    }
}

fn write_http(
    f: &mut fmt::Formatter<'_>,
    addr: SocketAddr,
    error: &io::Error,
    owner: Option<&Owner>,
) -> fmt::Result {
    write!(f, "cannot listen on TCP {addr} for HTTP: ")?;
    let next = addr.port().checked_add(1).unwrap_or(8080);
    match (error.kind(), owner) {
        (io::ErrorKind::AddrInUse, Some(owner)) => {
            write!(f, "the port is taken by {owner}; stop it, or choose another port: --http :{next}")
        }
        (io::ErrorKind::AddrInUse, None) => {
            write!(f, "the port is taken; choose another: --http :{next}")
        }
        (io::ErrorKind::PermissionDenied, _) => {
            f.write_str("not permitted; choose a port above 1023, or grant the program CAP_NET_BIND_SERVICE")
        }
        (io::ErrorKind::AddrNotAvailable, _) => f.write_str(
            "no interface has this address; listen on an address of this host, or on all: --http :8080",
        ),
        _ => write!(f, "{error}; check the address"),
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http { error, .. } => Some(error),
            Self::Media(error) => Some(error),
            Self::Certificate(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::System(error) => Some(&**error),
            Self::NoKeys | Self::Access(_) => None,
        }
    }
}
