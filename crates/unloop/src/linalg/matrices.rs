//! Matrices with a name, and solvers that take a factorisation.

use unloop_graph::{DType, Error, ErrorKind, Place, Shape, Tensor, operation};

use super::{invalid, square};
use crate::Complex;
use crate::op::TriangularSolve;

/// A matrix of f64 from its entry at each row and column.
#[track_caller]
fn matrix(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Tensor {
    Tensor::from_fn([rows, columns], |i| entry(i[0], i[1]))
}

/// A vector's size.
#[track_caller]
fn length(op: &'static str, x: &Tensor) -> Result<usize, Tensor> {
    match *x.shape() {
        _ if x.as_error().is_some() => Err(x.clone()),
        [n] => Ok(n),
        _ => Err(invalid(op, format!("takes a vector, got {}", x.ty()))),
    }
}

/// Hilbert's matrix `1/(i + j + 1)`, `[n, n]` in f64.
///
/// ```
/// use unloop::linalg;
/// let h = linalg::hilbert(2);
/// assert_eq!(h.to_vec::<f64>()?, [1.0, 0.5, 0.5, 1.0 / 3.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn hilbert(n: usize) -> Tensor {
    operation("hilbert", || matrix(n, n, |i, j| 1.0 / (i + j + 1) as f64))
}

/// Pascal's symmetric matrix of binomial coefficients `(i + j choose i)`, `[n, n]` in f64.
///
/// ```
/// assert_eq!(unloop::linalg::pascal(3).to_vec::<f64>()?, [1., 1., 1., 1., 2., 3., 1., 3., 6.]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn pascal(n: usize) -> Tensor {
    operation("pascal", || {
        let binomial = |i: usize, j: usize| (1..=i).fold(1.0, |c, k| c * (j + k) as f64 / k as f64);
        matrix(n, n, |i, j| binomial(i, j).round())
    })
}

/// Hadamard's matrix of ±1 with orthogonal rows, by Sylvester's construction: `[n, n]` in f64.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `n` that is no power of two.
///
/// ```
/// use unloop::linalg;
/// assert_eq!(linalg::hadamard(2).to_vec::<f64>()?, [1.0, 1.0, 1.0, -1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn hadamard(n: usize) -> Tensor {
    operation("hadamard", || {
        if !n.is_power_of_two() {
            return invalid("hadamard", format!("the size must be a power of two, got {n}"));
        }
        matrix(n, n, |i, j| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 })
    })
}

/// Helmert's orthogonal matrix, `[n, n]` in f64; the first row is constant, the others sum to 0.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let h = linalg::helmert(3);
/// let eye = Tensor::eye(unloop::DType::F64, 3);
/// assert!((h.matmul(&h.t()) - eye).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn helmert(n: usize) -> Tensor {
    operation("helmert", || {
        matrix(n, n, |i, j| {
            let below = |i: usize| 1.0 / ((i * (i + 1)) as f64).sqrt();
            match i {
                0 => 1.0 / (n as f64).sqrt(),
                _ if j < i => below(i),
                _ if j == i => -(i as f64) * below(i),
                _ => 0.0,
            }
        })
    })
}

/// The matrix of the discrete Fourier transform, `exp(-2πi·j·k/n)`: `[n, n]` with parts in f64.
///
/// ```
/// use unloop::linalg;
/// assert_eq!(linalg::dft(2).re.to_vec::<f64>()?, [1.0, 1.0, 1.0, -1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn dft(n: usize) -> Complex {
    operation("dft", || {
        let turn = |i: usize, j: usize| -std::f64::consts::TAU * ((i * j) % n) as f64 / n as f64;
        Complex::new(matrix(n, n, |i, j| turn(i, j).cos()), matrix(n, n, |i, j| turn(i, j).sin()))
    })
}

