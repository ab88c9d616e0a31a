//! Reading. Every list in a block is a view that iterates over the datagram's own bytes.

use super::*;
use std::iter::FusedIterator;

/// One packet of an RTCP datagram.
#[derive(Clone, Copy, Debug)]
pub enum Block<'a> {
    /// SR: what the sender sends, and what it receives.
    SenderReport {
        /// Who reports.
        sender: Ssrc,
        /// About itself.
        info: SenderInfo,
        /// About others.
        reports: Reports<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        sender: Ssrc,
        /// About others.
        reports: Reports<'a>,
    },
    /// SDES: names of sources.
    Sdes(SdesItems<'a>),
    /// BYE: these sources end.
    Bye(Ssrcs<'a>),
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// Who asks.
        sender: Ssrc,
        /// Of which stream.
        media: Ssrc,
        /// For which sequence numbers.
        lost: Lost<'a>,
    },
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli {
        /// Who asks.
        sender: Ssrc,
        /// Of which stream.
        media: Ssrc,
    },
    /// Full intra request (RFC 5104 §4.3.1).
    Fir {
        /// Who asks.
        sender: Ssrc,
        /// Of which streams, each with the command's number.
        entries: FirEntries<'a>,
    },
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).
    Remb {
        /// Bits per second, saturated.
        bitrate_bps: u64,
        /// For these streams together.
        ssrcs: Ssrcs<'a>,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), from the base sequence
    /// number on: for [`TransportFeedback::read`].
    TransportFeedback(&'a [u8]),
    /// XR with a receiver reference time (RFC 3611 §4.4): who only receives asks for its round trip.
    ReferenceTime {
        /// Who asks.
        sender: Ssrc,
        /// Its wall clock, as in [`SenderInfo::ntp`].
        ntp: u64,
    },
    /// A packet type, or a feedback format, that we do not read: APP, other XR, REMB-like others.
    Other(u8),
}

/// Reads a datagram packet by packet.
pub fn blocks(datagram: &[u8]) -> Blocks<'_> {
    Blocks { rest: datagram }
}

/// Iterator of [`blocks`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        // What is left is taken away first, so that a broken packet ends the iteration.
        let (head, after) = std::mem::take(&mut self.rest).split_first_chunk::<4>()?;
        let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (body, rest) = after.split_at_checked(4 * words)?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let block = block(head[1], head[0] & 0x1f, without_padding(head[0], body)?)?;
        self.rest = rest;
        Some(block)
    }
}

impl FusedIterator for Blocks<'_> {}

/// The last byte of padding counts it, itself included (RFC 3550 §6.4.1).
fn without_padding(first: u8, body: &[u8]) -> Option<&[u8]> {
    if first & 0x20 == 0 {
        return Some(body);
    }
    let padding = usize::from(*body.last()?);
    if padding == 0 {
        return None;
    }
    body.get(..body.len().checked_sub(padding)?)
}

/// `count` is the five bits that hold the number of reports or sources, or the feedback format.
fn block(packet_type: u8, count: u8, body: &[u8]) -> Option<Block<'_>> {
    match packet_type {
        TYPE_SENDER_REPORT => {
            let (sender, rest) = split_ssrc(body)?;
            let (info, rest) = rest.split_first_chunk::<20>()?;
            let info = SenderInfo {
                ntp: u64::from(u32_at(info, 0)) << 32 | u64::from(u32_at(info, 4)),
                rtp: u32_at(info, 8),
                packets: u32_at(info, 12),
                octets: u32_at(info, 16),
            };
            Some(Block::SenderReport { sender, info, reports: Reports::split(count, rest)? })
        }
        TYPE_RECEIVER_REPORT => {
            let (sender, rest) = split_ssrc(body)?;
            Some(Block::ReceiverReport { sender, reports: Reports::split(count, rest)? })
        }
        TYPE_SDES => Some(Block::Sdes(SdesItems { chunks: count, source: None, rest: body, at: 0 })),
        TYPE_BYE => Some(Block::Bye(Ssrcs { rest: body.get(..4 * usize::from(count))? })),
        TYPE_EXTENDED_REPORT => {
            let (sender, rest) = split_ssrc(body)?;
            let ntp = reference_time(rest);
            Some(ntp.map_or(Block::Other(packet_type), |ntp| Block::ReferenceTime { sender, ntp }))
        }
        TYPE_TRANSPORT_FEEDBACK | TYPE_PAYLOAD_FEEDBACK => {
            let (sender, rest) = split_ssrc(body)?;
            let (media, rest) = split_ssrc(rest)?;
            feedback(packet_type, count, sender, media, rest)
        }
        other => Some(Block::Other(other)),
    }
}

/// The first reference time among the blocks of an XR; each has a type, a byte of its own, and its length in words.
fn reference_time(mut blocks: &[u8]) -> Option<u64> {
    loop {
        let (head, rest) = blocks.split_first_chunk::<4>()?;
        let (block, rest) = rest.split_at_checked(4 * usize::from(u16::from_be_bytes([head[2], head[3]])))?;
        if head[0] == BLOCK_REFERENCE_TIME {
            return block.first_chunk::<8>().map(|ntp| u64::from_be_bytes(*ntp));
        }
        blocks = rest;
    }
}

