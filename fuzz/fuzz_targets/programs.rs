#![no_main]

use libfuzzer_sys::fuzz_target;
use unloop_tests::fuzz::Target;

fuzz_target!(|bytes: &[u8]| Target::Programs.survives(bytes));
