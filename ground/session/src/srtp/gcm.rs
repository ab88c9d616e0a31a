//! AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714): the whole header is authenticated, the tag has 16 bytes.

use super::kdf::{Label, MasterKey};
use super::{RTCP_CLEAR_LEN, RTCP_ENCRYPTED, RTCP_INDEX_LEN};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

pub(crate) const TAG_LEN: usize = 16;

/// One direction's session key and salt, for RTP or for RTCP.
pub(crate) struct GcmKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl GcmKey {
    pub fn derive(master: &MasterKey, bits: u16, key: Label, salt: Label) -> Result<Self, Unspecified> {
        let unbound = if bits == 128 {
            UnboundKey::new(&AES_128_GCM, &master.derive::<16>(key)?)?
        } else {
            UnboundKey::new(&AES_256_GCM, &master.derive::<32>(key)?)?
        };
        Ok(Self { key: LessSafeKey::new(unbound), salt: master.derive(salt)? })
    }

    /// RFC 7714 §8.1 for RTP, §9.1 for RTCP: there the index has 31 bits, so both are one formula.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        for (byte, part) in nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= part;
        }
        for (byte, part) in nonce[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// `out[..header_len]` is the header; `payload` and `padding` are sealed behind it. `out` has exactly the
    /// sealed length.
    pub fn seal_rtp(
        &self,
        header_len: usize,
        payload: &[u8],
        padding: &[u8],
        out: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unspecified> {
        let (header, body) = out.split_at_mut(header_len);
        let (body, tag) = body.split_at_mut(payload.len() + padding.len());
        let (nonce, header) = (self.nonce(ssrc, index), Aad::from(&*header));
        if padding.is_empty() {
            return self.key.seal_out_of_place_scatter(nonce, header, payload, body, &[], tag);
        }
        // The cipher would take the padding as a second input, block by block; a copy costs less.
        let (copy, end) = body.split_at_mut(payload.len());
        copy.copy_from_slice(payload);
        end.copy_from_slice(padding);
        tag.copy_from_slice(self.key.seal_in_place_separate_tag(nonce, header, body)?.as_ref());
        Ok(())
    }

    /// Opens in place; the plaintext packet is what comes before the tag. On failure the bytes are void.
    pub fn open_rtp(
        &self,
        header_len: usize,
        datagram: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Unspecified> {
        let plain_len = datagram.len().checked_sub(TAG_LEN).ok_or(Unspecified)?;
        let (header, body) = datagram.split_at_mut_checked(header_len).ok_or(Unspecified)?;
        self.key.open_in_place(self.nonce(ssrc, index), Aad::from(&*header), body)?;
        Ok(plain_len)
    }

    /// Appends the sealed form of a compound packet (RFC 7714 §9.2).
    pub fn seal_rtcp(
        &self,
        compound: &[u8],
        out: &mut Vec<u8>,
        ssrc: u32,
        index: u32,
    ) -> Result<(), Unspecified> {
        let trailer = (RTCP_ENCRYPTED | index).to_be_bytes();
        let start = out.len();
        out.extend_from_slice(compound);
        let nonce = self.nonce(ssrc, index.into());
        let aad = Aad::from(rtcp_aad(&compound[..RTCP_CLEAR_LEN], trailer));
        let tag = self.key.seal_in_place_separate_tag(nonce, aad, &mut out[start + RTCP_CLEAR_LEN..])?;
        out.extend_from_slice(tag.as_ref());
        out.extend_from_slice(&trailer);
        Ok(())
    }

    /// Opens in place; answers the length of the plaintext compound.
    pub fn open_rtcp(&self, datagram: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Unspecified> {
        let trailer_at = datagram.len().checked_sub(RTCP_INDEX_LEN).ok_or(Unspecified)?;
        let plain_len = trailer_at.checked_sub(TAG_LEN).ok_or(Unspecified)?;
        let (header, body) =
            datagram[..trailer_at].split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Unspecified)?;
        let aad = Aad::from(rtcp_aad(header, (RTCP_ENCRYPTED | index).to_be_bytes()));
        self.key.open_in_place(self.nonce(ssrc, index.into()), aad, body)?;
        Ok(plain_len)
    }
}

/// The clear eight bytes, then the trailer with its encryption flag.
fn rtcp_aad(header: &[u8], trailer: [u8; 4]) -> [u8; RTCP_CLEAR_LEN + RTCP_INDEX_LEN] {
    let mut aad = [0; RTCP_CLEAR_LEN + RTCP_INDEX_LEN];
    aad[..RTCP_CLEAR_LEN].copy_from_slice(header);
    aad[RTCP_CLEAR_LEN..].copy_from_slice(&trailer);
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;
    use aws_lc_rs::aead::Algorithm;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976\
                       69736120696e207061727465732074726573";
    const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                        deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

    fn key(algorithm: &'static Algorithm) -> GcmKey {
        let key = UnboundKey::new(algorithm, &hex(KEY)[..algorithm.key_len()]).unwrap();
        GcmKey { key: LessSafeKey::new(key), salt: *b"Quid pro quo" }
    }

    fn check_rtp(algorithm: &'static Algorithm, sealed: &str) {
        let (key, plain, sealed) = (key(algorithm), hex(RTP), hex(sealed));
        let mut out = plain[..12].to_vec();
        out.resize(sealed.len(), 0);
        key.seal_rtp(12, &plain[12..], &[], &mut out, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(out, sealed);
        let len = key.open_rtp(12, &mut out, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(out[..len], plain);
    }

    fn check_rtcp(algorithm: &'static Algorithm, sealed: &str) {
        let (key, plain, sealed) = (key(algorithm), hex(RTCP), hex(sealed));
        let mut out = Vec::new();
        key.seal_rtcp(&plain, &mut out, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(out, sealed);
        let len = key.open_rtcp(&mut out, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(out[..len], plain);
    }

    #[test]
    fn rfc_7714_section_16_1_1() {
        check_rtp(
            &AES_128_GCM,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd5\
             0d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        );
    }

    #[test]
    fn rfc_7714_section_16_2_1() {
        check_rtp(
            &AES_256_GCM,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab1801238\
             9a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        );
    }

    #[test]
    fn rfc_7714_section_17_1() {
        check_rtcp(
            &AES_128_GCM,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d\
             c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf872\
             45d9eade800005d4",
        );
    }

    #[test]
    fn rfc_7714_section_17_3() {
        check_rtcp(
            &AES_256_GCM,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50\
             a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6c\
             b26ac3be800005d4",
        );
    }
}
