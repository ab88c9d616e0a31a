//! May this packet be sent again? Once per round trip, and no more of it than the viewer's line loses and carries.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wtn_media::SeqNo;

/// Recently wanted packets remembered per viewer: a round trip's worth at heavy loss.
const RECENT_MAX: usize = 256;

/// Resends that may be saved up: a whole keyframe lost in one burst.
const SAVED_MAX: f32 = 300.0;

/// Resends that a viewer begins with: its first report comes after a second of losses.
const SAVED_FIRST: f32 = 100.0;

/// Resends earned by each packet sent while nothing is known of the line, and at the least.
const SHARE_FIRST: f32 = 0.25;
const SHARE_MIN: f32 = 0.05;

/// Resends earned by each packet sent, at the most: nobody is sent more again than for the first time.
const SHARE_MAX: f32 = 1.0;

/// A line that loses more than this is beyond repair: what it claims to lose above it earns nothing.
const LOSS_MAX: f32 = 0.35;

/// From this reported loss on a repair is followed by a second one, a round trip later and unasked: the next
/// request would come later, and might itself be lost.
const FOLLOW_LOSS: f32 = 0.02;

/// Second repairs that may wait at once; what comes on top waits for its viewer to ask.
const FOLLOW_MAX: usize = 64;

/// Saved resends below which there are no second repairs, so that they never stand in the way of first ones.
const FOLLOW_RESERVE: f32 = 8.0;

/// Packets over which requests are counted, to tell the loss of viewers that report what is left after repair.
const WINDOW: u32 = 128;

/// Round trip assumed before the first report tells.
const RTT_INITIAL: Duration = Duration::from_millis(50);

/// Which packet was wanted last in a slot of the table, and when it was sent again, if it was.
type Wanted = Option<(SeqNo, Option<Instant>)>;

/// What a viewer's report and line tell about repairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The round trip, if the report tells it.
    pub rtt: Option<Duration>,
    /// The share of packets lost since the last report, 0 to 1.
    pub loss: f32,
    /// What the line carries beyond the stream, as a share of the stream; `None` if that is not known.
    pub room: Option<f32>,
}

/// The repairs of one track of one viewer. A viewer that NACKs in a storm gets its share and no more.
#[derive(Debug)]
pub struct Retransmission {
    saved: f32,
    /// Earned by each packet sent.
    share: f32,
    /// The last two round trips told: the shorter one counts, since a queue only ever adds.
    rtts: [Option<Duration>; 2],
    reported_loss: f32,
    requested_loss: f32,
    room: Option<f32>,
    /// Packets sent, and new ones asked for, in this window.
    window: (u32, u32),
    /// Made with the first NACK: most viewers never send one.
    recent: Option<Box<[Wanted; RECENT_MAX]>>,
    /// Second repairs, by rising time.
    follow: VecDeque<(Instant, SeqNo)>,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            saved: SAVED_FIRST,
            share: SHARE_FIRST,
            rtts: [None; 2],
            reported_loss: 0.0,
            requested_loss: 0.0,
            room: None,
            window: (0, 0),
            recent: None,
            follow: VecDeque::new(),
        }
    }
}

impl Retransmission {
    /// A packet went out for the first time.
    pub fn on_sent(&mut self) {
        self.saved = (self.saved + self.share).min(SAVED_MAX);
        self.window.0 += 1;
        if self.window.0 == WINDOW {
            self.requested_loss = risen(self.requested_loss, self.window.1 as f32 / WINDOW as f32);
            self.window = (0, 0);
            self.budget();
        }
    }

    /// The viewer has reported.
    pub fn on_report(&mut self, condition: Condition) {
        if condition.rtt.is_some() {
            self.rtts = [condition.rtt, self.rtts[0]];
        }
        self.reported_loss = risen(self.reported_loss, condition.loss);
        self.room = condition.room;
        self.budget();
    }

