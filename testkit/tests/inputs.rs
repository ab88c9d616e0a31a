//! Backup inputs and publishers that come back, seen by real sessions in simulated time.

use std::time::{Duration, Instant, SystemTime};
use wtn_media::{Codec, MediaKind};
use wtn_testkit::{FrameId, Link, Script, Show, ms, secs};
use wtn_wish::{Endpoint, PolicyOverrides, SecondPublisher};

const SEEDS: [u64; 3] = [101, 202, 303];

fn line() -> Link {
    Link::PERFECT.delay(ms(10))
}

fn backed_up(seed: u64, shards: u16, hold_down: u32) -> Show {
    let mut show = Show::new(seed, shards);
    let policy = PolicyOverrides {
        second_publisher: Some(SecondPublisher::Backup),
        hold_down_seconds: Some(hold_down),
        ..PolicyOverrides::default()
    };
    show.arrange(|desk| {
        desk.put_endpoint(Endpoint {
            name: "live".to_owned(),
            publish_keys: Vec::new(),
            play_keys: Vec::new(),
            ice_servers: None,
            policy,
        })
    });
    show
}

/// The input that is shown, by when it was opened.
fn is_shown(show: &Show) -> Vec<bool> {
    show.server.inputs("live").iter().map(|input| input.is_shown).collect()
}

/// Whose frames a viewer could decode, one after the other, and the longest time without a new one since `from`.
fn watched(show: &mut Show, viewer: usize, from: Instant) -> (Vec<u16>, Duration) {
    let now = show.world.now();
    let decodable = show.viewer(viewer).reception(MediaKind::Video).decodable();
    let mut publishers: Vec<u16> = decodable.iter().map(|(id, _)| id.publisher).collect();
    publishers.dedup();
    let since: Vec<Instant> =
        decodable.iter().map(|(_, at)| *at).filter(|at| *at >= from).chain([now]).collect();
    let pause = since.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    (publishers, pause)
}

/// Same session, numbers without a gap, clocks that only go on, sound and picture of the same publisher in step.
fn check_continuity(show: &mut Show, viewer: usize) {
    assert!(show.viewer(viewer).standing().is_connected());
    for kind in MediaKind::ALL {
        let reception = show.viewer(viewer).reception(kind);
        assert_eq!(reception.missing(), 0, "{kind}: a gap in the numbers");
        assert_eq!(reception.duplicates(), 0, "{kind}");
        // In the order of their timestamps they also came.
        let frames: Vec<_> = reception.frames().collect();
        assert!(
            frames.windows(2).all(|pair| pair[0].first_seq < pair[1].first_seq),
            "{kind}: time went back"
        );
    }
}

/// How far apart, by the sender reports before them, sound and picture of a publisher were at most since `from`,
/// beyond how far apart they were sent. Of each frame the sound that was sent next to it counts.
fn lip_error(show: &mut Show, viewer: usize, publisher: usize, from: Instant) -> Duration {
    let [audio, video] = MediaKind::ALL.map(|kind| {
        let of = |(id, _): &&(FrameId, SystemTime)| id.publisher == publisher as u16;
        let moments: Vec<_> = show.viewer(viewer).moments(kind).iter().filter(of).copied().collect();
        let sent = |(id, moment)| (show.publisher(publisher).sent_at(kind, id).expect("it was sent"), moment);
        moments.into_iter().map(sent).collect::<Vec<_>>()
    });
    let errors = video.iter().filter(|(sent, _)| *sent >= from).map(|(sent, moment)| {
        let apart = |other: &Instant| other.max(sent).duration_since(*other.min(sent));
        let (sound_sent, sound) = audio.iter().min_by_key(|(other, _)| apart(other)).expect("there is sound");
        // Both as they would be if they had been sent together.
        let (picture, sound) =
            (*moment + sound_sent.duration_since(from), *sound + sent.duration_since(from));
        picture.duration_since(sound).unwrap_or_else(|error| error.duration())
    });
    errors.max().expect("there is a picture")
}

#[test]
fn rtp_23_sound_and_picture_stay_together_across_inputs_and_returns() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 3, 3);
        let main = show.publish("live", Script::CAMERA);
        // Its line is longer, and its clocks start elsewhere.
        let backup = show.publish_over("live?backup=1", Script::OBS, Link::PERFECT.delay(ms(60)));
        show.run(secs(6));
        let viewers: Vec<_> = (0..3).map(|_| show.watch("live", line())).collect();
        show.run(secs(6));
        show.publisher(main).pause(true);
        // The backup's last keyframe is up to eight seconds old: viewers get to the present first.
        show.run(secs(5));
        let present = show.world.now();
        show.run(secs(2));
        for viewer in &viewers {
            let error = lip_error(&mut show, *viewer, backup, present);
            assert!(error < ms(40), "seed {seed}, viewer {viewer}: {error:?} on the backup");
        }
        show.publisher(main).pause(false);
        let back = show.world.now();
        show.run(secs(6));
        assert_eq!(is_shown(&show), [true, false]);
        for viewer in &viewers {
            let error = lip_error(&mut show, *viewer, main, back);
            println!("{error:?}");
            assert!(error < ms(40), "seed {seed}, viewer {viewer}: {error:?} on the return");
        }
    }
}

