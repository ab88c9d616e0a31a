//! A client's ICE checks, well-formed or not.

use aws_lc_rs::hmac;

pub const USERNAME: u16 = 0x0006;
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
pub const PRIORITY: u16 = 0x0024;
pub const USE_CANDIDATE: u16 = 0x0025;
pub const FINGERPRINT: u16 = 0x8028;
pub const ICE_CONTROLLED: u16 = 0x8029;
pub const ICE_CONTROLLING: u16 = 0x802A;
pub const TRANSACTION: [u8; 12] = *b"transaction!";

#[derive(Clone)]
pub struct Check {
    pub message_type: u16,
    pub pwd: String,
    /// Before MESSAGE-INTEGRITY.
    pub attributes: Vec<(u16, Vec<u8>)>,
    pub has_integrity: bool,
    /// Between MESSAGE-INTEGRITY and FINGERPRINT.
    pub afterwards: Vec<(u16, Vec<u8>)>,
    pub has_fingerprint: bool,
}

impl Check {
    /// As a browser sends it.
    pub fn ordinary() -> Self {
        Self::named("srv0:cli0")
    }

    pub fn named(username: &str) -> Self {
        Self {
            message_type: 0x0001,
            pwd: super::SERVER_PWD.into(),
            attributes: vec![
                (USERNAME, username.into()),
                (0xC057, vec![0, 1, 0, 10]),
                (ICE_CONTROLLING, vec![1; 8]),
                (PRIORITY, vec![0x6E, 0, 1, 0xFF]),
            ],
            has_integrity: true,
            afterwards: Vec::new(),
            has_fingerprint: true,
        }
    }

    /// As FFmpeg 8.0 sends it: no PRIORITY, no ICE-CONTROLLING, USE-CANDIDATE at once.
    pub fn of_ffmpeg() -> Self {
        Self::ordinary().without(PRIORITY).without(ICE_CONTROLLING).nominating()
    }

    pub fn nominating(self) -> Self {
        self.with(USE_CANDIDATE, &[])
    }

    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    pub fn without(mut self, kind: u16) -> Self {
        self.attributes.retain(|(present, _)| *present != kind);
        self
    }

    pub fn signed_with(mut self, pwd: &str) -> Self {
        self.pwd = pwd.into();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut message = self.message_type.to_be_bytes().to_vec();
        message.extend_from_slice(&[0, 0, 0x21, 0x12, 0xA4, 0x42]);
        message.extend_from_slice(&TRANSACTION);
        for (kind, value) in &self.attributes {
            write(&mut message, *kind, value);
        }
        if self.has_integrity {
            set_length(&mut message, 24);
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.pwd.as_bytes());
            let tag = hmac::sign(&key, &message);
            write(&mut message, MESSAGE_INTEGRITY, tag.as_ref());
        }
        for (kind, value) in &self.afterwards {
            write(&mut message, *kind, value);
        }
        if self.has_fingerprint {
            set_length(&mut message, 8);
            let check = crc32(&message) ^ 0x5354_554E;
            write(&mut message, FINGERPRINT, &check.to_be_bytes());
        }
        set_length(&mut message, 0);
        message
    }
}

fn write(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    // Padding may be anything (RFC 8489 §14).
    message.resize(message.len().next_multiple_of(4), b' ');
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() + more - 20) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Bit by bit, unlike the one under test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}
