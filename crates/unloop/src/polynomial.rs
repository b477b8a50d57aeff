//! Polynomials as vectors of coefficients, the highest power first, as NumPy's `poly1d` functions;
//! [`Tensor::polynomial`] evaluates one. `[1.0, 2.0, 4.0]` is `x² + 2x + 4`; coefficients are vectors `[n]`
//! of one dtype.

use unloop_graph::{Place, Tensor, floats, operation};

use crate::linalg::{invalid, lstsq};

fn longer(x: &Tensor, n: usize) -> Tensor {
    let zeros = Tensor::zeros(x.dtype(), [n.saturating_sub(x.size())]);
    Tensor::concatenate(&[&zeros, x], 0)
}

/// The sum of two polynomials, `[max(m, n)]` of `[m]` and `[n]`.
///
/// # Errors
/// Carried by the result: `DTypeMismatch` for two dtypes; `Incompatible` for coefficients that are no
/// vector.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let sum = polynomial::add(&Tensor::from([1.0, 2.0, 3.0]), &Tensor::from([5.0, 7.0]));
/// assert_eq!(sum.to_vec::<f64>()?, [1.0, 7.0, 10.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn add(p: &Tensor, q: &Tensor) -> Tensor {
    let place = Place::of("add");
    let n = p.size().max(q.size());
    place.scope(|| longer(p, n) + longer(q, n))
}

/// The difference of two polynomials, `[max(m, n)]` of `[m]` and `[n]`.
///
/// # Errors
/// Carried by the result: those of [`add`].
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let difference = polynomial::sub(&Tensor::from([1.0, 2.0, 3.0]), &Tensor::from([5.0, 7.0]));
/// assert_eq!(difference.to_vec::<f64>()?, [1.0, -3.0, -4.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn sub(p: &Tensor, q: &Tensor) -> Tensor {
    operation("sub", || add(p, &-q))
}

/// The product of two polynomials, `[m + n - 1]` of `[m]` and `[n]`; without coefficients, `[0]`, stands for
/// zero.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for coefficients that are no vector; `DTypeMismatch` for two
/// dtypes.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let square = polynomial::mul(&Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 2.0]));
/// assert_eq!(square.to_vec::<f64>()?, [1.0, 4.0, 4.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn mul(p: &Tensor, q: &Tensor) -> Tensor {
    let is_zero = |x: &Tensor| x.shape() == [0];
    operation("mul", || match is_zero(p) || is_zero(q) {
        // No coefficients are those of zero.
        true => Tensor::zeros(p.dtype(), [1]),
        false => p.convolve(q),
    })
}

/// The quotient `[m - n + 1]` and the remainder `[n - 1]` of polynomials `p`, `[m]`, and `q`, `[n]`, by long
/// division: `p = q·quotient + remainder`. The divisor's first coefficient is not zero. Of a `p` shorter
/// than `q` the quotient is `[0]`, and the remainder `p`.
///
/// # Errors
/// Carried by both results: `InvalidArgument` for polynomials without coefficients; `ShapeMismatch` for
/// coefficients that are no vector; `DTypeMismatch` for two dtypes.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// // x² + 3x + 5 = (x + 1)(x + 2) + 3.
/// let (quotient, rest) = polynomial::div(&Tensor::from([1.0, 3.0, 5.0]), &Tensor::from([1.0, 1.0]));
/// assert_eq!(quotient.to_vec::<f64>()?, [1.0, 2.0]);
/// assert_eq!(rest.to_vec::<f64>()?, [3.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn div(p: &Tensor, q: &Tensor) -> (Tensor, Tensor) {
    operation("div", || {
        let (m, n) = (p.size(), q.size());
        if m == 0 || n == 0 {
            let error = invalid("div", "takes polynomials with coefficients".into());
            return (error.clone(), error);
        }
        if m < n {
            return (Tensor::zeros(p.dtype(), [1]), p.clone());
        }
        let lead = q.slice_axis(0, 0, 1);
        let (mut rest, mut quotient) = (p.clone(), Vec::new());
        for _ in 0..=m - n {
            let factor = rest.slice_axis(0, 0, 1) / &lead;
            let size = rest.size();
            let low = rest.slice_axis(0, 1, n) - q.slice_axis(0, 1, n) * factor.reshape(());
            rest = Tensor::concatenate(&[&low, &rest.slice_axis(0, n, size)], 0);
            quotient.push(factor);
        }
        (Tensor::concatenate(&quotient.iter().collect::<Vec<_>>(), 0), rest)
    })
}

