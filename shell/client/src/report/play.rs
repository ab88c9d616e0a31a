//! The player's report and its verdict.

use super::table::{Table, show_ms, show_times, write_verdict};
use super::{SCHEMA, ms, ms_between, printable, rounded};
use crate::error::{ClientError, Failure};
use crate::expect::{Expectation, Wanted};
use crate::meter::Tally;
use crate::player::PlayerStats;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};
use wtn_media::MediaKind;

/// A track that has been silent for longer when the player stops is dead. Opus with DTX still sends every
/// 400 ms.
const ALIVE_WITHIN: Duration = Duration::from_millis(1500);

/// What a player received. As JSON: these fields under these names; times in milliseconds, `null` if it never
/// happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlayReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// What was played, without query and credentials.
    pub url: String,
    /// What was expected has arrived: [`Self::failures`] is empty.
    pub ok: bool,
    /// Why not.
    pub failures: Vec<Failure>,
    /// POSTs that it took.
    pub attempts: u32,
    /// Seconds from connected to the end.
    pub seconds: f64,
    /// Since the POST that succeeded.
    pub times_ms: PlayTimes,
    /// Tracks of which anything came, video first.
    pub tracks: Vec<TrackReport>,
    /// By how much sound came later than its picture, by the sender reports.
    pub sound_late_ms: Option<f64>,
    /// RTX packets received.
    pub retransmissions: u64,
    /// PLIs sent.
    pub keyframe_requests: u64,
    /// NACKs sent for video.
    pub nacks: u64,
    /// The DELETE was answered with a 2xx.
    pub deleted: bool,
}

/// Milestones of joining, in milliseconds since the POST that succeeded was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PlayTimes {
    /// The answer was there.
    pub answer: Option<f64>,
    /// ICE and DTLS were through.
    pub connected: Option<f64>,
    /// The first RTP packet of any track.
    pub first_packet: Option<f64>,
    /// The last packet of the first keyframe.
    pub first_keyframe: Option<f64>,
}

/// One track as it arrived.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackReport {
    /// `video` or `audio`.
    pub kind: &'static str,
    /// Of the latest packet, by its registered name.
    pub codec: &'static str,
    /// Packets came until the end.
    pub alive: bool,
    /// Authentic packets, each counted once.
    pub packets: u64,
    /// Their payloads.
    pub bytes: u64,
    /// Payload bits a second, over the time in which packets came.
    pub kbps: f64,
    /// Packets that never came, not even repaired.
    pub lost: u64,
    /// Holes that RTX filled.
    pub repaired: u64,
    /// Packets that came after their hole had been given up; they are in `lost` too.
    pub too_late: u64,
    /// Packets that overtook others on the way.
    pub reordered: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that could not be authenticated or belonged to no known source.
    pub unreadable: u64,
    /// Interarrival jitter at the end (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
    /// Changes of the SSRC.
    pub source_changes: u64,
    /// Frames that came, whole or not; for audio packets.
    pub frames: u64,
    /// Frames that a decoder could have shown.
    pub frames_decodable: u64,
    /// Keyframes.
    pub keyframes: u64,
    /// Frames a second.
    pub fps: f64,
    /// The longest time without a packet.
    pub pause_ms_max: f64,
    /// The widest step from one frame's time stamp to the next.
    pub media_gap_ms_max: f64,
    /// From the last packet to the end.
    pub silent_at_end_ms: f64,
    /// Since the POST.
    pub first_packet_ms: Option<f64>,
    /// Since the POST.
    pub first_keyframe_ms: Option<f64>,
}

