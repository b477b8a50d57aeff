//! Continuous distributions.

use unloop_graph::{DType, Operand, Place, Shape, Tensor, floats, operation};

use super::discrete::signs;
use super::{Key, drawn, gamma, invalid, loggamma, not_a_vector, split, unit};

/// The distance from 1 to the next smaller number.
fn below_one(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::exp2(-24.0) } else { f64::exp2(-53.0) }
}

/// The smallest positive normal number.
fn tiny(dtype: DType) -> f64 {
    if dtype == DType::F32 { f32::MIN_POSITIVE.into() } else { f64::MIN_POSITIVE }
}

fn scalar(dtype: DType, value: f64) -> Tensor {
    Tensor::full((), value).cast(dtype)
}

#[track_caller]
fn between(key: &Key, dtype: DType, shape: &Shape, low: f64, high: f64) -> Tensor {
    uniform_between(key, &scalar(dtype, low), &scalar(dtype, high), shape)
}

/// Numbers in `[0, 1)`, each as likely as the others, in f32 or f64.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::uniform(&random::key(0), DType::F32, (2, 3));
/// assert_eq!(x.shape(), [2, 3]);
/// ```
#[track_caller]
pub fn uniform(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    operation("uniform", || unit(key, dtype, &shape.into()))
}

/// Numbers in `[low, high)`, in the dtype of the bounds, which are scalars or of the result's shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::uniform_between(&random::key(0), -1.0, 1.0, 100);
/// assert!(x.abs().max().item::<f64>()? <= 1.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn uniform_between(
    key: &Key,
    low: impl Operand,
    high: impl Operand,
    shape: impl Into<Shape>,
) -> Tensor {
    drawn("uniform_between", [&low, &high], shape, |[low, high], shape| {
        let numbers = unit(key, low.dtype(), shape) * (high - &low) + &low;
        low.maximum(&numbers)
    })
}

/// Numbers of the normal distribution with mean 0 and variance 1, by the inverse of its distribution
/// function.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::normal(&random::key(0), DType::F64, 10_000);
/// assert!(x.mean().item::<f64>()?.abs() < 0.05);
/// assert!((x.square().mean().item::<f64>()? - 1.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn normal(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("normal"));
    place.scope(|| {
        let u = between(key, dtype, &shape, below_one(dtype) - 1.0, 1.0);
        u.erf_inv() * std::f64::consts::SQRT_2
    })
}

/// Normal numbers (mean 0, variance 1 before they are cut off) between bounds, which are scalars or of the
/// result's shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::truncated_normal(&random::key(0), 1.0, 2.0, 100);
/// assert!(x.min().item::<f64>()? > 1.0 && x.max().item::<f64>()? < 2.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn truncated_normal(
    key: &Key,
    low: impl Operand,
    high: impl Operand,
    shape: impl Into<Shape>,
) -> Tensor {
    drawn("truncated_normal", [&low, &high], shape, |[low, high], shape| {
        let root = std::f64::consts::SQRT_2;
        let u = uniform_between(key, (&low / root).erf(), (&high / root).erf(), shape);
        let inside = |x: &Tensor, towards: f64| x.stop_gradient().next_after(towards);
        (u.erf_inv() * root).clamp(inside(&low, f64::INFINITY), inside(&high, f64::NEG_INFINITY))
    })
}

/// Vectors of the normal distribution of a mean `[n]` and a covariance `[n, n]` (positive definite):
/// `[…, n]` for a shape `[…]`. A covariance that is not positive definite gives NaN, as
/// [`Tensor::cholesky`] does.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for a mean
/// that is no vector, and for what is not one key; `WrongRank` for a covariance that is no square matrix;
/// `Incompatible` for one of another size.
///
/// ```
/// use unloop::{Tensor, random};
/// let covariance = Tensor::from([[2.0, 0.5], [0.5, 1.0]]);
/// let x = random::multivariate_normal(&random::key(0), &Tensor::from([0.0, 5.0]), &covariance, 9);
/// assert_eq!(x.shape(), [9, 2]);
/// ```
#[track_caller]
pub fn multivariate_normal(
    key: &Key,
    mean: &Tensor,
    covariance: &Tensor,
    shape: impl Into<Shape>,
) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("multivariate_normal"));
    place.scope(|| {
        let [n] = *mean.shape() else {
            return invalid(format!("a mean of type {}; it is a vector", mean.ty()));
        };
        let z = normal(key, mean.dtype(), shape.concat(&[n]));
        // Each row times the transposed factor.
        mean.broadcast() + z.matmul(&covariance.cholesky().t()).broadcast()
    })
}

