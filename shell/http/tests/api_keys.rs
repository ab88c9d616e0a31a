//! Keys made by the administration, at the doors that they open.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use serde_json::{Value, json};
use support::served::{Served, body, refused};
use wtn_wish::{Endpoint, PolicyOverrides};

#[tokio::test]
async fn a_key_is_shown_once_and_opens_at_once() {
    let served = Served::start("keys").await;
    let keys = json!([{ "allows": "publish", "label": "studio" }]);
    let made = body(&served.send("POST", "/endpoints", &json!({ "name": "a", "keys": keys })).await, 201);
    let secret = made["secrets"][0]["secret"].as_str().unwrap().to_owned();
    assert_eq!(made["secrets"][0]["id"], made["keys"][0]["id"]);
    assert_eq!(served.publish("a", &secret).await.status, 201);
    assert_eq!(
        served.publish("a", "server-publish-key").await.status,
        403,
        "the endpoint has keys of its own"
    );
    assert_eq!(served.publish("b", "server-publish-key").await.status, 201);

    let answer = served
        .send("POST", "/endpoints/a/keys", &json!({ "allows": "publish", "expires_in_seconds": 60 }))
        .await;
    let second = body(&answer, 201);
    assert_eq!(
        answer.header("Location").unwrap(),
        format!("/api/v1/endpoints/a/keys/{}", second["id"].as_str().unwrap())
    );
    assert_eq!(second["expires_at"].as_u64().unwrap(), second["created_at"].as_u64().unwrap() + 60);
    let second_secret = second["secret"].as_str().unwrap();
    assert_eq!(served.publish("a", second_secret).await.status, 201);

    let listed = served.ask("GET", "/endpoints/a/keys").await;
    let list = body(&listed, 200);
    assert_eq!(list["keys"].as_array().unwrap().len(), 2);
    assert_eq!(list["keys"][0]["label"], "studio");
    for path in ["/endpoints/a/keys", "/endpoints/a", "/endpoints"] {
        let text = String::from_utf8(served.ask("GET", path).await.body).unwrap();
        assert!(
            !text.contains(&secret) && !text.contains(second_secret) && !text.contains("digest"),
            "{text}"
        );
    }

    let path = format!("/endpoints/a/keys/{}", second["id"].as_str().unwrap());
    assert_eq!(served.ask("DELETE", &path).await.status, 204);
    assert_eq!(served.publish("a", second_secret).await.status, 401);
    refused(&served.ask("DELETE", &path).await, 404, "no_such_key");
    let path = format!("/endpoints/a/keys/{}", made["keys"][0]["id"].as_str().unwrap());
    let problem = refused(&served.ask("DELETE", &path).await, 409, "last_key");
    assert!(problem["fix"].as_str().unwrap().contains("rotate"), "{problem}");
    assert_eq!(served.publish("a", &secret).await.status, 201);
}

#[tokio::test]
async fn a_rotated_key_overlaps_with_the_new_one() {
    let served = Served::start("rotate").await;
    let keys = json!([{ "allows": "publish", "label": "studio", "expires_in_seconds": 1000 }]);
    let made = body(&served.send("POST", "/endpoints", &json!({ "name": "a", "keys": keys })).await, 201);
    let (old, id) = (made["secrets"][0]["secret"].as_str().unwrap(), made["keys"][0]["id"].as_str().unwrap());
    let path = format!("/endpoints/a/keys/{id}/rotate");
    let rotated = body(&served.send("POST", &path, &json!({ "overlap_seconds": 300 })).await, 201);
    let (new, new_id) = (rotated["secret"].as_str().unwrap(), rotated["id"].as_str().unwrap());
    assert_ne!((new, new_id), (old, id));
    assert_eq!(rotated["label"], "studio");
    let at = |value: &Value| value.as_u64().unwrap();
    assert_eq!(
        at(&rotated["expires_at"]) - at(&rotated["created_at"]),
        1000,
        "it lives as long as the old one"
    );
    assert_eq!(rotated["replaces"]["id"], id);
    assert_eq!(at(&rotated["replaces"]["expires_at"]) - at(&rotated["created_at"]), 300);
    assert_eq!(served.publish("a", old).await.status, 201);
    assert_eq!(served.publish("a", new).await.status, 201);

    // Without a body: a day, but no longer than it had. With 0: at once.
    let path = format!("/endpoints/a/keys/{new_id}/rotate");
    let again = body(&served.ask("POST", &path).await, 201);
    assert!(at(&again["replaces"]["expires_at"]) <= at(&rotated["expires_at"]));
    let path = format!("/endpoints/a/keys/{}/rotate", again["id"].as_str().unwrap());
    let last = body(&served.send("POST", &path, &json!({ "overlap_seconds": 0 })).await, 201);
    assert_eq!(last["replaces"], Value::Null);
    assert_eq!(served.publish("a", again["secret"].as_str().unwrap()).await.status, 401);
    assert_eq!(served.publish("a", last["secret"].as_str().unwrap()).await.status, 201);
    refused(&served.send("POST", &path, &json!({})).await, 404, "no_such_key");
}