impl PlayReport {
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
            times_ms: PlayTimes::default(),
            tracks: Vec::new(),
            sound_late_ms: None,
            retransmissions: 0,
            keyframe_requests: 0,
            nacks: 0,
            deleted: false,
        }
    }

    /// 0 if all that was expected has arrived, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }

    /// The track of that kind, if anything of it came.
    pub fn track(&self, kind: MediaKind) -> Option<&TrackReport> {
        self.tracks.iter().find(|track| track.kind == kind.name())
    }

    pub(crate) fn take_media(&mut self, tracks: Vec<TrackReport>, stats: &PlayerStats) {
        let first = |of: fn(&TrackReport) -> Option<f64>| tracks.iter().filter_map(of).min_by(f64::total_cmp);
        self.times_ms.first_packet = first(|track| track.first_packet_ms);
        self.times_ms.first_keyframe = first(|track| track.first_keyframe_ms);
        self.tracks = tracks;
        self.sound_late_ms = stats.sound_late_ms.map(rounded);
        self.retransmissions = stats.retransmissions;
        self.keyframe_requests = stats.keyframe_requests;
        self.nacks = stats.nacks;
    }

    pub(crate) fn fail(&mut self, failures: Vec<Failure>) {
        self.failures.extend(failures);
        self.ok = self.failures.is_empty();
    }
}

/// The tracks of which anything came, video first; `since` is when the POST was sent, `now` when to judge.
pub(crate) fn track_reports<'a>(
    tallies: impl IntoIterator<Item = (MediaKind, &'a Tally)>,
    since: Instant,
    now: Instant,
) -> Vec<TrackReport> {
    let mut reports: Vec<_> =
        tallies.into_iter().filter_map(|(kind, tally)| track_report(kind, tally, since, now)).collect();
    reports.sort_by_key(|report| report.kind != MediaKind::Video.name());
    reports
}

fn track_report(kind: MediaKind, tally: &Tally, since: Instant, now: Instant) -> Option<TrackReport> {
    let (first, last) = (tally.first_packet_at?, tally.last_packet_at?);
    let span = (last - first).as_secs_f64();
    let frame_span =
        tally.first_frame_at.zip(tally.last_frame_at).map_or(0.0, |(from, to)| (to - from).as_secs_f64());
    let per_second = |count: f64, span: f64| if span > 0.0 { rounded(count / span) } else { 0.0 };
    let silent = now.saturating_duration_since(last);
    Some(TrackReport {
        kind: kind.name(),
        codec: tally.codec?.name(),
        alive: silent <= ALIVE_WITHIN,
        packets: tally.packets,
        bytes: tally.payload_bytes,
        kbps: per_second(tally.payload_bytes as f64 * 8.0 / 1e3, span),
        lost: tally.lost,
        repaired: tally.repaired,
        too_late: tally.too_late,
        reordered: tally.reordered,
        duplicates: tally.duplicates,
        unreadable: tally.unreadable,
        jitter_ms: ms(tally.jitter),
        source_changes: tally.source_changes,
        frames: tally.frames,
        frames_decodable: tally.frames_decodable,
        keyframes: tally.keyframes,
        fps: per_second(tally.frames.saturating_sub(1) as f64, frame_span),
        pause_ms_max: ms(tally.pause_max.max(silent)),
        media_gap_ms_max: ms(tally.media_gap_max),
        silent_at_end_ms: ms(silent),
        first_packet_ms: ms_between(since, tally.first_packet_at),
        first_keyframe_ms: ms_between(since, tally.first_keyframe_at),
    })
}

/// What is missing from `tracks`, measured by `expected`.
pub(crate) fn judge(expected: &Expectation, tracks: &[TrackReport]) -> Vec<Failure> {
    if tracks.is_empty() {
        return vec![Failure::new("connected, but no media arrived", "check that the publisher is sending")];
    }
    let find = |wanted: Wanted| tracks.iter().find(|track| track.kind == wanted.kind().name());
    if expected.wanted().is_empty() {
        return tracks.iter().filter_map(shortcoming).collect();
    }
    let missing = |wanted: &Wanted| match (wanted, find(*wanted)) {
        (_, None) => Some(Failure::new(
            format!("no {} arrived", wanted.kind()),
            format!("check that the publisher sends {wanted}"),
        )),
        (Wanted::Codec(codec), Some(track)) if track.codec != codec.name() => Some(Failure::new(
            format!("{} arrived as {} instead of {codec}", track.kind, track.codec),
            format!("publish in {codec}, or expect {}", track.codec.to_ascii_lowercase()),
        )),
        (_, Some(track)) => shortcoming(track),
    };
    expected.wanted().iter().filter_map(missing).collect()
}

