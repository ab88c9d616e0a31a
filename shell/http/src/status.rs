//! Whether the server lives, whether it takes sessions.

use crate::signalling::Signalling;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::json;
use std::sync::Arc;

pub(crate) const NO_STORE: [(http::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// `/livez`: the process answers.
pub(crate) async fn live() -> Response {
    (NO_STORE, Json(json!({ "live": true }))).into_response()
}

/// `/readyz`: new sessions are taken, or why not.
pub(crate) async fn ready(State(signalling): State<Arc<Signalling>>) -> Response {
    let draining = signalling.is_draining().then_some("draining");
    let dead = (!signalling.network.is_alive()).then_some("shard_dead");
    let reasons: Vec<_> = draining.into_iter().chain(dead).collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, NO_STORE, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}
