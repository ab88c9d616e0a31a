//! Endpoints: listed, made, shown, changed, destroyed.

use super::faults::{Faults, Refusal};
use super::inputs::{EndpointChange, NewEndpoint, ProblemSchema};
use super::keys::{KEYS_MAX, KeyWish};
use super::settings::{Settings, merge};
use super::views::{CreatedEndpoint, EndpointPage, EndpointView, FreshSecret};
use super::{Admin, Api, IfMatch, JsonBody, Page, created, fresh, json, tagged};
use crate::registry::no_such_endpoint;
use crate::routes::unix_now;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wtn_store::StoredEndpoint;
use wtn_wish::{Problem, is_stream_name};

#[utoipa::path(
    get, path = "/endpoints", tag = "endpoints", operation_id = "list_endpoints",
    params(Page),
    responses(
        (status = 200, description = "Those of the configuration and of the store, by name.", body = EndpointPage),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Lists the endpoints.
pub(super) async fn list(_: Admin, State(signalling): State<Api>, page: Page) -> Response {
    let (known, has_more) = signalling.registry.page(&page.after, page.limit);
    let endpoints: Vec<_> = known.iter().map(EndpointView::from).collect();
    let last = endpoints.last().map(|endpoint| endpoint.name.clone());
    json(&EndpointPage { endpoints, next: last.filter(|_| has_more) })
}

#[utoipa::path(
    post, path = "/endpoints", tag = "endpoints", operation_id = "create_endpoint",
    request_body = NewEndpoint,
    responses(
        (status = 201, description = "Made, and kept. The secrets of its keys are shown this once.",
            body = CreatedEndpoint,
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its tag."))),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Makes an endpoint.
pub(super) async fn create(
    _: Admin,
    State(signalling): State<Api>,
    JsonBody(body): JsonBody,
) -> Result<Response, Refusal> {
    let (endpoint, secrets) = read_new(&body, unix_now())?;
    let view = EndpointView::from(&endpoint);
    signalling.create_endpoint(endpoint).await?;
    let (location, tag) = (format!("/api/v1/endpoints/{}", view.name), view.tag());
    let response = created(&location, &CreatedEndpoint { endpoint: view, secrets });
    Ok(tagged(response, &tag))
}

fn read_new(body: &Value, now: u64) -> Result<(StoredEndpoint, Vec<FreshSecret>), Refusal> {
    let mut faults = Faults::default();
    let known = [&["name", "keys"], &Settings::FIELDS[..]].concat();
    let nothing = serde_json::Map::new();
    let object = faults.object("", body, &known).unwrap_or(&nothing);
    let wants = "1 to 64 letters, digits, or any of - . _ ~";
    let text = |value: &Value| value.as_str().filter(|name| is_stream_name(name)).map(str::to_owned);
    let name = faults.field("", object, "name", wants, text).unwrap_or_default();
    if object.get("name").is_none_or(Value::is_null) {
        faults.add("name", format!("is missing; wants {wants}"));
    }
    let list = |value: &Value| value.as_array().filter(|list| list.len() <= KEYS_MAX).cloned();
    let wants = format!("a list of at most {KEYS_MAX} keys");
    let list = faults.field("", object, "keys", &wants, list).unwrap_or_default();
    let read = |(place, value)| KeyWish::read(&format!("keys[{place}]"), value, now, &mut faults);
    let wishes: Vec<_> = list.iter().enumerate().filter_map(read).collect();
    let Settings { ice_servers, policy } = Settings::read(object, &mut faults);
    faults.or(|| ())?;

    let (mut keys, mut secrets) = (Vec::new(), Vec::new());
    for wish in wishes {
        let (key, secret) = wish.add_to(&mut keys, now)?;
        secrets.push(FreshSecret { id: key.id, secret });
    }
    let endpoint = StoredEndpoint { name, created_at: now, changed_at: now, keys, ice_servers, policy };
    Ok((endpoint, secrets))
}

#[utoipa::path(
    get, path = "/endpoints/{name}", tag = "endpoints", operation_id = "show_endpoint",
    params(("name" = String, Path, description = "The endpoint.")),
    responses(
        (status = 200, description = "The endpoint.", body = EndpointView,
            headers(("ETag" = String, description = "For If-Match."))),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Shows an endpoint.
pub(super) async fn show(
    _: Admin,
    State(signalling): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let known = signalling.registry.find(&name).ok_or_else(|| no_such_endpoint(&name))?;
    let view = EndpointView::from(&known);
    Ok(tagged(json(&view), &view.tag()))
}

#[utoipa::path(
    patch, path = "/endpoints/{name}", tag = "endpoints", operation_id = "change_endpoint",
    params(
        ("name" = String, Path, description = "The endpoint."),
        ("If-Match" = Option<String>, Header, description = "Change it only if this still is its tag."),
    ),
    request_body(content(
        (EndpointChange = "application/merge-patch+json"),
        (EndpointChange = "application/json"),
    )),
    responses(
        (status = 200, description = "As it is now. Running sessions go on.", body = EndpointView,
            headers(("ETag" = String, description = "Its new tag."))),
        (status = "4XX", description = "Refused. 412: it is not as `If-Match` says any more.",
            body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Changes an endpoint.
pub(super) async fn change(
    _: Admin,
    State(signalling): State<Api>,
    Path(name): Path<String>,
    if_match: IfMatch,
    JsonBody(patch): JsonBody,
) -> Result<Response, Refusal> {
    // Lists are replaced as a whole and the policy's fields stand alone, so that a patch which is right for an
    // endpoint with nothing set is right for any.
    patched(&Settings::default(), &patch)?;
    let change = move |endpoint: &mut StoredEndpoint| {
        if_match.check(&EndpointView::from(&*endpoint).tag())?;
        let now = Settings { ice_servers: endpoint.ice_servers.clone(), policy: endpoint.policy.clone() };
        let Ok(Settings { ice_servers, policy }) = patched(&now, &patch) else {
            return Err(super::not_json("it cannot be merged into the endpoint"));
        };
        *endpoint = StoredEndpoint { ice_servers, policy, changed_at: unix_now(), ..endpoint.clone() };
        Ok(())
    };
    let ((), endpoint) = signalling.change_endpoint(name, change).await?;
    let view = EndpointView::from(&endpoint);
    Ok(tagged(json(&view), &view.tag()))
}

fn patched(settings: &Settings, patch: &Value) -> Result<Settings, Refusal> {
    let mut faults = Faults::default();
    faults.object("", patch, &Settings::FIELDS);
    let mut whole = settings.write();
    merge(&mut whole, patch);
    let nothing = serde_json::Map::new();
    let settings = Settings::read(whole.as_object().unwrap_or(&nothing), &mut faults);
    faults.or(|| settings)
}

#[utoipa::path(
    delete, path = "/endpoints/{name}", tag = "endpoints", operation_id = "destroy_endpoint",
    params(
        ("name" = String, Path, description = "The endpoint."),
        ("If-Match" = Option<String>, Header, description = "Destroy it only if this still is its tag."),
    ),
    responses(
        (status = 204, description = "Gone, and its sessions ended."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Destroys an endpoint and ends its sessions.
pub(super) async fn destroy(
    _: Admin,
    State(signalling): State<Api>,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Refusal> {
    let check = move |endpoint: &StoredEndpoint| -> Result<(), Problem> {
        if_match.check(&EndpointView::from(endpoint).tag())
    };
    signalling.destroy_endpoint(name, check).await?;
    Ok(fresh(StatusCode::NO_CONTENT))
}
