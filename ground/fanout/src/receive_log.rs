//! Which packets of an encoding are missing, and when to ask for them again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wtn_media::SeqNo;

/// How far back a packet may come late and still be told from a duplicate: over a second of a 10 Mbit/s
/// stream, and more than the replay window behind it lets through.
const WINDOW: u64 = 2048;

/// A gap this wide is a new start (encoder restarted, network gone for seconds), not a loss to repair.
const GAP_MAX: u64 = 512;

/// Missing packets remembered at once; the oldest is given up for a newer one.
const MISSING_MAX: usize = 512;

/// How long a gap may last at the most before it is asked about, where packets overtake one another. Where none
/// ever do, a gap is a loss, and every millisecond of waiting is one of a player's buffer.
const TOLERANCE_MAX: Duration = Duration::from_millis(40);

/// Packets in order after which half the tolerance is forgotten.
const ORDERLY: u32 = 2000;

/// A repair that takes longer than a player's jitter buffer helps nobody.
const GIVE_UP_AFTER: Duration = Duration::from_millis(1000);

/// Requests per packet. At 30 % loss each way, ten leave one packet in a thousand unrepaired.
const TRIES_MAX: u8 = 10;

/// Bounds of the round trip that requests are spaced by.
const RTT_MIN: Duration = Duration::from_millis(5);
const RTT_MAX: Duration = Duration::from_millis(400);

/// Requests are spaced by at least this much more than the round trip, or answers in flight would be asked for
/// twice.
const MARGIN_MIN: Duration = Duration::from_millis(5);

/// Answers in a row to packets that were asked for more than once: which request they answer nobody knows, so that
/// the round trip may have grown unnoticed. After so many it is measured anew.
const AMBIGUOUS_MAX: u32 = 8;

/// Sequence numbers put into one NACK: 17 per 4 bytes, this many always fit one datagram.
pub const NACK_MAX: usize = 128;

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// For the first time.
    First,
    /// As a retransmission.
    Repair,
    /// Either: the publisher repairs by sending the same packet once more.
    Either,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    asked_at: Option<Instant>,
    tries: u8,
}

/// The receive log of one encoding: duplicates out, gaps asked for again, spaced by the round trip.
#[derive(Debug)]
pub struct ReceiveLog {
    highest: Option<SeqNo>,
    seen: Box<[u64; (WINDOW / 64) as usize]>,
    missing: BTreeMap<SeqNo, Missing>,
    /// Smoothed, and how much it varies; `None` while nothing has been measured.
    rtt: Option<(Duration, Duration)>,
    ambiguous: u32,
    tolerance: Duration,
    /// Packets since the last one out of order.
    orderly: u32,
}

impl Default for ReceiveLog {
    fn default() -> Self {
        Self {
            highest: None,
            seen: Box::new([0; (WINDOW / 64) as usize]),
            missing: BTreeMap::new(),
            rtt: None,
            ambiguous: 0,
            tolerance: Duration::ZERO,
            orderly: 0,
        }
    }
}

impl ReceiveLog {
    /// Notes a packet. False if it was here before, or is too old to tell.
    pub fn on_packet(&mut self, now: Instant, seq: SeqNo, arrival: Arrival) -> bool {
        let Some(highest) = self.highest else {
            self.restart(seq);
            return true;
        };
        if seq > highest {
            self.advance(now, highest, seq);
            self.on_order();
            return true;
        }
        if highest.0 - seq.0 >= WINDOW || self.is_seen(seq) {
            return false;
        }
        self.mark(seq);
        if let Some(missing) = self.missing.remove(&seq) {
            self.on_filled(now, &missing, arrival);
        }
        true
    }

    /// The highest sequence number so far.
    pub fn highest(&self) -> Option<SeqNo> {
        self.highest
    }

    /// The packets to ask for now, rising, at most [`NACK_MAX`]; they count as asked.
    pub fn poll(&mut self, now: Instant) -> Vec<SeqNo> {
        self.missing.retain(|_, missing| missing.tries < TRIES_MAX && now < missing.since + GIVE_UP_AFTER);
        let (tolerance, pause) = (self.tolerance, self.pause());
        self.missing
            .iter_mut()
            .filter(|(_, missing)| missing.due(tolerance, pause) <= now)
            .take(NACK_MAX)
            .map(|(seq, missing)| {
                missing.asked_at = Some(now);
                missing.tries += 1;
                *seq
            })
            .collect()
    }

