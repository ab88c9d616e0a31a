//! Several publishers of one stream: which is shown, and when another is.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, Show, offer, refused, with_policy};
use wtn_media::SessionId;
use wtn_wish::{Effect, Ending, Method, Policy, SecondPublisher};

const HOLD_DOWN: Duration = Duration::from_secs(10);

fn show() -> Show {
    Show::new(with_policy(Policy { second_publisher: SecondPublisher::Backup, ..Policy::default() }))
}

/// Whom the effects show, and whether at once.
#[track_caller]
fn shown(effects: &[Effect]) -> Option<(SessionId, bool)> {
    match effects {
        [] => None,
        [Effect::Show { session, at_once, .. }] => Some((*session, *at_once)),
        other => panic!("{other:?}"),
    }
}

/// A publisher that is connected and sends; whether it is shown at once.
fn publish(show: &mut Show, backup: u8) -> (SessionId, bool) {
    let joined = Joined::from(show.post(&format!("/whip/live?backup={backup}"), &offer("pub-obs")));
    assert!(joined.admission.stands_by);
    let at_once = shown(&show.desk.on_connected(show.now, joined.id())).is_some();
    assert_eq!(shown(&show.desk.on_flow(show.now, joined.id(), true)), None);
    (joined.id(), at_once)
}

fn flow(show: &mut Show, session: SessionId, flows: bool) -> Option<(SessionId, bool)> {
    shown(&show.desk.on_flow(show.now, session, flows))
}

fn live(show: &Show) -> Vec<(SessionId, u8, bool, bool)> {
    let stream = show.desk.streams().next().unwrap();
    stream.inputs.iter().map(|input| (input.session, input.backup, input.is_shown, input.flows)).collect()
}

#[test]
fn whip_15_the_first_is_shown_and_the_second_stands_by() {
    let mut show = show();
    let (main, is_shown) = publish(&mut show, 0);
    assert!(is_shown);
    let (backup, is_shown) = publish(&mut show, 1);
    assert!(!is_shown);
    assert_eq!(live(&show), [(main, 0, true, true), (backup, 1, false, true)]);
    assert_eq!(show.desk.next_timeout(), None);
}

#[test]
fn an_input_that_falls_silent_is_left_at_once_for_the_first_backup_that_sends() {
    let mut show = show();
    let (main, _) = publish(&mut show, 0);
    let (second, _) = publish(&mut show, 2);
    let (first, _) = publish(&mut show, 1);
    show.wait(Duration::from_secs(5));
    assert_eq!(flow(&mut show, main, false), Some((first, true)));
    assert_eq!(flow(&mut show, first, false), Some((second, true)));
    assert_eq!(flow(&mut show, second, false), None, "the last picture stays");
    assert_eq!(flow(&mut show, first, true), Some((first, true)), "nobody sends: no hold-down");
}

#[test]
fn an_input_that_leaves_is_followed_by_the_next_whoever_ends_it() {
    let mut show = show();
    let joined = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    show.desk.on_connected(show.now, joined.id());
    let (backup, _) = publish(&mut show, 1);
    assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
    assert_eq!(shown(&show.desk.on_ended(show.now, joined.id())), Some((backup, true)));
    let stream = show.desk.streams().next().unwrap();
    assert!(stream.live && stream.inputs.len() == 1);
}

#[test]
fn a_better_input_returns_by_a_keyframe_once_it_is_steady() {
    let mut show = show();
    let (backup, _) = publish(&mut show, 1);
    let (main, is_shown) = publish(&mut show, 0);
    assert!(!is_shown, "not before it is steady");
    let due = show.desk.next_timeout().unwrap();
    assert_eq!(due, show.now + HOLD_DOWN);
    show.wait(HOLD_DOWN - Duration::from_millis(1));
    assert_eq!(shown(&show.desk.settle_inputs(show.now)), None);
    show.wait(Duration::from_millis(1));
    assert_eq!(shown(&show.desk.settle_inputs(show.now)), Some((main, false)));
    assert_eq!(live(&show)[0], (backup, 1, true, true), "until its keyframe comes");
    assert_eq!(shown(&show.desk.settle_inputs(show.now)), None, "said once");
    let epoch = 4;
    assert!(show.desk.on_shown(show.now, main, epoch).is_empty());
    assert_eq!(live(&show)[1], (main, 0, true, true));
    assert_eq!(show.desk.next_timeout(), None);
}

