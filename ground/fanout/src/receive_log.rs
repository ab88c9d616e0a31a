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

/// Packets out of order by less than this are left alone: most arrive by themselves.
const REORDER_TOLERANCE: Duration = Duration::from_millis(10);

/// A repair that takes longer than a player's jitter buffer helps nobody.
const GIVE_UP_AFTER: Duration = Duration::from_millis(1000);

/// Requests per packet. At 30 % loss each way, ten leave one packet in a thousand unrepaired.
const TRIES_MAX: u8 = 10;

/// Bounds of the round trip that requests are spaced by.
const RTT_MIN: Duration = Duration::from_millis(10);
const RTT_MAX: Duration = Duration::from_millis(400);

/// Sequence numbers put into one NACK: 17 per 4 bytes, this many always fit one datagram.
pub const NACK_MAX: usize = 128;

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
    rtt: Duration,
}

impl Default for ReceiveLog {
    fn default() -> Self {
        Self {
            highest: None,
            seen: Box::new([0; (WINDOW / 64) as usize]),
            missing: BTreeMap::new(),
            rtt: Duration::from_millis(50),
        }
    }
}

impl ReceiveLog {
    /// Notes a packet. False if it was here before, or is too old to tell.
    pub fn on_packet(&mut self, now: Instant, seq: SeqNo) -> bool {
        let Some(highest) = self.highest else {
            self.restart(seq);
            return true;
        };
        if seq > highest {
            self.advance(now, highest, seq);
            return true;
        }
        if highest.0 - seq.0 >= WINDOW || self.is_seen(seq) {
            return false;
        }
        self.mark(seq);
        if let Some(Missing { asked_at: Some(asked_at), tries: 1, .. }) = self.missing.remove(&seq) {
            self.on_round_trip(now.saturating_duration_since(asked_at));
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
        let rtt = self.rtt;
        self.missing
            .iter_mut()
            .filter(|(_, missing)| missing.due(rtt) <= now)
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
        self.missing.values().map(|missing| missing.due(self.rtt)).min()
    }

    fn on_round_trip(&mut self, sample: Duration) {
        self.rtt = ((self.rtt * 7 + sample) / 8).clamp(RTT_MIN, RTT_MAX);
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
    fn due(&self, rtt: Duration) -> Instant {
        // A little over the round trip, or every answer in flight would be asked for twice.
        self.asked_at.map_or(self.since + REORDER_TOLERANCE, |at| at + rtt + rtt / 4 + REORDER_TOLERANCE)
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
            log.on_packet(start, SeqNo(*seq));
        }
        log
    }

    #[test]
    fn rtp_15_a_gap_is_asked_for_after_the_reorder_tolerance() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 13]);
        assert_eq!(log.poll(at(start, 9)), []);
        assert_eq!(log.next_timeout(), Some(at(start, 10)));
        assert_eq!(log.poll(at(start, 10)), [SeqNo(11), SeqNo(12)]);
        assert_eq!(log.poll(at(start, 11)), [], "asked already");
    }

    #[test]
    fn a_late_packet_closes_its_gap() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 12, 11]);
        assert_eq!(log.poll(at(start, 100)), []);
        assert!(!log.on_packet(start, SeqNo(11)), "a duplicate");
    }

    #[test]
    fn rtp_15_requests_stop_after_the_last_try() {
        let start = Instant::now();
        let mut log = log_of(start, &[1, 3]);
        let asked = (0..3000).filter(|ms| !log.poll(at(start, *ms)).is_empty()).count();
        assert!((5..=usize::from(TRIES_MAX)).contains(&asked), "{asked} requests");
        assert_eq!(log.next_timeout(), None);
    }

    #[test]
    fn the_round_trip_is_learnt_from_repairs() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        for round in 0..40 {
            let now = at(start, round * 1000);
            log.on_packet(now, SeqNo(round * 2));
            if round > 0 {
                assert_eq!(log.poll(now + REORDER_TOLERANCE), [SeqNo(round * 2 - 1)]);
                log.on_packet(now + REORDER_TOLERANCE + Duration::from_millis(200), SeqNo(round * 2 - 1));
            }
        }
        assert!(log.rtt > Duration::from_millis(180), "{:?}", log.rtt);
    }

    #[test]
    fn rtp_03_what_came_before_a_gap_is_still_a_duplicate_after_it() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        (100..200).for_each(|seq| assert!(log.on_packet(start, SeqNo(seq))));
        assert!(log.on_packet(start, SeqNo(900)));
        assert!(!log.on_packet(start, SeqNo(150)));
        assert!(log.on_packet(start, SeqNo(899)), "but what was skipped may still come");
    }

    #[test]
    fn a_huge_jump_is_a_new_start() {
        let start = Instant::now();
        let mut log = log_of(start, &[10, 5000]);
        assert_eq!(log.next_timeout(), None);
        assert!(!log.on_packet(start, SeqNo(10)), "too old to tell");
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let start = Instant::now();
        let mut log = ReceiveLog::default();
        for seq in (0..100_000).step_by(300) {
            log.on_packet(start, SeqNo(seq));
        }
        assert!(log.missing.len() <= MISSING_MAX);
        assert!(log.poll(at(start, 20)).len() <= NACK_MAX);
    }
}
