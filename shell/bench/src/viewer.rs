//! One viewer of a load: a real session whose packets are all counted. A stated sample is decrypted besides, bit by
//! bit compared, and timed; the others' packets are told by their headers, which SRTP leaves readable.

use crate::BenchError;
use crate::inbox::Inbox;
use crate::payload::Part;
use crate::peer::{Door, Peer};
use crate::sequence::Sequence;
use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use str0m::Event;
use str0m::media::Direction;
use tokio::sync::Notify;
use tokio::time::{Instant as TokioInstant, sleep_until};

/// What all viewers of a thread have seen together.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From publisher to viewer, of the sample, in µs.
    pub transit: Histogram<u64>,
    /// Packets of the sample whose content was compared, and of those how many differed.
    pub compared: u64,
    pub corrupted: u64,
    /// Whether packets count now.
    pub is_counting: bool,
}

impl Seen {
    pub fn new() -> Self {
        Self { transit: transit_histogram(), compared: 0, corrupted: 0, is_counting: false }
    }

    pub fn restart(&mut self) {
        *self = Self { is_counting: true, ..Self::new() };
    }
}

/// Up to a minute, to three digits.
pub(crate) fn transit_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are in order"))
}

/// One viewer, as its load sees it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub posted_at: Option<Instant>,
    pub answered_at: Option<Instant>,
    pub connected_at: Option<Instant>,
    pub first_packet_at: Option<Instant>,
    /// By SSRC.
    pub streams: BTreeMap<u32, Sequence>,
    pub is_over: bool,
    pub failure: Option<String>,
}

/// Counts what its streams have got since the last restart: expected, received, duplicates, reordered.
impl Progress {
    pub fn totals(&self) -> [u64; 4] {
        self.streams.values().fold([0; 4], |sum, each| {
            [
                sum[0] + each.expected(),
                sum[1] + each.received,
                sum[2] + each.duplicates,
                sum[3] + each.reordered,
            ]
        })
    }
}

/// What a viewer needs of its load.
#[derive(Clone)]
pub(crate) struct Stage {
    pub door: Rc<Door>,
    pub inbox: Rc<RefCell<Inbox>>,
    pub seen: Rc<RefCell<Seen>>,
    /// Everybody leaves.
    pub stop: Rc<Notify>,
    /// Somebody's progress has changed.
    pub news: Rc<Notify>,
}

/// Watches until the stage is cleared.
pub(crate) async fn watch(stage: Stage, is_sampled: bool, progress: Rc<RefCell<Progress>>) {
    let outcome = session(&stage, is_sampled, &progress).await;
    let mut progress = progress.borrow_mut();
    progress.is_over = true;
    progress.failure = outcome.err().map(|error| error.to_string());
    stage.news.notify_one();
}

async fn session(stage: &Stage, is_sampled: bool, progress: &RefCell<Progress>) -> Result<(), BenchError> {
    let stopped = stage.stop.notified();
    tokio::pin!(stopped);
    // Registers for the stop before anything is awaited.
    stopped.as_mut().enable();
    let mut peer = Peer::join(&stage.door, Direction::RecvOnly).await?;
    {
        let mut progress = progress.borrow_mut();
        (progress.posted_at, progress.answered_at) = (Some(peer.posted_at), Some(peer.answered_at));
    }
    peer.drain(Instant::now(), |_, _| {});
    while !peer.is_over {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            ready = peer.socket.readable() => ready?,
            () = sleep_until(TokioInstant::from_std(peer.wake_at)) => {}
        }
        let now = Instant::now();
        let was_connected = peer.connected_at.is_some();
        receive(stage, is_sampled, progress, &mut peer, now)?;
        if peer.wake_at <= now || peer.connected_at.is_none() {
            peer.handle_timeout(now);
            peer.drain(now, |_, _| {});
        }
        if !was_connected && peer.connected_at.is_some() {
            progress.borrow_mut().connected_at = peer.connected_at;
            stage.news.notify_one();
        }
    }
    let is_early = peer.is_over;
    peer.leave(&stage.door).await;
    if is_early { Err(BenchError::Ended) } else { Ok(()) }
}

fn receive(
    stage: &Stage,
    is_sampled: bool,
    progress: &RefCell<Progress>,
    peer: &mut Peer,
    now: Instant,
) -> Result<(), BenchError> {
    let mut inbox = stage.inbox.borrow_mut();
    while let Some(run) = inbox.receive(&peer.socket)? {
        for datagram in run.datagrams() {
            let is_media = rtp(datagram).map(|(ssrc, seq)| count(progress, now, ssrc, seq)).is_some();
            if is_media && !is_sampled {
                continue;
            }
            peer.handle(now, run.source, datagram);
            let mut seen = stage.seen.borrow_mut();
            peer.drain(now, |_, event| {
                if let Event::RtpPacket(packet) = event
                    && seen.is_counting
                {
                    seen.compared += 1;
                    match Part::read(&packet.payload) {
                        Some(part) => {
                            let transit = run.at_ns.saturating_sub(part.sent_ns) / 1_000;
                            seen.transit.saturating_record(transit.max(1));
                        }
                        None => seen.corrupted += 1,
                    }
                }
            });
        }
    }
    Ok(())
}

fn count(progress: &RefCell<Progress>, now: Instant, ssrc: u32, seq: u16) {
    let mut progress = progress.borrow_mut();
    progress.first_packet_at.get_or_insert(now);
    match progress.streams.get_mut(&ssrc) {
        Some(sequence) => sequence.on_packet(seq),
        None => {
            progress.streams.insert(ssrc, Sequence::new(seq));
        }
    }
}

/// SSRC and sequence number, if it is RTP (RFC 7983 §7, RFC 5761 §4).
fn rtp(datagram: &[u8]) -> Option<(u32, u16)> {
    let (header, _) = datagram.split_first_chunk::<12>()?;
    let is_rtp = (128..192).contains(&header[0]) && !(192..224).contains(&header[1]);
    let seq = u16::from_be_bytes([header[2], header[3]]);
    is_rtp.then(|| (u32::from_be_bytes([header[8], header[9], header[10], header[11]]), seq))
}

/// The middle of some durations, in ms, and the 99th of a hundred.
pub(crate) fn middle_and_p99(mut times: Vec<Duration>) -> Option<(f64, f64)> {
    times.sort_unstable();
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len() - 1));
    let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
    (!times.is_empty()).then(|| Some((ms(at(0.5)?), ms(at(0.99)?))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_told_from_everything_else_by_its_header() {
        let mut datagram = [0; 20];
        datagram[..12].copy_from_slice(&[0x90, 0x80 | 96, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        assert_eq!(rtp(&datagram), Some((0x0304, 0x0102)));
        datagram[1] = 200;
        assert_eq!(rtp(&datagram), None);
        datagram[0] = 22;
        assert_eq!(rtp(&datagram), None);
        assert_eq!(rtp(&datagram[..8]), None);
    }

    #[test]
    fn middle_and_p99_of_a_few() {
        let times = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(middle_and_p99(times), Some((51.0, 100.0)));
        assert_eq!(middle_and_p99(Vec::new()), None);
    }
}