fn feedback(packet_type: u8, format: u8, sender: Ssrc, media: Ssrc, body: &[u8]) -> Option<Block<'_>> {
    Some(match (packet_type, format) {
        (TYPE_TRANSPORT_FEEDBACK, FORMAT_NACK) => {
            Block::Nack { sender, media, lost: Lost { rest: body, base: 0, left: 0 } }
        }
        (TYPE_TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC) => Block::TransportFeedback(body),
        (TYPE_PAYLOAD_FEEDBACK, FORMAT_PLI) => Block::Pli { sender, media },
        (TYPE_PAYLOAD_FEEDBACK, FORMAT_FIR) => Block::Fir { sender, entries: FirEntries { rest: body } },
        (TYPE_PAYLOAD_FEEDBACK, FORMAT_APPLICATION) if body.starts_with(REMB_NAME) => remb(body)?,
        _ => Block::Other(packet_type),
    })
}

/// `REMB`, number of sources, six bits of exponent, 18 of mantissa, then the sources.
fn remb(body: &[u8]) -> Option<Block<'_>> {
    let (head, rest) = body.split_first_chunk::<8>()?;
    let exponent = u32::from(head[5] >> 2);
    let mantissa = u128::from(u32::from_be_bytes([0, head[5] & 0x03, head[6], head[7]]));
    let bitrate_bps = u64::try_from(mantissa << exponent).unwrap_or(u64::MAX);
    Some(Block::Remb { bitrate_bps, ssrcs: Ssrcs { rest: rest.get(..4 * usize::from(head[4]))? } })
}

fn split_ssrc(bytes: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (ssrc, rest) = bytes.split_first_chunk::<4>()?;
    Some((Ssrc(u32::from_be_bytes(*ssrc)), rest))
}

/// Within an array whose length was checked.
fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const REPORT_LEN: usize = 24;

/// The report blocks of an SR or RR.
#[derive(Clone, Copy, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
}

impl<'a> Reports<'a> {
    /// What follows the counted reports belongs to a profile that we do not know.
    fn split(count: u8, bytes: &'a [u8]) -> Option<Self> {
        Some(Self { rest: bytes.get(..REPORT_LEN * usize::from(count))? })
    }
}

impl Iterator for Reports<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (bytes, rest) = self.rest.split_first_chunk::<REPORT_LEN>()?;
        self.rest = rest;
        Some(ReportBlock {
            ssrc: Ssrc(u32_at(bytes, 0)),
            fraction_lost: bytes[4],
            // 24 bits with a sign: shifted up and, with the sign, down again.
            cumulative_lost: (u32_at(bytes, 4) << 8) as i32 >> 8,
            highest_seq: u32_at(bytes, 8),
            jitter: u32_at(bytes, 12),
            last_sr: u32_at(bytes, 16),
            delay_since_sr: u32_at(bytes, 20),
        })
    }
}

/// A list of sources.
#[derive(Clone, Copy, Debug)]
pub struct Ssrcs<'a> {
    rest: &'a [u8],
}

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (ssrc, rest) = split_ssrc(self.rest)?;
        self.rest = rest;
        Some(ssrc)
    }
}

/// The items of all SDES chunks, as (source, item type, text). A broken chunk ends the list.
#[derive(Clone, Copy, Debug)]
pub struct SdesItems<'a> {
    chunks: u8,
    source: Option<Ssrc>,
    rest: &'a [u8],
    /// Bytes of the current chunk already read: a chunk ends on a multiple of four.
    at: usize,
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = (Ssrc, u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let source = match self.source {
                Some(source) => source,
                None => {
                    self.chunks = self.chunks.checked_sub(1)?;
                    let (source, rest) = split_ssrc(self.rest)?;
                    (self.source, self.rest, self.at) = (Some(source), rest, 0);
                    source
                }
            };
            let (&item, after) = self.rest.split_first()?;
            if item == 0 {
                // At least one zero, then more of them up to the next word.
                self.rest = self.rest.get((self.at + 1).next_multiple_of(4) - self.at..)?;
                self.source = None;
                continue;
            }
            let (&len, after) = after.split_first()?;
            let (text, rest) = after.split_at_checked(usize::from(len))?;
            self.rest = rest;
            self.at += 2 + text.len();
            return Some((source, item, text));
        }
    }
}

/// The sequence numbers of a NACK: pairs of a number and a bit for each of the 16 after it.
#[derive(Clone, Copy, Debug)]
pub struct Lost<'a> {
    rest: &'a [u8],
    base: u16,
    /// Bit 0 is `base` itself, bits 1 to 16 the numbers after it.
    left: u32,
}

impl Iterator for Lost<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.left == 0 {
            let (pair, rest) = self.rest.split_first_chunk::<4>()?;
            self.rest = rest;
            self.base = u16::from_be_bytes([pair[0], pair[1]]);
            self.left = u32::from(u16::from_be_bytes([pair[2], pair[3]])) << 1 | 1;
        }
        let step = self.left.trailing_zeros();
        self.left &= self.left - 1;
        Some(self.base.wrapping_add(step as u16))
    }
}

/// The entries of a FIR: of whom a keyframe is asked, and the number of the command, which repeats when the
/// command does.
#[derive(Clone, Copy, Debug)]
pub struct FirEntries<'a> {
    rest: &'a [u8],
}

impl Iterator for FirEntries<'_> {
    type Item = (Ssrc, u8);

    fn next(&mut self) -> Option<(Ssrc, u8)> {
        let (entry, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some((Ssrc(u32_at(entry, 0)), entry[4]))
    }
}
