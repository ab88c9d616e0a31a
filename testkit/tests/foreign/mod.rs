//! Clients of another make around the bare engine: dimpl's DTLS, rtc-srtp's SRTP, and nothing of ours between the
//! datagram and what is checked.

#[allow(dead_code, reason = "the session's own tests use the rest")]
#[path = "../../../ground/session/tests/support/check.rs"]
pub mod check;
#[allow(dead_code, reason = "the session's own tests use the rest")]
#[path = "../../../ground/session/tests/support/peer.rs"]
pub mod peer;

use check::Check;
use peer::Peer;
use rtc_srtp::context::Context;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use wtn_engine::{
    Command, Control, Counter, Egress, EndReason, EngineConfig, Run, Shard, Ticket, Wake, build,
};
use wtn_media::{Admission, DtlsRole, IceCredentials, Remote, Role, SessionId, SessionPlan, StreamId};
use wtn_session::Identity;
use wtn_testkit::{Clock, ms, secs};

/// What [`check`] signs with unless told otherwise.
pub const SERVER_PWD: &str = "server-password-of-32-characters";

static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::generate().unwrap()));

/// Where the nth client is.
pub fn address(nth: u8) -> Remote {
    SocketAddr::from(([192, 0, 2, nth], 40_000)).into()
}

/// Some shards and their clients.
pub struct Stage {
    pub now: Instant,
    shards: Vec<Shard>,
    control: Control,
    bells: Vec<Arc<Bell>>,
    out: Outbox,
    pub clients: BTreeMap<Remote, Client>,
    sessions: u64,
}

/// One client and what came to it, opened.
pub struct Client {
    pub session: SessionId,
    pub home: usize,
    dtls: Peer,
    /// What it seals with, and opens with.
    keys: Option<(Context, Context)>,
    pub packets: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Outbox(VecDeque<(Remote, Vec<u8>)>);

impl Egress for Outbox {
    fn send(&mut self, arena: &[u8], runs: &[Run]) {
        for run in runs {
            let segments = arena[run.start..][..run.len].chunks(run.segment);
            self.0.extend(segments.map(|datagram| (run.to, datagram.to_vec())));
        }
    }
}

impl Stage {
    pub fn new(shards: u16) -> Self {
        let now = Clock::new().now();
        let bells: Vec<Arc<Bell>> = (0..shards).map(|_| Arc::default()).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        let (shards, control) = build(&EngineConfig { shards, seed: 5, now }, &IDENTITY, wakers);
        Self { now, shards, control, bells, out: Outbox::default(), clients: BTreeMap::new(), sessions: 0 }
    }

    /// A client connects through shard `home`; some of its handshake goes astray to the next shard.
    pub fn connect(&mut self, home: usize, role: Role, plan: SessionPlan) -> Remote {
        self.sessions += 1;
        let nth = self.sessions;
        let address = address(nth as u8);
        let mut dtls = Peer::new(self.now, DtlsRole::Server);
        dtls.address = address;
        let credentials = |ufrag: String| IceCredentials { ufrag, pwd: SERVER_PWD.into() };
        let (local, remote) = (format!("srv{nth}"), format!("cli{nth}"));
        let check = Check::named(&format!("{local}:{remote}")).nominating().bytes();
        let admission = Admission {
            session: SessionId(nth),
            stream: StreamId(1),
            role,
            local: credentials(local),
            remote: credentials(remote),
            dtls_role: DtlsRole::Server,
            fingerprints: vec![dtls.fingerprint()],
            plan,
            connect_by: self.now + secs(10),
            max_bitrate_bps: None,
            grace: None,
            stands_by: false,
        };
        self.control.send(Command::Announce(Arc::new(Ticket::new(admission)))).unwrap();
        let home = home % self.shards.len();
        let client = Client { session: SessionId(nth), home, dtls, keys: None, packets: Vec::new() };
        self.clients.insert(address, client);
        // The first to hear of it is its owner; the others learn from further checks whose its datagrams are.
        for shard in 0..self.shards.len() {
            self.pass((home + shard) % self.shards.len(), vec![(address, check.clone())]);
        }
        self.settle();
        let connected = self.clients[&address].keys.is_some();
        assert!(connected, "client {nth} has no keys: {:?}", self.clients[&address].dtls.failure);
        address
    }