/// Numbers of the exponential distribution with mean 1, of the density `e^(-x)` for `x ≥ 0`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::exponential(&random::key(0), DType::F64, 100_000);
/// assert!((x.mean().item::<f64>()? - 1.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn exponential(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("exponential"));
    // 1 - u lies in (0, 1].
    place.scope(|| -(-unit(key, dtype, &shape)).log1p())
}

/// Numbers of the standard Gumbel distribution, `-ln(-ln u)` for uniform `u`; the mean is Euler's constant.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::gumbel(&random::key(0), DType::F64, 100_000);
/// assert!((x.mean().item::<f64>()? - 0.5772).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn gumbel(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("gumbel"));
    place.scope(|| -(-between(key, dtype, &shape, tiny(dtype), 1.0).log()).log())
}

/// Numbers of the Laplace distribution with mean 0 and scale 1, of the density `e^(-|x|)/2`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::laplace(&random::key(0), DType::F64, 100_000);
/// assert!((x.abs().mean().item::<f64>()? - 1.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn laplace(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("laplace"));
    place.scope(|| {
        let u = between(key, dtype, &shape, below_one(dtype) - 1.0, 1.0);
        u.sign() * (-u.abs()).log1p()
    })
}

/// Numbers of the standard logistic distribution, `ln(u/(1 - u))` for uniform `u`: mean 0, variance `π²/3`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::logistic(&random::key(0), DType::F64, 100_000);
/// assert!((x.mean().item::<f64>()? - 0.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn logistic(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("logistic"));
    place.scope(|| {
        let u = between(key, dtype, &shape, tiny(dtype), 1.0);
        u.log() - (-u).log1p()
    })
}

/// Numbers of the standard Cauchy distribution, of the density `1/(π·(1 + x²))`; there is no mean.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::cauchy(&random::key(0), DType::F64, 100_000);
/// // Half of them are between -1 and 1.
/// let inside = x.abs().less(1.0).cast(DType::F64).mean();
/// assert!((inside.item::<f64>()? - 0.5).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn cauchy(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("cauchy"));
    place.scope(|| {
        let u = between(key, dtype, &shape, 2.0 * below_one(dtype), 1.0);
        ((u - 0.5) * std::f64::consts::PI).tan()
    })
}

/// Numbers of the Pareto distribution with minimum 1 and tail index `b`, a scalar or of the shape: of the
/// density `b/x^(b+1)`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::pareto(&random::key(0), 5.0, 100_000);
/// assert!((x.mean().item::<f64>()? - 1.25).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn pareto(key: &Key, b: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("pareto", [&b], shape, |[b], shape| (exponential(key, b.dtype(), shape) / b).exp())
}

/// Numbers of the Rayleigh distribution with a scale, a scalar or of the shape: lengths of normal vectors in
/// the plane, times the scale.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::rayleigh(&random::key(0), 2.0, 100_000);
/// assert!((x.mean().item::<f64>()? - 2.0 * std::f64::consts::FRAC_PI_2.sqrt()).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn rayleigh(key: &Key, scale: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("rayleigh", [&scale], shape, |[scale], shape| {
        let u = uniform(key, scale.dtype(), shape);
        scale * (u.log() * -2.0).sqrt()
    })
}

/// Numbers of the Weibull distribution of minima with a scale and a shape parameter (`concentration`):
/// `scale·e^(1/concentration)` of exponential `e`. Parameters are scalars or of the result's shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::weibull_min(&random::key(0), 3.0, 1.0, 100_000);
/// assert!((x.mean().item::<f64>()? - 3.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn weibull_min(
    key: &Key,
    scale: impl Operand,
    concentration: impl Operand,
    shape: impl Into<Shape>,
) -> Tensor {
    drawn("weibull_min", [&scale, &concentration], shape, |[scale, concentration], shape| {
        exponential(key, scale.dtype(), shape).pow(concentration.recip()) * scale
    })
}

