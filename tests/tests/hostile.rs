//! Every public function with every hostile value of each of its arguments: no panic, and errors that
//! name the function and the line that called it.

use unloop::{DType, ErrorKind};
use unloop_tests::draw::{Draw, arguments, first};
use unloop_tests::functions::{Arg, Dtypes, Fact, Function, Kind, functions};
use unloop_tests::fuzz::{MEMORY, Target, Watchdog};
use unloop_tests::hostile::{fault, shown, values};

mod drawn;

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
    let all: Vec<String> = functions().iter().flat_map(|f| faults(f, &watchdog)).collect();
    let shown = all.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(all.is_empty(), "{} faults:\n{shown}", all.len());
}

/// Integers where floats are taken: numbers, or an error that says so.
#[test]
fn integers_are_no_floats() {
    let converts = |kind: &Kind| {
        matches!(kind, Kind::Tensor(Dtypes::Float | Dtypes::Same, ..) | Kind::Complex(..))
    };
    let takes_floats =
        |kind: &Kind| matches!(kind, Kind::Tensor(Dtypes::Float, ..) | Kind::Complex(..));
    let mut faults = Vec::new();
    let (mut refused, mut taken) = (0, 0);
    for function in functions() {
        // Transforms say that there is no derivative, and what gives values asks for those of a dtype. A
        // number that is no integer does not go with integers.
        let is_host = function.is(Fact::Host) || function.of.is_empty();
        let has_number = function.of == "Complex" && function.kinds.contains(&Kind::Number);
        if !function.kinds.iter().any(takes_floats) || is_host || has_number {
            continue;
        }
        for seed in 0..4 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..96).map(|_| rng.u8(..)).collect();
            let mut args = arguments(&function, false, &mut Draw::new(&bytes));
            if (function.call)(&args).iter().any(|x| x.as_error().is_some()) {
                continue;
            }
            for (arg, kind) in args.iter_mut().zip(&function.kinds) {
                match arg {
                    Arg::Tensor(x) if converts(kind) => *x = x.cast(DType::I64),
                    Arg::Complex(z) => *z = z.each_part(|x| x.cast(DType::I64)),
                    _ => {}
                }
            }
            let case = || format!("{}({})", function.path(), shown(&args));
            faults.extend(fault(&function, &args).map(|fault| format!("{} {fault}", case())));
            let results = (function.call)(&args);
            match results.iter().find_map(|x| x.as_error()).map(|error| error.kind()) {
                Some(ErrorKind::UnsupportedDType { .. }) => refused += 1,
                Some(kind) => faults.push(format!("{}: {kind}", case())),
                None => taken += 1,
            }
        }
    }
    assert!(refused > 400 && taken > 20, "{refused} refused, {taken} taken");
    let shown = faults.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} faults:\n{shown}", faults.len());
}

#[test]
fn drawn_arguments() {
    unloop::set_memory_limit(MEMORY);
    drawn::fuzz(Target::Hostile, 1500);
}
