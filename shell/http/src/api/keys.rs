//! The keys of an endpoint: made, listed, revoked, rotated.

use super::faults::{Faults, Refusal, inside};
use super::inputs::{NewKey, ProblemSchema, Rotation};
use super::views::{CreatedKey, EndpointView, KeyList, KeyView, RotatedKey};
use super::{Admin, Api, JsonBody, created, fresh, json};
use crate::registry::no_such_endpoint;
use crate::routes::unix_now;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value};
use wtn_store::{Allows, Digest, StoredEndpoint, StoredKey, fresh_id, fresh_secret};
use wtn_wish::Problem;

/// Every request is held against all keys of its endpoint, and rotation keeps a few old ones; more than this
/// are users, who need another system than a list of keys.
pub(crate) const KEYS_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 64;
/// Shorter ones can be guessed from their digest.
const SECRET_LEN_MIN: usize = 16;
const SECRET_LEN_MAX: usize = 256;
/// The end of the year 9999.
const TIME_MAX: u64 = 253_402_300_799;
const OVERLAP_SECONDS: u64 = 86_400;
/// A month: an old key that opens for longer is not being replaced.
const OVERLAP_SECONDS_MAX: u64 = 2_592_000;

/// What is asked of a new key.
#[derive(Debug)]
pub(crate) struct KeyWish {
    pub allows: Allows,
    pub label: Option<String>,
    pub expires_at: Option<u64>,
    secret: Option<String>,
}

/// What making and rotating have in common.
const COMMON: [&str; 4] = ["label", "expires_at", "expires_in_seconds", "secret"];

impl KeyWish {
    /// A new key, from a value within `field`.
    pub fn read(field: &str, value: &Value, now: u64, faults: &mut Faults) -> Option<Self> {
        let object = faults.object(field, value, &[&["allows"], &COMMON[..]].concat())?;
        let allows = |value: &Value| serde_json::from_value(value.clone()).ok();
        let wants = "\"publish\" or \"play\"";
        let allows = faults.field(field, object, "allows", wants, allows);
        if object.get("allows").is_none_or(Value::is_null) {
            faults.add(inside(field, "allows"), format!("is missing; wants {wants}"));
        }
        let common = Self::common(field, object, now, faults);
        Some(Self { allows: allows?, ..common })
    }

    fn common(field: &str, object: &Map<String, Value>, now: u64, faults: &mut Faults) -> Self {
        let label = |value: &Value| {
            let fits = |text: &&str| {
                (1..=LABEL_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
            };
            value.as_str().filter(fits).map(str::to_owned)
        };
        let label = faults.field(field, object, "label", "a text of 1 to 64 characters", label);
        let at = |value: &Value| value.as_u64().filter(|at| (now + 1..=TIME_MAX).contains(at));
        let wants = "seconds since 1970-01-01 UTC, in the future";
        let expires_at = faults.field(field, object, "expires_at", wants, at);
        let lasts = |value: &Value| value.as_u64().filter(|lasts| (1..=TIME_MAX - now).contains(lasts));
        let expires_in = faults.field(field, object, "expires_in_seconds", "seconds, 1 or more", lasts);
        if expires_at.is_some() && expires_in.is_some() {
            faults.add(inside(field, "expires_in_seconds"), "says the same as `expires_at`; leave one out");
        }
        let secret = |value: &Value| {
            let is_fit = |text: &&str| {
                (SECRET_LEN_MIN..=SECRET_LEN_MAX).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic())
            };
            value.as_str().filter(is_fit).map(str::to_owned)
        };
        let wants = "16 to 256 visible ASCII characters without spaces";
        let secret = faults.field(field, object, "secret", wants, secret);
        let expires_at = expires_at.or_else(|| Some(now + expires_in?));
        Self { allows: Allows::Publish, label, expires_at, secret }
    }

    /// Adds the key to those that there are; its place, and its secret.
    pub fn add_to(self, keys: &mut Vec<StoredKey>, now: u64) -> Result<(StoredKey, String), Problem> {
        make_room(keys, now)?;
        let secret = self.secret.unwrap_or_else(fresh_secret);
        let digest = Digest::of(&secret);
        if keys.iter().any(|key| key.digest == digest) {
            return Err(key_exists());
        }
        let is_taken = |id: &String| keys.iter().any(|key| key.id == *id);
        let mut id = fresh_id();
        while is_taken(&id) {
            id = fresh_id();
        }
        let Self { allows, label, expires_at, .. } = self;
        let key = StoredKey { id, allows, label, digest, created_at: now, expires_at };
        keys.push(key.clone());
        Ok((key, secret))
    }
}

