//! Clients with RSA certificates (GStreamer before 1.28). dimpl verifies whatever its provider can, but asks
//! for ECDSA only, from constants. So its CertificateRequest is widened on its way out, and dimpl is made to see
//! the widened form wherever it reads its transcript. Should the two ever differ, Finished does not fit and the
//! handshake fails: closed, not open. This knows dimpl 0.9.0 from inside; hence the pinned version.

use super::records;
use ::aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RsaParameters, UnparsedPublicKey,
};
use arrayvec::ArrayVec;
use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, SignatureAlgorithm, SignatureVerifier,
    aws_lc_rs,
};
use dimpl::{CryptoError, CryptoOperation};
use x509_cert::Certificate;
use x509_cert::der::{Decode, asn1::ObjectIdentifier};

const CLIENT_HELLO: u8 = 1;
const CERTIFICATE_REQUEST: u8 = 13;
/// RFC 5246 §7.4.4.
const RSA_SIGN: u8 = 1;
const ECDSA_SIGN: u8 = 64;
/// `rsa_pkcs1_sha256` and `rsa_pkcs1_sha384`, PKCS#1 v1.5: what a DTLS 1.2 client signs with.
const RSA_SCHEMES: [u8; 4] = [4, 1, 5, 1];
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Our CertificateRequest has 10 bytes behind its header, 15 when widened.
const MESSAGE_LEN_MAX: usize = 64;

/// The provider for the server role: `provider`, made to ask for RSA certificates too and to check them.
pub(crate) fn widen_provider(provider: CryptoProvider) -> CryptoProvider {
    CryptoProvider { hash_provider: &WidenedHash, signature_verification: &WidenedVerifier, ..provider }
}

/// An outgoing datagram of dimpl as it goes on the wire.
pub(super) fn widen_datagram(datagram: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(datagram.len() + 5);
    let mut rest = datagram;
    while !rest.is_empty() {
        let (record, after) = rest.split_at(records::end(rest, 0));
        let message = records::clear_handshake(record).and_then(widen_message);
        match message {
            Some(message) => {
                out.extend_from_slice(&record[..records::HEADER_LEN - 2]);
                out.extend_from_slice(&(message.len() as u16).to_be_bytes());
                out.extend_from_slice(&message);
            }
            None => out.extend_from_slice(record),
        }
        rest = after;
    }
    out
}

/// A whole CertificateRequest, unfragmented and of dimpl's making, with RSA added to it.
fn widen_message(message: &[u8]) -> Option<ArrayVec<u8, MESSAGE_LEN_MAX>> {
    let (header, body) = message.split_at_checked(records::HANDSHAKE_HEADER_LEN)?;
    let length = (body.len() as u32).to_be_bytes();
    let is_whole = header[1..4] == length[1..] && header[6..9] == [0; 3] && header[9..12] == length[1..];
    let &[1, ECDSA_SIGN, high, low, ref rest @ ..] = body else { return None };
    if header[0] != CERTIFICATE_REQUEST || !is_whole {
        return None;
    }
    let (schemes, authorities) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
    let schemes_len = (schemes.len() + RSA_SCHEMES.len()) as u16;
    let widened_len = ((body.len() + 1 + RSA_SCHEMES.len()) as u32).to_be_bytes();

    let mut widened = ArrayVec::new();
    let parts: [&[u8]; 9] = [
        &header[..1],
        &widened_len[1..],
        &header[4..9],
        &widened_len[1..],
        &[2, ECDSA_SIGN, RSA_SIGN],
        &schemes_len.to_be_bytes(),
        schemes,
        &RSA_SCHEMES,
        authorities,
    ];
    for part in parts {
        widened.try_extend_from_slice(part).ok()?;
    }
    Some(widened)
}

/// A transcript of dimpl's in three parts: before the CertificateRequest, its widened form, after. Without one,
/// all of it is the first part.
fn widen_transcript(transcript: &[u8]) -> (&[u8], ArrayVec<u8, MESSAGE_LEN_MAX>, &[u8]) {
    let untouched = (transcript, ArrayVec::new(), &[][..]);
    if transcript.first() != Some(&CLIENT_HELLO) {
        return untouched;
    }
    let mut start = 0;
    while let Some(&[kind, a, b, c]) = transcript.get(start..start + 4) {
        let end = start + records::HANDSHAKE_HEADER_LEN + u32::from_be_bytes([0, a, b, c]) as usize;
        let Some(message) = transcript.get(start..end) else { break };
        if kind == CERTIFICATE_REQUEST {
            return match widen_message(message) {
                Some(widened) => (&transcript[..start], widened, &transcript[end..]),
                None => untouched,
            };
        }
        start = end;
    }
    untouched
}

/// dimpl hashes its whole transcript in one update, each time it needs the hash.
#[derive(Debug)]
struct WidenedHash;

