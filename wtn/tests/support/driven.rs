//! A WebRTC client on a loopback socket and a thread of its own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wtn_client::Machine;

/// The thread looks up so often, whatever its machine wants.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

pub struct Driven<M> {
    machine: Arc<Mutex<M>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Machine + Send + 'static> Driven<M> {
    /// Makes the machine for its socket's address and lets `signal` do the rest before the thread starts.
    pub fn start(make: impl FnOnce(Instant, &[SocketAddr]) -> M, signal: impl FnOnce(&mut M)) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let mut machine = make(Instant::now(), &[local]);
        signal(&mut machine);
        let machine = Arc::new(Mutex::new(machine));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (machine, stop) = (Arc::clone(&machine), Arc::clone(&stop));
            move || run(&machine, &stop, &socket, local)
        });
        Self { machine, stop, thread: Some(thread) }
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut M) -> T) -> T {
        look(&mut self.machine.lock().unwrap())
    }

    pub fn is_connected(&self) -> bool {
        self.with(|machine| machine.connected_at().is_some())
    }

    /// Whether the other side has ended it.
    pub fn has_ended(&self) -> bool {
        self.with(|machine| machine.ending().is_some())
    }
}

impl<M> Drop for Driven<M> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run<M: Machine>(machine: &Mutex<M>, stop: &AtomicBool, socket: &UdpSocket, local: SocketAddr) {
    let mut bytes = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let wait = {
            let mut machine = machine.lock().unwrap();
            machine.handle_timeout(Instant::now());
            while let Some(datagram) = machine.poll_transmit() {
                let _ = socket.send_to(&datagram.bytes, datagram.destination);
            }
            let next = machine.next_timeout().map(|at| at.saturating_duration_since(Instant::now()));
            next.unwrap_or(LONGEST_WAIT).clamp(Duration::from_millis(1), LONGEST_WAIT)
        };
        socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok((len, source)) = socket.recv_from(&mut bytes) {
            machine.lock().unwrap().handle_datagram(Instant::now(), source, local, &bytes[..len]);
        }
    }
}
