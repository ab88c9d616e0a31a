//! Sealing alone: the shared payload into each viewer's slot.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::hint::black_box;

const HEADER_LEN: usize = 20;
const TAG_LEN: usize = 16;

/// As many keys as viewers, and one frame for all.
pub struct Bare {
    keys: Vec<LessSafeKey>,
    payloads: Vec<Vec<u8>>,
    slots: Vec<u8>,
    count: u64,
}

impl Bare {
    /// Frames of `packets` with payloads of `len` bytes.
    pub fn new(viewers: usize, packets: usize, len: usize) -> Self {
        let key = |at: usize| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&at.to_le_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).unwrap())
        };
        Self {
            keys: (0..viewers).map(key).collect(),
            payloads: vec![vec![1; len]; packets],
            slots: vec![0; (HEADER_LEN + len + TAG_LEN) * packets],
            count: 0,
        }
    }

    /// Seals the frame for everybody.
    pub fn frame(&mut self) {
        let len = self.payloads[0].len();
        for key in &self.keys {
            let slots = self.slots.chunks_mut(HEADER_LEN + len + TAG_LEN);
            for (payload, slot) in self.payloads.iter().zip(slots) {
                self.count += 1;
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&self.count.to_be_bytes());
                let (header, body) = slot.split_at_mut(HEADER_LEN);
                let (body, tag) = body.split_at_mut(len);
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_out_of_place_scatter(nonce, Aad::from(&*header), payload, body, &[], tag).unwrap();
            }
            black_box(&mut self.slots);
        }
    }
}
