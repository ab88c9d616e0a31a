//! Which path leads where.

use crate::body::{self, Refused};
use crate::connections::Ends;
use crate::reached_by::{base_url, reached_by};
use crate::signalling::Signalling;
use crate::{api, metrics, pages, status};
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{any, get};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wtn_wish::{Family, Method, Problem, Reply, Resource};

/// All of the server's paths.
pub fn router(signalling: &Arc<Signalling>) -> Router {
    Router::new()
        .route("/whip/{*name}", any(wish))
        .route("/whep/{*name}", any(wish))
        .route("/session/{*id}", any(wish))
        .route("/", get(pages::home))
        .route("/watch/{name}", get(pages::watch))
        .route("/assets/{*path}", get(pages::asset))
        .route("/livez", get(status::live))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .nest("/api/v1", api::router().into())
        .method_not_allowed_fallback(method_not_allowed)
        // The URLs of other servers: after all of our own, so that none of theirs can take one's place.
        .fallback(wish)
        .layer(middleware::from_fn_with_state(Arc::clone(signalling), metrics::count_request))
        .with_state(Arc::clone(signalling))
}

/// WHIP and WHEP: the body is bounded here, all else is the desk's.
async fn wish(State(signalling): State<Arc<Signalling>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let method = Method::from_name(head.method.as_str());
    let routes = signalling.routes();
    let found = Resource::find(head.uri.path(), head.uri.query(), &routes);
    let Some(found) = found else { return not_found().await };
    let family = found.family;
    // What of ours the router knows no route for is nowhere, such as `/whip/` without a name.
    if family == Family::Wtn && head.extensions.get::<MatchedPath>().is_none() {
        return not_found().await;
    }
    let text = |name: HeaderName| text(&head.headers, name);
    let ends = head.extensions.get::<Ends>();
    let (port, secure) = (ends.map(|ends| ends.here.port()), ends.is_some_and(|ends| ends.secure));
    let base_url = base_url(&head.uri, &head.headers, head.version, port, secure);
    let authorization = found.authorization(text(header::AUTHORIZATION));
    let mut request = wtn_wish::Request {
        method,
        family: found.family,
        is_key_in_url: found.key.is_some(),
        content_type: text(header::CONTENT_TYPE),
        authorization: authorization.as_deref(),
        if_match: text(header::IF_MATCH).or_else(|| text(header::ETAG)),
        origin: text(header::ORIGIN),
        is_preflight: method == Method::Options
            && head.headers.contains_key(header::ORIGIN)
            && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        base_url: base_url.as_deref(),
        query: head.uri.query(),
        client: ends.map(|ends| ends.remote.ip()),
        user_agent: text(header::USER_AGENT),
        unix_now: unix_now(),
        body: b"",
        reached_by: ends.map(|ends| reached_by(&head.uri, &head.headers, ends.here)),
        verdict: None,
        resource: found.resource,
    };
    if let Err(problem) = signalling.admit(&request) {
        let problem = family.words(problem.with("Connection", "close"));
        return labelled(response(signalling.refuse(&request, problem)), family);
    }
    let len_max = wtn_wish::Request::BODY_LEN_MAX;
    let body = match body::read(&head.headers, body, len_max, signalling.limits.body_within).await {
        Ok(body) => body,
        Err(refused) => {
            let reply = signalling.refuse(&request, family.words(problem(refused)));
            return labelled(response(reply), family);
        }
    };
    request.body = &body;
    signalling.find_out(&mut request).await;
    let (reply, events) = signalling.handle(request).await;
    let mut response = response(reply);
    if let Some(events) = events {
        *response.body_mut() = Body::new(events);
    }
    labelled(response, family)
}

/// An answer that metrics count under the pattern of its URL, where the router knows none.
fn labelled(mut response: Response, family: Family) -> Response {
    if family != Family::Wtn {
        response.extensions_mut().insert(metrics::Pattern(family.pattern()));
    }
    response
}

/// The wall clock, in seconds since 1970-01-01 UTC.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A header's first value; one that is no text counts as absent.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn problem(refused: Refused) -> Problem {
    let problem = match refused {
        Refused::TooLarge => Problem::body_too_large(),
        Refused::TooSlow => Problem::new(
            408,
            "body_too_slow",
            "Request too slow",
            "The request's body did not arrive in time.",
            "Send it in one go; see that nothing between client and server holds it back.",
        ),
        Refused::Broken => Problem::new(
            400,
            "body_broken",
            "Broken request",
            "The request's body ended early, or its chunks are malformed.",
            "Send as many bytes as Content-Length says, or well-formed chunks.",
        ),
    };
    // The rest of the body is not read, so nothing can follow it on this connection.
    problem.with("Connection", "close")
}

pub(crate) async fn not_found() -> Response {
    let problem = Problem::new(
        404,
        "no_such_page",
        "Not found",
        "Nothing lives at this path.",
        "Publish to /whip/{name}, watch at /watch/{name} or by /whep/{name}; / tells more.",
    );
    response(problem.into_reply())
}

/// Every answer on a connection that has no TLS and should have. Who types a name into a browser is led on; anybody
/// else learns why, and is not asked to repeat a request that may have shown its key already.
pub(crate) async fn only_by_https(request: Request) -> Response {
    let is_read = matches!(*request.method(), http::Method::GET | http::Method::HEAD);
    if let Some(host) = text(request.headers(), header::HOST).filter(|host| is_read && !host.is_empty()) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return response(Reply::new(307).with("Location", format!("https://{host}{path}")));
    }
    let problem = Problem::new(
        403,
        "https_only",
        "Only by https",
        "This server is reached by https only, from where you are.",
        "Write https:// instead of http:// in the URL; the operator can allow plain http by http.cleartext.",
    );
    response(problem.into_reply())
}

/// A request that says in more than one way where it ends (RFC 9112 §6.3).
pub(crate) fn contradictory_lengths() -> Response {
    let problem = Problem::new(
        400,
        "contradictory_lengths",
        "Broken request",
        "The request says in more than one way how long it is: by two lengths, or by a length and chunks.",
        "Send one Content-Length, or Transfer-Encoding: chunked, and not both.",
    );
    response(problem.with("Connection", "close").into_reply())
}

async fn method_not_allowed() -> Response {
    let problem = Problem::new(
        405,
        "method_not_allowed",
        "Method not allowed",
        "This page can be read, no more.",
        "Use GET or HEAD; publish by POST to /whip/{name}.",
    );
    response(problem.into_reply())
}

/// A reply of the desk as axum's response. Its effects have been carried out.
pub(crate) fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}
