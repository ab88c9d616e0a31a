//! Scripts of packets, and what is said about them.

use super::*;
use wtn_media::packet::{Marks, PacketInfo};
use wtn_media::{Format, RtpTime, SeqNo};

const P: &[u8] = &[0x41, 0b1100_0000];
const B: &[u8] = &[0x01, 0b1010_0000];

/// A publisher, and what was said of it: code, value while it lasts, millisecond.
struct Stage {
    start: Instant,
    lint: Lint,
    seq: u64,
    news: Vec<(LintCode, Option<i64>, u64)>,
}

impl Stage {
    fn new(max_kbps: Option<u64>) -> Self {
        let lint = Lint::new(max_kbps.map(|kbps| kbps * 1000));
        Self { start: Instant::now(), lint, seq: 100, news: Vec::new() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// A packet that arrives at `ms`, of the picture of the time `media_ms`.
    fn send(&mut self, ms: u64, media_ms: u64, codec: Codec, payload: &[u8], marks: Marks) {
        self.seq += 1;
        let info = PacketInfo {
            epoch: 256,
            kind: codec.kind(),
            encoding: EncodingId(0),
            format: Format::new(codec),
            seq: SeqNo(self.seq),
            time: RtpTime(1_000_000 + media_ms * u64::from(codec.clock_rate()) / 1000),
            marker: true,
            marks,
            arrived: self.at(ms),
        };
        self.lint.on_packet(&Packet::new(info, payload, []));
        self.look(ms);
    }

    fn look(&mut self, ms: u64) {
        let counts = (self.seq, self.seq);
        while let Some(news) = self.lint.poll(self.at(ms), || counts) {
            self.news.push((news.code, news.value, ms));
        }
    }

    /// Pictures every 40 ms until `until`, of which those that `key` picks are keyframes, with or without sets.
    fn pictures(&mut self, from: u64, until: u64, key: impl Fn(u64) -> Option<bool>) {
        self.lint.on_sender_report(MediaKind::Video);
        for ms in (from..until).step_by(40) {
            let marks = key(ms).map(|parameter_sets| Marks {
                keyframe_start: true,
                parameter_sets,
                ..Marks::default()
            });
            self.send(ms, ms, Codec::H264, P, marks.unwrap_or_default());
        }
    }

    fn codes(&self) -> Vec<LintCode> {
        self.news.iter().filter(|(_, value, _)| value.is_some()).map(|(code, ..)| *code).collect()
    }
}

#[test]
fn a_good_publisher_hears_nothing() {
    let mut stage = Stage::new(Some(100));
    stage.pictures(0, 60_000, |ms| (ms % 2000 == 0).then_some(true));
    assert_eq!(stage.news, []);
}

#[test]
fn b_frames_are_seen_by_their_slices_and_by_their_times_and_are_over_when_they_are() {
    for (p, b) in [(P, B), (P, P)] {
        let mut stage = Stage::new(None);
        stage.lint.on_sender_report(MediaKind::Video);
        let key = Marks { keyframe_start: true, parameter_sets: true, ..Marks::default() };
        // Sent as I P B B P B B: with slices that say so the times need not.
        for group in 0..50 {
            let at = group * 120;

            for (late, shown, payload) in [(0, 120, p), (40, 40, b), (80, 80, b)] {
                let shown = if b == B { late } else { shown };
                let marks = if group % 10 == 0 && late == 0 { key } else { Marks::default() };
                stage.send(at + late, at + shown, Codec::H264, payload, marks);
            }
        }
        assert_eq!(stage.codes(), [LintCode::BFrames], "{}", b == B);
        stage.pictures(6200, 30_000, |ms| (ms % 2000 == 0).then_some(true));
        let (code, value, ms) = stage.news[1];
        assert_eq!((code, value), (LintCode::BFrames, None));
        assert!((15_000..18_000).contains(&ms), "{ms}");
    }
}

#[test]
fn an_interval_of_eight_seconds_is_told_and_two_seconds_are_the_cure() {
    let mut stage = Stage::new(None);
    stage.pictures(0, 17_000, |ms| (ms % 8000 == 0).then_some(true));
    assert_eq!(stage.codes(), [LintCode::KeyframesFarApart]);
    assert_eq!(stage.news[0].1, Some(8000));
    stage.pictures(17_000, 40_000, |ms| (ms % 2000 == 0).then_some(true));
    assert_eq!(stage.news.len(), 2, "{:?}", stage.news);
    assert_eq!((stage.news[1].0, stage.news[1].1), (LintCode::KeyframesFarApart, None));
}

#[test]
fn who_answers_requests_may_have_keyframes_as_seldom_as_it_likes() {
    let mut stage = Stage::new(None);
    let asked = [5000, 40_000, 100_000];
    for (from, until) in [(0, 5000), (5000, 40_000), (40_000, 100_000), (100_000, 150_000)] {
        stage.pictures(from, until, |ms| {
            (ms == 0 || asked.contains(&(ms.saturating_sub(200)))).then_some(true)
        });
        stage.lint.on_keyframe_request(stage.at(until), EncodingId(0));
    }
    assert_eq!(stage.news, []);
}

#[test]
fn who_leaves_a_request_unanswered_is_told_at_once() {
    let mut stage = Stage::new(None);
    stage.pictures(0, 3000, |ms| (ms == 0).then_some(true));
    stage.lint.on_keyframe_request(stage.at(3000), EncodingId(0));
    stage.pictures(3000, 7000, |_| None);
    assert_eq!(stage.codes(), [LintCode::KeyframesFarApart]);
    assert!((4000..7000).contains(&stage.news[0].1.unwrap()), "{:?}", stage.news);
}

#[test]
fn uneven_keyframes_are_told() {
    let mut stage = Stage::new(None);
    let at = [0, 3000, 3400, 6400, 7000, 10_000, 10_400, 13_400];
    stage.pictures(0, 14_000, |ms| at.contains(&ms).then_some(true));
    assert_eq!(stage.codes(), [LintCode::KeyframesIrregular]);
    assert_eq!(stage.news[0].1, Some(3000));
}

#[test]
fn parameter_sets_that_never_come_and_such_that_come_once() {
    let mut stage = Stage::new(None);
    stage.pictures(0, 5000, |ms| (ms % 2000 == 0).then_some(false));
    assert_eq!(stage.codes(), [LintCode::ParameterSetsMissing]);

    let mut stage = Stage::new(None);
    stage.pictures(0, 5000, |ms| (ms % 2000 == 0).then_some(ms == 0));
    assert_eq!(stage.codes(), [LintCode::ParameterSetsNotRepeated]);
    stage.pictures(5000, 20_000, |ms| (ms % 2000 == 0).then_some(true));
    assert_eq!(stage.news[1].1, None);

    let mut stage = Stage::new(None);
    stage.lint.on_sender_report(MediaKind::Video);
    for ms in (0..20_000).step_by(40) {
        let marks = Marks { keyframe_start: ms % 2000 == 0, ..Marks::default() };
        stage.send(ms, ms, Codec::Vp8, P, marks);
    }
    assert_eq!(stage.news, [], "VP8 has none");
}

#[test]
fn sound_that_is_not_opus_is_told_at_its_first_packet() {
    let mut stage = Stage::new(None);
    stage.send(0, 0, Codec::Pcmu, &[0], Marks::default());
    assert_eq!(stage.news, [(LintCode::AudioNotOpus, Some(0), 0)]);
    stage.send(5000, 5000, Codec::Opus, &[0], Marks::default());
    assert_eq!(stage.news.len(), 1, "not so soon");
    stage.send(10_000, 10_000, Codec::Opus, &[0], Marks::default());
    assert_eq!(stage.news[1], (LintCode::AudioNotOpus, None, 10_000));
}

#[test]
fn a_bitrate_over_the_policy_is_told_once_it_lasts() {
    let mut stage = Stage::new(Some(400));
    stage.lint.on_sender_report(MediaKind::Video);
    let send = |stage: &mut Stage, from: u64, until: u64, bytes: usize| {
        for ms in (from..until).step_by(20) {
            stage.send(ms, ms, Codec::Vp8, &vec![0; bytes], Marks::default());
        }
    };
    // 400 kbit/s are 1000 bytes every 20 ms.
    send(&mut stage, 0, 10_000, 1050);
    send(&mut stage, 10_000, 12_000, 2000);
    send(&mut stage, 12_000, 20_000, 900);
    assert_eq!(stage.news, [], "a burst is none");
    send(&mut stage, 20_000, 30_000, 2000);
    assert_eq!(stage.codes(), [LintCode::BitrateOverPolicy]);
    assert!((780..=820).contains(&stage.news[0].1.unwrap()), "{:?}", stage.news);
    send(&mut stage, 30_000, 50_000, 900);
    assert_eq!(stage.news[1].1, None);
}

#[test]
fn a_clock_that_is_wrong_by_a_thousandth_is_told_and_a_crystal_or_a_queue_is_not() {
    let run = |media: fn(u64) -> u64, late: fn(u64) -> u64| {
        let mut stage = Stage::new(None);
        stage.lint.on_sender_report(MediaKind::Audio);
        for ms in (0..150_000).step_by(20) {
            stage.send(ms + late(ms), media(ms), Codec::Opus, &[0], Marks::default());
        }
        stage.news.first().map(|(code, value, _)| (*code, value.unwrap_or_default()))
    };
    let jitter = |ms: u64| ms * 7919 % 31;
    assert_eq!(run(|ms| ms, jitter), None);
    assert_eq!(run(|ms| ms + ms / 10_000, jitter), None, "100 ppm");
    assert_eq!(run(|ms| ms, |ms| if ms < 20_000 { ms / 100 } else { 200 }), None, "a queue that fills");
    let (code, ppm) = run(|ms| ms + ms / 1000, jitter).unwrap();
    assert_eq!(code, LintCode::ClockDrift);
    assert!((900..1100).contains(&ppm), "{ppm}");
    let (_, ppm) = run(|ms| ms - ms / 500, jitter).unwrap();
    assert!((-2200..-1800).contains(&ppm), "{ppm}");
}

#[test]
fn who_sends_no_sender_reports_is_told_after_a_while() {
    let mut stage = Stage::new(None);
    for ms in (0..20_000).step_by(20) {
        stage.send(ms, ms, Codec::Opus, &[0], Marks::default());
    }
    assert_eq!(stage.codes(), [LintCode::NoSenderReports]);
    assert!(stage.news[0].2 >= 15_000);
    stage.lint.on_sender_report(MediaKind::Audio);
    for ms in (20_000..40_000).step_by(20) {
        stage.send(ms, ms, Codec::Opus, &[0], Marks::default());
    }
    assert_eq!(stage.news[1].1, None);
}

#[test]
fn losses_on_the_way_here_are_told_in_per_mille() {
    let start = Instant::now();
    let mut lint = Lint::new(None);
    let mut told = Vec::new();
    let (mut expected, mut received) = (0, 0);
    for second in 0..60u64 {
        expected += 300;
        received += if second < 20 { 290 } else { 300 };
        let news = lint.poll(start + Duration::from_millis(second * 1100), || (expected, received));
        told.extend(news.map(|news| news.value));
    }
    assert_eq!(told, [Some(33), None]);
}
