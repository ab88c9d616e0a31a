//! Transport-wide feedback: which packets of a whole transport arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! The packets are counted by a header extension, whatever stream they belong to. Times are in [`TICK`]s on the
//! receiver's clock, of which only differences mean anything.

use super::{FORMAT_TRANSPORT_CC, TYPE_TRANSPORT_FEEDBACK, write};
use crate::Ssrc;
use std::time::Duration;

/// The unit of arrival times.
pub const TICK: Duration = Duration::from_micros(250);

/// Ticks in one unit of the reference time: 64 ms.
pub const REFERENCE_TICKS: i64 = 256;

/// The reference time has 24 bits.
const REFERENCE_WRAP: i64 = 1 << 24;

/// Packets that one feedback may tell of here: a tenth of a second at 60 Mbit/s, and at most 1 200 bytes.
pub const STATUSES_MAX: usize = 500;

const RUN_MAX: usize = 0x1fff;

/// Status symbols: not received, received with a delta of one byte, of two.
const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// A feedback as it came; [`Self::packets`] reads its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The number of the first packet told of.
    pub base: u16,
    /// How many are told of, the lost included.
    pub count: u16,
    /// The time that arrivals are counted from, in units of 64 ms; 24 bits, wraps.
    pub reference: u32,
    /// Counts the feedbacks, wraps.
    pub number: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Reads the body of a [`Block::TransportFeedback`](super::Block); `None` if it cannot be true.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<8>()?;
        let count = u16::from_be_bytes([head[2], head[3]]);
        let mut covered = 0;
        let mut chunks_len = 0;
        while covered < usize::from(count) {
            covered += Chunk::read(rest.get(chunks_len..)?)?.len();
            chunks_len += 2;
        }
        let (chunks, deltas) = rest.split_at(chunks_len);
        Some(Self {
            base: u16::from_be_bytes([head[0], head[1]]),
            count,
            reference: u32::from_be_bytes([0, head[4], head[5], head[6]]),
            number: head[7],
            chunks,
            deltas,
        })
    }

    /// The packets told of, in order: number, and when it arrived in [`TICK`]s since the reference time, `None`
    /// for a lost one. Ends early where deltas are missing.
    pub fn packets(&self) -> Packets<'a> {
        Packets {
            next: self.base,
            left: self.count,
            chunk: None,
            chunks: self.chunks,
            deltas: self.deltas,
            time: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run {
        symbol: u8,
        len: usize,
    },
    /// Symbols of `bits` bits each, the first one highest.
    Vector {
        bits: u8,
        symbols: u16,
    },
}

impl Chunk {
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = u16::from_be_bytes(*bytes.first_chunk::<2>()?);
        let chunk = match word >> 14 {
            0 | 1 => Self::Run { symbol: (word >> 13) as u8 & 3, len: usize::from(word) & RUN_MAX },
            2 => Self::Vector { bits: 1, symbols: word & 0x3fff },
            _ => Self::Vector { bits: 2, symbols: word & 0x3fff },
        };
        // An empty run would never end.
        (chunk.len() > 0).then_some(chunk)
    }

    fn len(&self) -> usize {
        match self {
            Self::Run { len, .. } => *len,
            Self::Vector { bits, .. } => 14 / usize::from(*bits),
        }
    }

    fn symbol(&self, at: usize) -> u8 {
        match self {
            Self::Run { symbol, .. } => *symbol,
            Self::Vector { bits: 1, symbols } => (symbols >> (13 - at)) as u8 & 1,
            Self::Vector { symbols, .. } => (symbols >> (12 - 2 * at)) as u8 & 3,
        }
    }
}

/// Iterator of [`TransportFeedback::packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    next: u16,
    left: u16,
    chunk: Option<(Chunk, usize)>,
    chunks: &'a [u8],
    deltas: &'a [u8],
    time: i64,
}

