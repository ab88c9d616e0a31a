//! The dependency descriptor (appendix A of AOMedia's "RTP Payload Format for AV1"): a header extension that says of each
//! frame which layers need it, for any codec. Its values are short but for keyframes, which carry the **structure**: the
//! templates that the others refer to by number.

use crate::layers::{SPATIAL_MAX, TEMPORAL_MAX};
use crate::packet::Marks;
use crate::peek::{self, Bits, Sizes};
use crate::{Codec, LayerMarks, Rung, Rungs};
use arrayvec::ArrayVec;

/// Templates and decode targets that a structure may have by its own numbering.
const TEMPLATES_MAX: usize = 64;
const TARGETS_MAX: usize = 32;

/// Bytes that every descriptor has.
const MANDATORY: usize = 3;

/// What a frame is to a decode target; of the four, these two matter here.
const NOT_PRESENT: u8 = 0;
const SWITCH: u8 = 2;

type Indications = ArrayVec<u8, TARGETS_MAX>;

/// The frame number that a value carries.
pub fn frame_number(value: &[u8]) -> Option<u16> {
    value.get(1..MANDATORY)?.try_into().ok().map(u16::from_be_bytes)
}

/// Puts another one in its place.
pub fn write_frame_number(value: &mut [u8], number: u16) {
    if let Some(place) = value.get_mut(1..MANDATORY) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// What the descriptors of one encoding refer to, since its last keyframe.
#[derive(Clone, Debug)]
pub struct Structure {
    offset: u8,
    templates: ArrayVec<Template, TEMPLATES_MAX>,
    /// The rung that each decode target is; `None` above what is told apart, or if another one is that already.
    targets: ArrayVec<Option<Rung>, TARGETS_MAX>,
    sizes: Sizes,
}

#[derive(Clone, Debug)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Indications,
}

impl Structure {
    /// Of each spatial layer, where the structure tells.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let offset = bits.read(6)? as u8;
        let target_count = bits.read(5)? as usize + 1;
        let mut templates: ArrayVec<Template, TEMPLATES_MAX> = ArrayVec::new();
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            templates.try_push(Template { spatial, temporal, indications: Indications::new() }).ok()?;
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
        }
        for template in &mut templates {
            template.indications = indications(bits, target_count)?;
        }
        for _ in 0..templates.len() {
            while bits.flag()? {
                bits.read(4)?;
            }
        }
        let chains = bits.non_symmetric(target_count as u32 + 1)?;
        if chains > 0 {
            for _ in 0..target_count {
                bits.non_symmetric(chains)?;
            }
            for _ in 0..templates.len() * chains as usize {
                bits.read(4)?;
            }
        }
        let mut sizes = Sizes::new();
        if bits.flag()? {
            for _ in 0..=spatial {
                let (width, height) = (bits.read(16)? as u16, bits.read(16)? as u16);
                // Above what is told apart: read and left.
                let _ = sizes.try_push((width.saturating_add(1), height.saturating_add(1)));
            }
        }
        let targets = targets(&templates, target_count);
        Some(Self { offset, templates, targets, sizes })
    }

    /// What a frame with those indications is to our rungs.
    fn marks(&self, template: &Template, own: Option<&Indications>, ends_layer: bool) -> LayerMarks {
        if self.targets.len() == 1 {
            return LayerMarks::WHOLE;
        }
        let whole = Rung::whole(Default::default());
        let indications = own.unwrap_or(&template.indications);
        let mut marks = LayerMarks::of(template.spatial, template.temporal);
        (marks.needed, marks.ends_layer) = (Rungs::default().with(whole), ends_layer);
        let mut top = (Rung::default(), false);
        for (rung, indication) in self.targets.iter().zip(indications) {
            let Some(rung) = *rung else { continue };
            if *indication != NOT_PRESENT {
                marks.needed = marks.needed.with(rung);
            }
            if *indication == SWITCH {
                marks.joins = marks.joins.with(rung);
            }
            top = top.max((rung, *indication == SWITCH));
        }
        if top.1 {
            marks.joins = marks.joins.with(whole);
        }
        marks
    }
}

