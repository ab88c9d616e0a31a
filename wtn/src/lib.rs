//! The WebRTC Transmission Network server: WHIP in, WHEP out.

pub mod config;
