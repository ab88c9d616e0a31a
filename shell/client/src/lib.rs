//! WHIP client and WHEP player on str0m.

pub mod clip;
mod link;
mod meter;
mod player;
mod publisher;
mod timeline;

pub use link::{BadAnswer, Datagram, Ending};
pub use player::Player;
pub use publisher::{Publisher, PublisherConfig, PublisherStats, SentTrack};
