//! Elementary functions against correctly rounded values. Errors are counted in units in the last
//! place (ulp) of the correct result.

use unloop::prelude::*;
use unloop_tests::vectors::{read, tensors};

type Function = (&'static str, fn(&Tensor) -> Tensor);

const FUNCTIONS: &[Function] = &[
    ("exp", Tensor::exp),
    ("exp2", Tensor::exp2),
    ("expm1", Tensor::expm1),
    ("log", Tensor::log),
    ("log2", Tensor::log2),
    ("log1p", Tensor::log1p),
    ("sin", Tensor::sin),
    ("cos", Tensor::cos),
    ("tan", Tensor::tan),
    ("asin", Tensor::asin),
    ("acos", Tensor::acos),
    ("atan", Tensor::atan),
    ("sinh", Tensor::sinh),
    ("cosh", Tensor::cosh),
    ("tanh", Tensor::tanh),
    ("asinh", Tensor::asinh),
    ("acosh", Tensor::acosh),
    ("atanh", Tensor::atanh),
    ("cbrt", Tensor::cbrt),
    ("rsqrt", Tensor::rsqrt),
    ("sigmoid", Tensor::sigmoid),
    ("erf", Tensor::erf),
    ("erfc", Tensor::erfc),
    ("erf_inv", Tensor::erf_inv),
    ("lgamma", Tensor::lgamma),
    ("digamma", Tensor::digamma),
    ("bessel_i0e", Tensor::bessel_i0e),
    ("bessel_i1e", Tensor::bessel_i1e),
    ("ndtr", Tensor::ndtr),
    ("log_ndtr", Tensor::log_ndtr),
    ("ndtri", Tensor::ndtri),
];

/// What is promised; functions of statistics are allowed more.
fn promise(name: &str) -> f64 {
    match name {
        "bessel_i0e" | "bessel_i1e" => 8.0,
        "erf_inv" | "lgamma" | "digamma" | "ndtri" => 16.0,
        // In a tail, the rounded argument of `erfc` alone makes an error of so many ulp.
        "ndtr" | "log_ndtr" => 64.0,
        _ => 2.0,
    }
}

/// The distance from one f64 to the next.
fn ulp64(x: f64) -> f64 {
    let x = x.abs().max(f64::MIN_POSITIVE);
    f64::from_bits(x.to_bits() + 1) - x
}

/// The distance from one f32 to the next, near an f64.
fn ulp32(x: f64) -> f64 {
    let x = (x.abs() as f32).clamp(f32::MIN_POSITIVE, f32::MAX);
    f64::from(x) - f64::from(f32::from_bits(x.to_bits() - 1))
}

#[test]
fn f64_is_within_its_promise() {
    let mut wrong = Vec::new();
    for entry in read(include_str!("../../vectors/elementary.json")) {
        let name = entry["name"].as_str().unwrap();
        let (inputs, expected) = (tensors(&entry["in"]), tensors(&entry["out"]));
        let (_, f) = FUNCTIONS.iter().find(|(known, _)| *known == name).expect(name);
        let points = inputs[0].to_vec::<f64>().unwrap();
        let expected = expected[0].to_vec::<f64>().unwrap();
        let actual = f(&inputs[0]).to_vec::<f64>().unwrap();
        let mut worst = (0.0, 0.0);
        for ((x, y), exact) in points.iter().zip(&actual).zip(&expected) {
            let error = if y == exact { 0.0 } else { (y - exact).abs() / ulp64(*exact) };
            if error.is_nan() || error > worst.0 {
                worst = (error, *x);
            }
        }
        if worst.0.is_nan() || worst.0 > promise(name) {
            wrong.push(format!("{name}({:e}): {} ulp", worst.1, worst.0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every 4,099th f32, or all of them if `UNLOOP_EXHAUSTIVE` is set (some minutes a function).
#[test]
fn f32_is_within_its_promise() {
    let step = if std::env::var_os("UNLOOP_EXHAUSTIVE").is_some() { 1 } else { 4_099 };
    let mut wrong = Vec::new();
    for (name, f) in FUNCTIONS {
        // The f64 function is the exact one for f32; at poles both count what is left of it.
        let mut worst = (0.0, 0.0);
        let mut all = (0..=u32::MAX).step_by(step);
        loop {
            let points: Vec<f32> = all.by_ref().take(1 << 20).map(f32::from_bits).collect();
            if points.is_empty() {
                break;
            }
            let points = points.into_iter().filter(|&x| *name != "lgamma" || x > 0.0);
            let points = points.filter(|&x| *name != "ndtr" || x > -5.0);
            let points = points.filter(|&x| *name != "log_ndtr" || x < 5.0);
            let points: Vec<f32> = points.filter(|&x| *name != "digamma" || x > 0.0).collect();
            let x = Tensor::from(points.clone());
            let actual = f(&x).to_vec::<f32>().unwrap();
            let exact = f(&x.cast(DType::F64)).to_vec::<f64>().unwrap();
            for ((x, y), exact) in points.iter().zip(&actual).zip(&exact) {
                let same = *y == *exact as f32 || (y.is_nan() && exact.is_nan());
                let error = if same { 0.0 } else { (f64::from(*y) - exact).abs() / ulp32(*exact) };
                if error.is_nan() || error > worst.0 {
                    worst = (error, *x);
                }
            }
        }
        if worst.0.is_nan() || worst.0 > promise(name) {
            wrong.push(format!("{name}({:e}): {} ulp", worst.1, worst.0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
