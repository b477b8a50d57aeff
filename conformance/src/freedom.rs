//! What the results of a program leave open, and so is not compared: the order of equal keys, signs
//! of factors, what lies beyond a promise.

use serde_json::Value;
use unloop::Shape;
use unloop::prelude::*;

use crate::primitives::{self, CHECKED};

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The equation of an unstable sort that is all of a program.
fn unstable_sort(program: &Value) -> Option<&Value> {
    match array(&program["eqns"]) {
        [e] if e["prim"] == "sort" && e["params"]["is_stable"] == false => Some(e),
        _ => None,
    }
}

/// Rows of several tensors in an order of their own, so that their first order does not matter.
fn in_any_order(rows: &[Tensor], axis: isize) -> Vec<Tensor> {
    let operands: Vec<&Tensor> = rows.iter().collect();
    Tensor::sort_by(&operands, operands.len(), axis, false)
}

/// What of derivatives is compared; `None` for all. `beside` are the inputs (reverse) or the outputs
/// (forward), `point` the inputs.
///
/// - Derivatives of an unstable sort go with the elements: compared are its keys, which stand in
///   `beside` in the same order, with the derivatives in any order among equal keys.
/// - JAX's trigamma function loses digits left of -7, where it sums too few terms of a series (the
///   reflection formula agrees with unloop's): compared is the rest.
pub fn comparable_derivatives(
    program: &Value,
    point: &[Tensor],
    beside: &[Tensor],
    derivatives: &[Tensor],
) -> Option<Vec<Tensor>> {
    if let ([e], [x], [dx]) = (array(&program["eqns"]), point, derivatives)
        && e["prim"] == "digamma"
    {
        let right = x.greater(&Tensor::from(-7).cast(x.dtype()));
        return Some(vec![right.select(dx, &dx.zeros_like())]);
    }
    let p = &unstable_sort(program)?["params"];
    let keys = p["num_keys"].as_u64()? as usize;
    let rows = [beside.get(..keys)?, derivatives].concat();
    Some(in_any_order(&rows, p["dimension"].as_i64()? as isize))
}

/// Whether every index that the program promises to be in bounds is; if not, there is no right
/// derivative: JAX's clips in one direction what it drops in the other.
pub fn keeps_promises(program: &Value, point: &[Tensor]) -> bool {
    let checked = checked(program);
    primitives::run(&checked, point).iter().all(|x| x.as_error().is_none())
}

fn checked(value: &Value) -> Value {
    match value {
        Value::String(mode) if mode == "PROMISE_IN_BOUNDS" => CHECKED.into(),
        Value::Array(items) => items.iter().map(checked).collect(),
        Value::Object(items) => {
            items.iter().map(|(key, item)| (key.clone(), checked(item))).collect()
        }
        other => other.clone(),
    }
}

/// What two results have in common that are not unique: the rows of an unstable sort in any order,
/// what factors rebuild. `None` if the program's results are unique.
pub fn comparable(program: &Value, results: &[Tensor]) -> Option<Vec<Tensor>> {
    let ambiguous = |e: &&Value| matches!(e["prim"].as_str(), Some("sort" | "qr" | "svd" | "eigh"));
    let equations = array(&program["eqns"]);
    let equation = equations.iter().find(ambiguous)?;
    // The results are those of this equation.
    if equation["out"].as_array()?.len() != results.len() {
        return None;
    }
    let p = &equation["params"];
    match equation["prim"].as_str()? {
        "sort" if p["is_stable"].as_bool() == Some(false) && results.len() > 1 => {
            // Batched runs have one more axis in front.
            let rank = array(&equation["out"][0]["shape"]).len();
            let axis = p["dimension"].as_i64()? as isize + (results[0].rank() - rank) as isize;
            Some(in_any_order(results, axis))
        }
        "qr" => {
            let (q, r) = (&results[0], &results[1]);
            Some(vec![product(q, r), product(&q.mt(), q)])
        }
        "svd" if results.len() == 3 => {
            let (s, u, vt) = (&results[0], &results[1], &results[2]);
            let k = s.shape()[s.rank() - 1];
            let scaled = u.slice_axis(-1, 0, k) * by_column(s, u, k);
            let whole = product(&scaled, &vt.slice_axis(-2, 0, k));
            Some(vec![s.clone(), whole, product(&u.mt(), u), product(vt, &vt.mt())])
        }
        "eigh" => {
            let (v, w) = match results[0].rank() > results[1].rank() {
                true => (&results[0], &results[1]),
                false => (&results[1], &results[0]),
            };
            let n = w.shape()[w.rank() - 1];
            let whole = product(&(v * by_column(w, v, n)), &v.mt());
            Some(vec![w.clone(), whole, product(&v.mt(), v)])
        }
        _ => None,
    }
}

fn product(a: &Tensor, b: &Tensor) -> Tensor {
    a.matmul(b)
}

/// The entries of a vector along the first `k` columns of matrices.
fn by_column(s: &Tensor, like: &Tensor, k: usize) -> Tensor {
    let rank = like.rank();
    let mut shape = Shape::from(like.shape());
    shape[rank - 1] = k;
    let dims = (0..rank - 2).chain([rank - 1]).collect();
    s.broadcast_in_dim(shape, dims)
}