impl HashProvider for WidenedHash {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(WidenedHashContext(aws_lc_rs::default_provider().hash_provider.create_hash(algorithm)))
    }
}

#[derive(Debug)]
struct WidenedHashContext(Box<dyn HashContext>);

impl HashContext for WidenedHashContext {
    fn update(&mut self, data: &[u8]) {
        let (before, widened, after) = widen_transcript(data);
        for part in [before, &widened, after] {
            self.0.update(part);
        }
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.0.clone_and_finalize(out);
    }
}

/// CertificateVerify signs the transcript (RFC 5246 §7.4.8), so that is what comes in as `data`.
#[derive(Debug)]
struct WidenedVerifier;

impl SignatureVerifier for WidenedVerifier {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let (before, widened, after) = widen_transcript(data);
        let signed = [before, &widened, after].concat();
        if algorithm == SignatureAlgorithm::RSA {
            return verify_rsa(certificate, &signed, signature, hash);
        }
        let bundled = aws_lc_rs::default_provider().signature_verification;
        bundled.verify_signature(certificate, &signed, signature, hash, algorithm)
    }
}

/// Keys of 2048 to 8192 bits, no others.
fn verify_rsa(
    certificate: &[u8],
    signed: &[u8],
    signature: &[u8],
    hash: HashAlgorithm,
) -> Result<(), CryptoError> {
    let parameters: &RsaParameters = match hash {
        HashAlgorithm::SHA256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::SHA384 => &RSA_PKCS1_2048_8192_SHA384,
        _ => return Err(CryptoError::UnsupportedSignatureAlgorithm(SignatureAlgorithm::RSA)),
    };
    let certificate = Certificate::from_der(certificate).map_err(|_| CryptoError::CertificateParseFailed)?;
    let key_info = certificate.tbs_certificate().subject_public_key_info();
    if key_info.algorithm.oid != RSA_ENCRYPTION {
        return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
    }
    let key = key_info.subject_public_key.as_bytes().ok_or(CryptoError::InvalidSubjectPublicKey)?;
    UnparsedPublicKey::new(parameters, key)
        .verify(signed, signature)
        .map_err(|_| CryptoError::OperationFailed(CryptoOperation::VerifySignature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = body.len() as u8;
        [&[kind, 0, 0, len, 0, 4, 0, 0, 0, 0, 0, len], body].concat()
    }

    fn record(message: &[u8]) -> Vec<u8> {
        [&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 4, 0, message.len() as u8], message].concat()
    }

    const OURS: [u8; 10] = [1, 64, 0, 4, 4, 3, 5, 3, 0, 0];
    const WIDENED: [u8; 15] = [2, 64, 1, 0, 8, 4, 3, 5, 3, 4, 1, 5, 1, 0, 0];

    #[test]
    fn the_certificate_request_is_widened_between_its_neighbours() {
        let flight = |request: &[u8]| {
            [record(&message(12, &[9; 70])), record(&message(13, request)), record(&message(14, &[]))]
                .concat()
        };
        assert_eq!(widen_datagram(&flight(&OURS)), flight(&WIDENED));
    }

    #[test]
    fn wire_and_transcript_are_widened_alike() {
        for schemes in [&[4, 3][..], &[5, 3], &[4, 3, 5, 3], &[5, 3, 4, 3]] {
            let body = [&[1, 64, 0, schemes.len() as u8], schemes, &[0, 0]].concat();
            let (hello, request) = (message(1, &[3; 50]), message(13, &body));
            let transcript = [&hello[..], &request, &message(14, &[])].concat();
            let (before, widened, after) = widen_transcript(&transcript);
            assert_eq!((before, after), (&hello[..], &message(14, &[])[..]));
            assert_eq!(widen_datagram(&record(&request)), record(&widened));
        }
    }

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        let mut fragment = message(13, &OURS);
        fragment[11] -= 1;
        let foreign = message(13, &WIDENED);
        for odd in [fragment, foreign, message(13, &[]), message(13, &[1, 64, 0, 9, 0]), message(11, &OURS)] {
            assert_eq!(widen_datagram(&record(&odd)), record(&odd));
        }
        let sealed = [&[22, 0xFE, 0xFD, 0, 1], &record(&message(13, &OURS))[5..]].concat();
        assert_eq!(widen_datagram(&sealed), sealed);
        for noise in [&[][..], &[22], &[22; 12], &[22; 40], &[255; 100]] {
            assert_eq!(widen_datagram(noise), noise);
            assert_eq!(widen_transcript(noise).0, noise);
        }
    }

    #[test]
    fn a_transcript_that_was_cut_is_left_alone() {
        let whole = [message(1, &[3; 50]), message(13, &OURS)].concat();
        for len in 0..whole.len() {
            assert_eq!(widen_transcript(&whole[..len]).0, &whole[..len]);
        }
    }
}
