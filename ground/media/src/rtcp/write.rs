//! Writing: each function appends one packet to the datagram that the caller builds.

use super::*;

/// Appends an SR. Reports past [`COUNT_MAX`] follow in RRs (RFC 3550 §6.4.1).
pub fn write_sender_report(out: &mut Vec<u8>, sender: Ssrc, info: SenderInfo, reports: &[ReportBlock]) {
    let (first, more) = reports.split_at(reports.len().min(COUNT_MAX));
    packet(out, TYPE_SENDER_REPORT, first.len() as u8, |out| {
        word(out, sender.0);
        out.extend_from_slice(&info.ntp.to_be_bytes());
        word(out, info.rtp);
        word(out, info.packets);
        word(out, info.octets);
        report_blocks(out, first);
    });
    if !more.is_empty() {
        write_receiver_report(out, sender, more);
    }
}

/// Appends an RR, or as many as the reports need; an empty one if there are none.
pub fn write_receiver_report(out: &mut Vec<u8>, sender: Ssrc, reports: &[ReportBlock]) {
    let (first, more) = reports.split_at(reports.len().min(COUNT_MAX));
    packet(out, TYPE_RECEIVER_REPORT, first.len() as u8, |out| {
        word(out, sender.0);
        report_blocks(out, first);
    });
    if !more.is_empty() {
        write_receiver_report(out, sender, more);
    }
}

/// Appends an SDES with the CNAME, the one item that every compound must have (RFC 3550 §6.1). Longer than 255
/// bytes it is cut.
pub fn write_sdes_cname(out: &mut Vec<u8>, ssrc: Ssrc, cname: &str) {
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    packet(out, TYPE_SDES, 1, |out| {
        word(out, ssrc.0);
        out.extend_from_slice(&[SDES_CNAME, cname.len() as u8]);
        out.extend_from_slice(cname);
        // One zero ends the list, more fill the word: one to four in all.
        let used = 2 + cname.len();
        out.extend(std::iter::repeat_n(0, (used + 1).next_multiple_of(4) - used));
    });
}

/// Appends a BYE for at most [`COUNT_MAX`] sources.
pub fn write_bye(out: &mut Vec<u8>, ssrcs: &[Ssrc]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(COUNT_MAX)];
    packet(out, TYPE_BYE, ssrcs.len() as u8, |out| ssrcs.iter().for_each(|ssrc| word(out, ssrc.0)));
}

/// Appends a NACK for `lost`, which is sorted (in the circle: 65 535 comes before 0). Four bytes for each
/// number that is more than 16 after the one before.
pub fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    packet(out, TYPE_TRANSPORT_FEEDBACK, FORMAT_NACK, |out| {
        word(out, sender.0);
        word(out, media.0);
        let mut lost = lost.iter().copied().peekable();
        while let Some(base) = lost.next() {
            let mut following = 0u16;
            while let Some(seq) = lost.next_if(|seq| seq.wrapping_sub(base) <= 16) {
                following |= 1u16.checked_shl(u32::from(seq.wrapping_sub(base)).wrapping_sub(1)).unwrap_or(0);
            }
            word(out, u32::from(base) << 16 | u32::from(following));
        }
    });
}

/// Appends a PLI.
pub fn write_pli(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    packet(out, TYPE_PAYLOAD_FEEDBACK, FORMAT_PLI, |out| {
        word(out, sender.0);
        word(out, media.0);
    });
}

/// Appends a FIR with one entry. `seq` rises with each new command and stays for a repetition (RFC 5104
/// §4.3.1.1).
pub fn write_fir(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, seq: u8) {
    packet(out, TYPE_PAYLOAD_FEEDBACK, FORMAT_FIR, |out| {
        word(out, sender.0);
        // The media source of the common header is 0: the entry names it.
        word(out, 0);
        word(out, media.0);
        word(out, u32::from(seq) << 24);
    });
}

/// Appends a REMB for at most 255 sources. The bitrate is rounded down to 18 significant bits.
pub fn write_remb(out: &mut Vec<u8>, sender: Ssrc, bitrate_bps: u64, ssrcs: &[Ssrc]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(255)];
    packet(out, TYPE_PAYLOAD_FEEDBACK, FORMAT_APPLICATION, |out| {
        word(out, sender.0);
        word(out, 0);
        out.extend_from_slice(REMB_NAME);
        let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
        word(out, (ssrcs.len() as u32) << 24 | exponent << 18 | (bitrate_bps >> exponent) as u32);
        ssrcs.iter().for_each(|ssrc| word(out, ssrc.0));
    });
}

/// Appends an XR that answers the reference time of `receiver` (RFC 3611 §4.5): the middle 32 bits of its clock, and
/// the time since it came in 1/65 536 s.
pub fn write_delay_since_reference(out: &mut Vec<u8>, sender: Ssrc, receiver: Ssrc, last: u32, delay: u32) {
    packet(out, TYPE_EXTENDED_REPORT, 0, |out| {
        word(out, sender.0);
        out.extend_from_slice(&[BLOCK_DELAY_SINCE_REFERENCE, 0, 0, 3]);
        word(out, receiver.0);
        word(out, last);
        word(out, delay);
    });
}

/// Header, body, then the length into the header: in words, without the first.
pub(super) fn packet(out: &mut Vec<u8>, packet_type: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
    body(out);
    let words = (out.len() - start) / 4 - 1;
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

pub(super) fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn report_blocks(out: &mut Vec<u8>, reports: &[ReportBlock]) {
    for report in reports {
        let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        word(out, report.ssrc.0);
        word(out, u32::from(report.fraction_lost) << 24 | lost);
        word(out, report.highest_seq);
        word(out, report.jitter);
        word(out, report.last_sr);
        word(out, report.delay_since_sr);
    }
}
