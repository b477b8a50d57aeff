//! Orthogonal decompositions of the trailing matrix axes: QR, singular values, eigenvalues of
//! symmetric matrices. All leading axes are batch axes.

use smallvec::smallvec;

use super::Types;
use super::linalg::{Matrix, matrix, require_float, square};
use crate::error::ErrorKind;
use crate::{Array, Number, Shape, TensorType};

pub(super) fn infer_qr([a]: &[TensorType; 1], full: bool) -> Result<Types, ErrorKind> {
    require_float(a)?;
    let (m, n) = matrix(a)?;
    let k = if full { m } else { m.min(n) };
    let ty = |shape: [usize; 2]| TensorType::new(a.dtype, batch(a).concat(&shape));
    Ok(smallvec![ty([m, k]), ty([k, n])])
}

pub(super) fn infer_svd(
    [a]: &[TensorType; 1],
    full: bool,
    vectors: bool,
) -> Result<Types, ErrorKind> {
    require_float(a)?;
    let (m, n) = matrix(a)?;
    let k = m.min(n);
    let (rows, columns) = if full { (m, n) } else { (k, k) };
    let ty = |shape: &[usize]| TensorType::new(a.dtype, batch(a).concat(shape));
    Ok(match vectors {
        true => smallvec![ty(&[k]), ty(&[m, rows]), ty(&[columns, n])],
        false => smallvec![ty(&[k])],
    })
}

pub(super) fn infer_eigh([a]: &[TensorType; 1]) -> Result<Types, ErrorKind> {
    require_float(a)?;
    let n = square(a)?;
    Ok(smallvec![TensorType::new(a.dtype, batch(a).concat(&[n])), a.clone()])
}

fn batch(a: &TensorType) -> Shape {
    Shape::from(&a.shape[..a.rank() - 2])
}

/// Applies `f` to every matrix of a stack; each result of it is stacked as its type says.
fn for_each_matrix(
    a: &Array,
    types: &Types,
    mut f: impl FnMut(Matrix) -> Vec<Vec<f64>>,
) -> Vec<Array> {
    let mut values = vec![Vec::new(); types.len()];
    batch(&a.ty()).for_each_index(|b| {
        let results = f(Matrix::read(a, b));
        values.iter_mut().zip(results).for_each(|(all, one)| all.extend(one));
    });
    let stack = |(ty, values): (&TensorType, Vec<f64>)| {
        let mut values = values.into_iter();
        Array::from_fn(ty, |_| match values.next() {
            Some(value) => Number::Float(value),
            None => unreachable!("as many values as elements"),
        })
    };
    types.iter().zip(values).map(stack).collect()
}

fn rows_and_columns(a: &Array) -> (usize, usize) {
    match a.shape()[..] {
        [.., m, n] => (m, n),
        _ => unreachable!("the type rule wants matrices"),
    }
}

