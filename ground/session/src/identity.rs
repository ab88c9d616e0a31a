//! Who we are towards every peer: one certificate and one DTLS configuration a process.

use crate::dtls::rsa;
use ::aws_lc_rs::digest;
use dimpl::crypto::{CryptoProvider, aws_lc_rs};
use dimpl::{Config, DtlsCertificate};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wtn_media::{DtlsRole, Fingerprint, HashAlgorithm};

/// First retransmission of a DTLS flight. RFC 6347 §4.2.4.1 says one second and lets real-time uses go lower
/// (browsers start at 50 ms); where the round trip is longer, 700 bytes are sent twice.
const FLIGHT_RTO: Duration = Duration::from_millis(250);
/// Retransmissions of a flight: seven intervals from 250 ms, each twice the last, are the half minute that a
/// session has to connect.
const FLIGHT_RETRIES: usize = 6;
/// Longer than any session may take to connect, whose own deadline decides.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(300);

/// The certificate and the shared configuration. Building it costs about a millisecond and checks the
/// cryptographic library, so it is made once and shared by all sessions.
pub struct Identity {
    certificate: DtlsCertificate,
    server_config: Arc<Config>,
    client_config: Arc<Config>,
}

/// The cryptographic library failed to make a certificate or to pass its self-test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DTLS identity could be made: {0}")]
pub struct IdentityError(String);

impl Identity {
    /// A fresh ECDSA P-256 certificate, valid for a year.
    ///
    /// # Errors
    /// If the cryptographic library refuses.
    pub fn generate() -> Result<Self, IdentityError> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|error| IdentityError(error.to_string()))?;
        Self::build(certificate, aws_lc_rs::default_provider(), None)
    }

    /// One whose every choice is the caller's, for simulations that must repeat: certificate, cryptography,
    /// and the seed of all else. Never for a real server: all sessions share the seed.
    ///
    /// # Errors
    /// If the cryptographic library refuses.
    pub fn scripted(
        certificate: DtlsCertificate,
        provider: CryptoProvider,
        seed: u64,
    ) -> Result<Self, IdentityError> {
        Self::build(certificate, provider, Some(seed))
    }

    fn build(
        certificate: DtlsCertificate,
        provider: CryptoProvider,
        seed: Option<u64>,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            certificate,
            server_config: config(seed, rsa::widen_provider(provider.clone()))?,
            client_config: config(seed, provider)?,
        })
    }

    pub(crate) fn certificate(&self) -> DtlsCertificate {
        self.certificate.clone()
    }

    pub(crate) fn config(&self, role: DtlsRole) -> Arc<Config> {
        Arc::clone(match role {
            DtlsRole::Server => &self.server_config,
            DtlsRole::Client => &self.client_config,
        })
    }

    /// What our SDP says about the certificate: its SHA-256 (RFC 8122 §5).
    pub fn fingerprint(&self) -> Fingerprint {
        let algorithm = HashAlgorithm::Sha256;
        Fingerprint { algorithm, digest: hash(algorithm, &self.certificate.certificate) }
    }
}

/// ICE has proved the address before the first DTLS byte is read, so no cookie: that saves a round trip.
fn config(seed: Option<u64>, provider: CryptoProvider) -> Result<Arc<Config>, IdentityError> {
    let mut builder = Config::builder()
        .with_crypto_provider(provider)
        .use_server_cookie(false)
        .require_client_certificate(true)
        .flight_start_rto(FLIGHT_RTO)
        .flight_retries(FLIGHT_RETRIES)
        .handshake_timeout(HANDSHAKE_LIMIT);
    if let Some(seed) = seed {
        builder = builder.dangerously_set_rng_seed(seed);
    }
    builder.build().map(Arc::new).map_err(|error| IdentityError(error.to_string()))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// True if the certificate is one of those that were announced. One match is enough: an offer may list several
/// certificates and several hashes of each (RFC 8122 §5.1).
pub(crate) fn is_announced(certificate: &[u8], announced: &[Fingerprint]) -> bool {
    announced.iter().any(|fingerprint| hash(fingerprint.algorithm, certificate) == fingerprint.digest)
}

fn hash(algorithm: HashAlgorithm, certificate: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref().to_vec()
}
