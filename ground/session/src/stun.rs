//! STUN Binding (RFC 8489) as far as an ICE-lite server needs it (RFC 8445 §7.3): requests are read, answers
//! written. A reader of our own, because kept crates either refuse requests without PRIORITY (which FFmpeg
//! sends) or bring a second cryptographic library and log what strangers send: docs/decisions/0002-stun.md.

use crate::DropReason;
use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const FINGERPRINT_XOR: u32 = 0x5354_554E;
/// RFC 8489 §14.3: a user name has fewer than 509 bytes.
const USERNAME_LEN_MAX: usize = 508;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

/// True if the datagram can only be STUN: first two bits zero and the magic cookie (RFC 8489 §6, RFC 7983 §7).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LEN && datagram[0] < 4 && datagram[4..8] == MAGIC_COOKIE
}

/// A Binding request with a user name, well-formed but **not yet authentic**: see [`Self::verify`].
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    bytes: &'a [u8],
    local_ufrag: &'a str,
    remote_ufrag: &'a str,
    integrity_at: usize,
    fingerprint_at: Option<usize>,
    use_candidate: bool,
    claims_controlled: bool,
}

impl<'a> BindingRequest<'a> {
    /// Reads a request. PRIORITY and ICE-CONTROLLING may be missing (FFmpeg 8.0 sends neither).
    ///
    /// # Errors
    /// [`DropReason::BadStun`] for anything that is not one well-formed Binding request with USERNAME
    /// (`ours:theirs`) and MESSAGE-INTEGRITY, knows a comprehension-required attribute that we do not
    /// (RFC 8489 §14), or carries anything but FINGERPRINT after the integrity (§14.5).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DropReason> {
        Self::read(datagram).ok_or(DropReason::BadStun)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        if !is_stun(bytes) || be16(bytes, 0)? != BINDING_REQUEST {
            return None;
        }
        let length = usize::from(be16(bytes, 2)?);
        if length % 4 != 0 || HEADER_LEN + length != bytes.len() {
            return None;
        }
        let mut found = Attributes::default();
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let value_len = usize::from(be16(bytes, at + 2)?);
            let value = bytes.get(at + 4..at + 4 + value_len)?;
            found.note(at, be16(bytes, at)?, value)?;
            at += 4 + value_len.next_multiple_of(4);
        }
        let (local_ufrag, remote_ufrag) = std::str::from_utf8(found.username?).ok()?.split_once(':')?;
        Some(Self {
            bytes,
            local_ufrag,
            remote_ufrag,
            integrity_at: found.integrity_at?,
            fingerprint_at: found.fingerprint_at,
            use_candidate: found.use_candidate,
            claims_controlled: found.claims_controlled,
        })
    }

    /// The user fragment of the one who is asked: ours, if the request is for us.
    pub fn local_ufrag(&self) -> &'a str {
        self.local_ufrag
    }

    /// The user fragment of the one who asks.
    pub fn remote_ufrag(&self) -> &'a str {
        self.remote_ufrag
    }

    /// USE-CANDIDATE: the client nominates this pair (RFC 8445 §7.3.1.5).
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// ICE-CONTROLLED: the client takes itself for the controlled side, which is ours (RFC 8445 §7.3.1.1).
    pub fn claims_controlled(&self) -> bool {
        self.claims_controlled
    }

    /// True if MESSAGE-INTEGRITY was made with our password (compared in constant time) and FINGERPRINT, if
    /// present, fits (RFC 8489 §9.1.3, §14.7).
    pub fn verify(&self, pwd: &str) -> bool {
        if !self.fingerprint_at.is_none_or(|at| self.fingerprint_fits(at)) {
            return false;
        }
        let computed = integrity(self.bytes, self.integrity_at, pwd);
        let claimed = &self.bytes[self.integrity_at + 4..self.integrity_at + 24];
        computed.as_ref().ct_eq(claimed).into()
    }

    fn fingerprint_fits(&self, at: usize) -> bool {
        self.bytes[at + 4..at + 8] == fingerprint(&self.bytes[..at])
    }

    /// The answer to an authentic request: where it came from, signed with our password.
    pub fn success(&self, from: SocketAddr, pwd: &str) -> Vec<u8> {
        let mut answer = self.answer(BINDING_SUCCESS);
        write_xor_mapped_address(&mut answer, from);
        finish(answer, pwd)
    }

    /// The answer to a client that claims our role: 487 (RFC 8445 §7.3.1.1).
    pub fn role_conflict(&self, pwd: &str) -> Vec<u8> {
        const REASON: &[u8] = b"\x00\x00\x04\x57Role Conflict";
        let mut answer = self.answer(BINDING_ERROR);
        write_attribute(&mut answer, ERROR_CODE, REASON);
        finish(answer, pwd)
    }

    fn answer(&self, message_type: u16) -> Vec<u8> {
        let mut answer = Vec::with_capacity(80);
        answer.extend_from_slice(&message_type.to_be_bytes());
        answer.extend_from_slice(&[0; 2]);
        answer.extend_from_slice(&self.bytes[4..HEADER_LEN]);
        answer
    }
}

