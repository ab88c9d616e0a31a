//! Reception statistics of one source, for the reports that its sender gets (RFC 3550 §6.4.1, §A.3, §A.8).

use crate::clock::{media_units, ntp_units};
use std::time::Instant;
use wtn_media::rtcp::ReportBlock;
use wtn_media::{RtpTime, SeqNo, Ssrc};

/// Counts what arrived against what was sent, and how evenly it came.
#[derive(Debug)]
pub struct Reception {
    rate: u32,
    first: SeqNo,
    highest: SeqNo,
    received: u64,
    reported: (u64, u64),
    transit: Option<(Instant, RtpTime)>,
    jitter: f64,
    last_report: Option<(u64, Instant)>,
}

impl Reception {
    /// Starts with the first packet of a source whose media clock has `rate` Hz.
    pub fn new(rate: u32, first: SeqNo) -> Self {
        Self {
            rate,
            first,
            highest: first,
            received: 0,
            reported: (0, 0),
            transit: None,
            jitter: 0.0,
            last_report: None,
        }
    }

    /// Notes a packet that arrived by itself, not as a retransmission.
    pub fn on_packet(&mut self, now: Instant, seq: SeqNo, time: RtpTime) {
        self.received += 1;
        self.highest = self.highest.max(seq);
        self.first = self.first.min(seq);
        if let Some((then, before)) = self.transit {
            let waited = media_units(now.saturating_duration_since(then), self.rate) as f64;
            let meant = time.0 as f64 - before.0 as f64;
            self.jitter += ((waited - meant).abs() - self.jitter) / 16.0;
        }
        self.transit = Some((now, time));
    }

    /// Packets that were sent as far as is known, and those that arrived by themselves.
    pub fn counts(&self) -> (u64, u64) {
        (self.highest.0 - self.first.0 + 1, self.received)
    }

    /// Notes the sender's own report, which the next one of ours refers to.
    pub fn on_sender_report(&mut self, now: Instant, ntp: u64) {
        self.last_report = Some((ntp, now));
    }

    /// The block about this source, as of `now`; the loss fraction covers the time since the last block.
    pub fn report(&mut self, now: Instant, ssrc: Ssrc) -> ReportBlock {
        let expected = self.highest.0 - self.first.0 + 1;
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(self.received.saturating_sub(received_before));
        let lost = expected as i64 - self.received as i64;
        let (last_sr, delay_since_sr) = self.last_report.map_or((0, 0), |(ntp, at)| {
            ((ntp >> 16) as u32, (ntp_units(now.saturating_duration_since(at)) >> 16) as u32)
        });
        ReportBlock {
            ssrc,
            fraction_lost: (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8,
            cumulative_lost: lost.clamp(-(1 << 23), (1 << 23) - 1) as i32,
            highest_seq: self.highest.0 as u32,
            jitter: self.jitter as u32,
            last_sr,
            delay_since_sr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rtp_23_loss_jitter_and_delay_are_as_the_standard_counts_them() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000, SeqNo(100));
        for n in (0..100).filter(|n| n % 4 != 3) {
            let now = start + Duration::from_millis(n * 10);
            reception.on_packet(now, SeqNo(100 + n), RtpTime(n * 900));
        }
        reception.on_sender_report(start + Duration::from_secs(1), 5 << 32);
        let block = reception.report(start + Duration::from_millis(1500), Ssrc(7));
        assert_eq!(block.cumulative_lost, 24, "99 expected, 75 came");
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        assert_eq!(block.jitter, 0);
        assert_eq!(block.last_sr, 5 << 16);
        assert_eq!(block.delay_since_sr, 1 << 15);
        let next = reception.report(start + Duration::from_secs(2), Ssrc(7));
        assert_eq!(next.fraction_lost, 0, "nothing was expected since");
    }

    #[test]
    fn uneven_arrival_is_jitter() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000, SeqNo(0));
        for n in 0..200u64 {
            let late = if n % 2 == 0 { 0 } else { 5 };
            reception.on_packet(start + Duration::from_millis(n * 20 + late), SeqNo(n), RtpTime(n * 1800));
        }
        let jitter = reception.report(start, Ssrc(1)).jitter;
        assert!((400..=460).contains(&jitter), "5 ms are 450 ticks: {jitter}");
    }
}
