//! The publisher of a load: synthetic H.264 and Opus at a steady rate, each packet stamped when it leaves.

use crate::inbox::Inbox;
use crate::machine::wall_ns;
use crate::payload::{Kind, Part};
use crate::peer::{Door, Peer};
use crate::{BenchError, Stream};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use str0m::Event;
use str0m::media::{Direction, Mid, Pt};
use str0m::rtp::RtpWrite;
use tokio::sync::Notify;
use tokio::time::{Instant as TokioInstant, sleep_until};

const VIDEO_CLOCK: u32 = 90_000;
const AUDIO_EVERY: Duration = Duration::from_millis(20);
const AUDIO_TICKS: u32 = 960;
const AUDIO_LEN: usize = 120;
/// Whoever asks more often gets no more keyframes for it.
const KEYFRAME_SPACING: Duration = Duration::from_millis(500);

/// What a publisher has done so far, and how late.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub packets: Cell<u64>,
    pub keyframes: Cell<u64>,
    /// Frames that left more than 5 ms after their time: the tool had no core for them.
    pub late_frames: Cell<u64>,
    pub frames: Cell<u64>,
    pub is_connected: Cell<bool>,
    pub is_over: Cell<bool>,
}

/// Publishes until `stop`, then leaves. What it sends is told in `sent`.
pub(crate) async fn publish(
    door: Rc<Door>,
    stream: Stream,
    sent: Rc<Sent>,
    stop: Rc<Notify>,
) -> Result<(), BenchError> {
    let mut peer = Peer::join(&door, Direction::SendOnly).await?;
    let mut inbox = Inbox::new();
    let mut play = Playing::new(&peer, stream);
    let stopped = stop.notified();
    tokio::pin!(stopped);
    while !peer.is_over {
        let wake_at = play.next_at().map_or(peer.wake_at, |at| at.min(peer.wake_at));
        tokio::select! {
            biased;
            () = &mut stopped => break,
            () = sleep_until(TokioInstant::from_std(wake_at)) => {}
            ready = peer.socket.readable() => ready?,
        }
        let now = Instant::now();
        while let Some(run) = inbox.receive(&peer.socket)? {
            run.datagrams().for_each(|datagram| peer.handle(now, run.source, datagram));
        }
        peer.handle_timeout(now);
        drain(&mut peer, &mut play, now);
        if peer.connected_at.is_some() {
            sent.is_connected.set(true);
            play.perform(&mut peer, &sent);
        }
    }
    sent.is_over.set(true);
    peer.leave(&door).await;
    Ok(())
}

fn drain(peer: &mut Peer, play: &mut Playing, now: Instant) {
    peer.drain(now, |_, event| {
        if matches!(event, Event::KeyframeRequest(_))
            && play.asked_at.is_none_or(|at| now >= at + KEYFRAME_SPACING)
        {
            play.asked_at = Some(now);
            play.is_key_due = true;
        }
    });
}

struct Playing {
    stream: Stream,
    video: Track,
    audio: Track,
    is_key_due: bool,
    asked_at: Option<Instant>,
}

struct Track {
    mid: Mid,
    next_at: Option<Instant>,
    seq: u64,
    time: u32,
    frame: u32,
}

impl Playing {
    fn new(peer: &Peer, stream: Stream) -> Self {
        let track = |mid| Track { mid, next_at: None, seq: 1_000, time: 0, frame: 0 };
        Self { stream, video: track(peer.video), audio: track(peer.audio), is_key_due: true, asked_at: None }
    }

    fn next_at(&self) -> Option<Instant> {
        [self.video.next_at, self.audio.next_at].into_iter().flatten().min()
    }

    fn perform(&mut self, peer: &mut Peer, sent: &Sent) {
        let now = Instant::now();
        let every = Duration::from_secs(1) / self.stream.fps;
        let video_at = *self.video.next_at.get_or_insert(now);
        let audio_at = *self.audio.next_at.get_or_insert(now + AUDIO_EVERY / 2);
        if video_at <= now {
            sent.frames.set(sent.frames.get() + 1);
            if now - video_at > Duration::from_millis(5) {
                sent.late_frames.set(sent.late_frames.get() + 1);
            }
            self.video.next_at = Some(video_at + every);
            self.picture(peer, now, sent);
        }
        if audio_at <= now {
            self.audio.next_at = Some(audio_at + AUDIO_EVERY);
            self.write(peer, now, Kind::Audio, 0, AUDIO_LEN, sent);
            drain(peer, self, now);
            self.audio.frame += 1;
            self.audio.time = self.audio.time.wrapping_add(AUDIO_TICKS);
        }
    }

    fn picture(&mut self, peer: &mut Peer, now: Instant, sent: &Sent) {
        let is_key = self.is_key_due || self.video.frame.is_multiple_of(self.stream.keyframe_every);
        self.is_key_due = false;
        let count = if is_key { self.stream.key_packets } else { self.stream.delta_packets };
        sent.keyframes.set(sent.keyframes.get() + u64::from(is_key));
        for index in 0..count {
            let kind = Kind::Video { is_key, count };
            self.write(peer, now, kind, index, self.stream.payload_len, sent);
        }
        drain(peer, self, now);
        self.video.frame += 1;
        self.video.time = self.video.time.wrapping_add(VIDEO_CLOCK / self.stream.fps);
    }

    /// Gives str0m a packet; it leaves with the next [`drain`].
    fn write(&mut self, peer: &mut Peer, now: Instant, kind: Kind, index: u16, len: usize, sent: &Sent) {
        let (track, is_last) = match kind {
            Kind::Audio => (&mut self.audio, true),
            Kind::Video { count, .. } => (&mut self.video, index + 1 == count),
        };
        let Some(pt) = payload_type(peer, track.mid) else { return };
        let payload = Part { frame: track.frame, index, sent_ns: wall_ns() }.write(kind, len);
        let write = RtpWrite::new(pt, track.seq.into(), track.time, now, payload).marker(is_last);
        track.seq += 1;
        if let Some(stream) = peer.rtc.direct_api().stream_tx_by_mid(track.mid, None) {
            stream.write_rtp(write.nackable(kind != Kind::Audio));
            sent.packets.set(sent.packets.get() + 1);
        }
    }
}

fn payload_type(peer: &Peer, mid: Mid) -> Option<Pt> {
    peer.rtc.media(mid)?.remote_pts().first().copied()
}
