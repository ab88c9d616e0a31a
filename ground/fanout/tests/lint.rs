//! What x264 really sends, as FFmpeg 5.1 packs it, and what is said about it.
//!
//! The fixtures are RTP packets, each behind its length in 16 bits: `testsrc` of 48 × 48 at ten frames a second, a
//! keyframe every two seconds but for the long one, from `ffmpeg -c:v libx264 -bf 0 -g 20 -sc_threshold 0 -f rtp` and
//! what their names say (`-bf 2`, `-g 80`, `-flags +global_header`).

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

use std::time::{Duration, Instant};
use wtn_fanout::Publisher;
use wtn_media::plan::{Feedback, PayloadFormat, TrackPlan};
use wtn_media::rtp::RtpView;
use wtn_media::{
    Codec, ExtensionMap, Format, LintCode, MediaKind, Mid, PayloadType, SessionPlan, Ssrc, peek,
};

/// All that is said of it, sender reports left out: the recording has none.
fn said(recording: &[u8]) -> Vec<LintCode> {
    let start = Instant::now();
    let payload_type = PayloadType::new(96).unwrap();
    let format = PayloadFormat { payload_type, format: Format::new(Codec::H264), rtx: None };
    let video = TrackPlan {
        kind: MediaKind::Video,
        mid: Mid::new("0").unwrap(),
        formats: vec![format],
        feedback: Feedback::default(),
        rids: Vec::new(),
        ssrcs: Vec::new(),
    };
    let plan = SessionPlan {
        tracks: vec![video],
        extensions: ExtensionMap::default(),
        reduced_size_rtcp: true,
        cname: "wtn".to_owned(),
    };
    let mut publisher = Publisher::new(start, 1, plan, Ssrc(1));
    let (mut said, mut rest, mut now, mut frames) = (Vec::new(), recording, start, 0);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (packet, after) = after.split_at(u16::from_be_bytes(*length).into());
        rest = after;
        let rtp = RtpView::parse(packet).unwrap();
        publisher.on_rtp(now, 65_536 + u64::from(rtp.sequence()), &rtp).unwrap();
        said.extend(publisher.poll_lint(now).map(|news| news.code));
        if rtp.marker() {
            frames += 1;
            now = start + Duration::from_millis(100) * frames;
        }
    }
    assert!(frames >= 60, "{frames} frames");
    said.retain(|code| *code != LintCode::NoSenderReports);
    said
}

/// Packets that begin a B slice, as their slice headers say.
fn b_slices(mut recording: &[u8]) -> usize {
    let mut count = 0;
    while let Some((length, after)) = recording.split_first_chunk::<2>() {
        let (packet, after) = after.split_at(u16::from_be_bytes(*length).into());
        recording = after;
        count += usize::from(peek::has_b_slice(Codec::H264, RtpView::parse(packet).unwrap().payload()));
    }
    count
}

#[test]
fn slice_headers_of_x264_are_read() {
    // ffprobe counts as many of 60 frames.
    assert_eq!(b_slices(include_bytes!("fixtures/x264-b-frames.rtp")), 36);
    assert_eq!(b_slices(include_bytes!("fixtures/x264-clean.rtp")), 0);
}

#[test]
fn x264_is_told_what_to_mend_and_left_alone_when_it_is() {
    assert_eq!(said(include_bytes!("fixtures/x264-clean.rtp")), []);
    assert_eq!(said(include_bytes!("fixtures/x264-b-frames.rtp")), [LintCode::BFrames]);
    assert_eq!(said(include_bytes!("fixtures/x264-long-gop.rtp")), [LintCode::KeyframesFarApart]);
    assert_eq!(said(include_bytes!("fixtures/x264-global-header.rtp")), [LintCode::ParameterSetsMissing]);
}
