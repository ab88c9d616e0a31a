//! A server with a store, and a client of its administration.

use super::{Answer, LIMITS, TestServer, offer, open_desk, with_body};
use serde_json::{Value, json};
use std::path::PathBuf;
use wtn_store::{Store, StoredEndpoint};
use wtn_wish::Key;

/// A server with a store, and the store's folder, which goes with the value.
pub struct Served {
    pub server: TestServer,
    pub folder: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Served {
    pub async fn start(name: &str) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut desk = open_desk();
        desk.publish_keys = vec![Key::new("server-publish-key")];
        let server = TestServer::with(desk, LIMITS).await;
        let (store, endpoints) = Store::open(&folder).unwrap();
        server.signalling.keep_in(store, endpoints);
        Self { server, folder }
    }

    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        self.with_headers(method, path, &[], "").await
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.with_headers(method, path, &[("Content-Type", "application/json")], &body.to_string()).await
    }

    pub async fn with_headers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let headers = [&[("Host", "localhost")], headers].concat();
        self.server.exchange(with_body(method, &format!("/api/v1{path}"), &headers, body)).await
    }

    pub async fn publish(&self, name: &str, key: &str) -> Answer {
        let key = format!("Bearer {key}");
        let headers = [("Host", "x"), ("Content-Type", "application/sdp"), ("Authorization", &*key)];
        self.server
            .exchange(with_body("POST", &format!("/whip/{name}"), &headers, &offer("pub-chromium-h264")))
            .await
    }

    /// What the disk has, read as the next start would.
    pub fn on_disk(&self) -> Vec<StoredEndpoint> {
        self.server.signalling.keep_nothing("the test looks");
        let (store, endpoints) = Store::open(&self.folder).unwrap();
        self.server.signalling.keep_in(store, endpoints.clone());
        endpoints
    }
}

/// The JSON of an answer that is not to be a refusal.
pub fn body(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    serde_json::from_slice(&answer.body).unwrap()
}

/// The problem of an answer that is to be one.
pub fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let problem = answer.problem();
    assert_eq!((answer.status, &problem["code"]), (status, &json!(code)), "{problem}");
    problem
}
