//! The last attempts that were refused: OBS hides the server's answer, so the operator sees it here.

use super::inputs::ProblemSchema;
use super::{Admin, Api, json};
use axum::extract::State;
use axum::response::Response;
use wtn_wish::Rejection;

/// One attempt that was refused, or several that were alike.
#[derive(utoipa::ToSchema)]
#[schema(as = Rejection)]
#[allow(dead_code, reason = "a description: the value is wish's")]
struct RejectionSchema {
    /// When it was refused last, in seconds since 1970-01-01 UTC.
    at: u64,
    /// When it was refused first.
    first_at: u64,
    /// How often.
    count: u64,
    /// What was wanted: `publish`, `watch`, `session` or `admin`.
    door: String,
    /// The name of the stream; empty where none is named.
    stream: String,
    status: u16,
    /// The problem's code.
    #[schema(example = "bad_token")]
    code: String,
    reason: String,
    fix: String,
    /// The client's address.
    #[schema(required = true)]
    client: Option<String>,
    #[schema(required = true)]
    user_agent: Option<String>,
}

#[utoipa::path(
    get, path = "/rejections", tag = "sessions", operation_id = "list_rejections",
    responses(
        (status = 200, description = "The last 200, the latest first.", body = Vec<RejectionSchema>),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Lists the last attempts to publish, watch or administer that were refused.
pub(super) async fn list(_: Admin, State(signalling): State<Api>) -> Response {
    let rejections: Vec<Rejection> = signalling.front().rejections.latest().cloned().collect();
    json(&rejections)
}