/// Where there is no room for one more, the key goes that expired first. None that still opens does, and never
/// the last of its kind: without it the server's own keys would hold.
fn make_room(keys: &mut Vec<StoredKey>, now: u64) -> Result<(), Problem> {
    if keys.len() < KEYS_MAX {
        return Ok(());
    }
    let is_last = |key: &StoredKey| keys.iter().filter(|other| other.allows == key.allows).count() == 1;
    let expired = keys.iter().enumerate().filter(|(_, key)| !is_last(key));
    let expired = expired.filter_map(|(place, key)| Some((key.expires_at.filter(|at| *at <= now)?, place)));
    let Some((_, place)) = expired.min() else { return Err(too_many_keys()) };
    keys.remove(place);
    Ok(())
}

#[utoipa::path(
    get, path = "/endpoints/{name}/keys", tag = "keys", operation_id = "list_keys",
    params(("name" = String, Path, description = "The endpoint.")),
    responses(
        (status = 200, description = "All its keys, without their secrets.", body = KeyList),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Lists the keys of an endpoint.
pub(super) async fn list(
    _: Admin,
    State(signalling): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let known = signalling.registry.find(&name).ok_or_else(|| no_such_endpoint(&name))?;
    Ok(json(&KeyList { keys: EndpointView::from(&known).keys }))
}

#[utoipa::path(
    post, path = "/endpoints/{name}/keys", tag = "keys", operation_id = "create_key",
    params(("name" = String, Path, description = "The endpoint.")),
    request_body = NewKey,
    responses(
        (status = 201, description = "Made. The secret is shown this once.", body = CreatedKey),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Makes a key.
pub(super) async fn create(
    _: Admin,
    State(signalling): State<Api>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Refusal> {
    let now = unix_now();
    let mut faults = Faults::default();
    let wish = KeyWish::read("", &body, now, &mut faults);
    let wish = faults.or(|| wish)?.ok_or_else(no_body)?;
    let change = move |endpoint: &mut StoredEndpoint| {
        endpoint.changed_at = now;
        wish.add_to(&mut endpoint.keys, now)
    };
    let ((key, secret), endpoint) = signalling.change_endpoint(name, change).await?;
    let location = format!("/api/v1/endpoints/{}/keys/{}", endpoint.name, key.id);
    Ok(created(&location, &CreatedKey { key: (&key).into(), secret }))
}

#[utoipa::path(
    delete, path = "/endpoints/{name}/keys/{id}", tag = "keys", operation_id = "revoke_key",
    params(
        ("name" = String, Path, description = "The endpoint."),
        ("id" = String, Path, description = "The key."),
    ),
    responses(
        (status = 204, description = "Revoked: it opens nothing any more. Sessions that it opened end if the \
            endpoint's policy says so (`end_on_revoke`)."),
        (status = "4XX", description = "Refused. 409 `last_key`: without this key the server's own would hold.",
            body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Revokes a key.
pub(super) async fn revoke(
    _: Admin,
    State(signalling): State<Api>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let change = move |endpoint: &mut StoredEndpoint| {
        let place = place_of(&endpoint.keys, &id)?;
        let allows = endpoint.keys[place].allows;
        if endpoint.keys.iter().filter(|key| key.allows == allows).count() == 1 {
            return Err(last_key(&id, allows));
        }
        endpoint.keys.remove(place);
        endpoint.changed_at = unix_now();
        Ok(())
    };
    signalling.change_endpoint(name, change).await?;
    Ok(fresh(StatusCode::NO_CONTENT))
}

#[utoipa::path(
    post, path = "/endpoints/{name}/keys/{id}/rotate", tag = "keys", operation_id = "rotate_key",
    params(
        ("name" = String, Path, description = "The endpoint."),
        ("id" = String, Path, description = "The key."),
    ),
    request_body(content = Option<Rotation>),
    responses(
        (status = 201, description = "Replaced. The new secret is shown this once.", body = RotatedKey),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "Not written.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Puts a new key in the place of an old one, which still opens for a while.
pub(super) async fn rotate(
    _: Admin,
    State(signalling): State<Api>,
    Path((name, id)): Path<(String, String)>,
    JsonBody(body): JsonBody,
) -> Result<Response, Refusal> {
    let now = unix_now();
    let (wish, overlap) = read_rotation(&body, now)?;
    let change = move |endpoint: &mut StoredEndpoint| {
        let place = place_of(&endpoint.keys, &id)?;
        let old = endpoint.keys[place].clone();
        let lifetime = old.expires_at.map(|at| at.saturating_sub(old.created_at));
        let wish = KeyWish {
            allows: old.allows,
            label: wish.label.or_else(|| old.label.clone()),
            expires_at: wish.expires_at.or_else(|| lifetime.map(|lifetime| now.saturating_add(lifetime))),
            ..wish
        };
        let mut keys = endpoint.keys.clone();
        let until = old.expires_at.unwrap_or(u64::MAX).min(now + overlap);
        keys[place].expires_at = Some(until);
        let replaces = (until > now).then(|| KeyView::from(&keys[place]));
        if replaces.is_none() {
            keys.remove(place);
        }
        let (key, secret) = wish.add_to(&mut keys, now)?;
        endpoint.keys = keys;
        endpoint.changed_at = now;
        Ok(RotatedKey { fresh: CreatedKey { key: (&key).into(), secret }, replaces })
    };
    let (rotated, endpoint) = signalling.change_endpoint(name, change).await?;
    let location = format!("/api/v1/endpoints/{}/keys/{}", endpoint.name, rotated.fresh.key.id);
    Ok(created(&location, &rotated))
}

fn read_rotation(body: &Value, now: u64) -> Result<(KeyWish, u64), Refusal> {
    let nothing = Value::Object(Map::new());
    let body = if body.is_null() { &nothing } else { body };
    let mut faults = Faults::default();
    let object = faults.object("", body, &[&["overlap_seconds"], &COMMON[..]].concat());
    let Some(object) = object else { return Err(faults.or(|| ()).err().unwrap_or_else(|| no_body().into())) };
    let overlap = |value: &Value| value.as_u64().filter(|overlap| *overlap <= OVERLAP_SECONDS_MAX);
    let overlap = faults.field("", object, "overlap_seconds", "seconds, 0 to 2592000", overlap);
    let wish = KeyWish::common("", object, now, &mut faults);
    faults.or(|| (wish, overlap.unwrap_or(OVERLAP_SECONDS)))
}

fn place_of(keys: &[StoredKey], id: &str) -> Result<usize, Problem> {
    keys.iter().position(|key| key.id == id).ok_or_else(|| {
        Problem::new(
            404,
            "no_such_key",
            "No such key",
            format!("This endpoint has no key {id:?}."),
            "See its keys: GET /api/v1/endpoints/{name}/keys, or `wtn key list`.",
        )
    })
}

fn last_key(id: &str, allows: Allows) -> Problem {
    let (what, instead) = match allows {
        Allows::Publish => ("publish", "publish keys"),
        Allows::Play => ("play", "play keys, or everybody if it has none,"),
    };
    Problem::new(
        409,
        "last_key",
        "Last key",
        format!(
            "{id:?} is the only {what} key of this endpoint: without it, the server's {instead} would open it."
        ),
        "To take the key away at once, rotate it with overlap_seconds 0; to change who may come in, make another \
         key first, or destroy the endpoint.",
    )
}

fn too_many_keys() -> Problem {
    Problem::new(
        409,
        "too_many_keys",
        "Too many keys",
        format!("The endpoint has {KEYS_MAX} keys that still open, which is as many as one has."),
        "Revoke those that are not used any more; for a key each per user, use tokens (JWT).",
    )
}

fn key_exists() -> Problem {
    Problem::new(
        409,
        "key_exists",
        "Key exists",
        "The endpoint has a key with this secret already.",
        "Send another secret, or none: then a fresh one is made.",
    )
}

fn no_body() -> Problem {
    super::not_json("the body is empty")
}
