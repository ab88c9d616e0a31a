//! WHIP and WHEP as the OpenAPI document tells them. Their rules are in `wtn_wish`.

#![allow(dead_code, reason = "descriptions: the paths are served by one handler in `routes`")]

use super::inputs::ProblemSchema;

/// The paths below.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    publish,
    publish_page,
    publish_head,
    publish_options,
    watch,
    watch_page,
    watch_head,
    watch_options,
    trickle,
    end,
    session,
    session_head,
    session_options
))]
pub(super) struct Described;

#[utoipa::path(
    post, path = "/whip/{name}", tag = "WHIP", operation_id = "publish",
    params(("name" = String, Path, description = "The stream.")),
    request_body(content = String, content_type = "application/sdp", description = "The offer."),
    responses(
        (status = 201, description = "The answer.", body = String, content_type = "application/sdp",
            headers(
                ("Location" = String, description = "The session's URL: a secret."),
                ("ETag" = String, description = "Of its ICE credentials, for If-Match."),
                ("Link" = String, description = "ICE servers, if there are any."),
            )),
        (status = 307, description = "POST the same to `Location`."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = "5XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("publish_key" = []), ()),
)]
/// Publishes a stream.
fn publish() {}

#[utoipa::path(
    get, path = "/whip/{name}", tag = "WHIP", operation_id = "publish_page",
    params(("name" = String, Path, description = "The stream.")),
    responses(
        (status = 204, description = "A WHIP endpoint."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Tells that this is a WHIP endpoint.
fn publish_page() {}

#[utoipa::path(
    head, path = "/whip/{name}", tag = "WHIP", operation_id = "publish_head",
    params(("name" = String, Path, description = "The stream.")),
    responses((status = 204, description = "A WHIP endpoint."), (status = "4XX", description = "Refused.")),
)]
/// Tells that this is a WHIP endpoint.
fn publish_head() {}

#[utoipa::path(
    options, path = "/whip/{name}", tag = "WHIP", operation_id = "publish_options",
    params(("name" = String, Path, description = "The stream.")),
    responses(
        (status = 200, description = "What may be asked, for preflights too.",
            headers(("Accept-Post" = String, description = "application/sdp"))),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Tells what may be asked here.
fn publish_options() {}

#[utoipa::path(
    post, path = "/whep/{name}", tag = "WHEP", operation_id = "watch",
    params(("name" = String, Path, description = "The stream.")),
    request_body(content = String, content_type = "application/sdp", description = "The offer."),
    responses(
        (status = 201, description = "The answer.", body = String, content_type = "application/sdp",
            headers(
                ("Location" = String, description = "The session's URL: a secret."),
                ("ETag" = String, description = "Of its ICE credentials, for If-Match."),
                ("Link" = String, description = "Where events and layers are, and ICE servers, if there are any."),
            )),
        (status = 307, description = "POST the same to `Location`."),
        (status = 406, description = "The server's own offer, where the endpoint's policy says so.",
            content((String = "application/sdp"), (ProblemSchema = "application/problem+json"))),
        (status = "4XX", description = "Refused. 409 with `Retry-After`: nobody publishes.",
            body = ProblemSchema, content_type = "application/problem+json"),
        (status = "5XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ()),
)]
/// Watches a stream.
fn watch() {}

#[utoipa::path(
    get, path = "/whep/{name}", tag = "WHEP", operation_id = "watch_page",
    params(("name" = String, Path, description = "The stream.")),
    responses(
        (status = 200, description = "A WHEP endpoint, by its empty body's type.", body = String,
            content_type = "application/sdp"),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Tells that this is a WHEP endpoint.
fn watch_page() {}

#[utoipa::path(
    head, path = "/whep/{name}", tag = "WHEP", operation_id = "watch_head",
    params(("name" = String, Path, description = "The stream.")),
    responses((status = 200, description = "A WHEP endpoint."), (status = "4XX", description = "Refused.")),
)]
/// Tells that this is a WHEP endpoint.
fn watch_head() {}

#[utoipa::path(
    options, path = "/whep/{name}", tag = "WHEP", operation_id = "watch_options",
    params(("name" = String, Path, description = "The stream.")),
    responses(
        (status = 200, description = "What may be asked, for preflights too.",
            headers(("Accept-Post" = String, description = "application/sdp"))),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Tells what may be asked here.
fn watch_options() {}

#[utoipa::path(
    patch, path = "/session/{id}", tag = "WHIP", operation_id = "trickle",
    params(
        ("id" = String, Path, description = "The secret of `Location`."),
        ("If-Match" = Option<String>, Header, description = "The session's `ETag`."),
    ),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag", description = "Candidates, or new ICE credentials."),
    responses(
        (status = 200, description = "An ICE restart: the server's new credentials.", body = String,
            content_type = "application/trickle-ice-sdpfrag"),
        (status = 204, description = "Taken."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("publish_key" = []), ("play_key" = []), ()),
)]
/// Adds ICE candidates to a WHIP or WHEP session, or restarts its ICE.
fn trickle() {}

#[utoipa::path(
    delete, path = "/session/{id}", tag = "WHIP", operation_id = "hang_up",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    responses(
        (status = 200, description = "Ended."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("publish_key" = []), ("play_key" = []), ()),
)]
/// Ends a WHIP or WHEP session.
fn end() {}

#[utoipa::path(
    get, path = "/session/{id}", tag = "WHIP", operation_id = "session",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    responses(
        (status = 204, description = "There is such a session."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Tells whether a session is there.
fn session() {}

#[utoipa::path(
    head, path = "/session/{id}", tag = "WHIP", operation_id = "session_head",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    responses((status = 204, description = "There is such a session."), (status = "4XX", description = "Refused.")),
)]
/// Tells whether a session is there.
fn session_head() {}

#[utoipa::path(
    options, path = "/session/{id}", tag = "WHIP", operation_id = "session_options",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    responses((status = 200, description = "What may be asked, for preflights too.")),
)]
/// Tells what may be asked here.
fn session_options() {}