#[tokio::test]
async fn what_the_configuration_says_is_read_only_and_holds() {
    let served = Served::start("config").await;
    let key = json!([{ "allows": "publish", "secret": "the-key-of-the-store" }]);
    body(&served.send("POST", "/endpoints", &json!({ "name": "a", "keys": key })).await, 201);
    let policy = PolicyOverrides { max_viewers: Some(7), ..PolicyOverrides::default() };
    let of_config = || Endpoint {
        name: "a".to_owned(),
        publish_keys: Vec::new(),
        play_keys: Vec::new(),
        ice_servers: None,
        policy: policy.clone(),
    };
    served.server.signalling.set_config_endpoints(vec![of_config()]);
    let view = body(&served.ask("GET", "/endpoints/a").await, 200);
    assert_eq!((&view["origin"], &view["policy"]["max_viewers"]), (&json!("config"), &json!(7)));
    assert_eq!(served.publish("a", "the-key-of-the-store").await.status, 401);
    for (method, path, body) in [
        ("PATCH", "/endpoints/a", json!({ "policy": {} })),
        ("DELETE", "/endpoints/a", json!({})),
        ("POST", "/endpoints", json!({ "name": "a" })),
        ("POST", "/endpoints/a/keys", json!({ "allows": "play" })),
        ("DELETE", "/endpoints/a/keys/x", json!({})),
        ("POST", "/endpoints/a/keys/x/rotate", json!({})),
    ] {
        refused(&served.send(method, path, &body).await, 409, "endpoint_in_config");
    }
    // The store's comes back when the configuration's goes.
    served.server.signalling.set_config_endpoints(Vec::new());
    assert_eq!(body(&served.ask("GET", "/endpoints/a").await, 200)["origin"], "store");
    assert_eq!(served.publish("a", "the-key-of-the-store").await.status, 201);
    refused(&served.send("POST", "/endpoints", &json!({ "name": "a" })).await, 409, "endpoint_exists");
}

#[tokio::test]
async fn an_endpoint_that_is_destroyed_takes_its_sessions_along() {
    let served = Served::start("destroy").await;
    let key = json!([{ "allows": "publish", "secret": "a-secret-of-our-own" }]);
    body(&served.send("POST", "/endpoints", &json!({ "name": "a", "keys": key })).await, 201);
    let session = served.publish("a", "a-secret-of-our-own").await;
    let other = served.publish("b", "server-publish-key").await;
    let (url, other) = (session.header("Location").unwrap(), other.header("Location").unwrap());
    assert_eq!(served.server.ask("GET", url).await.status, 204);
    assert_eq!(served.ask("DELETE", "/endpoints/a").await.status, 204);
    assert_eq!(served.server.ask("GET", url).await.status, 404);
    assert_eq!(served.server.ask("GET", other).await.status, 204);
    assert_eq!(served.publish("a", "a-secret-of-our-own").await.status, 401);
}
