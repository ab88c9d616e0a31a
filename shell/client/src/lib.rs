//! WHIP client and WHEP player on str0m.

pub mod clip;
mod error;
mod expect;
mod link;
mod meter;
mod player;
mod publisher;
mod report;
mod run;
pub mod signalling;
mod sockets;
mod timeline;

pub use error::{ClientError, Failure};
pub use expect::{BadExpectation, Expectation, Wanted};
pub use link::{BadSdp, Datagram, Ending};
pub use player::{Player, PlayerStats};
pub use publisher::{Publisher, PublisherConfig, PublisherStats, SentTrack};
pub use report::{PlayReport, PlayTimes, PublishReport, PublishTimes, SCHEMA, SentReport, TrackReport};
pub use run::{Length, PlayOptions, PublishOptions, WAIT, play, publish_test, stop_on_signals};
