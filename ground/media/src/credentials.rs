//! What the SDP says about the transport: who may speak (ICE), and whose certificate it must be (DTLS).

use std::fmt;

/// An ICE user fragment and password (RFC 8839 §5.4). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 4 to 256 ice-chars; ours has 16.
    pub ufrag: String,
    /// 22 to 256 ice-chars, the key of MESSAGE-INTEGRITY; ours has 32.
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Which end starts the DTLS handshake (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We wait for the ClientHello: `a=setup:passive` in our answer, the rule.
    Server,
    /// We send it, because the offer was `a=setup:passive` (FFmpeg): `a=setup:active` in our answer.
    Client,
}

/// The hashes of RFC 8122 §5 that are still trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

/// One `a=fingerprint`: a hash of the certificate that the peer will show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How it was hashed.
    pub algorithm: HashAlgorithm,
    /// The hash: 32, 48 or 64 bytes.
    pub digest: Vec<u8>,
}
