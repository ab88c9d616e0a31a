//! UDP in batches, ICE-TCP, and the shard threads: the one place of the media path that knows sockets and clocks.
//!
//! Upwards it hands datagrams to a shard and takes runs of datagrams from it; downwards it speaks to the
//! kernel in batches: recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT, ppoll and an eventfd on Linux, one
//! plain call a datagram elsewhere. All `unsafe` of the product is in `linux/`, three files of it.
//!
//! | question | file |
//! |---|---|
//! | how is the port opened, and what if it is taken? | `socket.rs`, `owner.rs` |
//! | how do datagrams come in, how many at a time? | `recv.rs`, `linux/recv.rs` |
//! | how do runs go out, what if the kernel refuses? | `send.rs`, `linux/send.rs` |
//! | what of clients without UDP? | `tcp.rs` |
//! | how does another thread wake a shard? | `wake.rs` |
//! | what does a shard's thread do all day? | `worker.rs` |

#![deny(unsafe_op_in_unsafe_fn)]

mod address;
pub mod capability;
pub mod counters;
pub mod interfaces;
pub mod owner;
pub mod recv;
pub mod send;
pub mod socket;
pub mod tcp;
pub mod wake;
pub mod worker;

#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux;
#[cfg(test)]
mod loopback;
#[cfg(any(test, not(target_os = "linux"), feature = "portable"))]
mod portable;

#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux as platform;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
use portable as platform;

pub use capability::Capability;
pub use counters::{NetCounter, NetCounters};
pub use interfaces::host_addresses;
pub use owner::{Owner, Protocol, port_owner};
pub use recv::{Received, Receiver};
pub use send::{EgressOptions, SocketEgress};
pub use socket::{BindError, MediaSocket, MediaSockets};
pub use tcp::{TcpEnd, TcpLimits, TcpPort, TcpWorker};
pub use wake::{Waker, waker};
pub use worker::{Ends, EventSink, StopError, Worker, spawn, spawn_with};
