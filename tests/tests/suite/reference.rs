//! The CPU against the reference evaluator: every operation, dtype, instruction set and layout, at
//! sizes around those of vectors and tiles.

use std::hash::{DefaultHasher, Hash, Hasher};

use unloop::prelude::*;
use unloop_cpu::Cpu;
use unloop_graph::Array;
use unloop_tests::{Case, Layout, cases, deviation, elementwise_cases, tensor};

/// Elements of what the evaluator of loop nests computes, at most.
const SMALL: usize = 300;

/// Runs a case on every instruction set, and by loop nests. What it is run on depends on nothing but itself.
fn check(case: &Case, layout: Layout, failures: &mut Vec<String>) {
    let name = format!("{layout:?} {} {:?}", case.op, case.types());
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let inputs = case.arrays(&mut fastrand::Rng::with_seed(hasher.finish()), layout);
    let graph = case.graph().unwrap();
    let expected = graph.evaluate(&inputs);
    let sets = Cpu::instruction_sets().into_iter();
    let compiled = sets.map(|set| (set, Cpu::compile_for(&graph, set).unwrap()));
    // The evaluator of loop nests computes element by element.
    let is_small = inputs.iter().map(Array::len).sum::<usize>() <= SMALL;
    let nests = is_small.then(|| ("nests", Cpu::compile_by_nests(&graph)));
    for (set, program) in compiled.chain(nests) {
        let actual = program.unwrap().run(&inputs);
        let fault = match (&expected, &actual) {
            (Ok(expected), Ok(actual)) => compare(expected, actual),
            (Err(a), Err(b)) if a.kind() == b.kind() => None,
            (a, b) => Some(format!("{:?} and {:?}", a.as_ref().err(), b.as_ref().err())),
        };
        if let Some(fault) = fault {
            failures.push(format!("{set} {name}: {fault}"));
        }
    }
}

fn compare(expected: &[Array], actual: &[Array]) -> Option<String> {
    for (a, b) in expected.iter().zip(actual) {
        let tolerance = match a.dtype() {
            DType::F32 => 1e-5,
            DType::F64 => 1e-12,
            _ => 0.0,
        };
        let error = deviation(a, b);
        if error > tolerance {
            let mut example = String::new();
            if a.shape() == b.shape() {
                a.shape().for_each_index(|i| {
                    if example.is_empty() && !close(a.get(i).float(), b.get(i).float(), tolerance) {
                        example = format!("at {i:?} {:?} became {:?}", a.get(i), b.get(i));
                    }
                });
            }
            return Some(format!("deviation {error:e} {example}"));
        }
    }
    (expected.len() != actual.len()).then(|| "another number of results".to_string())
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

fn report(failures: &[String]) {
    let shown = failures.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} failures:\n{shown}", failures.len());
}

#[test]
fn elementwise_operations_at_every_size() {
    let mut failures = Vec::new();
    for n in [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1023, 1025] {
        for case in elementwise_cases(&[n]) {
            check(&case, Layout::Standard, &mut failures);
        }
    }
    report(&failures);
}

#[test]
fn elementwise_operations_in_every_layout() {
    let mut failures = Vec::new();
    for shape in [&[][..], &[6], &[3, 5], &[2, 3, 4], &[2, 0]] {
        for case in elementwise_cases(shape) {
            for layout in Layout::ALL {
                check(&case, layout, &mut failures);
            }
        }
    }
    report(&failures);
}

#[test]
fn other_operations() {
    let mut failures = Vec::new();
    for case in cases() {
        for layout in Layout::ALL {
            check(&case, layout, &mut failures);
        }
    }
    report(&failures);
}

#[test]
fn large_reductions_and_products() {
    use unloop::{DotDims, Op, ReduceOp};
    let mut failures = Vec::new();
    let operand = |dtype, shape: &[usize]| {
        unloop_tests::Operand::new(dtype, shape, unloop_tests::Values::Within(-1.0, 1.0))
    };
    for (shape, axes) in [
        (&[300_000][..], &[0][..]),
        (&[3, 100_001], &[1]),
        (&[100_001, 3], &[0]),
        (&[70, 1030, 3], &[0, 2]),
        (&[2, 1030, 70], &[1]),
    ] {
        for op in [ReduceOp::Sum, ReduceOp::Max] {
            let op = Op::Reduce { op, axes: axes.iter().copied().collect() };
            let case = Case { op, operands: vec![operand(DType::F64, shape)] };
            check(&case, Layout::Standard, &mut failures);
        }
    }
    let dims = DotDims {
        lhs_contract: [1].into_iter().collect(),
        rhs_contract: [0].into_iter().collect(),
        ..DotDims::default()
    };
    let operands = vec![operand(DType::F64, &[150, 150]), operand(DType::F64, &[150, 131])];
    let case = Case { op: Op::Dot(dims), operands };
    check(&case, Layout::Transposed, &mut failures);
    report(&failures);
}

/// Products of small matrices in a stack, either operand transposed.
#[test]
fn small_products() -> unloop::Result<()> {
    let mut rng = fastrand::Rng::with_seed(12);
    for dtype in [DType::F32, DType::F64] {
        for (m, k, n) in [(1, 1, 1), (2, 7, 3), (5, 5, 5), (8, 8, 8), (7, 16, 9), (16, 3, 16)] {
            for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
                let shape =
                    |a: usize, b: usize, turned: bool| if turned { [9, b, a] } else { [9, a, b] };
                let a = tensor(&mut rng, dtype, &shape(m, k, left));
                let b = tensor(&mut rng, dtype, &shape(k, n, right));
                let turn = |x: &Tensor, turned: bool| if turned { x.mt() } else { x.clone() };
                let f = move |a: &Tensor, b: &Tensor| turn(a, left).matmul(&turn(b, right));
                let graph = jit(f).graph((&a, &b))?;
                let inputs = [a.value("test")?.clone(), b.value("test")?.clone()];
                let expected = graph.evaluate(&inputs)?;
                for name in Cpu::instruction_sets() {
                    let Some(plan) = Cpu::compile_for(&graph, name) else { continue };
                    let fault = compare(&expected, &plan?.run(&inputs)?);
                    assert_eq!(fault, None, "{name} {dtype:?} {m}×{k}×{n} {left} {right}");
                }
            }
        }
    }
    Ok(())
}
