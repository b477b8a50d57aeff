//! Calls every public function with hostile arguments, one at a time, and prints what is wrong.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use unloop_tests::draw::{Draw, arguments, first};
use unloop_tests::functions::functions;
use unloop_tests::hostile::{fault, shown, values};

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    unloop::set_memory_limit(64 << 20);
    let only = std::env::args().nth(1);
    let after: usize = std::env::args().nth(2).map_or(0, |n| n.parse().unwrap());
    let mut number = 0;
    // After a case that ended the process, the others of its argument are left out.
    let mut skipping = None;
    static CASES: AtomicUsize = AtomicUsize::new(0);
    std::thread::spawn(|| {
        let mut last = 0;
        loop {
            std::thread::sleep(Duration::from_secs(15));
            if last == CASES.load(Ordering::Relaxed) {
                std::process::exit(77);
            }
            last = CASES.load(Ordering::Relaxed);
        }
    });
    for function in functions() {
        if only.as_ref().is_some_and(|only| only != "all" && function.name != only) {
            continue;
        }
        for seed in 0..2u64 {
            let mut rng = fastrand::Rng::with_seed(seed + 3);
            let bytes: Vec<u8> = (0..96).map(|_| rng.u8(..)).collect();
            let ordinary = arguments(&function, false, &mut Draw::new(&bytes));
            for (i, &kind) in function.kinds.iter().enumerate() {
                for value in values(kind, &first(&ordinary)) {
                    number += 1;
                    CASES.store(number, Ordering::Relaxed);
                    if number == after {
                        skipping = Some((function.path(), i));
                    }
                    if number <= after || skipping == Some((function.path(), i)) {
                        continue;
                    }
                    let mut args = ordinary.clone();
                    args[i] = value;
                    std::fs::write(
                        "/tmp/walk.current",
                        format!("{number} {} ({})", function.path(), shown(&args)),
                    )
                    .unwrap();
                    if let Some(fault) = fault(&function, &args) {
                        println!("{} ({}) {fault}", function.path(), shown(&args));
                        std::io::stdout().flush().unwrap();
                    }
                }
            }
        }
    }
    println!("{number} cases");
}
