//! What a viewer's line carries, estimated from transport-wide feedback.
//!
//! The sender here cannot choose its rate: it forwards one of a few encodings as they come. So the question is not
//! "how fast may I send now?" but "which of these rates would pass?", and what is sent tells of the line only when
//! it is too much for it. [`Estimator`] therefore listens for two signs of too much, a queue that grows or stands
//! ([`queue`]) and losses ([`loss`]), and learns of more room by short [`probe`]s, for which its owner sends old
//! packets again. After draft-ietf-rmcat-gcc-02 where that fits; docs/decisions/ says where it does not.
//!
//! | question | file |
//! |---|---|
//! | what was sent, and what became of it? | `sent.rs` |
//! | does a queue grow on the way? | `queue.rs` |
//! | how much gets through? | `acked.rs` |
//! | does the line lose too much? | `loss.rs` |
//! | would it carry more? | `probe.rs` |
//! | so what does it carry? | `estimator.rs` |
//!
//! Pure: time is handed in, and nothing is sent here.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test must begin at some instant"))]

pub mod acked;
pub mod choice;
pub mod estimator;
pub mod loss;
pub mod probe;
pub mod queue;
pub mod sent;

pub use choice::Choice;
pub use estimator::Estimator;
pub use probe::Due;
