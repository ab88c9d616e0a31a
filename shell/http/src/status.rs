//! Whether the server lives, whether it takes sessions, what is on air.

use crate::routes::{response, text};
use crate::signalling::Signalling;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use wtn_wish::Problem;

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

#[derive(Serialize)]
struct StreamRow {
    name: String,
    live: bool,
    codecs: Vec<&'static str>,
    viewers: usize,
}

/// `/api/v1/streams`: every stream by name. Where watching needs a key, so does this.
pub(crate) async fn streams(State(signalling): State<Arc<Signalling>>, headers: HeaderMap) -> Response {
    if !signalling.may_list(text(&headers, header::AUTHORIZATION)) {
        return unauthorized();
    }
    let front = signalling.front();
    let rows = front.desk.streams().map(|stream| StreamRow {
        name: stream.name.to_owned(),
        live: stream.live,
        codecs: stream.codecs.iter().map(|format| format.codec.name()).collect(),
        viewers: stream.viewers,
    });
    let rows: Vec<_> = rows.collect();
    drop(front);
    (NO_STORE, Json(rows)).into_response()
}

fn unauthorized() -> Response {
    let problem = Problem::new(
        401,
        "no_token",
        "A key is needed",
        "The list of streams needs a key here, because watching does.",
        "Send one of the server's keys: \"Authorization: Bearer KEY\".",
    );
    response(problem.with("WWW-Authenticate", "Bearer realm=\"wtn\"").into_reply())
}
