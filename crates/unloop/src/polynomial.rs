//! Polynomials as vectors of coefficients, the highest power first, as NumPy's `poly1d` functions;
//! [`Tensor::polynomial`] evaluates one.

use unloop_graph::{Place, Tensor, operation};

use crate::linalg::lstsq;

fn longer(x: &Tensor, n: usize) -> Tensor {
    let zeros = Tensor::zeros(x.dtype(), [n.saturating_sub(x.size())]);
    Tensor::concatenate(&[&zeros, x], 0)
}

/// The sum of two polynomials.
#[track_caller]
pub fn add(p: &Tensor, q: &Tensor) -> Tensor {
    let place = Place::of("add");
    let n = p.size().max(q.size());
    place.scope(|| longer(p, n) + longer(q, n))
}

/// The difference of two polynomials.
#[track_caller]
pub fn sub(p: &Tensor, q: &Tensor) -> Tensor {
    operation("sub", || add(p, &-q))
}

/// The product of two polynomials.
///
/// ```
/// use unloop::{Tensor, polynomial};
/// let square = polynomial::mul(&Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 2.0]));
/// assert_eq!(square.to_vec::<f64>()?, [1.0, 4.0, 4.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn mul(p: &Tensor, q: &Tensor) -> Tensor {
    operation("mul", || p.convolve(q))
}

/// The quotient and the remainder of two polynomials, by long division. The divisor's first
/// coefficient is not zero.
#[track_caller]
pub fn div(p: &Tensor, q: &Tensor) -> (Tensor, Tensor) {
    operation("div", || {
        let (m, n) = (p.size(), q.size());
        if m < n || n == 0 {
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

/// The derivative of a polynomial; of a constant: no coefficients.
#[track_caller]
pub fn derivative(p: &Tensor) -> Tensor {
    operation("derivative", || (p * powers(p)).slice_axis(0, 0, p.size().saturating_sub(1)))
}

/// The integral of a polynomial that is zero at zero.
#[track_caller]
pub fn integral(p: &Tensor) -> Tensor {
    let place = Place::of("integral");
    let zero = Tensor::zeros(p.dtype(), [1]);
    place.scope(|| Tensor::concatenate(&[&(p / (powers(p) + 1.0)), &zero], 0))
}

/// The polynomial, with the leading coefficient 1, that has these roots.
#[track_caller]
pub fn from_roots(roots: &Tensor) -> Tensor {
    let place = Place::of("from_roots");
    let one = Tensor::ones(roots.dtype(), [1]);
    place.scope(|| {
        let factor = |root: &Tensor| Tensor::concatenate(&[&one, &-root.expand_dims(0)], 0);
        roots.unstack(0).iter().fold(one.clone(), |p, root| p.convolve(&factor(root)))
    })
}

/// The polynomial of a degree nearest to the points `(x, y)`: the least sum of squared distances.
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
    operation("fit", || lstsq(&x.vander(degree.saturating_add(1)), y))
}
