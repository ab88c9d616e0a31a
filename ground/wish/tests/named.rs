//! Endpoints that the operator has named: how they come, change and go, and what each may have of its own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, Show, config, ending, keys, offer, refused};
use wtn_wish::{
    DeskConfig, Effect, Ending, Endpoint, Method, Names, Policy, PolicyOverrides, Redirect, SecondPublisher,
};

fn endpoint(name: &str, policy: PolicyOverrides) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy,
    }
}

fn named(name: &str) -> Endpoint {
    endpoint(name, PolicyOverrides::default())
}

#[test]
fn endpoints_come_change_and_go() {
    let mut show = Show::open();
    assert!(show.desk.put_endpoint(named("b")).is_empty() && show.desk.put_endpoint(named("a")).is_empty());
    assert_eq!(show.desk.endpoints().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let reject =
        PolicyOverrides { second_publisher: Some(SecondPublisher::Reject), ..PolicyOverrides::default() };
    show.desk.put_endpoint(endpoint("a", reject));
    assert_eq!(show.desk.endpoint("a").unwrap().policy.second_publisher, Some(SecondPublisher::Reject));
    assert!(show.desk.remove_endpoint("b").is_some_and(|effects| effects.is_empty()));
    assert!(show.desk.endpoint("b").is_none() && show.desk.remove_endpoint("b").is_none());
}

#[test]
fn whip_15_each_endpoint_has_its_own_policy_over_the_servers() {
    let mut show = Show::open();
    let reject =
        PolicyOverrides { second_publisher: Some(SecondPublisher::Reject), ..PolicyOverrides::default() };
    show.desk.put_endpoint(endpoint("strict", reject));
    for name in ["strict", "other"] {
        show.publish(name, "pub-obs");
    }
    let second = show.post("/whip/strict", &offer("pub-obs"));
    refused(&second, 409, "stream_taken");
    assert!(second.header("Retry-After").is_some());
    assert_eq!(show.post("/whip/other", &offer("pub-obs")).status, 201);
}

#[test]
fn a_new_configuration_is_inherited_and_ends_nobody() {
    let mut show = Show::open();
    let capability = PolicyOverrides { session_url_is_capability: Some(true), ..PolicyOverrides::default() };
    show.desk.put_endpoint(endpoint("live", capability));
    let publisher = show.publish("live", "pub-obs");
    let policy = Policy { second_publisher: SecondPublisher::Reject, ..Policy::default() };
    let effects = show.desk.set_config(DeskConfig { policy, publish_keys: keys(&["k"]), ..config() });
    assert!(effects.is_empty());
    assert_eq!(show.call(Method::Get, &publisher.url).send().status, 204);
    refused(&show.post("/whip/live", &offer("pub-obs")), 401, "no_token");
    let body = offer("pub-obs");
    let again = show.call(Method::Post, "/whip/live").key("Bearer k").body(support::SDP, body.as_bytes());
    refused(&again.send(), 409, "stream_taken");
    assert!(show.desk.policy("live").session_url_is_capability, "what it sets itself stays");
}

#[test]
fn removing_an_endpoint_ends_its_sessions_and_no_others() {
    let mut show = Show::open();
    show.desk.put_endpoint(named("live"));
    let gone = [
        show.publish("live", "pub-obs"),
        show.watch("live", "play-chromium"),
        show.watch("live", "play-chromium"),
    ];
    let half_open = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    let other = show.publish("other", "pub-obs");
    let effects = show.desk.remove_endpoint("live").unwrap();
    let expected: Vec<_> =
        gone.iter().chain([&half_open]).map(|joined| (joined.id(), Ending::EndpointRemoved)).collect();
    assert_eq!(effects.iter().map(ending).collect::<Vec<_>>(), expected);
    for joined in &gone {
        refused(&show.call(Method::Get, &joined.url).send(), 404, "not_found");
        show.end(joined); // the engine's late word
    }
    assert_eq!(show.call(Method::Get, &other.url).send().status, 204);
    assert_eq!(show.desk.session_count(), 1);
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201, "names are open");
}

#[test]
fn whep_11_unknown_names_are_404_where_names_are_listed() {
    let mut show = Show::new(DeskConfig { names: Names::Listed, ..config() });
    show.desk.put_endpoint(named("live"));
    for path in ["/whip/liv", "/whep/liv"] {
        refused(&show.post(path, &offer("pub-obs")), 404, "unknown_stream");
    }
    refused(&show.post("/whep/live", &offer("play-chromium")), 409, "not_live");
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
    refused(&Show::open().post("/whep/liv", &offer("play-chromium")), 409, "not_live");
}

#[test]
fn auth_03_who_has_no_key_does_not_learn_which_names_there_are() {
    let keyed = DeskConfig { publish_keys: keys(&["k"]), play_keys: keys(&["p"]), ..config() };
    let mut show = Show::new(DeskConfig { names: Names::Listed, ..keyed });
    show.desk.put_endpoint(named("live"));
    let replies =
        ["/whip/live", "/whip/liv", "/whep/live", "/whep/liv"].map(|path| show.post(path, "garbage"));
    for reply in &replies {
        refused(reply, 401, "no_token");
        assert_eq!(reply.body, replies[0].body);
        assert_eq!(reply.headers, replies[0].headers);
    }
    let body = offer("pub-obs");
    let unknown = show.call(Method::Post, "/whip/liv").key("Bearer k").body(support::SDP, body.as_bytes());
    refused(&unknown.send(), 404, "unknown_stream");
}

#[test]
fn whip_04_a_public_url_makes_the_location_absolute() {
    for url in ["https://live.example.com", "https://live.example.com/"] {
        let mut show = Show::new(DeskConfig { public_url: Some(url.to_owned()), ..config() });
        let joined = show.publish("live", "pub-obs");
        let path = joined.url.strip_prefix("https://live.example.com").unwrap().to_owned();
        assert_eq!(path.len(), "/session/".len() + 32);
        assert_eq!(show.call(Method::Delete, &path).send().status, 200);
    }
}

#[test]
fn a_redirect_is_for_a_name_or_a_beginning() {
    let rule = |names: &str| Redirect { names: names.to_owned(), to: String::new() };
    assert!(rule("studio-*").is_for("studio-1") && rule("*").is_for("x") && rule("a").is_for("a"));
    assert!(!rule("studio-*").is_for("studi") && !rule("a").is_for("ab") && !rule("").is_for("a"));
}

#[test]
fn rtp_21_the_bitrate_that_a_publisher_is_held_to_goes_with_its_admission() {
    let mut show = Show::open();
    let held = PolicyOverrides { max_bitrate_kbps: Some(1500), ..PolicyOverrides::default() };
    show.desk.put_endpoint(endpoint("held", held));
    for (name, expected) in [("held", Some(1_500_000)), ("free", None)] {
        let reply = show.post(&format!("/whip/{name}"), &offer("pub-obs"));
        let limits = reply.effects.iter().filter_map(|effect| match effect {
            Effect::Admit(admission) => Some(admission.max_bitrate_bps),
            _ => None,
        });
        assert_eq!(limits.collect::<Vec<_>>(), [expected], "{name}");
    }
}
