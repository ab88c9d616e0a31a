//! SRTP and SRTCP (RFC 3711, RFC 7714) for both directions of one session. Keys and key schedules are made
//! once; no packet allocates; only authentic packets change any state.

mod cm;
mod gcm;
mod kdf;

use crate::DropReason;
use crate::replay::ReplayWindow;
use aws_lc_rs::error::Unspecified;
use cm::CmKey;
use gcm::GcmKey;
use kdf::{Label, MasterKey};
use wtn_media::{DtlsRole, Ssrc};

/// Inbound SSRCs remembered per session, RTP and RTCP each: three encodings with RTX and audio are seven.
/// Packets of any further SSRC are dropped, for without a window a replay could not be told.
const SOURCES_MAX: usize = 16;
/// 1024 packets: a second of high-rate video.
const RTP_WINDOW_WORDS: usize = 16;
/// 128 packets.
const RTCP_WINDOW_WORDS: usize = 2;

/// Bytes of padding that a packet may have: what makes one segment of a run as long as the others.
pub(crate) const PADDING_MAX: usize = 16;

/// Header and sender SSRC stay clear in SRTCP.
const RTCP_CLEAR_LEN: usize = 8;
/// The encryption flag and the index at the end.
const RTCP_INDEX_LEN: usize = 4;
const RTCP_ENCRYPTED: u32 = 1 << 31;
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;

/// What protects the media of a session. Its order is our preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Gcm256,
    Gcm128,
    CmSha1,
}

impl Profile {
    /// The registered name (RFC 5764 §4.1.2, RFC 7714 §14.2).
    pub fn name(self) -> &'static str {
        match self {
            Self::Gcm256 => "SRTP_AEAD_AES_256_GCM",
            Self::Gcm128 => "SRTP_AEAD_AES_128_GCM",
            Self::CmSha1 => "SRTP_AES128_CM_HMAC_SHA1_80",
        }
    }

    /// Bytes that sealing adds to an RTP packet.
    pub fn overhead(self) -> usize {
        match self {
            Self::Gcm256 | Self::Gcm128 => gcm::TAG_LEN,
            Self::CmSha1 => cm::TAG_LEN,
        }
    }

    fn master_lens(self) -> (usize, usize) {
        match self {
            Self::Gcm256 => (32, 12),
            Self::Gcm128 => (16, 12),
            Self::CmSha1 => (16, 14),
        }
    }
}

/// One key of one direction.
enum Key {
    Gcm(GcmKey),
    /// Boxed: the keyed HMAC alone has 1.4 KB, and browsers bring GCM.
    Cm(Box<CmKey>),
}

impl Key {
    fn rtp(profile: Profile, master: &MasterKey) -> Result<Self, Unspecified> {
        Self::derive(profile, master, [Label::RtpCipher, Label::RtpAuth, Label::RtpSalt])
    }

    fn rtcp(profile: Profile, master: &MasterKey) -> Result<Self, Unspecified> {
        Self::derive(profile, master, [Label::RtcpCipher, Label::RtcpAuth, Label::RtcpSalt])
    }

    fn derive(
        profile: Profile,
        master: &MasterKey,
        [cipher, auth, salt]: [Label; 3],
    ) -> Result<Self, Unspecified> {
        Ok(match profile {
            Profile::Gcm256 => Self::Gcm(GcmKey::derive(master, 256, cipher, salt)?),
            Profile::Gcm128 => Self::Gcm(GcmKey::derive(master, 128, cipher, salt)?),
            Profile::CmSha1 => Self::Cm(Box::new(CmKey::derive(master, cipher, auth, salt)?)),
        })
    }

    fn seal_rtp(
        &self,
        header_len: usize,
        payload: &[u8],
        padding: &[u8],
        out: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(key) => key.seal_rtp(header_len, payload, padding, out, ssrc, index),
            Self::Cm(key) => key.seal_rtp(header_len, payload, padding, out, ssrc, index),
        }
    }

    fn open_rtp(
        &self,
        header_len: usize,
        datagram: &mut [u8],
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Unspecified> {
        match self {
            Self::Gcm(key) => key.open_rtp(header_len, datagram, ssrc, index),
            Self::Cm(key) => key.open_rtp(header_len, datagram, ssrc, index),
        }
    }

    fn seal_rtcp(
        &self,
        compound: &[u8],
        out: &mut Vec<u8>,
        ssrc: u32,
        index: u32,
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(key) => key.seal_rtcp(compound, out, ssrc, index),
            Self::Cm(key) => key.seal_rtcp(compound, out, ssrc, index),
        }
    }

    fn open_rtcp(&self, datagram: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Unspecified> {
        match self {
            Self::Gcm(key) => key.open_rtcp(datagram, ssrc, index),
            Self::Cm(key) => key.open_rtcp(datagram, ssrc, index),
        }
    }
}

