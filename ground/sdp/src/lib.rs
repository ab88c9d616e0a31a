//! Reads any real client's SDP offer and writes wtn's answer, or to a viewer whose offer cannot be answered an
//! offer of our own ([`CounterOffer`]).
//!
//! An offer's way: [`Offer::parse`] holds it against the limits below, splits it into lines and types what
//! we use of it (`lines`, `offer`, `formats`, `transport`, `simulcast`, `extensions`).
//! [`answer_publisher`] and [`answer_subscriber`] then decide, section by section, what is carried (`answer`,
//! `plan`), and write the text that says so (`write`). Whatever is wrong comes back as one [`SdpFault`].
//!
//! Lenient where real clients differ from the standard, and never half-hearted: an offer is answered in full
//! or refused with a reason. Why we read SDP ourselves: `docs/decisions/0001-own-sdp-reader.md`.

mod answer;
pub mod candidate;
mod counter_offer;
mod extensions;
pub mod fault;
mod formats;
mod ice_frame;
mod lines;
pub mod local;
pub mod offer;
mod plan;
mod simulcast;
mod transport;
mod write;

pub use answer::{Answered, answer_publisher, answer_subscriber};
pub use counter_offer::CounterOffer;
pub use fault::{FaultKind, SdpFault};
pub use ice_frame::IceFrame;
pub use local::{Local, StreamTrack, StreamTracks, Terms};
pub use offer::Offer;
pub use transport::{is_ice_pwd, is_ice_ufrag};

/// Bytes of an offer that are read at most. Real offers have 1 to 8 KiB; a browser with every codec and ten
/// interfaces stays under 16.
pub const OFFER_LEN_MAX: usize = 64 * 1024;

/// Lines of an offer that are read at most. The longest real one has about 400.
pub const LINES_MAX: usize = 2_000;

/// `m=` sections of an offer that are read at most: audio, video, a data channel, and room.
pub const SECTIONS_MAX: usize = 8;

/// Different candidates of an offer at most. We are ICE-lite and use none of them; a client with more has
/// gone wrong, or wants us to.
pub const CANDIDATES_MAX: usize = 32;

/// Bytes of an answer, all in: FFmpeg reads it into a buffer of that size.
pub const ANSWER_LEN_MAX: usize = 8 * 1024 - 1;
