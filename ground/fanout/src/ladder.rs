//! What there is to choose from for a viewer: encodings, and layers within them.
//!
//! Two rules make one ladder of it. Fewer pictures a second are for the poorest picture alone: whoever can have a
//! smaller picture whole is better served by that than by a bigger one that stutters. And an encoding's top rung is all
//! of it, unless its lower layers are of no use to the upper ones; then they stay here.

use crate::encoding_selector::{ENCODINGS_MAX, LADDER, Rates, place_of, rung_at};
use wtn_media::layers::{Layer, Rids};
use wtn_media::peek::Sizes;
use wtn_media::{EncodingId, LayerSelection, Rung, Rungs};

/// The rungs of a track that are alive, and what each takes.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Every layer of every encoding.
    all: Rates,
    automatic: Rates,
    seen: [Rungs; ENCODINGS_MAX],
}

impl Default for Ladder {
    fn default() -> Self {
        Self { all: [0; LADDER], automatic: [0; LADDER], seen: Default::default() }
    }
}

impl Ladder {
    /// Of rungs with those rates, of encodings with those layers.
    pub(crate) fn new(rates: Rates, seen: [Rungs; ENCODINGS_MAX]) -> Self {
        let mut ladder = Self { all: rates, automatic: [0; LADDER], seen };
        let exact: Vec<Rung> = ladder.layers().collect();
        // The tops of every encoding and spatial layer.
        let tops = exact.iter().filter(|rung| !exact.iter().any(|other| is_above_in_time(*other, **rung)));
        let tops: Vec<Rung> = tops.copied().collect();
        let poorest = tops.iter().min_by_key(|rung| ladder.rate(**rung)).copied();
        for rung in exact {
            let is_of_poorest =
                poorest.is_some_and(|top| (top.encoding, top.spatial) == (rung.encoding, rung.spatial));
            if is_of_poorest || tops.contains(&rung) {
                let named = ladder.named(rung);
                ladder.automatic[place_of(named)] = ladder.rate(named);
            }
        }
        ladder
    }

    /// What a viewer's line chooses among.
    pub fn automatic(&self) -> &Rates {
        &self.automatic
    }

    /// What it chooses among for a viewer who asks for `selection`, and the richest of what was asked for.
    ///
    /// What is asked for and not there is replaced by what comes nearest: another encoding if that one is silent, the
    /// next lower layer. What is left open stays so. Below all that the line may still go: a picture that the line
    /// does not carry is none.
    pub fn selected(&self, selection: &LayerSelection, rids: &Rids) -> (Rates, Option<Rung>) {
        let mut rungs: Vec<Rung> = self.layers().collect();
        let encoding = selection.rid.and_then(|rid| rids.iter().position(|other| *other == rid));
        if let Some(at) = encoding
            && rungs.iter().any(|rung| usize::from(rung.encoding.0) == at)
        {
            rungs.retain(|rung| usize::from(rung.encoding.0) == at);
        }
        keep(&mut rungs, |rung| rung.spatial, selection.spatial, selection.max_spatial);
        keep(&mut rungs, |rung| rung.temporal, selection.temporal, selection.max_temporal);
        let mut rates = [0; LADDER];
        for rung in rungs.into_iter().map(|rung| self.named(rung)) {
            rates[place_of(rung)] = self.rate(rung);
        }
        let there = || (0..LADDER).filter(|place| rates[*place] > 0);
        let richest = there().max_by_key(|place| rates[*place]).map(rung_at);
        let least = there().map(|place| rates[place]).min().unwrap_or(0);
        for (place, rate) in self.automatic.into_iter().enumerate() {
            if (1..least).contains(&rate) {
                rates[place] = rate;
            }
        }
        (rates, richest)
    }