    /// True if `seq`, which the viewer asks for, may be sent again now.
    pub fn allow(&mut self, now: Instant, seq: SeqNo) -> bool {
        let is_new = self.slot(seq).is_none_or(|(last, _)| last != seq);
        if is_new {
            self.window.1 += 1;
            *self.slot(seq) = Some((seq, None));
        }
        let pause = self.pause();
        let is_rested = self.slot(seq).is_some_and(|(_, at)| at.is_none_or(|at| now >= at + pause));
        is_rested && self.saved >= 1.0
    }

    /// It was sent again; `apart` if as RTX, of which a second one does not look like a replay to who has the first.
    pub fn on_resent(&mut self, now: Instant, seq: SeqNo, apart: bool) {
        *self.slot(seq) = Some((seq, Some(now)));
        self.saved -= 1.0;
        let is_worth_it = apart && self.reported_loss >= FOLLOW_LOSS && self.saved >= FOLLOW_RESERVE;
        if is_worth_it && self.follow.len() < FOLLOW_MAX {
            let due = now + self.pause();
            // Reports may shorten the pause: what waits already goes first even so.
            let due = self.follow.back().map_or(due, |(last, _)| due.max(*last));
            self.follow.push_back((due, seq));
        }
    }

    /// A packet that is to be followed by a second repair now. It counts as sent.
    pub fn poll_follow(&mut self, now: Instant) -> Option<SeqNo> {
        while self.next_follow().is_some_and(|due| due <= now) {
            let Some((_, seq)) = self.follow.pop_front() else { break };
            if self.allow(now, seq) {
                *self.slot(seq) = Some((seq, Some(now)));
                self.saved -= 1.0;
                return Some(seq);
            }
        }
        None
    }

    /// When [`Self::poll_follow`] has something next.
    pub fn next_follow(&self) -> Option<Instant> {
        self.follow.front().map(|(due, _)| *due)
    }

    /// The round trip, as far as it is known.
    pub fn round_trip(&self) -> Duration {
        self.rtts.into_iter().flatten().min().unwrap_or(RTT_INITIAL)
    }

    /// Between two repairs of one packet: a round trip, less what may come of timers that tick in milliseconds.
    fn pause(&self) -> Duration {
        self.round_trip() * 15 / 16
    }

    fn budget(&mut self) {
        let loss = self.reported_loss.max(self.requested_loss).min(LOSS_MAX);
        // Repairs are lost as well, and where losses are reported there are two of each.
        let copies = if self.reported_loss >= FOLLOW_LOSS { 2.0 } else { 1.0 };
        let need = SHARE_MIN + copies * loss / (1.0 - loss);
        // A line without room still gets a few: without any, one loss spoils the picture up to the next keyframe.
        let room = self.room.map_or(SHARE_MAX, |room| room.max(2.0 * SHARE_MIN));
        self.share = need.min(room).min(SHARE_MAX);
    }

    fn slot(&mut self, seq: SeqNo) -> &mut Wanted {
        let recent = self.recent.get_or_insert_with(|| Box::new([None; RECENT_MAX]));
        &mut recent[seq.0 as usize % RECENT_MAX]
    }
}

