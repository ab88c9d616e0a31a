//! Sessions: who publishes, who watches, and an end to it.

use super::faults::Refusal;
use super::inputs::ProblemSchema;
use super::lint::LintView;
use super::streams::InputView;
use super::{Admin, Api, Page, fresh, json};
use crate::events::SessionNote;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use wtn_media::SessionId;
use wtn_wish::{Desk, Problem};

/// One WHIP or WHEP session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// As in the log. It is no secret: the session's URL has another.
    #[schema(example = "17")]
    pub id: String,
    /// The stream's name.
    #[schema(example = "live")]
    pub stream: String,
    pub role: SessionRole,
    pub state: SessionState,
    /// Seconds since 1970-01-01 UTC.
    pub started_at: u64,
    /// Where its media comes from or goes to; null while it connects.
    #[schema(example = "203.0.113.9:50000")]
    pub remote: Option<String>,
    /// What a publisher's tracks carry.
    #[schema(example = json!(["H264", "opus"]))]
    pub codecs: Vec<String>,
    /// What a connected publisher is among the inputs of its stream; null for all others.
    pub input: Option<InputView>,
    /// What may be wrong with what a publisher sends.
    pub lint: Vec<LintView>,
}

/// Which end it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionRole {
    Publisher,
    Subscriber,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionState {
    /// It has its answer, and ICE or DTLS are not done.
    Connecting,
    /// Media may flow.
    Connected,
}

/// One page of sessions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SessionPage {
    /// The oldest first.
    pub sessions: Vec<SessionView>,
    /// What to send as `after` for the next page; null: this is the last.
    pub next: Option<String>,
}

impl SessionView {
    fn new(id: SessionId, note: &SessionNote, desk: &Desk) -> Self {
        Self {
            id: id.to_string(),
            stream: note.stream.to_string(),
            role: if note.is_publisher { SessionRole::Publisher } else { SessionRole::Subscriber },
            state: if note.remote.is_some() { SessionState::Connected } else { SessionState::Connecting },
            started_at: note.started_at,
            remote: note.remote.map(|remote| remote.to_string()),
            codecs: note.formats().map(|format| format.codec.name().to_owned()).collect(),
            input: desk.input(id).filter(|_| note.remote.is_some()).map(InputView::from),
            lint: LintView::of(note),
        }
    }
}

#[utoipa::path(
    get, path = "/sessions", tag = "sessions", operation_id = "list_sessions",
    params(Page, ("stream" = Option<String>, Query, description = "Only those of this stream.")),
    responses(
        (status = 200, description = "The sessions, the oldest first.", body = SessionPage),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Lists the sessions.
pub(super) async fn list(_: Admin, State(signalling): State<Api>, page: Page) -> Response {
    // What is no number comes before all of them.
    let after: u64 = page.after.parse().unwrap_or(0);
    let is_wanted = |id: &SessionId, note: &SessionNote| {
        id.0 > after && page.stream.as_deref().is_none_or(|stream| stream == &*note.stream)
    };
    let front = signalling.front();
    let mut ids: Vec<_> =
        front.notes.iter().filter(|(id, note)| is_wanted(id, note)).map(|(id, _)| *id).collect();
    let has_more = ids.len() > page.limit;
    if has_more {
        ids.select_nth_unstable(page.limit);
        ids.truncate(page.limit);
    }
    ids.sort_unstable();
    let views = ids.iter().filter_map(|id| Some(SessionView::new(*id, front.notes.get(id)?, &front.desk)));
    let sessions: Vec<_> = views.collect();
    drop(front);
    let last = sessions.last().map(|session| session.id.clone());
    json(&SessionPage { sessions, next: last.filter(|_| has_more) })
}

#[utoipa::path(
    get, path = "/sessions/{id}", tag = "sessions", operation_id = "show_session",
    params(("id" = String, Path, description = "The session.")),
    responses(
        (status = 200, description = "The session.", body = SessionView),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Shows a session.
pub(super) async fn show(
    _: Admin,
    State(signalling): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let session = parse(&id)?;
    let front = signalling.front();
    let view = front.notes.get(&session).map(|note| SessionView::new(session, note, &front.desk));
    drop(front);
    Ok(json(&view.ok_or_else(|| no_such_session(&id))?))
}

#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path, description = "The session.")),
    responses(
        (status = 204, description = "Ended. A publisher's viewers are kept for the grace time."),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("admin_key" = []), ()),
)]
/// Ends a session.
pub(super) async fn end(
    _: Admin,
    State(signalling): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    match signalling.end_session(parse(&id)?) {
        true => Ok(fresh(StatusCode::NO_CONTENT)),
        false => Err(no_such_session(&id).into()),
    }
}

fn parse(id: &str) -> Result<SessionId, Problem> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    let number = is_plain.then(|| id.parse().ok()).flatten();
    number.map(SessionId).ok_or_else(|| no_such_session(id))
}

fn no_such_session(id: &str) -> Problem {
    Problem::new(
        404,
        "no_such_session",
        "No such session",
        format!("There is no session {id:?}, or it has ended."),
        "See the list: GET /api/v1/sessions.",
    )
}
