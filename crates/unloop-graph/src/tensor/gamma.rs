//! The gamma function and what is made of it.
//!
//! Quotients of gamma functions are not differences of [`Tensor::lgamma`], which lose all digits for huge
//! and tiny arguments, and more so with each derivative. Their differences are divided: Stirling's series
//! with the differences taken term by term, as DiDonato and Morris have it (Algorithm 708, `algdiv` and
//! `bcorr`), after the recurrence to arguments from 8.

use std::f64::consts::PI;

use super::composed;
use super::numeric::{power_series, power_transform};
use crate::{Number, Shape, Tensor};

/// Of Stirling's series: `ln Γ(x) = (x - ½)·ln x - x + ½·ln 2π + Σ cₖ/x²ᵏ⁺¹` (Abramowitz and Stegun 6.1.41).
const STIRLING: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360360.0,
    1.0 / 156.0,
    -3617.0 / 122400.0,
];

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// `(-1)ᵏ·ζ(k)/k` from `k = 2`: `ln Γ(1 + x) = -γx + Σ cₖ·xᵏ` (Abramowitz and Stegun 6.1.33).
const LOG_GAMMA: [f64; 18] = [
    0.822_467_033_424_113_2,
    -0.400_685_634_386_531_43,
    0.270_580_808_427_784_54,
    -0.207_385_551_028_673_98,
    0.169_557_176_997_408_2,
    -0.144_049_896_768_846_1,
    0.125_509_669_524_743_04,
    -0.111_334_265_869_564_7,
    0.100_099_457_512_781_8,
    -0.090_954_017_145_829_04,
    0.083_353_840_546_109,
    -0.076_932_516_411_352_2,
    0.071_432_946_295_361_34,
    -0.066_668_705_882_420_46,
    0.062_500_955_141_213_04,
    -0.058_823_978_658_684_58,
    0.055_555_767_627_403_61,
    -0.052_631_679_379_616_66,
];

/// Below this the pole of the gamma function at 0 is taken out of the beta function.
const SMALL: f64 = 1.0 / 16.0;

/// The rest of Stirling's series, of numbers from 8.
fn stirling_rest(x: &Tensor) -> Tensor {
    power_series(&x.square().recip(), STIRLING.into_iter()) / x
}

/// `ln(1 + z)/z` of numbers from 0.
fn log_quotient(z: &Tensor) -> Tensor {
    let small = z.less(&z.literal(Number::Float(0.1)));
    let near = small.select(z, &z.zeros_like());
    let far = small.select(&z.ones_like(), z);
    // 2·artanh(w)/z for w = z/(2 + z).
    let below = near.clone() + 2.0;
    let w = (near / &below).square();
    let series = power_series(&w, (0..8).map(|k| 2.0 / f64::from(2 * k + 1))) / below;
    small.select(&series, &(far.log1p() / &far))
}

/// `(ln Γ(b + a) - ln Γ(b))/a` for `0 ≤ a ≤ b`, and for `a` a little larger.
fn log_gamma_slope(a: &Tensor, b: &Tensor) -> Tensor {
    // Γ(b + 8 + a)/Γ(b + 8) is Γ(b + a)/Γ(b) times the product of 1 + a/(b + k), which is 1 + a·rest.
    let first = b.recip();
    let rest = (1..8).fold(first, |rest, k| &rest + (&rest * a + 1.0) / (b + f64::from(k)));
    let high = b + 8.0;
    let sum = &high + a;
    // The differences of 1/x²ᵏ⁺¹ at `high` and `sum`, divided by a: sums of powers of their ratio.
    let (u, ratio) = (high.square().recip(), &high / &sum);
    let square = ratio.square();
    let mut powers = &ratio + &square;
    let mut total = ratio.ones_like();
    let mut scale = u.clone();
    let mut series = &total * STIRLING[0];
    for c in &STIRLING[1..] {
        total += &powers;
        series += &total * &scale * *c;
        (powers, scale) = (powers * &square, scale * &u);
    }
    let stirling = (&high - 0.5) / &high * log_quotient(&(a / &high)) + sum.log() - 1.0;
    stirling - series / &high / sum - &rest * log_quotient(&(a * &rest))
}

