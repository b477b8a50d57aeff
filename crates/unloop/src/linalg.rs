//! Linear algebra beyond the methods of [`Tensor`]: pseudo-inverses, least squares, norms, functions of
//! matrices. Every function takes one matrix; `vmap` runs it on stacks.

use unloop_graph::{DType, Error, ErrorKind, Place, Shape, Tensor, operation};

mod exponential;
mod matrices;
mod spectral;

pub use exponential::expm;
pub use matrices::*;
pub use spectral::*;

#[track_caller]
pub(crate) fn invalid(op: &'static str, message: String) -> Tensor {
    Tensor::error(Error::new(op, ErrorKind::InvalidArgument(message), Place::here()))
}

fn number(like: &Tensor, value: f64) -> Tensor {
    Tensor::full((), value).cast(like.dtype())
}

pub(crate) fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F32 { f32::EPSILON.into() } else { f64::EPSILON }
}

/// The rows and columns of a matrix.
fn extents(op: &'static str, a: &Tensor) -> Result<(usize, usize), Tensor> {
    match *a.shape() {
        _ if a.as_error().is_some() => Err(a.clone()),
        [m, n] => Ok((m, n)),
        _ => Err(invalid(op, format!("takes a matrix, got {}; vmap lifts it over stacks", a.ty()))),
    }
}

/// The size of a square matrix.
fn square(op: &'static str, a: &Tensor) -> Result<usize, Tensor> {
    match extents(op, a)? {
        (m, n) if m == n => Ok(n),
        _ => Err(invalid(op, format!("takes a square matrix, got {}", a.ty()))),
    }
}

/// Which norm of a matrix or vector.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Norm {
    /// `√Σ|x|²`: the Euclidean norm of vectors, Frobenius' of matrices.
    Euclidean,
    /// `(Σ|x|ᵖ)^(1/p)` of vectors; of matrices 1 and -1 (largest and smallest sum of a column), 2 and
    /// -2 (largest and smallest singular value).
    P(f64),
    /// The largest magnitude of vectors; of matrices the largest sum of a row.
    Infinity,
    /// The smallest magnitude of vectors; of matrices the smallest sum of a row.
    MinusInfinity,
    /// The number of elements of a vector that are not zero.
    Zero,
    /// The sum of the singular values of a matrix.
    Nuclear,
}

/// The largest of numbers that are not negative; of none 0.
fn largest(x: &Tensor) -> Tensor {
    if x.size() == 0 { number(x, 0.0) } else { x.max() }
}

/// The least number.
fn least(op: &'static str, x: &Tensor) -> Tensor {
    match x.size() {
        0 => invalid(op, "there is no least of no numbers".into()),
        _ => x.min(),
    }
}

/// A norm of a vector or of a matrix, a scalar of its dtype; without elements 0.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector or matrix, for a norm that it does not
/// have, and for the least of no numbers; `UnsupportedDType` for a dtype that is no float, where the norm
/// needs one.
///
/// ```
/// use unloop::linalg::{Norm, norm};
/// use unloop::Tensor;
/// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
/// assert_eq!(norm(&a, Norm::Euclidean).item::<f64>()?, 5.0);
/// assert_eq!(norm(&a, Norm::P(2.0)).item::<f64>()?, 4.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn norm(x: &Tensor, which: Norm) -> Tensor {
    operation("norm", || match (x.rank(), which) {
        _ if x.as_error().is_some() => x.clone(),
        (1 | 2, Norm::Euclidean) => x.norm(),
        (1, Norm::Infinity) => largest(&x.abs()),
        (1, Norm::MinusInfinity) => least("norm", &x.abs()),
        (1, Norm::Zero) => x.not_equal(&x.zeros_like()).cast(x.dtype()).sum(),
        (1, Norm::P(1.0)) => x.abs().sum(),
        (1, Norm::P(2.0)) => x.norm(),
        (1, Norm::P(p)) => {
            let powers = x.abs().pow(&number(x, p).broadcast_to(x.shape()));
            powers.sum().pow(&number(x, p.recip()))
        }
        (2, Norm::P(1.0)) => largest(&x.abs().sum_axis(0)),
        (2, Norm::P(-1.0)) => least("norm", &x.abs().sum_axis(0)),
        (2, Norm::P(2.0)) => largest(&x.singular_values()),
        (2, Norm::P(-2.0)) => least("norm", &x.singular_values()),
        (2, Norm::Infinity) => largest(&x.abs().sum_axis(1)),
        (2, Norm::MinusInfinity) => least("norm", &x.abs().sum_axis(1)),
        (2, Norm::Nuclear) => x.singular_values().sum(),
        _ => invalid("norm", format!("there is no norm {which:?} of {}", x.ty())),
    })
}

