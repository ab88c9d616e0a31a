//! Tests over real sockets: whatever way a frame goes out and comes in, the same datagrams arrive.

use crate::counters::{NetCounter, NetCounters};
use crate::recv::{RECV_BUDGET, Received};
use crate::send::{EgressOptions, Sender};
use crate::socket::{MediaSocket, MediaSockets};
use crate::wake::Ready;
use crate::{platform, portable};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use wtn_engine::Run;

/// Longer than any datagram needs over loopback, on however busy a machine.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn open(addr: &str) -> MediaSocket {
    MediaSockets::bind(addr.parse().unwrap(), 1).unwrap().remove(0)
}

/// An address of this socket that can be sent to.
fn reach(socket: &MediaSocket) -> SocketAddr {
    let mut addr = socket.local_addr();
    if addr.ip().is_unspecified() {
        addr.set_ip([127, 0, 0, 1].into());
    }
    addr
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Segmented,
    Batched,
    Portable,
}
const WAYS_OUT: [Out; 3] = [Out::Segmented, Out::Batched, Out::Portable];

fn send(way: Out, socket: &MediaSocket, arena: &[u8], runs: &[Run]) -> Arc<NetCounters> {
    let counters = Arc::<NetCounters>::default();
    let segmentation = way == Out::Segmented && platform::has_gso();
    let options = EgressOptions { segmentation, ..EgressOptions::default() };
    let count = Arc::clone(&counters);
    match way {
        Out::Portable => Sender::new(portable::Wire::new(socket), count, options).send(arena, runs),
        _ => Sender::new(platform::Wire::new(socket), count, options).send(arena, runs),
    }
    counters
}

/// One of the two receivers behind one face.
enum In<'a> {
    Platform(&'a MediaSocket, platform::Receiver<'a>),
    Portable(&'a MediaSocket, portable::Receiver<'a>),
}

