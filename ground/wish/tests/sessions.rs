//! Rows of the checklist about sessions: PATCH, DELETE, and whose they are.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, SDP, SDPFRAG, Show, config, ending, fragment, keys, offer, refused, with_policy};
use wtn_wish::{DeskConfig, Ending, Method, Policy, Reply};

const OTHER_PWD: &str = "0123456789012345678901";

fn patch(show: &mut Show, joined: &Joined, tag: Option<&str>, body: &str) -> Reply {
    let mut call = show.call(Method::Patch, &joined.url).body(SDPFRAG, body.as_bytes());
    call.request.if_match = tag;
    call.send()
}

fn live() -> (Show, Joined) {
    let mut show = Show::open();
    let joined = show.publish("live", "pub-chromium-trickle");
    (show, joined)
}

#[test]
fn sess_01_a_trickle_with_the_tag_is_204_without_a_body_and_a_tag() {
    let (mut show, joined) = live();
    let reply = patch(&mut show, &joined, Some(&joined.tag), &joined.fragment());
    assert_eq!((reply.status, reply.body.len(), reply.header("ETag")), (204, 0, None));
    assert!(reply.effects.is_empty());
}

#[test]
fn sess_02_a_bad_fragment_harms_nothing() {
    let (mut show, joined) = live();
    for body in ["a=candidate:garbage\r\n", "\u{1}\u{2}", "", "{\"candidate\":\"\"}"] {
        refused(&patch(&mut show, &joined, Some(&joined.tag), body), 400, "bad_fragment");
    }
    let binary = show.call(Method::Patch, &joined.url).if_match("*").body(SDPFRAG, b"\xff\xfe\x00").send();
    refused(&binary, 400, "bad_fragment");
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &joined.fragment()).status, 204);
}

#[test]
fn sess_03_without_if_match_it_is_428() {
    let (mut show, joined) = live();
    refused(&patch(&mut show, &joined, None, &joined.fragment()), 428, "tag_missing");
}

#[test]
fn sess_03_the_operator_may_forgive_a_missing_tag_for_trickles_only() {
    let mut show = Show::new(with_policy(Policy { trickle_without_tag: true, ..Policy::default() }));
    let joined = show.publish("live", "pub-medooze");
    assert_eq!(patch(&mut show, &joined, None, &joined.fragment()).status, 204);
    refused(&patch(&mut show, &joined, None, &fragment("newufrag", OTHER_PWD)), 428, "tag_missing");
}

#[test]
fn sess_04_another_tag_is_412() {
    let (mut show, joined) = live();
    for stale in ["\"x\"", ""] {
        refused(&patch(&mut show, &joined, Some(stale), &joined.fragment()), 412, "tag_outdated");
    }
}

#[test]
fn sess_05_an_asterisk_with_the_current_credentials_is_a_trickle() {
    let (mut show, joined) = live();
    let reply = patch(&mut show, &joined, Some("*"), &joined.fragment());
    assert_eq!((reply.status, reply.effects.len()), (204, 0));
    let later = patch(&mut show, &joined, Some(&joined.tag), &joined.fragment());
    assert_eq!(later.status, 204, "the tag is what it was");
}

#[test]
fn sess_06_one_of_a_list_is_enough_and_a_weak_tag_never() {
    let (mut show, joined) = live();
    let list = format!("\"x\", {}", joined.tag);
    assert_eq!(patch(&mut show, &joined, Some(&list), &joined.fragment()).status, 204);
    let weak = format!("W/{}", joined.tag);
    refused(&patch(&mut show, &joined, Some(&weak), &joined.fragment()), 412, "tag_outdated");
}

#[test]
fn sess_07_a_quoted_asterisk_and_an_unquoted_tag_are_understood() {
    let (mut show, joined) = live();
    let bare = joined.tag.trim_matches('"').to_owned();
    assert_eq!(patch(&mut show, &joined, Some(&bare), &joined.fragment()).status, 204);
    assert_eq!(patch(&mut show, &joined, Some("\"*\""), &joined.fragment()).status, 204);
    assert_eq!(patch(&mut show, &joined, Some("\"*\""), &fragment("newufrag", OTHER_PWD)).status, 200);
}

