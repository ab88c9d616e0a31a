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

    /// `out[..header_len]` is the header; `payload` is sealed behind it. `out` has exactly the sealed length.
    pub fn seal_rtp(
        &self,
        header_len: usize,
        payload: &[u8],
        out: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unspecified> {
        let (header, body) = out.split_at_mut(header_len);
        let (body, tag) = body.split_at_mut(payload.len());
        let nonce = self.nonce(ssrc, index);
        self.key.seal_out_of_place_scatter(nonce, Aad::from(&*header), payload, body, &[], tag)
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