    /// Ends a client's session as a DELETE does.
    pub fn leave(&mut self, address: Remote) -> Client {
        let client = self.clients.remove(&address).unwrap();
        self.control.send(Command::End(client.session, EndReason::Deleted)).unwrap();
        self.settle();
        client
    }

    /// What clients send in one pass, in plain text, RTCP as such; `astray` has the kernel give it to another shard.
    pub fn say(&mut self, address: Remote, plain: &[Vec<u8>], astray: usize) {
        let client = self.clients.get_mut(&address).unwrap();
        let (seal, _) = client.keys.as_mut().unwrap();
        let sealed = plain.iter().map(|packet| {
            let is_rtcp = matches!(packet[1], 192..=223);
            let sealed = if is_rtcp { seal.encrypt_rtcp(packet) } else { seal.encrypt_rtp(packet) };
            (address, sealed.unwrap().to_vec())
        });
        let (shard, datagrams) = ((client.home + astray) % self.shards.len(), sealed.collect());
        self.pass(shard, datagrams);
        self.settle();
    }

    /// Time goes on, a millisecond at a time.
    pub fn wait(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now += ms(1);
            self.settle();
        }
    }

    pub fn counter(&self, counter: Counter) -> u64 {
        self.control.counters().iter().map(|counters| counters.value(counter)).sum()
    }

    fn pass(&mut self, at: usize, mut datagrams: Vec<(Remote, Vec<u8>)>) {
        let shard = &mut self.shards[at];
        self.bells[at].0.store(false, Ordering::Relaxed);
        shard.handle_inbox(self.now);
        for (from, datagram) in &mut datagrams {
            shard.handle_datagram(self.now, *from, datagram);
        }
        shard.handle_timeout(self.now);
        shard.flush(&mut self.out);
        while shard.poll_event().is_some() {}
    }

    /// Lets everybody do what there is to do.
    fn settle(&mut self) {
        loop {
            while let Some((to, datagram)) = self.out.0.pop_front() {
                if let Some(client) = self.clients.get_mut(&to) {
                    let (home, said) = (client.home, client.take(self.now, datagram));
                    // Every second datagram of a handshake goes astray.
                    for (nth, datagram) in said.into_iter().enumerate() {
                        self.pass((home + nth % 2) % self.shards.len(), vec![(to, datagram)]);
                    }
                }
            }
            let now = self.now;
            let is_due = |shard: &Shard, bell: &Bell| {
                bell.0.load(Ordering::Relaxed) || shard.next_timeout().is_some_and(|at| at <= now)
            };
            let mut all = self.shards.iter().zip(&self.bells);
            let Some(at) = all.position(|(shard, bell)| is_due(shard, bell)) else {
                if self.out.0.is_empty() {
                    return;
                }
                continue;
            };
            self.pass(at, Vec::new());
        }
    }
}

impl Client {
    /// Takes a datagram; the answer is what DTLS says to it. Anything sealed must be openable.
    fn take(&mut self, now: Instant, datagram: Vec<u8>) -> Vec<Vec<u8>> {
        match datagram[..2] {
            [128..=191, 192..=223] => {
                let opened = self.keys.as_mut().unwrap().1.decrypt_rtcp(&datagram);
                opened.expect("RTCP that another implementation opens");
            }
            [128..=191, _] => {
                let opened = self.keys.as_mut().unwrap().1.decrypt_rtp(&datagram);
                self.packets.push(opened.expect("RTP that another implementation opens").to_vec());
            }
            // The answer to its check, by which its handshake begins.
            [0..=3, _] => self.dtls.handle_timeout(now),
            _ => self.dtls.handle_datagram(now, &datagram),
        }
        if self.dtls.is_connected && self.keys.is_none() {
            self.keys = Some(self.dtls.srtp());
        }
        std::mem::take(&mut self.dtls.outbox)
    }
}