    /// When [`Self::poll`] will have something to ask for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let (tolerance, pause) = (self.tolerance, self.pause());
        self.missing.values().map(|missing| missing.due(tolerance, pause)).min()
    }

    /// A gap was filled: by a packet that was overtaken, or by the answer to a request.
    fn on_filled(&mut self, now: Instant, missing: &Missing, arrival: Arrival) {
        let asked = missing.asked_at.map(|at| (now.saturating_duration_since(at), missing.tries));
        // What comes sooner than an answer can is none.
        let soonest = self.rtt.map_or(RTT_MIN, |(rtt, _)| rtt / 2);
        match asked.filter(|(after, _)| arrival == Arrival::Repair || *after >= soonest) {
            Some(_) if arrival == Arrival::First => self.on_overtaken(now, missing),
            Some((after, 1)) => self.on_round_trip(after),
            Some(_) => {
                self.ambiguous += 1;
                if self.ambiguous > AMBIGUOUS_MAX {
                    (self.rtt, self.ambiguous) = (None, 0);
                }
            }
            None => self.on_overtaken(now, missing),
        }
    }

    fn on_overtaken(&mut self, now: Instant, missing: &Missing) {
        let late = now.saturating_duration_since(missing.since);
        self.tolerance = self.tolerance.max(late * 5 / 4).min(TOLERANCE_MAX);
        self.orderly = 0;
    }

    fn on_order(&mut self) {
        self.orderly += 1;
        if self.orderly >= ORDERLY {
            self.orderly = 0;
            self.tolerance /= 2;
        }
    }

    /// As TCP smooths it (RFC 6298 §2).
    fn on_round_trip(&mut self, sample: Duration) {
        self.ambiguous = 0;
        let sample = sample.clamp(RTT_MIN, RTT_MAX);
        self.rtt = Some(match self.rtt {
            None => (sample, sample / 8),
            Some((rtt, var)) => ((rtt * 7 + sample) / 8, (var * 3 + rtt.abs_diff(sample)) / 4),
        });
    }

    /// Between two requests for one packet. Until the round trip is known, as long as any takes: an answer to the
    /// only request measures it.
    fn pause(&self) -> Duration {
        self.rtt.map_or(RTT_MAX, |(rtt, var)| rtt + (var * 2).max(MARGIN_MIN))
    }

    fn restart(&mut self, seq: SeqNo) {
        self.seen.fill(0);
        self.missing.clear();
        self.mark(seq);
        self.highest = Some(seq);
    }

    /// Goes on behind a gap that nobody will fill. What came before it stays known: a publisher that probes the
    /// line with old packets must not have them taken for new ones.
    fn skip_to(&mut self, highest: SeqNo, seq: SeqNo) {
        if seq.0 - highest.0 >= WINDOW {
            self.seen.fill(0);
        } else {
            (highest.0 + 1..seq.0).for_each(|skipped| self.clear(SeqNo(skipped)));
        }
        self.missing.clear();
        self.mark(seq);
        self.highest = Some(seq);
    }

    fn advance(&mut self, now: Instant, highest: SeqNo, seq: SeqNo) {
        if seq.0 - highest.0 > GAP_MAX {
            self.skip_to(highest, seq);
            return;
        }
        for lost in (highest.0 + 1..seq.0).map(SeqNo) {
            self.clear(lost);
            if self.missing.len() >= MISSING_MAX {
                self.missing.pop_first();
            }
            self.missing.insert(lost, Missing { since: now, asked_at: None, tries: 0 });
        }
        self.mark(seq);
        self.highest = Some(seq);
    }

    fn is_seen(&self, seq: SeqNo) -> bool {
        let (word, bit) = Self::place(seq);
        self.seen[word] & bit != 0
    }

    fn mark(&mut self, seq: SeqNo) {
        let (word, bit) = Self::place(seq);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, seq: SeqNo) {
        let (word, bit) = Self::place(seq);
        self.seen[word] &= !bit;
    }

    fn place(seq: SeqNo) -> (usize, u64) {
        let slot = seq.0 % WINDOW;
        ((slot / 64) as usize, 1 << (slot % 64))
    }
}