/// Numbers of the log-normal distribution: `e^(sigma·z)` of normal `z`, for a standard deviation `sigma` of
/// the logarithm, a scalar or of the shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::lognormal(&random::key(0), 0.5, 100_000);
/// assert!((x.mean().item::<f64>()? - 0.125f64.exp()).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn lognormal(key: &Key, sigma: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("lognormal", [&sigma], shape, |[sigma], shape| {
        (normal(key, sigma.dtype(), shape) * sigma).exp()
    })
}

/// Numbers of the Maxwell distribution: lengths of normal vectors in three dimensions.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::maxwell(&random::key(0), DType::F64, 100_000);
/// assert!((x.mean().item::<f64>()? - (8.0 / std::f64::consts::PI).sqrt()).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn maxwell(key: &Key, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    operation("maxwell", || normal(key, dtype, shape.into().concat(&[3])).norm_axis(-1))
}

/// Maxwell numbers with random signs, times `scale`, plus `loc`; both are scalars or of the result's shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::double_sided_maxwell(&random::key(0), 5.0, 1.0, 100_000);
/// assert!((x.mean().item::<f64>()? - 5.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn double_sided_maxwell(
    key: &Key,
    loc: impl Operand,
    scale: impl Operand,
    shape: impl Into<Shape>,
) -> Tensor {
    drawn("double_sided_maxwell", [&loc, &scale], shape, |[loc, scale], shape| {
        let [size, sign] = split(key);
        let sign = signs(&sign, loc.dtype(), shape);
        sign * maxwell(&size, loc.dtype(), shape) * scale + loc
    })
}

/// Numbers of the triangular distribution with a least, a most likely and a greatest value, scalars or of the
/// result's shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::triangular(&random::key(0), 0.0, 1.0, 5.0, 100_000);
/// assert!((x.mean().item::<f64>()? - 2.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn triangular(
    key: &Key,
    left: impl Operand,
    mode: impl Operand,
    right: impl Operand,
    shape: impl Into<Shape>,
) -> Tensor {
    drawn("triangular", [&left, &mode, &right], shape, |[left, mode, right], shape| {
        let u = unit(key, left.dtype(), shape);
        let whole = &right - &left;
        // The root of one side only: that of the other may be 0, where it has no derivative.
        let is_below = u.less(&((&mode - &left) / &whole));
        let side = is_below.select(&u * (&mode - &left), (1.0 - &u) * (&right - &mode));
        let root = (side * whole).sqrt();
        is_below.select(left + &root, right - root)
    })
}

/// Numbers of the Wald (inverse Gaussian) distribution with a mean, a scalar or of the shape, and scale 1.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::wald(&random::key(0), 0.5, 100_000);
/// assert!((x.mean().item::<f64>()? - 0.5).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn wald(key: &Key, mean: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("wald", [&mean], shape, |[mean], shape| {
        let [k1, k2] = split(key);
        let y = normal(&k1, mean.dtype(), shape).square();
        let z = unit(&k2, mean.dtype(), shape);
        let root = (4.0 * &mean * &y + mean.square() * y.square()).sqrt();
        let x = &mean + mean.square() * &y / 2.0 - &mean / 2.0 * root;
        z.less_equal(&(&mean / (&mean + &x))).select(&x, &(mean.square() / &x))
    })
}

/// Numbers of the beta distribution, in 0 to 1, of a density proportional to `x^(a-1)·(1 - x)^(b-1)`; the
/// parameters are scalars or of the shape. Differentiable in them.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::beta(&random::key(0), 1.0, 3.0, 10_000);
/// assert!((x.mean().item::<f64>()? - 0.25).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn beta(key: &Key, a: impl Operand, b: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("beta", [&a, &b], shape, |[a, b], shape| {
        let [key_a, key_b] = split(key);
        let (x, y) = (loggamma(&key_a, a, shape), loggamma(&key_b, b, shape));
        // Scaled by the larger, so that nothing is lost where both are small.
        let most = x.maximum(&y);
        let (x, y) = ((x - &most).exp(), (y - &most).exp());
        &x / (&x + &y)
    })
}

