//! Derivatives of orthogonal decompositions. Townsend, *Differentiating the singular value
//! decomposition* (2016); Walter and Lehmann, *Algorithmic differentiation of linear algebra
//! functions* (2012), for QR.

use unloop_graph::{CompareOp, Shape, Tensor};

use super::linalg::{matmul, solve_triangular, triangle};
use super::{Jvp, unsupported};

/// The diagonal of the trailing two axes.
fn diagonal(x: &Tensor) -> Tensor {
    triangle(x, CompareOp::Eq).sum_axis(-1)
}

/// A vector's entries along the columns of matrices of some shape.
fn by_column(x: &Tensor, shape: &[usize]) -> Tensor {
    let rank = shape.len();
    let dims = (0..rank - 2).chain([rank - 1]).collect();
    x.broadcast_in_dim(Shape::from(shape), dims)
}

/// `1/x` of the differences between values, 0 on the diagonal. Vectors of equal values have no
/// derivative: what it would be is not a number.
fn inverse_of_gaps(x: &Tensor) -> Tensor {
    let is_equal = x.equal(&x.zeros_like());
    let safe = is_equal.select(&x.ones_like(), x);
    let inverse = is_equal.select(&(x.ones_like() * f64::NAN), &safe.recip());
    triangle(&inverse, CompareOp::Ne)
}

pub(super) fn jvp_qr(rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (q, r, da) = (&rule.y[0], &rule.y[1], rule.tangent(0));
    let square = |x: &Tensor| x.shape()[x.rank() - 2] == x.shape()[x.rank() - 1];
    if !square(r) {
        let what = "the derivative of QR of a wide matrix, or of all of Q";
        return vec![Some(unsupported(what.into(), q)), Some(unsupported(what.into(), r))];
    }
    // da·r⁻¹
    let right = solve_triangular(r, &da.mt(), false, true, false).mt();
    let inner = matmul(&q.mt(), &right);
    let lower = triangle(&inner, CompareOp::Gt);
    let turn = &lower - lower.mt();
    let dq = matmul(q, &(&turn - &inner)) + right;
    let dr = matmul(&(inner - turn), r);
    vec![Some(dq), Some(dr)]
}

pub(super) fn jvp_eigh(rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (w, v, da) = (&rule.y[0], &rule.y[1], rule.tangent(0));
    // The lower triangle alone is read.
    let lower = triangle(&da, CompareOp::Gt);
    let da = &lower + lower.mt() + triangle(&da, CompareOp::Eq);
    let inner = matmul(&v.mt(), &matmul(&da, v));
    let columns = by_column(w, v.shape());
    let gaps = inverse_of_gaps(&(&columns - columns.mt()));
    let dv = matmul(v, &(gaps * &inner));
    vec![Some(diagonal(&inner)), Some(dv)]
}

pub(super) fn jvp_svd(vectors: bool, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (a, da) = (rule.x[0], rule.tangent(0));
    let svd;
    let (s, u, vt) = match (vectors, rule.y) {
        (true, [s, u, vt]) => (s, u, vt),
        (true, y) => unreachable!("a decomposition with {} results", y.len()),
        (false, _) => {
            svd = a.svd();
            (&svd.1, &svd.0, &svd.2)
        }
    };
    let extents = |x: &Tensor| (x.shape()[x.rank() - 2], x.shape()[x.rank() - 1]);
    let ((m, n), k) = (extents(a), s.shape()[s.rank() - 1]);
    if vectors && (extents(u).1 != k || extents(vt).0 != k) {
        let what = "the derivative of all singular vectors of a matrix that is not square";
        return rule.y.iter().map(|y| Some(unsupported(what.into(), y))).collect();
    }
    let (ut, v) = (u.mt(), vt.mt());
    let inner = matmul(&ut, &matmul(&da, &v));
    let ds = diagonal(&inner);
    if !vectors {
        return vec![Some(ds)];
    }
    let columns = by_column(s, inner.shape());
    let rows = columns.mt();
    let gaps = inverse_of_gaps(&((&columns + &rows) * (&columns - &rows)));
    let symmetric = |x: Tensor| &x + x.mt();
    let mut du = matmul(u, &(&gaps * symmetric(&inner * &columns)));
    let mut dv = matmul(&v, &(&gaps * symmetric(&inner * &rows)));
    // What lies outside of the space that the vectors span.
    if m > n {
        let image = matmul(&da, &v);
        let outside = &image - matmul(u, &matmul(&ut, &image));
        du += outside / by_column(s, image.shape());
    }
    if n > m {
        let image = matmul(&da.mt(), u);
        let outside = &image - matmul(&v, &matmul(vt, &image));
        dv += outside / by_column(s, image.shape());
    }
    vec![Some(ds), Some(du), Some(dv.mt())]
}
