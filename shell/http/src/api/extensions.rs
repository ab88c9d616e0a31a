//! WHEP's extensions as the OpenAPI document tells them. Their rules are in `wtn_wish`.

#![allow(dead_code, reason = "descriptions: the paths are served by one handler in `routes`")]

use super::inputs::ProblemSchema;

/// The paths below.
#[derive(utoipa::OpenApi)]
#[openapi(paths(listen, events, end_events, choose_layer, free_layer))]
pub(super) struct Described;

#[utoipa::path(
    post, path = "/session/{id}/events", tag = "WHEP", operation_id = "listen",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    request_body(content = Vec<String>, content_type = "application/json",
        description = "The types of events that are wanted; without a body, all."),
    responses(
        (status = 201, description = "There is an event stream.",
            headers(("Location" = String, description = "Its URL: a secret, and all that is needed to read it."))),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ()),
)]
/// Makes an event stream for a WHEP session.
fn listen() {}

#[utoipa::path(
    get, path = "/session/{id}/events/{stream}", tag = "WHEP", operation_id = "events",
    params(
        ("id" = String, Path, description = "The secret of `Location`."),
        ("stream" = String, Path, description = "The event stream's own secret."),
    ),
    responses(
        (status = 200, description = "`active`, `inactive`, `layers`, `viewercount` and `reconnect`, until the session ends.",
            body = String, content_type = "text/event-stream"),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = "5XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
/// Reads an event stream.
fn events() {}

#[utoipa::path(
    delete, path = "/session/{id}/events/{stream}", tag = "WHEP", operation_id = "end_events",
    params(
        ("id" = String, Path, description = "The secret of `Location`."),
        ("stream" = String, Path, description = "The event stream's own secret."),
    ),
    responses(
        (status = 200, description = "Ended."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ()),
)]
/// Ends an event stream.
fn end_events() {}

#[utoipa::path(
    post, path = "/session/{id}/layer", tag = "WHEP", operation_id = "choose_layer",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    request_body(content = serde_json::Value, content_type = "application/json",
        description = "`mediaId`, and `rid`, `spatialLayerId`, `temporalLayerId` or a limit; with `mediaId` alone the \
                       choice is the server's."),
    responses(
        (status = 200, description = "The switch comes with the next keyframe."),
        (status = "4XX", description = "Refused. 422: there is no such layer.", body = ProblemSchema,
            content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ()),
)]
/// Chooses the layer of the picture that a WHEP session gets.
fn choose_layer() {}

#[utoipa::path(
    delete, path = "/session/{id}/layer", tag = "WHEP", operation_id = "free_layer",
    params(("id" = String, Path, description = "The secret of `Location`.")),
    responses(
        (status = 200, description = "The choice is the server's again."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ()),
)]
/// Leaves the choice of the layer to the server.
fn free_layer() {}