/// The matrix `[n, n]` whose columns are the vector `[n]`, each turned one further: `c[(i - j) mod n]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let c = linalg::circulant(&Tensor::from([1, 2, 3]));
/// assert_eq!(c.to_vec::<i32>()?, [1, 3, 2, 2, 1, 3, 3, 2, 1]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn circulant(column: &Tensor) -> Tensor {
    operation("circulant", || {
        if let Err(error) = length("circulant", column) {
            return error;
        }
        let back = column.flip(&[0]).roll(1, 0);
        Tensor::toeplitz(column, &back)
    })
}

/// The matrix `x[i + j]` of two vectors: `column` down the first column, then `row` along the last
/// row (whose first element is not used): `[m, n]` of `[m]` and `[n]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let h = linalg::hankel(&Tensor::from([1, 2]), &Tensor::from([2, 3, 4]));
/// assert_eq!(h.to_vec::<i32>()?, [1, 2, 3, 2, 3, 4]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn hankel(column: &Tensor, row: &Tensor) -> Tensor {
    operation("hankel", || {
        let (m, n) = match (length("hankel", column), length("hankel", row)) {
            (Ok(m), Ok(n)) => (m, n),
            (Err(error), _) | (_, Err(error)) => return error,
        };
        let all = Tensor::concatenate(&[column, &row.slice_axis(0, 1.min(n), n)], 0);
        let at = |axis| Tensor::iota(DType::I64, [m, n], axis);
        all.take(&(at(0) + at(1)), 0)
    })
}

/// The matrix that [`Tensor::convolve`]s a vector of `n` elements with `x`, `[m]`, when it multiplies it:
/// `[m + n - 1, n]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `x` that is no vector, or empty, and for an `n` of 0.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// let product = linalg::convolution_matrix(&x, 2).matmul(&y);
/// assert_eq!(product.to_vec::<f64>()?, x.convolve(&y).to_vec::<f64>()?);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn convolution_matrix(x: &Tensor, n: usize) -> Tensor {
    operation("convolution_matrix", || {
        match length("convolution_matrix", x) {
            Err(error) => return error,
            Ok(m) if m == 0 || n == 0 => {
                let message = format!("takes an element or more of both, got {m} and {n}");
                return invalid("convolution_matrix", message);
            }
            Ok(_) => {}
        }
        let zeros = Tensor::zeros(x.dtype(), [n.saturating_sub(1)]);
        let column = Tensor::concatenate(&[x, &zeros], 0);
        Tensor::toeplitz(&column, &Tensor::zeros(x.dtype(), [n]))
    })
}

/// The matrix whose eigenvalues are the roots of a polynomial, the highest power's coefficient first:
/// `[n - 1, n - 1]` of `[n]` coefficients.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector, and for fewer than two coefficients.
///
/// ```
/// use unloop::{Tensor, linalg};
/// // x² - 3x + 2.
/// let c = linalg::companion(&Tensor::from([1.0, -3.0, 2.0]));
/// assert_eq!(c.to_vec::<f64>()?, [3.0, -2.0, 1.0, 0.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn companion(coefficients: &Tensor) -> Tensor {
    operation("companion", || match length("companion", coefficients) {
        Err(error) => error,
        Ok(n) if n < 2 => invalid("companion", "takes two coefficients or more".into()),
        Ok(n) => {
            let first = coefficients.slice_axis(0, 0, 1).reshape(());
            let row = (-coefficients.slice_axis(0, 1, n) / &first).expand_dims(0);
            shifted(&row, &Tensor::ones(coefficients.dtype(), [n - 2]))
        }
    })
}

/// Leslie's matrix of a population: births `[n]` in the first row, survivals `[n - 1]` below the diagonal of
/// the result `[n, n]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector, and for other sizes; `DTypeMismatch` for
/// two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let l = linalg::leslie(&Tensor::from([0.0, 2.0]), &Tensor::from([0.5]));
/// assert_eq!(l.to_vec::<f64>()?, [0.0, 2.0, 0.5, 0.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn leslie(births: &Tensor, survivals: &Tensor) -> Tensor {
    operation("leslie", || match (length("leslie", births), length("leslie", survivals)) {
        (Ok(n), Ok(m)) if n == m + 1 => shifted(&births.expand_dims(0), survivals),
        (Err(error), _) | (_, Err(error)) => error,
        (Ok(n), Ok(m)) => invalid(
            "leslie",
            format!("takes one survival fewer than births, got {m} survivals and {n} births"),
        ),
    })
}

