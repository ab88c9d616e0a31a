//! The administration, `/api/v1`: endpoints, their keys, sessions, streams; and the OpenAPI document about all of
//! it.
//!
//! Every route is registered together with its description (`routes!`), so that neither is without the other.

mod document;
mod endpoints;
mod extensions;
mod faults;
mod inputs;
mod keys;
mod lint;
mod rejections;
mod sessions;
mod settings;
mod signalling;
mod streams;
mod take;
mod views;

pub use document::openapi;
use take::{Admin, IfMatch, JsonBody, Page, not_json};

use crate::signalling::Signalling;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every handler is handed.
type Api = Arc<Signalling>;

/// All routes of the administration, below `/api/v1`.
pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(endpoints::list, endpoints::create))
        .routes(routes!(endpoints::show, endpoints::change, endpoints::destroy))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show, sessions::end))
        .routes(routes!(streams::list))
        .routes(routes!(rejections::list))
        .routes(routes!(document::show))
}

/// An answer without a body, which nobody keeps.
fn fresh(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json(value: &impl Serialize) -> Response {
    // Strings, numbers and lists: that cannot fail to be written.
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut response = fresh(StatusCode::OK);
    *response.body_mut() = Body::from(json);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn created(location: &str, value: &impl Serialize) -> Response {
    let mut response = json(value);
    *response.status_mut() = StatusCode::CREATED;
    with(response, header::LOCATION, location)
}

fn tagged(response: Response, tag: &str) -> Response {
    with(response, header::ETAG, tag)
}

fn with(mut response: Response, name: header::HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
