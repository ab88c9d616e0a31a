//! One function for each thing that reads what strangers send. Each takes any bytes and may not panic, hang or
//! swell; where more can be said of the result, it is asserted.
//!
//! `fuzz/fuzz_targets` hands them to libFuzzer (`make fuzz`), `tests/corpus.rs` feeds them the committed corpus.

mod media;
mod signalling;
mod suite;

/// A target's name, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. `fuzz/fuzz_targets` and `fuzz/corpus` have the same names.
pub const TARGETS: &[Target] = &[
    ("sdp", signalling::offer),
    ("sdpfrag", signalling::sdpfrag),
    ("authorization", signalling::authorization),
    ("path", signalling::path),
    ("json", signalling::json),
    ("link", signalling::link),
    ("answer", signalling::whole_answer),
    ("stun", media::stun),
    ("rtp", media::rtp),
    ("payload", media::payload),
    ("dependency", media::dependency),
    ("rtcp", media::rtcp),
    ("dtls", media::dtls),
];

/// Feeds `bytes` to the target of that name.
///
/// # Panics
/// If there is no such target, or it found something.
pub fn feed(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(each, _)| *each == name);
    let (_, run) = target.unwrap_or_else(|| panic!("no target is called {name}"));
    run(bytes);
}
