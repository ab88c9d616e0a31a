//! What is special about the URLs of other servers: a bearer that names the stream, TALWTN's tokens and mutes.

use super::Desk;
use super::table::{Part, Session, Way};
use crate::auth::{Door, bearer};
use crate::routes::Query;
use crate::{Effect, Family, Problem, Reply, Request, Resource, Routes, is_stream_name, talwtn};
use serde::Deserialize;
use std::borrow::Cow;
use wtn_media::{MediaKind, SessionId};

/// A request to Broadcast Box' URLs, with the stream's name and its key told apart.
///
/// The name of the stream must not be what opens it: there, whoever watches knows the key to publish. So the
/// bearer is `NAME:KEY`, or `NAME` where nothing needs a key, or the key of an endpoint, which then is meant.
pub(super) struct Named {
    door: Door,
    name: String,
    authorization: Option<String>,
}

impl Named {
    pub fn request<'r>(&'r self, request: Request<'r>) -> Request<'r> {
        let name = Cow::Borrowed(&*self.name);
        let resource = match self.door {
            Door::Publish => Resource::WhipEndpoint(name),
            Door::Play => Resource::WhepEndpoint(name),
        };
        Request { resource, authorization: self.authorization.as_deref(), ..request }
    }
}

impl Way {
    pub fn of(request: &Request<'_>) -> Self {
        Self { family: request.family, is_key_in_url: request.is_key_in_url, sub_auth: true }
    }

    /// What of the session's `Authorization` is to be held against its key.
    pub fn key_of(self, authorization: Option<&str>) -> Option<Cow<'_, str>> {
        let authorization = authorization?;
        let split = || bearer(authorization)?.split_once(':').filter(|(name, _)| is_stream_name(name));
        match self.family {
            Family::BroadcastBox => Some(
                split().map_or(Cow::Borrowed(authorization), |(_, key)| Cow::Owned(format!("Bearer {key}"))),
            ),
            _ => Some(Cow::Borrowed(authorization)),
        }
    }
}

impl Family {
    /// Whether there is an endpoint for `name` at its URLs.
    pub(super) fn has_endpoint(self, name: &str) -> bool {
        match self {
            Self::Talwtn => talwtn::parts(name).is_some(),
            // One URL for all streams.
            Self::BroadcastBox => true,
            _ => is_stream_name(name),
        }
    }

    /// A problem in words that its clients understand.
    pub fn words(self, problem: Problem) -> Problem {
        match self {
            Self::Talwtn => talwtn::in_its_words(problem),
            Self::BroadcastBox if problem.code == "no_token" => Problem::stream_key_missing(),
            _ => problem,
        }
    }
}

impl Desk {
    /// Whose URLs are understood.
    pub fn routes(&self) -> Routes {
        Routes { talwtn: !self.config.talwtn.is_empty(), ..self.config.routes }
    }

    /// Switches a session's sound or picture off or on; `None` leaves it. `None` if there is no such session.
    pub fn mute_session(
        &mut self,
        id: SessionId,
        audio: Option<bool>,
        video: Option<bool>,
    ) -> Option<Effect> {
        let muted = &mut self.table.session_mut(id)?.muted;
        for (kind, change) in [(MediaKind::Audio, audio), (MediaKind::Video, video)] {
            if let Some(change) = change {
                muted[kind.index()] = change;
            }
        }
        let [audio, video] = *muted;
        Some(Effect::Mute { session: id, audio, video })
    }

    pub(super) fn named_by_bearer(&self, request: &Request<'_>) -> Option<Named> {
        let door = match (request.family, &request.resource) {
            (Family::BroadcastBox, Resource::WhipEndpoint(_)) => Door::Publish,
            (Family::BroadcastBox, Resource::WhepEndpoint(_)) => Door::Play,
            _ => return None,
        };
        let token = request.authorization.and_then(bearer).unwrap_or_default();
        if let Some(name) = self.endpoint_of_key(door, token) {
            let authorization = request.authorization.map(str::to_owned);
            return Some(Named { door, name: name.to_owned(), authorization });
        }
        let (name, key) = token.split_once(':').map_or((token, None), |(name, key)| (name, Some(key)));
        Some(Named { door, name: name.to_owned(), authorization: key.map(|key| format!("Bearer {key}")) })
    }

    /// The endpoint that has `token` among its own keys for that door. Every key is looked at, so that the time
    /// taken does not tell which it was.
    fn endpoint_of_key(&self, door: Door, token: &str) -> Option<&str> {
        self.endpoints().fold(None, |found, endpoint| {
            let keys = match door {
                Door::Publish => &endpoint.publish_keys,
                Door::Play => &endpoint.play_keys,
            };
            let opens = keys.iter().fold(false, |opens, key| opens | key.key.opens_for(token));
            if opens && found.is_none() { Some(endpoint.name.as_str()) } else { found }
        })
    }

