//! RTCP: reports (RFC 3550 §6), feedback (RFC 4585, RFC 5104, REMB, transport-wide congestion control) and
//! the few packets of it that wtn writes.
//!
//! [`blocks`] reads compound and reduced-size datagrams (RFC 5506) alike. What it does not know it steps over
//! by length; the first length that cannot be true ends that datagram and nothing else.

mod read;
pub mod transport;
mod write;

pub use read::{Block, Blocks, FirEntries, Lost, Reports, SdesItems, Ssrcs, blocks};
pub use transport::{TransportFeedback, write_transport_feedback};
pub use write::{
    write_bye, write_delay_since_reference, write_fir, write_nack, write_pli, write_receiver_report,
    write_remb, write_sdes_cname, write_sender_report,
};

use crate::Ssrc;

/// SDES item: the canonical name (RFC 3550 §6.5.1).
pub const SDES_CNAME: u8 = 1;
/// SDES item: the MID (RFC 9143 §15.1).
pub const SDES_MID: u8 = 15;
/// SDES item: the RID (RFC 8852 §4.1).
pub const SDES_RID: u8 = 12;
/// SDES item: the RID of what an RTX stream repairs (RFC 8852 §4.2).
pub const SDES_REPAIRED_RID: u8 = 13;

/// Report blocks or sources that one RTCP packet can hold: its count has five bits (RFC 3550 §6.4.1).
pub const COUNT_MAX: usize = 31;

const TYPE_SENDER_REPORT: u8 = 200;
const TYPE_RECEIVER_REPORT: u8 = 201;
const TYPE_SDES: u8 = 202;
const TYPE_BYE: u8 = 203;
const TYPE_TRANSPORT_FEEDBACK: u8 = 205;
const TYPE_PAYLOAD_FEEDBACK: u8 = 206;
const TYPE_EXTENDED_REPORT: u8 = 207;

const FORMAT_NACK: u8 = 1;
const FORMAT_TRANSPORT_CC: u8 = 15;
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;
const FORMAT_APPLICATION: u8 = 15;

/// XR blocks (RFC 3611 §4.4, §4.5).
const BLOCK_REFERENCE_TIME: u8 = 4;
const BLOCK_DELAY_SINCE_REFERENCE: u8 = 5;

const REMB_NAME: &[u8; 4] = b"REMB";

/// What a sender says of its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock: seconds since 1900 in the high half, fractions of 2^-32 s in the low.
    pub ntp: u64,
    /// The same moment on the media clock.
    pub rtp: u32,
    /// RTP packets sent so far, wraps.
    pub packets: u32,
    /// Payload bytes sent so far, wraps.
    pub octets: u32,
}

/// What a receiver says of one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: Ssrc,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits, negative with duplicates. Written saturated.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the count of its wraps above.
    pub highest_seq: u32,
    /// Interarrival jitter in units of the media clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's `ntp`; 0 if there was none.
    pub last_sr: u32,
    /// Time since then in 1/65 536 s.
    pub delay_since_sr: u32,
}

#[cfg(test)]
mod tests;
