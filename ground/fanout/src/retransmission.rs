//! May this packet be sent again? Once per round trip, and never more than a share of what was sent.

use std::time::{Duration, Instant};
use wtn_media::SeqNo;

/// Recently resent packets remembered per viewer: a round trip's worth at heavy loss.
const RECENT_MAX: usize = 256;

/// Resends earned by each packet sent. Half as many again repairs 20 % random loss down to 0.1 %.
const EARNED_PER_PACKET: f32 = 0.5;

/// Resends that may be saved up: a whole keyframe lost in one burst.
const SAVED_MAX: f32 = 300.0;

/// Round trip assumed before the first report tells.
const RTT_INITIAL: Duration = Duration::from_millis(50);

/// Which packet was sent again last in a slot of the table, and when.
type Resent = Option<(SeqNo, Instant)>;

/// The allowance of one track of one viewer. A viewer that NACKs in a storm gets its share and no more.
#[derive(Debug)]
pub struct Retransmission {
    saved: f32,
    rtt: Duration,
    /// Made with the first NACK: most viewers never send one.
    recent: Option<Box<[Resent; RECENT_MAX]>>,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { saved: SAVED_MAX / 10.0, rtt: RTT_INITIAL, recent: None }
    }
}

impl Retransmission {
    /// A packet went out for the first time.
    pub fn on_sent(&mut self) {
        self.saved = (self.saved + EARNED_PER_PACKET).min(SAVED_MAX);
    }

    /// The round trip as the viewer's last report tells it.
    pub fn on_round_trip(&mut self, rtt: Duration) {
        self.rtt = (self.rtt * 7 + rtt) / 8;
    }

    /// The round trip, as far as it is known.
    pub fn round_trip(&self) -> Duration {
        self.rtt
    }

    /// True if `seq` may be sent again now; it then counts as sent.
    pub fn allow(&mut self, now: Instant, seq: SeqNo) -> bool {
        let recent = self.recent.get_or_insert_with(|| Box::new([None; RECENT_MAX]));
        let slot = &mut recent[seq.0 as usize % RECENT_MAX];
        // Viewers time their requests by the same round trip; a little less lets the next one through.
        let pause = self.rtt * 3 / 4;
        let again = slot.is_some_and(|(last, at)| last == seq && now < at + pause);
        if again || self.saved < 1.0 {
            return false;
        }
        *slot = Some((seq, now));
        self.saved -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_14_once_per_round_trip() {
        let start = Instant::now();
        let mut allowance = Retransmission::default();
        assert!(allowance.allow(start, SeqNo(5)));
        assert!(!allowance.allow(start + Duration::from_millis(20), SeqNo(5)));
        assert!(allowance.allow(start + Duration::from_millis(20), SeqNo(6)));
        assert!(allowance.allow(start + Duration::from_millis(40), SeqNo(5)));
    }

    #[test]
    fn a_storm_gets_its_share_and_no_more() {
        let start = Instant::now();
        let mut allowance = Retransmission::default();
        let mut resent = 0;
        for n in 0..10_000u64 {
            allowance.on_sent();
            let now = start + Duration::from_millis(n);
            resent += (0..10).filter(|k| allowance.allow(now, SeqNo(n.saturating_sub(*k)))).count();
        }
        assert!((4_900..=5_300).contains(&resent), "{resent}");
    }
}
