//! The bare limit on this machine, now: each packet sealed once and handed to the kernel once, for as many receivers
//! that really read, in the same bursts. Nothing that a server must do besides is in it.

use crate::inbox::{self, Inbox};
use crate::machine::{pin_thread, thread_cpu_ns};
use crate::{BenchError, Stream};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use serde::Serialize;
use std::cell::RefCell;
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HEADER_LEN: usize = 20;
const TAG_LEN: usize = 16;
const AUDIO_LEN: usize = HEADER_LEN + 120 + TAG_LEN;
/// UDP_SEGMENT takes 64 KiB at most.
const RUN_MAX: usize = 48;

/// How packets are handed to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// A run of equal segments at once (UDP_SEGMENT).
    Runs,
    /// One call for each packet.
    Single,
    /// Not at all: sealing alone.
    Nothing,
}

/// CPU time of one thread per packet, in ns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// What one packet cost, sound included.
    pub ns_per_packet: f64,
    /// How many there were.
    pub packets: u64,
}

/// Sends the stream to `viewers` receivers for `length`, from a thread on `core`, and reads it on this one.
///
/// # Errors
/// A socket that cannot be opened, or a thread that ended early.
pub async fn floor(
    stream: Stream,
    viewers: usize,
    length: Duration,
    core: Option<usize>,
    handover: Handover,
    gro: bool,
) -> Result<Floor, BenchError> {
    let inbox = Rc::new(RefCell::new(Inbox::new()));
    let mut places = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..viewers {
        let (socket, local) = inbox::open(SocketAddr::from(([127, 0, 0, 1], 9)), gro).await?;
        places.push(local);
        let inbox = Rc::clone(&inbox);
        readers.push(tokio::task::spawn_local(async move {
            while socket.readable().await.is_ok() {
                let mut inbox = inbox.borrow_mut();
                while let Ok(Some(run)) = inbox.receive(&socket) {
                    std::hint::black_box(run.datagrams().count());
                }
            }
        }));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let sender = std::thread::spawn(move || {
        let cost = send(stream, &places, length, core, handover);
        told.store(true, Ordering::Release);
        cost
    });
    while !is_over.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    sender.join().map_err(|_| BenchError::Crypto)?
}

fn send(
    stream: Stream,
    places: &[SocketAddr],
    length: Duration,
    core: Option<usize>,
    handover: Handover,
) -> Result<Floor, BenchError> {
    if let Some(core) = core {
        pin_thread(&[core])?;
    }
    let mut sender = Sender::new(stream, places, handover)?;
    let every = Duration::from_secs(1) / stream.fps;
    let began = Instant::now();
    let (mut video_at, mut audio_at) = (began, began + every / 2);
    let (mut frame, mut packets, mut ran) = (0u32, 0u64, 0u64);
    while began.elapsed() < length {
        let now = Instant::now();
        let next = video_at.min(audio_at);
        if next > now {
            std::thread::sleep(next - now);
        }
        let before = thread_cpu_ns();
        if video_at <= audio_at {
            let is_key = frame.is_multiple_of(stream.keyframe_every);
            let count = usize::from(if is_key { stream.key_packets } else { stream.delta_packets });
            packets += sender.send(HEADER_LEN + stream.payload_len + TAG_LEN, count)?;
            (frame, video_at) = (frame + 1, video_at + every);
        } else {
            packets += sender.send(AUDIO_LEN, 1)?;
            audio_at += Duration::from_millis(stream.audio_ms.into());
        }
        ran += thread_cpu_ns() - before;
    }
    Ok(Floor { ns_per_packet: ran as f64 / packets.max(1) as f64, packets })
}

struct Sender {
    socket: UdpSocket,
    receivers: Vec<(SockaddrStorage, LessSafeKey)>,
    payload: Vec<u8>,
    run: Vec<u8>,
    sealed: u64,
    handover: Handover,
}

impl Sender {
    fn new(stream: Stream, places: &[SocketAddr], handover: Handover) -> Result<Self, BenchError> {
        let receiver = |(at, place): (usize, &SocketAddr)| {
            let mut key = [7; 16];
            key[..8].copy_from_slice(&at.to_le_bytes());
            let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| BenchError::Crypto)?;
            Ok((SockaddrStorage::from(*place), LessSafeKey::new(key)))
        };
        let len = HEADER_LEN + stream.payload_len + TAG_LEN;
        Ok(Self {
            socket: UdpSocket::bind("127.0.0.1:0")?,
            receivers: places.iter().enumerate().map(receiver).collect::<Result<_, BenchError>>()?,
            payload: vec![1; stream.payload_len],
            run: vec![0; len * RUN_MAX],
            sealed: 0,
            handover,
        })
    }

    /// `count` packets of `len` bytes to everybody.
    fn send(&mut self, len: usize, count: usize) -> Result<u64, BenchError> {
        for (place, key) in &self.receivers {
            let mut left = count;
            while left > 0 {
                let here = left.min(RUN_MAX);
                left -= here;
                for slot in self.run.chunks_mut(len).take(here) {
                    self.sealed += 1;
                    let mut nonce = [0; 12];
                    nonce[4..].copy_from_slice(&self.sealed.to_be_bytes());
                    let (header, rest) = slot.split_at_mut(HEADER_LEN);
                    let (body, tag) = rest.split_at_mut(len - HEADER_LEN - TAG_LEN);
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let payload = &self.payload[..body.len()];
                    key.seal_out_of_place_scatter(nonce, Aad::from(&*header), payload, body, &[], tag)
                        .map_err(|_| BenchError::Crypto)?;
                }
                let run = &self.run[..len * here];
                let segment = len as u16;
                let fd = self.socket.as_raw_fd();
                let hand = |bytes: &[u8], notes: &[ControlMessage<'_>]| {
                    // A full queue loses the packet, as it would a server's.
                    let _ = sendmsg(fd, &[IoSlice::new(bytes)], notes, MsgFlags::MSG_DONTWAIT, Some(place));
                };
                match self.handover {
                    Handover::Runs if here > 1 => hand(run, &[ControlMessage::UdpGsoSegments(&segment)]),
                    Handover::Runs | Handover::Single => run.chunks(len).for_each(|packet| hand(packet, &[])),
                    Handover::Nothing => {
                        std::hint::black_box(run);
                    }
                }
            }
        }
        Ok((self.receivers.len() * count) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_way_is_measured_and_a_call_for_each_packet_costs_the_most() {
        let stream = Stream { fps: 100, ..Stream::default() };
        let local = tokio::task::LocalSet::new();
        let mut costs = Vec::new();
        for handover in [Handover::Nothing, Handover::Runs, Handover::Single] {
            let length = Duration::from_millis(200);
            let measured = local.run_until(floor(stream, 5, length, None, handover, true)).await.unwrap();
            assert!(measured.packets > 100, "{measured:?}");
            costs.push(measured.ns_per_packet);
        }
        assert!(costs[0] > 0.0 && costs[0] < costs[2], "{costs:?}");
    }
}