/// The powers of the coefficients: `n-1, …, 1, 0`.
fn powers(p: &Tensor) -> Tensor {
    Tensor::iota(p.dtype(), [p.size()], 0).flip(&[0])
}

/// The derivative of a polynomial, `[n - 1]` of `[n]`; of a constant: no coefficients.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` for coefficients that are no vector.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let slope = polynomial::derivative(&Tensor::from([1.0, 2.0, 4.0]));
/// assert_eq!(slope.to_vec::<f64>()?, [2.0, 2.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn derivative(p: &Tensor) -> Tensor {
    operation("derivative", || (p * powers(p)).slice_axis(0, 0, p.size().saturating_sub(1)))
}

/// The integral of a polynomial that is zero at zero, `[n + 1]` of `[n]` in f32 or f64.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` for coefficients that are no vector; `UnsupportedDType` for ones
/// that are no floats.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let integral = polynomial::integral(&Tensor::from([3.0, 2.0, 4.0]));
/// assert_eq!(integral.to_vec::<f64>()?, [1.0, 1.0, 4.0, 0.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn integral(p: &Tensor) -> Tensor {
    operation("integral", || {
        floats(&[p], || {
            let zero = Tensor::zeros(p.dtype(), [1]);
            Tensor::concatenate(&[&(p / (powers(p) + 1.0)), &zero], 0)
        })
    })
}

/// The polynomial, with the leading coefficient 1, that has these roots: `[n + 1]` coefficients of `[n]`
/// roots.
///
/// # Errors
/// Carried by the result: `Incompatible` for a matrix of roots, `AxisOutOfRange` for a scalar.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let p = polynomial::from_roots(&Tensor::from([1.0, 2.0]));
/// assert_eq!(p.to_vec::<f64>()?, [1.0, -3.0, 2.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn from_roots(roots: &Tensor) -> Tensor {
    let place = Place::of("from_roots");
    let one = Tensor::ones(roots.dtype(), [1]);
    place.scope(|| {
        let factor = |root: &Tensor| Tensor::concatenate(&[&one, &-root.expand_dims(0)], 0);
        roots.unstack(0).iter().fold(one.clone(), |p, root| p.convolve(&factor(root)))
    })
}

/// The polynomial of a degree, `[degree + 1]` coefficients, nearest to the points `(x, y)`, vectors `[n]` in
/// f32 or f64: the least sum of squared distances in `y`. Fewer points than coefficients give the
/// polynomial of the smallest coefficients.
///
/// # Errors
/// Carried by the result: `InvalidArgument` without points; `Incompatible` for vectors of different sizes;
/// `WrongRank` for an `x` that is no vector;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let x = Tensor::from([0.0, 1.0, 2.0, 3.0]);
/// let line = polynomial::fit(&x, &(&x * 2.0 + 1.0), 1).to_vec::<f64>()?;
/// assert!((line[0] - 2.0).abs() < 1e-12 && (line[1] - 1.0).abs() < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fit(x: &Tensor, y: &Tensor, degree: usize) -> Tensor {
    operation("fit", || match x.size() == 0 && x.as_error().is_none() {
        true => invalid("fit", "takes one point or more".into()),
        false => lstsq(&x.vander(degree.saturating_add(1)), y),
    })
}
