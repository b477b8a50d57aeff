//! Factorisations and solves of the trailing matrix axes; all leading axes are batch axes.

use std::fmt;

use smallvec::smallvec;

use super::Types;
use crate::error::ErrorKind;
use crate::{Array, Axes, DType, Number, Shape, TensorType};

/// The parameters of a triangular solve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TriangularSolve {
    /// Whether the matrix is lower triangular (else upper); the other triangle is not read.
    pub lower: bool,
    /// Whether the transposed matrix is meant.
    pub transpose: bool,
    /// Whether the diagonal is taken as ones and not read.
    pub unit_diagonal: bool,
}

pub(super) fn require_float(x: &TensorType) -> Result<(), ErrorKind> {
    match x.dtype.is_float() {
        true => Ok(()),
        false => Err(ErrorKind::UnsupportedDType { dtype: x.dtype, expected: "f32 and f64" }),
    }
}

/// The trailing two extents.
pub(super) fn matrix(x: &TensorType) -> Result<(usize, usize), ErrorKind> {
    match x.shape[..] {
        [.., m, n] => Ok((m, n)),
        _ => Err(ErrorKind::WrongRank {
            expected: "a matrix (or a stack of them)",
            shape: x.shape.clone(),
        }),
    }
}

pub(super) fn square(x: &TensorType) -> Result<usize, ErrorKind> {
    let (m, n) = matrix(x)?;
    if m != n {
        return Err(ErrorKind::WrongRank { expected: "a square matrix", shape: x.shape.clone() });
    }
    Ok(n)
}

pub(super) fn infer_cholesky([a]: &[TensorType; 1]) -> Result<TensorType, ErrorKind> {
    require_float(a)?;
    square(a)?;
    Ok(a.clone())
}

pub(super) fn infer_lu([a]: &[TensorType; 1]) -> Result<Types, ErrorKind> {
    require_float(a)?;
    let (m, n) = matrix(a)?;
    let batch = Shape::from(&a.shape[..a.rank() - 2]);
    Ok(smallvec![
        a.clone(),
        TensorType::new(DType::I32, batch.concat(&[m.min(n)])),
        TensorType::new(DType::I32, batch.concat(&[m])),
    ])
}

pub(super) fn infer_solve([a, b]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
    require_float(a)?;
    if a.dtype != b.dtype {
        return Err(ErrorKind::DTypeMismatch { left: a.dtype, right: b.dtype });
    }
    let n = square(a)?;
    let (rows, _) = matrix(b)?;
    if rows != n || a.shape[..a.rank() - 2] != b.shape[..b.rank() - 2] {
        return Err(ErrorKind::Incompatible {
            left: a.shape.clone(),
            right: b.shape.clone(),
            why: "the right-hand side must have as many rows as the matrix, and the same leading \
                  axes"
                .into(),
        });
    }
    Ok(b.clone())
}

/// One matrix of a stack, in double precision.
#[derive(Clone)]
pub(super) struct Matrix {
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn identity(n: usize) -> Matrix {
        let values = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
        Matrix { columns: n, values }
    }

    /// The transpose of a matrix with this many rows.
    pub fn transposed(&self, rows: usize) -> Matrix {
        let at = |k: usize| self.at(k % rows, k / rows);
        Matrix { columns: rows, values: (0..self.values.len()).map(at).collect() }
    }

    pub fn read(x: &Array, batch: &[usize]) -> Matrix {
        let [.., m, n] = x.shape()[..] else { unreachable!("the type rule wants matrices") };
        let mut values = Vec::with_capacity(m * n);
        Shape::from([m, n]).for_each_index(|ij| {
            values.push(x.get(&[batch, ij].concat()).float());
        });
        Matrix { columns: n, values }
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.columns + j]
    }

    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i * self.columns + j] = value;
    }
}

/// Applies `f` to every matrix of a stack and stacks the results as `ty`.
fn for_each_matrix(ty: &TensorType, mut f: impl FnMut(&[usize]) -> Vec<f64>) -> Array {
    let batch = Shape::from(&ty.shape[..ty.rank() - 2]);
    let mut values = Vec::with_capacity(ty.shape.size());
    batch.for_each_index(|b| values.extend(f(b)));
    let mut values = values.into_iter();
    Array::from_fn(ty, |_| match values.next() {
        Some(value) => Number::Float(value),
        None => unreachable!("as many values as elements"),
    })
}

pub(super) fn cholesky(a: &Array, checked: bool, ty: &TensorType) -> Result<Array, ErrorKind> {
    let n = ty.shape[ty.rank() - 1];
    let mut has_failed = false;
    let factors = for_each_matrix(ty, |batch| {
        let a = Matrix::read(a, batch);
        let mut l = Matrix { columns: n, values: vec![0.0; n * n] };
        for j in 0..n {
            for i in j..n {
                let dot: f64 = (0..j).map(|k| l.at(i, k) * l.at(j, k)).sum();
                let rest = a.at(i, j) - dot;
                let value = if i == j { rest.sqrt() } else { rest / l.at(j, j) };
                l.set(i, j, value);
            }
            // Zero pivots too: a matrix that is not positive definite has no factor.
            if l.at(j, j) <= 0.0 || l.at(j, j).is_nan() {
                has_failed = true;
                return vec![f64::NAN; n * n];
            }
        }
        l.values
    });
    match has_failed && checked && ty.rank() == 2 {
        true => Err(ErrorKind::NotPositiveDefinite),
        false => Ok(factors),
    }
}

