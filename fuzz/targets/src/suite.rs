//! What `wtn conformance` reads the answers of unknown servers with. Taken as files, so that the fuzzer need not build
//! the WebRTC client that the suite has with it.

#![allow(dead_code, reason = "a part of each file is the suite's alone")]

#[path = "../../../shell/conformance/src/answer.rs"]
pub(crate) mod answer;
#[path = "../../../shell/conformance/src/sdp.rs"]
pub(crate) mod sdp;
#[path = "../../../shell/conformance/src/sse.rs"]
pub(crate) mod sse;
#[path = "../../../shell/conformance/src/stun.rs"]
pub(crate) mod stun;