/// The condition number: the norm of a matrix times that of its inverse, a scalar; for the norm 2 the
/// largest singular value by the smallest, of any matrix.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a matrix without elements; `WrongRank` for what is no matrix;
/// but for the norm 2, those of [`norm`], `WrongRank` for a matrix that is not square, and `Singular`;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::linalg::{Norm, cond};
/// use unloop::Tensor;
/// let a = Tensor::from([[4.0, 0.0], [0.0, 0.5]]);
/// assert_eq!(cond(&a, Norm::P(2.0)).item::<f64>()?, 8.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn cond(a: &Tensor, which: Norm) -> Tensor {
    operation("cond", || match which {
        _ if a.as_error().is_none() && a.size() == 0 => {
            invalid("cond", format!("takes a matrix with elements, got {}", a.ty()))
        }
        Norm::P(2.0) => {
            let s = a.singular_values();
            s.max() / s.min()
        }
        _ => norm(a, which) * norm(&a.inv(), which),
    })
}

/// The rank of a matrix `[m, n]`: the number of singular values above `max(m, n)·ε` times the largest, an i64
/// scalar, with the machine epsilon `ε` of its dtype.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no matrix; `UnsupportedDType` for a dtype that is
/// no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
/// assert_eq!(linalg::matrix_rank(&a).item::<i64>()?, 1);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn matrix_rank(a: &Tensor) -> Tensor {
    operation("matrix_rank", || {
        let (m, n) = match extents("matrix_rank", a) {
            Ok(extents) => extents,
            Err(error) => return error,
        };
        let s = a.singular_values();
        let least = largest(&s) * (m.max(n) as f64 * epsilon(a.dtype()));
        s.greater(&least).cast(DType::I64).sum()
    })
}

/// The least-squares solution of `a·x = b`: `x` with the least `‖a·x - b‖`, and of smallest norm where there
/// are several. `a` is `[m, n]`; `b` is `[m]` or `[m, k]`, and `x` then `[n]` or `[n, k]`. By [`pinv`], which
/// says what counts as rank and which derivatives there are.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `a` that is no matrix; `Incompatible` for a `b` of
/// another number of rows; `UnsupportedDType` for a dtype that is no float; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// // The line through three points, which lie on it.
/// let a = Tensor::from([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]);
/// let x = linalg::lstsq(&a, &Tensor::from([1.0, 3.0, 5.0]));
/// assert!((x - Tensor::from([2.0, 1.0])).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn lstsq(a: &Tensor, b: &Tensor) -> Tensor {
    operation("lstsq", || match extents("lstsq", a) {
        Err(error) => error,
        Ok(_) => pinv(a).matmul(b),
    })
}

/// The power `aⁿ` of a square matrix, by repeated squaring; of negative `n` that of its inverse, of 0 the
/// identity.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no square matrix; of negative `n` `Singular`, and
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 1.0], [1.0, 0.0]]); // Fibonacci's numbers
/// assert_eq!(linalg::matrix_power(&a, 5).to_vec::<f64>()?, [8.0, 5.0, 5.0, 3.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn matrix_power(a: &Tensor, n: i32) -> Tensor {
    operation("matrix_power", || {
        let size = match square("matrix_power", a) {
            Ok(size) => size,
            Err(error) => return error,
        };
        let mut base = if n < 0 { a.inv() } else { a.clone() };
        let mut left = n.unsigned_abs();
        let mut result: Option<Tensor> = None;
        while left > 0 {
            if left % 2 == 1 {
                result = Some(result.map_or(base.clone(), |r| r.matmul(&base)));
            }
            left /= 2;
            if left > 0 {
                base = base.matmul(&base);
            }
        }
        result.unwrap_or_else(|| Tensor::eye(a.dtype(), size))
    })
}

/// The product of a chain of matrices, in the order that costs least: `[m, n]`, `[n, k]`, …, `[l, p]` give
/// `[m, p]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for no matrices or more than 51, for what is no matrix, and for
/// sizes that do not fit; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let (a, b) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[3.0], [4.0]]));
/// assert_eq!(linalg::multi_dot(&[&a, &b, &a]).to_vec::<f64>()?, [11.0, 22.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn multi_dot(matrices: &[&Tensor]) -> Tensor {
    operation("multi_dot", || {
        let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
        if matrices.len() >= letters.len() {
            return invalid("multi_dot", format!("{} matrices", matrices.len()));
        }
        let pairs: Vec<String> =
            (0..matrices.len()).map(|i| letters[i..i + 2].iter().collect()).collect();
        let last = letters[matrices.len()];
        let result = format!("{}->{}{last}", pairs.join(","), letters[0]);
        Tensor::einsum(&result, matrices)
    })
}