/// What one SSRC has sent us.
struct Source<const WORDS: usize> {
    ssrc: u32,
    window: ReplayWindow<WORDS>,
}

/// Both directions of a session.
pub(crate) struct Srtp {
    profile: Profile,
    rtp_out: Key,
    rtp_in: Key,
    rtcp_out: Key,
    rtcp_in: Key,
    /// One counter for all our SSRCs: unique for each, and a gap harms nobody.
    rtcp_index: u32,
    rtp_sources: Vec<Source<RTP_WINDOW_WORDS>>,
    rtcp_sources: Vec<Source<RTCP_WINDOW_WORDS>>,
}

impl Srtp {
    /// `material` is the output of the exporter: client key, server key, client salt, server salt (RFC 5764
    /// §4.2). `role` is ours.
    pub fn new(profile: Profile, material: &[u8], role: DtlsRole) -> Result<Self, Unspecified> {
        let (key_len, salt_len) = profile.master_lens();
        if material.len() != 2 * (key_len + salt_len) {
            return Err(Unspecified);
        }
        let (keys, salts) = material.split_at(2 * key_len);
        let client = MasterKey::new(&keys[..key_len], &salts[..salt_len])?;
        let server = MasterKey::new(&keys[key_len..], &salts[salt_len..])?;
        let (ours, theirs) = match role {
            DtlsRole::Server => (server, client),
            DtlsRole::Client => (client, server),
        };
        Ok(Self {
            profile,
            rtp_out: Key::rtp(profile, &ours)?,
            rtp_in: Key::rtp(profile, &theirs)?,
            rtcp_out: Key::rtcp(profile, &ours)?,
            rtcp_in: Key::rtcp(profile, &theirs)?,
            rtcp_index: 0,
            rtp_sources: Vec::new(),
            rtcp_sources: Vec::new(),
        })
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals `payload` and so many bytes of padding behind the header in `out`; answers the datagram's length.
    /// `None` if `out` is too short, the padding too long, or the index has more than 48 bits.
    pub fn seal_rtp(
        &self,
        ssrc: Ssrc,
        index: u64,
        header_len: usize,
        (payload, padding): (&[u8], u8),
        out: &mut [u8],
    ) -> Option<usize> {
        let mut last = [0; PADDING_MAX];
        last[PADDING_MAX - 1] = padding;
        let padding = &last[PADDING_MAX.checked_sub(padding.into())?..];
        let body = payload.len().checked_add(padding.len())?;
        let len = header_len.checked_add(body)?.checked_add(self.profile.overhead())?;
        if index > RTP_INDEX_MAX {
            return None;
        }
        self.rtp_out.seal_rtp(header_len, payload, padding, out.get_mut(..len)?, ssrc.0, index).ok()?;
        Some(len)
    }

    /// Opens an RTP packet in place; answers its plaintext length and its extended index.
    pub fn open_rtp(&mut self, datagram: &mut [u8]) -> Result<(usize, u64), DropReason> {
        let header = RtpHeader::read(datagram).ok_or(DropReason::Malformed)?;
        match self.rtp_sources.iter().position(|source| source.ssrc == header.ssrc) {
            Some(at) => self.open_known(at, &header, datagram),
            None => self.open_first(&header, datagram),
        }
    }

    fn open_known(
        &mut self,
        at: usize,
        header: &RtpHeader,
        datagram: &mut [u8],
    ) -> Result<(usize, u64), DropReason> {
        let window = &mut self.rtp_sources[at].window;
        let index = index_near(window.highest(), header.sequence).ok_or(DropReason::Replay)?;
        if !window.accepts(index) {
            return Err(DropReason::Replay);
        }
        let len = self
            .rtp_in
            .open_rtp(header.len, datagram, header.ssrc, index)
            .map_err(|Unspecified| DropReason::BadTag)?;
        window.insert(index);
        Ok((len, index))
    }

    /// The first packet of an SSRC. A sender starts with roll-over counter 0, but its first packets may have
    /// been lost or overtaken across a wrap, so a low number gets a second try with 1.
    fn open_first(&mut self, header: &RtpHeader, datagram: &mut [u8]) -> Result<(usize, u64), DropReason> {
        if self.rtp_sources.len() == SOURCES_MAX {
            return Err(DropReason::Replay);
        }
        let mut index = u64::from(header.sequence);
        let again = (header.sequence < 1 << 15).then(|| datagram.to_vec());
        let mut opened = self.rtp_in.open_rtp(header.len, datagram, header.ssrc, index);
        if let (Err(Unspecified), Some(copy)) = (opened, again) {
            index += 1 << 16;
            datagram.copy_from_slice(&copy);
            opened = self.rtp_in.open_rtp(header.len, datagram, header.ssrc, index);
        }
        let len = opened.map_err(|Unspecified| DropReason::BadTag)?;
        self.rtp_sources.push(Source { ssrc: header.ssrc, window: ReplayWindow::starting_at(index) });
        Ok((len, index))
    }

    /// Appends the sealed form of a compound RTCP packet. False if it is no RTCP packet, or after 2^31 of
    /// them (RFC 3711 §9.2), which takes centuries.
    pub fn seal_rtcp(&mut self, compound: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(ssrc) = be32(compound, 4) else { return false };
        if self.rtcp_index >= RTCP_ENCRYPTED {
            return false;
        }
        let start = out.len();
        let sealed = self.rtcp_out.seal_rtcp(compound, out, ssrc, self.rtcp_index).is_ok();
        if !sealed {
            out.truncate(start);
        }
        self.rtcp_index += 1;
        sealed
    }

    /// Opens a compound RTCP packet in place; answers its plaintext length. Packets sent in clear are refused
    /// (RFC 8827 §6.5 wants encryption).
    pub fn open_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, DropReason> {
        let trailer_at = match self.profile {
            Profile::CmSha1 => datagram.len().checked_sub(cm::TAG_LEN + RTCP_INDEX_LEN),
            Profile::Gcm128 | Profile::Gcm256 => datagram.len().checked_sub(RTCP_INDEX_LEN),
        };
        let trailer = trailer_at.and_then(|at| be32(datagram, at)).ok_or(DropReason::Malformed)?;
        let ssrc = be32(datagram, 4).ok_or(DropReason::Malformed)?;
        if trailer & RTCP_ENCRYPTED == 0 {
            return Err(DropReason::BadTag);
        }
        let index = trailer & !RTCP_ENCRYPTED;
        let known = self.rtcp_sources.iter().position(|source| source.ssrc == ssrc);
        let acceptable = match known {
            Some(at) => self.rtcp_sources[at].window.accepts(index.into()),
            None => self.rtcp_sources.len() < SOURCES_MAX,
        };
        if !acceptable {
            return Err(DropReason::Replay);
        }
        let len = self.rtcp_in.open_rtcp(datagram, ssrc, index).map_err(|Unspecified| DropReason::BadTag)?;
        match known {
            Some(at) => self.rtcp_sources[at].window.insert(index.into()),
            None => {
                let window = ReplayWindow::starting_at(index.into());
                self.rtcp_sources.push(Source { ssrc, window });
            }
        }
        Ok(len)
    }
}

/// The little that must be known of an RTP header before it is authentic (RFC 3550 §5.1).
struct RtpHeader {
    len: usize,
    sequence: u16,
    ssrc: u32,
}

impl RtpHeader {
    fn read(datagram: &[u8]) -> Option<Self> {
        let first = *datagram.first()?;
        if first >> 6 != 2 {
            return None;
        }
        let mut len = 12 + 4 * usize::from(first & 0x0F);
        if first & 0x10 != 0 {
            len += 4 + 4 * (be32(datagram, len)? & 0xFFFF) as usize;
        }
        let sequence = (be32(datagram, 0)? & 0xFFFF) as u16;
        let ssrc = be32(datagram, 8)?;
        (len <= datagram.len()).then_some(Self { len, sequence, ssrc })
    }
}

/// The index with these low 16 bits that is closest to `reference` (RFC 3711 §3.3.1 and appendix A).
/// `None` below zero or past 48 bits.
fn index_near(reference: u64, sequence: u16) -> Option<u64> {
    let step = i64::from(sequence.wrapping_sub(reference as u16) as i16);
    reference.checked_add_signed(step).filter(|&index| index <= RTP_INDEX_MAX)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
