//! The far end of a session, and a link between the two in simulated time.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "only tests use this, and a panic is how they fail")]

pub mod check;
pub mod openssl;
pub mod peer;

use check::Check;
use peer::Peer;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use wtn_media::{DtlsRole, IceCredentials, Remote};
use wtn_session::{CloseReason, Identity, Inbound, Output, Session, SessionConfig};

pub const SERVER_PWD: &str = "server-password-of-32-characters";
pub const CLIENT_PWD: &str = "client-password-of-32-characters";
pub const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// One certificate for all tests of a file; making one takes a while.
pub static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::generate().unwrap()));

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The one moment that simulated time is counted from.
pub fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

/// The client's nth address.
pub fn address(nth: u8) -> Remote {
    SocketAddr::from(([192, 0, 2, nth], 40_000 + u16::from(nth))).into()
}

pub fn credentials(ufrag: &str, pwd: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.into(), pwd: pwd.into() }
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// What the link does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Lose,
    Twice,
}

pub type Link = Box<dyn FnMut(Way, &[u8]) -> Fate>;
pub type Tamper = Box<dyn FnMut(&mut [u8])>;

/// A session, its client, and a link with 10 ms each way.
pub struct Call {
    pub now: Instant,
    pub session: Session,
    pub peer: Peer,
    /// All that the session said but datagrams.
    pub events: Vec<Output>,
    /// Every datagram that the session sent, whatever became of it.
    pub sent: Vec<(Remote, Vec<u8>)>,
    pub link: Link,
    /// Has its hands on every DTLS datagram of the peer.
    pub tamper: Tamper,
    in_flight: Vec<(Instant, Way, Vec<u8>)>,
}

impl Call {
    pub fn new(is_publisher: bool, dtls_role: DtlsRole) -> Self {
        let peer = Peer::new(start(), dtls_role);
        Self::with(SessionConfig { is_publisher, ..config(&peer, dtls_role) }, peer)
    }

    pub fn with(config: SessionConfig, peer: Peer) -> Self {
        Self {
            now: start(),
            session: Session::new(start(), config, &IDENTITY),
            peer,
            events: Vec::new(),
            sent: Vec::new(),
            link: Box::new(|_, _| Fate::Pass),
            tamper: Box::new(|_| {}),
            in_flight: Vec::new(),
        }
    }

    /// A subscriber whose handshake is done.
    pub fn connected() -> Self {
        Self::connected_as(false)
    }

    pub fn connected_as(is_publisher: bool) -> Self {
        let mut call = Self::new(is_publisher, DtlsRole::Server);
        call.connect();
        call
    }

    /// Sends a nominating check and lets the handshake run.
    pub fn connect(&mut self) {
        assert!(self.connects_within(secs(5)), "{:?}", self.events);
    }

    pub fn connects_within(&mut self, limit: Duration) -> bool {
        self.check(&Check::ordinary().nominating());
        self.run(limit, |call| call.session.is_connected() && call.peer.is_connected)
    }

    /// The peer's check from its own address, without going through the link.
    pub fn check(&mut self, check: &Check) -> Inbound<'static> {
        self.check_from(self.peer.address, check)
    }

    pub fn check_from(&mut self, from: Remote, check: &Check) -> Inbound<'static> {
        self.inject(from, &check.bytes())
    }

    /// Anybody's datagram straight into the session. The bytes of media are not of interest.
    pub fn inject(&mut self, from: Remote, datagram: &[u8]) -> Inbound<'static> {
        let outcome = match self.session.handle_datagram(self.now, from, &mut datagram.to_vec()) {
            Inbound::Rtp { index, .. } => Inbound::Rtp { packet: b"", index },
            Inbound::Rtcp(_) => Inbound::Rtcp(b""),
            Inbound::Consumed => Inbound::Consumed,
            Inbound::Dropped(reason) => Inbound::Dropped(reason),
        };
        self.drain();
        outcome
    }

    pub fn close(&mut self) {
        self.session.close(self.now);
        self.drain();
    }

    /// Lets time pass, with everything that happens in it, until `done`; false if it never is.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut at_this_moment = 0;
        loop {
            self.peer.drain();
            self.drain();
            if done(self) {
                return true;
            }
            let due = [self.next_arrival(), self.session.next_timeout(), self.peer.wake_at];
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            at_this_moment = if next > self.now { 0 } else { at_this_moment + 1 };
            assert!(at_this_moment < 1_000, "time stands still");
            self.now = self.now.max(next);
            self.deliver();
            self.session.handle_timeout(self.now);
            self.peer.handle_timeout(self.now);
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    pub fn closed(&self) -> Option<CloseReason> {
        self.events.iter().find_map(|event| match event {
            Output::Closed(reason) => Some(*reason),
            _ => None,
        })
    }

    /// What the session sent since the last call of this.
    pub fn take_sent(&mut self) -> Vec<(Remote, Vec<u8>)> {
        std::mem::take(&mut self.sent)
    }

    /// Datagrams on their way.
    pub fn in_flight(&self, way: Way) -> Vec<&[u8]> {
        let of_way = self.in_flight.iter().filter(|(_, of, _)| *of == way);
        of_way.map(|(_, _, bytes)| bytes.as_slice()).collect()
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.iter().map(|(at, ..)| *at).min()
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit { to, bytes } => {
                    let is_refusal = bytes.starts_with(&[0x01, 0x11]);
                    assert!(is_refusal || self.session.knows(to), "nothing goes to whoever proved nothing");
                    if to == self.peer.address {
                        self.send(Way::Down, &bytes);
                    }
                    self.sent.push((to, bytes));
                }
                event => self.events.push(event),
            }
        }
        for mut datagram in std::mem::take(&mut self.peer.outbox) {
            (self.tamper)(&mut datagram);
            self.send(Way::Up, &datagram);
        }
    }

    fn send(&mut self, way: Way, datagram: &[u8]) {
        let copies = match (self.link)(way, datagram) {
            Fate::Pass => 1,
            Fate::Lose => 0,
            Fate::Twice => 2,
        };
        for _ in 0..copies {
            self.in_flight.push((self.now + ms(10), way, datagram.to_vec()));
        }
    }

    fn deliver(&mut self) {
        while let Some(at) = self.in_flight.iter().position(|(at, ..)| *at <= self.now) {
            let (_, way, mut datagram) = self.in_flight.remove(at);
            match way {
                Way::Up => {
                    self.session.handle_datagram(self.now, self.peer.address, &mut datagram);
                    self.drain();
                }
                Way::Down => {
                    self.peer.handle_datagram(self.now, &datagram);
                    self.drain();
                }
            }
        }
    }
}

/// A subscriber's configuration that expects this peer.
pub fn config(peer: &Peer, dtls_role: DtlsRole) -> SessionConfig {
    SessionConfig {
        local: credentials("srv0", SERVER_PWD),
        remote: credentials("cli0", CLIENT_PWD),
        dtls_role,
        fingerprints: vec![peer.fingerprint()],
        connect_by: start() + CONNECT_WITHIN,
        is_publisher: false,
    }
}
