//! The normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

use super::composed;
use super::numeric::power_series;
use crate::op::Derivative;
use crate::{Number, Tensor};

/// Below this the tail is a continued fraction; above its negative the distance from 1 counts.
const TAIL: f64 = -5.0;

/// A convergent of Laplace's continued fraction of the tail, `1/(1 + v/(1 + 2v/(1 + 3v/…)))` for
/// `-x·Φ(x)/φ(x)` with `v = 1/x²` (Abramowitz and Stegun 26.2.14): the coefficients of the numerator and
/// the denominator, which are all positive.
fn laplace(steps: u32) -> [Vec<f64>; 2] {
    let (mut above, mut below) = (vec![1.0], vec![1.0]);
    for k in (1..=steps).rev() {
        // 1 + k·v/(above/below)
        let mut next = above.clone();
        next.resize(above.len().max(below.len() + 1), 0.0);
        next[1..].iter_mut().zip(&below).for_each(|(next, c)| *next += f64::from(k) * c);
        below = std::mem::replace(&mut above, next);
    }
    [below, above]
}

/// The derivative of the inverse of the distribution function, by its value.
#[derive(Debug)]
struct Ndtri;

impl Derivative for Ndtri {
    fn key(&self) -> String {
        "ndtri".into()
    }

    fn jvp(&self, _: &[&Tensor], t: &[Option<&Tensor>], z: &[Tensor]) -> Vec<Tensor> {
        let Some(t) = t[0] else { unreachable!("the derivative in the argument") };
        vec![t * ((z[0].square() * 0.5).exp() * (2.0 * PI).sqrt())]
    }
}

/// The inverse of the distribution function.
fn normal_quantile(x: &Tensor) -> Tensor {
    let number = |value: f64| x.literal(Number::Float(value)).broadcast_to(x.shape());
    // By symmetry, the lower half; Newton's method on the logarithm, which is concave.
    let upper = x.greater(&number(0.5));
    let lower = upper.select(&(number(1.0) - x), x);
    let inside = lower.greater(&number(0.0));
    let log = inside.select(&lower, &number(0.5)).log();
    let far = (&log * -2.0).sqrt();
    let near = (&log + LN_2) * 1.25;
    let mut z = far.less(&number(1.8)).select(&near, &-&far);
    for _ in 0..6 {
        let at = z.log_ndtr();
        let slope = (z.square() * -0.5 - 0.5 * (2.0 * PI).ln() - &at).exp();
        z -= (at - &log) / slope;
    }
    // -∞ at 0 and NaN below.
    let outside = inside.select(&number(1.0), &lower).sqrt().log();
    let z = inside.select(&z, &outside);
    upper.select(&-&z, &z)
}

composed! {
    /// The distribution function of the normal distribution.
    ndtr(x) -> Tensor { (x * -FRAC_1_SQRT_2).erfc() * 0.5 }

    /// The logarithm of [`Tensor::ndtr`], accurate in both tails.
    log_ndtr(x) -> Tensor {
        let number = |value: f64| x.literal(Number::Float(value));
        let (upper, lower) = (x.greater(&number(-TAIL)), x.less(&number(TAIL)));
        let outside = &upper | &lower;
        let inside = outside.select(&number(0.0), x);
        // `ln(1 - Φ(-x))`.
        let tail = (-upper.select(&-x, &number(TAIL)).ndtr()).log1p();
        let far = lower.select(x, &number(TAIL));
        let v = far.square().recip();
        // Twenty steps have all digits at -5, with derivatives.
        let [above, below] = laplace(20).map(|terms| power_series(&v, terms.into_iter()));
        let fraction = far.square() * -0.5 - (-&far).log() - 0.5 * (2.0 * PI).ln() + (above / below).log();
        lower.select(&fraction, &upper.select(&tail, &inside.ndtr().log()))
    }

    /// The inverse of the normal distribution function [`Tensor::ndtr`].
    ndtri(x) -> Tensor {
        let [z] = Tensor::with_derivative(Ndtri, &[x], |x| [normal_quantile(&x[0])]);
        z
    }
}
