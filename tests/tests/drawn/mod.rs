//! Cases of fuzzers, drawn by proptest: a fixed number, and every regression. `UNLOOP_FUZZ_SECONDS=600`
//! draws new cases for that long; the example `fuzz` does for hours, and survives what ends the process.

use std::env;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use unloop_tests::fuzz::{BYTES, Target, Watchdog};

/// Draws cases of a target: so many, or as long as the environment says.
pub fn fuzz(target: Target, cases: u32) {
    let watchdog = Watchdog::new();
    for (path, bytes) in target.regressions() {
        let result = target.run(&bytes);
        assert!(result.is_ok(), "{}: {}", path.display(), result.unwrap_err());
    }
    let seconds = env::var("UNLOOP_FUZZ_SECONDS").ok().and_then(|n| n.parse().ok());
    let end = seconds.map(|n| Instant::now() + Duration::from_secs(n));
    // The same cases each time, unless there is time to draw others.
    let rng_seed = if end.is_some() { RngSeed::Random } else { RngSeed::Fixed(1) };
    loop {
        let config = Config {
            cases,
            rng_seed,
            failure_persistence: None,
            max_shrink_iters: 200,
            ..Config::default()
        };
        let run = |bytes: Vec<u8>| {
            watchdog.begins(target.describe(&bytes));
            target.run(&bytes).map(|_| ()).map_err(TestCaseError::fail)
        };
        let result = TestRunner::new(config).run(&vec(any::<u8>(), 16..BYTES), run);
        assert!(result.is_ok(), "{}: {}", target.name(), result.unwrap_err());
        if end.is_none_or(|end| Instant::now() >= end) {
            return;
        }
    }
}
