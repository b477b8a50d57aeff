//! Orthogonal decompositions, and what is made of them.

use crate::error::{Place, operation};
use crate::{Op, Tensor};

impl Tensor {
    /// `(q, r)` with `a = q · r`, orthonormal columns of `q` and `r` upper triangular, of a matrix
    /// or each of a stack: shapes `[…,m,k]` and `[…,k,n]`, `k = min(m, n)`. Signs are the
    /// backend's choice.
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
    /// backend's choice; derivatives of the vectors need distinct singular values.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
    /// assert_eq!(a.svd().1.to_vec::<f64>()?, [4.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
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

    /// The singular values of a matrix, or of each of a stack, from the largest.
    #[track_caller]
    pub fn singular_values(&self) -> Tensor {
        operation("singular_values", || {
            Tensor::apply1(Op::Svd { full: false, vectors: false }, &[self])
        })
    }

    /// `(w, v)`: the eigenvalues of a symmetric matrix, or of each of a stack, from the least, and
    /// its orthonormal eigenvectors in columns. The lower triangle is read. Derivatives of the
    /// vectors need distinct eigenvalues.
    #[track_caller]
    pub fn eigh(&self) -> (Tensor, Tensor) {
        operation("eigh", || {
            let mut results = Tensor::apply(Op::Eigh, &[self], Place::here());
            let v = results.swap_remove(1);
            (results.swap_remove(0), v)
        })
    }
}
