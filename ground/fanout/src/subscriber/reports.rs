//! What a viewer is told about time, and what it tells about its line.

use super::{Subscriber, Track};
use crate::clock::{SenderClock, from_short_ntp, ntp_units};
use crate::retransmission::Condition;
use std::time::Instant;
use wtn_media::rtcp::{self, ReportBlock, SenderInfo};
use wtn_media::{EncodingId, MediaKind, Ssrc};

/// Reports left out in a row while one track's clock is known and the other's is not: some publishers never report
/// one of theirs.
const HELD_MAX: u8 = 3;

impl Subscriber {
    /// The viewer told the time, to be told when (RFC 3611 §4.4).
    pub fn on_reference_time(&mut self, now: Instant, sender: Ssrc, ntp: u64) {
        if self.feedback.rrtr {
            self.reference = Some((sender, (ntp >> 16) as u32, now));
        }
    }

    /// Takes a report block of the viewer about one of our SSRCs.
    pub fn on_report(&mut self, now: Instant, report: &ReportBlock) {
        let estimate_bps = self.line.as_ref().and_then(|line| line.estimate_bps());
        let Some((kind, track)) = self.track_by_ssrc(report.ssrc) else { return };
        let mut last_reports = track.last_reports.into_iter().flatten();
        let sent = last_reports.find(|(middle, _)| *middle == report.last_sr);
        let rtt = sent.map(|(_, sent)| {
            let held = from_short_ntp(report.delay_since_sr);
            now.saturating_duration_since(sent).saturating_sub(held)
        });
        let rate = track.rate(now);
        // The line is that of the picture; sound is small and never given up.
        let estimate_bps = estimate_bps.filter(|_| kind == MediaKind::Video);
        let room = estimate_bps.zip(rate).map(|(line, rate)| (line as f32 - rate) / rate);
        let loss = f32::from(report.fraction_lost) / 256.0;
        track.retransmission.on_report(Condition { rtt, loss, room });
        let sent = track.sent_so_far();
        track.breaker.get_or_insert_default().on_report(now, report, sent);
    }

    /// True if the viewer's reports say that what is sent is of no use (RFC 8083).
    pub fn is_hopeless(&self, now: Instant) -> bool {
        self.tracks.iter().flatten().any(|track| {
            track.breaker.as_ref().is_some_and(|breaker| breaker.is_broken(now, track.sent_so_far()))
        })
    }

    /// Appends a sender report for every track that is flowing and whose publisher has told its clock; false
    /// if there is none. `clocks` are those of the encoding that each track watches.
    ///
    /// After a change of publisher one of its tracks may have told its clock and the other not yet. Reported alone, it
    /// would part sound and picture by the difference of two publishers' clocks, so it waits for the other.
    pub fn write_reports(
        &mut self,
        now: Instant,
        mut clock: impl FnMut(MediaKind, EncodingId) -> Option<SenderClock>,
        cname: &str,
        out: &mut Vec<u8>,
    ) -> bool {
        let before = out.len();
        let mut reporter = None;
        if self.is_half_told(&mut clock) && self.held_reports < HELD_MAX {
            self.held_reports += 1;
            return false;
        }
        self.held_reports = 0;
        for kind in MediaKind::ALL {
            let Some(track) = &mut self.tracks[kind.index()] else { continue };
            let Some((epoch, encoding)) = track.source else { continue };
            let Some((format, _)) = track.chosen else { continue };
            let Some(clock) = clock(kind, encoding).filter(|clock| clock.epoch == epoch) else { continue };
            let (ntp, time) = clock.at(now, format.codec.clock_rate());
            let Some(time) = track.rewriter.map_time(epoch, encoding, time) else { continue };
            track.last_reports = [Some(((ntp >> 16) as u32, now)), track.last_reports[0]];
            let info = SenderInfo { ntp, rtp: time.wire(), packets: track.sent.0, octets: track.sent.1 };
            rtcp::write_sender_report(out, track.ssrc, info, &[]);
            rtcp::write_sdes_cname(out, track.ssrc, cname);
            reporter = Some(track.ssrc);
        }
        if let Some((reporter, (viewer, last, came))) = reporter.zip(self.reference) {
            let delay = (ntp_units(now.saturating_duration_since(came)) >> 16) as u32;
            rtcp::write_delay_since_reference(out, reporter, viewer, last, delay);
        }
        out.len() > before
    }

    /// True if a viewer who was told the clocks of both tracks could now be told that of one alone.
    fn is_half_told(&self, clock: &mut impl FnMut(MediaKind, EncodingId) -> Option<SenderClock>) -> bool {
        let is_told = MediaKind::ALL.map(|kind| {
            let track = self.tracks[kind.index()].as_ref().filter(|track| track.last_reports[0].is_some())?;
            let (epoch, encoding) = track.source?;
            Some(clock(kind, encoding).is_some_and(|clock| clock.epoch == epoch))
        });
        matches!(is_told, [Some(one), Some(other)] if one != other)
    }
}

impl Track {
    /// Bits of payload a second since the last report of the viewer, if there was one and something flowed.
    fn rate(&mut self, now: Instant) -> Option<f32> {
        let (then, before) = self.reported.replace((now, self.sent.1))?;
        let bits = 8.0 * self.sent.1.wrapping_sub(before) as f32;
        let seconds = now.saturating_duration_since(then).as_secs_f32();
        (bits > 0.0 && seconds > 0.0).then(|| bits / seconds)
    }
}