/// A square matrix with a first row, and entries below the diagonal.
#[track_caller]
fn shifted(row: &Tensor, below: &Tensor) -> Tensor {
    let zeros = Tensor::zeros(below.dtype(), [below.size(), 1]);
    let rest = Tensor::concatenate(&[&below.diag(0), &zeros], 1);
    Tensor::concatenate(&[row, &rest], 0)
}

/// Fiedler's matrix `|xᵢ - xⱼ|`, `[n, n]` of `[n]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no vector.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let f = linalg::fiedler(&Tensor::from([1.0, 4.0]));
/// assert_eq!(f.to_vec::<f64>()?, [0.0, 3.0, 3.0, 0.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fiedler(x: &Tensor) -> Tensor {
    operation("fiedler", || match length("fiedler", x) {
        Err(error) => error,
        Ok(_) => (x.expand_dims(1).broadcast() - x.expand_dims(0).broadcast()).abs(),
    })
}

/// Eigenvalues `[n]`, ascending, and eigenvectors in the columns `[n, n]`, of the symmetric matrix with a
/// diagonal `[n]` and the entries beside it `[n - 1]`. The full matrix is decomposed, as by
/// [`Tensor::eigh`].
///
/// # Errors
/// Carried by both results: `InvalidArgument` for what is no vector, and for other sizes;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let (w, _) = linalg::eigh_tridiagonal(&Tensor::from([2.0, 2.0]), &Tensor::from([1.0]));
/// assert!((w - Tensor::from([1.0, 3.0])).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn eigh_tridiagonal(diagonal: &Tensor, beside: &Tensor) -> (Tensor, Tensor) {
    let op = "eigh_tridiagonal";
    operation(op, || match (length(op, diagonal), length(op, beside)) {
        (Ok(n), Ok(m)) if n == m + 1 => {
            (diagonal.diag(0) + beside.diag(1) + beside.diag(-1)).eigh()
        }
        (Ok(n), Ok(m)) => {
            let message = format!("takes one entry fewer beside the diagonal of {n}, got {m}");
            let error = invalid(op, message);
            (error.clone(), error)
        }
        (Err(error), _) | (_, Err(error)) => (error.clone(), error),
    })
}

/// The solution of `a·x = b` from what [`Tensor::lu`] gives for `a`, `[n, n]`. `b` is `[n]` or `[n, k]`,
/// and `x` has its shape. A singular `a` gives infinities or NaN, not an error.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for factors that are no square matrix; `Incompatible` for a `b`
/// of another shape; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, linalg::lu_solve};
/// let a = Tensor::from([[0.0, 2.0], [4.0, 0.0]]);
/// let factors = a.lu();
/// assert_eq!(lu_solve(&factors, &Tensor::from([2.0, 4.0])).to_vec::<f64>()?, [1.0, 1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn lu_solve((packed, _, permutation): &(Tensor, Tensor, Tensor), b: &Tensor) -> Tensor {
    operation("lu_solve", || match square("lu_solve", packed) {
        Err(error) => error,
        Ok(n) if b.as_error().is_none() && !matches!(*b.shape(), [m] | [m, _] if m == n) => {
            let (left, right) = (Shape::from(packed.shape()), Shape::from(b.shape()));
            let why = "the right-hand side is a vector or columns of as many rows as the matrix";
            let kind = ErrorKind::Incompatible { left, right, why: why.into() };
            Tensor::error(Error::new("lu_solve", kind, Place::here()))
        }
        Ok(_) => {
            let unit = TriangularSolve { lower: true, transpose: false, unit_diagonal: true };
            let column = b.rank() == 1;
            let b = if column { b.expand_dims(1) } else { b.clone() };
            let x = packed.solve_upper(&packed.triangular_solve(&b.take(permutation, 0), unit));
            if column { x.squeeze(1) } else { x }
        }
    })
}
