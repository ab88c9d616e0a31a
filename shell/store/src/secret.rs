//! Fresh secrets that can be read out aloud.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// No letters that look like another, none that a shell or a URL would mind.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstvwxyz0123456789";
/// 5 × 5 letters of 5 bits: 125 bits.
const GROUPS: usize = 5;
const GROUP_LEN: usize = 5;
/// 40 bits tell the 32 keys of an endpoint apart; who makes one looks whether it is taken all the same.
const ID_LEN: usize = 8;

/// A secret of 125 random bits, such as `k7m2p-qp4xa-…`.
pub fn fresh_secret() -> String {
    let groups: Vec<_> = (0..GROUPS).map(|_| letters(GROUP_LEN)).collect();
    groups.join("-")
}

/// A name for a key.
pub fn fresh_id() -> String {
    letters(ID_LEN)
}

fn letters(count: usize) -> String {
    let mut random = StdRng::from_os_rng();
    (0..count).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_travel_anywhere() {
        let (one, two) = (fresh_secret(), fresh_secret());
        assert_ne!(one, two);
        assert_eq!(one.len(), 29);
        assert!(one.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{one}");
        assert_eq!(fresh_id().len(), ID_LEN);
    }
}