#[test]
fn sess_08_candidates_that_nobody_can_use_are_passed_over() {
    let (mut show, joined) = live();
    let remote = &joined.admission.remote;
    let body = format!(
        "a=ice-ufrag:{}\na=ice-pwd:{}\nm=audio 9 RTP/AVP 0\na=mid:0\n\
         a=candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype active\n\
         a=candidate:2 1 udp 1 4e7a.local 9 typ host\n\
         a=candidate:3 1 udp 1 example.com 9 typ srflx raddr 0.0.0.0 rport 0\n\
         a=candidate:4 2 udp 1 10.0.0.1 4243 typ host\n\
         a=candidate:5 1 udp 1 0.0.0.0 4242 typ host\n\
         a=candidate:6 1 udp 1 10.0.0.1 4242 typ host\n",
        remote.ufrag, remote.pwd
    );
    let reply = patch(&mut show, &joined, Some(&joined.tag), &body);
    assert_eq!((reply.status, reply.effects.len()), (204, 0), "nothing is to be looked up or sent");
}

#[test]
fn sess_09_unknown_pairs_and_lines_and_names_in_capitals_are_read_past() {
    let (mut show, joined) = live();
    let remote = &joined.admission.remote;
    let body = format!(
        "a=Ice-Ufrag:{}\na=ICE-PWD:{}\nm=audio 9 RTP/AVP 0\na=mid:0\na=what:ever\nb=AS:1\n\
         a=Candidate:1 1 udp 1 10.0.0.1 9 typ host generation 0 ufrag X network-id 1 foo bar\n",
        remote.ufrag, remote.pwd
    );
    assert_eq!(patch(&mut show, &joined, Some("*"), &body).status, 204);
}

#[test]
fn sess_10_nothing_of_a_pseudo_media_line_is_looked_at() {
    let (mut show, joined) = live();
    for line in ["m=audio 9 RTP/AVP 0", "m=video 0 X/Y", "m=", "m=application 70000"] {
        let body = joined.fragment().replace("m=audio 9 RTP/AVP 0", line);
        assert_eq!(patch(&mut show, &joined, Some("*"), &body).status, 204, "{line}");
    }
}

#[test]
fn sess_11_credentials_count_at_either_level() {
    let (mut show, joined) = live();
    let remote = &joined.admission.remote;
    let candidate = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n";
    let credentials = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", remote.ufrag, remote.pwd);
    let media = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
    for body in [format!("{credentials}{media}{candidate}"), format!("{media}{credentials}{candidate}")] {
        assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &body).status, 204, "{body}");
    }
}

#[test]
fn sess_12_the_same_trickle_twice_is_harmless() {
    let (mut show, joined) = live();
    for _ in 0..2 {
        let reply = patch(&mut show, &joined, Some(&joined.tag), &joined.fragment());
        assert_eq!((reply.status, reply.effects.len()), (204, 0));
    }
}

#[test]
fn sess_13_end_of_candidates_counts_at_either_level_and_what_comes_after_is_ignored() {
    let (mut show, joined) = live();
    for end in ["a=end-of-candidates\r\n", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n"] {
        assert_eq!(patch(&mut show, &joined, Some("*"), end).status, 204);
        let late = patch(&mut show, &joined, Some("*"), &joined.fragment());
        assert_eq!((late.status, late.effects.len()), (204, 0), "we send checks to no candidate at all");
    }
}

#[test]
fn sess_14_sections_of_other_mids_are_ignored() {
    let (mut show, joined) = live();
    let candidate = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n";
    let sections = ["0", "1", "99"].map(|mid| format!("m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n{candidate}"));
    let body = joined.fragment() + &sections.concat();
    assert_eq!(patch(&mut show, &joined, Some(&joined.tag), &body).status, 204);
}