/// The beta function of two positive numbers, one of which is small: the poles at 0 and what is left,
/// `1/x + 1/y + (x + y)·(C - 1)/(x·y)` with `C = Γ(1 + x)·Γ(1 + y)/Γ(1 + x + y)`.
fn beta_beside_pole(x: &Tensor, y: &Tensor) -> Tensor {
    let first = x.less_equal(y);
    let (least, most) = (first.select(x, y), first.select(y, x));
    let (sum, product) = (x + y, x * y);
    // ln C/(x·y): where both are small, the series of ln Γ(1 + ·) with x·y taken out of the differences
    // of powers, xᵏ + yᵏ - (x + y)ᵏ.
    let small = most.less(&most.literal(Number::Float(SMALL)));
    let (e, m) = (small.select(&sum, &sum.zeros_like()), small.select(&product, &sum.zeros_like()));
    let (mut powers, mut next) = (e.ones_like() * 2.0, e.clone());
    let mut quotient = powers.clone();
    let mut both = &quotient * LOG_GAMMA[0];
    for c in &LOG_GAMMA[1..] {
        quotient = &e * quotient + &next;
        (powers, next) = (next.clone(), &e * &next - &m * powers);
        both += &quotient * *c;
    }
    let (a, b) = (&least, small.select(&most.ones_like(), &most));
    let log_gamma = power_series(a, LOG_GAMMA.into_iter()) * a - EULER;
    let one = (log_gamma - log_gamma_slope(a, &(&b + 1.0))) / b;
    x.recip() + y.recip() + sum * power_transform(&small.select(&-both, &one), &product)
}

