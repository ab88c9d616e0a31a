//! The administration over a real socket: what it makes, shows, changes and ends, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use serde_json::{Value, json};
use std::path::PathBuf;
use support::served::{Served, body, refused};
use support::{Answer, TestServer, with_body};
use tokio::io::AsyncWriteExt as _;
use wtn_store::Store;
use wtn_wish::{Endpoint, PolicyOverrides};

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_and_destroyed() {
    let served = Served::start("life").await;
    let new = json!({
        "name": "studio", "policy": { "max_viewers": 5, "codecs": ["h264", "opus"] },
        "ice_servers": [{ "url": "turn:turn.example.com", "secret": "shared-secret", "ttl_seconds": 600 }],
    });
    let made = served.send("POST", "/endpoints", &new).await;
    assert_eq!(made.header("Location"), Some("/api/v1/endpoints/studio"));
    let tag = made.header("Etag").unwrap().to_owned();
    let view = body(&made, 201);
    assert_eq!(view["origin"], "store");
    assert_eq!(view["whip"], "/whip/studio");
    assert_eq!(view["secrets"], json!([]));
    let shown = served.ask("GET", "/endpoints/studio").await;
    assert_eq!(shown.header("Etag"), Some(&*tag));
    let view = body(&shown, 200);
    assert_eq!(view["policy"], new["policy"]);
    assert_eq!(
        view["ice_servers"],
        json!([{ "url": "turn:turn.example.com", "username": null, "credentials": "own", "ttl_seconds": 600 }])
    );
    assert!(!String::from_utf8_lossy(&shown.body).contains("shared-secret"));

    let change = json!({ "policy": { "max_viewers": null, "grace_seconds": 3 } });
    let changed = served.send("PATCH", "/endpoints/studio", &change).await;
    assert_ne!(changed.header("Etag"), Some(&*tag));
    let view = body(&changed, 200);
    assert_eq!(view["policy"], json!({ "codecs": ["h264", "opus"], "grace_seconds": 3 }));
    assert_eq!(view["ice_servers"][0]["credentials"], "own", "what is not named stays, its secret too");
    let kept = served.on_disk();
    assert_eq!(kept[0].ice_servers.as_ref().unwrap()[0].secret.as_deref(), Some("shared-secret"));
    let gone = body(&served.send("PATCH", "/endpoints/studio", &json!({ "ice_servers": null })).await, 200);
    assert_eq!(gone["ice_servers"], Value::Null);

    assert_eq!(served.ask("DELETE", "/endpoints/studio").await.status, 204);
    refused(&served.ask("GET", "/endpoints/studio").await, 404, "no_such_endpoint");
    refused(&served.ask("DELETE", "/endpoints/studio").await, 404, "no_such_endpoint");
    refused(&served.send("PATCH", "/endpoints/studio", &change).await, 404, "no_such_endpoint");
    assert!(served.on_disk().is_empty());
}

#[tokio::test]
async fn a_change_for_another_state_of_the_endpoint_is_refused() {
    let served = Served::start("tags").await;
    let made = served.send("POST", "/endpoints", &json!({ "name": "a" })).await;
    let old = made.header("Etag").unwrap().to_owned();
    let change = |viewers: u32| json!({ "policy": { "max_viewers": viewers } }).to_string();
    let json = ("Content-Type", "application/merge-patch+json");
    let patch = async |tag: &str, viewers| {
        served.with_headers("PATCH", "/endpoints/a", &[json, ("If-Match", tag)], &change(viewers)).await
    };
    let new = patch(&old, 1).await;
    assert_eq!(new.status, 200);
    let new = new.header("Etag").unwrap().to_owned();
    refused(&patch(&old, 2).await, 412, "endpoint_changed");
    refused(&patch(&format!("W/{new}"), 2).await, 412, "endpoint_changed");
    assert_eq!(patch(&format!("\"x\", {new}"), 2).await.status, 200);
    assert_eq!(patch("*", 3).await.status, 200);
    let destroy = served.with_headers("DELETE", "/endpoints/a", &[("If-Match", &old)], "").await;
    refused(&destroy, 412, "endpoint_changed");
    // A new key is a change too.
    let before = served.ask("GET", "/endpoints/a").await.header("Etag").unwrap().to_owned();
    served.send("POST", "/endpoints/a/keys", &json!({ "allows": "play" })).await;
    refused(&patch(&before, 4).await, 412, "endpoint_changed");
}

