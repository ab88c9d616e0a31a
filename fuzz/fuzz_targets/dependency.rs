#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wtn_fuzz_targets::feed("dependency", bytes));
