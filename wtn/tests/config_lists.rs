//! Lists of tables: endpoints with all they may say, and every fault in them with its place.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use wtn::config::{Config, Loaded, NoPublisher, SecondPublisher};

fn read(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::read(Some(("wtn.toml", file)), env, &sets).map_err(|faults| faults.to_string())
}

const FULL: &str = r#"
[[ice_servers]]
url = "stun:stun.example.com"

[[redirects]]
names = "other-*"
to = "https://two.example.com/base/"

[[endpoints]]
name = "studio-1"
publish_keys = ["first", { id = "van", label = "The van", key = "second", expires_at = 2030-01-01T00:00:00Z }]
play_keys = [{ key = "third", expires_at = 1893456000 }]
ice_servers = [{ url = "turn:turn.example.com:3478?transport=udp", secret = "shared", ttl_seconds = 600 }]
[endpoints.policy]
second_publisher = "reject"
no_publisher = "wait"
grace_seconds = 30
codecs = ["h264", "opus"]
max_viewers = 50
max_bitrate_kbps = 6000
counter_offer = true
trickle_without_tag = true
session_url_is_capability = true
end_on_revoke = true

[[endpoints]]
name = "studio-2"
policy.no_publisher = "wait"
ice_servers = []
"#;

#[test]
fn an_endpoint_may_say_everything() {
    let config = read(FULL, &[], &[]).unwrap();
    assert_eq!(config.ice_servers[0].url, "stun:stun.example.com");
    assert_eq!(
        (&*config.redirects[0].names, &*config.redirects[0].to),
        ("other-*", "https://two.example.com/base")
    );
    let [one, two] = &*config.endpoints else { panic!("{:?}", config.endpoints) };
    assert_eq!((&*one.name, &*two.name), ("studio-1", "studio-2"));
    let ids: Vec<_> = one.publish_keys.iter().chain(&one.play_keys).map(|key| &*key.id).collect();
    assert_eq!(ids, ["publish-1", "van", "play-1"]);
    assert!(one.publish_keys[0].key.opens_for("first") && one.publish_keys[1].key.opens_for("second"));
    assert_eq!(one.publish_keys[1].label.as_deref(), Some("The van"));
    assert_eq!(one.publish_keys[1].expires_at, Some(1_893_456_000));
    assert_eq!(one.play_keys[0].expires_at, Some(1_893_456_000));
    assert_eq!(one.ice_servers.as_ref().unwrap()[0].ttl_seconds, Some(600));
    assert_eq!(one.policy.second_publisher, Some(SecondPublisher::Reject));
    assert_eq!(one.policy.no_publisher, Some(NoPublisher::Wait));
    assert_eq!(one.policy.grace_seconds, Some(30));
    assert_eq!(one.policy.codecs.as_deref().unwrap(), ["H264", "opus"]);
    assert_eq!((one.policy.max_viewers, one.policy.max_bitrate_kbps), (Some(50), Some(6000)));
    assert_eq!(one.policy.counter_offer, Some(true));
    assert_eq!(one.policy.end_on_revoke, Some(true));
    assert_eq!(two.policy.no_publisher, Some(NoPublisher::Wait));
    assert_eq!(two.ice_servers.as_deref(), Some(&[][..]));
    assert_eq!(two.policy.grace_seconds, None);
}

#[test]
fn lists_come_from_outside_of_a_file_too_and_replace_what_was_there() {
    let inline = r#"[{ name = "a", policy = { grace_seconds = 1 } }, { name = "b", publish_keys = ["k"] }]"#;
    for config in [
        read(FULL, &[("WTN__ENDPOINTS", inline)], &[]).unwrap(),
        read(FULL, &[], &[&format!("endpoints={inline}")]).unwrap(),
    ] {
        let names: Vec<_> = config.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(config.endpoints[0].policy.grace_seconds, Some(1));
    }
    let fault = read("", &[], &["endpoints=[{ nme = \"a\" }]"]).unwrap_err();
    assert_eq!(
        fault,
        "--set endpoints: unknown key `endpoints.nme`; did you mean `name`?\n\n\
         --set endpoints: there is no `name` here; `name` is 1 to 64 letters, digits, or any of - . _ ~\n"
    );
}

#[test]
fn every_fault_of_every_element_is_shown_at_once() {
    let file = "\
[[endpoints]]
name = \"a b\"
[[endpoints]]
name = \"good\"
policy.codecs = [\"h264\", \"divx\"]
polcy.max_viewers = 0
[[endpoints]]
name = \"good\"
ice_servers = [{ url = \"http://x\" }, { url = \"turn:x\" }]
";
    let expected = "\
wtn.toml:2:8: `endpoints.name` cannot be this
   |
 2 | name = \"a b\"
   |        ^^^^^ it wants 1 to 64 letters, digits, or any of - . _ ~
";
    let faults = read(file, &[], &[]).unwrap_err();
    assert!(faults.starts_with(expected), "{faults}");
    let places: Vec<_> = faults.lines().filter(|line| line.starts_with("wtn.toml")).collect();
    assert_eq!(
        places,
        [
            "wtn.toml:2:8: `endpoints.name` cannot be this",
            "wtn.toml:5:26: `endpoints.policy.codecs` cannot be this",
            "wtn.toml:6:1: unknown key `endpoints.polcy`",
            "wtn.toml:9:24: `endpoints.ice_servers.url` cannot be this",
            "wtn.toml:9:46: a TURN server needs credentials",
            "wtn.toml:8:8: there are two with the name `good`",
        ]
    );
    assert!(faults.contains("did you mean `policy`?"), "{faults}");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let loaded = Loaded::read(Some(("wtn.toml", FULL)), [], &["shards=2".to_owned()]).unwrap();
    let shown = loaded.to_toml(false);
    let again =
        Loaded::read(Some(("shown", &shown)), [], &[]).unwrap_or_else(|faults| panic!("{shown}\n{faults}"));
    assert_eq!(again.to_toml(false), shown);
    assert_eq!(again.config.endpoints[0].policy, loaded.config.endpoints[0].policy);
    assert!(!shown.contains("second\"") && !shown.contains("shared"), "{shown}");
}