/// Points of a simplex: vectors of the Dirichlet distribution with parameters `alpha`, `[n]`: `[…, n]` for a
/// shape `[…]`. The elements of each sum to 1. Differentiable in `alpha`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64; `WrongRank` unless they
/// are a vector; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::{Tensor, random};
/// let x = random::dirichlet(&random::key(0), &Tensor::from([1.0, 2.0, 3.0]), 4);
/// assert_eq!(x.shape(), [4, 3]);
/// assert!((x.sum_axis(-1) - 1.0).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn dirichlet(key: &Key, alpha: &Tensor, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into().concat(alpha.shape());
    operation("dirichlet", || {
        floats(&[alpha], || match alpha.rank() {
            // Points without coordinates.
            1 if alpha.size() == 0 => Tensor::zeros(alpha.dtype(), shape),
            1 => loggamma(key, alpha.broadcast_to(&shape), &shape).softmax(-1),
            _ => not_a_vector("dirichlet", alpha),
        })
    })
}

/// Numbers of the chi-squared distribution with `df` degrees of freedom, a scalar or of the shape; the mean
/// is `df`. Differentiable in it.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::chisquare(&random::key(0), 4.0, 10_000);
/// assert!((x.mean().item::<f64>()? - 4.0).abs() < 0.2);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn chisquare(key: &Key, df: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("chisquare", [&df], shape, |[df], shape| loggamma(key, df / 2.0, shape).exp() * 2.0)
}

/// Numbers of Student's t distribution with `df` degrees of freedom, a scalar or of the shape. Differentiable
/// in it.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::t(&random::key(0), 10.0, 10_000);
/// assert!((x.mean().item::<f64>()? - 0.0).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn t(key: &Key, df: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("t", [&df], shape, |[df], shape| {
        let [key_n, key_g] = split(key);
        let half = df / 2.0;
        normal(&key_n, half.dtype(), shape) * (&half / gamma(&key_g, &half, shape)).sqrt()
    })
}

/// Numbers of the F distribution: quotients of two chi-squared numbers, each by its degrees of freedom, which
/// are scalars or of the shape. Differentiable in them.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::f(&random::key(0), 6.0, 12.0, 10_000);
/// assert!((x.mean().item::<f64>()? - 1.2).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn f(key: &Key, above: impl Operand, below: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("f", [&above, &below], shape, |[above, below], shape| {
        let [key_below, key_above] = split(key);
        let quotient = |key: &Key, df: &Tensor| chisquare(key, df, shape) / df;
        quotient(&key_above, &above) / quotient(&key_below, &below)
    })
}

/// Numbers with a density proportional to `e^(-|x|ᵖ)`: of the Laplace distribution for `p = 1`, of a normal
/// one with variance 1/2 for `p = 2`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::generalized_normal(&random::key(0), 2.0, DType::F64, 10_000);
/// assert!((x.square().mean().item::<f64>()? - 0.5).abs() < 0.05);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn generalized_normal(key: &Key, p: f64, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("generalized_normal"));
    place.scope(|| {
        let [size, sign] = split(key);
        let size = gamma(&size, &scalar(dtype, p.recip()), &shape);
        signs(&sign, dtype, &shape) * size.pow(&scalar(dtype, p.recip()).broadcast_to(&shape))
    })
}

/// Points of the unit ball of the p-norm in `d` dimensions, uniformly distributed: `[…, d]` for a shape
/// `[…]`. Barthe et al., *A probabilistic approach to the geometry of the ℓₚⁿ-ball*, 2005.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::ball(&random::key(0), 3, 2.0, DType::F64, 100);
/// assert!(x.norm_axis(-1).max().item::<f64>()? <= 1.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn ball(key: &Key, d: usize, p: f64, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("ball"));
    place.scope(|| {
        let [direction, radius] = split(key);
        let g = generalized_normal(&direction, p, dtype, shape.concat(&[d]));
        let e = exponential(&radius, dtype, &shape);
        let power = |x: &Tensor, p: f64| x.pow(&scalar(dtype, p).broadcast_to(x.shape()));
        let norm = power(&(power(&g.abs(), p).sum_axis(-1) + e), p.recip());
        g / norm.expand_dims(-1).broadcast()
    })
}

/// Orthogonal `n×n` matrices, uniformly distributed: `[…, n, n]` for a shape `[…]`. Mezzadri, *How to
/// generate random matrices from the classical compact groups*, 2007.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for what
/// is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let q = random::orthogonal(&random::key(0), 3, DType::F64, ());
/// assert!((q.matmul(&q.t()).trace() - 3.0).abs().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn orthogonal(key: &Key, n: usize, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    operation("orthogonal", || {
        let (q, r) = normal(key, dtype, shape.into().concat(&[n, n])).qr();
        q * r.diagonal(0).sign().expand_dims(-2).broadcast()
    })
}
