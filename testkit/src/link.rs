//! One direction of a path: how much of what is sent arrives, and when.

use crate::clock::ms;
use arrayvec::ArrayVec;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

/// Bytes of IPv4 and UDP headers, which a real bottleneck counts too.
pub const HEADER_LEN: usize = 28;

/// What a link does to datagrams. Built up from [`Link::PERFECT`] or [`Link::kbps`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    loss: f64,
    burst: f64,
    delay: Duration,
    jitter: Duration,
    reorder: f64,
    reorder_by: Duration,
    duplicate: f64,
    rate_bps: Option<u64>,
    queue_len: usize,
}

impl Link {
    /// Everything arrives at once.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        burst: 1.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder: 0.0,
        reorder_by: Duration::ZERO,
        duplicate: 0.0,
        rate_bps: None,
        queue_len: 0,
    };

    /// Nothing arrives.
    pub const CUT: Self = Self { loss: 1.0, ..Self::PERFECT };

    /// A bottleneck of that rate, with a queue of 200 ms in front of it.
    pub fn kbps(rate: u64) -> Self {
        let queue_len = (rate * 1000 / 8 / 5) as usize;
        Self { rate_bps: Some(rate * 1000), queue_len, ..Self::PERFECT }
    }

    /// That share of datagrams is lost, each by itself.
    pub fn loss_percent(self, percent: f64) -> Self {
        self.loss_in_bursts(percent, 1.0)
    }

    /// That share is lost, `length` of them in a row on average (Gilbert's model).
    pub fn loss_in_bursts(self, percent: f64, length: f64) -> Self {
        assert!((0.0..=100.0).contains(&percent) && length >= 1.0);
        Self { loss: percent / 100.0, burst: length, ..self }
    }

    /// Every datagram takes that long.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Up to that much is added, evenly spread. Order is kept.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// That share is held back by `by`, while others overtake.
    pub fn reorder_percent(self, percent: f64, by: Duration) -> Self {
        Self { reorder: percent / 100.0, reorder_by: by, ..self }
    }

    /// That share arrives twice, the copy a millisecond later.
    pub fn duplicate_percent(self, percent: f64) -> Self {
        Self { duplicate: percent / 100.0, ..self }
    }

    /// Bytes that may wait in front of the bottleneck; what does not fit is lost.
    pub fn queue_len(self, queue_len: usize) -> Self {
        Self { queue_len, ..self }
    }
}

/// What became of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, or it and its copy do.
    Arrives(ArrayVec<Instant, 2>),
    /// Lost on the way.
    Lost,
    /// The queue was full.
    Overflowed,
}

/// A link in use. Each has chance of its own, so that a change to one leaves the luck of the others alone.
#[derive(Debug)]
pub struct Pipe {
    link: Link,
    chance: StdRng,
    is_losing: bool,
    idle_at: Option<Instant>,
    last_arrival: Option<Instant>,
}

