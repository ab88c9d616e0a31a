//! What goes back: an HTTP reply, and what the engine must be told.

use crate::events::Feed;
use std::time::{Duration, Instant};
use wtn_media::{Admission, IceCredentials, LayerSelection, SessionId, StreamId};

/// One reply, and what it entails.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers; of those that may be repeated, such as `Link`, each line by itself. `Content-Length` is the
    /// shell's to write.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// To be done before the reply is sent, in this order.
    pub effects: Vec<Effect>,
    /// Of a refusal that may soon be a welcome: ask again when there is room.
    pub wait: Option<Wait>,
    /// The body goes on without end: what an [`EventReader`](crate::EventReader) of this has to say.
    pub feed: Option<Feed>,
}

/// A place in a queue of viewers. Instead of sending the refusal, the shell may keep the request and ask again with
/// it after each [`Effect::Room`] for its queue, first come, first served; past `until` there is no hope left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The queue.
    pub queue: QueueId,
    /// How long it may help.
    pub until: Instant,
}

/// A queue of viewers who come from the same place to the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueId(pub u64);

/// Something for the engine to do, or for the shell.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Expect this session's first check.
    Admit(Box<Admission>),
    /// Viewers of this stream stay so long while nobody publishes, from now on; `None`: as long as they like.
    Grace(StreamId, Option<Duration>),
    /// There is room for the next two in this queue.
    Room(QueueId),
    /// Begin a session's ICE anew.
    Restart {
        /// The session.
        session: SessionId,
        /// Ours from now on.
        local: IceCredentials,
        /// The client's from now on.
        remote: IceCredentials,
    },
    /// End this session.
    End(SessionId, Ending),
    /// Of the stream's inputs, this is the one for viewers.
    Show {
        /// The stream.
        stream: StreamId,
        /// The input.
        session: SessionId,
        /// The epoch of what it sends from then on: higher than that of whoever was shown before.
        epoch: u32,
        /// Whether at once, or with its next keyframe, while the one before goes on.
        at_once: bool,
    },
    /// Forward nothing of this publisher, send nothing to this subscriber, of the kinds that are muted.
    Mute {
        /// The session.
        session: SessionId,
        /// Its sound is off.
        audio: bool,
        /// Its picture is off.
        video: bool,
    },
    /// Send this viewer that layer of the picture; `None`: whichever its line carries.
    Layers {
        /// The session.
        session: SessionId,
        /// What its viewer wants.
        selection: Option<LayerSelection>,
    },
}

/// Why signalling ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its client asked for it, or the desk had given it up before it connected.
    Deleted,
    /// A newer publisher took the stream, or its place among the inputs.
    Replaced,
    /// Its publisher was destroyed in a way that takes the viewers along.
    StreamDestroyed,
    /// The key or token that opened it was revoked, and the endpoint says that this ends it.
    Revoked,
    /// The key or token that opened it has expired, and the endpoint says that this ends it.
    Expired,
    /// Its endpoint was removed.
    EndpointRemoved,
    /// The operator wants it so.
    Operator,
}

/// The media type of offers and answers.
pub(crate) const SDP: &str = "application/sdp";
/// The media type of what extensions are told.
pub(crate) const JSON: &str = "application/json";
/// The media type of trickled candidates (RFC 8840 §9).
pub(crate) const SDPFRAG: &str = "application/trickle-ice-sdpfrag";

/// On every reply: any page of any origin may talk to us, since only the bearer token opens anything and no
/// cookie does. `PATCH` must stand among the methods of plain OPTIONS to an endpoint too: Eyevinn's client and
/// mediamtx' reader decide by it whether to trickle. `Authorization` is not covered by a `*` of headers.
const ALWAYS: [(&str, &str); 6] = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Location, Link, ETag, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate, Access-Control-Allow-Methods",
    ),
    ("Access-Control-Allow-Methods", "OPTIONS, GET, HEAD, POST, PATCH, DELETE"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, If-Match, ETag, Accept, Last-Event-ID, Cache-Control",
    ),
    ("Access-Control-Max-Age", "86400"),
    ("Cache-Control", "no-store"),
];

impl Reply {
    /// An empty reply with the headers that all have.
    pub fn new(status: u16) -> Self {
        let headers = ALWAYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { status, headers, body: Vec::new(), effects: Vec::new(), wait: None, feed: None }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body of that type.
    #[must_use]
    pub fn with_body(self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.with("Content-Type", content_type) }
    }

    /// With something to do.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
