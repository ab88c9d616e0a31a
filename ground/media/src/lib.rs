//! The vocabulary of media: what every other crate of wtn means by packet, track, codec and number.
//!
//! Nothing here knows about sessions, viewers, sockets or clocks. Payloads stay opaque, but for the one
//! look that [`peek`] takes to tell a keyframe from the rest.

pub mod codec;
pub mod credentials;
pub mod dependency;
pub mod extension;
pub mod ids;
pub mod layers;
pub mod lint;
pub mod packet;
pub mod peek;
pub mod plan;
pub mod rtcp;
pub mod rtp;
pub mod store;
pub mod unwrap;

pub use codec::{Codec, Format, MediaKind, Profile};
pub use credentials::{DtlsRole, Fingerprint, HashAlgorithm, IceCredentials};
pub use extension::{ExtensionKind, ExtensionMap};
pub use ids::{EncodingId, Mid, PayloadType, Rid, RtpTime, SeqNo, SessionId, Ssrc, StreamId};
pub use layers::{Layer, LayerMarks, LayerSelection, Rung, Rungs};
pub use lint::LintCode;
pub use packet::Packet;
pub use plan::{Admission, Role, SessionPlan};
