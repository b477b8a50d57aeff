//! Programs of many examples run part by part: each example is what it is alone, and programs whose
//! examples depend on each other stay whole.

use unloop::prelude::*;
use unloop::{ErrorKind, Result, profile};
use unloop_tests::{assert_close, tensor};

use crate::alone;

/// Enough that what lies in between does not fit a cache, and no multiple of anything.
const EXAMPLES: usize = 3011;
const N: usize = 60;

type Program = fn(&Tensor, &Tensor) -> Tensor;

/// Programs of one vector and of a matrix that all examples share.
const PROGRAMS: &[(&str, Program)] = &[
    ("softmax", |x, _| x.softmax(0)),
    ("shared matrix", |x, m| m.matmul(&x.tanh()).softmax(0)),
    ("standardised", |x, _| (x - x.mean()) / (x.variance() + 1e-3).sqrt()),
    ("windows", |x, _| {
        let square = x.reshape([6, 10]);
        let padded = square.pad(&[(1, 1), (0, 2)], &Tensor::from(0.5)).softmax(1);
        Tensor::concatenate(&[&padded.flip(&[0]).t(), &padded.t()], 1).at((strided(.., 2), ..))
    }),
    ("outer product", |x, m| {
        let a = x.at(..10).softmax(0);
        let b = m.at((0, ..10)).exp();
        a.outer(&b).matmul(&a.outer(&a)).sum_axis(1) + a.argmax().cast(DType::F64)
    }),
    ("systems", |x, m| {
        let a = x.at(..16).sin().reshape([4, 4]) + Tensor::eye(DType::F64, 4) * 5.0;
        let spread = m.at((0, ..4)) * x.softmax(0).max();
        let factor = (a.matmul(&a.t()) + Tensor::eye(DType::F64, 4)).cholesky();
        a.solve(&spread) + factor.solve_lower(&a.diagonal(0)) + factor.diagonal(0)
    }),
    ("gathers and scatters", |x, _| {
        let places = Tensor::from([3i64, 1, 1, 50]);
        let y = x.softmax(0).add_at(&places, &x.at(&places).exp());
        let own = (y.abs() * 7.0).cast(DType::I64).clamp(&Tensor::from(0i64), &Tensor::from(59i64));
        y.at(&own).softmax(0)
    }),
    ("gradient", |x, m| grad(|x: &Tensor| (m.matmul(x).softmax(0) * x.sin()).sum() + x.norm())(x)),
];

#[test]
fn each_example_is_what_it_is_alone() {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(21);
    let x = tensor(&mut rng, DType::F64, &[EXAMPLES, N]);
    let m = tensor(&mut rng, DType::F64, &[N, N]);
    for (name, f) in PROGRAMS {
        let all = jit(vmap(*f, (0, Shared)))(&x, &m);
        // Along another axis, too.
        let columns = jit(vmap(*f, (1, Shared)))(&x.t(), &m);
        for i in (0..EXAMPLES).step_by(131).chain([EXAMPLES - 1]) {
            let at = i as i64;
            let alone = f(&x.at((at, ..)), &m);
            let take = |all: &Tensor| all.take(&Tensor::from(at), 0);
            assert_close(&take(&all), &alone, name);
            assert_close(&take(&columns), &alone, name);
        }
    }
}

/// The calls of the kernel that computes exponentials.
fn calls(f: &dyn Fn() -> Tensor) -> usize {
    f();
    let (_, report) = profile(f);
    report.kernels().iter().filter(|k| k.name.contains("exp")).map(|k| k.calls).sum()
}

#[test]
fn only_independent_examples_are_parted() {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(22);
    let x = tensor(&mut rng, DType::F64, &[EXAMPLES, N]);
    let m = tensor(&mut rng, DType::F64, &[N, N]);
    let parted = jit(vmap(|x: &Tensor| m.matmul(&x.softmax(0)).softmax(0), 0));
    assert!(calls(&|| parted(&x)) > 2);
    // Each result needs all examples; an input of their number is not one of them.
    let mixed = jit(|x: &Tensor| {
        let y = x.softmax(1);
        &y - y.mean_keep(0).broadcast_to(x.shape())
    });
    assert_eq!(calls(&|| mixed(&x)), 1);
    assert!(mixed(&x).sum_axis(0).abs().max().item::<f64>().is_ok_and(|worst| worst < 1e-9));
    let square = tensor(&mut rng, DType::F64, &[700, 700]);
    let weights = tensor(&mut rng, DType::F64, &[700]);
    let weighted = jit(|x: &Tensor, w: &Tensor| vmap(|row: &Tensor| (row * w).softmax(0), 0)(x));
    let all = weighted(&square, &weights);
    for i in [0i64, 350, 699] {
        let alone = (square.at((i, ..)) * &weights).softmax(0);
        assert_close(&all.at((i, ..)), &alone, "the same weights for all");
    }
    let products = jit(|x: &Tensor| x.softmax(1).matmul(&x.softmax(1)));
    let twice = square.softmax(1);
    assert_close(&products(&square), &twice.matmul(&twice), "a square");
}

#[test]
fn errors_in_a_part_name_the_program() -> Result<()> {
    let _alone = alone();
    let x = Tensor::ones(DType::F64, [EXAMPLES, N]);
    let at = Tensor::from_fn([EXAMPLES], |i| if i[0] == 2000 { 99i64 } else { 3 });
    let f = jit(vmap(|x: &Tensor, i: &Tensor| x.softmax(0).at(i) + x.softmax(0), (0, 0)));
    let error = f.try_call((&x, &at)).and_then(|y| y.check().cloned()).expect_err("out of bounds");
    assert!(error.location().is_some_and(|l| l.file().ends_with("parts.rs")), "{error}");
    assert!(!matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    Ok(())
}

/// Results that are larger than a good part of a cache are written past it: at any length and start.
#[test]
fn large_results_are_whole() {
    let _alone = alone();
    let n = 3_200_003;
    let x = Tensor::arange(0.0f32, n as f32, 1.0) * 1e-3;
    let program = |x: &Tensor| (x * 0.5 + 1.0).sin();
    let all = jit(program)(&x);
    for start in [0, 1, 77, 1_600_001, n - 40] {
        let expected = program(&x.slice_axis(0, start, start + 40));
        assert_close(&all.slice_axis(0, start, start + 40), &expected, "a vector");
    }
    // Short rows share a tile; a transposed operand is read by blocks.
    let rows = x.slice_axis(0, 0, 3_200_000).reshape([640_000, 5]);
    let scaled = jit(vmap(|row: &Tensor, scale: &Tensor| row * scale, (0, Shared)));
    let scale = Tensor::from([1.0f32, 2.0, 3.0, 4.0, 5.0]);
    let wide = scaled(&rows, &scale);
    let square = x.slice_axis(0, 0, 3_200_000).reshape([1600, 2000]);
    let turned = jit(|x: &Tensor| x.t() + 1.0)(&square);
    for i in [0i64, 1, 799, 1599] {
        assert_close(&wide.at((i * 400, ..)), &(rows.at((i * 400, ..)) * &scale), "rows");
        assert_close(&turned.at((.., i)), &(square.at((i, ..)) + 1.0), "transposed");
    }
    // Part by part.
    let many = x.slice_axis(0, 0, 3_200_000).reshape([3200, 1000]);
    let soft = |row: &Tensor| (row * 0.1).softmax(0);
    let all = jit(vmap(soft, 0))(&many);
    for i in [0i64, 17, 3199] {
        assert_close(&all.at((i, ..)), &soft(&many.at((i, ..))), "parts");
    }
}
