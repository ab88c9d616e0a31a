//! The numbers that the payload descriptors of VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2) give to pictures, and how to
//! write others in their place.

/// Where a payload has its picture id and the index of its lowest temporal layer, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureIds {
    /// Position of the picture id.
    at: u8,
    /// It has 15 bits, not 7.
    is_long: bool,
    /// The picture id.
    pub picture: u16,
    /// Position of TL0PICIDX behind the picture id; 0 without one.
    base_behind: u8,
    /// TL0PICIDX.
    base: u8,
}

impl PictureIds {
    /// Reads a picture id at `at`; the answer says also where it ends.
    pub(super) fn read(payload: &[u8], at: usize) -> Option<(Self, usize)> {
        let first = *payload.get(at)?;
        let is_long = first & 0x80 != 0;
        let picture = if is_long {
            u16::from_be_bytes([first & 0x7f, *payload.get(at + 1)?])
        } else {
            u16::from(first)
        };
        let ids = Self { at: u8::try_from(at).ok()?, is_long, picture, base_behind: 0, base: 0 };
        Some((ids, at + 1 + usize::from(is_long)))
    }

    /// The same with TL0PICIDX at `at`.
    pub(super) fn with_base(self, payload: &[u8], at: usize) -> Self {
        let base = payload.get(at).copied();
        let behind = base.map_or(0, |_| at - usize::from(self.at));
        Self { base_behind: behind as u8, base: base.unwrap_or(0), ..self }
    }

    /// TL0PICIDX, if it is there.
    pub fn base(&self) -> Option<u8> {
        (self.base_behind > 0).then_some(self.base)
    }

    /// The same places with other numbers, cut to the bits that there are.
    pub fn renumbered(self, picture: u16, base: u8) -> Self {
        let mask = if self.is_long { 0x7fff } else { 0x7f };
        let base = if self.base_behind > 0 { base } else { self.base };
        Self { picture: picture & mask, base, ..self }
    }

    /// Puts the numbers where they belong in `payload`, which is the one that they were read from, or its copy.
    pub fn write(&self, payload: &mut [u8]) {
        let at = usize::from(self.at);
        let [high, low] = self.picture.to_be_bytes();
        let bytes: &[u8] = if self.is_long { &[high | 0x80, low] } else { &[low & 0x7f] };
        if let Some(place) = payload.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        if self.base_behind > 0
            && let Some(place) = payload.get_mut(at + usize::from(self.base_behind))
        {
            *place = self.base;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Codec;
    use crate::peek::marks;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rtp_11_what_is_written_is_read_back_and_nothing_else_changes(
            payload in proptest::collection::vec(any::<u8>(), 1..24), picture: u16, base: u8,
        ) {
            for codec in [Codec::Vp8, Codec::Vp9] {
                let Some(ids) = marks(codec, &payload).ids else { continue };
                let mut same = payload.clone();
                ids.write(&mut same);
                prop_assert_eq!(&same, &payload);
                let ours = ids.renumbered(picture, base);
                let mut other = payload.clone();
                ours.write(&mut other);
                let read = marks(codec, &other);
                prop_assert_eq!(read.ids, Some(ours));
                let before = marks(codec, &payload);
                prop_assert_eq!((read.layer, read.keyframe_start), (before.layer, before.keyframe_start));
            }
        }
    }
}