#[test]
fn an_input_that_flaps_does_not_take_the_picture_along() {
    let mut show = show();
    let (main, _) = publish(&mut show, 0);
    let (backup, _) = publish(&mut show, 1);
    show.wait(Duration::from_secs(2));
    assert_eq!(flow(&mut show, main, false), Some((backup, true)));
    for _ in 0..20 {
        show.wait(Duration::from_secs(2));
        assert_eq!(flow(&mut show, main, true), None);
        show.wait(HOLD_DOWN - Duration::from_secs(1));
        assert_eq!(shown(&show.desk.settle_inputs(show.now)), None);
        assert_eq!(flow(&mut show, main, false), None);
    }
    assert_eq!(live(&show)[1], (backup, 1, true, true));
}

#[test]
fn a_turn_that_waits_for_its_keyframe_is_called_off_when_the_input_stops() {
    let mut show = show();
    let (backup, _) = publish(&mut show, 1);
    let (main, _) = publish(&mut show, 0);
    show.wait(HOLD_DOWN);
    assert_eq!(shown(&show.desk.settle_inputs(show.now)), Some((main, false)));
    assert_eq!(flow(&mut show, main, false), Some((backup, true)), "so that nobody waits for that keyframe");
    // The keyframe was faster than the calling off: what the engine says is so.
    assert_eq!(shown(&show.desk.on_shown(show.now, main, 4)), Some((backup, true)));
}

#[test]
fn who_connects_first_gets_a_second_for_its_first_picture() {
    let mut show = show();
    let main = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    assert_eq!(shown(&show.desk.on_connected(show.now, main.id())), Some((main.id(), true)));
    let (backup, _) = publish(&mut show, 1);
    show.wait(Duration::from_secs(1));
    assert_eq!(shown(&show.desk.settle_inputs(show.now)), Some((backup, true)));
}

#[test]
fn inputs_are_bounded_and_one_that_sends_nothing_makes_room() {
    let mut show = show();
    let inputs: Vec<_> = [0, 1, 1, 2].map(|backup| publish(&mut show, backup).0).into();
    let full = show.post("/whip/live", &offer("pub-obs"));
    refused(&full, 409, "too_many_inputs");
    assert_eq!(full.header("Retry-After"), Some("5"));
    assert_eq!(flow(&mut show, inputs[1], false), None);
    let fifth = Joined::from(show.post("/whip/live?backup=1", &offer("pub-obs")));
    let ghost = inputs[1];
    match &show.desk.on_connected(show.now, fifth.id())[..] {
        [Effect::End(ended, Ending::Replaced)] => assert_eq!(*ended, ghost),
        other => panic!("{other:?}"),
    }
    assert_eq!(live(&show).len(), 4);
}

#[test]
fn a_backup_is_named_by_its_url_and_only_where_backups_stand_by() {
    let mut show = show();
    refused(&show.post("/whip/live?backup=two", &offer("pub-obs")), 400, "bad_backup");
    refused(&show.post("/whip/live?backup=10", &offer("pub-obs")), 400, "bad_backup");
    let mut show = Show::open();
    refused(&show.post("/whip/live?backup=1", &offer("pub-obs")), 422, "no_backups");
    assert_eq!(show.post("/whip/live?backup=0", &offer("pub-obs")).status, 201);
}

#[test]
fn where_backups_are_no_longer_taken_the_next_publisher_replaces_them_all() {
    let mut show = show();
    let inputs = [publish(&mut show, 0).0, publish(&mut show, 1).0];
    show.desk.set_config(with_policy(Policy::default()));
    let third = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    assert!(!third.admission.stands_by);
    assert_eq!(show.connect(&third), inputs.map(|input| (input, Ending::Replaced)));
    assert_eq!(live(&show).len(), 1);
}

#[test]
fn a_viewer_is_measured_against_the_input_that_is_shown() {
    let mut show = show();
    let h265 = Joined::from(show.post("/whip/live", &offer("pub-libdatachannel-h265")));
    show.desk.on_connected(show.now, h265.id());
    show.desk.on_flow(show.now, h265.id(), true);
    publish(&mut show, 1);
    refused(&show.post("/whep/live", &offer("play-aiortc")), 422, "no_common_codec");
    show.wait(Duration::from_secs(2));
    flow(&mut show, h265.id(), false).unwrap();
    assert_eq!(show.post("/whep/live", &offer("play-aiortc")).status, 201);
}
