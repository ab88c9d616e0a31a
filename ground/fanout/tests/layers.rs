//! Stories of viewers whose lines carry this or that encoding.

#![allow(clippy::disallowed_methods, reason = "a test must begin at some instant")]
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

mod scene;

use scene::{Scene, VIEWER_VIDEO, rtcp_nack};
use std::time::Duration;
use wtn_fanout::{Skip, SubscriberId};
use wtn_media::plan::Feedback;
use wtn_media::{Codec, EncodingId, LayerSelection, MediaKind, Rid, Ssrc, rtcp};

const RICH: EncodingId = EncodingId(0);
const POOR: EncodingId = EncodingId(1);

fn by_remb() -> Feedback {
    Feedback { nack: true, remb: true, ..Feedback::default() }
}

impl Scene {
    /// A second of both encodings: 360 and 36 kbit/s of payload.
    fn second(&mut self) {
        for _ in 0..25 {
            self.simulcast(RICH, 1800, false);
            self.simulcast(POOR, 180, false);
        }
    }

    fn keyframes(&mut self) {
        self.simulcast(RICH, 1800, true);
        self.simulcast(POOR, 180, true);
    }

    fn remb(&mut self, id: u32, kbps: u64) {
        let mut compound = Vec::new();
        rtcp::write_remb(&mut compound, Ssrc(1), kbps * 1000, &[VIEWER_VIDEO]);
        self.stream.on_rtcp(self.now, SubscriberId(id), &compound, &mut self.recorder);
    }

    /// `count` packets of one encoding alone.
    fn only(&mut self, encoding: EncodingId, count: usize) {
        (0..count).for_each(|_| self.simulcast(encoding, 1000, false));
    }

    fn select(&mut self, id: u32, selection: Option<LayerSelection>) {
        self.stream.select(self.now, SubscriberId(id), selection, &mut self.recorder);
    }

    /// True if the last `count` packets to a viewer were of that encoding.
    fn last_encodings(&self, id: u32, count: usize, encoding: EncodingId) -> bool {
        let sent = self.sent_to(id);
        sent.len() >= count && sent[sent.len() - count..].iter().all(|sent| sent.encoding == encoding.0)
    }

    fn wishes(&mut self) -> Vec<EncodingId> {
        std::iter::from_fn(|| self.stream.poll_wish()).collect()
    }
}

/// Both encodings are known; viewer 1 tells of its line, viewer 2 does not.
fn begun() -> Scene {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join_telling(1, by_remb());
    scene.join(2);
    scene.keyframes();
    scene.second();
    scene.second();
    scene.remb(1, 1000);
    scene.keyframes();
    scene.wishes();
    scene
}

#[test]
fn rtp_10_a_switch_waits_for_the_keyframe_of_its_target_and_the_old_layer_runs_until_then() {
    let mut scene = begun();
    scene.remb(1, 100);
    assert_eq!(scene.wishes(), [POOR], "asked for at once");
    let before = scene.sent_to(1).len();
    scene.second();
    let during: Vec<_> = scene.sent_to(1)[before..].iter().map(|sent| sent.encoding).collect();
    assert_eq!(during, [RICH.0; 25], "the old one runs on");
    assert!(scene.skips(Skip::NoKeyframe) >= 25);
    scene.keyframes();
    let before = scene.sent_to(1).len();
    assert!(scene.sent_to(1)[before - 1].keyframe_start);
    scene.second();
    let after: Vec<_> = scene.sent_to(1)[before..].iter().map(|sent| sent.encoding).collect();
    assert_eq!(after, [POOR.0; 25]);
    assert!(scene.sent_to(2).iter().rev().take(20).all(|sent| sent.encoding == RICH.0), "the other viewer");
    assert_eq!(scene.recorder.switches, 1);
}

