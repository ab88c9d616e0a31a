//! The OpenAPI document: of the administration and of WHIP and WHEP.

use super::{Api, extensions, json, signalling};
use axum::extract::State;
use axum::response::Response;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "wtn",
        description = "WebRTC broadcast server: WHIP in, WHEP out, and the administration of both.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "endpoints", description = "Named endpoints, made at run time or in the configuration."),
        (name = "keys", description = "Who may publish and watch at an endpoint."),
        (name = "sessions", description = "Who publishes and who watches."),
        (name = "streams", description = "What is on air."),
        (name = "WHIP", description = "Publishing (RFC 9725)."),
        (name = "WHEP", description = "Watching (draft-ietf-wish-whep)."),
    ),
)]
struct Head;

/// The document about all of this server's interface.
pub fn openapi() -> OpenApi {
    let (_, own) = super::router().split_for_parts();
    let mut document = Head::openapi();
    document.merge(OpenApi::default().nest("/api/v1", own));
    document.merge(signalling::Described::openapi());
    document.merge(extensions::Described::openapi());
    let bearer = |what: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what));
        SecurityScheme::Http(scheme.build())
    };
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        "admin_key",
        bearer("One of `auth.admin_keys`; programs on the server's own machine need none."),
    );
    components
        .add_security_scheme("publish_key", bearer("A key that allows publishing; none on an open server."));
    components.add_security_scheme("play_key", bearer("A key that allows watching, where that needs one."));
    document
}

#[utoipa::path(
    get, path = "/openapi.json", tag = "endpoints", operation_id = "openapi",
    responses((status = 200, description = "This document.", body = serde_json::Value)),
)]
/// Shows this document.
pub(super) async fn show(State(_): State<Api>) -> Response {
    json(&openapi())
}
