//! The gamma distribution. Marsaglia and Tsang, *A simple method for generating gamma variables*
//! (2000); derivatives in the parameter by those of the distribution function.

use unloop_graph::{BinaryOp, Op, Operand, Place, Shape, Tensor};
use unloop_transform::{at_once, custom_jvp, vmap, while_loop};

use super::{Key, drawn, exponential, normal, split, split_stack, uniform};

/// Numbers of the gamma distribution with a parameter `a`, a scalar or of the shape, and scale 1: of a
/// density proportional to `x^(a-1)·e^(-x)`; the mean is `a`. Differentiable in `a`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::{Tensor, random};
/// let x = random::gamma(&random::key(0), &Tensor::from(3.0), 1000);
/// assert!((x.mean().item::<f64>()? - 3.0).abs() < 0.3);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn gamma(key: &Key, a: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("gamma", [&a], shape, |[a], shape| sample(key, &a, shape, false))
}

/// The logarithm of numbers of [`gamma`], accurate where these are too small for the dtype.
///
/// # Errors
/// Carried by the result: those of [`gamma`].
///
/// ```
/// use unloop::random;
/// let x = random::loggamma(&random::key(0), 1e-4, 100); // e^x may be too small for an f64
/// assert!(x.is_finite().all().item::<bool>()?);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn loggamma(key: &Key, a: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("loggamma", [&a], shape, |[a], shape| sample(key, &a, shape, true))
}

#[track_caller]
fn sample(key: &Key, a: &Tensor, shape: &Shape, log_space: bool) -> Tensor {
    let place = Place::here();
    place.scope(|| {
        let a = a.flatten();
        if a.as_error().is_some() || a.size() == 0 {
            return a.reshape(shape);
        }
        let keys = split_stack(key, shape.size());
        let draw = custom_jvp(
            move |words: &Tensor, a: &Tensor| {
                let one = |key: &Key, a: &Tensor| one(key, a, log_space);
                at_once(vmap(one, 0), (&Key::from_data(words), a))
            },
            move |(words, a): &(Tensor, Tensor), (_, da): &(Tensor, Tensor)| {
                let one = |key: &Key, a: &Tensor| one(key, a, log_space);
                da * slope(a, &vmap(one, 0)(&Key::from_data(words), a), log_space)
            },
        );
        draw(keys.data(), &a).reshape(shape)
    })
}

/// The derivative of a sample in the parameter: `-(∂F/∂a)/(∂F/∂x)` of the distribution function.
fn slope(a: &Tensor, sample: &Tensor, log_space: bool) -> Tensor {
    let (x, log) = match log_space {
        true => (sample.exp(), sample.clone()),
        false => (sample.clone(), sample.log()),
    };
    let grad_a = Op::Binary(BinaryOp::IgammaGradA);
    let change = Tensor::apply(grad_a, &[a, &x], Place::here()).swap_remove(0);
    // The density, of the logarithm when that is the sample.
    let power = if log_space { a.clone() } else { a - 1.0 };
    let density = (power * log - &x - a.lgamma()).exp();
    -change / density
}

/// One sample.
fn one(key: &Key, a: &Tensor, log_space: bool) -> Tensor {
    let dtype = a.dtype();
    let number = |value: f64| Tensor::full((), value).cast(dtype);
    // A parameter below 1 is raised by 1, and the sample multiplied by u^(1/a).
    let is_large = a.greater_equal(&number(1.0));
    let raised = is_large.select(a, &(a + 1.0));
    let d = raised - 1.0 / 3.0;
    let c = (1.0 / 3.0) / d.sqrt();
    let [key, boost_key] = split(key);
    type State = (Key, Tensor, Tensor, Tensor);
    let go_on = |(_, x, v, u): &State| {
        let squeeze = u.greater_equal(&(1.0 - 0.0331 * x.square()));
        let exact = u.log().greater_equal(&(x * 0.5 + &d * (1.0 - v + v.log())));
        squeeze & exact
    };
    let step = |(key, ..): &State| {
        let [key, x_key, u_key] = split(key);
        let start = (x_key, number(0.0), number(-1.0));
        type Inner = (Key, Tensor, Tensor);
        let negative = |(_, _, v): &Inner| v.less_equal(&number(0.0));
        let draw = |(key, ..): &Inner| {
            let [key, now] = split(key);
            let x = normal(&now, dtype, ());
            let v = &x * &c + 1.0;
            (key, x, v)
        };
        let (_, x, v) = while_loop(negative, draw, &start);
        (key, x.square(), &v * &v * &v, uniform(&u_key, dtype, ()))
    };
    let start = (key, number(0.0), number(1.0), number(2.0));
    let (_, _, v, _) = while_loop(go_on, step, &start);
    if log_space {
        let log = -exponential(&boost_key, dtype, ());
        let none = &is_large | &log.equal(&number(0.0));
        let boost = none.select(&number(0.0), &(log / a));
        d.log() + v.log() + boost
    } else {
        let u = 1.0 - uniform(&boost_key, dtype, ());
        d * v * is_large.select(&number(1.0), &u.pow(&a.recip()))
    }
}