fn shortcoming(track: &TrackReport) -> Option<Failure> {
    if track.frames_decodable == 0 {
        let why =
            if track.keyframes == 0 { "no keyframe came" } else { "no frame came whole after a keyframe" };
        return Some(Failure::new(
            format!("nothing of the {} can be decoded: {why}", track.kind),
            "let the publisher send a keyframe every two seconds, and look at the losses",
        ));
    }
    (!track.alive).then(|| {
        Failure::new(
            format!("{} stopped {} before the end", track.kind, show_ms(track.silent_at_end_ms)),
            "look whether the publisher has left or its connection broke",
        )
    })
}

impl fmt::Display for PlayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_verdict(f, &format!("played {} for {:.1} s", self.url, self.seconds), &self.failures)?;
        let times = &self.times_ms;
        let milestones = show_times([
            ("answer", times.answer),
            ("connected", times.connected),
            ("first packet", times.first_packet),
            ("first keyframe", times.first_keyframe),
        ]);
        if !milestones.is_empty() {
            writeln!(f, "\n  after the POST: {milestones}")?;
        }
        if !self.tracks.is_empty() {
            writeln!(f)?;
            self.tracks_table().fmt(f)?;
        }
        self.write_incidents(f)
    }
}

impl PlayReport {
    fn tracks_table(&self) -> Table {
        let mut table = Table::new(&[
            "track",
            "codec",
            "packets",
            "lost",
            "repaired",
            "frames",
            "decodable",
            "fps",
            "keyframes",
            "kbit/s",
            "jitter",
            "longest pause",
        ]);
        for track in &self.tracks {
            table.row(vec![
                track.kind.to_owned(),
                track.codec.to_owned(),
                track.packets.to_string(),
                track.lost.to_string(),
                track.repaired.to_string(),
                track.frames.to_string(),
                track.frames_decodable.to_string(),
                format!("{:.1}", track.fps),
                if track.kind == MediaKind::Video.name() {
                    track.keyframes.to_string()
                } else {
                    "-".to_owned()
                },
                format!("{:.0}", track.kbps),
                show_ms(track.jitter_ms),
                show_ms(track.pause_ms_max),
            ]);
        }
        table
    }

