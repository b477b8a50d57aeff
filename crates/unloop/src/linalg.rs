//! Linear algebra beyond the methods of [`Tensor`]: pseudo-inverses, least squares, norms, functions of
//! matrices. Every function takes one matrix; `vmap` runs it on stacks.

use unloop_graph::{DType, Error, ErrorKind, Place, Shape, Tensor, operation};
use unloop_transform::{cond as choose, custom_jvp, fori_loop};

mod matrices;

pub use matrices::*;

#[track_caller]
fn invalid(op: &'static str, message: String) -> Tensor {
    Tensor::error(Error::new(op, ErrorKind::InvalidArgument(message), Place::here()))
}

fn number(like: &Tensor, value: f64) -> Tensor {
    Tensor::full((), value).cast(like.dtype())
}

fn epsilon(dtype: DType) -> f64 {
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

/// A norm of a vector or of a matrix.
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
        (1, Norm::Infinity) => x.abs().max(),
        (1, Norm::MinusInfinity) => x.abs().min(),
        (1, Norm::Zero) => x.not_equal(&x.zeros_like()).cast(x.dtype()).sum(),
        (1, Norm::P(1.0)) => x.abs().sum(),
        (1, Norm::P(2.0)) => x.norm(),
        (1, Norm::P(p)) => {
            let powers = x.abs().pow(&number(x, p).broadcast_to(x.shape()));
            powers.sum().pow(&number(x, p.recip()))
        }
        (2, Norm::P(1.0)) => x.abs().sum_axis(0).max(),
        (2, Norm::P(-1.0)) => x.abs().sum_axis(0).min(),
        (2, Norm::P(2.0)) => x.singular_values().max(),
        (2, Norm::P(-2.0)) => x.singular_values().min(),
        (2, Norm::Infinity) => x.abs().sum_axis(1).max(),
        (2, Norm::MinusInfinity) => x.abs().sum_axis(1).min(),
        (2, Norm::Nuclear) => x.singular_values().sum(),
        _ => invalid("norm", format!("there is no norm {which:?} of {}", x.ty())),
    })
}

/// The condition number: the norm of a matrix times that of its inverse.
#[track_caller]
pub fn cond(a: &Tensor, which: Norm) -> Tensor {
    operation("cond", || match which {
        Norm::P(2.0) => {
            let s = a.singular_values();
            s.max() / s.min()
        }
        _ => norm(a, which) * norm(&a.inv(), which),
    })
}

/// The number of singular values above `max(m, n)·ε` times the largest, as i64.
#[track_caller]
pub fn matrix_rank(a: &Tensor) -> Tensor {
    operation("matrix_rank", || {
        let (m, n) = match extents("matrix_rank", a) {
            Ok(extents) => extents,
            Err(error) => return error,
        };
        let s = a.singular_values();
        let least = s.max() * (m.max(n) as f64 * epsilon(a.dtype()));
        s.greater(&least).cast(DType::I64).sum()
    })
}

/// The Moore–Penrose inverse, where singular values below `10·max(m, n)·ε` times the largest count as
/// 0. Its derivative assumes that the rank does not change (Golub and Pereyra, 1973).
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]);
/// let p = linalg::pinv(&a);
/// assert_eq!(p.shape(), [2, 3]);
/// assert!((p.matmul(&a) - Tensor::eye(unloop::DType::F64, 2)).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn pinv(a: &Tensor) -> Tensor {
    operation("pinv", || {
        let (m, n) = match extents("pinv", a) {
            Ok(extents) => extents,
            Err(error) => return error,
        };
        let tolerance = 10.0 * m.max(n) as f64 * epsilon(a.dtype());
        let inverse = custom_jvp(
            move |a: &Tensor| pseudo_inverse(a, tolerance),
            move |a: &Tensor, da: &Tensor| {
                let p = pseudo_inverse(a, tolerance);
                let eye = |n| Tensor::eye(a.dtype(), n);
                let (pt, dt) = (p.t(), da.t());
                let first = -p.matmul(da).matmul(&p);
                let second = p.matmul(&pt).matmul(&dt).matmul(&(eye(m) - a.matmul(&p)));
                let third = (eye(n) - p.matmul(a)).matmul(&dt).matmul(&pt).matmul(&p);
                first + second + third
            },
        );
        inverse(a)
    })
}

fn pseudo_inverse(a: &Tensor, tolerance: f64) -> Tensor {
    let (u, s, vt) = a.svd();
    let is_large = s.greater(&(s.max() * tolerance));
    let inverse = is_large.select(&is_large.select(&s, &s.ones_like()).recip(), &s.zeros_like());
    (vt.t() * inverse.broadcast()).matmul(&u.t())
}

