//! Waking a shard: another thread has put something into its inbox.
//!
//! A shard that is busy looks into its inbox before it sleeps anyway, so only one that sleeps costs its waker
//! a system call. Under load shards hand each other packets without any.

use crate::platform::{Bell, wait};
use crate::socket::MediaSocket;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use wtn_engine::Wake;

/// Makes a waker; one for each shard.
///
/// # Errors
///
/// The process is out of file descriptors.
pub fn waker() -> io::Result<Arc<Waker>> {
    Ok(Arc::new(Waker { state: AtomicU8::new(AWAKE), bell: Bell::new()? }))
}

/// The shard runs, and has not been called since its pass began.
const AWAKE: u8 = 0;
/// Called: the next pass begins without sleeping.
const CALLED: u8 = 1;
/// The shard sleeps, or is about to: who calls must ring.
const ASLEEP: u8 = 2;

/// Ends the sleep of one shard.
#[derive(Debug)]
pub struct Waker {
    state: AtomicU8,
    bell: Bell,
}

/// Why a sleep ended; both are false after a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Datagrams may have arrived.
    pub datagrams: bool,
    /// The bell rang.
    pub bell: bool,
}

impl Wake for Waker {
    /// What was put into the inbox before this call is seen by the pass that follows it.
    fn wake(&self) {
        if self.state.swap(CALLED, Ordering::AcqRel) == ASLEEP {
            self.bell.ring();
        }
    }
}

impl Waker {
    /// Says whose waker this is. Once, before the first [`Self::sleep`].
    pub(crate) fn attach(&self, socket: &MediaSocket) -> io::Result<()> {
        self.bell.attach(socket)
    }

    /// The shard begins a pass: calls from now on are for the next one.
    pub(crate) fn begin_pass(&self) {
        self.state.swap(AWAKE, Ordering::AcqRel);
    }

    /// Sleeps until datagrams arrive, somebody calls or `timeout` is over; not at all if somebody has called
    /// since the pass began. For the shard's thread alone.
    pub(crate) fn sleep(&self, socket: &MediaSocket, timeout: Option<Duration>) -> io::Result<Ready> {
        let lay_down = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        match lay_down {
            Ok(_) => wait(socket, &self.bell, timeout),
            Err(_) => Ok(Ready { datagrams: true, bell: true }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::MediaSockets;
    use std::net::UdpSocket;
    use std::sync::atomic::AtomicU64;
    use std::thread;
    use std::time::Instant;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    fn bed() -> (MediaSocket, Arc<Waker>) {
        let socket = MediaSockets::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let waker = waker().unwrap();
        waker.attach(&socket).unwrap();
        (socket, waker)
    }

    #[test]
    fn a_call_from_another_thread_ends_a_sleep() {
        let (socket, waker) = bed();
        waker.begin_pass();
        thread::scope(|scope| {
            scope.spawn(|| {
                while waker.state.load(Ordering::Acquire) != ASLEEP {
                    thread::yield_now();
                }
                waker.wake();
            });
            assert!(waker.sleep(&socket, LONG).unwrap().bell);
        });
    }

    #[test]
    fn a_call_during_a_pass_keeps_the_shard_from_sleeping_once() {
        let (socket, waker) = bed();
        waker.begin_pass();
        waker.wake();
        waker.wake();
        assert!(waker.sleep(&socket, LONG).unwrap().bell);
        waker.begin_pass();
        let short = Some(Duration::from_millis(1));
        assert_eq!(waker.sleep(&socket, short).unwrap(), Ready { datagrams: false, bell: false });
    }

    #[test]
    fn a_datagram_ends_a_sleep() {
        let (socket, waker) = bed();
        waker.begin_pass();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", socket.local_addr()).unwrap();
        assert!(waker.sleep(&socket, LONG).unwrap().datagrams);
    }

    #[test]
    fn a_sleep_is_never_shorter_than_its_timeout_and_keeps_to_microseconds() {
        let (socket, waker) = bed();
        let timeout = Duration::from_micros(300);
        let slept: Vec<_> = (0..20)
            .map(|_| {
                waker.begin_pass();
                let start = Instant::now();
                waker.sleep(&socket, Some(timeout)).unwrap();
                start.elapsed()
            })
            .collect();
        assert!(slept.iter().all(|slept| *slept >= timeout), "{slept:?}");
    }

    #[test]
    fn no_call_is_lost_however_sleeps_and_calls_interleave() {
        const CALLS: u64 = 20_000;
        let (socket, waker) = bed();
        let inbox = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=CALLS {
                    inbox.store(n, Ordering::Release);
                    waker.wake();
                    if n % 64 == 0 {
                        thread::yield_now();
                    }
                }
            });
            let start = Instant::now();
            loop {
                waker.begin_pass();
                if inbox.load(Ordering::Acquire) == CALLS {
                    break;
                }
                waker.sleep(&socket, LONG).unwrap();
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "a call was lost: the sleep ran its full time"
            );
        });
    }
}
