//! AES_CM_128_HMAC_SHA1_80 (RFC 3711 §4): what OBS and FFmpeg bring. Five times as dear as GCM.

use super::kdf::{Label, MasterKey, ctr_key};
use super::{RTCP_CLEAR_LEN, RTCP_ENCRYPTED, RTCP_INDEX_LEN};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

/// HMAC-SHA1 cut to 80 bits.
pub(crate) const TAG_LEN: usize = 10;

/// One direction's cipher key schedule, keyed HMAC and salt, for RTP or for RTCP.
pub(crate) struct CmKey {
    cipher: EncryptingKey,
    auth: hmac::Key,
    salt: [u8; 14],
}

impl CmKey {
    pub fn derive(master: &MasterKey, cipher: Label, auth: Label, salt: Label) -> Result<Self, Unspecified> {
        Ok(Self {
            cipher: ctr_key(&AES_128, &master.derive::<16>(cipher)?)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &master.derive::<20>(auth)?),
            salt: master.derive(salt)?,
        })
    }

    /// RFC 3711 §4.1.1. Encrypting and decrypting are one.
    fn apply_keystream(&self, bytes: &mut [u8], ssrc: u32, index: u64) -> Result<(), Unspecified> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        for (byte, part) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= part;
        }
        for (byte, part) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= part;
        }
        self.cipher.less_safe_encrypt(bytes, EncryptionContext::Iv128(iv.into()))?;
        Ok(())
    }

    /// HMAC over the sealed packet, then over what is known but not sent: the roll-over counter for RTP.
    fn tag(&self, sealed: &[u8], unsent: &[u8]) -> [u8; TAG_LEN] {
        let mut mac = hmac::Context::with_key(&self.auth);
        mac.update(sealed);
        mac.update(unsent);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac.sign().as_ref()[..TAG_LEN]);
        tag
    }

    /// As [`GcmKey::seal_rtp`](super::gcm::GcmKey::seal_rtp).
    pub fn seal_rtp(
        &self,
        header_len: usize,
        payload: &[u8],
        padding: &[u8],
        out: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unspecified> {
        let (sealed, tag) = out.split_at_mut(header_len + payload.len() + padding.len());
        let (body, end) = sealed[header_len..].split_at_mut(payload.len());
        body.copy_from_slice(payload);
        end.copy_from_slice(padding);
        self.apply_keystream(&mut sealed[header_len..], ssrc, index)?;
        tag.copy_from_slice(&self.tag(sealed, &roll_over(index)));
        Ok(())
    }

    /// As [`GcmKey::open_rtp`](super::gcm::GcmKey::open_rtp), but a failure leaves the bytes as they were.
    pub fn open_rtp(
        &self,
        header_len: usize,
        datagram: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Unspecified> {
        let plain_len = datagram.len().checked_sub(TAG_LEN).ok_or(Unspecified)?;
        let (sealed, tag) = datagram.split_at_mut(plain_len);
        let body = sealed.len().checked_sub(header_len).ok_or(Unspecified)?;
        self.check(&self.tag(sealed, &roll_over(index)), tag)?;
        self.apply_keystream(&mut sealed[plain_len - body..], ssrc, index)?;
        Ok(plain_len)
    }

    /// Appends the sealed form of a compound packet (RFC 3711 §3.4).
    pub fn seal_rtcp(
        &self,
        compound: &[u8],
        out: &mut Vec<u8>,
        ssrc: u32,
        index: u32,
    ) -> Result<(), Unspecified> {
        let start = out.len();
        out.extend_from_slice(compound);
        self.apply_keystream(&mut out[start + RTCP_CLEAR_LEN..], ssrc, index.into())?;
        out.extend_from_slice(&(RTCP_ENCRYPTED | index).to_be_bytes());
        let tag = self.tag(&out[start..], &[]);
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens in place; answers the length of the plaintext compound.
    pub fn open_rtcp(&self, datagram: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Unspecified> {
        let tag_at = datagram.len().checked_sub(TAG_LEN).ok_or(Unspecified)?;
        let plain_len = tag_at.checked_sub(RTCP_INDEX_LEN).ok_or(Unspecified)?;
        let (sealed, tag) = datagram.split_at_mut(tag_at);
        self.check(&self.tag(sealed, &[]), tag)?;
        let body = sealed.get_mut(RTCP_CLEAR_LEN..plain_len).ok_or(Unspecified)?;
        self.apply_keystream(body, ssrc, index.into())?;
        Ok(plain_len)
    }

    fn check(&self, computed: &[u8], claimed: &[u8]) -> Result<(), Unspecified> {
        if computed.ct_eq(claimed).into() { Ok(()) } else { Err(Unspecified) }
    }
}

fn roll_over(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    #[test]
    fn rfc_3711_appendix_b2() {
        let key = CmKey {
            cipher: ctr_key(&AES_128, &hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[0; 20]),
            salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap(),
        };
        let mut keystream = [0; 48];
        key.apply_keystream(&mut keystream, 0, 0).unwrap();
        assert_eq!(
            keystream[..],
            hex("E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
                 41E95B3BB0A2E8DD477901E4FCA894C0")
        );
    }
}
