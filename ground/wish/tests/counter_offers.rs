//! WHEP's counter-offers: 406 with an offer of ours, and the answer by PATCH.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, SDP, SDPFRAG, Show, config, keys, offer, refused};
use wtn_media::{Codec, DtlsRole, MediaKind, Role};
use wtn_wish::{DeskConfig, Effect, Method, Policy, Reply};

/// Friday, 20 November 2026, 16:00:00 UTC.
const NOW: u64 = 1_795_190_400;
const SECOND: Duration = Duration::from_secs(1);

fn willing() -> DeskConfig {
    DeskConfig { policy: Policy { counter_offer: true, ..Policy::default() }, ..config() }
}

/// A stream in H.264, and a viewer who knows none.
fn show(config: DeskConfig) -> (Show, String) {
    let mut show = Show::new(config);
    show.publish("live", "pub-obs");
    (show, offer("play-chromium").replace("H264/90000", "H263/90000"))
}

fn post(show: &mut Show, body: &str) -> Reply {
    let mut call = show.call(Method::Post, "/whep/live").body(SDP, body.as_bytes());
    call.request.unix_now = NOW;
    call.send()
}

struct Countered {
    url: String,
    tag: String,
    sdp: String,
}

#[track_caller]
fn countered(reply: &Reply) -> Countered {
    let sdp = String::from_utf8(reply.body.clone()).unwrap();
    assert_eq!((reply.status, reply.effects.len()), (406, 0), "{sdp}");
    let header = |name| reply.header(name).unwrap().to_owned();
    Countered { url: header("Location"), tag: header("ETag"), sdp }
}

fn patch(show: &mut Show, url: &str, content_type: &str, body: &str) -> Reply {
    show.call(Method::Patch, url).body(content_type, body.as_bytes()).send()
}

/// An answer as a browser would write it.
fn answer(offer: &str) -> String {
    let mut answer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n".to_owned();
    for section in offer.split("m=").skip(1) {
        let kept = ["audio ", "video ", "a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:"];
        let lines = section.split("\r\n").filter(|line| kept.iter().any(|start| line.starts_with(start)));
        let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
        answer += &format!("m={lines}").replace("m=video 0 ", "m=video 9 ");
        answer += "a=recvonly\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
        answer += &format!("a=fingerprint:sha-256 {}\r\na=setup:active\r\n", ["AB"; 32].join(":"));
    }
    answer
}

#[test]
fn whep_13_a_viewer_who_cannot_be_answered_gets_our_offer_and_a_pending_session() {
    let (mut show, body) = show(willing());
    let sessions = show.desk.session_count();
    let reply = post(&mut show, &body);
    let made = countered(&reply);
    assert!(reply.header("Content-Type").unwrap().starts_with("application/sdp;"));
    assert_eq!(reply.header("Accept-Patch"), Some(SDP));
    assert!(made.url.starts_with("/session/") && made.tag.starts_with('"'));
    assert!(made.sdp.contains("a=setup:actpass\r\n") && made.sdp.contains(" H264/90000\r\n"), "whep_14");
    assert_eq!(show.desk.session_count(), sessions, "nobody is admitted yet");
    for method in [Method::Get, Method::Head] {
        assert_eq!(show.call(method, &made.url).send().status, 204);
    }
}

#[test]
fn whep_13_off_by_default_and_then_it_is_422() {
    let (mut show, body) = show(config());
    refused(&post(&mut show, &body), 422, "no_common_codec");
}

#[test]
fn whep_13_who_can_be_answered_is_and_who_is_malformed_is_told_so() {
    let (mut show, body) = show(willing());
    assert_eq!(post(&mut show, &offer("play-chromium")).status, 201);
    refused(&post(&mut show, "hello"), 400, "not_sdp");
    refused(&post(&mut show, ""), 400, "empty");
    refused(&post(&mut show, &body.replace("a=ice-ufrag:", "a=ice-ufrag:!")), 400, "bad_ice_ufrag");
    let nobody = show.call(Method::Post, "/whep/other").body(SDP, body.as_bytes()).send();
    refused(&nobody, 409, "not_live");
    let publisher = show.call(Method::Post, "/whip/live").body(SDP, body.as_bytes()).send();
    refused(&publisher, 422, "bad_direction");
}

#[test]
fn whep_15_valid_until_is_a_quoted_date_thirty_seconds_ahead() {
    let (mut show, body) = show(willing());
    let reply = post(&mut show, &body);
    let expected = "application/sdp; valid-until=\"Fri, 20 Nov 2026 16:00:30 GMT\"";
    assert_eq!(reply.header("Content-Type"), Some(expected));
}

#[test]
fn whep_15_an_offer_stands_for_thirty_seconds() {
    for (waited, status) in [(29 * SECOND, 204), (31 * SECOND, 404)] {
        let (mut show, body) = show(willing());
        let made = countered(&post(&mut show, &body));
        show.wait(waited);
        assert_eq!(patch(&mut show, &made.url, SDP, &answer(&made.sdp)).status, status);
        if status == 404 {
            refused(&show.call(Method::Get, &made.url).send(), 404, "not_found");
        }
    }
}

