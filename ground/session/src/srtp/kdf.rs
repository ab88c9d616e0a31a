//! From the keying material of DTLS (RFC 5764 §4.2) to session keys (RFC 3711 §4.3, RFC 7714 §11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;

/// What a derived key is for: the label of RFC 3711 §4.3.1 and §4.3.2.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Label {
    RtpCipher = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// One direction's master key with its salt.
pub(crate) struct MasterKey {
    cipher: EncryptingKey,
    /// 14 bytes; the 12 of an AEAD profile are followed by zeros (RFC 7714 §11).
    salt: [u8; 14],
}

impl MasterKey {
    /// `key` has 16 or 32 bytes, `salt` 12 or 14.
    pub fn new(key: &[u8], salt: &[u8]) -> Result<Self, Unspecified> {
        let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
        let cipher = ctr_key(algorithm, key)?;
        let mut padded = [0; 14];
        padded.get_mut(..salt.len()).ok_or(Unspecified)?.copy_from_slice(salt);
        Ok(Self { cipher, salt: padded })
    }

    /// AES-CM of zeros with the counter block `(label * 2^48 XOR salt) * 2^16`; the key derivation rate is 0.
    pub fn derive<const LEN: usize>(&self, label: Label) -> Result<[u8; LEN], Unspecified> {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&self.salt);
        block[7] ^= label as u8;
        let mut key = [0; LEN];
        self.cipher.less_safe_encrypt(&mut key, EncryptionContext::Iv128(block.into()))?;
        Ok(key)
    }
}

pub(crate) fn ctr_key(
    algorithm: &'static aws_lc_rs::cipher::Algorithm,
    key: &[u8],
) -> Result<EncryptingKey, Unspecified> {
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    #[test]
    fn rfc_3711_appendix_b3() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let master = MasterKey::new(&key, &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
        let cipher = master.derive::<16>(Label::RtpCipher).unwrap();
        let salt = master.derive::<14>(Label::RtpSalt).unwrap();
        let auth = master.derive::<20>(Label::RtpAuth).unwrap();
        assert_eq!(cipher[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(auth[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn rfc_6188_section_7_2_for_256_bits() {
        let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
        let master = MasterKey::new(&key, &hex("3b04803de51ee7c96423ab5b78d2")).unwrap();
        let cipher = master.derive::<32>(Label::RtpCipher).unwrap();
        let salt = master.derive::<14>(Label::RtpSalt).unwrap();
        assert_eq!(cipher[..], hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
        assert_eq!(salt[..], hex("fa31791685ca444a9e07c6c64e93"));
    }
}