    /// What viewers may be told of: the layers of each encoding, `sizes` by encoding.
    pub fn describe(&self, rids: &Rids, sizes: &[Sizes; ENCODINGS_MAX]) -> Vec<Layer> {
        let mut layers = Vec::new();
        for at in 0..rids.len().max(1) {
            let rid = rids.get(at).copied();
            let sizes = &sizes[at];
            let own: Vec<Rung> = self.layers().filter(|rung| usize::from(rung.encoding.0) == at).collect();
            let is_scalable = |of: fn(&Rung) -> u8| own.iter().any(|rung| of(rung) > 0);
            let (spatial, temporal) = (is_scalable(|rung| rung.spatial), is_scalable(|rung| rung.temporal));
            for rung in &own {
                // One size of several layers is that of none in particular.
                let size =
                    if spatial && sizes.len() == 1 { None } else { sizes.get(usize::from(rung.spatial)) };
                let (width, height) = size.copied().unwrap_or_default();
                layers.push(Layer {
                    rid,
                    spatial: spatial.then_some(rung.spatial),
                    temporal: temporal.then_some(rung.temporal),
                    bitrate: u32::try_from(self.rate(self.named(*rung))).unwrap_or(u32::MAX),
                    width,
                    height,
                });
            }
            if own.is_empty() {
                let (width, height) = sizes.last().copied().unwrap_or_default();
                layers.push(Layer { rid, spatial: None, temporal: None, bitrate: 0, width, height });
            }
        }
        layers
    }

    /// Every layer that is there, by its own numbers.
    fn layers(&self) -> impl Iterator<Item = Rung> + '_ {
        (0..ENCODINGS_MAX)
            .flat_map(|at| self.seen[at].places().map(move |place| Rung::at(EncodingId(at as u8), place)))
    }

    /// The top rung of an encoding goes by the name of all of it, where that is no more.
    fn named(&self, rung: Rung) -> Rung {
        let whole = Rung::whole(rung.encoding);
        let is_top = self.layers().filter(|other| other.encoding == rung.encoding).max() == Some(rung);
        if is_top && self.rate(whole) == self.rate(rung) { whole } else { rung }
    }

    fn rate(&self, rung: Rung) -> u64 {
        self.all[place_of(rung)]
    }
}

fn is_above_in_time(other: Rung, rung: Rung) -> bool {
    (other.encoding, other.spatial) == (rung.encoding, rung.spatial) && other.temporal > rung.temporal
}