composed! {
    //! # The gamma function and its kin
    //! Elementwise, of floats.
    /// The sign of the gamma function, elementwise: 1 or -1; -1 at -0, NaN at the poles -1, -2, …. The
    /// result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2.5, -0.5]).gamma_sign().to_vec::<f64>()?, [1.0, -1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    gamma_sign(x) -> Tensor where floats {
        let floor = x.floor();
        let odd = floor.modulo(&(x.ones_like() * 2.0)).not_equal(&x.zeros_like());
        let below = x.less(&x.zeros_like());
        let pole = &below & floor.equal(x);
        let sign = (below & odd).select(&-x.ones_like(), &x.ones_like());
        let sign = x.equal(&x.zeros_like()).select(&sign.copy_sign(x), &sign);
        (pole | x.is_nan()).select(&x.literal(Number::Float(f64::NAN)).broadcast_to(x.shape()), &sign)
    }

    /// The gamma function `Γ(x)`, elementwise: the sign times `exp` of [`Tensor::lgamma`]. The result
    /// has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([5.0]).gamma();
    /// assert!(y.is_close(24.0, 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    gamma(x) -> Tensor where floats { x.gamma_sign() * x.lgamma().exp() }

    /// The factorial `Γ(x + 1)`, elementwise, by the gamma function: of whole numbers rounded in the
    /// last digits. Of negative numbers 0, as SciPy has it; NaN stays. The result has the shape and
    /// dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([0.0, 4.0]).factorial();
    /// assert!(y.is_close(Tensor::from([1.0, 24.0]), 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    factorial(x) -> Tensor where floats {
        let negative = x.less(&x.zeros_like());
        let safe = negative.select(&x.zeros_like(), x);
        negative.select(&x.zeros_like(), &(safe + 1.0).lgamma().exp())
    }

    /// The logarithm of the absolute value of the beta function, `ln |B(x, y)|`, elementwise. The
    /// result has the operands' shape and dtype. DiDonato and Morris, Algorithm 708.
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    betaln(x, y: Operand) -> Tensor where floats {
        let positive = x.greater(&x.zeros_like()) & y.greater(&y.zeros_like());
        let one = x.literal(Number::Float(1.0));
        let eight = x.literal(Number::Float(8.0));
        let first = x.less_equal(y);
        let (least, most) = (first.select(x, y), first.select(y, x));
        let large = &positive & least.greater_equal(&eight);
        let (p, q) = (large.select(x, &eight), large.select(y, &eight));
        let sum = &p + &q;
        let rest = stirling_rest(&p) + stirling_rest(&q) - stirling_rest(&sum);
        let powers = (&p - 0.5) * (&q / &p).log1p() + (&q - 0.5) * (&p / &q).log1p();
        let of_large = rest - powers - sum.log() * 0.5 + 0.5 * (2.0 * PI).ln();
        // One of them is less than 8: Γ(y)/Γ(x + y) is (x + y)/y·Γ(1 + y)/Γ(1 + x + y).
        let mixed = &positive & large.logical_not();
        let (a, b) = (mixed.select(&least, &one), mixed.select(&most, &one));
        let difference = (&a / &b).log1p() - &a * log_gamma_slope(&a, &(b + 1.0));
        // The gamma function of the lesser one, or of all for others.
        let other = positive.logical_not();
        let u = ((&mixed & &first) | &other).select(x, &one);
        let v = ((&mixed & first.logical_not()) | &other).select(y, &one);
        let others = -other.select(&(&u + &v), &one).lgamma();
        let rest = mixed.select(&difference, &others);
        large.select(&of_large, &(u.lgamma() + v.lgamma() + rest))
    }

    /// The beta function `B(x, y) = Γ(x)·Γ(y)/Γ(x + y)`, elementwise. The result has the operands'
    /// shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let b = Tensor::from([2.0]).beta(3.0);
    /// assert!(b.is_close(1.0 / 12.0, 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    beta(x, y: Operand) -> Tensor where floats {
        let least = x.less_equal(y).select(x, y);
        let small = least.greater(&least.zeros_like()) & least.less(&least.literal(Number::Float(SMALL)));
        let one = x.literal(Number::Float(1.0));
        let beside = beta_beside_pole(
            &small.select(x, &x.literal(Number::Float(SMALL))),
            &small.select(y, &one),
        );
        let (x, y) = (small.select(&one, x), small.select(&one, y));
        let sign = x.gamma_sign() * y.gamma_sign() * (&x + &y).gamma_sign();
        small.select(&beside, &(sign * x.betaln(&y).exp()))
    }

    /// Pochhammer's symbol, the rising factorial `Γ(x + m)/Γ(x)`, elementwise. The result has the
    /// operands' shape and dtype. Abramowitz and Stegun 6.1.22.
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    poch(x, m: Operand) -> Tensor where floats {
        // Γ(x)/Γ(x) is 1 at poles, too.
        let pole = x.less_equal(&x.zeros_like()) & x.floor().equal(x);
        let none = pole & m.equal(&m.zeros_like());
        let one = x.literal(Number::Float(1.0));
        let x = &none.select(&one, x);
        let sum = x + m;
        // Without the pole at 0: x·Γ(x + m)/Γ(1 + x), or x/(x + m)·Γ(1 + x + m)/Γ(1 + x).
        let positive = x.greater(&x.zeros_like()) & sum.greater(&sum.zeros_like());
        let backward = m.less(&m.zeros_like());
        let (distance, from) = (backward.select(&-m, m), backward.select(&sum, x) + 1.0);
        let near = &positive & distance.less_equal(&from);
        let zero = x.literal(Number::Float(0.0));
        let slope = log_gamma_slope(&near.select(&distance, &zero), &near.select(&from, &one));
        let part = positive.select(x, &one) / near.select(&sum, &one);
        let below = positive.select(&(x + 1.0), x);
        let far = near.select(&one, &sum).lgamma() - near.select(&one, &below).lgamma();
        let log = near.select(m, &zero) * slope + far;
        let sign = x.gamma_sign() * sum.gamma_sign();
        let ratio = positive.select(&part, &sign) * log.exp();
        none.select(&ratio.ones_like(), &ratio)
    }

    /// The binomial coefficient `x choose y`, elementwise, by the gamma function: of whole numbers
    /// rounded in the last digits; 0 outside of `0 ≤ y ≤ x`. The result has the operands' shape and
    /// dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let c = Tensor::from([5.0, 2.0]).comb(3.0);
    /// assert!(c.is_close(Tensor::from([10.0, 0.0]), 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    comb(x, y: Operand) -> Tensor where floats {
        let rest = x - y;
        let zero = rest.zeros_like();
        let inside = rest.greater_equal(&zero) & y.greater_equal(&y.zeros_like());
        // Poles of the gamma function lie outside.
        let (rest, y) = (inside.select(&rest, &zero), inside.select(y, &zero));
        let first = y.less_equal(&rest);
        let (least, most) = (first.select(&y, &rest), first.select(&rest, &y));
        let slope = log_gamma_slope(&least, &(most + 1.0));
        let log = &least * slope - (&least + 1.0).lgamma();
        inside.select(&log.exp(), &zero)
    }

    /// The logarithm of the multivariate gamma function of dimension `d`, `Σ ln |Γ(x - i/2)|` for `i`
    /// from 0 below `d`, and `d·(d - 1)/4·ln π`; elementwise. The result has the shape and dtype of
    /// `self`.
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    multigammaln(x, d: usize) -> Tensor where floats {
        let d_float = d as f64;
        let shape = Shape::from(x.shape()).concat(&[d]);
        let half = Tensor::iota(x.dtype(), &shape, x.rank()) * 0.5;
        let terms = x.broadcast_in_dim(&shape, (0..x.rank()).collect()) - half;
        terms.lgamma().sum_axis(-1) + 0.25 * d_float * (d_float - 1.0) * PI.ln()
    }
}