#[tokio::test]
async fn every_fault_of_a_request_is_listed() {
    let served = Served::start("faults").await;
    let answer = served
        .send(
            "POST",
            "/endpoints",
            &json!({
                "name": "a/b", "polcy": {}, "policy": { "grace_seconds": 3601, "max_viewers": "many" },
                "keys": [
                    { "allows": "everything", "label": "" },
                    { "allows": "play", "secret": "short", "expires_at": 5, "expires_in_seconds": 0 },
                    { "label": "x" },
                ],
                "ice_servers": [{ "url": "stun://x" }],
            }),
        )
        .await;
    let problem = refused(&answer, 422, "invalid_fields");
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "polcy",
            "name",
            "keys[0].allows",
            "keys[0].label",
            "keys[1].expires_at",
            "keys[1].expires_in_seconds",
            "keys[1].secret",
            "keys[2].allows",
            "ice_servers[0].url",
            "policy.grace_seconds",
            "policy.max_viewers",
        ]
    );
    let detail = |index: usize| problem["errors"][index]["detail"].as_str().unwrap();
    assert!(detail(0).contains("did you mean `policy`?"), "{problem}");
    assert!(!answer.body.windows(5).any(|part| part == b"short"), "what may be a secret is not repeated");
    assert!(served.on_disk().is_empty());

    served.send("POST", "/endpoints", &json!({ "name": "a" })).await;
    for (change, field) in [
        (json!({ "name": "b" }), "name"),
        (json!({ "policy": { "grace": 1 } }), "policy.grace"),
        (json!({ "policy": 5 }), "policy"),
        (json!({ "keys": [] }), "keys"),
        (json!({ "ice_servers": {} }), "ice_servers"),
        (json!([]), ""),
    ] {
        let problem = refused(&served.send("PATCH", "/endpoints/a", &change).await, 422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "page=2", "stream=a"] {
        refused(&served.ask("GET", &format!("/endpoints?{query}")).await, 422, "invalid_fields");
    }
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let served = Served::start("bodies").await;
    let send = async |content_type: &str, body: &str| {
        served.with_headers("POST", "/endpoints", &[("Content-Type", content_type)], body).await
    };
    let plain = send("text/plain", "{}").await;
    refused(&plain, 415, "wrong_media_type");
    assert_eq!(plain.header("Accept-Post"), Some("application/json"));
    refused(&send("application/merge-patch+json", "{}").await, 415, "wrong_media_type");
    let problem = refused(&send("application/json", "{\"name\": }").await, 400, "invalid_json");
    assert!(problem["detail"].as_str().unwrap().contains("line 1 column 10"), "{problem}");
    refused(&send("application/json", &"[".repeat(5000)).await, 400, "invalid_json");
    refused(&send("application/json", "[1]").await, 422, "invalid_fields");
    refused(&served.ask("POST", "/endpoints").await, 422, "invalid_fields");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
    refused(&send("application/json", &large).await, 413, "body_too_large");
    let wrong = served.ask("PUT", "/endpoints/a").await;
    refused(&wrong, 405, "method_not_allowed");
    let allow = wrong.header("Allow").unwrap_or_default();
    assert!(allow.contains("PATCH") && allow.contains("DELETE"), "{allow}");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let served = Served::start("pages").await;
    for name in ["d", "b", "c", "a"] {
        body(&served.send("POST", "/endpoints", &json!({ "name": name })).await, 201);
    }
    let config = |name: &str| Endpoint {
        name: name.to_owned(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy: PolicyOverrides::default(),
    };
    served.server.signalling.set_config_endpoints(vec![config("aa"), config("e")]);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = body(&served.ask("GET", &format!("/endpoints?limit=2&after={after}")).await, 200);
        let endpoints = page["endpoints"].as_array().unwrap();
        assert!(endpoints.len() <= 2);
        seen.extend(endpoints.iter().map(|endpoint| endpoint["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "aa", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn there_is_an_end_to_keys() {
    let served = Served::start("limits").await;
    let key = |allows: &str| json!({ "allows": allows });
    let keys: Vec<_> = (0..32).map(|_| key("publish")).collect();
    let too_many: Vec<_> = (0..33).map(|_| key("publish")).collect();
    let problem = served.send("POST", "/endpoints", &json!({ "name": "a", "keys": too_many })).await;
    refused(&problem, 422, "invalid_fields");
    let made = body(&served.send("POST", "/endpoints", &json!({ "name": "a", "keys": keys })).await, 201);
    refused(&served.send("POST", "/endpoints/a/keys", &key("play")).await, 409, "too_many_keys");
    let id = made["keys"][0]["id"].as_str().unwrap();
    refused(
        &served.send("POST", &format!("/endpoints/a/keys/{id}/rotate"), &json!({})).await,
        409,
        "too_many_keys",
    );
    let at_once = json!({ "overlap_seconds": 0, "secret": "a-secret-of-our-own" });
    body(&served.send("POST", &format!("/endpoints/a/keys/{id}/rotate"), &at_once).await, 201);
    let id = made["keys"][1]["id"].as_str().unwrap();
    let twice = served.send("POST", &format!("/endpoints/a/keys/{id}/rotate"), &at_once).await;
    refused(&twice, 409, "key_exists");
}

#[tokio::test]
async fn without_a_store_nothing_can_be_made_and_the_rest_goes_on() {
    let server = TestServer::start().await;
    let served = Served { server, folder: PathBuf::from("/nowhere") };
    let problem = refused(&served.send("POST", "/endpoints", &json!({ "name": "a" })).await, 503, "no_store");
    assert!(problem["fix"].as_str().unwrap().contains("data_dir"), "{problem}");
    assert_eq!(body(&served.ask("GET", "/endpoints").await, 200), json!({ "endpoints": [], "next": null }));
    let (store, endpoints) = Store::open("/proc/nowhere".as_ref()).unwrap();
    served.server.signalling.keep_in(store, endpoints);
    let answer = served.send("POST", "/endpoints", &json!({ "name": "a" })).await;
    refused(&answer, 503, "store_failed");
    assert!(!String::from_utf8_lossy(&answer.body).contains("/proc"), "where it is kept is for the log");
    refused(&served.ask("GET", "/endpoints/a").await, 404, "no_such_endpoint");
    assert_eq!(served.publish("a", "any").await.status, 201);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_an_id_that_is_no_secret() {
    let mut served = Served::start("sessions").await;
    let first = served.publish("a", "server-publish-key").await;
    let second = served.publish("b", "server-publish-key").await;
    assert_eq!((first.status, second.status), (201, 201));
    let list = served.ask("GET", "/sessions").await;
    let sessions = body(&list, 200)["sessions"].clone();
    let of = |index: usize, field: &str| sessions[index][field].as_str().unwrap_or_default().to_owned();
    assert_eq!((of(0, "stream"), of(1, "stream")), ("a".to_owned(), "b".to_owned()));
    assert_eq!((of(0, "role"), of(0, "state")), ("publisher".to_owned(), "connecting".to_owned()));
    for answer in [&first, &second] {
        let secret = answer.header("Location").unwrap().rsplit('/').next().unwrap();
        assert!(!String::from_utf8_lossy(&list.body).contains(secret));
        refused(&served.ask("DELETE", &format!("/sessions/{secret}")).await, 404, "no_such_session");
    }
    let page = body(&served.ask("GET", "/sessions?limit=1").await, 200);
    assert_eq!(page["next"], of(0, "id"));
    let page = body(&served.ask("GET", &format!("/sessions?after={}", of(0, "id"))).await, 200);
    assert_eq!((&page["sessions"][0]["stream"], &page["next"]), (&json!("b"), &Value::Null));
    let page = body(&served.ask("GET", "/sessions?stream=b").await, 200);
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1);

    let path = format!("/sessions/{}", of(0, "id"));
    assert_eq!(body(&served.ask("GET", &path).await, 200)["stream"], "a");
    assert_eq!(served.ask("DELETE", &path).await.status, 204);
    let url = first.header("Location").unwrap();
    assert_eq!(served.server.ask("GET", url).await.status, 404, "its URL is gone too");
    refused(&served.ask("DELETE", &path).await, 404, "no_such_session");
    served.server.turn().await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while served.ask("GET", &path).await.status != 404 {
        assert!(std::time::Instant::now() < deadline, "still listed");
        tokio::task::yield_now().await;
    }
    for odd in ["0", "01", "-1", "x", "99999999999999999999"] {
        refused(&served.ask("GET", &format!("/sessions/{odd}")).await, 404, "no_such_session");
    }
}

#[tokio::test]
async fn changes_that_come_at_once_are_made_one_after_the_other() {
    let served = Served::start("many").await;
    body(&served.send("POST", "/endpoints", &json!({ "name": "a" })).await, 201);
    let mut streams = Vec::new();
    for number in 0..30 {
        let key = json!({ "allows": "publish", "label": number.to_string() }).to_string();
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        let mut stream = served.server.connect().await;
        let request = with_body("POST", "/api/v1/endpoints/a/keys", &headers, &key);
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for mut stream in streams {
        body(&Answer::read_to_end(&mut stream).await, 201);
    }
    let mut labels: Vec<u32> =
        served.on_disk()[0].keys.iter().map(|key| key.label.as_ref().unwrap().parse().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, (0..30).collect::<Vec<_>>());
}
