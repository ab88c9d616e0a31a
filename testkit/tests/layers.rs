//! Stories about what lines carry: publishers that adapt to theirs, viewers whose line changes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say what it takes for granted")]

mod curve;

use curve::Moment;
use wtn_media::{EncodingId, LayerSelection, MediaKind, Rid};
use wtn_testkit::{ENCODING, Link, Script, Show, ms, secs};

/// A publisher that adapts, over a line that goes from 3 Mbit/s to 600 kbit/s and back.
#[test]
fn rtp_20_a_publisher_follows_its_line_by_our_feedback() {
    for seed in 0..3 {
        let mut show = Show::new(300 + seed, 2);
        let script = Script { adapts: Some((100, 2500)), keyframe_every: 0, ..Script::CAMERA };
        let line = |kbps| Link::kbps(kbps).delay(ms(20));
        let camera = show.publish_over("live", script, line(3000));
        let kbps = |show: &mut Show| show.publisher(camera).estimate().map_or(0, |bps| bps / 1000);
        show.run(secs(15));
        let wide = kbps(&mut show);
        assert!(wide > 1500, "seed {seed}: {wide} kbit/s on 3000");
        let id = show.publisher_id(camera);
        show.world.network.set_links(id, line(600), line(600));
        show.run(secs(8));
        let narrow = kbps(&mut show);
        assert!((150..=620).contains(&narrow), "seed {seed}: {narrow} kbit/s on 600");
        show.world.network.set_links(id, line(3000), line(3000));
        show.run(secs(30));
        let again = kbps(&mut show);
        assert!(again > 1500, "seed {seed}: {again} kbit/s on 3000 again");
    }
}

/// str0m has not the sense to heed REMB; that it is told so must do.
#[test]
fn rtp_21_a_publisher_that_is_held_to_a_bitrate_is_told_so() {
    let mut show = Show::new(310, 2);
    show.server.hold_to("held", 1200);
    let script = Script { adapts: Some((100, 2500)), ..Script::CAMERA };
    let held = show.publish("held", script);
    let free = show.publish("free", script);
    show.run(secs(5));
    assert_eq!(show.publisher(held).remb().map(|bps| bps / 1000), Some(1200));
    assert_eq!(show.publisher(free).remb(), None, "transport-wide feedback is better");
}

/// Kbit/s of the line, and the encoding that is right for it, by its place in [`Script::SIMULCAST`].
const STAGES: [(u64, u8); 4] = [(2500, 0), (400, 2), (1200, 1), (4000, 0)];
const STAGE_SECONDS: u64 = 40;

/// One viewer on a line that changes.
struct Story {
    show: Show,
    viewer: usize,
    link_kbps: u64,
    moments: Vec<Moment>,
    /// (when, which), by what reached the viewer.
    switches: Vec<(std::time::Duration, u8)>,
    watched: Option<EncodingId>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut show = Show::new(seed, 2);
        show.publish("live", Script::SIMULCAST);
        show.run(secs(3));
        let viewer = show.watch("live", line(STAGES[0].0));
        Self {
            show,
            viewer,
            link_kbps: STAGES[0].0,
            moments: Vec::new(),
            switches: Vec::new(),
            watched: None,
        }
    }

    fn set_line(&mut self, kbps: u64) {
        self.link_kbps = kbps;
        let id = self.show.viewer_id(self.viewer);
        self.show.world.network.set_links(id, Link::PERFECT.delay(ms(20)), line(kbps));
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 50 {
            self.show.run(ms(20));
            let (now, at) = (self.show.world.now(), self.show.world.elapsed());
            let queue = self.show.world.network.queue_towards(self.show.viewer_id(self.viewer), now);
            let report = self.show.line(self.viewer);
            let watched = report.and_then(|report| report.watched);
            if watched != self.watched {
                self.watched = watched;
                self.switches.extend(watched.map(|encoding| (at, encoding.0)));
            }
            let encoding = watched.map(|encoding| Script::SIMULCAST.encodings[usize::from(encoding.0)]);
            self.moments.push(Moment {
                at,
                link_kbps: self.link_kbps,
                estimate_kbps: report.and_then(|report| report.estimate_bps).unwrap_or(0) / 1000,
                watched_kbps: encoding.map_or(0, |encoding| encoding.kbps(Script::SIMULCAST.fps)),
                queue_ms: queue.as_millis() as u64,
            });
        }
    }

    /// Pictures that could be shown between two moments, of that encoding.
    fn shown(&mut self, encoding: u8, from: std::time::Instant, until: std::time::Instant) -> usize {
        let reception = self.show.viewer(self.viewer).reception(MediaKind::Video);
        let shown = reception.decodable().into_iter().filter(|(_, at)| (from..until).contains(at));
        shown.filter(|(id, _)| id.publisher / ENCODING == u16::from(encoding)).count()
    }
}

fn line(kbps: u64) -> Link {
    Link::kbps(kbps).delay(ms(20)).queue_len((kbps * 1000 / 8 / 4) as usize)
}

