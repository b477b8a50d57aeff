//! Programs over all public functions, whose results are compared: `cargo +nightly fuzz run programs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unloop_tests::fuzz::Target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = Target::Programs.run(bytes) {
        panic!("{fault}");
    }
});
