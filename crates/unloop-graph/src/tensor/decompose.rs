//! Orthogonal decompositions, and what is made of them.

use crate::error::{Place, operation};
use crate::{Op, Tensor};

/// # Orthogonal decompositions
/// Of floats. Matrices are the trailing two axes; what is before them is a stack.
impl Tensor {
    /// `(q, r)` with `a = q · r`, orthonormal columns of `q` and `r` upper triangular, of a matrix or
    /// each of a stack: shapes `[…,m,k]` and `[…,k,n]`, `k = min(m, n)`. Signs are the backend's
    /// choice.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[0.0, 2.0], [1.0, 0.0]]);
    /// let (q, r) = a.qr();
    /// assert!(q.matmul(&r).is_close(&a, 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `WrongRank` of fewer than two axes; `UnsupportedDType` unless the dtype is f32
    /// or f64.
    #[track_caller]
    pub fn qr(&self) -> (Tensor, Tensor) {
        operation("qr", || {
            let mut results = Tensor::apply(Op::Qr { full: false }, &[self], Place::here());
            let r = results.swap_remove(1);
            (results.swap_remove(0), r)
        })
    }

    /// `(u, s, vt)` with `a = u · diag(s) · vt`, of a matrix or each of a stack: shapes `[…,m,k]`,
    /// `[…,k]` and `[…,k,n]`, `k = min(m, n)`, singular values from the largest. Signs are the
    /// backend's choice.
    ///
    /// Vectors of a repeated singular value (and, of a matrix that is not square, those of the value 0)
    /// have no derivative: it is NaN, and so is that of `u · diag(s) · vt`. The values have one.
    /// Functions of the whole matrix have derivatives there when they are written as such: `polar`,
    /// `pinv` and `symmetric_function` in `unloop::linalg`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
    /// assert_eq!(a.svd().1.to_vec::<f64>()?, [4.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all three: `WrongRank` of fewer than two axes; `UnsupportedDType` unless the dtype is
    /// f32 or f64.
    #[track_caller]
    pub fn svd(&self) -> (Tensor, Tensor, Tensor) {
        operation("svd", || {
            let op = Op::Svd { full: false, vectors: true };
            let mut results = Tensor::apply(op, &[self], Place::here());
            let vt = results.swap_remove(2);
            let u = results.swap_remove(1);
            (u, results.swap_remove(0), vt)
        })
    }

    /// The singular values of a matrix `[m, n]`, or of each of a stack, from the largest: `[…,min(m,
    /// n)]`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
    /// assert_eq!(a.singular_values().to_vec::<f64>()?, [4.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` of fewer than two axes; `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn singular_values(&self) -> Tensor {
        operation("singular_values", || {
            Tensor::apply1(Op::Svd { full: false, vectors: false }, &[self])
        })
    }

    /// `(w, v)`: the eigenvalues of a symmetric matrix, or of each of a stack, from the least, of shape
    /// `[…,n]`, and its orthonormal eigenvectors in columns, `[…,n,n]`. The lower triangle is read.
    ///
    /// Eigenvectors of a repeated eigenvalue have no derivative: it is NaN, and so is that of `v ·
    /// diag(f(w)) · vᵀ`, which is `symmetric_function` in `unloop::linalg`, with derivatives
    /// everywhere. The eigenvalues have one.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (w, _) = Tensor::from([[5.0, 0.0], [0.0, 2.0]]).eigh();
    /// assert_eq!(w.to_vec::<f64>()?, [2.0, 5.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType`
    /// unless the dtype is f32 or f64.
    #[track_caller]
    pub fn eigh(&self) -> (Tensor, Tensor) {
        operation("eigh", || {
            let mut results = Tensor::apply(Op::Eigh, &[self], Place::here());
            let v = results.swap_remove(1);
            (results.swap_remove(0), v)
        })
    }
}
