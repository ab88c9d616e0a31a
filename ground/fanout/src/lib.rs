//! One packet in, one decision per subscriber out.
//!
//! [`Publisher`] turns the decrypted RTP of a WHIP session into [`Packet`](wtn_media::Packet)s; [`Stream`]
//! holds the subscribers of one shard and asks each: rewrite, or skip with a reason. Payloads are never
//! touched. Nothing here knows what a session, a socket or a cipher is.
//!
//! | question | file |
//! |---|---|
//! | whose packet is this, and which number does it have? | `publisher.rs` |
//! | when did each come, and how much may its publisher send? | `arrivals.rs`, `allowance.rs` |
//! | which are missing, and when to ask again? | `receive_log.rs` |
//! | who gets it, under which numbers? | `stream.rs`, `subscriber.rs`, `rewriter.rs` |
//! | how are numbers gapless where layers are left out? | `thinning.rs` |
//! | which encoding and layers does a viewer watch? | `encoding_selector.rs`, `ladder.rs`, `line.rs` |
//! | what is it told that there is? | `layer_report.rs` |
//! | what if a keyframe comes without its parameter sets? | `parameter_sets.rs` |
//! | what does a viewer who comes now start from? | `gop_cache.rs`, `catch_up.rs` |
//! | when is a keyframe asked for? | `keyframe_gate.rs` |
//! | may this packet be sent again? | `retransmission.rs`, `stream/repairs.rs` |
//! | what is a viewer told about time? | `subscriber/reports.rs`, `clock.rs` |
//! | what is wrong with what a publisher sends? | `lint/` |
//! | is it of any use to send this viewer more? | `breaker.rs` |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test must begin at some instant"))]

pub mod allowance;
pub mod arrivals;
pub mod breaker;
pub mod catch_up;
pub mod clock;
pub mod encoding_selector;
pub mod gop_cache;
pub mod keyframe_gate;
pub mod ladder;
pub mod layer_report;
pub mod line;
pub mod lint;
pub mod parameter_sets;
pub mod publisher;
pub mod receive_log;
pub mod reception;
pub mod retransmission;
pub mod rewriter;
pub mod stream;
pub mod subscriber;
pub mod thinning;

pub use clock::SenderClock;
pub use line::LineReport;
pub use lint::LintNews;
pub use publisher::{Publisher, Turn, Unusable};
pub use stream::{Feed, Outbox, Stream, SubscriberId};
pub use subscriber::{Rewrite, Skip, Subscriber};
