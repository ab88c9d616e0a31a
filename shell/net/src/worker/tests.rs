//! Real threads with real shards on loopback sockets. Nothing sleeps: tests wait for what they expect.

use super::*;
use crate::platform;
use crate::socket::MediaSockets;
use crate::wake::waker;
use aws_lc_rs::hmac;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver as Mailbox, SyncSender, TrySendError, sync_channel};
use wtn_engine::{Command, Control, Counter, EngineConfig, Ticket, build};
use wtn_media::plan::{Admission, Role, SessionPlan};
use wtn_media::{DtlsRole, ExtensionMap, Fingerprint, HashAlgorithm, IceCredentials, SessionId, StreamId};
use wtn_session::Identity;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    addr: SocketAddr,
    control: Control,
    workers: Vec<Worker>,
    events: Mailbox<Event>,
    tcp: Option<crate::TcpWorker>,
}

/// A server of `shards` shards, or of one where the platform has no more, whose events go into a channel with `room`.
fn server(shards: u16, room: usize) -> Server {
    let (to_control, events) = sync_channel(room);
    server_with(shards, events, || Box::new(sink(to_control.clone())))
}

fn sink(to_control: SyncSender<Event>) -> impl FnMut(Event) -> Result<(), Event> + Send {
    move |event| {
        to_control.try_send(event).map_err(|error| match error {
            TrySendError::Full(event) | TrySendError::Disconnected(event) => event,
        })
    }
}

fn server_with(shards: u16, events: Mailbox<Event>, sink: impl Fn() -> EventSink) -> Server {
    let shards = if platform::SHARES_PORT { shards } else { 1 };
    let sockets = MediaSockets::bind("127.0.0.1:0".parse().unwrap(), shards).unwrap();
    let addr = sockets[0].local_addr();
    // Somebody else may have the port by TCP; those who need it see to it.
    let tcp = crate::TcpPort::bind(addr).ok();
    let wakers: Vec<_> = sockets.iter().map(|_| waker().unwrap()).collect();
    let config = EngineConfig { shards, seed: 1, now: Instant::now() };
    let identity = Arc::new(Identity::generate().unwrap());
    let wakes = wakers.iter().map(|waker| waker.clone() as Arc<dyn Wake>).collect();
    let (engine, control) = build(&config, &identity, wakes);
    let (tcp, ends) = tcp.map(|port| port.serve(&wakers, crate::TcpLimits::default()).unwrap()).unzip();
    let mut ends = ends.into_iter().flatten();
    let workers = engine
        .into_iter()
        .zip(sockets)
        .zip(wakers)
        .map(|((shard, socket), waker)| {
            let ends = Ends { socket, tcp: ends.next() };
            spawn_with(shard, ends, waker, sink(), EgressOptions::default()).unwrap()
        })
        .collect();
    Server { addr, control, workers, events, tcp }
}

impl Server {
    fn count(&self, counter: Counter) -> u64 {
        self.control.counters().iter().map(|counters| counters.value(counter)).sum()
    }

    fn stop(self) -> Result<(), StopError> {
        let stopped = self.workers.into_iter().try_for_each(|worker| worker.stop(PATIENCE));
        assert!(self.tcp.is_none_or(|tcp| tcp.stop(PATIENCE)));
        stopped
    }
}

/// Waits for what another thread is about to do.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        thread::yield_now();
    }
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn credentials(name: &str) -> IceCredentials {
    IceCredentials { ufrag: format!("{name}0123456789"), pwd: format!("{name}0123456789abcdefghijklmn") }
}

fn ticket(connect_by: Instant) -> Arc<Ticket> {
    Arc::new(Ticket::new(Admission {
        session: SessionId(7),
        stream: StreamId(1),
        role: Role::Subscriber,
        local: credentials("server"),
        remote: credentials("client"),
        dtls_role: DtlsRole::Server,
        fingerprints: vec![Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![0; 32] }],
        plan: SessionPlan {
            tracks: Vec::new(),
            extensions: ExtensionMap::default(),
            reduced_size_rtcp: true,
            cname: "test".into(),
        },
        connect_by,
        max_bitrate_bps: None,
        grace: Some(PATIENCE),
        stands_by: false,
    }))
}

