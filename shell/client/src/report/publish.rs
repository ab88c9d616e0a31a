//! The publisher's report.

use super::table::{Table, show_ms, show_times, write_verdict};
use super::{SCHEMA, ms, printable};
use crate::error::{ClientError, Failure};
use crate::publisher::PublisherStats;
use serde::Serialize;
use std::fmt;
use wtn_media::{Codec, MediaKind};

/// What a publisher sent. As JSON: these fields under these names; times in milliseconds, `null` if it never
/// happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublishReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Where to, without query and credentials.
    pub url: String,
    /// Everything that was to be sent has been: [`Self::failures`] is empty.
    pub ok: bool,
    /// Why not.
    pub failures: Vec<Failure>,
    /// POSTs that it took.
    pub attempts: u32,
    /// Seconds from connected to the end.
    pub seconds: f64,
    /// Since the POST that succeeded.
    pub times_ms: PublishTimes,
    /// Video, then audio.
    pub tracks: Vec<SentReport>,
    /// RTP packets sent again on request.
    pub retransmissions: u64,
    /// PLIs and FIRs received.
    pub keyframe_requests: u64,
    /// Video packets that never reached the server, by its receiver reports.
    pub lost: u64,
    /// Round-trip time, by the same.
    pub rtt_ms: Option<f64>,
    /// The DELETE was answered with a 2xx.
    pub deleted: bool,
}

/// Milestones of joining, in milliseconds since the POST that succeeded was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PublishTimes {
    /// The answer was there.
    pub answer: Option<f64>,
    /// ICE and DTLS were through.
    pub connected: Option<f64>,
}

/// One track as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentReport {
    /// `video` or `audio`.
    pub kind: &'static str,
    /// By its registered name.
    pub codec: &'static str,
    /// Pictures, or packets of sound.
    pub frames: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// RTP packets.
    pub packets: u64,
    /// Encoded bytes.
    pub bytes: u64,
}

impl PublishReport {
    /// The report of a session that never was, so that scripts get the same object either way.
    pub fn without_session(url: &str, error: &ClientError) -> Self {
        Self { ok: false, failures: vec![error.into()], ..Self::blank(url, 0) }
    }

    pub(crate) fn blank(url: &str, attempts: u32) -> Self {
        Self {
            schema: SCHEMA,
            url: printable(url),
            ok: true,
            failures: Vec::new(),
            attempts,
            seconds: 0.0,
            times_ms: PublishTimes::default(),
            tracks: Vec::new(),
            retransmissions: 0,
            keyframe_requests: 0,
            lost: 0,
            rtt_ms: None,
            deleted: false,
        }
    }

    /// 0 if everything was sent, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }

    pub(crate) fn fail(&mut self, failures: Vec<Failure>) {
        self.failures.extend(failures);
        self.ok = self.failures.is_empty();
    }

    pub(crate) fn take_media(&mut self, codec: Codec, stats: &PublisherStats) {
        self.tracks = sent_reports(codec, stats);
        self.retransmissions = stats.retransmissions;
        self.keyframe_requests = stats.keyframe_requests;
        self.lost = stats.lost_remotely;
        self.rtt_ms = stats.rtt.map(ms);
    }
}

/// Video, then audio.
fn sent_reports(codec: Codec, stats: &PublisherStats) -> Vec<SentReport> {
    let report = |kind: MediaKind, codec: Codec| {
        let sent = stats.tracks[kind.index()];
        SentReport {
            kind: kind.name(),
            codec: codec.name(),
            frames: sent.frames,
            keyframes: sent.keyframes,
            packets: sent.packets,
            bytes: sent.bytes,
        }
    };
    vec![report(MediaKind::Video, codec), report(MediaKind::Audio, Codec::Opus)]
}

impl fmt::Display for PublishReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_verdict(f, &format!("published to {} for {:.1} s", self.url, self.seconds), &self.failures)?;
        let milestones =
            show_times([("answer", self.times_ms.answer), ("connected", self.times_ms.connected)]);
        if !milestones.is_empty() {
            writeln!(f, "\n  after the POST: {milestones}")?;
        }
        if !self.tracks.is_empty() {
            let mut table = Table::new(&["track", "codec", "frames", "keyframes", "packets", "bytes"]);
            for track in &self.tracks {
                let numbers = [track.frames, track.keyframes, track.packets, track.bytes];
                let names = [track.kind.to_owned(), track.codec.to_owned()];
                table.row(names.into_iter().chain(numbers.iter().map(u64::to_string)).collect());
            }
            write!(f, "\n{table}")?;
        }
        let rtt = self.rtt_ms.map_or(String::new(), |rtt| format!("; round trip {}", show_ms(rtt)));
        if self.times_ms.connected.is_some() {
            writeln!(
                f,
                "\n  keyframe requests {}; packets sent again {}; lost on the way {}{rtt}",
                self.keyframe_requests, self.retransmissions, self.lost
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::SentTrack;

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let error = ClientError::Refused {
            status: 409,
            why: "somebody publishes already".into(),
            fix: Some("choose another name".into()),
        };
        let report = PublishReport::without_session("http://h/whip/a", &error);
        let text = report.to_string();
        assert!(text.contains("  the server refused with 409: somebody publishes already\n"), "{text}");
        assert!(text.contains("    fix: choose another name\n"), "{text}");
        assert_eq!(report.exit_code(), 1);
    }

    #[test]
    fn tracks_are_told_video_first() {
        let mut stats = PublisherStats::default();
        stats.tracks[MediaKind::Video.index()] =
            SentTrack { frames: 25, keyframes: 1, bytes: 9, packets: 30 };
        let tracks = sent_reports(Codec::Vp9, &stats);
        assert_eq!((tracks[0].codec, tracks[0].frames, tracks[0].packets), ("VP9", 25, 30));
        assert_eq!((tracks[1].codec, tracks[1].frames), ("opus", 0));
    }
}
