use super::*;
use crate::{DeskConfig, Ending, Endpoint, EndpointKey, Method, PolicyOverrides, Problem, Request, Resource};
use wtn_media::{Fingerprint, HashAlgorithm};

pub(super) fn request(authorization: Option<&str>) -> Request<'_> {
    Request {
        method: Method::Post,
        resource: Resource::WhipEndpoint("live".into()),
        family: crate::Family::Wtn,
        is_key_in_url: false,
        content_type: None,
        authorization,
        if_match: None,
        origin: None,
        is_preflight: false,
        base_url: None,
        query: None,
        client: None,
        user_agent: None,
        unix_now: 1_000,
        body: b"",
        reached_by: None,
        verdict: None,
    }
}

fn config(publish: &[&str], play: &[&str]) -> DeskConfig {
    let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![0; 32] };
    let keys = |tokens: &[&str]| tokens.iter().map(Key::new).collect();
    DeskConfig {
        publish_keys: keys(publish),
        play_keys: keys(play),
        ..DeskConfig::new(Vec::new(), 0, fingerprint)
    }
}

fn studio(publish: &[(&str, Option<u64>)]) -> Endpoint {
    let key = |(token, expires_at): &(&str, Option<u64>)| EndpointKey {
        id: (*token).to_owned(),
        label: None,
        key: Key::new(token),
        expires_at: *expires_at,
    };
    Endpoint {
        name: "live".to_owned(),
        publish_keys: publish.iter().map(key).collect(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy: PolicyOverrides::default(),
    }
}

fn lock<'a>(config: &'a DeskConfig, endpoint: Option<&'a Endpoint>) -> Lock<'a> {
    Lock { config, key_set: None, endpoint }
}

fn open(config: &DeskConfig, door: Door, header: Option<&str>) -> Result<OpenedBy, Problem> {
    lock(config, None).open(door, "live", &request(header))
}

fn by(token: &str) -> OpenedBy {
    OpenedBy::Key(Key::new(token))
}

#[test]
fn auth_01_any_case_of_the_scheme_opens() {
    let config = config(&["one", "two"], &[]);
    for header in ["Bearer two", "bearer two", "BEARER   two ", " Bearer two"] {
        assert_eq!(open(&config, Door::Publish, Some(header)), Ok(by("two")), "{header}");
    }
}

#[test]
fn auth_02_and_06_three_ways_to_be_wrong() {
    let config = config(&["pub"], &["play"]);
    for none in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic cHVi"), Some("pub")] {
        assert_eq!(open(&config, Door::Publish, none), Err(Problem::no_token()), "{none:?}");
    }
    for bad in ["Bearer undefined", "Bearer pu", "Bearer pubb", "Bearer PUB"] {
        assert_eq!(open(&config, Door::Publish, Some(bad)), Err(Problem::bad_token()), "{bad}");
    }
    let status =
        |door, header| open(&config, door, Some(header)).map_or_else(|problem| problem.status, |_| 200);
    assert_eq!(status(Door::Publish, "Bearer play"), 403);
    assert_eq!(status(Door::Play, "Bearer pub"), 403);
}

#[test]
fn auth_05_without_keys_any_header_passes() {
    let config = config(&[], &["play"]);
    assert_eq!(open(&config, Door::Publish, Some("Bearer undefined")), Ok(OpenedBy::Nothing));
    assert_eq!(open(&config, Door::Publish, None), Ok(OpenedBy::Nothing));
}

#[test]
fn an_empty_key_opens_nothing() {
    let config = config(&[""], &[]);
    assert_eq!(open(&config, Door::Publish, Some("Bearer x")), Err(Problem::bad_token()));
    assert_eq!(open(&config, Door::Publish, Some("Bearer ")), Err(Problem::no_token()));
}

#[test]
fn auth_06_an_endpoint_s_own_keys_take_the_place_of_the_server_s() {
    let config = config(&["server"], &[]);
    let endpoint = studio(&[("old", Some(1_000)), ("new", Some(1_001)), ("for ever", None)]);
    let code = |token: &str| {
        let header = format!("Bearer {token}");
        lock(&config, Some(&endpoint))
            .open(Door::Publish, "live", &request(Some(&header)))
            .map_or_else(|problem| problem.code, |_| "opens")
    };
    assert_eq!([code("new"), code("for ever")], ["opens"; 2], "several, so that they can be rotated");
    assert_eq!(code("old"), "key_expired", "from the second on that it names");
    assert_eq!(code("server"), "bad_token");
    let plain = studio(&[]);
    assert_eq!(
        lock(&config, Some(&plain)).open(Door::Publish, "live", &request(Some("Bearer server"))),
        Ok(by("server"))
    );
    assert_eq!(lock(&config, Some(&plain)).open(Door::Play, "live", &request(None)), Ok(OpenedBy::Nothing));
}

