//! Two network namespaces and a bad line between them, for tests of real programs on real sockets.
//!
//! The line is the one of the simulations, [`Link`](wtn_testkit::Link), with a seed: what is lost, delayed or queued
//! there is so here, only that the packets are a kernel's. Each namespace has a TUN device as its only way out; one
//! thread carries packets from one to the other. So neither the kernel's traffic control is needed, which many
//! containers lack, nor does a packet ever come near the machine's own network.
//!
//! Needs the right to make namespaces and TUN devices; [`Lab::open`] says so where it is missing.

#[cfg(target_os = "linux")]
mod carrier;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod tun;

#[cfg(target_os = "linux")]
pub use carrier::{Carried, Way};
#[cfg(target_os = "linux")]
pub use lab::{Lab, Side, Unavailable};