/// Gaussian elimination with partial pivoting, in place; the pivot row of each step.
fn eliminate(a: &mut Matrix, rows: usize) -> Vec<usize> {
    let columns = a.columns;
    (0..rows.min(columns))
        .map(|k| {
            let mut pivot = k;
            for i in k + 1..rows {
                if a.at(i, k).abs() > a.at(pivot, k).abs() {
                    pivot = i;
                }
            }
            for j in 0..columns {
                let (x, y) = (a.at(k, j), a.at(pivot, j));
                a.set(k, j, y);
                a.set(pivot, j, x);
            }
            if a.at(k, k) != 0.0 {
                for i in k + 1..rows {
                    let factor = a.at(i, k) / a.at(k, k);
                    a.set(i, k, factor);
                    for j in k + 1..columns {
                        a.set(i, j, a.at(i, j) - factor * a.at(k, j));
                    }
                }
            }
            pivot
        })
        .collect()
}

pub(super) fn lu(a: &Array, types: &Types) -> Vec<Array> {
    let [.., rows, _] = types[0].shape[..] else { unreachable!("the type rule wants matrices") };
    let (mut pivots, mut permutation) = (Vec::new(), Vec::new());
    let factors = for_each_matrix(&types[0], |batch| {
        let mut a = Matrix::read(a, batch);
        let swaps = eliminate(&mut a, rows);
        let mut order: Vec<usize> = (0..rows).collect();
        swaps.iter().enumerate().for_each(|(k, &p)| order.swap(k, p));
        pivots.extend(swaps);
        permutation.extend(order);
        a.values
    });
    let ints = |ty: &TensorType, values: Vec<usize>| {
        Array::new(ty.shape.clone(), values.into_iter().map(|v| v as i32).collect())
    };
    vec![factors, ints(&types[1], pivots), ints(&types[2], permutation)]
}

pub(super) fn solve(
    a: &Array,
    b: &Array,
    transpose: bool,
    ty: &TensorType,
) -> Result<Array, ErrorKind> {
    let rank = ty.rank();
    let n = ty.shape[rank - 2];
    let mut singular = false;
    // The matrix itself is eliminated for the transposed system, too: it is singular for both or
    // for none.
    let x = for_each_matrix(ty, |batch| {
        let (mut lu, mut x) = (Matrix::read(a, batch), Matrix::read(b, batch));
        let swaps = eliminate(&mut lu, n);
        if (0..n).any(|k| lu.at(k, k) == 0.0) {
            singular = true;
            return vec![f64::NAN; x.values.len()];
        }
        let swap = |x: &mut Matrix, k: usize, p: usize| {
            for j in 0..x.columns {
                let (u, v) = (x.at(k, j), x.at(p, j));
                x.set(k, j, v);
                x.set(p, j, u);
            }
        };
        if transpose {
            // `pᵀ·l·u` transposed is `uᵀ·lᵀ·p`.
            let lu = lu.transposed(n);
            substitute(&lu, &mut x, n, true, false);
            substitute(&lu, &mut x, n, false, true);
            swaps.iter().enumerate().rev().for_each(|(k, &p)| swap(&mut x, k, p));
        } else {
            swaps.iter().enumerate().for_each(|(k, &p)| swap(&mut x, k, p));
            substitute(&lu, &mut x, n, true, true);
            substitute(&lu, &mut x, n, false, false);
        }
        x.values
    });
    if singular && rank == 2 {
        return Err(ErrorKind::Singular);
    }
    Ok(x)
}

/// Forward (lower) or backward (upper) substitution, in place.
fn substitute(a: &Matrix, x: &mut Matrix, n: usize, lower: bool, unit: bool) {
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let known = if lower { 0..i } else { i + 1..n };
        for j in 0..x.columns {
            let dot: f64 = known.clone().map(|k| a.at(i, k) * x.at(k, j)).sum();
            let rest = x.at(i, j) - dot;
            x.set(i, j, if unit { rest } else { rest / a.at(i, i) });
        }
    }
}

impl TriangularSolve {
    pub(super) fn evaluate(&self, a: &Array, b: &Array, ty: &TensorType) -> Array {
        let rank = ty.rank();
        let n = ty.shape[rank - 2];
        let mut perm: Axes = (0..rank).collect();
        if self.transpose {
            perm.swap(rank - 2, rank - 1);
        }
        let a = a.transpose(&perm);
        for_each_matrix(ty, |batch| {
            let mut x = Matrix::read(b, batch);
            let lower = self.lower != self.transpose;
            substitute(&Matrix::read(&a, batch), &mut x, n, lower, self.unit_diagonal);
            x.values
        })
    }
}

impl fmt::Display for TriangularSolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.lower { "lower" } else { "upper" })?;
        f.write_str(if self.transpose { " transpose" } else { "" })?;
        f.write_str(if self.unit_diagonal { " unit" } else { "" })
    }
}
