//! Products of vectors and matrices, factorisations and solves. Leading axes are stacks.

use super::axes::AxisList;
use crate::error::{ErrorKind, Place, operation};
use crate::op::TriangularSolve;
use crate::shape::normalize_axes;
use crate::{Axes, DotDims, Op, Shape, Tensor};

/// # Products of vectors and matrices
/// Of integers, which wrap, and floats.
impl Tensor {
    /// The product of vectors, matrices, or stacks of matrices with equal leading axes: `[…,m,k]` and
    /// `[…,k,n]` give `[…,m,n]`. A vector on the left is a row, on the right a column; its axis
    /// disappears. A vector meets every matrix of a stack.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let x = Tensor::from([1.0, 10.0]);
    /// assert_eq!(a.matmul(&x).to_vec::<f64>()?, [21.0, 43.0]);
    /// assert_eq!(x.matmul(&a).to_vec::<f64>()?, [31.0, 42.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` of a scalar; `Incompatible` for sizes that do not fit, and stacks of
    /// different ranks; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        operation("matmul", || {
            let (m, n) = (self.rank(), other.rank());
            if m == 0 || n == 0 {
                let scalar = if m == 0 { self } else { other };
                let expected = "vectors or matrices (multiply scalars with `*`)";
                let kind = ErrorKind::WrongRank { expected, shape: scalar.shape().into() };
                return match other.as_error() {
                    Some(_) => other.clone(),
                    None => Tensor::fail("matmul", kind, Place::here(), self),
                };
            }
            let batch: Axes = (0..m.max(2).min(n.max(2)) - 2).collect();
            let stacks = (m.max(2), n.max(2));
            if stacks.0 != stacks.1 && m.min(n) > 1 {
                return self.contract_error(
                    "matmul",
                    other,
                    "stacks of matrices must have the same rank",
                );
            }
            if stacks.0 != stacks.1 {
                // One vector and a stack of matrices: the vector meets every matrix.
                let (lhs, rhs) = (m - 1, n.saturating_sub(2));
                return self.contract(
                    "matmul",
                    other,
                    [lhs].as_slice(),
                    [rhs].as_slice(),
                    &[],
                    &[],
                );
            }
            self.contract("matmul", other, &[m - 1], &[n.saturating_sub(2)], &batch, &batch)
        })
    }

    /// The sum over the last axis of this tensor and the first of the other: the inner product of
    /// vectors, the matrix product, and so on. What remains: this tensor's other axes, then the
    /// other's.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (x, y) = (Tensor::from([1, 2, 3]), Tensor::from([4, 5, 6]));
    /// assert_eq!(x.dot(&y).item::<i32>()?, 32);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` of a scalar; `Incompatible` if those axes have different sizes;
    /// `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn dot(&self, other: &Tensor) -> Tensor {
        operation("dot", || match (self.rank(), other.rank()) {
            (0, _) | (_, 0) => self.matmul(other),
            (m, _) => self.contract("dot", other, &[m - 1], &[0], &[], &[]),
        })
    }

    /// The product of all pairs of elements: axes of this tensor, then those of the other.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (x, y) = (Tensor::from([1, 2]), Tensor::from([1, 10]));
    /// assert_eq!(x.outer(&y).to_vec::<i32>()?, [1, 10, 2, 20]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        operation("outer", || self.contract("outer", other, &[], &[], &[], &[]))
    }

    /// Sums over pairs of axes: axis `axes[i]` of this tensor with axis `other_axes[i]` of the other.
    /// What remains: this tensor's other axes, then the other's.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.tensordot(&x, [0, 1], [0, 1]).item::<i32>()?, 30);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `InvalidArgument` unless there are as many of one as of the other; `Incompatible`
    /// if a pair has different sizes; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn tensordot(
        &self,
        other: &Tensor,
        axes: impl AxisList,
        other_axes: impl AxisList,
    ) -> Tensor {
        operation("tensordot", || {
            let left = normalize_axes(&axes.axes(), self.rank());
            match (left, normalize_axes(&other_axes.axes(), other.rank())) {
                (Ok(left), Ok(right)) => self.contract("tensordot", other, &left, &right, &[], &[]),
                (Err(kind), _) | (_, Err(kind)) => {
                    Tensor::fail("tensordot", kind, Place::here(), self)
                }
            }
        })
    }

    /// The general contraction, with batch axes; see [`DotDims`] for the order of the result's axes.
    /// Axes count from the start.
    ///
    /// ```
    /// # use unloop_graph::{DotDims, Tensor};
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let one = || [1].into_iter().collect();
    /// let zero = || [0].into_iter().collect();
    /// let dims = DotDims { lhs_batch: zero(), rhs_batch: zero(), lhs_contract: one(), rhs_contract: one() };
    /// assert_eq!(x.dot_general(&x, dims).to_vec::<i32>()?, [5, 25]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `InvalidArgument` for axes without a partner; `Incompatible` if a pair has
    /// different sizes; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn dot_general(&self, other: &Tensor, dims: DotDims) -> Tensor {
        operation("dot_general", || Tensor::apply1(Op::Dot(dims), &[self, other]))
    }

    #[track_caller]
    fn contract(
        &self,
        op: &'static str,
        other: &Tensor,
        lhs: &[usize],
        rhs: &[usize],
        lhs_batch: &[usize],
        rhs_batch: &[usize],
    ) -> Tensor {
        let place = Place::here();
        let dims = DotDims {
            lhs_contract: lhs.into(),
            rhs_contract: rhs.into(),
            lhs_batch: lhs_batch.into(),
            rhs_batch: rhs_batch.into(),
        };
        let result = Tensor::apply(Op::Dot(dims), &[self, other], place).swap_remove(0);
        match (result.as_error(), self.as_error().or(other.as_error())) {
            // The error names what the user called.
            (Some(e), None) if e.op() == "dot" && op != "dot" => {
                Tensor::fail(op, e.kind().clone(), place, self)
            }
            _ => result,
        }
    }

    #[track_caller]
    fn contract_error(&self, op: &'static str, other: &Tensor, why: &str) -> Tensor {
        if other.as_error().is_some() {
            return other.clone();
        }
        let kind = ErrorKind::Incompatible {
            left: self.shape().into(),
            right: other.shape().into(),
            why: why.into(),
        };
        Tensor::fail(op, kind, Place::here(), self)
    }
}

