//! Hostile arguments of every public function: `cargo +nightly fuzz run hostile`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unloop_tests::fuzz::{MEMORY, Target};

fuzz_target!(
    init: unloop::set_memory_limit(MEMORY),
    |bytes: &[u8]| {
        if let Err(fault) = Target::Hostile.run(bytes) {
            panic!("{fault}");
        }
    }
);