#[derive(Default)]
struct Attributes<'a> {
    username: Option<&'a [u8]>,
    integrity_at: Option<usize>,
    fingerprint_at: Option<usize>,
    use_candidate: bool,
    claims_controlled: bool,
}

impl<'a> Attributes<'a> {
    /// `None` refuses the message.
    fn note(&mut self, at: usize, kind: u16, value: &'a [u8]) -> Option<()> {
        let is_tail = matches!(kind, FINGERPRINT | MESSAGE_INTEGRITY_SHA256);
        if self.fingerprint_at.is_some() || (self.integrity_at.is_some() && !is_tail) {
            return None;
        }
        match kind {
            USERNAME if value.len() <= USERNAME_LEN_MAX && self.username.is_none() => {
                self.username = Some(value);
            }
            MESSAGE_INTEGRITY if value.len() == 20 => self.integrity_at = Some(at),
            FINGERPRINT if value.len() == 4 => self.fingerprint_at = Some(at),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLED => self.claims_controlled = true,
            PRIORITY | MESSAGE_INTEGRITY_SHA256 => {}
            FINGERPRINT => return None,
            required if required < 0x8000 => return None,
            _ => {}
        }
        Some(())
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn write_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// RFC 8489 §14.2. An IPv4 address seen by an IPv6 socket is told as IPv4, the only form its owner knows.
fn write_xor_mapped_address(message: &mut Vec<u8>, address: SocketAddr) {
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&address.port().to_be_bytes());
    let len = match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    for (byte, key) in value[2..4].iter_mut().zip(MAGIC_COOKIE) {
        *byte ^= key;
    }
    for (byte, key) in value[4..len].iter_mut().zip(&message[4..HEADER_LEN]) {
        *byte ^= key;
    }
    write_attribute(message, XOR_MAPPED_ADDRESS, &value[..len]);
}

/// Adds MESSAGE-INTEGRITY and FINGERPRINT and sets the length.
fn finish(mut message: Vec<u8>, pwd: &str) -> Vec<u8> {
    let tag = integrity(&message, message.len(), pwd);
    write_attribute(&mut message, MESSAGE_INTEGRITY, tag.as_ref());
    let total = message.len() + 8 - HEADER_LEN;
    message[2..4].copy_from_slice(&(total as u16).to_be_bytes());
    let check = fingerprint(&message);
    write_attribute(&mut message, FINGERPRINT, &check);
    message
}

/// HMAC-SHA1 over the message up to the attribute, with the length as if the attribute were the last
/// (RFC 8489 §14.5).
fn integrity(message: &[u8], attribute_at: usize, pwd: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    let mut mac = hmac::Context::with_key(&key);
    mac.update(&message[..2]);
    mac.update(&((attribute_at + 24 - HEADER_LEN) as u16).to_be_bytes());
    mac.update(&message[4..attribute_at]);
    mac.sign()
}

/// CRC-32 of all before the attribute, with the length as if the attribute were the last (RFC 8489 §14.7).
fn fingerprint(message: &[u8]) -> [u8; 4] {
    let length = ((message.len() + 8 - HEADER_LEN) as u16).to_be_bytes();
    let bytes = message[..2].iter().chain(&length).chain(&message[4..]);
    let crc = !bytes.fold(!0_u32, |crc, &byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
    (crc ^ FINGERPRINT_XOR).to_be_bytes()
}

/// CRC-32 of ITU V.42, the reflected polynomial 0xEDB88320.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};
