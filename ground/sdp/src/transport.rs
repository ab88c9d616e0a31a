//! ICE, DTLS: who the client is.

/// Whether `text` may be an ICE user fragment: 4 to 256 ice-chars (RFC 8839 §5.4).
pub fn is_ice_ufrag(text: &str) -> bool {
    (4..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// Whether `text` may be an ICE password: 22 to 256 ice-chars (RFC 8839 §5.4).
pub fn is_ice_pwd(text: &str) -> bool {
    (22..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

pub(crate) const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}