/// Householder reflections: all of `q` (m×m) and `r` (m×n).
fn householder(a: &Matrix, m: usize, n: usize) -> (Matrix, Matrix) {
    let mut r = a.clone();
    let mut q = Matrix::identity(m);
    for k in 0..n.min(m.saturating_sub(1)) {
        let norm = (k..m).map(|i| r.at(i, k).powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        let mut v: Vec<f64> = (k..m).map(|i| r.at(i, k)).collect();
        v[0] += norm.copysign(v[0]);
        let square: f64 = v.iter().map(|x| x * x).sum();
        let reflect = |x: &mut Matrix, column: usize, from_right: bool| {
            let at = |x: &Matrix, i: usize| match from_right {
                true => x.at(column, k + i),
                false => x.at(k + i, column),
            };
            let scale = 2.0 / square * v.iter().enumerate().map(|(i, v)| v * at(x, i)).sum::<f64>();
            for (i, v) in v.iter().enumerate() {
                let value = at(x, i) - scale * v;
                match from_right {
                    true => x.set(column, k + i, value),
                    false => x.set(k + i, column, value),
                }
            }
        };
        (0..n).for_each(|j| reflect(&mut r, j, false));
        (0..m).for_each(|i| reflect(&mut q, i, true));
    }
    (q, r)
}

pub(super) fn qr(a: &Array, types: &Types) -> Vec<Array> {
    let (m, n) = rows_and_columns(a);
    let k = types[0].shape.last().copied().unwrap_or(0);
    for_each_matrix(a, types, |a| {
        let (q, r) = householder(&a, m, n);
        let q = (0..m).flat_map(|i| (0..k).map(move |j| (i, j))).map(|(i, j)| q.at(i, j));
        let upper = |(i, j)| if j < i { 0.0 } else { r.at(i, j) };
        let r = (0..k).flat_map(|i| (0..n).map(move |j| (i, j))).map(upper);
        vec![q.collect(), r.collect()]
    })
}

/// Cyclic Jacobi rotations of a symmetric matrix (Golub and Van Loan, 8.5): its eigenvalues from
/// the least, and the eigenvectors in columns.
fn jacobi(a: &Matrix, n: usize) -> (Vec<f64>, Matrix) {
    let mut a = a.clone();
    let mut v = Matrix::identity(n);
    for _ in 0..60 {
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a.at(i, j).powi(2)).sum();
        if off == 0.0 || off.is_nan() {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a.at(p, q);
                if apq == 0.0 {
                    continue;
                }
                let theta = (a.at(q, q) - a.at(p, p)) / (2.0 * apq);
                let t = 1f64.copysign(theta) / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a.at(k, p), a.at(k, q));
                    a.set(k, p, c * x - s * y);
                    a.set(k, q, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a.at(p, k), a.at(q, k));
                    a.set(p, k, c * x - s * y);
                    a.set(q, k, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (v.at(k, p), v.at(k, q));
                    v.set(k, p, c * x - s * y);
                    v.set(k, q, s * x + c * y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a.at(i, i).total_cmp(&a.at(j, j)));
    let values = order.iter().map(|&i| a.at(i, i)).collect();
    let mut sorted = Matrix::identity(n);
    for (j, &from) in order.iter().enumerate() {
        (0..n).for_each(|i| sorted.set(i, j, v.at(i, from)));
    }
    (values, sorted)
}

pub(super) fn eigh(a: &Array, types: &Types) -> Vec<Array> {
    let (n, _) = rows_and_columns(a);
    for_each_matrix(a, types, |mut a| {
        for i in 0..n {
            (i + 1..n).for_each(|j| a.set(i, j, a.at(j, i)));
        }
        let (values, vectors) = jacobi(&a, n);
        vec![values, vectors.values]
    })
}

/// One-sided Jacobi rotations (Golub and Van Loan, 8.6.3) of a matrix with at least as many rows as
/// columns: its columns become orthogonal, and their lengths are the singular values.
fn one_sided_jacobi(a: &Matrix, m: usize, n: usize) -> (Matrix, Vec<f64>, Matrix) {
    let (mut u, mut v) = (a.clone(), Matrix::identity(n));
    for _ in 0..60 {
        let mut largest: f64 = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                let dot = |i: usize, j: usize| (0..m).map(|k| u.at(k, i) * u.at(k, j)).sum::<f64>();
                let (alpha, beta, gamma) = (dot(p, p), dot(q, q), dot(p, q));
                if gamma == 0.0 {
                    continue;
                }
                largest = largest.max(gamma.abs() / (alpha * beta).sqrt());
                let zeta = (beta - alpha) / (2.0 * gamma);
                let t = 1f64.copysign(zeta) / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = c * t;
                let rotate = |x: &mut Matrix, rows: usize| {
                    for k in 0..rows {
                        let (a, b) = (x.at(k, p), x.at(k, q));
                        x.set(k, p, c * a - s * b);
                        x.set(k, q, s * a + c * b);
                    }
                };
                rotate(&mut u, m);
                rotate(&mut v, n);
            }
        }
        if largest < 1e-16 || largest.is_nan() {
            break;
        }
    }
    let length = |j: usize| (0..m).map(|k| u.at(k, j).powi(2)).sum::<f64>().sqrt();
    let lengths: Vec<f64> = (0..n).map(length).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let mut left = Matrix { columns: n, values: vec![0.0; m * n] };
    let mut right = Matrix::identity(n);
    for (j, &from) in order.iter().enumerate() {
        for k in 0..m {
            let scaled = if lengths[from] == 0.0 { 0.0 } else { u.at(k, from) / lengths[from] };
            left.set(k, j, scaled);
        }
        (0..n).for_each(|k| right.set(k, j, v.at(k, from)));
    }
    (left, order.iter().map(|&i| lengths[i]).collect(), right)
}

/// The first columns of `u` (m×n), those of length 0 and further ones replaced so that all `k` are
/// orthonormal.
fn completed(u: &Matrix, m: usize, n: usize, k: usize) -> Matrix {
    let mut q = Matrix { columns: k, values: vec![0.0; m * k] };
    let mut candidates = 0..m;
    for j in 0..k {
        let mut column: Vec<f64> = (0..m).map(|i| if j < n { u.at(i, j) } else { 0.0 }).collect();
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        while norm(&column) < 0.5 {
            // A unit vector without what lies along the columns so far, projected twice.
            let Some(e) = candidates.next() else { break };
            column = (0..m).map(|i| f64::from(u8::from(i == e))).collect();
            for _ in 0..2 {
                for p in 0..j.max(n.min(k)) {
                    let other = |i: usize| if p < j { q.at(i, p) } else { u.at(i, p) };
                    let dot: f64 = (0..m).map(|i| column[i] * other(i)).sum();
                    (0..m).for_each(|i| column[i] -= dot * other(i));
                }
            }
            let length = norm(&column);
            if length > 0.1 / (m as f64).sqrt() {
                column.iter_mut().for_each(|x| *x /= length);
            } else {
                column.fill(0.0);
            }
        }
        (0..m).for_each(|i| q.set(i, j, column[i]));
    }
    q
}

pub(super) fn svd(a: &Array, types: &Types) -> Vec<Array> {
    let (m, n) = rows_and_columns(a);
    let last = |i: usize, back: usize| -> usize {
        types.get(i).map_or(0, |ty| ty.shape[ty.rank() - back])
    };
    let (rows, columns) = (last(1, 1), last(2, 2));
    for_each_matrix(a, types, |a| {
        let (u, s, v) = match m >= n {
            true => one_sided_jacobi(&a, m, n),
            false => {
                let (v, s, u) = one_sided_jacobi(&a.transposed(m), n, m);
                (u, s, v)
            }
        };
        let k = m.min(n);
        let u = completed(&u, m, k, rows);
        let v = completed(&v, n, k, columns);
        vec![s, u.values, v.transposed(n).values]
    })
}