    /// What is worth a line only if it happened.
    fn write_incidents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut incidents = Vec::new();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                incidents.push(format!("{what}: {count}"));
            }
        };
        for track in &self.tracks {
            note(track.duplicates, &format!("{} packets twice", track.kind));
            note(track.reordered, &format!("{} packets out of order", track.kind));
            note(track.too_late, &format!("{} packets too late", track.kind));
            note(track.unreadable, &format!("{} packets unreadable", track.kind));
            note(track.source_changes, &format!("changes of the {} source", track.kind));
        }
        note(self.keyframe_requests, "keyframe requests sent");
        note(self.nacks, "NACKs sent");
        note(u64::from(self.attempts.saturating_sub(1)), "earlier attempts");
        if let Some(late) = self.sound_late_ms.filter(|late| late.abs() >= 20.0) {
            incidents.push(format!(
                "sound {} {} than picture",
                show_ms(late.abs()),
                if late > 0.0 { "later" } else { "earlier" }
            ));
        }
        if !incidents.is_empty() {
            writeln!(f, "\n  {}", incidents.join("; "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::Codec;

    /// Five seconds of 25 fps that end `silent_ms` before the player does.
    fn track(codec: Codec, decodable: u64, silent_ms: u64) -> TrackReport {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let tally = Tally {
            codec: Some(codec),
            packets: 250,
            payload_bytes: 62_500,
            frames: 126,
            frames_decodable: decodable,
            keyframes: u64::from(decodable > 0),
            first_packet_at: Some(start + ms(12)),
            last_packet_at: Some(start + ms(5_012)),
            first_frame_at: Some(start + ms(12)),
            last_frame_at: Some(start + ms(5_012)),
            first_keyframe_at: Some(start + ms(15)),
            ..Tally::default()
        };
        track_report(codec.kind(), &tally, start, start + ms(5_012 + silent_ms)).expect("packets came")
    }

    fn verdict(expected: &str, tracks: &[TrackReport]) -> Vec<String> {
        let expected =
            if expected.is_empty() { Expectation::default() } else { expected.parse().expect("known") };
        judge(&expected, tracks).into_iter().map(|failure| failure.why).collect()
    }

    #[test]
    fn numbers_are_rates_over_the_time_in_which_packets_came() {
        let track = track(Codec::H264, 126, 40);
        assert_eq!((track.fps, track.kbps), (25.0, 100.0));
        assert_eq!((track.first_packet_ms, track.first_keyframe_ms), (Some(12.0), Some(15.0)));
        assert_eq!((track.silent_at_end_ms, track.pause_ms_max), (40.0, 40.0));
    }

    #[test]
    fn what_was_expected_and_came_is_well() {
        let tracks = [track(Codec::H264, 126, 40), track(Codec::Opus, 126, 20)];
        for expected in ["", "h264", "opus", "h264+opus", "video+audio", "video"] {
            assert_eq!(verdict(expected, &tracks), [""; 0], "{expected}");
        }
    }

    #[test]
    fn another_codec_a_missing_track_or_nothing_at_all_is_a_failure() {
        let tracks = [track(Codec::Vp8, 126, 40)];
        assert_eq!(verdict("h264", &tracks), ["video arrived as VP8 instead of H264"]);
        assert_eq!(verdict("vp8+opus", &tracks), ["no audio arrived"]);
        assert_eq!(verdict("", &[]), ["connected, but no media arrived"]);
    }

    #[test]
    fn a_track_that_cannot_be_decoded_or_has_stopped_is_a_failure_expected_or_not() {
        let undecodable = [track(Codec::Vp8, 0, 40)];
        let stopped = [track(Codec::Vp8, 100, 1_600)];
        for expected in ["", "vp8", "video"] {
            assert_eq!(
                verdict(expected, &undecodable),
                ["nothing of the video can be decoded: no keyframe came"]
            );
            assert_eq!(verdict(expected, &stopped), ["video stopped 1600 ms before the end"]);
        }
    }

    #[test]
    fn a_track_that_nobody_expected_may_be_as_it_likes() {
        let tracks = [track(Codec::Vp8, 0, 40), track(Codec::Opus, 126, 20)];
        assert_eq!(verdict("opus", &tracks), [""; 0]);
    }

    #[test]
    fn scripts_get_the_same_fields_with_and_without_a_session() {
        let error = ClientError::NotConnected(Duration::from_secs(10));
        let mut report = PlayReport::without_session("http://h/whep/a?key=secret", &error);
        report.tracks.push(track(Codec::H264, 126, 40));
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["schema"], 1);
        assert_eq!(json["ok"], false);
        assert_eq!(json["url"], "http://h/whep/a");
        assert_eq!(json["failures"][0]["why"], "no media connection within 10.0 s of the answer");
        assert_eq!(json["times_ms"]["connected"], serde_json::Value::Null);
        assert_eq!(json["tracks"][0]["kind"], "video");
        assert_eq!(report.exit_code(), 1);
    }

    #[test]
    fn people_get_a_table_with_the_reason_first() {
        let error = ClientError::NotConnected(Duration::from_secs(10));
        let mut report = PlayReport::without_session("http://h/whep/a", &error);
        report.times_ms.answer = Some(3.25);
        report.tracks = vec![track(Codec::H264, 126, 40), track(Codec::Opus, 126, 20)];
        let lines: Vec<_> = report.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "FAILED: played http://h/whep/a for 0.0 s");
        assert_eq!(lines[1], "  no media connection within 10.0 s of the answer");
        assert!(lines[2].starts_with("    fix: "), "{}", lines[2]);
        assert_eq!(lines[4], "  after the POST: answer 3.2 ms");
        assert!(lines[6].starts_with("  track  codec  packets"), "{}", lines[6]);
        assert!(lines[7].starts_with("  video  H264       250"), "{}", lines[7]);
        assert_eq!(lines[6].len(), lines[7].len());
    }
}
