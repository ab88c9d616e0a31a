//! One peer session: ICE-lite, DTLS and SRTP between the server and one publisher or subscriber.
//!
//! Sans-IO: datagrams and time go in, plain RTP and RTCP come out; what must be sent is polled. A session
//! never learns what a stream is.

mod dtls;
pub mod frames;
mod ice;
mod identity;
mod replay;
mod session;
mod srtp;
pub mod stun;

pub use ice::ADDRESSES_MAX;
pub use identity::{Identity, IdentityError};
pub use session::{
    CloseReason, DropReason, Inbound, Output, PADDING_MAX, SILENCE_MAX, Session, SessionConfig,
};
