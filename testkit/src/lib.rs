//! Fake clock, fake network and scripted clients for simulated-time tests.
//!
//! A simulation is one thread, one seed and one [`World`]: whatever fails with a seed fails with it again.

pub mod chance;
mod client;
pub mod clock;
pub mod frames;
pub mod hot;
pub mod link;
pub mod network;
pub mod publisher;
pub mod reception;
pub mod server;
pub mod show;
pub mod trace;
pub mod viewer;
pub mod world;

pub use client::Standing;
pub use clock::{Clock, ms, secs};
pub use frames::{FrameId, Part};
pub use link::Link;
pub use network::{Delivery, EndpointId, Network, Tally};
pub use publisher::{ENCODING, Encoding, Publisher, Script};
pub use reception::{Reception, SeenFrame};
pub use server::{Discarded, Server};
pub use show::Show;
pub use trace::Trace;
pub use viewer::Viewer;
pub use world::{Endpoint, World};
