//! Where all chance of a simulation comes from: one seed, one thread.
//!
//! The network draws from the seed by itself. The clients are str0m, which asks for no seed; this is how they
//! repeat all the same:
//! - ICE credentials, transaction ids, SSRCs and the like come from `fastrand`, whose generator belongs to the
//!   thread: [`seed`] sets it.
//! - DTLS is dimpl. Its randoms, explicit nonces and retransmission jitter follow from
//!   `dangerously_set_rng_seed`; key exchange and signatures come from its provider of cryptography, so ours
//!   takes X25519 keys from the seed and signs without randomness (RFC 6979), always 70 bytes. Otherwise every
//!   run had other keys, and even other lengths, since an ECDSA signature in DER has 68 to 72 bytes.
//! - The certificate is always the same.
//!
//! Two things stay out of reach. The DTLS hello, sender reports and absolute send times carry the wall clock of
//! the process; and with two tracks a hash table of the standard library decides which block comes first in an
//! RTCP compound. Neither shows in times or lengths, so they are what two runs are compared by.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use dimpl::crypto::{
    ActiveKeyExchange, Buf, HashAlgorithm, KeyProvider, NamedGroup, SecureRandom, SignatureAlgorithm,
    SigningKey, SupportedKxGroup,
};
use dimpl::{CryptoError, CryptoOperation};
use p256::ecdsa::signature::RandomizedSigner;
use p256::ecdsa::signature::rand_core::{TryCryptoRng, TryRng};
use p256::ecdsa::{Signature, SigningKey as EcdsaKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use str0m::crypto::dtls::{DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion};
use str0m::crypto::{CryptoError as ClientCryptoError, CryptoProvider as ClientCryptoProvider};

thread_local! {
    static CHANCE: RefCell<StdRng> = RefCell::new(StdRng::from_os_rng());
}

/// Everything that this thread's clients draw from now on follows from `seed`.
pub fn seed(seed: u64) {
    fastrand::seed(seed);
    CHANCE.with_borrow_mut(|chance| *chance = StdRng::seed_from_u64(seed));
}

/// A number drawn from the thread's seed.
pub fn draw_u64() -> u64 {
    CHANCE.with_borrow_mut(|chance| chance.random())
}

/// Fills `bytes` from the thread's seed.
pub fn fill(bytes: &mut [u8]) {
    CHANCE.with_borrow_mut(|chance| chance.fill_bytes(bytes));
}

/// The cryptography of DTLS with key exchange, signatures and randomness from the thread's seed; all else is
/// that of `wtn-session`. Only X25519 is offered, which every implementation has.
pub fn dtls_crypto() -> dimpl::crypto::CryptoProvider {
    dimpl::crypto::CryptoProvider {
        kx_groups: &[&SeededX25519],
        key_provider: &PlainKeys,
        secure_random: &SeededRandom,
        ..dimpl::crypto::aws_lc_rs::default_provider()
    }
}

/// A certificate that follows from `number`, with its key.
///
/// # Panics
/// If the library that writes certificates fails, which it has no reason to.
pub fn certificate(number: u8) -> dimpl::DtlsCertificate {
    let key = CertificateKey::new(number);
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(u64::from(number).into());
    let certificate = params.self_signed(&key).expect("a certificate of a valid key");
    let private_key = key.key.to_pkcs8_der().expect("a valid key").as_bytes().to_vec();
    dimpl::DtlsCertificate { certificate: certificate.der().to_vec(), private_key }
}

/// The cryptography of the clients.
pub(crate) fn client_crypto() -> Arc<ClientCryptoProvider> {
    static PROVIDER: LazyLock<Arc<ClientCryptoProvider>> = LazyLock::new(|| {
        let provider = str0m::crypto::from_feature_flags();
        Arc::new(ClientCryptoProvider { dtls_provider: &SeededDtls, ..provider })
    });
    PROVIDER.clone()
}

#[derive(Debug)]
struct SeededRandom;

impl SecureRandom for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        fill(bytes);
        Ok(())
    }
}

#[derive(Debug)]
struct SeededX25519;

impl SupportedKxGroup for SeededX25519 {
    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let failed = |operation| move |_| CryptoError::OperationFailed(operation);
        let mut secret = [0; 32];
        fill(&mut secret);
        let private = PrivateKey::from_private_key(&X25519, &secret)
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::GenerateEphemeralKey))?;
        let key = private.compute_public_key().map_err(failed(CryptoOperation::ComputePublicKey))?;
        public.clear();
        public.extend_from_slice(key.as_ref());
        Ok(Box::new(Exchange { private, public }))
    }
}

