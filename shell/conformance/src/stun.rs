//! Binding requests by hand (RFC 8489), right or wrong as a check wants them, and the reading of answers.

use aws_lc_rs::hmac;
use rand::RngCore as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LEN: usize = 20;

pub(crate) const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(crate) const PRIORITY: u16 = 0x0024;
pub(crate) const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
pub(crate) const CONTROLLED: u16 = 0x8029;
pub(crate) const CONTROLLING: u16 = 0x802a;

pub(crate) const SUCCESS: u16 = 0x0101;
pub(crate) const ERROR: u16 = 0x0111;

/// A request to be made.
#[derive(Clone, Debug)]
pub(crate) struct Check<'a> {
    pub username: String,
    /// Signs it; `None`: no integrity at all.
    pub pwd: Option<&'a str>,
    pub attributes: Vec<(u16, Vec<u8>)>,
    pub fingerprint: bool,
}

impl<'a> Check<'a> {
    /// As a controlling ICE agent sends it, nominating.
    pub fn nominating(their_ufrag: &str, our_ufrag: &str, their_pwd: &'a str) -> Self {
        Self {
            username: format!("{their_ufrag}:{our_ufrag}"),
            pwd: Some(their_pwd),
            attributes: vec![
                (PRIORITY, 1_845_501_695u32.to_be_bytes().to_vec()),
                (CONTROLLING, vec![7; 8]),
                (USE_CANDIDATE, Vec::new()),
            ],
            fingerprint: true,
        }
    }

    pub fn without(mut self, kind: u16) -> Self {
        self.attributes.retain(|(each, _)| *each != kind);
        self
    }

    /// The datagram, and the id by which its answer is known.
    pub fn bytes(&self) -> (Vec<u8>, [u8; 12]) {
        let mut id = [0; 12];
        rand::rng().fill_bytes(&mut id);
        let mut bytes = vec![0, 1, 0, 0];
        bytes.extend(COOKIE);
        bytes.extend(id);
        put(&mut bytes, USERNAME, self.username.as_bytes());
        for (kind, value) in &self.attributes {
            put(&mut bytes, *kind, value);
        }
        if let Some(pwd) = self.pwd {
            set_len(&mut bytes, 24);
            let tag = sign(pwd, &bytes);
            put(&mut bytes, INTEGRITY, tag.as_ref());
        }
        if self.fingerprint {
            set_len(&mut bytes, 8);
            let sum = crc32(&bytes) ^ 0x5354_554e;
            put(&mut bytes, FINGERPRINT, &sum.to_be_bytes());
        }
        set_len(&mut bytes, 0);
        (bytes, id)
    }
}

fn sign(pwd: &str, bytes: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes()), bytes)
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn set_len(bytes: &mut [u8], to_come: usize) {
    let len = (bytes.len() - HEADER_LEN + to_come) as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut sum, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
        sum
    })
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub kind: u16,
    pub id: [u8; 12],
    pub mapped: Option<SocketAddr>,
    pub error: Option<u16>,
    /// Whether integrity is there and made with this password.
    pub signed: bool,
    /// Whether the fingerprint is there and right.
    pub fingerprint: bool,
}

impl Response {
    pub fn read(bytes: &[u8], pwd: &str) -> Option<Self> {
        if bytes.len() < HEADER_LEN || bytes[0] > 3 || bytes[4..8] != COOKIE {
            return None;
        }
        let mut response =
            Self { kind: be16(bytes, 0)?, id: bytes[8..20].try_into().ok()?, ..Self::default() };
        let mut at = HEADER_LEN;
        while at + 4 <= bytes.len() {
            let (kind, len) = (be16(bytes, at)?, usize::from(be16(bytes, at + 2)?));
            let value = bytes.get(at + 4..at + 4 + len)?;
            let mut before = bytes[..at].to_vec();
            match kind {
                INTEGRITY => {
                    set_len(&mut before, 24);
                    response.signed = sign(pwd, &before).as_ref() == value;
                }
                FINGERPRINT => {
                    set_len(&mut before, 8);
                    response.fingerprint = (crc32(&before) ^ 0x5354_554e).to_be_bytes() == value;
                }
                XOR_MAPPED_ADDRESS => response.mapped = mapped(value, &response.id),
                ERROR_CODE => {
                    response.error = Some(u16::from(*value.get(2)?) * 100 + u16::from(*value.get(3)?))
                }
                _ => {}
            }
            at += 4 + len.next_multiple_of(4);
        }
        Some(response)
    }
}

fn mapped(value: &[u8], id: &[u8; 12]) -> Option<SocketAddr> {
    let mask: Vec<u8> = COOKIE.iter().chain(id).copied().collect();
    let port = be16(value, 2)? ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let octets: Vec<u8> = value.get(4..)?.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect();
    let ip = match value.get(1)? {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.2: the sample answer over IPv4.
    #[test]
    fn the_sample_answer_is_read() {
        let hex = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
                   002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7\
                   80280004c07d4c96";
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        let response = Response::read(&bytes, "VOkJxbRl1RmTxUk/WvJxBt").expect("an answer");
        assert_eq!(response.mapped, Some("192.0.2.1:32853".parse().expect("address")));
        assert!(response.signed && response.fingerprint && response.kind == SUCCESS);
        assert!(!Response::read(&bytes, "another").expect("an answer").signed);
    }

    #[test]
    fn a_request_is_signed_and_summed() {
        let check = Check::nominating("their", "ours", "password");
        let (bytes, id) = check.bytes();
        let back = Response::read(&bytes, "password").expect("STUN");
        assert!(back.signed && back.fingerprint && back.id == id && back.kind == 1);
        assert_eq!(usize::from(be16(&bytes, 2).expect("length")) + HEADER_LEN, bytes.len());
    }
}