/// A client's connectivity check (RFC 8445 §7.2.4), signed with our password.
fn check() -> Vec<u8> {
    let (server, client) = (credentials("server"), credentials("client"));
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend(*b"transaction1");
    attribute(&mut message, 0x0006, format!("{}:{}", server.ufrag, client.ufrag).as_bytes());
    attribute(&mut message, 0x0024, &[0x6e, 0, 0x1e, 0xff]);
    attribute(&mut message, 0x802a, &[1; 8]);
    set_len(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, server.pwd.as_bytes());
    let tag = hmac::sign(&key, &message);
    attribute(&mut message, 0x0008, tag.as_ref());
    set_len(&mut message, 8);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &fingerprint.to_be_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// The length field counts what is there and what is about to come.
fn set_len(message: &mut [u8], coming: usize) {
    let len = (message.len() - 20 + coming) as u16;
    message[2..4].copy_from_slice(&len.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_clients_check_is_answered_by_the_shard_that_the_kernel_chose() {
    let server = server(2, 64);
    server.control.send(Command::Announce(ticket(Instant::now() + PATIENCE))).unwrap();
    let client = client();
    client.send_to(&check(), server.addr).unwrap();
    let mut answer = [0; 1500];
    let (len, from) = client.recv_from(&mut answer).unwrap();
    assert_eq!(from, server.addr);
    assert_eq!(&answer[..2], [1, 1], "a success response");
    assert_eq!(&answer[8..20], b"transaction1");
    assert!(len > 20);
    let Event::Claimed(SessionId(7), shard) = server.events.recv_timeout(PATIENCE).unwrap() else {
        panic!("the session is claimed first")
    };
    let sent = |worker: &Worker| worker.counters().value(NetCounter::Sent);
    until("the count", || server.workers.iter().map(sent).sum::<u64>() > 0);
    let worker = server.workers.iter().find(|worker| worker.id() == shard).unwrap();
    assert!(sent(worker) > 0);
    server.stop().unwrap();
}

/// A server whose port is free by TCP too.
fn server_with_tcp(shards: u16) -> Server {
    for _ in 0..16 {
        let server = server(shards, 64);
        if server.tcp.is_some() {
            return server;
        }
        server.stop().unwrap();
    }
    panic!("no port is free by UDP and by TCP")
}

/// Sends a check by TCP and reads the answer, which is a success response.
fn checked_by_tcp(server: &Server) -> std::net::TcpStream {
    let mut client = std::net::TcpStream::connect(server.addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut frame = Vec::new();
    assert!(wtn_session::frames::write_frame(&check(), &mut frame));
    client.write_all(&frame).unwrap();
    let mut len = [0; 2];
    client.read_exact(&mut len).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(len).into()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], [1, 1], "a success response");
    // XOR-MAPPED-ADDRESS (RFC 8489 §14.2): where the check came from.
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    assert_eq!(port, client.local_addr().unwrap().port());
    client
}

#[test]
fn live_18_checks_by_tcp_are_answered_whichever_shard_has_the_session() {
    let server = server_with_tcp(3);
    server.control.send(Command::Announce(ticket(Instant::now() + PATIENCE))).unwrap();
    // By UDP first: the kernel chooses the owner. Then connections that begin at each of the shards.
    let client = client();
    client.send_to(&check(), server.addr).unwrap();
    client.recv_from(&mut [0; 1500]).unwrap();
    let by_tcp: Vec<_> = (0..4).map(|_| checked_by_tcp(&server)).collect();
    let claims = std::iter::from_fn(|| server.events.try_recv().ok());
    let claimed = claims.filter(|event| matches!(event, Event::Claimed(..))).count();
    assert_eq!(claimed, 1, "all of them are paths of one session");
    drop(by_tcp);
    let tcp = server.tcp.as_ref().unwrap().counters();
    until("the end of the connections", || tcp.value(NetCounter::TcpClosedByPeer) == 4);
    assert_eq!(tcp.value(NetCounter::TcpSent), 4);
    server.stop().unwrap();
}

#[test]
fn live_18_a_forged_check_by_tcp_gets_no_answer() {
    let server = server_with_tcp(1);
    server.control.send(Command::Announce(ticket(Instant::now() + PATIENCE))).unwrap();
    let mut forged = check();
    // Within the signature, and the checksum at the end is made to fit.
    let (end, byte) = (forged.len() - 8, forged.len() - 20);
    forged[byte] ^= 1;
    let fingerprint = crc32(&forged[..end]) ^ 0x5354_554e;
    forged[end + 4..].copy_from_slice(&fingerprint.to_be_bytes());
    let mut frame = Vec::new();
    assert!(wtn_session::frames::write_frame(&forged, &mut frame));
    let mut client = std::net::TcpStream::connect(server.addr).unwrap();
    client.write_all(&frame).unwrap();
    until("the drop", || server.count(Counter::DropUnauthentic) == 1);
    let tcp = server.tcp.as_ref().unwrap().counters();
    assert_eq!(tcp.value(NetCounter::TcpSent), 0);
    server.stop().unwrap();
}

#[test]
fn every_datagram_of_a_flood_is_received_and_counted() {
    let server = server(1, 64);
    let client = client();
    for n in 0..200u32 {
        client.send_to(&n.to_be_bytes(), server.addr).unwrap();
    }
    until("the flood", || server.count(Counter::DropUnknownPeer) == 200);
    let counters = server.workers[0].counters();
    assert_eq!(counters.value(NetCounter::Received), 200);
    server.stop().unwrap();
}

#[test]
fn a_timer_fires_without_any_datagram() {
    let server = server(1, 64);
    server.control.send(Command::Announce(ticket(Instant::now() + Duration::from_millis(20)))).unwrap();
    let event = server.events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, Event::Ended(SessionId(7), _)), "{event:?}");
    server.stop().unwrap();
}

