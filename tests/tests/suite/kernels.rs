//! Accuracy of elementary functions, and results that replace an operand.

use unloop_cpu::{Fused, Mode, Simd};
use unloop_graph::{BinaryOp, DType, UnaryOp};

/// The exact functions, from std in double precision, on an interval.
fn functions() -> Vec<(UnaryOp, fn(f64) -> f64, f64, f64)> {
    use UnaryOp::*;
    vec![
        (Exp, f64::exp, -87.0, 88.0),
        (Exp2, f64::exp2, -120.0, 120.0),
        (Expm1, f64::exp_m1, -20.0, 60.0),
        (Expm1, f64::exp_m1, -0.1, 0.1),
        (Log, f64::ln, 1e-30, 1e30),
        (Log, f64::ln, 0.5, 2.0),
        (Log1p, f64::ln_1p, -0.9, 10.0),
        (Sin, f64::sin, -1000.0, 1000.0),
        (Cos, f64::cos, -1000.0, 1000.0),
        (Tan, f64::tan, -100.0, 100.0),
        (Asin, f64::asin, -1.0, 1.0),
        (Acos, f64::acos, -1.0, 0.99),
        (Atan, f64::atan, -30.0, 30.0),
        (Sinh, f64::sinh, -80.0, 80.0),
        (Sinh, f64::sinh, -0.5, 0.5),
        (Cosh, f64::cosh, -80.0, 80.0),
        (Tanh, f64::tanh, -15.0, 15.0),
        (Tanh, f64::tanh, -0.3, 0.3),
        (Asinh, f64::asinh, 0.01, 1000.0),
        (Acosh, f64::acosh, 1.1, 1000.0),
        (Atanh, f64::atanh, -0.9, 0.9),
        (Cbrt, f64::cbrt, -1000.0, 1000.0),
        (Sqrt, f64::sqrt, 0.0, 1000.0),
    ]
}

/// Points of an interval, dense and not on a grid of floats.
fn points(low: f64, high: f64) -> Vec<f64> {
    let n = 4001;
    (0..n).map(|i| low + (high - low) * (f64::from(i) + 0.37) / f64::from(n)).collect()
}

#[test]
fn elementary_functions_are_accurate() {
    let mut worst = Vec::new();
    for simd in Simd::available() {
        for (op, exact, low, high) in functions() {
            let x = points(low, high);
            let mut y = vec![0.0f64; x.len()];
            let f = simd.unary(op, DType::F64).unwrap();
            // SAFETY: both vectors have this length.
            unsafe {
                f(
                    y.as_mut_ptr().cast(),
                    x.as_ptr().cast(),
                    x.as_ptr().cast(),
                    x.as_ptr().cast(),
                    x.len(),
                )
            };
            let error = |(x, y): (&f64, &f64)| ((y - exact(*x)) / exact(*x)).abs() / f64::EPSILON;
            let double = x.iter().zip(&y).map(error).fold(0.0, f64::max);
            let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let mut y = vec![0.0f32; x.len()];
            let f = simd.unary(op, DType::F32).unwrap();
            // SAFETY: as above.
            unsafe {
                f(
                    y.as_mut_ptr().cast(),
                    x.as_ptr().cast(),
                    x.as_ptr().cast(),
                    x.as_ptr().cast(),
                    x.len(),
                )
            };
            let error = |(&x, &y): (&f32, &f32)| {
                let exact = exact(f64::from(x));
                ((f64::from(y) - exact) / exact).abs() / f64::from(f32::EPSILON)
            };
            let single = x.iter().zip(&y).map(error).fold(0.0, f64::max);
            if double > 3.0 || single > 2.0 || double.is_nan() || single.is_nan() {
                worst.push(format!(
                    "{} {op:?} on {low}..{high}: f64 {double:.2}, f32 {single:.2}",
                    simd.name()
                ));
            }
        }
    }
    // In units of the last place of a number just above a power of two.
    assert!(worst.is_empty(), "{worst:#?}");
}

#[test]
fn results_may_replace_operands() {
    for simd in Simd::available() {
        for n in [1, 7, 255, 256, 257, 1000] {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let mut y = x.clone();
            let add = simd.binary(BinaryOp::Add, DType::F64, Mode::VectorVector).unwrap();
            let p = y.as_mut_ptr().cast::<u8>();
            // SAFETY: all addresses are of `n` elements.
            unsafe { add(p, p, x.as_ptr().cast(), p, n as usize) };
            assert!(y.iter().zip(&x).all(|(y, x)| *y == 2.0 * x), "{n}");
        }
    }
}

#[test]
fn superinstructions_round_as_their_parts() {
    let x: Vec<f64> = (0..100).map(|i| 1.0 / f64::from(i + 3)).collect();
    for simd in Simd::available() {
        for (op, exact) in [
            (Fused::MulAdd, (|a, b, c| a * b + c) as fn(f64, f64, f64) -> f64),
            (Fused::MulSub, |a, b, c| a * b - c),
            (Fused::SubMul, |a, b, c| c - a * b),
            (Fused::SubSquareAdd, |a, b, c| (a - b) * (a - b) + c),
        ] {
            let f = simd.fused(op, DType::F64, false, false).unwrap();
            let mut y = vec![0.0; 98];
            // SAFETY: 98 elements follow each address.
            unsafe {
                f(
                    y.as_mut_ptr().cast(),
                    x.as_ptr().cast(),
                    x.as_ptr().add(1).cast(),
                    x.as_ptr().add(2).cast(),
                    98,
                );
            }
            assert!((0..98).all(|i| y[i] == exact(x[i], x[i + 1], x[i + 2])));
        }
    }
}
