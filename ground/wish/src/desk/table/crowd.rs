//! From where viewers of a stream come, and how many may be on the way from one place at once.
//!
//! A place begins with few: whoever only posts offers gets no further. Each viewer that connects shows that there
//! are real players, and lets one more be on the way at once (as TCP's slow start does), so a crowd behind one
//! address is in within some round trips. One that does not connect in time takes it all back.
//! `docs/decisions/0008-half-open-sessions.md` has the reasons.

use crate::reply::{QueueId, Wait};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Where a viewer comes from: an IPv4 address, or the first half of an IPv6 address, as each household has all of
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::desk) struct Place(IpAddr);

impl Place {
    pub fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
            v4 => Self(v4),
        }
    }
}

/// The places of one stream's viewers. As many as it has viewers.
#[derive(Debug, Default)]
pub(in crate::desk) struct Crowd(HashMap<Place, Comers>);

#[derive(Debug)]
struct Comers {
    queue: QueueId,
    /// All sessions from there, connected or not.
    sessions: usize,
    half_open: usize,
    /// How many may be half open at once.
    window: usize,
    /// When the last of them was let in.
    admitted_at: Instant,
    /// Somebody was told to wait.
    is_awaited: bool,
}

impl Crowd {
    /// Whether one more may be on the way from there, or how long to wait for that.
    pub fn admits(&mut self, place: Place, patience: Duration) -> Result<(), Wait> {
        match self.0.get_mut(&place) {
            Some(comers) if comers.half_open >= comers.window => {
                comers.is_awaited = true;
                Err(Wait { queue: comers.queue, until: comers.admitted_at + patience })
            }
            _ => Ok(()),
        }
    }

    /// One more is on the way; a new place begins with `window`.
    pub fn enter(&mut self, now: Instant, place: Place, window: usize, new_queue: impl FnOnce() -> QueueId) {
        let comers = self.0.entry(place).or_insert_with(|| Comers {
            queue: new_queue(),
            sessions: 0,
            half_open: 0,
            window,
            admitted_at: now,
            is_awaited: false,
        });
        comers.sessions += 1;
        comers.half_open += 1;
        comers.admitted_at = now;
    }

    /// One that was on the way is not any more.
    pub fn settle(&mut self, place: Place) {
        if let Some(comers) = self.0.get_mut(&place) {
            comers.half_open -= 1;
        }
    }

    /// It has connected. The answer is the queue that may move up, if there is one.
    pub fn trust(&mut self, place: Place, window_max: usize) -> Option<QueueId> {
        let comers = self.0.get_mut(&place)?;
        comers.window = (comers.window + 1).min(window_max);
        comers.is_awaited.then_some(comers.queue)
    }

    /// It has not connected in time.
    pub fn distrust(&mut self, place: Place, window: usize) {
        if let Some(comers) = self.0.get_mut(&place) {
            comers.window = window;
        }
    }

    /// One session from there is over.
    pub fn leave(&mut self, place: Place) {
        if let Some(comers) = self.0.get_mut(&place) {
            comers.sessions -= 1;
            if comers.sessions == 0 {
                self.0.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_ipv4_address_or_half_an_ipv6_address() {
        let place = |text: &str| Place::of(text.parse().expect("an address"));
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), place("2001:db8:1:2::1"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.2"), place("192.0.2.1"));
    }
}
