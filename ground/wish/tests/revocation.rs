//! Keys that are taken back or expire, and the sessions they opened.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{SDP, Show, config, keys, offer, refused};
use wtn_wish::{Effect, Ending, Endpoint, EndpointKey, Key, Method, PolicyOverrides, Reply};

fn endpoint(name: &str, publish: &[(&str, Option<u64>)], end_on_revoke: bool) -> Endpoint {
    let key = |(token, expires_at): &(&str, Option<u64>)| EndpointKey {
        id: (*token).to_owned(),
        label: None,
        key: Key::new(token),
        expires_at: *expires_at,
    };
    Endpoint {
        name: name.to_owned(),
        publish_keys: publish.iter().map(key).collect(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy: PolicyOverrides { end_on_revoke: Some(end_on_revoke), ..PolicyOverrides::default() },
    }
}

fn post(show: &mut Show, path: &str, key: &str, unix_now: u64) -> Reply {
    let (body, header) = (offer("pub-obs"), format!("Bearer {key}"));
    let mut call = show.call(Method::Post, path).body(SDP, body.as_bytes()).key(&header);
    call.request.unix_now = unix_now;
    call.send()
}

fn endings(effects: &[Effect]) -> Vec<Ending> {
    effects.iter().map(|effect| support::ending(effect).1).collect()
}

#[test]
fn auth_06_a_key_taken_back_ends_its_sessions_and_no_others() {
    let mut show = Show::new(config());
    show.desk.put_endpoint(endpoint("a", &[("one", None), ("two", None)], true));
    show.desk.put_endpoint(endpoint("b", &[("one", None)], false));
    for (path, key) in [("/whip/a", "one"), ("/whip/a", "two"), ("/whip/b", "one"), ("/whip/c", "any")] {
        assert_eq!(post(&mut show, path, key, 5).status, 201, "{path} {key}");
    }
    assert!(show.desk.tick(show.now, 6).is_empty());
    let mut effects = show.desk.put_endpoint(endpoint("a", &[("two", None)], true));
    effects.extend(show.desk.put_endpoint(endpoint("b", &[("two", None)], false)));
    effects.extend(show.desk.tick(show.now, 7));
    assert_eq!(endings(&effects), [Ending::Revoked], "b lets its sessions run on");
    assert_eq!(show.desk.session_count(), 3);
    refused(&post(&mut show, "/whip/a", "one", 8), 401, "bad_token");
    assert!(show.desk.tick(show.now, 9).is_empty(), "once");
}

#[test]
fn auth_06_a_key_that_expires_ends_its_sessions_in_that_second() {
    let mut show = Show::new(config());
    show.desk.put_endpoint(endpoint("a", &[("late", Some(200)), ("early", Some(100))], true));
    for key in ["late", "early"] {
        assert_eq!(post(&mut show, "/whip/a", key, 5).status, 201);
    }
    let mut at = |unix_now| endings(&show.desk.tick(show.now, unix_now));
    assert_eq!(
        [at(6), at(99), at(100), at(101), at(199), at(200)],
        [vec![], vec![], vec![Ending::Expired], vec![], vec![], vec![Ending::Expired]]
    );
    refused(&post(&mut show, "/whip/a", "late", 200), 401, "key_expired");
}

#[test]
fn auth_06_a_reload_without_a_key_ends_its_sessions() {
    let mut keyed = config();
    keyed.publish_keys = keys(&["one", "two"]);
    keyed.policy.end_on_revoke = true;
    let mut show = Show::new(keyed.clone());
    for key in ["one", "two"] {
        assert_eq!(post(&mut show, "/whip/a", key, 5).status, 201);
    }
    keyed.publish_keys = keys(&["two", "three"]);
    let mut effects = show.desk.set_config(keyed.clone());
    effects.extend(show.desk.tick(show.now, 6));
    assert_eq!(endings(&effects), [Ending::Revoked]);
    keyed.publish_keys = Vec::new();
    let mut effects = show.desk.set_config(keyed);
    effects.extend(show.desk.tick(show.now, 7));
    assert!(effects.is_empty(), "a door that is open to all throws nobody out");
}

#[test]
fn auth_06_a_key_of_another_stream_is_known_and_not_enough() {
    let mut keyed = config();
    keyed.publish_keys = keys(&["server"]);
    let mut show = Show::new(keyed);
    show.desk.put_endpoint(endpoint("a", &[("of-a", None)], false));
    refused(&post(&mut show, "/whip/b", "of-a", 5), 403, "wrong_scope");
    refused(&post(&mut show, "/whip/a", "server", 5), 403, "wrong_scope");
    refused(&post(&mut show, "/whip/a", "nobody's", 5), 401, "bad_token");
}

#[test]
fn auth_03_who_has_no_key_learns_nothing_of_what_exists() {
    let mut keyed = config();
    keyed.publish_keys = keys(&["server"]);
    keyed.play_keys = keys(&["viewer"]);
    let mut show = Show::new(keyed);
    show.desk.put_endpoint(endpoint("a", &[("of-a", None)], false));
    assert_eq!(post(&mut show, "/whip/live", "server", 5).status, 201);
    for door in ["whip", "whep"] {
        for header in [None, Some("Bearer wrong"), Some("Basic eA==")] {
            let mut answers = ["a", "live", "unknown", "not%20a%20name"].map(|name| {
                let path = format!("/{door}/{name}");
                let mut call = show.call(Method::Post, &path).body("text/plain", b"garbage");
                call.request.authorization = header;
                let reply = call.send();
                (reply.status, reply.headers, reply.body)
            });
            assert!(answers.iter().all(|answer| answer.0 == 401));
            let first = answers[0].clone();
            assert!(answers.iter_mut().all(|answer| *answer == first), "{door} {header:?}");
        }
    }
}