impl Missing {
    fn due(&self, tolerance: Duration, pause: Duration) -> Instant {
        self.asked_at.map_or(self.since + tolerance, |at| at + pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn log_of(start: Instant, seqs: &[u64]) -> ReceiveLog {
        let mut log = ReceiveLog::default();
        for seq in seqs {
            log.on_packet(start, SeqNo(*seq), Arrival::Either);
        }
        log
    }

    #[test]
    fn rtp_15_where_packets_keep_their_order_a_gap_is_asked_about_at_once() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 13]);
        assert_eq!(log.next_timeout(), Some(start));
        assert_eq!(log.poll(start), [SeqNo(11), SeqNo(12)]);
        assert_eq!(log.poll(at(start, 1)), [], "asked already");
    }

    #[test]
    fn rtp_15_where_packets_overtake_one_another_a_gap_is_given_time() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        let mut asked = 0;
        // Every fourth comes 8 ms late.
        for n in 0..4000u64 {
            let now = at(start, n * 4);
            if n % 4 != 3 {
                log.on_packet(now, SeqNo(100 + n), Arrival::First);
            }
            if n >= 5 && n % 4 == 1 {
                log.on_packet(now, SeqNo(100 + n - 2), Arrival::First);
            }
            asked += log.poll(now).len();
        }
        assert!(asked <= 4, "{asked} requests for what came by itself");
        // Missed when the next one came, there with the one after.
        assert_eq!(log.tolerance, Duration::from_millis(5));
        for n in 4000..20_000u64 {
            log.on_packet(at(start, n * 4), SeqNo(100 + n), Arrival::First);
        }
        assert!(log.tolerance < Duration::from_millis(1), "and forgotten: {:?}", log.tolerance);
    }

    #[test]
    fn a_late_packet_closes_its_gap() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 12, 11]);
        assert_eq!(log.poll(at(start, 100)), []);
        assert!(!log.on_packet(start, SeqNo(11), Arrival::Either), "a duplicate");
    }

    #[test]
    fn rtp_15_requests_stop_after_the_last_try() {
        let start = Instant::now();
        let mut log = log_of(start, &[1, 3]);
        log.on_round_trip(Duration::from_millis(40));
        let asked = (0..3000).filter(|ms| !log.poll(at(start, *ms)).is_empty()).count();
        assert_eq!(asked, usize::from(TRIES_MAX));
        assert_eq!(log.next_timeout(), None);
    }

    #[test]
    fn rtp_15_a_repair_that_comes_too_late_is_given_up() {
        let start = Instant::now();
        let mut log = log_of(start, &[1, 3]);
        assert!((0..900).any(|ms| !log.poll(at(start, ms)).is_empty()));
        assert_eq!(log.poll(start + GIVE_UP_AFTER), []);
        assert_eq!(log.next_timeout(), None);
    }

    /// Loses one packet a second, and answers the `answered`th request for it after `rtt`; the answer counts the
    /// requests for each.
    fn repairs(log: &mut ReceiveLog, start: Instant, seconds: std::ops::Range<u64>, rtt: u64) -> Vec<usize> {
        let mut counts = Vec::new();
        for second in seconds {
            let now = at(start, second * 1000);
            log.on_packet(now, SeqNo(second * 2), Arrival::First);
            let (mut first, mut asked) = (None, 0);
            for ms in 0..900 {
                let lost = log.poll(at(now, ms));
                asked += lost.len();
                first = first.or((!lost.is_empty()).then_some(ms));
                if first.is_some_and(|first| ms == first + rtt) && second > 0 {
                    log.on_packet(at(now, ms), SeqNo(second * 2 - 1), Arrival::Repair);
                }
            }
            counts.push(asked);
        }
        counts
    }

    #[test]
    fn rtp_15_what_was_overtaken_for_as_long_as_a_round_trip_is_told_from_a_repair() {
        let start = Instant::now();
        let mut log = log_of(start, &[1, 3]);
        assert_eq!(log.poll(start), [SeqNo(2)]);
        log.on_packet(at(start, 8), SeqNo(2), Arrival::First);
        assert_eq!((log.rtt, log.tolerance), (None, Duration::from_millis(10)));
    }

    #[test]
    fn rtp_15_the_round_trip_is_learnt_from_repairs_and_learnt_anew_when_it_grows() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        let counts = repairs(&mut log, start, 0..6, 30);
        assert_eq!(counts[1..], [1; 5]);
        assert!(log.pause() < Duration::from_millis(50), "{:?}", log.pause());
        let counts = repairs(&mut log, start, 6..40, 200);
        assert!(counts[0] > 3, "asked too often at first");
        assert_eq!(counts[20..], [1; 14], "but not for long: {counts:?}");
    }

    #[test]
    fn rtp_03_what_came_before_a_gap_is_still_a_duplicate_after_it() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        (100..200).for_each(|seq| assert!(log.on_packet(start, SeqNo(seq), Arrival::First)));
        assert!(log.on_packet(start, SeqNo(900), Arrival::First));
        assert!(!log.on_packet(start, SeqNo(150), Arrival::First));
        assert!(log.on_packet(start, SeqNo(899), Arrival::First), "but what was skipped may still come");
    }

    #[test]
    fn a_huge_jump_is_a_new_start() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 5000]);
        assert_eq!(log.next_timeout(), None);
        assert!(!log.on_packet(start, SeqNo(10), Arrival::First), "too old to tell");
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        for seq in (0..100_000).step_by(300) {
            log.on_packet(start, SeqNo(seq), Arrival::First);
        }
        assert!(log.missing.len() <= MISSING_MAX);
        assert!(log.poll(at(start, 20)).len() <= NACK_MAX);
    }
}
