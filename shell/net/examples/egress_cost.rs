//! What one forwarded datagram costs on its way into the kernel, by each way of sending: the figures of
//! `docs/decisions/0007-own-sendmmsg.md`.
//!
//! ```text
//! cargo run --release -p wtn-net --example egress_cost                  # loopback, to sockets nobody reads
//! cargo run --release -p wtn-net --example egress_cost -- 10.99.0.1     # to 1000 addresses of that network
//! ```
//!
//! The second form is for a network namespace with a device that swallows everything, so that only the way
//! out is measured (as root):
//!
//! ```text
//! unshare -n
//! ip link set lo up; ip link add sink0 type ifb; ip addr add 10.99.0.1/16 dev sink0; ip link set sink0 up
//! ip link set sink0 gso_max_segs 1      # now the kernel cuts, as for a card without UDP segmentation
//! ```
//!
//! CPU time of this thread, cases in turn, median of the rounds.

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wtn_engine::{Egress, Run};
use wtn_net::{EgressOptions, MediaSocket, MediaSockets, NetCounter, NetCounters, SocketEgress};

const VIEWERS: usize = 1000;
const DATAGRAM: usize = 1200;
const ROUNDS: usize = 15;
const SLICE: Duration = Duration::from_millis(60);

fn main() {
    let sink: Option<Ipv4Addr> = std::env::args().nth(1).map(|text| text.parse().expect("an IPv4 address"));
    let unread: Vec<UdpSocket> =
        if sink.is_none() { (0..VIEWERS).map(|_| full_socket()).collect() } else { Vec::new() };
    let viewers: Vec<SocketAddr> = match sink {
        Some(host) => (0..VIEWERS as u32).map(|n| beside(host, n)).collect(),
        None => unread.iter().map(|socket| socket.local_addr().expect("bound")).collect(),
    };
    let host = sink.unwrap_or(Ipv4Addr::LOCALHOST);
    for per_viewer in [1, 5, 10] {
        println!("\n{VIEWERS} viewers, runs of {per_viewer} x {DATAGRAM} bytes: CPU ns a datagram");
        measure(host, &viewers, per_viewer);
    }
}

/// Bound, its tiny buffer full: the kernel does all the work of delivering, then drops.
fn full_socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket2::SockRef::from(&socket).set_recv_buffer_size(1).expect("a small buffer");
    let to = socket.local_addr().expect("bound");
    (0..4).for_each(|_| drop(socket.send_to(&[0; DATAGRAM], to)));
    socket
}

/// The `n`th address of the /16 of `host`, from .1.1 on.
fn beside(host: Ipv4Addr, n: u32) -> SocketAddr {
    let [a, b, _, _] = host.octets();
    let ip = IpAddr::from([a, b, 1 + (n / 250) as u8, 1 + (n % 250) as u8]);
    SocketAddr::new(ip, 40_000)
}

fn measure(host: Ipv4Addr, viewers: &[SocketAddr], per_viewer: usize) {
    let sockets = MediaSockets::bind((host, 0).into(), 1).expect("a socket");
    let socket = &sockets[0];
    let plain = UdpSocket::bind((host, 0)).expect("a socket");
    let len = per_viewer * DATAGRAM;
    let arena = vec![7; len * viewers.len()];
    let run =
        |(n, to): (usize, &SocketAddr)| Run { to: (*to).into(), start: n * len, len, segment: DATAGRAM };
    let runs: Vec<Run> = viewers.iter().enumerate().map(run).collect();

    let mut cases = vec![Case::new("one sendto a datagram", |runs: &[Run]| {
        for run in runs {
            for datagram in arena[run.start..][..run.len].chunks(DATAGRAM) {
                // A full socket further on is not our concern here.
                let _ = black_box(plain.send_to(datagram, run.to.address));
            }
        }
    })];
    let ways = [(false, 32), (true, 1), (true, 8), (true, 16), (true, 32)];
    for (segmentation, batch) in ways {
        let name = match segmentation {
            true => format!("UDP_SEGMENT, {batch} runs a sendmmsg"),
            false => format!("no UDP_SEGMENT, {batch} datagrams a sendmmsg"),
        };
        cases.push(Case::new(name, through(socket, EgressOptions { segmentation, batch }, &arena)));
    }
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(|case| case.round(&runs, per_viewer));
    }
    cases.iter_mut().for_each(Case::print);
}

fn through<'a>(socket: &'a MediaSocket, options: EgressOptions, arena: &'a [u8]) -> impl FnMut(&[Run]) + 'a {
    let counters = Arc::<NetCounters>::default();
    let mut egress = SocketEgress::new(socket, counters.clone(), options);
    move |runs| {
        egress.send(arena, runs);
        assert_eq!(counters.value(NetCounter::SendDropRefused), 0);
        assert_eq!(
            counters.value(NetCounter::SegmentationRefused) + counters.value(NetCounter::Fragmented),
            0
        );
    }
}

type Way<'a> = Box<dyn FnMut(&[Run]) + 'a>;

struct Case<'a> {
    name: String,
    send: Way<'a>,
    rounds: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(name: impl Into<String>, send: impl FnMut(&[Run]) + 'a) -> Self {
        Self { name: name.into(), send: Box::new(send), rounds: Vec::new() }
    }

    fn round(&mut self, runs: &[Run], per_viewer: usize) {
        let (start, cpu) = (Instant::now(), cpu_ns());
        let mut datagrams = 0;
        while start.elapsed() < SLICE {
            (self.send)(runs);
            datagrams += runs.len() * per_viewer;
        }
        self.rounds.push((cpu_ns() - cpu) as f64 / datagrams as f64);
    }

    fn print(&mut self) {
        self.rounds.sort_by(f64::total_cmp);
        println!("{:>8.0}  {}", self.rounds[self.rounds.len() / 2], self.name);
    }
}

/// CPU time of this thread: the first field of its scheduler statistics. Giving way brings it up to date.
fn cpu_ns() -> u64 {
    std::thread::yield_now();
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    statistics.split_ascii_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number")
}