/// Believes more at once, and less only by and by.
fn risen(before: f32, now: f32) -> f32 {
    now.max(0.75 * before + 0.25 * now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn report(loss: f32, room: Option<f32>) -> Condition {
        Condition { rtt: Some(ms(40)), loss, room }
    }

    fn ask(repairs: &mut Retransmission, now: Instant, seq: u64) -> bool {
        let is_allowed = repairs.allow(now, SeqNo(seq));
        if is_allowed {
            repairs.on_resent(now, SeqNo(seq), true);
        }
        is_allowed
    }

    /// Resends per packet of a viewer that asks for each of the last ten packets, each millisecond.
    fn storm(condition: Option<Condition>) -> f32 {
        let start = Instant::now();
        let mut repairs = Retransmission::default();
        let mut resent = 0;
        for n in 0..20_000u64 {
            if let Some(condition) = condition.filter(|_| n % 1000 == 0) {
                repairs.on_report(condition);
            }
            repairs.on_sent();
            let now = start + ms(n);
            resent += (0..10).filter(|k| ask(&mut repairs, now, n.saturating_sub(*k))).count();
            resent += std::iter::from_fn(|| repairs.poll_follow(now)).count();
        }
        resent as f32 / 20_000.0
    }

    #[test]
    fn rtp_14_once_per_round_trip() {
        let start = Instant::now();
        let mut repairs = Retransmission::default();
        assert!(ask(&mut repairs, start, 5));
        assert!(!ask(&mut repairs, start + ms(20), 5));
        assert!(ask(&mut repairs, start + ms(20), 6));
        assert!(ask(&mut repairs, start + ms(50), 5));
        repairs.on_report(Condition { rtt: Some(ms(200)), loss: 0.0, room: None });
        assert!(ask(&mut repairs, start + ms(60), 7));
        assert!(!ask(&mut repairs, start + ms(160), 7), "the first report is believed at once");
        assert!(ask(&mut repairs, start + ms(260), 7));
    }

    #[test]
    fn rtp_14_the_budget_follows_loss_and_room() {
        let share = |loss, room| {
            let mut repairs = Retransmission::default();
            repairs.on_report(report(loss, room));
            repairs.share
        };
        assert!((share(0.0, None) - SHARE_MIN).abs() < 1e-6);
        assert!((0.05..0.08).contains(&share(0.01, None)), "one repair for each loss");
        assert!((0.24..0.32).contains(&share(0.1, None)), "two of them");
        assert!((0.85..=1.0).contains(&share(0.3, None)));
        assert!(share(1.0, None) <= SHARE_MAX);
        assert!((share(0.3, Some(0.2)) - 0.2).abs() < 1e-6, "the line carries no more");
        assert!((share(0.3, Some(0.0)) - 0.1).abs() < 1e-6, "but something it gets");
    }

    #[test]
    fn a_storm_gets_its_share_and_no_more() {
        let silent = storm(None);
        assert!((0.3..=0.62).contains(&silent), "{silent}: what 35 % of losses would need");
        let honest = storm(Some(report(0.0, Some(0.1))));
        assert!((0.08..=0.12).contains(&honest), "{honest}: what its line has room for");
        let liar = storm(Some(report(1.0, None)));
        assert!((0.9..=1.02).contains(&liar), "{liar}: never more than it was sent");
    }

    #[test]
    fn a_lossy_line_gets_a_second_repair_a_round_trip_later_unless_asked_meanwhile() {
        let start = Instant::now();
        let mut repairs = Retransmission::default();
        assert!(ask(&mut repairs, start, 1));
        assert_eq!(repairs.next_follow(), None, "nothing is reported lost");
        repairs.on_report(report(0.05, None));
        assert!(ask(&mut repairs, start, 2));
        assert!(ask(&mut repairs, start + ms(1), 3));
        let due = repairs.next_follow().expect("a second one");
        assert_eq!(due, start + ms(40) * 15 / 16);
        assert_eq!(repairs.poll_follow(due - ms(1)), None);
        assert_eq!(repairs.poll_follow(due), Some(SeqNo(2)));
        assert!(!ask(&mut repairs, due + ms(5), 2), "again a round trip");
        assert!(ask(&mut repairs, start + ms(41), 3), "asked for before its second one was due");
        assert_eq!(repairs.poll_follow(start + ms(42)), None);
        repairs.on_resent(start + ms(300), SeqNo(9), false);
        assert_eq!(repairs.poll_follow(start + ms(900)), Some(SeqNo(3)));
        assert_eq!(repairs.next_follow(), None, "without RTX there is no second one");
    }
}
