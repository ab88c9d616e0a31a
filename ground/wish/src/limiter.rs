//! How fast one client may ask: token buckets, one a client, in a table that cannot grow.

use crate::Key;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An IPv4 address, or 64 bits of an IPv6 address: that much everybody has for himself.
    Address(IpAddr),
    /// A credential, by its digest.
    Credential([u8; 32]),
}

impl Subject {
    /// The network of an address.
    pub fn of_address(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
            v4 => v4,
        })
    }

    /// A credential.
    pub const fn of_key(key: &Key) -> Self {
        Self::Credential(*key.digest())
    }
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, for as long as one likes; 0: no limit.
    pub per_second: u32,
    /// Requests at once, after a pause. At least 1.
    pub burst: u32,
}

/// Clients in each of the two halves of the table. 100 bytes each: 3 MiB in all.
const HALF: usize = 16_384;

/// One bucket a subject. Who has not asked for longer than his bucket takes to fill is forgotten, which makes no
/// difference to him. Where more ask at once than the table holds, those are forgotten who have not asked for the
/// longest time: a flood from that many addresses is not for us to stop.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    recent: HashMap<Subject, Bucket>,
    older: HashMap<Subject, Bucket>,
    turned: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In thousandths of a request; below zero, he owes.
    level: i64,
    at: Instant,
}

/// In thousandths.
const ONE: i64 = 1_000;

impl Limiter {
    /// With that rate for each.
    pub fn new(rate: Rate) -> Self {
        Self { rate, recent: HashMap::new(), older: HashMap::new(), turned: None }
    }

    /// Another rate from now on.
    pub fn set_rate(&mut self, rate: Rate) {
        if rate != self.rate {
            *self = Self::new(rate);
        }
    }

    /// Takes one request. `Err`: after how many seconds there is room for the next.
    ///
    /// # Errors
    /// Too fast.
    pub fn take(&mut self, now: Instant, subject: Subject) -> Result<(), u32> {
        let Some(bucket) = self.bucket(now, subject) else { return Ok(()) };
        if bucket.level >= ONE {
            bucket.level -= ONE;
            return Ok(());
        }
        let missing = ONE - bucket.level;
        Err(seconds(missing, self.rate.per_second))
    }

    /// Takes `cost` requests more, after the fact: what failed costs more. A subject may come to owe, but no more
    /// than one burst.
    pub fn charge(&mut self, now: Instant, subject: Subject, cost: u32) {
        let burst = self.full();
        if let Some(bucket) = self.bucket(now, subject) {
            bucket.level = (bucket.level - i64::from(cost) * ONE).max(-burst);
        }
    }

    fn full(&self) -> i64 {
        i64::from(self.rate.burst.max(1)) * ONE
    }

    fn bucket(&mut self, now: Instant, subject: Subject) -> Option<&mut Bucket> {
        if self.rate.per_second == 0 {
            return None;
        }
        let (full, rate) = (self.full(), i64::from(self.rate.per_second));
        // Twice the burst, as a bucket may be as far below zero.
        let to_fill = Duration::from_secs(u64::from(seconds(2 * full, self.rate.per_second)));
        let is_due = self.turned.is_none_or(|turned| now.saturating_duration_since(turned) >= to_fill);
        if is_due || self.recent.len() >= HALF {
            self.older = std::mem::take(&mut self.recent);
            self.turned = Some(now);
        }
        let known = self.older.remove(&subject);
        let fresh = Bucket { level: full, at: now };
        let bucket = self.recent.entry(subject).or_insert(known.unwrap_or(fresh));
        let passed = now.saturating_duration_since(bucket.at);
        let gained = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX).saturating_mul(rate);
        if gained > 0 {
            bucket.level = bucket.level.saturating_add(gained).min(full);
            bucket.at = now;
        }
        Some(bucket)
    }
}

/// Until `missing` thousandths have come in, rounded up; at least one.
fn seconds(missing: i64, per_second: u32) -> u32 {
    let per_second = i64::from(per_second.max(1)) * ONE;
    u32::try_from((missing + per_second - 1) / per_second).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an instant to count from; nothing else reads the clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn from(ip: &str) -> Subject {
        Subject::of_address(ip.parse().unwrap())
    }

    fn limiter(per_second: u32, burst: u32) -> Limiter {
        Limiter::new(Rate { per_second, burst })
    }

    #[test]
    fn http_14_a_flood_is_held_to_the_rate_and_nobody_else_is() {
        let (mut limiter, start) = (limiter(10, 20), start());
        let mut passed = [0, 0];
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            passed[0] += u32::from(limiter.take(now, from("192.0.2.1")).is_ok());
            if ms % 500 == 0 {
                passed[1] += u32::from(limiter.take(now, from("192.0.2.2")).is_ok());
            }
        }
        assert_eq!(passed[1], 20, "all of the second one's");
        assert!((119..=120).contains(&passed[0]), "the burst, and ten a second: {}", passed[0]);
    }

    #[test]
    fn http_14_the_answer_says_when_to_come_back() {
        let (mut limiter, start) = (limiter(2, 2), start());
        assert_eq!(
            [limiter.take(start, from("192.0.2.1")), limiter.take(start, from("192.0.2.1"))],
            [Ok(()); 2]
        );
        assert_eq!(limiter.take(start, from("192.0.2.1")), Err(1));
        limiter.charge(start, from("192.0.2.1"), 100);
        assert_eq!(limiter.take(start, from("192.0.2.1")), Err(2), "it owes one burst, and no more");
        assert_eq!(limiter.take(start + Duration::from_millis(1_499), from("192.0.2.1")), Err(1));
        assert_eq!(limiter.take(start + Duration::from_millis(1_500), from("192.0.2.1")), Ok(()));
    }

    #[test]
    fn http_14_an_ipv6_network_is_one_client() {
        let (mut limiter, start) = (limiter(1, 1), start());
        assert!(limiter.take(start, from("2001:db8:0:1::1")).is_ok());
        assert!(limiter.take(start, from("2001:db8:0:1:ffff::2")).is_err());
        assert!(limiter.take(start, from("2001:db8:0:2::1")).is_ok());
        assert!(limiter.take(start, from("192.0.2.1")).is_ok());
        assert!(limiter.take(start, from("::ffff:192.0.2.1")).is_err(), "the same address");
        assert!(limiter.take(start, Subject::of_key(&Key::new("a"))).is_ok());
        assert!(limiter.take(start, Subject::of_key(&Key::new("b"))).is_ok());
    }

    #[test]
    fn http_14_the_table_is_bounded_and_forgets_who_is_quiet() {
        let (mut limiter, start) = (limiter(1, 10), start());
        for n in 0..1_000_000u32 {
            let ip = IpAddr::V4(n.into());
            assert!(limiter.take(start, Subject::of_address(ip)).is_ok());
        }
        assert!(limiter.recent.len() + limiter.older.len() <= 2 * HALF);
        for second in [20, 40] {
            assert!(limiter.take(start + Duration::from_secs(second), from("192.0.2.1")).is_ok());
        }
        assert!(limiter.recent.len() + limiter.older.len() <= 2);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let (mut limiter, start) = (limiter(0, 0), start());
        assert!((0..10_000).all(|_| limiter.take(start, from("192.0.2.1")).is_ok()));
        assert!(limiter.recent.is_empty());
    }
}