/// The solution of `a·x = b` from the lower Cholesky factor `[n, n]` of `a`, which [`Tensor::cholesky`]
/// gives. `b` is `[n]` or `[n, k]`, and `x` has its shape.
///
/// # Errors
/// Carried by the result: `WrongRank` for a factor that is no square matrix; `Incompatible` for a `b` of
/// another size; `UnsupportedDType` for a dtype that is no float; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[4.0, 0.0], [0.0, 16.0]]);
/// let x = linalg::cho_solve(&a.cholesky(), &Tensor::from([4.0, 8.0]));
/// assert_eq!(x.to_vec::<f64>()?, [1.0, 0.5]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn cho_solve(factor: &Tensor, b: &Tensor) -> Tensor {
    operation("cho_solve", || factor.t().solve_upper(&factor.solve_lower(b)))
}

/// The eigenvalues of a symmetric matrix `[n, n]`, `[n]` from the least. The lower triangle is read, as in
/// [`Tensor::eigh`].
///
/// # Errors
/// Carried by the result: `WrongRank` for what is no square matrix; `UnsupportedDType` for a dtype that is
/// no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let w = linalg::eigvalsh(&Tensor::from([[2.0, 1.0], [1.0, 2.0]]));
/// assert!((w - Tensor::from([1.0, 3.0])).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn eigvalsh(a: &Tensor) -> Tensor {
    operation("eigvalsh", || a.eigh().0)
}

/// The vector product of vectors of three elements, `[3]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for other shapes; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let (x, y) = (Tensor::from([1.0, 0.0, 0.0]), Tensor::from([0.0, 1.0, 0.0]));
/// assert_eq!(linalg::cross(&x, &y).to_vec::<f64>()?, [0.0, 0.0, 1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn cross(x: &Tensor, y: &Tensor) -> Tensor {
    operation("cross", || {
        if x.shape() != [3] || y.shape() != [3] {
            let message = format!("takes vectors of 3 elements, got {} and {}", x.ty(), y.ty());
            return invalid("cross", message);
        }
        let (next, last) = (|x: &Tensor| x.roll(-1, 0), |x: &Tensor| x.roll(1, 0));
        next(x) * last(y) - last(x) * next(y)
    })
}

/// The solution `x` of a system between tensors, `Σ a[i…, j…]·x[j…] = b[i…]`: the first axes of `a` are those
/// of `b`, the others, with as many elements, those of `x`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` if the first axes of `a` are not those of `b`, `WrongRank`
/// if the others are not as many elements; `Singular`; `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{DType, Tensor, linalg};
/// let a = Tensor::eye(DType::F64, 6).reshape([2, 3, 6]) * 2.0;
/// let x = linalg::tensorsolve(&a, &Tensor::ones(DType::F64, [2, 3]));
/// assert_eq!(x.to_vec::<f64>()?, [0.5; 6]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn tensorsolve(a: &Tensor, b: &Tensor) -> Tensor {
    operation("tensorsolve", || {
        if let Some(error) = [a, b].into_iter().find(|x| x.as_error().is_some()) {
            return error.clone();
        }
        match a.shape().split_at_checked(b.rank()) {
            Some((first, rest)) if *first == *b.shape() => {
                let n = Shape::from(rest).size();
                a.reshape([b.size(), n]).solve(&b.flatten()).reshape(rest)
            }
            _ => {
                let message = format!("the first axes of {} are not those of {}", a.ty(), b.ty());
                invalid("tensorsolve", message)
            }
        }
    })
}

/// The inverse of a tensor as a map from its axes after the first `split` to those before: with axes
/// `[i…, j…]` of `a`, the result has `[j…, i…]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for fewer axes than `split`; `WrongRank` for not as many
/// elements after it as before; `Singular`; `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{DType, Tensor, linalg};
/// let a = Tensor::eye(DType::F64, 6).reshape([2, 3, 6]) * 2.0;
/// assert_eq!(linalg::tensorinv(&a, 2).shape(), [6, 2, 3]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn tensorinv(a: &Tensor, split: usize) -> Tensor {
    operation("tensorinv", || {
        let Some((left, right)) = a.shape().split_at_checked(split) else {
            return match a.as_error() {
                Some(_) => a.clone(),
                None => invalid("tensorinv", format!("{split} axes of {}", a.ty())),
            };
        };
        let (m, n) = (Shape::from(left).size(), Shape::from(right).size());
        let shape: Vec<usize> = right.iter().chain(left).copied().collect();
        a.reshape([m, n]).inv().reshape(&shape[..])
    })
}