/// The least-squares solution of `a·x = b`: of smallest norm where there are several.
#[track_caller]
pub fn lstsq(a: &Tensor, b: &Tensor) -> Tensor {
    operation("lstsq", || pinv(a).matmul(b))
}

/// A square matrix times itself, `n` times; of negative `n` its inverse.
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

/// The product of a chain of matrices, in the order that costs least.
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

/// The matrix exponential, by scaling, a Padé approximant and squaring (Higham, *The scaling and
/// squaring method for the matrix exponential revisited*, 2005).
///
/// ```
/// use unloop::{Tensor, linalg};
/// let turn = Tensor::from([[0.0, -1.0], [1.0, 0.0]]);
/// let quarter = linalg::expm(&(turn * std::f64::consts::FRAC_PI_2));
/// assert!(quarter.at((0, 0)).item::<f64>()?.abs() < 1e-15);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn expm(a: &Tensor) -> Tensor {
    /// Squarings at most: norms up to 5·2¹⁶.
    const SQUARINGS: usize = 16;
    /// The norm up to which the approximant of degree 13 is accurate in double precision.
    const THETA: f64 = 5.371_920_351_148_152;
    #[rustfmt::skip]
    const PADE: [f64; 14] = [
        64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
        129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0,
        40840800.0, 960960.0, 16380.0, 182.0, 1.0,
    ];
    operation("expm", || {
        let n = match square("expm", a) {
            Ok(n) => n,
            Err(error) => return error,
        };
        let size = a.abs().sum_axis(0).max().stop_gradient();
        let times = (size / THETA).log2().ceil();
        let times = times.clamp(&number(a, 0.0), &number(a, SQUARINGS as f64));
        let a = a * (-&times).exp2();
        let eye = Tensor::eye(a.dtype(), n);
        let a2 = a.matmul(&a);
        let a4 = a2.matmul(&a2);
        let a6 = a4.matmul(&a2);
        let sum = |c: [f64; 4]| &a6 * c[3] + &a4 * c[2] + &a2 * c[1] + &eye * c[0];
        let c = PADE;
        let odd = a6.matmul(&sum([0.0, c[9], c[11], c[13]])) + sum([c[1], c[3], c[5], c[7]]);
        let odd = a.matmul(&odd);
        let even = a6.matmul(&sum([0.0, c[8], c[10], c[12]])) + sum([c[0], c[2], c[4], c[6]]);
        let scaled = (&even - &odd).solve(&(&even + &odd));
        let twice = |i: &Tensor, x: &Tensor| {
            let is_open = i.cast(times.dtype()).less(&times);
            choose(&is_open, |x: &Tensor| x.matmul(x), |x: &Tensor| x.clone(), x)
        };
        fori_loop(SQUARINGS, twice, &scaled)
    })
}

/// The solution of `a·x = b` from the lower Cholesky factor of `a`.
#[track_caller]
pub fn cho_solve(factor: &Tensor, b: &Tensor) -> Tensor {
    operation("cho_solve", || factor.t().solve_upper(&factor.solve_lower(b)))
}

/// The eigenvalues of a symmetric matrix, from the least.
#[track_caller]
pub fn eigvalsh(a: &Tensor) -> Tensor {
    operation("eigvalsh", || a.eigh().0)
}

/// The polar decomposition `a = u·p` of a matrix: orthonormal columns of `u`, symmetric positive
/// semidefinite `p`.
#[track_caller]
pub fn polar(a: &Tensor) -> (Tensor, Tensor) {
    operation("polar", || {
        let (u, s, vt) = a.svd();
        (u.matmul(&vt), (vt.t() * s.broadcast()).matmul(&vt))
    })
}

/// The square root of a symmetric positive semidefinite matrix: symmetric, and its square is `a`.
#[track_caller]
pub fn sqrtm_symmetric(a: &Tensor) -> Tensor {
    operation("sqrtm_symmetric", || symmetric_function(a, |w| w.maximum(&w.zeros_like()).sqrt()))
}

/// A function of a symmetric matrix, by that of its eigenvalues.
#[track_caller]
pub fn symmetric_function(a: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    operation("symmetric_function", || {
        let (w, v) = a.eigh();
        (&v * f(&w).broadcast()).matmul(&v.t())
    })
}

/// The vector product of vectors of three elements.
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

/// The solution `x`, of shape `b.shape() = a.shape()[..b.rank()]` to the rest of `a`'s axes, of
/// `tensordot(a, x) = b`.
///
/// # Errors
/// Carried: the first axes of `a` are not those of `b`, or the others are not as many elements.
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

/// The inverse of a tensor as a map from its axes after `split` to those before.
///
/// # Errors
/// Carried: fewer axes than `split`; not as many elements after it as before.
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
