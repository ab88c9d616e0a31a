//! Reads bits, most significant first, as every codec's headers have them.

pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32.
    pub fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// An unsigned Exp-Golomb code (H.264 §9.1); none of our headers has one of more than 31 bits.
    pub fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 30 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.read(zeros)?)
    }

    /// A signed one.
    pub fn signed_golomb(&mut self) -> Option<i32> {
        let code = self.golomb()?;
        let half = code.div_ceil(2) as i32;
        Some(if code % 2 == 1 { half } else { -half })
    }

    /// A value of a range of `range` values in as few bits as that takes (AV1 §4.10.7).
    pub fn non_symmetric(&mut self, range: u32) -> Option<u32> {
        let width = 32 - range.leading_zeros();
        let short = (1u32 << width) - range;
        let value = self.read(width.checked_sub(1)?)?;
        if value < short { Some(value) } else { Some((value << 1) - short + self.read(1)?) }
    }
}
