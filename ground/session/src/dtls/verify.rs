//! Signatures of peers whose certificates dimpl's own verifier does not know: RSA (GStreamer before 1.28) and
//! ECDSA on P-224 (FFmpeg built on GnuTLS). The fingerprint in the SDP says whose certificate it is; what is
//! proved here is that the peer holds its key.

use ::aws_lc_rs::digest;
use ::aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RsaParameters, UnparsedPublicKey,
};
use dimpl::crypto::{HashAlgorithm, SignatureAlgorithm, SignatureVerifier, aws_lc_rs};
use dimpl::{CryptoError, CryptoOperation};
use p224::ecdsa::signature::hazmat::PrehashVerifier;
use p224::ecdsa::{DerSignature, VerifyingKey};
use x509_cert::Certificate;
use x509_cert::der::{Decode, asn1::ObjectIdentifier};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SECP224R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.33");

/// RSA and P-224 by itself, everything else by dimpl's verifier.
#[derive(Debug)]
pub(crate) struct PeerVerifier;

impl SignatureVerifier for PeerVerifier {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let key = Key::of(certificate)?;
        match (&key, algorithm) {
            (Key::Rsa(key), SignatureAlgorithm::RSA) => verify_rsa(key, data, signature, hash),
            (_, SignatureAlgorithm::RSA) => Err(CryptoError::UnsupportedPublicKeyAlgorithm),
            (Key::P224(key), SignatureAlgorithm::ECDSA) => verify_p224(key, data, signature, hash),
            _ => {
                let bundled = aws_lc_rs::default_provider().signature_verification;
                bundled.verify_signature(certificate, data, signature, hash, algorithm)
            }
        }
    }
}

/// The public key of a certificate, as far as it is our business.
enum Key {
    Rsa(Vec<u8>),
    P224(Vec<u8>),
    Other,
}

impl Key {
    fn of(certificate: &[u8]) -> Result<Self, CryptoError> {
        let certificate =
            Certificate::from_der(certificate).map_err(|_| CryptoError::CertificateParseFailed)?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        let key = info.subject_public_key.as_bytes().ok_or(CryptoError::InvalidSubjectPublicKey)?.to_vec();
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.decode_as().ok());
        Ok(match curve {
            _ if info.algorithm.oid == RSA_ENCRYPTION => Self::Rsa(key),
            Some(SECP224R1) => Self::P224(key),
            _ => Self::Other,
        })
    }
}

/// Keys of 2048 to 8192 bits, no others.
fn verify_rsa(key: &[u8], signed: &[u8], signature: &[u8], hash: HashAlgorithm) -> Result<(), CryptoError> {
    let parameters: &RsaParameters = match hash {
        HashAlgorithm::SHA256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::SHA384 => &RSA_PKCS1_2048_8192_SHA384,
        _ => return Err(CryptoError::UnsupportedSignatureAlgorithm(SignatureAlgorithm::RSA)),
    };
    UnparsedPublicKey::new(parameters, key).verify(signed, signature).map_err(|_| failed())
}

fn verify_p224(key: &[u8], signed: &[u8], signature: &[u8], hash: HashAlgorithm) -> Result<(), CryptoError> {
    let algorithm = match hash {
        HashAlgorithm::SHA256 => &digest::SHA256,
        HashAlgorithm::SHA384 => &digest::SHA384,
        _ => return Err(CryptoError::UnsupportedSignatureAlgorithm(SignatureAlgorithm::ECDSA)),
    };
    let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| CryptoError::InvalidSubjectPublicKey)?;
    let signature = DerSignature::try_from(signature).map_err(|_| failed())?;
    key.verify_prehash(digest::digest(algorithm, signed).as_ref(), &signature).map_err(|_| failed())
}

fn failed() -> CryptoError {
    CryptoError::OperationFailed(CryptoOperation::VerifySignature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use p224::ecdsa::SigningKey;
    use p224::ecdsa::signature::hazmat::PrehashSigner;

    #[test]
    fn a_p224_signature_holds_for_its_key_its_text_and_nothing_else() {
        let signer = SigningKey::from_slice(&[7; 28]).unwrap();
        let key = VerifyingKey::from(&signer).to_encoded_point(false).as_bytes().to_vec();
        let prehash = digest::digest(&digest::SHA256, b"transcript");
        let signature: DerSignature = signer.sign_prehash(prehash.as_ref()).unwrap();
        let signature = signature.as_bytes();
        let verify =
            |key: &[u8], text: &[u8], signature: &[u8], hash| verify_p224(key, text, signature, hash).is_ok();

        assert!(verify(&key, b"transcript", signature, HashAlgorithm::SHA256));
        assert!(!verify(&key, b"transcript", signature, HashAlgorithm::SHA384));
        assert!(!verify(&key, b"another", signature, HashAlgorithm::SHA256));
        let other = SigningKey::from_slice(&[8; 28]).unwrap();
        let other = VerifyingKey::from(&other).to_encoded_point(false).as_bytes().to_vec();
        assert!(!verify(&other, b"transcript", signature, HashAlgorithm::SHA256));
        for at in 0..signature.len() {
            let mut forged = signature.to_vec();
            forged[at] ^= 1;
            assert!(!verify(&key, b"transcript", &forged, HashAlgorithm::SHA256), "byte {at}");
            assert!(!verify(&key, b"transcript", &signature[..at], HashAlgorithm::SHA256), "cut at {at}");
        }
        assert!(!verify(&key[..20], b"transcript", signature, HashAlgorithm::SHA256));
    }
}