#[test]
fn rtp_22_each_viewer_gets_the_best_encoding_that_its_line_carries() {
    for seed in 0..5 {
        let mut story = Story::new(400 + seed);
        let mut before = 0;
        for (kbps, right) in STAGES {
            story.set_line(kbps);
            let (began, changed_at) = (story.show.world.elapsed(), story.switches.len());
            story.run(10);
            let settled = story.show.world.now();
            let settled_at = story.switches.len();
            story.run(STAGE_SECONDS - 10);
            let until = story.show.world.now();
            let tale = format!("seed {seed}, {kbps} kbit/s: {:?}", story.switches);
            let first = story.switches[changed_at..].iter().find(|(_, encoding)| *encoding == right);
            let took = first.map(|(at, _)| *at - began).expect(&tale);
            let within = if kbps < before { secs(3) } else { secs(10) };
            assert!(took <= within, "{took:?}, {tale}");
            assert_eq!(story.switches.len(), settled_at, "steady, {tale}");
            let shown = story.shown(right, settled, until);
            let owed = 30 * (STAGE_SECONDS as usize - 10);
            assert!(shown * 100 >= owed * 80, "{shown} pictures of {owed}, {tale}");
            before = kbps;
        }
        let mut queues: Vec<u64> = story.moments.iter().map(|moment| moment.queue_ms).collect();
        queues.sort_unstable();
        let p95 = queues[queues.len() * 95 / 100];
        assert!(p95 <= 150, "seed {seed}: {p95} ms of queue");
        if seed == 0 {
            curve::write("layers", &story.moments);
        }
    }
}

/// What a viewer on a good line got, beside one on the line of [`STAGES`], or alone.
fn beside(narrow: bool) -> (u64, u64, bool, Vec<u16>) {
    let mut show = Show::new(450, 2);
    show.publish("live", Script::SIMULCAST);
    show.run(secs(3));
    let good = show.watch("live", Link::PERFECT.delay(ms(10)));
    show.run(secs(7));
    let began = show.world.now();
    if narrow {
        let bad = show.watch("live", line(400));
        show.run(secs(10));
        let id = show.viewer_id(bad);
        show.world.network.set_links(id, Link::PERFECT, line(300).loss_percent(20.0));
    } else {
        show.run(secs(10));
    }
    show.run(secs(20));
    let now = show.world.now();
    let reception = show.viewer(good).reception(MediaKind::Video);
    let lately = reception.decodable().into_iter().filter(|(_, at)| *at > began);
    let mut encodings: Vec<u16> = lately.map(|(id, _)| id.publisher / ENCODING).collect();
    encodings.dedup();
    (reception.missing(), reception.duplicates(), reception.freeze_longest(now) < ms(200), encodings)
}

#[test]
fn rtp_22_a_narrow_line_changes_nothing_for_the_other_viewers() {
    assert_eq!(beside(false), (0, 0, true, vec![0]));
    assert_eq!(beside(true), (0, 0, true, vec![0]));
}

#[test]
fn rtp_22_a_viewer_of_one_encoding_is_not_asked_about_its_line() {
    let mut show = Show::new(460, 2);
    show.publish("live", Script::CAMERA);
    show.run(secs(1));
    let viewer = show.watch("live", line(2500));
    show.run(secs(3));
    assert_eq!(show.line(viewer), None);
}

fn ask(rid: &str) -> Option<LayerSelection> {
    Some(LayerSelection { rid: Rid::new(rid), ..LayerSelection::default() })
}

#[test]
fn whep_29_a_viewer_gets_the_layer_it_asks_for_and_a_collapse_of_its_line_still_wins() {
    for seed in 0..3 {
        let mut story = Story::new(470 + seed);
        story.set_line(4000);
        story.run(12);
        assert_eq!(story.watched, Some(EncodingId(0)), "seed {seed}");
        story.show.select(story.viewer, ask("m"));
        story.run(3);
        assert_eq!(story.watched, Some(EncodingId(1)), "seed {seed}: at the next keyframe");
        story.run(20);
        assert_eq!(story.watched, Some(EncodingId(1)), "seed {seed}: until told otherwise");
        // Two thirds of what it asked for: less of a picture, but one.
        story.set_line(400);
        story.run(10);
        let settled = story.show.world.now();
        story.run(10);
        let until = story.show.world.now();
        assert_eq!(story.watched, Some(EncodingId(2)), "seed {seed}");
        let shown = story.shown(2, settled, until);
        assert!(shown >= 200, "seed {seed}: {shown} pictures in 10 s");
        story.set_line(4000);
        story.run(40);
        assert_eq!(story.watched, Some(EncodingId(1)), "seed {seed}: what it asked for, and no more");
        story.show.select(story.viewer, None);
        story.run(20);
        assert_eq!(story.watched, Some(EncodingId(0)), "seed {seed}: its line decides again");
    }
}

#[test]
fn whep_28_layers_are_told_with_what_they_take_and_when_one_falls_silent() {
    let mut show = Show::new(480, 2);
    show.publish("live", Script::SIMULCAST);
    show.run(secs(4));
    let layers = show.server.layers().expect("told");
    let rids: Vec<_> = layers.iter().map(|layer| layer.rid.map(|rid| rid.to_string())).collect();
    assert_eq!(rids, ["h", "m", "l"].map(|rid| Some(rid.to_owned())));
    for (layer, encoding) in layers.iter().zip(Script::SIMULCAST.encodings) {
        let owed = encoding.kbps(Script::SIMULCAST.fps) as f64 * 1000.0;
        let told = f64::from(layer.bitrate) / owed;
        // With what packets have around them, and more or less of a keyframe.
        assert!((0.8..1.5).contains(&told), "{told} of {owed}");
    }
}
