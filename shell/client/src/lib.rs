//! WHIP client and WHEP player on str0m.
//!
//! For the command line there are [`publish_test`] and [`play`]: options in, a report out, stopped by a token.
//! For tests in simulated time there are [`Publisher`] and [`Player`], which are
//! the same sessions without clock and sockets: both are a [`Machine`].
//!
//! ```text
//!   run      publish_test, play: options → report          signalling   POST, redirects, back-off, DELETE
//!   sockets  one UDP socket per address of ours            report       tables and JSON, the verdict
//!   ───────────────────────────── no clock, no socket below ─────────────────────────────
//!   publisher   the clip on a timeline, keyframes on request       player   packets into meters
//!   timeline    when which slot is due, and where it stands        meter    order, frames, jitter, lip-sync
//!   clip        the built-in pictures and sound                    link     one str0m session, always drained
//! ```
//!
//! str0m is on this side only, and our own engine on the other, so that no bug is at both ends.

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
pub use link::{BadSdp, Datagram, Ending, Machine};
pub use player::{Player, PlayerStats};
pub use publisher::{Publisher, PublisherConfig, PublisherStats, SentTrack};
pub use report::{PlayReport, PlayTimes, PublishReport, PublishTimes, SCHEMA, SentReport, TrackReport};
pub use run::{Length, PlayOptions, PublishOptions, WAIT, play, publish_test};
