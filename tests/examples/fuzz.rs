//! Draws programs until time is over; prints what is wrong with them.

use std::io::Write;
use std::time::{Duration, Instant};

fn main() {
    let seconds: u64 = std::env::args().nth(1).map_or(60, |n| n.parse().unwrap());
    let start: u64 = std::env::args().nth(2).map_or(0, |n| n.parse().unwrap());
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let (mut cases, mut compared, mut explained) = (0u64, 0, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let seed = start + cases;
        cases += 1;
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..256).map(|_| rng.u8(..)).collect();
        let _ = std::fs::write("/tmp/fuzz.current", format!("{seed}"));
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(|| unloop_tests::programs::check(&bytes));
        if started.elapsed() > Duration::from_secs(5) {
            println!("seed {seed}: {:?}", started.elapsed());
        }
        match outcome {
            Ok(outcome) => {
                compared += outcome.compared;
                explained += outcome.explained;
                for fault in &outcome.faults {
                    println!("== seed {seed}: {fault}");
                }
                if !outcome.faults.is_empty() {
                    println!("{}", outcome.program);
                }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
                println!("== seed {seed}: panics: {text:?}");
            }
        }
        std::io::stdout().flush().unwrap();
    }
    println!("{cases} programs, {compared} comparisons, {explained} explained");
}
