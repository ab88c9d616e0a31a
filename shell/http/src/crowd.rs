//! How many connections each address holds.

use crate::Limits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wtn_wish::limiter::Subject;

/// The same trouble is logged once in this time.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Counts connections by address; as many entries as there are connections.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    most: usize,
    limit_loopback: bool,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    of: HashMap<Subject, usize>,
    said: Option<Instant>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    subject: Option<Subject>,
    counts: Arc<Mutex<Counts>>,
}

impl Crowd {
    pub fn new(limits: &Limits) -> Self {
        let Limits { connections_per_address: most, limit_loopback, .. } = *limits;
        Self { most, limit_loopback, counts: Arc::default() }
    }

    /// `None`: that address has as many as it may.
    pub fn enter(&self, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        let counts = Arc::clone(&self.counts);
        if self.most == 0 || ip.is_loopback() && !self.limit_loopback {
            return Some(Place { subject: None, counts });
        }
        let subject = Subject::of_address(ip);
        let mut guard = lock(&self.counts);
        let count = guard.of.entry(subject).or_default();
        if *count >= self.most {
            if guard.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                guard.said = Some(Instant::now());
                tracing::warn!(
                    most = self.most,
                    fix = "if many people share that address, raise limits.connections_per_address",
                    "one address holds as many HTTP connections as it may; more are closed"
                );
                tracing::debug!(%ip, "it is this one");
            }
            return None;
        }
        *count += 1;
        drop(guard);
        Some(Place { subject: Some(subject), counts })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(subject) = self.subject else { return };
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.of.get_mut(&subject) {
            *count -= 1;
            if *count == 0 {
                counts.of.remove(&subject);
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_gives_them_back() {
        let limits = Limits { connections_per_address: 2, ..Limits::default() };
        let crowd = Crowd::new(&limits);
        let enter = |ip: &str| crowd.enter(ip.parse().expect("an address"));
        let first = enter("2001:db8::1").expect("room");
        let _second = enter("2001:db8::2").expect("room");
        assert!(enter("2001:db8::3").is_none(), "the same network");
        assert!(enter("192.0.2.1").is_some());
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        let local: Vec<_> = (0..9).map(|_| enter("127.0.0.1")).collect();
        assert!(local.iter().all(Option::is_some));
        drop(_second);
        assert!(lock(&crowd.counts).of.is_empty());
    }
}