#[test]
fn sess_29_a_session_opens_for_its_own_key_only() {
    let config = config(&["one", "two"], &["play"]);
    let status = |opened_by, header| {
        lock(&config, None)
            .session(Door::Publish, "live", opened_by, &request(header))
            .map_or_else(|problem| problem.status, |()| 200)
    };
    assert_eq!(status(by("one"), Some("Bearer one")), 200);
    assert_eq!(status(by("one"), Some("Bearer two")), 403);
    assert_eq!(status(by("one"), Some("Bearer play")), 403);
    assert_eq!(status(by("one"), Some("Bearer wrong")), 401);
    assert_eq!(status(by("one"), None), 401);
    assert_eq!(status(OpenedBy::Nothing, None), 200);
    assert_eq!(status(OpenedBy::Nothing, Some("Bearer anything")), 200);
    assert_eq!(status(by("revoked"), Some("Bearer revoked")), 200, "who made it may end it");
}

fn with_webhook() -> DeskConfig {
    let mut config = config(&["key"], &[]);
    config.auth.webhook = Guards::BOTH;
    config
}

#[test]
fn the_webhook_is_asked_unless_a_key_opens() {
    let config = with_webhook();
    let lock = lock(&config, None);
    let asks = |door, header| lock.question(door, "live", &request(header), true).is_some();
    assert!(asks(Door::Publish, Some("Bearer other")) && asks(Door::Publish, None) && asks(Door::Play, None));
    assert!(!asks(Door::Publish, Some("Bearer key")));
    assert!(asks(Door::Play, Some("Bearer key")), "that key publishes");
}

#[test]
fn the_webhook_s_verdict_decides_and_silence_is_no() {
    let config = with_webhook();
    let answer = |header, verdict| {
        let mut request = request(header);
        request.verdict = verdict;
        lock(&config, None).open(Door::Play, "live", &request)
    };
    let code = |header, verdict| {
        answer(header, verdict).map_or_else(|problem| (problem.status, problem.code), |_| (200, ""))
    };
    assert_eq!(
        answer(Some("Basic eA=="), Some(Verdict::Allowed)),
        Ok(OpenedBy::Webhook(Some(Key::new("Basic eA=="))))
    );
    assert_eq!(answer(None, Some(Verdict::Allowed)), Ok(OpenedBy::Webhook(None)));
    assert_eq!(code(None, Some(Verdict::Denied)), (401, "no_token"), "so that the client shows what it has");
    assert_eq!(code(Some("Bearer x"), Some(Verdict::Denied)), (401, "denied_by_webhook"));
    assert_eq!(code(Some("Bearer key"), Some(Verdict::Denied)), (403, "wrong_scope"));
    for silence in [None, Some(Verdict::Unreachable)] {
        assert_eq!(code(Some("Bearer x"), silence), (503, "webhook_unreachable"));
        assert_eq!(code(None, silence), (503, "webhook_unreachable"));
    }
}

#[test]
fn sess_29_what_the_webhook_let_in_opens_to_the_same_header() {
    let config = with_webhook();
    let lock = lock(&config, None);
    let opened_by = OpenedBy::Webhook(Some(Key::new("Bearer anna:secret")));
    let status = |header| {
        lock.session(Door::Play, "live", opened_by, &request(header))
            .map_or_else(|problem| problem.status, |()| 200)
    };
    assert_eq!(status(Some("Bearer anna:secret")), 200);
    assert_eq!(status(Some("Bearer ben:secret")), 401);
    assert_eq!(status(None), 401);
    assert!(lock.session(Door::Play, "live", OpenedBy::Webhook(None), &request(None)).is_ok());
}

#[test]
fn what_was_opened_ends_when_its_key_goes_or_expires() {
    let config = config(&["server"], &[]);
    let endpoint = studio(&[("a", Some(2_000)), ("b", None)]);
    let (with, without) = (lock(&config, Some(&endpoint)), lock(&config, None));
    assert_eq!(with.ending(Door::Publish, by("a"), 1_999), None);
    assert_eq!(with.ending(Door::Publish, by("a"), 2_000), Some(Ending::Expired));
    assert_eq!(with.ending(Door::Publish, by("c"), 0), Some(Ending::Revoked));
    assert_eq!(without.ending(Door::Publish, by("a"), 0), Some(Ending::Revoked));
    assert_eq!(without.ending(Door::Play, by("a"), 0), None, "that door is open to all");
    assert_eq!(with.ending(Door::Publish, OpenedBy::Nothing, 0), None);
    assert_eq!(
        (with.ends_at(Door::Publish, by("a")), with.ends_at(Door::Publish, by("b"))),
        (Some(2_000), None)
    );
    let token = OpenedBy::Token { token: Key::new("x"), subject: None, expires_at: 2_000 };
    assert_eq!(
        with.ending(Door::Publish, token, 0),
        Some(Ending::Revoked),
        "tokens are not believed any more"
    );
    assert_eq!(with.ending(Door::Publish, OpenedBy::Webhook(None), 0), Some(Ending::Revoked));
}