#[test]
fn the_best_dies_silently_and_the_backup_is_shown_within_a_second() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 3, 5);
        let main = show.publish("live", Script::CAMERA);
        let backup = show.publish("live?backup=1", Script::CAMERA);
        show.run(secs(1));
        let viewers: Vec<_> = (0..4).map(|_| show.watch("live", line())).collect();
        show.run(secs(3));
        assert_eq!(is_shown(&show), [true, false]);
        show.publisher(main).pause(true);
        let stopped = show.world.now();
        show.run(secs(4));
        assert_eq!(is_shown(&show), [false, true]);
        assert!(show.publisher(main).standing().is_connected(), "its session lives");
        for viewer in viewers {
            let (publishers, pause) = watched(&mut show, viewer, stopped - ms(100));
            assert_eq!(publishers, [main as u16, backup as u16], "seed {seed}, viewer {viewer}");
            assert!(pause < ms(1300), "seed {seed}, viewer {viewer}: {pause:?} without a picture");
            check_continuity(&mut show, viewer);
        }
        assert_eq!(show.lacking_lately(backup), []);
    }
}

#[test]
fn an_encoder_that_ignores_requests_is_switched_to_from_its_last_keyframe() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 2, 5);
        let main = show.publish("live", Script::OBS);
        show.publish("live?backup=1", Script::OBS);
        show.run(secs(1));
        let viewer = show.watch("live", line());
        // In the midst of both encoders' eight seconds between keyframes.
        show.run(secs(3));
        show.unpublish(main);
        let left = show.world.now();
        show.run(secs(2));
        let (_, pause) = watched(&mut show, viewer, left - ms(100));
        assert!(pause < ms(250), "seed {seed}: {pause:?} without a picture");
        check_continuity(&mut show, viewer);
    }
}

#[test]
fn the_better_one_returns_on_its_own_keyframe_after_the_hold_down() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 3, 5);
        let script = Script { keyframe_every: 0, ..Script::CAMERA };
        let main = show.publish("live", script);
        let backup = show.publish("live?backup=1", script);
        show.run(secs(1));
        let viewers: Vec<_> = (0..3).map(|_| show.watch("live", line())).collect();
        show.run(secs(2));
        show.publisher(main).pause(true);
        show.run(secs(3));
        assert_eq!(is_shown(&show), [false, true]);
        let late = show.watch("live", line());
        show.publisher(main).pause(false);
        let back = show.world.now();
        show.run(ms(4800));
        assert_eq!(is_shown(&show), [false, true], "not before the hold-down is over");
        let asked = show.publisher(main).keyframes_asked();
        show.run(secs(1));
        assert_eq!(is_shown(&show), [true, false]);
        assert_eq!(show.publisher(main).keyframes_asked(), asked + 1, "one request for all viewers");
        show.run(secs(1));
        for viewer in viewers.into_iter().chain([late]) {
            let (publishers, pause) = watched(&mut show, viewer, back + secs(3));
            assert_eq!(publishers.last(), Some(&(main as u16)));
            assert!(publishers.contains(&(backup as u16)));
            assert!(pause < ms(150), "seed {seed}, viewer {viewer}: {pause:?}: the switch can be seen");
            check_continuity(&mut show, viewer);
        }
        assert_eq!(show.lacking_lately(main), []);
    }
}

#[test]
fn an_encoder_that_flaps_costs_viewers_one_switch() {
    let mut show = backed_up(SEEDS[0], 2, 4);
    let main = show.publish("live", Script::CAMERA);
    let backup = show.publish("live?backup=1", Script::CAMERA);
    show.run(secs(1));
    let viewer = show.watch("live", line());
    show.run(secs(2));
    for _ in 0..6 {
        show.publisher(main).pause(true);
        show.run(secs(2));
        show.publisher(main).pause(false);
        show.run(secs(3));
    }
    let now = show.world.now();
    let (publishers, _) = watched(&mut show, viewer, now);
    assert_eq!(publishers, [main as u16, backup as u16]);
    check_continuity(&mut show, viewer);
}