#[test]
fn whep_20_a_running_session_takes_fragments_only() {
    let (mut show, joined) = live();
    let full = offer("pub-chromium-trickle");
    for content_type in [SDP, "application/json", ""] {
        let reply =
            show.call(Method::Patch, &joined.url).if_match("*").body(content_type, full.as_bytes()).send();
        refused(&reply, 415, "wrong_media_type");
        assert_eq!(reply.header("Accept-Patch"), Some(SDPFRAG));
    }
    let text = joined.fragment();
    let reply = show
        .call(Method::Patch, &joined.url)
        .if_match("*")
        .body("application/Trickle-ICE-sdpfrag; x=y", text.as_bytes());
    assert_eq!(reply.send().status, 204, "http_02");
}

#[test]
fn sess_25_delete_is_200_and_the_session_is_gone() {
    let (mut show, joined) = live();
    let reply = show.call(Method::Delete, &joined.url).send();
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    for method in [Method::Get, Method::Head, Method::Patch, Method::Delete] {
        refused(&show.call(method, &joined.url).send(), 404, "not_found");
    }
}

#[test]
fn sess_26_delete_does_not_look_at_if_match() {
    let (mut show, joined) = live();
    assert_eq!(show.call(Method::Delete, &joined.url).if_match("\"stale\"").send().status, 200);
}

#[test]
fn sess_27_delete_frees_everything_at_once() {
    let (mut show, joined) = live();
    let reply = show.call(Method::Delete, &joined.url).send();
    assert_eq!(reply.effects.iter().map(ending).collect::<Vec<_>>(), [(joined.id(), Ending::Deleted)]);
    assert_eq!((show.desk.session_count(), show.desk.streams().count()), (0, 0));
    show.end(&joined); // the engine's late word about it
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
}

#[test]
fn whep_19_a_viewers_session_works_alike() {
    let (mut show, publisher) = live();
    let viewer = show.watch("live", "play-chromium");
    assert_eq!(patch(&mut show, &viewer, Some(&viewer.tag), &viewer.fragment()).status, 204);
    refused(&patch(&mut show, &viewer, Some(&publisher.tag), &viewer.fragment()), 412, "tag_outdated");
    assert_eq!(show.call(Method::Delete, &viewer.url).send().status, 200);
    assert_eq!(show.call(Method::Get, &publisher.url).send().status, 204);
}

#[test]
fn sess_29_and_auth_04_a_session_belongs_to_its_key() {
    let mut show = Show::new(DeskConfig { publish_keys: keys(&["a", "b"]), ..config() });
    let body = offer("pub-obs");
    let made = show.call(Method::Post, "/whip/live").key("Bearer a").body(SDP, body.as_bytes()).send();
    let joined = Joined::from(made);
    for method in [Method::Delete, Method::Patch] {
        refused(&show.call(method, &joined.url).send(), 401, "no_token");
        refused(&show.call(method, &joined.url).key("Bearer x").send(), 401, "bad_token");
        refused(&show.call(method, &joined.url).key("Bearer b").send(), 403, "wrong_scope");
    }
    assert_eq!(show.call(Method::Delete, &joined.url).key("Bearer a").send().status, 200);
}

#[test]
fn auth_04_the_url_may_be_the_capability() {
    let keyed = DeskConfig {
        publish_keys: keys(&["a"]),
        ..with_policy(Policy { session_url_is_capability: true, ..Policy::default() })
    };
    let mut show = Show::new(keyed);
    let body = offer("pub-obs");
    let made = show.call(Method::Post, "/whip/live").key("Bearer a").body(SDP, body.as_bytes()).send();
    assert_eq!(show.call(Method::Delete, &Joined::from(made).url).send().status, 200);
}

#[test]
fn unknown_session_urls_are_404_of_whatever_shape() {
    let mut show = Show::open();
    for path in ["/session/", "/session/x", "/session/0123456789abcdef0123456789abcdef", "/session/%00"] {
        for method in [Method::Get, Method::Patch, Method::Delete] {
            refused(&show.call(method, path).send(), 404, "not_found");
        }
    }
}