#[derive(Debug)]
struct Exchange {
    private: PrivateKey,
    public: Buf,
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let invalid = CryptoError::InvalidPublicKey(NamedGroup::X25519);
        agree(&self.private, UnparsedPublicKey::new(&X25519, peer), invalid, |secret| {
            out.clear();
            out.extend_from_slice(secret);
            Ok(())
        })
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Loads P-256 keys that sign the same bytes the same way.
#[derive(Debug)]
struct PlainKeys;

impl KeyProvider for PlainKeys {
    fn load_private_key(&self, der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let key = EcdsaKey::from_pkcs8_der(der)
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::EncodeKey))?;
        Ok(Box::new(PlainKey(key)))
    }
}

#[derive(Debug)]
struct PlainKey(EcdsaKey);

impl SigningKey for PlainKey {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash: HashAlgorithm::SHA256,
                requested: hash,
            });
        }
        out.clear();
        out.extend_from_slice(&sign(&self.0, data)?);
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

/// In DER, always of the same length, though the hello in front of it carries the wall clock: of the signatures
/// that follow from key and data, the first one that has it. One in four does.
fn sign(key: &EcdsaKey, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    for attempt in 0..=u8::MAX {
        let signature: Signature = key
            .try_sign_with_rng(&mut Attempt(attempt), data)
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        let signature = signature.to_der();
        if signature.as_bytes().len() == SIGNATURE_LEN {
            return Ok(signature.as_bytes().to_vec());
        }
    }
    Err(CryptoError::OperationFailed(CryptoOperation::Sign))
}

/// Two numbers of 32 bytes, neither with a zero in front, in DER.
const SIGNATURE_LEN: usize = 70;

/// Stands for randomness where a signature takes some in addition to RFC 6979.
struct Attempt(u8);

impl TryRng for Attempt {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from(self.0))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Attempt {}

/// The same key for the library that writes certificates.
struct CertificateKey {
    key: EcdsaKey,
    public: Vec<u8>,
}

impl CertificateKey {
    fn new(number: u8) -> Self {
        let key =
            EcdsaKey::from_slice(&[number | 1; 32]).expect("below the order of the curve, and not zero");
        let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        Self { key, public }
    }
}

impl rcgen::PublicKeyData for CertificateKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for CertificateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        sign(&self.key, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[derive(Debug)]
struct SeededDtls;

impl DtlsProvider for SeededDtls {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        Some(certificate(1))
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, ClientCryptoError> {
        if version != DtlsVersion::Dtls12 {
            return Err(ClientCryptoError::Other("simulated clients speak DTLS 1.2".into()));
        }
        let mut config = dimpl::Config::builder()
            .with_crypto_provider(dtls_crypto())
            .dangerously_set_rng_seed(draw_u64())
            .use_server_cookie(false);
        if let Some(mtu) = mtu {
            config = config.mtu(mtu);
        }
        let config = config.build().map_err(|error| ClientCryptoError::Other(error.to_string()))?;
        Ok(Box::new(ClientDtls(dimpl::Dtls::new_12(Arc::new(config), certificate.clone(), now))))
    }
}

struct ClientDtls(dimpl::Dtls);

impl std::fmt::Debug for ClientDtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientDtls").finish_non_exhaustive()
    }
}

impl DtlsInstance for ClientDtls {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<dimpl::ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_the_same_every_time_and_differ_by_number() {
        assert_eq!(certificate(1).certificate, certificate(1).certificate);
        assert_ne!(certificate(1).certificate, certificate(3).certificate);
    }

    #[test]
    fn key_exchange_and_signature_follow_from_the_seed() {
        let run = |number| {
            seed(number);
            let exchange = SeededX25519.start_exchange(Buf::new()).unwrap();
            let mut key = PlainKeys.load_private_key(&certificate(1).private_key).unwrap();
            let mut signature = Buf::new();
            key.sign(b"hello", HashAlgorithm::SHA256, &mut signature).unwrap();
            (exchange.pub_key().to_vec(), signature.to_vec(), fastrand::u64(..))
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
        assert_ne!(run(1).2, run(2).2);
    }
}
