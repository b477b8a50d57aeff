//! Comparisons up to rounding.

use unloop::Tensor;
use unloop_graph::{Array, DType, Number};

/// The largest `|a - b| / (1 + max(|a|, |b|))` of all elements; 0 where both are NaN or equal,
/// infinite where dtypes or shapes differ or one only is NaN.
pub fn deviation(a: &Array, b: &Array) -> f64 {
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return f64::INFINITY;
    }
    let mut worst: f64 = 0.0;
    a.shape().for_each_index(|i| {
        let (x, y) = (a.get(i), b.get(i));
        let error = match (x, y) {
            (Number::Float(x), Number::Float(y)) => {
                if x == y || (x.is_nan() && y.is_nan()) {
                    0.0
                } else {
                    let error = (x - y).abs() / (1.0 + x.abs().max(y.abs()));
                    if error.is_nan() { f64::INFINITY } else { error }
                }
            }
            (x, y) if x == y => 0.0,
            _ => f64::INFINITY,
        };
        worst = worst.max(error);
    });
    worst
}

/// Rounding that a short program may do.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 2e-5,
        DType::F64 => 1e-11,
        DType::Bool | DType::I32 | DType::I64 | DType::U32 => 0.0,
    }
}

/// Whether two tensors are equal up to rounding.
pub fn close(a: &Tensor, b: &Tensor) -> bool {
    match (a.value("compare"), b.value("compare")) {
        (Ok(x), Ok(y)) => deviation(x, y) <= tolerance(x.dtype()),
        _ => false,
    }
}

/// Asserts that two tensors are equal up to rounding.
#[track_caller]
pub fn assert_close(a: &Tensor, b: &Tensor, what: &str) {
    assert!(close(a, b), "{what}:\n{a:?}\n{b:?}");
}