#[test]
fn of_three_inputs_with_different_codecs_each_has_its_turn() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 4, 3);
        let vp8 = Script { video: Codec::Vp8, ..Script::CAMERA };
        let main = show.publish("live", Script::CAMERA);
        let first = show.publish("live?backup=1", vp8);
        let second = show.publish("live?backup=2", Script::LIGHT);
        show.run(secs(1));
        let viewers: Vec<_> = (0..4).map(|_| show.watch_all("live", line())).collect();
        show.run(secs(2));
        show.publisher(main).vanish();
        show.run(secs(3));
        assert_eq!(is_shown(&show), [false, true, false]);
        show.publisher(first).pause(true);
        show.run(secs(3));
        assert_eq!(is_shown(&show), [false, false, true]);
        show.publisher(first).pause(false);
        show.run(secs(6));
        assert_eq!(is_shown(&show), [false, true, false]);
        let order = [main, first, second, first].map(|publisher| publisher as u16);
        for viewer in viewers {
            let now = show.world.now();
            assert_eq!(watched(&mut show, viewer, now).0, order, "seed {seed}, viewer {viewer}");
            check_continuity(&mut show, viewer);
        }
    }
}

#[test]
fn simulcast_inputs_switch_with_every_encoding() {
    for seed in SEEDS {
        let mut show = backed_up(seed, 3, 3);
        let main = show.publish("live", Script::SIMULCAST);
        let backup = show.publish("live?backup=1", Script::SIMULCAST);
        show.run(secs(1));
        let viewers = [show.watch("live", line()), show.watch("live", Link::kbps(900).delay(ms(20)))];
        show.run(secs(12));
        show.publisher(main).pause(true);
        show.run(secs(2));
        show.publisher(main).pause(false);
        let back = show.world.now();
        show.run(secs(8));
        assert_eq!(is_shown(&show), [true, false]);
        for viewer in viewers {
            let (publishers, pause) = watched(&mut show, viewer, back + secs(2));
            let of = |publisher: &u16| usize::from(publisher % wtn_testkit::ENCODING);
            assert_eq!(publishers.last().map(of), Some(main));
            assert!(publishers.iter().any(|publisher| of(publisher) == backup));
            assert!(pause < ms(700), "seed {seed}, viewer {viewer}: {pause:?}");
            assert!(show.viewer(viewer).standing().is_connected());
        }
    }
}

#[test]
fn when_every_input_has_left_viewers_have_the_grace_time() {
    let mut show = backed_up(SEEDS[1], 3, 3);
    let inputs = [show.publish("live", Script::SMALL), show.publish("live?backup=1", Script::SMALL)];
    show.run(secs(1));
    let viewer = show.watch("live", line());
    show.run(secs(1));
    for input in inputs {
        show.unpublish(input);
        show.run(secs(8));
        assert!(show.viewer(viewer).standing().is_connected());
    }
    show.run(secs(5));
    assert!(!show.viewer(viewer).standing().is_connected());
    assert_eq!(show.server.sessions(), 0);
    assert_eq!(show.server.sessions_on_desk(), 0);
}

#[test]
fn an_input_that_stands_by_may_leave_and_nobody_notices() {
    let mut show = backed_up(SEEDS[2], 3, 3);
    let main = show.publish("live", Script::CAMERA);
    let backup = show.publish("live?backup=1", Script::CAMERA);
    show.run(secs(1));
    let viewer = show.watch("live", line());
    show.run(secs(2));
    show.unpublish(backup);
    let left = show.world.now();
    show.run(secs(2));
    let (publishers, pause) = watched(&mut show, viewer, left - ms(500));
    assert_eq!(publishers, [main as u16]);
    assert!(pause < ms(100), "{pause:?}");
    check_continuity(&mut show, viewer);
}

#[test]
fn a_publisher_back_with_everything_new_finds_the_same_sessions() {
    let vp8 = Script { video: Codec::Vp8, ..Script::CAMERA };
    for (seed, second) in [(1, Script::CAMERA), (2, vp8), (3, Script { first_seq: Some(3), ..vp8 })] {
        let mut show = Show::new(seed, 3);
        let first = show.publish("live", Script { first_seq: Some(32_000), ..Script::CAMERA });
        show.run(secs(1));
        let viewers: Vec<_> = (0..4).map(|_| show.watch_all("live", line())).collect();
        show.run(secs(2));
        show.publisher(first).vanish();
        // Its silence ends it, or its successor does; the grace time covers both.
        show.run(secs(4));
        let back = show.world.now();
        let second = show.publish("live", second);
        show.run(secs(3));
        for viewer in viewers {
            let reception = show.viewer(viewer).reception(MediaKind::Video);
            let picture = reception.frames().find(|frame| frame.id.publisher == second as u16);
            let picture = *picture.expect("the second publisher's");
            assert!(picture.is_key && picture.at < back + ms(500), "within a keyframe");
            check_continuity(&mut show, viewer);
        }
        assert_eq!(show.lacking_lately(second), []);
    }
}