impl Pipe {
    /// A link of its own luck.
    pub fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            chance: StdRng::seed_from_u64(seed),
            is_losing: false,
            idle_at: None,
            last_arrival: None,
        }
    }

    /// From now on the link is another. What is under way keeps its arrival.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
        self.is_losing = false;
    }

    /// What becomes of a datagram of `len` bytes that comes to the link now.
    pub fn carry(&mut self, now: Instant, len: usize) -> Fate {
        // As many draws for every datagram, whatever the link: its luck depends on its place alone.
        let [loss, jitter, reorder, duplicate]: [f64; 4] = self.chance.random();
        let Some(sent) = self.pass_bottleneck(now, len) else { return Fate::Overflowed };
        if self.loses(loss) {
            return Fate::Lost;
        }
        let mut arrival = sent + self.link.delay + self.link.jitter.mul_f64(jitter);
        if reorder < self.link.reorder {
            arrival += self.link.reorder_by;
        } else {
            arrival = self.last_arrival.map_or(arrival, |last| last.max(arrival));
            self.last_arrival = Some(arrival);
        }
        let copy = (duplicate < self.link.duplicate).then(|| arrival + ms(1));
        Fate::Arrives([arrival].into_iter().chain(copy).collect())
    }

    /// How long a datagram that comes now would wait.
    pub fn queue(&self, now: Instant) -> Duration {
        self.idle_at.map_or(Duration::ZERO, |idle_at| idle_at.saturating_duration_since(now))
    }

    /// When the datagram is past the bottleneck; `None` if the queue is full.
    fn pass_bottleneck(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate_bps) = self.link.rate_bps else { return Some(now) };
        let start = self.idle_at.map_or(now, |idle_at| idle_at.max(now));
        let waiting = (start - now).as_secs_f64() * rate_bps as f64 / 8.0;
        if waiting as usize + len > self.link.queue_len.max(len) {
            return None;
        }
        let sent = start + Duration::from_secs_f64(8.0 * (len + HEADER_LEN) as f64 / rate_bps as f64);
        self.idle_at = Some(sent);
        Some(sent)
    }

    /// Two states, good and bad. The bad one, in which all is lost, is left with 1/burst; the good one is left
    /// so often that the shares come out right.
    fn loses(&mut self, draw: f64) -> bool {
        let Link { loss, burst, .. } = self.link;
        if burst <= 1.0 || loss >= 1.0 {
            return draw < loss;
        }
        let change = if self.is_losing { 1.0 / burst } else { loss / (1.0 - loss) / burst };
        self.is_losing ^= draw < change;
        self.is_losing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_perfect_link_delivers_at_once_and_a_cut_one_never() {
        let now = Clock::new().now();
        assert_eq!(arrivals(Link::PERFECT, 3, Duration::ZERO), [now; 3]);
        assert!(arrivals(Link::CUT, 3, Duration::ZERO).is_empty());
    }

    #[test]
    fn loss_comes_out_as_asked_single_or_in_bursts() {
        for (link, runs) in
            [(Link::PERFECT.loss_percent(5.0), 900..1000), (Link::PERFECT.loss_in_bursts(5.0, 4.0), 200..300)]
        {
            let mut pipe = Pipe::new(link, 1);
            let now = Clock::new().now();
            let lost: Vec<bool> = (0..20_000).map(|_| pipe.carry(now, 100) == Fate::Lost).collect();
            let count = lost.iter().filter(|&&lost| lost).count();
            assert!((800..1200).contains(&count), "{link:?} lost {count}");
            let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
            assert!(runs.contains(&bursts), "{link:?} in {bursts} bursts");
        }
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let start = Clock::new().now();
        let arrivals = arrivals(Link::PERFECT.delay(ms(30)).jitter(ms(20)), 500, ms(1));
        assert!(arrivals.is_sorted());
        for (index, arrival) in arrivals.iter().enumerate() {
            let took = *arrival - (start + ms(index as u64));
            assert!(ms(30) <= took && took <= ms(50), "{took:?}");
        }
    }

    #[test]
    fn held_back_datagrams_are_overtaken_and_copies_come_after() {
        let held = arrivals(Link::PERFECT.reorder_percent(10.0, ms(5)), 1000, ms(1));
        assert_eq!(held.len(), 1000);
        assert!((50..150).contains(&held.windows(2).filter(|pair| pair[1] < pair[0]).count()));
        let copied = arrivals(Link::PERFECT.duplicate_percent(10.0), 1000, ms(1)).len();
        assert!((1050..1150).contains(&copied), "{copied}");
    }

    #[test]
    fn a_bottleneck_spaces_datagrams_and_its_queue_overflows() {
        let start = Clock::new().now();
        // 1000 bytes with headers take 8 ms; the queue holds 200 ms, 25 of them.
        let arrivals = arrivals(Link::kbps(1000), 40, Duration::ZERO);
        assert_eq!(arrivals[..3], [start + ms(8), start + ms(16), start + ms(24)]);
        assert!((25..=27).contains(&arrivals.len()), "{}", arrivals.len());
    }

    /// 972 bytes every `gap`.
    fn arrivals(link: Link, count: u32, gap: Duration) -> Vec<Instant> {
        let mut pipe = Pipe::new(link, 7);
        let start = Clock::new().now();
        (0..count)
            .flat_map(|index| match pipe.carry(start + gap * index, 972) {
                Fate::Arrives(arrivals) => arrivals,
                Fate::Lost | Fate::Overflowed => ArrayVec::new(),
            })
            .collect()
    }
}
