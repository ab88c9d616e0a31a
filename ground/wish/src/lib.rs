//! WHIP (RFC 9725) and WHEP as one pure machine: a request and the desk's state in, a reply and effects out.
//!
//! A POST's way:
//! 1. The HTTP shell bounds the body, names the [`Resource`] ([`Resource::find`]) and calls
//!    [`Desk::handle`] with `now` and a source of randomness.
//! 2. `auth`: the bearer token is held against the keys, before anything of the body is read.
//! 3. `desk/post`: stream name, media type, size; `wtn_sdp` reads the offer.
//! 4. For WHEP there must be a live publisher; for both, room in the tables (`desk/table`).
//! 5. `wtn_sdp` writes the answer. Its faults become 400 or 422 (`problem`).
//! 6. The desk notes the session, half open until [`Desk::on_connected`], and replies 201 with the answer, a
//!    `Location` of 128 random bits and an `ETag`.
//! 7. The reply's [`Effect::Admit`] tells the shell to announce the session to every shard of the engine; it
//!    must do so before the reply goes out, or the first check finds nobody.
//!
//! Later: PATCH trickles (we are ICE-lite, so candidates are read and not needed) or restarts ICE
//! ([`Effect::Restart`]), DELETE ends ([`Effect::End`]); a viewer may choose its layer ([`Effect::Layers`]) and hear what happens
//! ([`events`]). The engine's events come back through `on_connected`, `on_ended` and `on_media`.
//! Every reply, errors too, carries the CORS headers (`reply`).

pub mod auth;
pub mod config;
pub mod desk;
pub mod endpoint;
mod entity_tag;
pub mod events;
mod ice_servers;
pub mod limiter;
pub mod problem;
pub mod rejections;
pub mod reply;
pub mod request;
pub mod routes;
mod sdpfrag;
mod talwtn;
mod token;

pub use auth::{
    AdminRequest, AuthRules, Guards, JwtKey, JwtRules, Key, KeySet, Question, Verdict, WebhookQuestion,
};
pub use config::{DeskConfig, Limits, Names, Overload, Redirect, SecondPublisher, SharedSecret};
pub use desk::{Desk, InputView, News, StreamView};
pub use endpoint::{Endpoint, EndpointKey, IceServer, NoPublisher, Policy, PolicyOverrides};
pub use events::{Bulletin, EventReader, Feed, FeedId};
pub use problem::Problem;
pub use rejections::{Rejection, Rejections};
pub use reply::{Effect, Ending, QueueId, Reply, Wait};
pub use request::{Method, Random, Request, Resource, is_stream_name};
pub use routes::{Family, Found, Routes};
pub use talwtn::TalwtnApp;
