//! What hangs below a viewer's session.

use super::{Flaw, Request, Response, State};

const TYPES: [&str; 2] = ["layers", "viewercount"];

/// Events and layers of a viewer's session.
pub(super) fn below_session(
    request: &Request,
    id: &str,
    below: &str,
    state: &mut State,
    flaw: Flaw,
) -> Response {
    let is_wrong = |name: &str| flaw == name;
    if !state.sessions.contains_key(id) && !is_wrong("event streams stay") {
        state.feeds.retain(|path, _| !path.contains(id));
        return Response::problem(404);
    }
    match (&*request.method, below) {
        ("POST", "events") => {
            let types: Vec<String> = serde_json::from_str(&request.body).unwrap_or_default();
            let is_known = |kind: &String| TYPES.contains(&&**kind);
            if !types.iter().all(is_known) && !is_wrong("unknown events are fine") {
                return Response::problem(400);
            }
            let path = format!("{}/{:032x}", request.path, rand::random::<u128>());
            state.feeds.insert(path.clone(), types.join(","));
            Response::new(201).with("Location", path)
        }
        ("POST", "layer") => match serde_json::from_str::<serde_json::Value>(&request.body) {
            Ok(body) if body.get("rid").is_none() || is_wrong("any layer is fine") => Response::new(200),
            Ok(_) => Response::problem(422),
            Err(_) => Response::problem(400),
        },
        ("GET", _) if state.feeds.contains_key(&request.path) => {
            let types = state.feeds[&request.path].clone();
            let wants = |kind: &str| types.contains(kind) || is_wrong("all events for everybody");
            let mut body = String::new();
            if wants("layers") {
                let section = if is_wrong("sections by name") { "video" } else { "1" };
                let name = if is_wrong("layers without a name") { "" } else { "\"rid\":\"h\"," };
                body += &format!("event: layers\ndata: {{\"{section}\":[{{{name}\"bitrate\":1}}]}}\n\n");
            }
            if wants("viewercount") {
                let data = if is_wrong("two data lines") { "{\ndata: }" } else { "{\"viewercount\":1}" };
                body += &format!("event: viewercount\ndata: {data}\n\n");
            }
            let kind =
                if is_wrong("events are no event stream") { "text/plain" } else { "text/event-stream" };
            Response { body, ..Response::new(200).with("Content-Type", kind) }
        }
        ("DELETE", _) if state.feeds.contains_key(&request.path) => {
            if !is_wrong("event streams stay") {
                state.feeds.remove(&request.path);
            }
            Response::new(200)
        }
        _ => Response::problem(404),
    }
}
