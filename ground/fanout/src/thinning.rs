//! An encoding without its upper layers, numbered as if they had never been.
//!
//! Where layers are left out, sequence numbers and VP8's picture ids would have holes: players would ask for what was
//! left out on purpose, and wait for it. So each rung counts what it does without. That is done once for all viewers of
//! a rung, and a viewer's own numbers are no more than an offset to these.
//!
//! A packet that is lost on its way in may belong to any layer. It keeps a number on each rung until it comes; where it
//! turns out to be of no use, the number stays a hole, as with any loss.

use wtn_media::{Codec, Packet, Rung, Rungs, SeqNo};

/// Packets that are remembered: as many as a viewer may start behind (see [`crate::gop_cache`]).
const REACH: usize = 16_384;

/// A packet's place on a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number there.
    pub seq: SeqNo,
    /// Pictures before it that are left out, modulo 2^16.
    pub pictures_less: u16,
}

impl Place {
    /// On a rung that leaves nothing out.
    pub const fn whole(packet: &Packet) -> Self {
        Self { seq: packet.seq, pictures_less: 0 }
    }
}

/// What the rungs of one encoding need, and how each counts. There is none of it for an encoding without layers.
#[derive(Debug)]
pub struct Thinning {
    /// By sequence number.
    seen: Box<[Seen]>,
    /// What is remembered.
    first: u64,
    next: u64,
    /// Of rungs that somebody has watched.
    counts: [Option<Box<Count>>; Rung::PER_ENCODING],
    /// By place: the rungs that had a packet since the last keyframe that this one had not.
    lacks: [Rungs; Rung::PER_ENCODING],
    /// The newest of them.
    keyframe: u64,
    /// The highest spatial layer since then.
    top: u8,
    /// Of the newest packet.
    time: u64,
}

/// What is remembered of a packet.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Nobody needs what was never seen.
    needed: Rungs,
    /// Where pictures are counted.
    picture: Option<u16>,
    /// It came before anything behind it.
    in_order: bool,
    /// It is of another picture than the packet before, which was there: nothing of this one can come late.
    starts_picture: bool,
}

impl Thinning {
    /// Begins with `packet`, before which nothing was left out.
    pub fn new(packet: &Packet) -> Self {
        Self {
            seen: vec![Seen::default(); REACH].into_boxed_slice(),
            first: packet.seq.0,
            next: packet.seq.0,
            counts: Default::default(),
            lacks: Default::default(),
            keyframe: packet.seq.0,
            top: 0,
            time: packet.time.0,
        }
    }

    /// Takes every packet of the encoding.
    pub fn on_packet(&mut self, packet: &Packet) {
        let layer = packet.marks.layer;
        if packet.marks.keyframe_start && packet.seq.0 >= self.next {
            self.lacks = Default::default();
            self.keyframe = packet.seq.0;
            self.top = 0;
        }
        self.top = self.top.max(layer.spatial);
        for (place, lacks) in self.lacks.iter_mut().enumerate() {
            if layer.needed.0 >> place & 1 == 0 {
                lacks.0 |= layer.needed.0;
            }
        }
        let picture = packet.marks.ids.filter(|_| packet.format.codec == Codec::Vp8).map(|ids| ids.picture);
        let seq = packet.seq.0;
        let mut seen = Seen { needed: layer.needed, picture, ..Seen::default() };
        if seq < self.next {
            if seq >= self.first && self.next - seq <= REACH as u64 {
                self.seen[slot_of(seq)] = seen;
            }
            return;
        }
        (seen.in_order, seen.starts_picture) = (true, self.time != packet.time.0 && seq == self.next);
        self.time = packet.time.0;
        // A jump of more than is remembered leaves nothing to remember.
        for lost in self.next.max(seq.saturating_sub(REACH as u64))..seq {
            self.seen[slot_of(lost)] = Seen::default();
        }
        self.seen[slot_of(seq)] = seen;
        for (place, count) in self.counts.iter_mut().enumerate() {
            if let Some(count) = count {
                count.push(self.next, seq, layer.needed.0 >> place & 1 == 1, picture);
            }
        }
        self.next = seq + 1;
        self.first = self.first.max(self.next.saturating_sub(REACH as u64));
    }

    /// The place of a packet on a rung; `None` if it is not needed there, or too old.
    pub fn place(&mut self, rung: Rung, packet: &Packet) -> Option<Place> {
        packet.marks.layer.needed.has(rung).then(|| self.position(rung, packet))?
    }