/// Keeps the rungs whose layer is the one asked for, or the next lower one, or the lowest; and none above `max`, as
/// far as there are others.
fn keep(rungs: &mut Vec<Rung>, layer: fn(&Rung) -> u8, exact: Option<u8>, max: Option<u8>) {
    let below = |rungs: &[Rung], limit: u8| {
        let fitting = rungs.iter().map(layer).filter(|layer| *layer <= limit).max();
        fitting.or_else(|| rungs.iter().map(layer).min())
    };
    if let Some(limit) = max.and_then(|max| below(rungs, max)) {
        rungs.retain(|rung| layer(rung) <= limit);
    }
    if let Some(chosen) = exact.and_then(|exact| below(rungs, exact)) {
        rungs.retain(|rung| layer(rung) == chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::Rid;

    fn rung(encoding: u8, spatial: u8, temporal: u8) -> Rung {
        Rung { encoding: EncodingId(encoding), spatial, temporal }
    }

    /// Of layers with the rates of their own rungs, in kbit/s, and encodings that take so much in all.
    fn ladder(layers: &[(Rung, u64)], wholes: &[u64]) -> Ladder {
        let (mut rates, mut seen) = ([0; LADDER], [Rungs::default(); ENCODINGS_MAX]);
        for &(rung, rate) in layers {
            rates[place_of(rung)] = rate;
            let at = usize::from(rung.encoding.0);
            seen[at] = seen[at].with(rung);
        }
        for (at, whole) in wholes.iter().enumerate() {
            rates[place_of(Rung::whole(EncodingId(at as u8)))] = *whole;
        }
        Ladder::new(rates, seen)
    }

    fn there(rates: &Rates) -> Vec<(Rung, u64)> {
        let mut there: Vec<_> =
            (0..LADDER).filter(|at| rates[*at] > 0).map(|at| (rung_at(at), rates[at])).collect();
        there.sort_by_key(|(_, rate)| std::cmp::Reverse(*rate));
        there
    }

    /// A browser's simulcast: each encoding in three temporal layers.
    fn simulcast() -> Ladder {
        let mut layers = Vec::new();
        for (encoding, rate) in [(0, 2000), (1, 700), (2, 200)] {
            layers.extend([
                (rung(encoding, 0, 0), rate / 5),
                (rung(encoding, 0, 1), rate / 2),
                (rung(encoding, 0, 2), rate),
            ]);
        }
        ladder(&layers, &[2000, 700, 200])
    }

    /// A camera's L3T1, whose upper layers build on the lower ones, or only in keyframes.
    fn scalable(only_keyframes: bool) -> Ladder {
        let rates = if only_keyframes { [150, 450, 1300] } else { [150, 600, 1900] };
        let layers: Vec<_> = (0..).zip(rates).map(|(spatial, rate)| (rung(0, spatial, 0), rate)).collect();
        ladder(&layers, &[1900])
    }

    #[test]
    fn rtp_22_only_the_poorest_picture_loses_pictures() {
        let whole = |encoding| Rung::whole(EncodingId(encoding));
        let expected =
            [(whole(0), 2000), (whole(1), 700), (whole(2), 200), (rung(2, 0, 1), 100), (rung(2, 0, 0), 40)];
        assert_eq!(there(simulcast().automatic()), expected);
    }

    #[test]
    fn rtp_22_lower_layers_that_the_upper_ones_do_without_stay_here() {
        let all = there(scalable(false).automatic());
        assert_eq!(all, [(Rung::whole(EncodingId(0)), 1900), (rung(0, 1, 0), 600), (rung(0, 0, 0), 150)]);
        let lean = there(scalable(true).automatic());
        assert_eq!(lean, [(rung(0, 2, 0), 1300), (rung(0, 1, 0), 450), (rung(0, 0, 0), 150)]);
    }

    #[test]
    fn whep_29_what_is_asked_for_is_what_the_line_chooses_among_and_what_is_poorer() {
        let rids: Rids = ["0", "1", "2"].into_iter().filter_map(Rid::new).collect();
        let asked = LayerSelection { rid: Rid::new("1"), ..LayerSelection::default() };
        let (rates, richest) = simulcast().selected(&asked, &rids);
        assert_eq!(richest, Some(Rung::whole(EncodingId(1))));
        let places: Vec<_> = there(&rates).into_iter().map(|(rung, _)| rung).collect();
        // Its pictures, then what is poorer still.
        let expected =
            [Rung::whole(EncodingId(1)), rung(1, 0, 1), rung(1, 0, 0), rung(2, 0, 1), rung(2, 0, 0)];
        assert_eq!(places, expected);
        let asked = LayerSelection { temporal: Some(1), ..asked };
        assert_eq!(simulcast().selected(&asked, &rids).1, Some(rung(1, 0, 1)));
        let asked = LayerSelection { max_temporal: Some(0), ..LayerSelection::default() };
        assert_eq!(simulcast().selected(&asked, &rids).1, Some(rung(0, 0, 0)));
    }

    #[test]
    fn whep_29_what_is_asked_for_and_not_there_is_replaced_by_the_nearest() {
        let rids = Rids::new();
        let richest = |asked| scalable(true).selected(&asked, &rids).1;
        assert_eq!(
            richest(LayerSelection { spatial: Some(7), ..LayerSelection::default() }),
            Some(rung(0, 2, 0))
        );
        assert_eq!(
            richest(LayerSelection { max_spatial: Some(1), ..LayerSelection::default() }),
            Some(rung(0, 1, 0))
        );
        assert_eq!(
            richest(LayerSelection { rid: Rid::new("gone"), ..LayerSelection::default() }),
            Some(rung(0, 2, 0))
        );
        assert_eq!(Ladder::default().selected(&LayerSelection::default(), &rids).1, None);
    }

    #[test]
    fn whep_28_layers_are_described_by_name_and_a_silent_encoding_by_its_absence_of_bits() {
        let rids: Rids = ["h", "l"].into_iter().filter_map(Rid::new).collect();
        let mut sizes: [Sizes; ENCODINGS_MAX] = Default::default();
        sizes[0].push((1280, 720));
        let one = ladder(&[(rung(0, 0, 0), 2000)], &[2000]);
        let told = one.describe(&rids, &sizes);
        let layer = |rid, bitrate, width, height| Layer {
            rid: Rid::new(rid),
            spatial: None,
            temporal: None,
            bitrate,
            width,
            height,
        };
        assert_eq!(told, [layer("h", 2000, 1280, 720), layer("l", 0, 0, 0)]);
        let mut sizes: [Sizes; ENCODINGS_MAX] = Default::default();
        sizes[0].extend([(320, 180), (640, 360)]);
        let told = scalable(true).describe(&Rids::new(), &sizes);
        let told: Vec<_> = told.iter().map(|l| (l.spatial, l.temporal, l.bitrate, l.width)).collect();
        assert_eq!(told, [(Some(0), None, 150, 320), (Some(1), None, 450, 640), (Some(2), None, 1300, 0)]);
    }
}
