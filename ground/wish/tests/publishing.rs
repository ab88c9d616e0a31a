//! Rows WHIP-01 to WHIP-17 of the checklist that other files do not have: what a POST leaves behind, and what not.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::HashSet;
use support::{Joined, SDP, Show, config, offer, refused};
use wtn_wish::{DeskConfig, Method};

const WHIP: &str = "/whip/live";

#[test]
fn whip_05_ten_thousand_session_urls_have_nothing_in_common() {
    let mut show = Show::open();
    let mut seen = HashSet::new();
    let mut ones = [0u32; 128];
    for _ in 0..10_000 {
        let joined = Joined::from(show.post(WHIP, &offer("pub-obs")));
        let secret = joined.url.strip_prefix("/session/").unwrap();
        assert_eq!(secret.len(), 32);
        let number = u128::from_str_radix(secret, 16).unwrap();
        (0..128).filter(|bit| number >> bit & 1 == 1).for_each(|bit| ones[bit] += 1);
        assert!(seen.insert(number), "twice the same");
        assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
    }
    // Ten standard deviations of 10 000 throws: a bit that is fixed, or counts, is far outside.
    assert!(ones.iter().all(|ones| (4_500..5_500).contains(ones)), "{ones:?}");
}

#[test]
fn whip_06_the_tag_is_strong_plain_and_each_sessions_own() {
    let mut show = Show::open();
    let tags: Vec<_> =
        ["/whip/a", "/whip/b"].map(|path| Joined::from(show.post(path, &offer("pub-obs"))).tag).into();
    for tag in &tags {
        let bare = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        assert!(!bare.is_empty());
        assert!(bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{tag}");
    }
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn whip_07_a_long_answer_stays_under_eight_kibibytes() {
    let addresses = (1..=8).map(|host| format!("203.0.113.{host}:8189").parse().unwrap()).collect();
    let mut show = Show::new(DeskConfig { candidates: addresses, ..config() });
    let sdp = show.publish("live", "pub-chromium-all").sdp;
    assert_eq!(sdp.matches("a=candidate:").count(), 8, "whip_12: all of them");
    assert!(sdp.starts_with("v=0\r\n") && sdp.ends_with("\r\n") && sdp.len() < 8 * 1024);
    assert_eq!(sdp.matches('\n').count(), sdp.matches("\r\n").count());
}

#[test]
fn whip_09_an_offer_cut_off_anywhere_is_refused_or_whole_and_leaves_nothing() {
    let mut show = Show::open();
    let whole = offer("pub-obs");
    for len in 0..whole.len() {
        let reply = show.post(WHIP, &whole[..len]);
        if reply.status == 201 {
            let url = Joined::from(reply).url;
            assert_eq!(show.call(Method::Delete, &url).send().status, 200);
        } else {
            assert!((400..500).contains(&reply.status), "{len}: {}", reply.status);
        }
        assert_eq!((show.desk.session_count(), show.desk.streams().count()), (0, 0), "{len}");
    }
    let endless = "a=x\r\n".repeat(10_000);
    assert!((400..500).contains(&show.post(WHIP, &format!("{whole}{endless}")).status));
}

#[test]
fn whip_10_two_videos_or_two_streams_are_too_many() {
    let mut show = Show::open();
    let whole = offer("pub-chromium-h264");
    let at = whole.find("m=video").unwrap();
    let (mid, _) = whole[at..].split_once("a=mid:").unwrap().1.split_once('\n').unwrap();
    let (mid, second) = (mid.trim(), "v2");
    let again = whole[at..].replace(&format!("a=mid:{mid}"), &format!("a=mid:{second}"));
    let group = whole.lines().find(|line| line.starts_with("a=group:BUNDLE")).unwrap().trim();
    let two = format!("{whole}{again}").replacen(group, &format!("{group} {second}"), 1);
    refused(&show.post(WHIP, &two), 422, "too_many_tracks");
    assert_eq!(show.post(WHIP, &whole).status, 201, "whip_17: at once");
}

#[test]
fn whip_11_a_section_that_cannot_be_taken_refuses_the_whole() {
    let mut show = Show::open();
    refused(&show.post(WHIP, &offer("pub-obs").replace("H264", "theora")), 422, "no_usable_codec");
    assert_eq!(show.desk.session_count(), 0);
}

#[test]
fn whip_14_the_answer_is_there_with_the_reply_and_waits_for_no_gathering() {
    let mut show = Show::open();
    let before = show.now;
    let joined = Joined::from(show.post(WHIP, &offer("pub-chromium-trickle")));
    assert!(joined.sdp.contains("a=candidate:") && joined.sdp.contains("a=end-of-candidates"));
    assert_eq!(show.now, before, "no time has to pass, and none is asked for");
}

#[test]
fn whip_17_a_failed_post_is_in_nobodys_way() {
    let mut show = Show::open();
    for bad in ["", "hello", &offer("play-chromium"), &offer("pub-obs").replace("H264", "theora")] {
        assert!(show.post(WHIP, bad).status >= 400);
        let joined = Joined::from(show.post(WHIP, &offer("pub-obs")));
        assert_eq!(show.call(Method::Delete, &joined.url).send().status, 200);
    }
    let body = offer("pub-obs");
    let wrong = show.call(Method::Post, WHIP).body("text/plain", body.as_bytes()).send();
    refused(&wrong, 415, "wrong_media_type");
    assert_eq!(show.call(Method::Post, WHIP).body(SDP, body.as_bytes()).send().status, 201);
}
