//! Comparisons with what JAX computed.

use unloop::prelude::*;
use unloop_graph::{Array, Number};

/// The first element that is not close, in words.
pub fn difference(actual: &Tensor, expected: &Tensor, rtol: f64) -> Option<String> {
    let (a, b) = match (actual.value("compare"), expected.value("compare")) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => return Some(error.to_string()),
    };
    if a.ty() != b.ty() {
        return Some(format!("{} where JAX has {}", a.ty(), b.ty()));
    }
    let scale = magnitude(b);
    let mut found = None;
    a.shape().for_each_index(|i| {
        if found.is_none() && !close(a.get(i), b.get(i), rtol, scale) {
            found = Some(format!("at {i:?} {:?} where JAX has {:?}", a.get(i), b.get(i)));
        }
    });
    found
}

/// The largest finite magnitude: sums over elements cancel relative to it.
fn magnitude(x: &Array) -> f64 {
    let mut largest: f64 = 0.0;
    x.shape().for_each_index(|i| {
        let value = x.get(i).float().abs();
        if value.is_finite() {
            largest = largest.max(value);
        }
    });
    largest
}

fn close(a: Number, b: Number, rtol: f64, scale: f64) -> bool {
    match (a, b) {
        (Number::Float(a), Number::Float(b)) => {
            let near = (a - b).abs() <= rtol * (b.abs() + scale.min(1.0));
            a == b || (a.is_nan() && b.is_nan()) || near
        }
        (a, b) => a == b,
    }
}
