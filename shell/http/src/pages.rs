//! The web pages, out of the binary.

use crate::routes;
use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::{Embed, EmbeddedFile};
use std::fmt::Write as _;

/// Nothing but what the server itself serves, and no script inside a page. Requests go wherever a redirect leads
/// (RFC 9725 §4.5).
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; connect-src http: https:; base-uri 'none'; form-action 'self'; object-src 'none'";

#[derive(Embed)]
#[folder = "../../web/"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
struct Files;

/// `/`: what is live, and how to be.
pub(crate) async fn home(request: Request) -> Response {
    file("index.html", request.headers()).await
}

/// `/watch/{name}`: the player; it reads the stream's name from its own address.
pub(crate) async fn watch(request: Request) -> Response {
    file("watch.html", request.headers()).await
}

/// `/assets/*`: scripts, styles and pictures; the pages have paths of their own.
pub(crate) async fn asset(OriginalUri(uri): OriginalUri, request: Request) -> Response {
    let path = uri.path().trim_start_matches("/assets/");
    match path.ends_with(".html") {
        true => routes::not_found().await,
        false => file(path, request.headers()).await,
    }
}

async fn file(path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else { return routes::not_found().await };
    let tag = entity_tag(&file);
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|list| list.split(',')).any(|known| matches(known.trim(), &tag));
    let mut response = match is_known {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(file.data)),
    };
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if !is_known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // Names stay the same from one version to the next, so each use is asked for; mostly 304 answers.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Strong: half of the SHA-256 of the bytes (RFC 9110 §8.8.1).
fn entity_tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

/// Weak comparison (RFC 9110 §13.1.2).
fn matches(known: &str, tag: &str) -> bool {
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