#[test]
fn a_command_wakes_a_sleeping_shard_and_draining_is_reported_by_all() {
    let server = server(3, 64);
    until("the first sleep", || {
        server.workers.iter().all(|worker| worker.counters().value(NetCounter::Passes) > 0)
    });
    server.control.send(Command::Drain).unwrap();
    let mut drained: Vec<_> =
        server.workers.iter().map(|_| server.events.recv_timeout(PATIENCE).unwrap()).collect();
    drained.sort_by_key(|event| format!("{event:?}"));
    assert!(server.workers.iter().map(|worker| Event::Drained(worker.id())).eq(drained));
    assert!(server.workers.iter().all(Worker::is_alive));
    server.stop().unwrap();
}

#[test]
fn a_control_plane_that_is_behind_gets_every_event_later() {
    let (to_control, events) = sync_channel(64);
    let server = server_with(1, events, || {
        let (mut refusals, mut sink) = (0, sink(to_control.clone()));
        Box::new(move |event| {
            refusals += 1;
            if refusals <= 5 { Err(event) } else { sink(event) }
        })
    });
    server.control.send(Command::Drain).unwrap();
    assert_eq!(server.events.recv_timeout(PATIENCE), Ok(Event::Drained(ShardId(0))));
    server.stop().unwrap();
}

#[test]
fn a_thread_that_panics_is_seen_to_be_dead_and_leaves_the_others() {
    let (_to_control, events) = sync_channel(64);
    let server = server_with(2, events, || {
        Box::new(|event| match event {
            Event::Drained(ShardId(0)) => panic!("a bug in shard 0"),
            _ => Ok(()),
        })
    });
    server.control.send(Command::Drain).unwrap();
    until("the death", || !server.workers[0].is_alive());
    assert!(server.workers[1..].iter().all(Worker::is_alive));
    let mut ends = server.workers.into_iter().map(|worker| worker.stop(PATIENCE));
    assert_eq!(ends.next(), Some(Err(StopError::Died(ShardId(0)))));
    assert!(ends.all(|end| end.is_ok()));
}

#[test]
fn a_stopped_server_has_given_its_port_back() {
    let server = server(2, 64);
    let (addr, shards) = (server.addr, server.workers.len() as u16);
    server.stop().unwrap();
    assert!(MediaSockets::bind(addr, shards).is_ok());
}

#[test]
fn a_pass_that_does_not_end_cannot_hold_up_the_stop() {
    let (release, held) = sync_channel::<()>(0);
    let held = Arc::new(std::sync::Mutex::new(held));
    let (in_pass, entered) = sync_channel(1);
    let (_to_control, events) = sync_channel(1);
    let server = server_with(1, events, || {
        let (held, in_pass) = (held.clone(), in_pass.clone());
        Box::new(move |_| {
            let _ = in_pass.try_send(());
            let _ = held.lock().map(|held| held.recv());
            Ok(())
        })
    });
    server.control.send(Command::Drain).unwrap();
    entered.recv_timeout(PATIENCE).unwrap();
    let worker = server.workers.into_iter().next().unwrap();
    assert_eq!(worker.stop(Duration::from_millis(10)), Err(StopError::Stuck(ShardId(0))));
    drop(release);
}