/// # Linear systems and factorisations
/// Of floats. Matrices are the trailing two axes; what is before them is a stack.
impl Tensor {
    /// The two trailing axes exchanged: the transposed matrices of a stack. Of any dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[[1, 2], [3, 4]]]);
    /// assert_eq!(x.mt().to_vec::<i32>()?, [1, 3, 2, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes.
    #[track_caller]
    pub fn mt(&self) -> Tensor {
        operation("mt", || self.swap_axes(-2, -1))
    }

    /// The solution of `self · x = b` for a square matrix `[n, n]` and a vector `[n]` or a matrix `[n,
    /// k]` of columns; or, with equal leading axes, for a stack of them. The result has the shape and
    /// dtype of `b`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
    /// assert_eq!(a.solve(&Tensor::from([2.0, 2.0])).to_vec::<f64>()?, [1.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `Singular` when a single matrix is exactly singular; `WrongRank` unless the trailing
    /// axes are a square matrix; `Incompatible` unless `b` has as many rows, and the same leading axes;
    /// `DTypeMismatch` if the dtypes differ; `UnsupportedDType` unless the dtype is f32 or f64. In a
    /// stack (also one made by `vmap`) a singular member fills its own solution with NaN and disturbs
    /// no other.
    #[track_caller]
    pub fn solve(&self, b: &Tensor) -> Tensor {
        operation("solve", || self.on_columns(b, Op::Solve { transpose: false }))
    }