impl Iterator for Packets<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (chunk, at) = match self.chunk.filter(|(chunk, at)| *at < chunk.len()) {
            Some(current) => current,
            None => {
                let chunk = Chunk::read(self.chunks)?;
                self.chunks = &self.chunks[2..];
                (chunk, 0)
            }
        };
        self.chunk = Some((chunk, at + 1));
        let delta = match chunk.symbol(at) {
            LOST => None,
            SMALL => {
                let (delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(*delta))
            }
            LARGE => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(*delta)))
            }
            // Reserved.
            _ => return None,
        };
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.time += delta.unwrap_or(0);
        Some((number, delta.map(|_| self.time)))
    }
}

/// Appends a feedback about the packets from `base` on: for each its arrival in [`TICK`]s on our clock, `None` if
/// it has not come. The answer is how many of them it tells of: fewer than there are if they are more than
/// [`STATUSES_MAX`], or if an arrival is too far from the one before to be written; 0, and nothing is appended, if
/// none has arrived.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    number: u8,
    base: u16,
    arrivals: &[Option<i64>],
) -> usize {
    let Some(first) = arrivals.iter().copied().flatten().next() else { return 0 };
    let reference = first.div_euclid(REFERENCE_TICKS);
    let mut symbols = Vec::with_capacity(arrivals.len().min(STATUSES_MAX));
    let mut deltas = Vec::with_capacity(2 * symbols.capacity());
    let mut time = reference * REFERENCE_TICKS;
    for arrival in arrivals.iter().take(STATUSES_MAX) {
        let Some(arrival) = arrival else {
            symbols.push(LOST);
            continue;
        };
        if let Ok(delta) = u8::try_from(arrival - time) {
            symbols.push(SMALL);
            deltas.push(delta);
        } else if let Ok(delta) = i16::try_from(arrival - time) {
            symbols.push(LARGE);
            deltas.extend_from_slice(&delta.to_be_bytes());
        } else {
            break;
        }
        time = *arrival;
    }
    write::packet(out, TYPE_TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC, |out| {
        write::word(out, sender.0);
        write::word(out, media.0);
        out.extend_from_slice(&base.to_be_bytes());
        out.extend_from_slice(&(symbols.len() as u16).to_be_bytes());
        write::word(out, (reference.rem_euclid(REFERENCE_WRAP) as u32) << 8 | u32::from(number));
        write_chunks(out, &symbols);
        out.extend_from_slice(&deltas);
        // The packet begins on a word of the datagram, and so must what follows.
        out.resize(out.len().next_multiple_of(4), 0);
    });
    symbols.len()
}

