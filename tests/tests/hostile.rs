//! Every public function with every hostile value of each of its arguments: no panic, and errors that
//! name the function and the line that called it.

use unloop_tests::draw::{Draw, arguments, first};
use unloop_tests::functions::{Function, functions};
use unloop_tests::fuzz::{MEMORY, Watchdog};
use unloop_tests::hostile::{fault, shown, values};

/// Functions that are left out, and why.
const OPEN: &[(&str, &str)] =
    &[("multigammaln", "adds as many terms as the dimension, one by one")];

/// What is wrong with a function, one line a fault.
fn faults(function: &Function, watchdog: &Watchdog) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(3);
    let bytes: Vec<u8> = (0..96).map(|_| rng.u8(..)).collect();
    let ordinary = arguments(function, false, &mut Draw::new(&bytes));
    let mut all = Vec::new();
    for (i, &kind) in function.kinds.iter().enumerate() {
        for value in values(kind, &first(&ordinary)) {
            let mut args = ordinary.clone();
            args[i] = value;
            let case = format!("{}({})", function.path(), shown(&args));
            watchdog.begins(case.clone());
            all.extend(fault(function, &args).map(|fault| format!("{case} {fault}")));
        }
    }
    all
}

#[test]
fn every_function_withstands_hostile_arguments() {
    unloop::set_memory_limit(MEMORY);
    let watchdog = Watchdog::new();
    let is_closed = |f: &&Function| !OPEN.iter().any(|(name, _)| *name == f.name);
    let all: Vec<String> =
        functions().iter().filter(is_closed).flat_map(|f| faults(f, &watchdog)).collect();
    let shown = all.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(all.is_empty(), "{} faults:\n{shown}", all.len());
}
