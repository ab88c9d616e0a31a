//! The circuit breaker of one track towards one viewer (RFC 8083): when what we send is hopeless, we stop.
//!
//! It is no congestion control: encodings and layers are chosen long before (`line.rs`). It is for what is left then:
//! a picture that has no smaller version on a line that takes a fraction of it. It breaks where the viewer's reports
//! say, one after the other, that next to half is lost and that a TCP connection would get through less than a tenth
//! of what we send (§4.3); that nothing arrives any more (§4.1); or where reports, which once came, stay away (§4.2).
//!
//! Losses that NACK repairs do not break it, heavy ones included: below `LOSS_MIN` viewers see a picture.

use std::time::{Duration, Instant};
use wtn_media::rtcp::ReportBlock;

/// Reports in a row, and the time that they span, which must say the same. RFC 8083 §4.3 comes to five reports where
/// they come every second or more seldom.
const REPORTS: u32 = 5;
const TIME: Duration = Duration::from_secs(10);

/// Lost of what was sent, of 256: 40 %. RFC 8083 alone would break at 20 % of a usual stream, which repairs mend.
const LOSS_MIN: u8 = 102;

/// More than TCP's share times this is too much.
const TOLERANCE: f64 = 10.0;

/// Of which nothing arrived before we believe that nothing does.
const UNHEARD_PACKETS: u32 = 100;

/// Reports come at least every five seconds, and each may be lost; consent of a viewer that is gone runs out first.
const SILENT_AFTER: Duration = Duration::from_secs(45);

/// What was sent on a track until now, and over which line.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Packets, modulo 2^32.
    pub packets: u32,
    /// Bytes of payload, modulo 2^32.
    pub octets: u32,
    /// A round trip.
    pub round_trip: Duration,
}

/// Listens to a viewer's reports about one track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    /// The last report, and what had been sent then.
    last: Option<(Instant, Sent, u32)>,
    /// Since when, and how many times, too much was lost.
    congested: Streak,
    /// The same of reports that nothing new arrived, and what had been sent before the first.
    stuck: Streak,
    stuck_from: u32,
    is_broken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Streak(Option<(Instant, u32)>);

impl Streak {
    /// One more, or the end of it. True once it is long enough.
    fn note(&mut self, now: Instant, is_so: bool) -> bool {
        let (since, count) = self.0.unwrap_or((now, 0));
        self.0 = is_so.then_some((since, count + 1));
        is_so && count + 1 >= REPORTS && now >= since + TIME
    }
}

impl Breaker {
    /// Takes a report block about the track.
    pub fn on_report(&mut self, now: Instant, report: &ReportBlock, sent: Sent) {
        let Some((then, before, highest)) = self.last.replace((now, sent, report.highest_seq)) else {
            return;
        };
        let is_congested = report.fraction_lost >= LOSS_MIN
            && rate(before, sent, now.saturating_duration_since(then))
                > TOLERANCE * tcp_rate(before, sent, report.fraction_lost);
        let is_stuck = report.highest_seq == highest;
        if self.stuck.0.is_none() {
            self.stuck_from = before.packets;
        }
        let is_unheard = sent.packets.wrapping_sub(self.stuck_from) >= UNHEARD_PACKETS;
        self.is_broken |= self.congested.note(now, is_congested);
        self.is_broken |= self.stuck.note(now, is_stuck) && is_unheard;
    }

    /// Whether to stop.
    pub fn is_broken(&self, now: Instant, sent: Sent) -> bool {
        let is_silent = self.last.is_some_and(|(at, then, _)| {
            now >= at + SILENT_AFTER && sent.packets.wrapping_sub(then.packets) >= UNHEARD_PACKETS
        });
        self.is_broken || is_silent
    }
}

/// Bytes a second.
fn rate(before: Sent, after: Sent, time: Duration) -> f64 {
    f64::from(after.octets.wrapping_sub(before.octets)) / time.as_secs_f64().max(0.1)
}

/// What a TCP connection would get through in bytes a second, by RFC 8083 §4.3 and RFC 5348 §3.1.
fn tcp_rate(before: Sent, after: Sent, fraction_lost: u8) -> f64 {
    let packets = after.packets.wrapping_sub(before.packets).max(1);
    let size = f64::from(after.octets.wrapping_sub(before.octets)) / f64::from(packets);
    let round_trip = after.round_trip.as_secs_f64().max(0.001);
    let loss = f64::from(fraction_lost) / 256.0;
    let timeout = 4.0 * round_trip;
    size / (round_trip * (2.0 * loss / 3.0).sqrt()
        + timeout * 3.0 * (3.0 * loss / 8.0).sqrt() * loss * (1.0 + 32.0 * loss * loss))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::Ssrc;

    /// When it breaks, in seconds, on reports every second that say that much is lost (in percent) of so many packets
    /// of 1200 bytes; a highest number that does not move from `stuck` on; no reports from `silent` on.
    fn breaks(loss: impl Fn(u64) -> u32, packets_a_second: u32, stuck: u64, silent: u64) -> Option<u64> {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        (0..120).find(|&second| {
            let now = start + Duration::from_secs(second);
            let packets = packets_a_second * second as u32;
            let round_trip = Duration::from_millis(50);
            let sent = Sent { packets, octets: packets * 1200, round_trip };
            let report = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: (loss(second) * 256 / 100).min(255) as u8,
                cumulative_lost: 0,
                highest_seq: packets_a_second * second.min(stuck) as u32,
                jitter: 0,
                last_sr: 0,
                delay_since_sr: 0,
            };
            if second < silent {
                breaker.on_report(now, &report, sent);
            }
            breaker.is_broken(now, sent)
        })
    }

    const NEVER: u64 = 1000;

    #[test]
    fn rtp_22_a_flow_that_loses_most_is_given_up_after_ten_seconds_and_one_that_can_be_repaired_is_not() {
        assert_eq!(breaks(|_| 60, 250, NEVER, NEVER), Some(11));
        for percent in [0, 5, 20, 30, 38] {
            assert_eq!(breaks(|_| percent, 250, NEVER, NEVER), None, "{percent} %");
        }
    }

    #[test]
    fn rtp_22_a_bad_stretch_that_ends_is_forgotten() {
        assert_eq!(breaks(|second| if second % 10 == 9 { 10 } else { 80 }, 250, NEVER, NEVER), None);
    }

    #[test]
    fn rtp_22_what_takes_no_more_than_tcp_would_may_go_on() {
        // A packet in five seconds.
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for second in (0..100).step_by(5) {
            let packets = second / 5;
            let sent = Sent { packets, octets: packets * 40, round_trip: Duration::from_millis(5) };
            let report = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: 128,
                cumulative_lost: 0,
                highest_seq: packets,
                jitter: 0,
                last_sr: 0,
                delay_since_sr: 0,
            };
            let now = start + Duration::from_secs(second.into());
            breaker.on_report(now, &report, sent);
            assert!(!breaker.is_broken(now, sent));
        }
    }

    #[test]
    fn rtp_22_nothing_arrives_although_reports_come() {
        assert_eq!(breaks(|_| 0, 250, 20, NEVER), Some(31));
        assert_eq!(breaks(|_| 0, 0, 20, NEVER), None, "nothing is sent");
    }

    #[test]
    fn rtp_22_reports_that_stay_away_end_it_and_such_as_never_came_do_not() {
        assert_eq!(breaks(|_| 0, 250, NEVER, 10), Some(9 + 45));
        assert_eq!(breaks(|_| 0, 250, NEVER, 0), None);
    }
}