/// A client with each receiver in turn.
fn with_each_receiver(test: impl Fn(&MediaSocket, In<'_>)) {
    let socket = open("127.0.0.1:0");
    test(&socket, In::Platform(&socket, platform::Receiver::new(&socket, Arc::default())));
    let socket = MediaSocket::open_portable("127.0.0.1:0".parse().unwrap());
    test(&socket, In::Portable(&socket, portable::Receiver::new(&socket, Arc::default())));
}

fn collect(socket: &MediaSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    In::Platform(socket, platform::Receiver::new(socket, Arc::default())).collect(count, RECV_BUDGET)
}

impl In<'_> {
    fn receive(&mut self, budget: usize, take: impl FnMut(SocketAddr, &mut [u8])) -> io::Result<Received> {
        match self {
            Self::Platform(_, receiver) => receiver.receive(budget, take),
            Self::Portable(_, receiver) => receiver.receive(budget, take),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Ready {
        match self {
            Self::Platform(socket, _) => {
                platform::wait(socket, &platform::Bell::new().unwrap(), timeout).unwrap()
            }
            Self::Portable(socket, _) => {
                portable::wait(socket, &portable::Bell::new().unwrap(), timeout).unwrap()
            }
        }
    }

    /// Waits for `count` datagrams, `budget` at a time.
    fn collect(&mut self, count: usize, budget: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut arrived = Vec::new();
        while arrived.len() < count {
            let before = arrived.len();
            let received = self.receive(budget, |from, bytes| arrived.push((from, bytes.to_vec()))).unwrap();
            assert_eq!(received.datagrams, arrived.len() - before);
            assert!(received.datagrams <= budget);
            if !received.more && arrived.len() < count {
                assert!(self.wait(PATIENCE).datagrams, "{} of {count} arrived", arrived.len());
            }
        }
        arrived
    }
}

fn frame(to: SocketAddr, parts: &[(usize, usize)]) -> (Vec<u8>, Vec<Run>) {
    let mut start = 0;
    let run = |&(len, segment): &(usize, usize)| {
        start += len;
        Run { to: to.into(), start: start - len, len, segment }
    };
    let runs = parts.iter().map(run).collect();
    ((0..start).map(|n| (n / 7 % 253) as u8).collect(), runs)
}

fn datagrams(arena: &[u8], runs: &[Run]) -> Vec<Vec<u8>> {
    runs.iter()
        .flat_map(|run| arena[run.start..][..run.len].chunks(run.segment).map(<[u8]>::to_vec))
        .collect()
}

/// A keyframe and its audio, a lone packet, odd sizes, and something larger than any path's MTU.
const FRAME: [(usize, usize); 6] =
    [(30 * 1200 + 87, 1200), (173, 173), (9 * 1157, 1157), (64 * 50, 50), (1, 1), (30_000, 30_000)];

#[test]
fn a_frame_arrives_intact_and_in_order_whichever_way_it_goes() {
    for way in WAYS_OUT {
        with_each_receiver(|client, mut receiver| {
            let server = open("127.0.0.1:0");
            let (arena, runs) = frame(reach(client), &FRAME);
            let sent = send(way, &server, &arena, &runs);
            let expected = datagrams(&arena, &runs);
            let arrived = receiver.collect(expected.len(), RECV_BUDGET);
            assert!(arrived.iter().all(|(from, _)| *from == reach(&server)));
            assert_eq!(arrived.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), expected, "{way:?}");
            assert_eq!(sent.value(NetCounter::Sent), expected.len() as u64);
        });
    }
}

#[test]
fn a_budget_smaller_than_a_coalesced_message_loses_nothing() {
    let server = open("127.0.0.1:0");
    with_each_receiver(|client, mut receiver| {
        let (arena, runs) = frame(reach(client), &FRAME);
        let expected = datagrams(&arena, &runs);
        for budget in [1, 3, 7] {
            send(Out::Segmented, &server, &arena, &runs);
            let arrived = receiver.collect(expected.len(), budget);
            assert!(arrived.into_iter().map(|(_, bytes)| bytes).eq(expected.clone()), "budget {budget}");
        }
    });
}

#[test]
fn an_empty_datagram_is_one_too() {
    let (server, client) = (open("127.0.0.1:0"), open("127.0.0.1:0"));
    server.udp().send_to(&[], reach(&client)).unwrap();
    server.udp().send_to(b"after", reach(&client)).unwrap();
    let counters = Arc::default();
    let mut receiver = platform::Receiver::new(&client, Arc::clone(&counters));
    let mut lengths = Vec::new();
    while !lengths.contains(&5) {
        platform::wait(&client, &platform::Bell::new().unwrap(), PATIENCE).unwrap();
        receiver.receive(RECV_BUDGET, |_, bytes| lengths.push(bytes.len())).unwrap();
    }
    assert!(lengths == [0, 5] || !platform::SHARES_PORT && lengths == [5], "{lengths:?}");
}

#[test]
fn a_burst_beyond_every_buffer_ends_and_is_accounted_for() {
    let (server, client) = (open("127.0.0.1:0"), open("127.0.0.1:0"));
    if !platform::has_gro() {
        // Loopback may then hold the sender up instead, and nobody reads.
        return;
    }
    let datagram = 1200;
    let count = 4 * client.receive_buffer() / datagram;
    let (arena, mut runs) = frame(reach(&client), &[(60_000, datagram)]);
    runs = vec![runs[0]; count / 50];
    let sent = send(Out::Segmented, &server, &arena, &runs);
    let (taken, dropped) = (sent.value(NetCounter::Sent), sent.value(NetCounter::SendDropFull));
    assert_eq!(taken + dropped, 50 * runs.len() as u64);

    let counters = Arc::default();
    let mut receiver = platform::Receiver::new(&client, Arc::clone(&counters));
    let mut arrived = 0;
    loop {
        let pass = receiver.receive(RECV_BUDGET, |_, bytes| assert_eq!(bytes.len(), datagram)).unwrap();
        assert!(pass.datagrams <= RECV_BUDGET);
        arrived += pass.datagrams as u64;
        if !pass.more {
            break;
        }
    }
    assert!(arrived > 0 && arrived < taken, "{arrived} of {taken}");
    assert_eq!(counters.value(NetCounter::Received), arrived);

    server.udp().send_to(b"after", reach(&client)).unwrap();
    platform::wait(&client, &platform::Bell::new().unwrap(), PATIENCE).unwrap();
    receiver.receive(RECV_BUDGET, |_, _| {}).unwrap();
    assert!(counters.value(NetCounter::ReceiveOverflow) > 0, "the kernel says what it dropped");
}

#[test]
fn dual_stack_speaks_ipv4_and_ipv6_on_one_port() {
    let server = open("[::]:0");
    let port = server.local_addr().port();
    let counters = Arc::default();
    let mut receiver = platform::Receiver::new(&server, Arc::clone(&counters));
    let mut families = vec!["127.0.0.1"];
    if UdpSocket::bind("[::1]:0").is_ok() {
        families.push("::1");
    }
    for host in families {
        let ip: std::net::IpAddr = host.parse().unwrap();
        let client = MediaSockets::bind((ip, 0).into(), 1).unwrap().remove(0);
        client.udp().send_to(b"check", (ip, port)).unwrap();
        assert!(platform::wait(&server, &platform::Bell::new().unwrap(), PATIENCE).unwrap().datagrams);
        let mut from = None;
        receiver.receive(RECV_BUDGET, |addr, _| from = Some(addr)).unwrap();
        assert_eq!(from, Some(client.local_addr()), "IPv4 peers are IPv4 peers");

        for way in WAYS_OUT {
            let (arena, runs) = frame(client.local_addr(), &FRAME[..2]);
            send(way, &server, &arena, &runs);
            let expected = datagrams(&arena, &runs);
            let arrived = collect(&client, expected.len());
            assert!(arrived.iter().all(|(from, _)| *from == SocketAddr::from((ip, port))));
            assert!(arrived.into_iter().map(|(_, bytes)| bytes).eq(expected));
        }
    }
}

#[test]
fn an_address_that_cannot_be_reached_does_not_hold_up_the_others() {
    for way in WAYS_OUT {
        let (server, client) = (open("127.0.0.1:0"), open("127.0.0.1:0"));
        let (arena, good) = frame(reach(&client), &[(2500, 1200), (900, 900)]);
        // A socket of the other family, and broadcast, which is forbidden unless asked for.
        let to = |text: &str| text.parse::<SocketAddr>().unwrap().into();
        let wrong_family = Run { to: to("[2001:db8::1]:9"), ..good[0] };
        let forbidden = Run { to: to("255.255.255.255:9"), ..good[0] };
        let sent = send(way, &server, &arena, &[wrong_family, good[0], forbidden, good[1]]);
        assert_eq!(sent.value(NetCounter::SendDropUnreachable), 6, "{way:?}");
        let arrived = collect(&client, 4);
        assert!(arrived.into_iter().map(|(_, bytes)| bytes).eq(datagrams(&arena, &good)), "{way:?}");
    }
}

#[test]
fn shards_share_the_peers_of_one_port_and_each_peer_stays() {
    if !platform::SHARES_PORT {
        return;
    }
    let shards = MediaSockets::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    let port = shards[0].local_addr();
    let clients: Vec<_> = (0..64).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for _ in 0..3 {
        for client in &clients {
            client.send_to(b"check", port).unwrap();
        }
    }
    let counters = Arc::default();
    let mut peers: Vec<Vec<SocketAddr>> = Vec::new();
    for shard in &shards {
        let mut receiver = platform::Receiver::new(shard, Arc::clone(&counters));
        let mut here = Vec::new();
        while receiver.receive(RECV_BUDGET, |from, _| here.push(from)).unwrap().more {}
        peers.push(here);
    }
    assert_eq!(peers.iter().map(Vec::len).sum::<usize>(), 3 * clients.len());
    for client in &clients {
        let addr = client.local_addr().unwrap();
        let here = peers.iter().filter(|shard| shard.contains(&addr)).count();
        assert_eq!(here, 1, "a peer belongs to one shard");
    }
    assert!(peers.iter().all(|shard| shard.len() > 3 * 8), "{} and {}", peers[0].len(), peers[1].len());
}

#[test]
fn the_portable_platform_promises_nothing_that_it_cannot_keep() {
    assert!(!portable::has_gso() && !portable::has_gro() && !portable::SHARES_PORT);
    let socket = MediaSocket::open_portable("127.0.0.1:0".parse().unwrap());
    let options = EgressOptions { segmentation: portable::has_gso(), batch: portable::SEND_BATCH };
    let counters = Arc::<NetCounters>::default();
    let (arena, runs) = frame(socket.local_addr(), &[(2401, 1200)]);
    Sender::new(portable::Wire::new(&socket), Arc::clone(&counters), options).send(&arena, &runs);
    assert_eq!(counters.value(NetCounter::Sent), 3);
    assert_eq!(counters.value(NetCounter::SegmentationRefused), 0);
}

#[test]
fn the_portable_bell_ends_a_sleep_and_leaves_no_datagram() {
    for addr in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let socket = open(addr);
        let bell = portable::Bell::new().unwrap();
        bell.ring();
        bell.attach(&socket).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.ring());
            assert!(portable::wait(&socket, &bell, PATIENCE).unwrap().bell);
        });
        let mut receiver = portable::Receiver::new(&socket, Arc::default());
        let pass = receiver.receive(RECV_BUDGET, |_, _| panic!("nothing was sent")).unwrap();
        assert_eq!(pass, Received { datagrams: 0, more: false });
        let ready = portable::wait(&socket, &bell, Some(Duration::from_millis(1))).unwrap();
        assert!(!ready.bell && !ready.datagrams);
    }
}
