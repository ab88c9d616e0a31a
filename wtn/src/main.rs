//! The wtn binary.
fn main() {}