    /// Whether TALWTN's token opens the stream, or none is needed.
    pub(super) fn open_talwtn(&self, door: Door, name: &str, request: &Request<'_>) -> Result<Way, Problem> {
        let grant = talwtn::open(&self.config.talwtn, door, name, request);
        match (door, grant) {
            (_, Ok(grant)) => Ok(Way { sub_auth: grant.sub_auth, ..Way::of(request) }),
            (Door::Play, Err(_)) if self.is_open_to_viewers(name) => Ok(Way::of(request)),
            (_, Err(problem)) => Err(problem),
        }
    }

    /// Whether the stream's publisher, while it is live, lets viewers in without a token.
    fn is_open_to_viewers(&self, name: &str) -> bool {
        let live = self.table.stream(name).and_then(|stream| self.table.session(stream.live?));
        live.is_some_and(|live| live.way.family == Family::Talwtn && !live.way.sub_auth)
    }

    /// A 201 whose `Location` is absolute where the client takes no other.
    pub(super) fn at_its_base(&self, mut reply: Reply, request: &Request<'_>) -> Reply {
        if request.family == Family::Talwtn
            && let Some(base) = request.base_url
            && let Some((_, location)) = reply.headers.iter_mut().find(|(name, _)| *name == "Location")
            && location.starts_with('/')
        {
            location.insert_str(0, base);
        }
        reply
    }

    /// Who ends together with a session that is deleted: the viewers of a TALWTN publisher, unless somebody
    /// else is live.
    pub(super) fn viewers_that_go_with(&self, id: SessionId) -> Vec<SessionId> {
        let of = |session: &Session| {
            let name = self.table.name_of(session.stream)?;
            let is_alone = self.table.stream(name)?.inputs.iter().all(|input| *input == id);
            let takes_along = session.is_talwtn_publisher() && is_alone;
            takes_along.then(|| self.viewers_of(name))
        };
        self.table.session(id).and_then(of).unwrap_or_default()
    }

    /// Every viewer of a stream, connected or not.
    pub(super) fn viewers_of(&self, name: &str) -> Vec<SessionId> {
        let is_viewer = |id: &SessionId| {
            self.table.session(*id).is_some_and(|session| matches!(session.part, Part::Viewer))
        };
        self.table.sessions_of(name).into_iter().filter(is_viewer).collect()
    }

    /// Whether POST to that session's URL mutes it.
    pub(super) fn is_mutable(&self, id: &str) -> bool {
        self.table.by_secret(id).is_some_and(|(_, session)| session.way.family == Family::Talwtn)
    }

    /// TALWTN's mute: JSON, each field where something is to change.
    pub(super) fn mute(&mut self, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        #[derive(Deserialize)]
        struct Mute {
            #[serde(rename = "MuteAudio")]
            audio: Option<bool>,
            #[serde(rename = "MuteVideo")]
            video: Option<bool>,
        }
        let session = self.authorized(id, request)?;
        if request.body.len() > Request::BODY_LEN_MAX {
            return Err(talwtn::in_its_words(Problem::body_too_large()));
        }
        let mute: Mute = serde_json::from_slice(request.body).map_err(|_| Problem::bad_mute())?;
        let effect = self.mute_session(session, mute.audio, mute.video).ok_or_else(Problem::not_found)?;
        Ok(Reply::new(200).with_effect(effect))
    }
}

/// What a TALWTN client wants to be silent from the first packet on.
pub(super) fn muted_at_first(request: &Request<'_>) -> [bool; 2] {
    let query = Query(request.query.unwrap_or_default());
    match request.family {
        Family::Talwtn => ["MuteAudio", "MuteVideo"].map(|name| query.is_true(name)),
        _ => [false; 2],
    }
}

impl Problem {
    fn stream_key_missing() -> Self {
        let detail = "At this URL the bearer token names the stream, and no key follows the name.";
        let fix =
            "Send \"Authorization: Bearer NAME:KEY\"; in OBS, NAME:KEY goes into the field Bearer Token.";
        Self::new(401, "stream_key_missing", "A key is needed", detail, fix)
            .with("WWW-Authenticate", "Bearer realm=\"wtn\"")
    }

    fn bad_mute() -> Self {
        let detail = "The body is not JSON of true and false.";
        let fix = "Send {\"MuteAudio\": true, \"MuteVideo\": false}, or one of the two.";
        Self::new(400, "bad_mute", "Not a mute", detail, fix)
    }
}