/// Reads the descriptor of one packet; a structure in it takes the place of `known`. `None` if it cannot be read, or
/// refers to a structure that is not known.
pub fn read(value: &[u8], known: &mut Option<Box<Structure>>) -> Option<LayerMarks> {
    let mut bits = Bits::new(value);
    let (_starts, ends) = (bits.flag()?, bits.flag()?);
    let template = bits.read(6)? as u8;
    bits.read(16)?;
    let mut has_indications = false;
    if value.len() > MANDATORY {
        let (structure, active) = (bits.flag()?, bits.flag()?);
        has_indications = bits.flag()?;
        bits.read(2)?;
        if structure {
            *known = Some(Box::new(Structure::read(&mut bits)?));
        }
        if active {
            bits.read(known.as_ref()?.targets.len() as u32)?;
        }
    }
    let structure = known.as_ref()?;
    let at = usize::from((template + 64 - structure.offset) % 64);
    let template = structure.templates.get(at)?;
    let own = if has_indications { Some(indications(&mut bits, structure.targets.len())?) } else { None };
    Some(structure.marks(template, own.as_ref(), ends))
}

/// The marks of a packet, whose layers the descriptor tells where the payload does not: VP8 and VP9 say it themselves.
pub fn marks(
    codec: Codec,
    payload: &[u8],
    value: Option<&[u8]>,
    known: &mut Option<Box<Structure>>,
) -> Marks {
    let mut marks = peek::marks(codec, payload);
    if matches!(codec, Codec::H264 | Codec::H265 | Codec::Av1)
        && let Some(layer) = value.and_then(|value| read(value, known))
    {
        marks.layer = layer;
    }
    marks
}

fn indications(bits: &mut Bits<'_>, targets: usize) -> Option<Indications> {
    (0..targets).map(|_| bits.read(2).map(|value| value as u8)).collect()
}

