//! The thread against real connections over loopback, with the shards' ends in the hands of the test.

use super::*;
use crate::counters::NetCounter;
use crate::wake::waker;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use wtn_engine::Run;
use wtn_media::Remote;
use wtn_session::frames::{Frames, write_frame};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(40);

struct Bed {
    addr: SocketAddr,
    worker: TcpWorker,
    ends: Vec<TcpEnd>,
    counters: Arc<NetCounters>,
}

fn bed(shards: usize, limits: TcpLimits) -> Bed {
    bed_at("127.0.0.1:0", shards, limits)
}

fn bed_at(addr: &str, shards: usize, limits: TcpLimits) -> Bed {
    let port = TcpPort::bind(addr.parse().unwrap()).unwrap();
    let addr = port.0.local_addr().unwrap();
    let wakers: Vec<_> = (0..shards).map(|_| waker().unwrap()).collect();
    let (worker, ends) = port.serve(&wakers, limits).unwrap();
    let counters = worker.counters();
    Bed { addr, worker, ends, counters }
}

impl Bed {
    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    fn wait_for(&self, counter: NetCounter, at_least: u64) {
        let start = Instant::now();
        while self.counters.value(counter) < at_least {
            assert!(start.elapsed() < PATIENCE, "{counter:?} stays at {}", self.counters.value(counter));
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next datagram of a shard.
    fn datagram(&self, shard: usize) -> (Remote, Vec<u8>) {
        match self.ends[shard].inbox.recv_timeout(PATIENCE).unwrap() {
            Arrival::Frame(from, bytes) => (from, bytes.into()),
            Arrival::Gone(from) => panic!("{from} is gone"),
        }
    }

    fn gone(&self, shard: usize) -> Remote {
        match self.ends[shard].inbox.recv_timeout(PATIENCE).unwrap() {
            Arrival::Gone(from) => from,
            Arrival::Frame(from, _) => panic!("a datagram of {from}"),
        }
    }

    fn send(&mut self, shard: usize, to: Remote, datagrams: &[u8], segment: usize) {
        let run = Run { to, start: 0, len: datagrams.len(), segment };
        let outlet = &mut self.ends[shard].outlet;
        outlet.send(datagrams, &run, to.connection.unwrap(), &NetCounters::default());
        outlet.flush();
    }

    /// A client whose check a shard has answered; the first connection of a bed belongs to shard 1 of two, else 0.
    fn proven(&mut self) -> (TcpStream, Remote) {
        let mut client = self.client();
        write(&mut client, &check(0));
        let home = usize::from(self.ends.len() == 2);
        let (remote, _) = self.datagram(home);
        self.send(home, remote, &check(1), 20);
        assert_eq!(read(&mut client, 1), [check(1)]);
        (client, remote)
    }
}

/// What the thread takes for a check: its shards look closer.
fn check(n: u8) -> Vec<u8> {
    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    check.resize(20, n);
    check
}

fn write(client: &mut TcpStream, datagram: &[u8]) {
    let mut stream = Vec::new();
    assert!(write_frame(datagram, &mut stream));
    client.write_all(&stream).unwrap();
}

/// The next `count` datagrams that the client gets.
fn read(client: &mut TcpStream, count: usize) -> Vec<Vec<u8>> {
    let (mut frames, mut taken, mut byte) = (Frames::default(), Vec::new(), [0]);
    while taken.len() < count {
        client.read_exact(&mut byte).unwrap();
        frames.read(&byte, |frame| taken.push(frame.to_vec())).unwrap();
    }
    taken
}

/// The server closes, without having said anything.
fn assert_closed(mut client: TcpStream) {
    match client.read(&mut [0; 64]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn live_18_what_comes_by_a_connection_goes_to_the_shard_that_answers_it() {
    let mut bed = bed(2, TcpLimits::default());
    let mut client = bed.client();
    write(&mut client, &check(7));
    let (remote, datagram) = bed.datagram(1);
    assert_eq!((remote.address, datagram), (client.local_addr().unwrap(), check(7)));
    // The session is the other shard's, as after a check by UDP.
    bed.send(0, remote, &[[1; 30], [2; 30]].concat(), 30);
    assert_eq!(read(&mut client, 2), [[1; 30], [2; 30]]);
    write(&mut client, &[0x80; 12]);
    assert_eq!(bed.datagram(0), (remote, vec![0x80; 12]));
    assert_eq!(bed.counters.value(NetCounter::TcpSent), 2);
    assert_eq!(bed.counters.value(NetCounter::TcpReceived), 2);
    drop(client);
    assert_eq!((bed.gone(0), bed.gone(1)), (remote, remote));
}

#[test]
fn live_18_strangers_are_sent_away_without_a_word() {
    let bed = bed(1, TcpLimits::default());
    let too_early: &[u8] = &[0, 3, 22, 254, 253];
    for hello in
        ["GET / HTTP/1.1\r\n\r\n".as_bytes(), b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n", too_early]
    {
        let mut client = bed.client();
        client.write_all(hello).unwrap();
        assert_closed(client);
    }
    bed.wait_for(NetCounter::TcpClosedMalformed, 4);
    assert_eq!(bed.counters.value(NetCounter::TcpSent), 0);
    assert!(bed.ends[0].inbox.try_recv().is_err(), "no shard hears of them");
}

#[test]
fn live_18_who_proves_nothing_is_closed_and_who_does_stays() {
    let mut bed = bed(1, TcpLimits { prove_within: Duration::from_millis(400), ..TcpLimits::default() });
    let (mut client, remote) = bed.proven();
    assert_closed(bed.client());
    let mut asking = bed.client();
    write(&mut asking, &check(3));
    assert_closed(asking);
    bed.wait_for(NetCounter::TcpClosedUnproven, 2);
    write(&mut client, b"still here");
    assert_eq!(bed.datagram(0).1, check(3), "of the one that was not answered");
    assert_eq!(bed.datagram(0), (remote, b"still here".to_vec()));
}

#[test]
fn live_18_half_a_frame_and_silence_are_closed_in_time() {
    let limits = [
        TcpLimits { frame_within: SHORT, ..TcpLimits::default() },
        TcpLimits { idle: SHORT, ..TcpLimits::default() },
    ];
    let counters = [NetCounter::TcpClosedMalformed, NetCounter::TcpClosedIdle];
    for (limits, counter) in limits.into_iter().zip(counters) {
        let mut bed = bed(1, limits);
        let (mut client, remote) = bed.proven();
        let _ = client.write_all(&[0, 9, 1]);
        assert_closed(client);
        assert_eq!(bed.gone(0), remote);
        bed.wait_for(counter, 1);
    }
}

#[test]
fn live_18_a_stream_that_drips_byte_by_byte_gives_whole_datagrams() {
    let mut bed = bed(1, TcpLimits::default());
    let (mut client, remote) = bed.proven();
    let mut stream = Vec::new();
    assert!(write_frame(&[5; 40], &mut stream) && write_frame(&[6; 1], &mut stream));
    for byte in stream {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!([bed.datagram(0), bed.datagram(0)], [(remote, vec![5; 40]), (remote, vec![6])]);
}

#[test]
fn live_18_a_client_that_does_not_read_loses_whole_packets_and_holds_up_nobody() {
    let mut bed = bed(1, TcpLimits { queue: 20_000, ..TcpLimits::default() });
    let (mut slow, slow_remote) = bed.proven();
    let mut fast = bed.client();
    write(&mut fast, &check(2));
    let (fast_remote, _) = bed.datagram(0);
    let mut sent = 0u32;
    while bed.counters.value(NetCounter::TcpSendDropSlow) == 0 {
        let packets: Vec<u8> =
            (0..20).flat_map(|n| [(sent + n).to_be_bytes().to_vec(), vec![9; 1196]].concat()).collect();
        sent += 20;
        bed.send(0, slow_remote, &packets, 1200);
        bed.send(0, fast_remote, &sent.to_be_bytes(), 4);
        assert_eq!(read(&mut fast, 1), [sent.to_be_bytes()]);
    }
    let taken = (bed.counters.value(NetCounter::TcpSent) - 1) as usize - sent as usize / 20;
    assert!(taken < sent as usize);
    let mut packets = read(&mut slow, taken);
    // Some may have been on their way when it was counted.
    bed.send(0, slow_remote, &[1; 8], 8);
    while packets.last().is_none_or(|last| *last != [1; 8]) {
        packets.extend(read(&mut slow, 1));
    }
    packets.pop();
    assert!(packets.iter().all(|packet| packet.len() == 1200), "a packet is whole or not there");
    let number = |packet: &Vec<u8>| u32::from_be_bytes(*packet.first_chunk().unwrap());
    assert!(packets.iter().map(number).is_sorted(), "in order");
}

#[test]
fn live_18_a_client_that_takes_nothing_for_too_long_is_closed() {
    let mut bed = bed(1, TcpLimits { queue: 20_000, stalled: SHORT, ..TcpLimits::default() });
    let (client, remote) = bed.proven();
    let start = Instant::now();
    while bed.counters.value(NetCounter::TcpClosedStalled) == 0 {
        assert!(start.elapsed() < PATIENCE);
        bed.send(0, remote, &[0; 12_000], 1200);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(bed.gone(0), remote);
    bed.send(0, remote, &[0; 2400], 1200);
    bed.wait_for(NetCounter::TcpSendDropGone, 1);
    drop(client);
}

#[test]
fn live_18_one_place_has_so_many_connections_and_no_more() {
    let mut bed = bed(1, TcpLimits { per_place: 3, unproven_per_place: 2, ..TcpLimits::default() });
    let (client, _) = bed.proven();
    let more = [bed.client(), bed.client()];
    bed.wait_for(NetCounter::TcpAccepted, 3);
    assert_closed(bed.client());
    bed.wait_for(NetCounter::TcpRefused, 1);
    drop(client);
    bed.wait_for(NetCounter::TcpClosedByPeer, 1);
    drop(more);
    bed.wait_for(NetCounter::TcpClosedByPeer, 3);
    let _ = bed.gone(0);
    let _again = bed.proven();
}

#[test]
fn live_18_a_connection_that_is_reset_is_gone_for_every_shard() {
    let mut bed = bed(2, TcpLimits::default());
    let (mut client, remote) = bed.proven();
    client.write_all(&[0, 9, 1]).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!((bed.gone(0), bed.gone(1)), (remote, remote));
}

#[test]
fn live_18_the_last_word_is_said_and_the_port_given_back() {
    let mut bed = bed(1, TcpLimits::default());
    let (mut client, remote) = bed.proven();
    bed.send(0, remote, b"goodbye", 7);
    let Bed { addr, worker, ends, .. } = bed;
    assert!(worker.stop(PATIENCE));
    assert_eq!(read(&mut client, 1), [b"goodbye"]);
    assert_closed(client);
    drop(ends);
    assert!(TcpPort::bind(addr).is_ok());
}

#[test]
fn live_18_ipv4_and_ipv6_share_the_port() {
    let bed = bed_at("[::]:0", 1, TcpLimits::default());
    let mut hosts = vec!["127.0.0.1"];
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        hosts.push("::1");
    }
    for host in hosts {
        let mut client = TcpStream::connect((host, bed.addr.port())).unwrap();
        write(&mut client, &check(1));
        assert_eq!(bed.datagram(0).0.address, client.local_addr().unwrap(), "IPv4 peers are IPv4 peers");
    }
}

#[test]
fn live_18_a_busy_port_names_its_owner_and_the_fix() {
    let port = TcpPort::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = TcpPort::bind(port.0.local_addr().unwrap()).unwrap_err().to_string();
    assert!(error.contains("TCP") && error.contains(&format!("pid {}", std::process::id())), "{error}");
}
