//! WHIP, WHEP and the web pages over HTTP.
//!
//! A request's way: [`serve`] takes the connection and bounds it, [`router`] picks the room, and for WHIP and
//! WHEP [`Signalling`] asks the one `wtn_wish::Desk` and tells the engine what follows. The rest are pages
//! from the binary and numbers about the server.

mod admin;
mod api;
mod asking;
mod body;
mod connections;
mod crowd;
mod events;
mod framing;
mod listeners;
mod metrics;
mod pages;
mod queues;
mod reached_by;
mod refusals;
mod registry;
mod routes;
mod signalling;
mod status;
mod tls;

pub use api::openapi;
pub use asking::{Outside, Rates};
pub use connections::{Limits, serve};
pub use routes::router;
pub use signalling::{Load, Network, Signalling};
pub use tls::{Certificate, CertificateError, Cleartext, Security};
