//! What handlers take out of a request: that it may administer, its body, its page, its tags.

use super::Api;
use super::faults::{Faults, Refusal};
use crate::admin::may_administer;
use crate::body::{self, Refused};
use crate::routes::{problem, text};
use crate::signalling::Signalling;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{Method, header};
use serde_json::Value;
use std::sync::Arc;
use wtn_wish::Problem;

/// An endpoint with all its keys and ICE servers has less than half of it.
pub(super) const BODY_LEN_MAX: usize = 64 * 1024;
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// The request may administer. It stands first among what a handler takes: who may not is told so before
/// anything else is looked at.
pub(super) struct Admin;

impl FromRequestParts<Api> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Parts, signalling: &Arc<Signalling>) -> Result<Self, Refusal> {
        may_administer(signalling, head)?;
        Ok(Self)
    }
}

/// The body as JSON; `null` where there is none.
pub(super) struct JsonBody(pub Value);

impl FromRequest<Api> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, signalling: &Arc<Signalling>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let read = body::read(&head.headers, body, BODY_LEN_MAX, signalling.limits.body_within).await;
        let body = read.map_err(|refused| match refused {
            Refused::TooLarge => too_large(),
            other => problem(other),
        })?;
        if body.is_empty() {
            return Ok(Self(Value::Null));
        }
        let content_type = text(&head.headers, header::CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_patch = head.method == Method::PATCH && essence == "application/merge-patch+json";
        if essence != "application/json" && !is_patch {
            return Err(json_wanted(&head.method).into());
        }
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(not_json(&error.to_string()).into()),
        }
    }
}

fn too_large() -> Problem {
    Problem::new(
        413,
        "body_too_large",
        "Body too large",
        format!("The body has more than {BODY_LEN_MAX} bytes."),
        "Send one endpoint at a time; a real one has some hundred bytes.",
    )
    .with("Connection", "close")
}

fn json_wanted(method: &Method) -> Problem {
    let (header, types) = match *method {
        Method::PATCH => ("Accept-Patch", "application/merge-patch+json, application/json"),
        _ => ("Accept-Post", "application/json"),
    };
    Problem::new(
        415,
        "wrong_media_type",
        "Wrong media type",
        "The body is not said to be JSON.",
        "Send it with \"Content-Type: application/json\".",
    )
    .with(header, types)
}

/// 400: the body cannot be read at all.
pub(super) fn not_json(why: &str) -> Problem {
    Problem::new(
        400,
        "invalid_json",
        "Invalid JSON",
        format!("The body cannot be read: {why}."),
        "Send a JSON object; /api/v1/openapi.json says what belongs into it.",
    )
}

/// Which part of a list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: usize,
    /// Only those after this one: `next` of the page before.
    #[param(required = false)]
    pub after: String,
    #[param(ignore)]
    pub stream: Option<String>,
}

impl FromRequestParts<Api> for Page {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Parts, _: &Arc<Signalling>) -> Result<Self, Refusal> {
        let has_stream = head.uri.path().ends_with("/sessions");
        let mut page = Self { limit: LIMIT, after: String::new(), stream: None };
        let mut faults = Faults::default();
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "limit" => match value.parse() {
                    Ok(limit @ 1..=LIMIT_MAX) => page.limit = limit,
                    _ => faults.add("limit", format!("wants a number, 1 to {LIMIT_MAX}")),
                },
                "after" => page.after = value.into_owned(),
                "stream" if has_stream => page.stream = Some(value.into_owned()),
                other => faults.add(other.chars().take(64).collect::<String>(), "there is no such parameter"),
            }
        }
        faults.or(|| page)
    }
}

/// `If-Match`, if there is one.
pub(super) struct IfMatch(Option<String>);

impl FromRequestParts<Api> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Parts, _: &Arc<Signalling>) -> Result<Self, Refusal> {
        let values = head.headers.get_all(header::IF_MATCH).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        Ok(Self((!values.is_empty()).then(|| values.join(","))))
    }
}

impl IfMatch {
    /// Whether `tag` is one of those that the request is about (RFC 9110 §13.1.1): compared strongly.
    pub fn check(&self, tag: &str) -> Result<(), Problem> {
        let Some(list) = &self.0 else { return Ok(()) };
        if list.split(',').map(str::trim).any(|each| each == "*" || each == tag) {
            return Ok(());
        }
        Err(Problem::new(
            412,
            "endpoint_changed",
            "Endpoint changed",
            "The endpoint is not as If-Match says any more: somebody else has changed it.",
            "Read it again, see what is different, and send the change with its new ETag.",
        ))
    }
}