#[test]
fn rtp_09_fifty_switches_leave_no_gap_and_no_step_back() {
    let mut scene = begun();
    for round in 0..50 {
        scene.remb(1, if round % 2 == 0 { 100 } else { 1000 });
        // Nobody goes up again sooner.
        scene.now += Duration::from_secs(61);
        scene.second();
        scene.second();
        scene.second();
        scene.keyframes();
        scene.second();
    }
    let sent = scene.sent_to(1);
    let mut switches = 0;
    for pair in sent.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        assert!(pair[1].time.wrapping_sub(pair[0].time) < 1 << 31, "time goes on");
        if pair[1].encoding != pair[0].encoding {
            assert!(pair[1].keyframe_start, "a switch begins with a keyframe");
            switches += 1;
        }
    }
    assert!(switches >= 50, "{switches}");
}

#[test]
fn rtp_20_the_picture_is_numbered_for_those_who_report_and_for_nobody_else() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.join_telling(1, Feedback { nack: true, transport_cc: true, ..Feedback::default() });
    scene.join(2);
    scene.keyframe(1);
    scene.frames(5);
    let sound = scene.packet(MediaKind::Audio, false);
    scene.feed(vec![wtn_fanout::Feed::Packet(sound)]);
    let lost = scene.sent_to(1)[2].seq as u16;
    scene.now += Duration::from_millis(200);
    scene.stream.on_rtcp(scene.now, SubscriberId(1), &rtcp_nack(VIEWER_VIDEO, &[lost]), &mut scene.recorder);
    let numbers: Vec<_> = scene.sent_to(1).iter().map(|sent| sent.number).collect();
    let pictures = numbers.len() - 2;
    let mut expected: Vec<_> = (0..pictures as u16).map(Some).collect();
    // The sound is not numbered; the repair is.
    expected.extend([None, Some(pictures as u16)]);
    assert_eq!(numbers, expected);
    assert!(scene.sent_to(2).iter().all(|sent| sent.number.is_none()));
}

fn ask(rid: &str) -> Option<LayerSelection> {
    Some(LayerSelection { rid: Rid::new(rid), ..LayerSelection::default() })
}

/// Both encodings are known and have names; the viewer tells nothing of its line.
fn named() -> Scene {
    let mut scene = Scene::new(Codec::Vp8);
    scene.stream.set_rids(["hi", "lo"].into_iter().filter_map(Rid::new).collect());
    scene.join(1);
    scene.keyframes();
    scene.second();
    scene.second();
    scene.wishes();
    scene
}

#[test]
fn whep_29_a_viewer_gets_the_encoding_it_asks_for_with_its_next_keyframe_until_it_asks_no_more() {
    let mut scene = named();
    assert!(scene.last_encodings(1, 20, RICH));
    scene.select(1, ask("lo"));
    assert_eq!(scene.wishes(), [POOR], "asked for at once");
    scene.second();
    assert!(scene.last_encodings(1, 25, RICH), "the old one runs on");
    scene.wishes();
    scene.keyframes();
    scene.second();
    assert!(scene.last_encodings(1, 25, POOR));
    assert_eq!(scene.wishes(), [], "nobody waits");
    scene.select(1, None);
    scene.second();
    scene.keyframes();
    scene.second();
    assert!(scene.last_encodings(1, 25, RICH));
    let sent = scene.sent_to(1);
    assert!(sent.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "no gap and no step back");
}

#[test]
fn whep_29_an_encoding_that_falls_silent_is_replaced_and_comes_back() {
    let mut scene = named();
    scene.select(1, ask("lo"));
    scene.keyframes();
    scene.second();
    assert!(scene.last_encodings(1, 25, POOR));
    // It is gone for three seconds; the other one has a keyframe when asked.
    for _ in 0..3 {
        scene.only(RICH, 50);
        if scene.wishes().contains(&RICH) {
            scene.simulcast(RICH, 1000, true);
        }
    }
    assert!(scene.last_encodings(1, 25, RICH));
    scene.second();
    scene.second();
    assert_eq!(scene.wishes(), [POOR]);
    scene.keyframes();
    scene.second();
    assert!(scene.last_encodings(1, 25, POOR));
}