    /// The same, but the place of the next one that is needed if this one is not.
    pub fn position(&mut self, rung: Rung, packet: &Packet) -> Option<Place> {
        if rung.is_whole() {
            return Some(Place::whole(packet));
        }
        if packet.seq.0 < self.first || packet.seq.0 >= self.next {
            // From before there were layers.
            return (packet.seq.0 < self.next && self.next - self.first < REACH as u64)
                .then(|| Place::whole(packet));
        }
        let (packets, pictures) = self.count(rung).before(packet.seq.0);
        Some(Place { seq: SeqNo(packet.seq.0 - packets), pictures_less: pictures })
    }

    /// The packet that has the number `seq` on a rung.
    pub fn source(&mut self, rung: Rung, seq: SeqNo) -> SeqNo {
        if rung.is_whole() {
            return seq;
        }
        let (first, next) = (self.first, self.next);
        let count = self.count(rung);
        // The last of those with that number: what is left out has the number of what comes next.
        let (mut low, mut high) = (first, next);
        while low < high {
            let middle = low + (high - low) / 2;
            if middle - count.before(middle).0 <= seq.0 { low = middle + 1 } else { high = middle }
        }
        if low == first { seq } else { SeqNo(low - 1) }
    }

    /// Which rung a viewer on `from`, who wants to be on `to`, is on from `packet` on: another one, if it can be
    /// changed here.
    ///
    /// At a keyframe everything can. Where `to` has had nothing since the last keyframe that `from` had not, it can at
    /// the start of any picture. Else it can where the publisher says so.
    pub fn turn(&self, packet: &Packet, from: Rung, to: Rung) -> Option<Rung> {
        let seq = packet.seq.0;
        let seen = self.seen[slot_of(seq)];
        if seq < self.first || seq >= self.next || !seen.in_order {
            return None;
        }
        let layer = packet.marks.layer;
        let is_within = !self.lacks[from.place()].has(to) && seq >= self.keyframe && seen.starts_picture;
        // A packet cannot know whether its spatial layer is the last.
        let is_top = !to.is_whole() || layer.spatial == self.top;
        let joins = layer.needed.has(from) && layer.joins.has(to) && is_top;
        if packet.marks.keyframe_start || is_within || joins {
            return Some(to);
        }
        let next = Rung { temporal: from.temporal + 1, ..from };
        let syncs = layer.syncs && to.temporal > from.temporal && layer.temporal == next.temporal;
        syncs.then_some(next)
    }

    /// True if the way from one rung to the other leads over a keyframe.
    pub fn needs_keyframe(&self, from: Rung, to: Rung) -> bool {
        let spatial = |rung: Rung| rung.spatial.min(self.top);
        spatial(from) != spatial(to) && self.lacks[from.place()].has(to)
    }

    /// The count of a rung, made from what is remembered when it is watched first.
    fn count(&mut self, rung: Rung) -> &Count {
        let Self { seen, first, next, counts, .. } = self;
        counts[rung.place()].get_or_insert_with(|| {
            let mut count = Box::new(Count::default());
            let mut from = *first;
            for seq in *first..*next {
                let Seen { needed, picture, .. } = seen[slot_of(seq)];
                if needed != Rungs::default() {
                    count.push(from, seq, needed.has(rung), picture);
                    from = seq + 1;
                }
            }
            count
        })
    }
}

/// What one rung does without.
#[derive(Debug)]
struct Count {
    /// By sequence number: packets and pictures left out before it, modulo 2^16.
    before: Box<[(u16, u16)]>,
    /// The same before the next one.
    packets: u64,
    pictures: u16,
    /// The picture that was left out last.
    last: Option<u16>,
}

impl Default for Count {
    fn default() -> Self {
        Self { before: vec![(0, 0); REACH].into_boxed_slice(), packets: 0, pictures: 0, last: None }
    }
}

impl Count {
    /// Packet `seq` comes, the first one at or behind `next`.
    fn push(&mut self, next: u64, seq: u64, is_needed: bool, picture: Option<u16>) {
        let now = (self.packets as u16, self.pictures);
        for lost in next.max(seq.saturating_sub(REACH as u64))..seq {
            self.before[slot_of(lost)] = now;
        }
        self.before[slot_of(seq)] = now;
        if is_needed {
            return;
        }
        self.packets += 1;
        if let Some(picture) = picture
            && self.last.replace(picture) != Some(picture)
        {
            self.pictures = self.pictures.wrapping_add(1);
        }
    }

    /// Packets and pictures left out before `seq`, which is remembered.
    fn before(&self, seq: u64) -> (u64, u16) {
        let (packets, pictures) = self.before[slot_of(seq)];
        let since = (self.packets as u16).wrapping_sub(packets);
        (self.packets - u64::from(since), pictures)
    }
}

const fn slot_of(seq: u64) -> usize {
    seq as usize % REACH
}