/// A decode target is the rung of the highest layers that it has.
fn targets(templates: &[Template], count: usize) -> ArrayVec<Option<Rung>, TARGETS_MAX> {
    let mut targets: ArrayVec<Option<Rung>, TARGETS_MAX> = ArrayVec::new();
    for target in 0..count {
        let present = || templates.iter().filter(|template| template.indications[target] != NOT_PRESENT);
        let spatial = present().map(|template| template.spatial).max().unwrap_or(0);
        let temporal = present().map(|template| template.temporal).max().unwrap_or(0);
        let rung = Rung { spatial, temporal, ..Rung::default() };
        let is_ours = spatial < SPATIAL_MAX - 1 && temporal < TEMPORAL_MAX && !targets.contains(&Some(rung));
        targets.push(is_ours.then_some(rung));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes bits, most significant first.
    #[derive(Default)]
    struct Writer {
        bytes: Vec<u8>,
        free: u32,
    }

    impl Writer {
        fn put(&mut self, value: u32, count: u32) {
            for bit in (0..count).rev() {
                if self.free == 0 {
                    self.bytes.push(0);
                    self.free = 8;
                }
                self.free -= 1;
                *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << self.free;
            }
        }
    }

    /// A descriptor; `structure` has the templates as (next layer, indications).
    fn descriptor(template: u32, ends: bool, number: u16, structure: Option<&[(u32, &str)]>) -> Vec<u8> {
        let mut out = Writer::default();
        out.put(1, 1);
        out.put(u32::from(ends), 1);
        out.put(template, 6);
        out.put(u32::from(number), 16);
        let Some(templates) = structure else { return out.bytes };
        let targets = templates[0].1.len() as u32;
        out.put(0b10000, 5);
        out.put(7, 6);
        out.put(targets - 1, 5);
        for (next, _) in templates {
            out.put(*next, 2);
        }
        for indication in templates.iter().flat_map(|(_, all)| all.bytes()) {
            out.put(u32::from(indication - b'0'), 2);
        }
        for _ in templates {
            // One reference, and no more.
            out.put(0b10_0000, 6);
        }
        // No chains: of targets + 1 values the first.
        let width = 32 - (targets + 1).leading_zeros();
        out.put(0, width - 1);
        out.put(1, 1);
        let spatial = templates.iter().filter(|(next, _)| *next == 2).count() as u32;
        for layer in 0..=spatial {
            out.put((320 << layer) - 1, 16);
            out.put((180 << layer) - 1, 16);
        }
        out.bytes
    }

    /// Two spatial layers of two temporal ones; the upper one builds on the lower in keyframes alone. Targets: 00, 01,
    /// 10, 11.
    const KEYFRAMES: [(u32, &str); 6] =
        [(0, "2222"), (1, "2200"), (2, "0100"), (0, "0022"), (1, "0022"), (3, "0001")];

    fn rung(spatial: u8, temporal: u8) -> Rung {
        Rung { spatial, temporal, ..Rung::default() }
    }

    fn rungs(all: &[(u8, u8)]) -> Rungs {
        all.iter().fold(Rungs::default(), |all, (spatial, temporal)| all.with(rung(*spatial, *temporal)))
    }

    #[test]
    fn rtp_11_a_frame_says_which_layers_need_it() {
        let mut known = None;
        assert_eq!(read(&descriptor(8, true, 1, None), &mut known), None, "nothing to refer to");
        let key = read(&descriptor(7, true, 1, Some(&KEYFRAMES)), &mut known).unwrap();
        let all = rungs(&[(0, 0), (0, 1), (1, 0), (1, 1), (3, 3)]);
        assert_eq!((key.spatial, key.temporal, key.needed, key.joins), (0, 0, all, all));
        assert_eq!(known.as_ref().unwrap().sizes().as_slice(), [(320, 180), (640, 360)]);
        let lower = read(&descriptor(8, true, 2, None), &mut known).unwrap();
        assert_eq!(lower.needed, rungs(&[(0, 0), (0, 1), (3, 3)]));
        assert_eq!(lower.joins, rungs(&[(0, 0), (0, 1)]));
        let discardable = read(&descriptor(12, false, 3, None), &mut known).unwrap();
        assert_eq!((discardable.spatial, discardable.temporal), (1, 1));
        assert_eq!(discardable.needed, rungs(&[(1, 1), (3, 3)]));
        assert!(lower.ends_layer && !discardable.ends_layer);
        assert_eq!(read(&descriptor(13, true, 4, None), &mut known), None, "no such template");
    }

    #[test]
    fn rtp_11_frame_numbers_are_read_and_written() {
        let mut value = descriptor(8, true, 0xabcd, None);
        assert_eq!(frame_number(&value), Some(0xabcd));
        write_frame_number(&mut value, 0x1234);
        assert_eq!(value, descriptor(8, true, 0x1234, None));
        assert_eq!(frame_number(&value[..2]), None);
    }

    #[test]
    fn what_is_cut_is_refused_and_leaves_what_was_known() {
        let whole = descriptor(7, true, 1, Some(&KEYFRAMES));
        let mut known = None;
        read(&whole, &mut known).unwrap();
        for cut in 0..whole.len() - 1 {
            if cut != MANDATORY {
                assert_eq!(read(&whole[..cut], &mut known), None, "{cut}");
            }
            assert!(known.is_some());
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_harm(
            first in proptest::collection::vec(any::<u8>(), 0..100),
            second in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut known = None;
            for value in [&first, &second] {
                if let Some(marks) = read(value, &mut known) {
                    prop_assert!(marks.needed.has(Rung::whole(Default::default())));
                    prop_assert!(known.is_some());
                }
            }
        }
    }
}
