//! Viewers who come and go leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod meter;

use meter::{Meter, Metered};
use std::net::SocketAddr;
use wtn_media::Codec;
use wtn_testkit::{Endpoint, EndpointId, Publisher, Script, Server, Viewer, World, ms};

const SERVER: &str = "192.0.2.1:8189";

/// Viewers who come and go before anything is compared: hash tables, stores and buffers have their size by then.
const WARM_UP: usize = 120;

/// The stream's own store breathes with its keyframes: of so many cycles the leanest counts.
const WINDOW: usize = 40;

struct Theatre {
    world: World,
    server: Server,
    camera: Publisher,
    /// Viewers come from behind one NAT, each from another port or address.
    seats: [EndpointId; 2],
    meter: Meter,
    cycles: u32,
}

impl Theatre {
    fn open() -> Self {
        let mut world = World::new(9);
        let address = SERVER.parse().unwrap();
        let id = world.network.attach(address);
        let mut server = Server::new(world.now(), id, address, 2);
        let inside = SocketAddr::from(([10, 0, 0, 1], 5000));
        let camera = world.network.attach(inside);
        let script = Script { fps: 5, keyframe_every: 10, ..Script::SMALL };
        let mut camera = Publisher::new(world.now(), camera, inside, 0, script);
        let reply = server.publish(world.now(), "live", &camera.offer());
        camera.accept_answer(world.now(), &String::from_utf8(reply.body).unwrap()).unwrap();
        let seats = [2, 3].map(|at| {
            let inside = SocketAddr::from(([192, 168, 0, at], 5000));
            world.network.attach_behind_nat(inside, SocketAddr::from(([10, 1, 0, at], 5000)))
        });
        let mut theatre = Self { world, server, camera, seats, meter: Meter::default(), cycles: 0 };
        theatre.run(None, 1000);
        theatre
    }

    fn run(&mut self, viewer: Option<&mut Viewer>, millis: u64) {
        let mut server = Metered { server: &mut self.server, meter: &mut self.meter };
        let mut endpoints: Vec<&mut dyn Endpoint> = vec![&mut server, &mut self.camera];
        endpoints.extend(viewer.map(|viewer| viewer as &mut dyn Endpoint));
        self.world.run(ms(millis), &mut endpoints);
    }

    /// A viewer comes, gets pictures, and goes: by DELETE, by a goodbye of DTLS, or without a word.
    fn cycle(&mut self) {
        self.cycles += 1;
        let seat = self.cycles as usize % 2;
        let inside = SocketAddr::from(([192, 168, 0, 2 + seat as u8], 5000));
        let [_, high, middle, low] = self.cycles.to_be_bytes();
        self.world.network.rebind(self.seats[seat], SocketAddr::from(([20, high, middle, low], 5000)));
        let now = self.world.now();
        let mut viewer = Viewer::new(now, self.seats[seat], inside, &[Codec::H264], false);
        let offer = viewer.offer();
        let (mut answer, mut location) = (String::with_capacity(1 << 14), String::with_capacity(1 << 8));
        self.meter.call(|| {
            let reply = self.server.watch(now, "live", &offer);
            assert_eq!(reply.status, 201);
            answer.push_str(std::str::from_utf8(&reply.body).unwrap());
            location.push_str(reply.header("Location").unwrap());
        });
        viewer.accept_answer(now, &answer).unwrap();
        self.run(Some(&mut viewer), 250);
        assert!(viewer.standing().is_connected(), "cycle {}", self.cycles);
        assert!(viewer.reception(wtn_media::MediaKind::Video).packets() > 0, "cycle {}", self.cycles);
        let now = self.world.now();
        match self.cycles % 20 {
            0 => viewer.vanish(),
            nth if nth % 2 == 0 => viewer.close(now),
            _ => {
                let deleted = self.meter.call(|| self.server.delete(now, &location).status);
                assert_eq!(deleted, 200);
            }
        }
        self.run(Some(&mut viewer), 50);
        self.meter.call(|| self.server.forget());
    }

    /// The least that the server holds after any of some cycles.
    fn least_held(&mut self) -> i64 {
        let held = (0..WINDOW).map(|_| {
            self.cycle();
            self.meter.held
        });
        held.min().unwrap()
    }
}

/// Cycles of joining and leaving; the answer is by how many bytes the server's heap has grown.
fn growth(cycles: usize) -> i64 {
    let mut theatre = Theatre::open();
    (0..WARM_UP).for_each(|_| theatre.cycle());
    let before = theatre.least_held();
    (0..cycles).for_each(|_| theatre.cycle());
    let after = theatre.least_held();
    assert!(
        theatre.server.sessions() <= 12,
        "{} sessions, those who left without a word",
        theatre.server.sessions()
    );
    assert!(theatre.meter.peak < 8 << 20, "{} bytes at most", theatre.meter.peak);
    after - before
}

/// What hash tables and buffers may still grow by once more. A hundred bytes left behind by each of three hundred viewers
/// would be more.
const GROWTH_MAX: i64 = 24_000;

#[test]
fn three_hundred_viewers_who_come_and_go_leave_nothing_behind() {
    let grown = growth(300);
    assert!(grown < GROWTH_MAX, "{grown} bytes");
}

/// The memory of this process, that of C libraries included.
#[cfg(target_os = "linux")]
fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

/// The clients' own logs grow by a frame a cycle, hence the room in what is resident.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes ten minutes: make nightly"]
fn a_hundred_thousand_viewers_who_come_and_go_leave_nothing_behind() {
    assert!(growth(300) < GROWTH_MAX);
    let before = resident_bytes();
    let grown = growth(100_000);
    let resident = resident_bytes() - before;
    println!("{grown} bytes of the server's heap, {resident} resident");
    assert!(grown < GROWTH_MAX, "{grown} bytes of the server's heap");
    assert!(resident < 32 << 20, "{resident} bytes resident");
}