#[test]
fn whep_16_the_answer_admits_the_viewer() {
    let (mut show, body) = show(willing());
    let made = countered(&post(&mut show, &body));
    let reply = patch(&mut show, &made.url, SDP, &answer(&made.sdp));
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let [Effect::Admit(admission)] = &reply.effects[..] else { panic!("{:?}", reply.effects) };
    assert_eq!((admission.role, admission.dtls_role), (Role::Subscriber, DtlsRole::Server));
    assert!(
        made.sdp
            .contains(&format!("a=ice-ufrag:{}\r\na=ice-pwd:{}", admission.local.ufrag, admission.local.pwd))
    );
    assert_eq!(admission.remote.ufrag, "abcd");
    let video = admission.plan.track(MediaKind::Video).unwrap();
    assert_eq!(video.formats[0].format.codec, Codec::H264);
    assert!(made.sdp.contains(&format!("a=ssrc:{} cname:", video.ssrcs[0].0.0)), "what was offered is sent");
    assert!(show.desk.on_connected(show.now, admission.session).is_empty());
    assert_eq!(show.desk.streams().map(|stream| stream.viewers).collect::<Vec<_>>(), [1]);
    let trickle = "a=end-of-candidates\r\n";
    let call = show.call(Method::Patch, &made.url).if_match(&made.tag).body(SDPFRAG, trickle.as_bytes());
    assert_eq!(call.send().status, 204, "the tag of the 406 is the session's");
    assert_eq!(show.call(Method::Delete, &made.url).send().status, 200);
}

#[test]
fn whep_16_a_malformed_answer_is_400_and_the_offer_still_stands() {
    let (mut show, body) = show(willing());
    let made = countered(&post(&mut show, &body));
    let good = answer(&made.sdp);
    let short = good[..good.find("m=video").unwrap()].to_owned();
    for (bad, code) in [("hello", "not_sdp"), ("", "empty"), (short.as_str(), "not_our_answer")] {
        refused(&patch(&mut show, &made.url, SDP, bad), 400, code);
    }
    let silent = good.replace("a=recvonly", "a=inactive");
    refused(&patch(&mut show, &made.url, SDP, &silent), 422, "no_media");
    refused(&patch(&mut show, &made.url, SDPFRAG, "a=end-of-candidates\r\n"), 415, "answer_wanted");
    refused(&patch(&mut show, &made.url, "", &good), 415, "answer_wanted");
    assert_eq!(patch(&mut show, &made.url, SDP, &good).status, 204);
}

#[test]
fn whep_16_an_answer_to_a_session_that_is_not_pending_is_415() {
    let (mut show, body) = show(willing());
    let made = countered(&post(&mut show, &body));
    let good = answer(&made.sdp);
    assert_eq!(patch(&mut show, &made.url, SDP, &good).status, 204);
    refused(&patch(&mut show, &made.url, SDP, &good), 415, "wrong_media_type");
    let viewer = show.watch("live", "play-chromium");
    refused(&patch(&mut show, &viewer.url, SDP, &good), 415, "wrong_media_type");
}

#[test]
fn whep_13_a_pending_session_belongs_to_its_key_and_can_be_deleted() {
    let mut show = Show::new(DeskConfig { play_keys: keys(&["a", "b"]), ..willing() });
    show.publish("live", "pub-obs");
    let body = offer("play-chromium").replace("H264/90000", "H263/90000");
    let reply = show.call(Method::Post, "/whep/live").key("Bearer a").body(SDP, body.as_bytes()).send();
    let made = countered(&reply);
    let good = answer(&made.sdp);
    refused(&patch(&mut show, &made.url, SDP, &good), 401, "no_token");
    refused(&show.call(Method::Delete, &made.url).key("Bearer b").send(), 403, "wrong_scope");
    assert_eq!(show.call(Method::Delete, &made.url).key("Bearer a").send().status, 200);
    let late = show.call(Method::Patch, &made.url).key("Bearer a").body(SDP, good.as_bytes()).send();
    refused(&late, 404, "not_found");
}

#[test]
fn whep_16_a_stream_that_has_ended_meanwhile_is_409() {
    let mut show = Show::new(willing());
    let publisher = show.publish("live", "pub-obs");
    let body = offer("play-chromium").replace("H264/90000", "H263/90000");
    let made = countered(&post(&mut show, &body));
    show.end(&publisher);
    refused(&patch(&mut show, &made.url, SDP, &answer(&made.sdp)), 409, "not_live");
}

#[test]
fn whep_13_offers_that_stand_are_bounded_and_free_their_place_when_time_is_up() {
    let (mut show, body) = show(willing());
    for _ in 0..1_024 {
        countered(&post(&mut show, &body));
    }
    refused(&post(&mut show, &body), 422, "no_common_codec");
    assert!(Joined::from(show.post("/whep/live", &offer("play-chromium"))).sdp.starts_with("v=0"));
    show.wait(30 * SECOND);
    countered(&post(&mut show, &body));
}
