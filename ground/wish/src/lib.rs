//! WHIP (RFC 9725) and WHEP as one pure machine: a request and the desk's state in, a reply and effects out.
//!
//! A POST's way:
//! 1. The HTTP shell bounds the body, names the [`Resource`] ([`Resource::from_path`]) and calls
//!    [`Desk::handle`] with `now` and a source of randomness.
//! 2. `auth`: the bearer token is held against the keys, before anything of the body is read.
//! 3. `desk::post`: media type, size, stream name, limits; for WHEP a live publisher.
//! 4. `wtn_sdp` reads the offer and writes the answer; its faults become 400 or 422 (`problem`).
//! 5. The desk notes the session, half open until [`Desk::on_connected`], and replies 201 with the answer, a
//!    `Location` of 128 random bits and an `ETag`.
//! 6. The reply's [`Effect::Admit`] tells the shell to announce the session to every shard of the engine; it
//!    must do so before the reply goes out, or the first check finds nobody.
//!
//! Later: PATCH trickles (we are ICE-lite, so candidates are read and not needed), DELETE ends
//! ([`Effect::End`]). The engine's events come back through `on_connected`, `on_ended` and `on_media`.
//! Every reply, errors too, carries the CORS headers (`reply`).

pub mod config;
pub mod desk;
pub mod problem;
pub mod reply;
pub mod request;

pub use config::{DeskConfig, Key, Limits, SecondPublisher};
pub use desk::{Desk, StreamView};
pub use problem::Problem;
pub use reply::{Effect, Ending, Reply};
pub use request::{Method, Random, Request, Resource};
