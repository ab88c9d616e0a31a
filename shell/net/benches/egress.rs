//! What the whole way out costs per packet and viewer, socket included, against sealing each packet once and handing
//! each viewer's frame to the kernel once, in one run.
//!
//! `cargo bench -p wtn-net --bench egress`, as root or where users may make namespaces. The packets go to a device
//! that drops whatever it is handed, inside a network namespace of this process: so nobody's receiving is charged to
//! us. It stands for two kinds of network card: one that cuts a run into datagrams itself, and one for which the kernel
//! has to.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

#[cfg(target_os = "linux")]
mod sinkhole;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("network namespaces are Linux'");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use super::sinkhole::{Card, Sinkhole};
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use rustix::time::{ClockId, clock_gettime};
    use std::io::IoSlice;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd as _;
    use std::sync::Arc;
    use wtn_net::{EgressOptions, MediaSockets, NetCounter, NetCounters, SocketEgress};
    use wtn_testkit::hot::{BareSealing, DATAGRAM_LEN, FRAME_PACKETS, HotStream};

    const ROUNDS: usize = 61;

    pub fn main() {
        let sinkhole = match Sinkhole::enter() {
            Ok(sinkhole) => sinkhole,
            Err(error) => {
                return println!("no network namespace of our own, so nothing is measured: {error}");
            }
        };
        println!(
            "ns per packet and viewer, median of {ROUNDS} frames of {FRAME_PACKETS} x {DATAGRAM_LEN} bytes, all in"
        );
        println!("{:>8} {:>15} {:>8} {:>8} {:>6}", "viewers", "runs are cut by", "floor", "wtn", "ratio");
        for viewers in [100, 400, 1000] {
            let mut stream = HotStream::new(viewers);
            for card in [Card::Cuts, Card::Cannot] {
                sinkhole.set(card).expect("the device is ours");
                measure(viewers, card, &mut stream);
            }
        }
    }

    fn measure(viewers: usize, card: Card, stream: &mut HotStream) {
        let counters = Arc::<NetCounters>::default();
        let socket = MediaSockets::bind(SocketAddr::from(([0, 0, 0, 0], 0)), 1).expect("a port").remove(0);
        let mut egress = SocketEgress::new(&socket, counters.clone(), EgressOptions::default());
        let mut bare = BareSealing::new(viewers);
        let plain = UdpSocket::bind("0.0.0.0:0").expect("a port");
        let places: Vec<_> = (0..viewers).map(place).collect();
        let (mut floor, mut wtn) = (Vec::new(), Vec::new());
        let packets = (viewers * FRAME_PACKETS) as u64;
        for round in 1..=ROUNDS as u64 {
            let mut frame = stream.frame();
            let began = cpu_ns();
            egress.begin_pass();
            stream.pass(&mut frame, &mut egress);
            wtn.push((cpu_ns() - began) / packets);
            assert_eq!(counters.value(NetCounter::Sent), packets * round, "every packet to every viewer");
            let began = cpu_ns();
            bare.frame(|viewer, run| send(&plain, &places[viewer], run));
            floor.push((cpu_ns() - began) / packets);
        }
        let (floor, wtn) = (median(floor), median(wtn));
        println!("{viewers:>8} {card:>15} {floor:>8} {wtn:>8} {:>6.2}", wtn as f64 / floor as f64);
    }

    /// One frame of one viewer, in one call.
    fn send(socket: &UdpSocket, place: &SockaddrStorage, run: &[u8]) {
        let note = [ControlMessage::UdpGsoSegments(&(DATAGRAM_LEN as u16))];
        let slices = [IoSlice::new(run)];
        sendmsg(socket.as_raw_fd(), &slices, &note, MsgFlags::empty(), Some(place))
            .expect("the kernel takes it");
    }

    fn place(viewer: usize) -> SockaddrStorage {
        let [_, _, high, low] = (viewer as u32 + 1).to_be_bytes();
        SocketAddr::from(([10, 0, high, low], 40_000)).into()
    }

    fn cpu_ns() -> u64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    fn median(mut values: Vec<u64>) -> u64 {
        values.sort_unstable();
        values[values.len() / 2]
    }
}
