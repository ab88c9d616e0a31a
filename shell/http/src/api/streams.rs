//! What is on air.

use super::inputs::ProblemSchema;
use super::lint::LintView;
use super::{Api, json};
use crate::routes::{response, text};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;
use wtn_wish::Problem;

/// One stream: there from its first session on to its last.
#[derive(Serialize, ToSchema)]
#[schema(as = Stream)]
pub(crate) struct StreamView {
    #[schema(example = "live")]
    name: String,
    /// Whether a publisher is connected.
    live: bool,
    /// What it carries, or carried last.
    #[schema(example = json!(["H264", "opus"]))]
    codecs: Vec<&'static str>,
    /// Viewers that are connected.
    viewers: usize,
    /// Its connected publishers, the oldest first: more than one where the endpoint takes backups.
    inputs: Vec<InputView>,
    /// What may be wrong with what viewers get, in words for whoever publishes.
    lint: Vec<LintView>,
}

/// One publisher among the inputs of its stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Input)]
pub(crate) struct InputView {
    /// Its session.
    #[schema(example = "17")]
    pub session: String,
    /// 0 for the main input, 1 for its first backup, and so on.
    #[schema(minimum = 0, maximum = 9)]
    pub backup: u8,
    /// Whether viewers get what it sends.
    pub shown: bool,
    /// Whether it sends anything: false a second after its last picture.
    pub sends: bool,
}

impl From<wtn_wish::InputView> for InputView {
    fn from(input: wtn_wish::InputView) -> Self {
        Self {
            session: input.session.to_string(),
            backup: input.backup,
            shown: input.is_shown,
            sends: input.flows,
        }
    }
}

#[utoipa::path(
    get, path = "/streams", tag = "streams", operation_id = "list_streams",
    responses(
        (status = 200, description = "Every stream by name.", body = Vec<StreamView>),
        (status = "4XX", description = "Refused.", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("play_key" = []), ("publish_key" = []), ()),
)]
/// Lists the streams. Where watching needs a key, so does this.
pub(super) async fn list(State(signalling): State<Api>, headers: HeaderMap) -> Response {
    if !signalling.may_list(text(&headers, header::AUTHORIZATION)) {
        return unauthorized();
    }
    let front = signalling.front();
    let lint = |inputs: &[wtn_wish::InputView]| {
        let shown = inputs.iter().find(|input| input.is_shown);
        shown.and_then(|input| front.notes.get(&input.session)).map_or_else(Vec::new, LintView::of)
    };
    let views = front.desk.streams().map(|stream| StreamView {
        name: stream.name.to_owned(),
        live: stream.live,
        codecs: stream.codecs.iter().map(|format| format.codec.name()).collect(),
        viewers: stream.viewers,
        lint: lint(&stream.inputs),
        inputs: stream.inputs.into_iter().map(InputView::from).collect(),
    });
    let views: Vec<_> = views.collect();
    drop(front);
    json(&views)
}

fn unauthorized() -> Response {
    let problem = Problem::new(
        401,
        "no_token",
        "A key is needed",
        "The list of streams needs a key here, because watching does.",
        "Send one of the server's keys: \"Authorization: Bearer KEY\".",
    );
    response(problem.with("WWW-Authenticate", "Bearer realm=\"wtn\"").into_reply())
}
