//! What a publisher's picture can be had in, and which of it a viewer asks for.
//!
//! A **simulcast** publisher sends its picture several times over, each with a `rid`. Within one encoding a codec may
//! be **scalable**: a spatial layer adds detail to the one below, a temporal layer adds pictures between the others.
//! What is told here is what a viewer would get: a layer with all that it builds on.

use crate::{EncodingId, Rid};
use arrayvec::ArrayVec;

/// Spatial layers of an encoding that are told apart. VP9 can say up to eight, nobody sends more than three; the
/// highest place is kept for [`Rung::whole`].
pub const SPATIAL_MAX: u8 = 4;

/// Temporal layers of an encoding that are told apart; nobody sends more than three.
pub const TEMPORAL_MAX: u8 = 4;

/// The rids of a publisher's picture, by [`EncodingId`]; empty without simulcast.
pub type Rids = ArrayVec<Rid, 4>;

/// One way to get the picture, as its publisher sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The simulcast version; `None` if there is but one.
    pub rid: Option<Rid>,
    /// The highest spatial layer that it has; `None` if there is but one.
    pub spatial: Option<u8>,
    /// The highest temporal layer that it has; `None` if there is but one.
    pub temporal: Option<u8>,
    /// What it takes of a line with all that it builds on, in bits per second; 0 while it is not sent.
    pub bitrate: u32,
    /// Of the picture, in pixels; 0 if not known.
    pub width: u16,
    /// Of the picture, in pixels; 0 if not known.
    pub height: u16,
}

/// What a viewer asks for instead of what its line is best for. What is left open is chosen by its line, and all
/// `None` is the same as no selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSelection {
    /// This simulcast version.
    pub rid: Option<Rid>,
    /// This spatial layer.
    pub spatial: Option<u8>,
    /// This temporal layer.
    pub temporal: Option<u8>,
    /// No spatial layer above this.
    pub max_spatial: Option<u8>,
    /// No temporal layer above this.
    pub max_temporal: Option<u8>,
}

impl LayerSelection {
    /// True if it asks for something.
    pub fn asks(&self) -> bool {
        *self != Self::default()
    }
}

/// A place on the ladder of what there is: an encoding, and how much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rung {
    /// The encoding.
    pub encoding: EncodingId,
    /// Up to this spatial layer of it.
    pub spatial: u8,
    /// Up to this temporal layer of it.
    pub temporal: u8,
}

impl Rung {
    /// Rungs within one encoding.
    pub const PER_ENCODING: usize = SPATIAL_MAX as usize * TEMPORAL_MAX as usize;

    /// All of an encoding, whatever layers it may turn out to have.
    pub const fn whole(encoding: EncodingId) -> Self {
        Self { encoding, spatial: SPATIAL_MAX - 1, temporal: TEMPORAL_MAX - 1 }
    }

    /// True for [`Self::whole`].
    pub const fn is_whole(self) -> bool {
        self.place() == Self::PER_ENCODING - 1
    }

    /// Its place within its encoding, below [`Self::PER_ENCODING`].
    pub const fn place(self) -> usize {
        self.spatial as usize * TEMPORAL_MAX as usize + self.temporal as usize
    }

    /// The rung of an encoding at that place.
    pub const fn at(encoding: EncodingId, place: usize) -> Self {
        Self {
            encoding,
            spatial: (place / TEMPORAL_MAX as usize) as u8 % SPATIAL_MAX,
            temporal: (place % TEMPORAL_MAX as usize) as u8,
        }
    }
}

/// A set of rungs of one encoding, by [`Rung::place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rungs(pub u16);

impl Rungs {
    /// All.
    pub const ALL: Self = Self(u16::MAX);

    /// Those that have a packet of that layer because they go at least as far, in both ways.
    pub fn from_layer(spatial: u8, temporal: u8) -> Self {
        (0..Rung::PER_ENCODING)
            .map(|place| Rung::at(EncodingId(0), place))
            .filter(|rung| rung.spatial >= spatial && rung.temporal >= temporal)
            .fold(Self::default(), Self::with)
    }

    /// The set and one more.
    pub const fn with(self, rung: Rung) -> Self {
        Self(self.0 | 1 << rung.place())
    }

    /// True if the rung's place is in it.
    pub const fn has(self, rung: Rung) -> bool {
        self.0 >> rung.place() & 1 == 1
    }

    /// The places in it.
    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..Rung::PER_ENCODING).filter(move |place| self.0 >> place & 1 == 1)
    }
}

/// What a packet is to the rungs of its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerMarks {
    /// The spatial layer that it belongs to.
    pub spatial: u8,
    /// The temporal layer that it belongs to.
    pub temporal: u8,
    /// Who needs it.
    pub needed: Rungs,
    /// Where a viewer who has it, and what it builds on, can go on from here.
    pub joins: Rungs,
    /// A viewer of the temporal layer below can begin with this one here.
    pub syncs: bool,
    /// The last packet of its spatial layer's picture.
    pub ends_layer: bool,
}

impl LayerMarks {
    /// Of an encoding without layers.
    pub const WHOLE: Self = Self {
        spatial: 0,
        temporal: 0,
        needed: Rungs::ALL,
        joins: Rungs(0),
        syncs: false,
        ends_layer: false,
    };

    /// Of a packet of that layer, needed by all who go at least as far.
    pub fn of(spatial: u8, temporal: u8) -> Self {
        let (spatial, temporal) = (spatial.min(SPATIAL_MAX - 1), temporal.min(TEMPORAL_MAX - 1));
        Self { spatial, temporal, needed: Rungs::from_layer(spatial, temporal), ..Self::WHOLE }
    }
}

impl Default for LayerMarks {
    fn default() -> Self {
        Self::WHOLE
    }
}