    /// The solution of `self · x = b`, where only the lower triangle of `self` counts; shapes as of
    /// [`Tensor::solve`]. A zero on the diagonal gives infinities or NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let l = Tensor::from([[2.0, 0.0], [1.0, 1.0]]);
    /// assert_eq!(l.solve_lower(&Tensor::from([2.0, 3.0])).to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `Incompatible` unless `b` has
    /// as many rows, and the same leading axes; `DTypeMismatch` if the dtypes differ;
    /// `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn solve_lower(&self, b: &Tensor) -> Tensor {
        operation("solve_lower", || {
            let how = TriangularSolve { lower: true, transpose: false, unit_diagonal: false };
            self.triangular_solve(b, how)
        })
    }

    /// The solution of `self · x = b`, where only the upper triangle of `self` counts; shapes as of
    /// [`Tensor::solve`]. A zero on the diagonal gives infinities or NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let u = Tensor::from([[1.0, 1.0], [0.0, 2.0]]);
    /// assert_eq!(u.solve_upper(&Tensor::from([3.0, 4.0])).to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `Incompatible` unless `b` has
    /// as many rows, and the same leading axes; `DTypeMismatch` if the dtypes differ;
    /// `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn solve_upper(&self, b: &Tensor) -> Tensor {
        operation("solve_upper", || {
            let how = TriangularSolve { lower: false, transpose: false, unit_diagonal: false };
            self.triangular_solve(b, how)
        })
    }

    /// The solution of a triangular system, in the form that `how` says; shapes as of
    /// [`Tensor::solve`].
    ///
    /// ```
    /// # use unloop_graph::{Tensor, op::TriangularSolve};
    /// let l = Tensor::from([[2.0, 0.0], [1.0, 1.0]]);
    /// let how = TriangularSolve { lower: true, transpose: true, unit_diagonal: false };
    /// assert_eq!(l.triangular_solve(&Tensor::from([4.0, 2.0]), how).to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `Incompatible` unless `b` has
    /// as many rows, and the same leading axes; `DTypeMismatch` if the dtypes differ;
    /// `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn triangular_solve(&self, b: &Tensor, how: TriangularSolve) -> Tensor {
        operation("triangular_solve", || self.on_columns(b, Op::TriangularSolve(how)))
    }

    /// Applies an operation whose right-hand side is a matrix; a vector becomes one column.
    #[track_caller]
    fn on_columns(&self, b: &Tensor, op: Op) -> Tensor {
        if b.rank() + 1 != self.rank() {
            return Tensor::apply1(op, &[self, b]);
        }
        let place = Place::here();
        place.scope(|| {
            let x = Tensor::apply1(op, &[self, &b.expand_dims(-1)]);
            match x.as_error() {
                Some(_) => x,
                None => x.squeeze(-1),
            }
        })
    }

    /// The inverse of a square matrix, or of each of a stack. Prefer [`Tensor::solve`]: it is faster
    /// and more accurate than multiplying with an inverse.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
    /// assert_eq!(a.inv().to_vec::<f64>()?, [0.5, 0.0, 0.0, 0.25]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `Singular` when a single matrix is exactly singular, of which a stack has NaN;
    /// `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType` unless the dtype is
    /// f32 or f64.
    #[track_caller]
    pub fn inv(&self) -> Tensor {
        operation("inv", || {
            let rank = self.rank();
            if rank < 2 || self.as_error().is_some() {
                return Tensor::apply1(Op::Solve { transpose: false }, &[self, self]);
            }
            let identity = Tensor::eye(self.dtype(), self.shape()[rank - 1]);
            let stack = self.shape()[..rank - 2].iter().chain(identity.shape()).copied();
            self.solve(&identity.broadcast_to(stack.collect::<Shape>()))
        })
    }

    /// The lower triangular factor `l` with `l · lᵀ = (a + aᵀ)/2`, for a symmetric positive definite
    /// matrix or a stack of them; shape and dtype stay. A matrix that is not positive definite, or has
    /// NaN, gives NaN: in every element of its own factor, and in no other of a stack.
    /// [`Tensor::try_cholesky`] makes that an error, [`Tensor::is_positive_definite`] tells which
    /// members of a stack have a factor.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let l = Tensor::from([[4.0, 2.0], [2.0, 5.0]]).cholesky();
    /// assert_eq!(l.to_vec::<f64>()?, [2.0, 0.0, 1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType` unless the
    /// dtype is f32 or f64.
    #[track_caller]
    pub fn cholesky(&self) -> Tensor {
        operation("cholesky", || self.symmetric_cholesky(false))
    }

    /// [`Tensor::cholesky`] with an error for a matrix that has no factor, as [`Tensor::solve`] has for
    /// a singular one.
    ///
    /// ```
    /// # use unloop_graph::{ErrorKind, Tensor};
    /// let covariance = Tensor::from([[1.0, 2.0], [2.0, 1.0]]);
    /// let error = covariance.try_cholesky().check().cloned().unwrap_err();
    /// assert_eq!(*error.kind(), ErrorKind::NotPositiveDefinite);
    /// // More on the diagonal helps.
    /// let jitter = 1.5 * Tensor::eye(covariance.dtype(), 2);
    /// assert!((covariance + jitter).try_cholesky().check().is_ok());
    /// ```
    ///
    /// # Errors
    /// Carried, also out of `jit`: [`ErrorKind::NotPositiveDefinite`] when a single matrix is not
    /// positive definite or has NaN; `WrongRank` unless the trailing axes are a square matrix;
    /// `UnsupportedDType` unless the dtype is f32 or f64. In a stack (also one made by `vmap`) such a
    /// member fills its own factor with NaN and disturbs no other; [`Tensor::is_positive_definite`]
    /// tells which.
    #[track_caller]
    pub fn try_cholesky(&self) -> Tensor {
        operation("try_cholesky", || self.symmetric_cholesky(true))
    }

    /// Whether a matrix has a Cholesky factor, in floating point: a scalar of dtype bool, or one for
    /// each matrix of a stack. Beside [`Tensor::cholesky`] in a compiled function, the factor is
    /// computed once.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let stack = Tensor::from([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]]]);
    /// assert_eq!(stack.is_positive_definite().to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType` unless the
    /// dtype is f32 or f64.
    #[track_caller]
    pub fn is_positive_definite(&self) -> Tensor {
        operation("is_positive_definite", || {
            let factor = self.symmetric_cholesky(false);
            match factor.as_error() {
                Some(_) => factor,
                None => factor.is_nan().any_axis(vec![-2, -1]).logical_not(),
            }
        })
    }

    #[track_caller]
    fn symmetric_cholesky(&self, checked: bool) -> Tensor {
        let op = Op::Cholesky { checked };
        match *self.shape() {
            [.., m, n] if m == n && self.dtype().is_float() => {
                Tensor::apply1(op, &[&((self + self.mt()) * 0.5)])
            }
            _ => Tensor::apply1(op, &[self]),
        }
    }

    /// The LU factorisation with partial pivoting of a matrix `[m, n]`, or of each of a stack: the
    /// packed factors `[…,m,n]` (unit lower and upper), the row exchanged at each step (i32, `[…,min(m,
    /// n)]`), and the permutation (i32, `[…,m]`) of the rows, for which `a[permutation] = l · u`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (lu, pivots, permutation) = Tensor::from([[0.0, 1.0], [2.0, 4.0]]).lu();
    /// assert_eq!(lu.to_vec::<f64>()?, [2.0, 4.0, 0.0, 1.0]);
    /// assert_eq!(pivots.to_vec::<i32>()?, [1, 1]);
    /// assert_eq!(permutation.to_vec::<i32>()?, [1, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all three: `WrongRank` of fewer than two axes; `UnsupportedDType` unless the dtype is
    /// f32 or f64.
    #[track_caller]
    pub fn lu(&self) -> (Tensor, Tensor, Tensor) {
        operation("lu", || {
            let mut results = Tensor::apply(Op::Lu, &[self], Place::here());
            let permutation = results.swap_remove(2);
            let pivots = results.swap_remove(1);
            (results.swap_remove(0), pivots, permutation)
        })
    }
}