fn write_chunks(out: &mut Vec<u8>, mut symbols: &[u8]) {
    while let Some(&symbol) = symbols.first() {
        let run = symbols.iter().take(RUN_MAX).take_while(|other| **other == symbol).count();
        let is_narrow = symbols.iter().take(14).all(|symbol| *symbol != LARGE);
        let (chunk, taken) = if run >= if is_narrow { 14 } else { 7 } {
            (u16::from(symbol) << 13 | run as u16, run)
        } else if is_narrow {
            (0x8000 | vector(symbols, 14, 1), 14)
        } else {
            (0xc000 | vector(symbols, 7, 2), 7)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        symbols = symbols.get(taken..).unwrap_or_default();
    }
}

/// The next `count` symbols, what is missing as lost.
fn vector(symbols: &[u8], count: usize, bits: usize) -> u16 {
    let symbol = |at: usize| u16::from(symbols.get(at).copied().unwrap_or(LOST));
    (0..count).fold(0, |vector, at| vector << bits | symbol(at))
}

#[cfg(test)]
mod tests {
    use super::super::{Block, blocks};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn written(base: u16, arrivals: &[Option<i64>]) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let told = write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), 9, base, arrivals);
        (out, told)
    }

    fn body(datagram: &[u8]) -> &[u8] {
        match blocks(datagram).next() {
            Some(Block::TransportFeedback(body)) => body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rtp_20_a_feedback_looks_as_the_draft_draws_it() {
        // Numbers over the wrap; a loss; a delta that needs two bytes; one that goes back.
        let (datagram, told) =
            written(65_534, &[Some(256 * 3 + 8), None, Some(256 * 3 + 400), Some(256 * 3 + 390)]);
        assert_eq!(told, 4);
        assert_eq!(
            datagram,
            [
                0x8f,
                205,
                0,
                6,
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                2,
                0xff,
                0xfe,
                0,
                4,
                0,
                0,
                3,
                9,
                0b1101_0010,
                0b1000_0000,
                8,
                1,
                136,
                0xff,
                0xf6,
                0,
            ]
        );
        let read = TransportFeedback::read(body(&datagram)).unwrap();
        assert_eq!((read.base, read.count, read.reference, read.number), (65_534, 4, 3, 9));
        let packets: Vec<_> = read.packets().collect();
        assert_eq!(packets, [(65_534, Some(8)), (65_535, None), (0, Some(400)), (1, Some(390))]);
    }

    #[test]
    fn long_runs_take_two_bytes() {
        let mut arrivals = vec![Some(5)];
        arrivals.extend(vec![None; 400]);
        arrivals.push(Some(9));
        let (datagram, told) = written(7, &arrivals);
        assert_eq!(told, 402);
        assert!(datagram.len() <= 32, "{}", datagram.len());
        let read: Vec<_> = TransportFeedback::read(body(&datagram)).unwrap().packets().collect();
        assert_eq!((read[0], read[1], read[401]), ((7, Some(5)), (8, None), (408, Some(9))));
    }

    #[test]
    fn what_does_not_fit_is_left_for_the_next_one() {
        assert_eq!(written(0, &[Some(0), Some(40_000), Some(40_001)]).1, 1);
        assert_eq!(written(0, &vec![Some(1); 2 * STATUSES_MAX]).1, STATUSES_MAX);
        assert_eq!(written(0, &[None, None]), (Vec::new(), 0));
    }

    #[test]
    fn broken_feedback_is_refused_or_ends_early() {
        for body in [
            &[0u8, 0, 0, 1, 0, 0, 0][..],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            // A run of nothing.
            &[0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0],
        ] {
            assert_eq!(TransportFeedback::read(body), None);
        }
        let no_deltas = [0, 0, 0, 2, 0, 0, 0, 0, 0x20, 2, 5];
        assert_eq!(
            TransportFeedback::read(&no_deltas).unwrap().packets().collect::<Vec<_>>(),
            [(0, Some(5))]
        );
    }

    proptest! {
        #[test]
        fn rtp_20_feedback_is_read_as_written(
            base: u16,
            start in -1i64 << 40..1 << 40,
            steps in vec(proptest::option::weighted(0.8, -300i64..2_000), 1..300),
        ) {
            let mut time = start;
            let arrivals: Vec<Option<i64>> =
                steps.iter().map(|step| step.map(|step| { time += step; time })).collect();
            let (datagram, told) = written(base, &arrivals);
            let Some(first) = arrivals.iter().flatten().next() else { return Ok(()) };
            prop_assert_eq!(told, arrivals.len());
            prop_assert_eq!(datagram.len() % 4, 0);
            let read = TransportFeedback::read(body(&datagram)).unwrap();
            let reference = first.div_euclid(REFERENCE_TICKS) * REFERENCE_TICKS;
            prop_assert_eq!(i64::from(read.reference), (reference / REFERENCE_TICKS) & 0xff_ffff);
            let packets: Vec<_> = read.packets().collect();
            let expected: Vec<_> = (0..).zip(&arrivals)
                .map(|(at, arrival)| (base.wrapping_add(at), arrival.map(|arrival| arrival - reference)))
                .collect();
            prop_assert_eq!(packets, expected);
        }

        #[test]
        fn any_feedback_is_read_without_harm(bytes in vec(any::<u8>(), 0..80)) {
            if let Some(read) = TransportFeedback::read(&bytes) {
                prop_assert!(read.packets().count() <= usize::from(read.count));
            }
        }
    }
}
