//! Every public function with every hostile value of each of its arguments: no panic, and errors that
//! name the function and the line that called it.

use unloop_tests::draw::{Draw, arguments, first};
use unloop_tests::functions::{Function, functions};
use unloop_tests::fuzz::MEMORY;
use unloop_tests::hostile::{fault, shown, values};

/// What is wrong with a function, one line a fault.
fn faults(function: &Function) -> Vec<String> {
    let mut all = Vec::new();
    for seed in 0..2 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..96).map(|_| rng.u8(..)).collect();
        let ordinary = arguments(function, false, &mut Draw::new(&bytes));
        for (i, &kind) in function.kinds.iter().enumerate() {
            for value in values(kind, &first(&ordinary)) {
                let mut args = ordinary.clone();
                args[i] = value;
                if let Some(fault) = fault(function, &args) {
                    all.push(format!("{}({}) {fault}", function.path(), shown(&args)));
                }
            }
        }
    }
    all
}

#[test]
fn every_function_withstands_hostile_arguments() {
    unloop::set_memory_limit(MEMORY);
    let all: Vec<String> = functions().iter().flat_map(faults).collect();
    let shown = all.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(all.is_empty(), "{} faults:\n{shown}", all.len());
}
