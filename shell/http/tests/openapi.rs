//! The OpenAPI document says what is served, all of it and no more.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use support::TestServer;
use support::served::Served;

/// Paths that are no interface for programs, or none of this document: each is added here by a decision.
const NOT_DESCRIBED: &[&str] = &["/", "/watch/{name}", "/assets/{*path}", "/livez", "/readyz", "/metrics"];

fn document() -> Value {
    serde_json::to_value(wtn_http::openapi()).unwrap()
}

/// Every path and method of the document.
fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn it_is_3_1_and_every_operation_has_its_own_id() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let mut ids = BTreeSet::new();
    for (path, method) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
    }
    assert!(ids.len() > 20, "{ids:?}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn whatever_is_described_is_served() {
    let served = Served::start("described").await;
    for (path, method) in operations(&document()) {
        let path = path.replace("{name}", "nobody").replace("{id}", "0");
        let answer = served.server.ask(&method, &path).await;
        let code = if method == "HEAD" {
            Value::Null
        } else {
            serde_json::from_slice(&answer.body).unwrap_or_default()
        };
        let code = code["code"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status != 405 && code != "no_such_page", "{method} {path}: {answer:?}");
    }
}

#[test]
fn whatever_is_served_is_described() {
    let document = document();
    let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    // Routes of the administration are registered with their description; the others stand here.
    let source = include_str!("../src/routes.rs");
    let routes = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for route in routes {
        count += 1;
        let plain = route.replace("{*", "{");
        assert!(
            described.contains(&plain) || NOT_DESCRIBED.contains(&route),
            "{route} is not in the document"
        );
    }
    assert!(count > 8, "{count}: is this where the routes are?");
    for line in include_str!("../src/api/mod.rs").lines() {
        assert!(!line.contains(".route("), "use routes!(), which describes what it serves: {line}");
    }
}

#[tokio::test]
async fn it_is_served_without_a_key() {
    let server = TestServer::start().await;
    let answer = server.ask("GET", "/api/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), document());
}

/// `WTN_UPDATE=1 cargo test -p wtn-http --test openapi` writes it anew.
#[test]
fn docs_openapi_json_is_this_document() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json"));
    let text = format!("{:#}\n", document());
    if std::env::var_os("WTN_UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json is out of date: WTN_UPDATE=1 cargo test -p wtn-http --test openapi"
    );
}
