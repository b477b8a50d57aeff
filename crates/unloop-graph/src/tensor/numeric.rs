//! Elementwise functions composed of the operations.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10, PI};

use super::composed;
use super::operand::{Given, Operand, tensors};
use crate::{DType, ErrorKind, Number, Place, Shape, Tensor};

/// `Σ cₖ·uᵏ`, by Horner's rule.
///
/// Functions with a removable singularity are their power series near it: the closed form loses all
/// digits there, and more so with each derivative.
fn power_series(u: &Tensor, coefficients: impl DoubleEndedIterator<Item = f64>) -> Tensor {
    coefficients.rev().fold(u.zeros_like(), |sum, c| sum * u + c)
}

/// `1/k!`.
fn inverse_factorial(k: u32) -> f64 {
    (1..=k).map(f64::from).product::<f64>().recip()
}

/// The logarithm of a sum of powers from the exponents and `ln(1 + bᵘ)` of their distance `u ≤ 0`.
///
/// Both branches are the whole function, so that all of its derivatives are right where the exponents
/// are equal; `max` and `abs` have kinks there.
fn log_sum(x: &Tensor, y: &Tensor, log_one_plus: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let first = x.greater(y);
    let gap = x - y;
    // Equal infinities.
    let same = x.equal(y) & gap.is_nan();
    let gap = same.select(&gap.zeros_like(), &gap);
    first.select(x, y) + log_one_plus(&first.select(&-&gap, &gap))
}

/// `x·f(y)` for a logarithm `f` that is 0 at `zero`: 0 where `x` is 0, unless `y` is NaN.
fn weighted(x: &Tensor, y: &Tensor, f: impl Fn(&Tensor) -> Tensor, zero: f64) -> Tensor {
    let number = |value: f64| y.literal(Number::Float(value));
    let infinite = y.less_equal(&number(zero - 1.0)) | y.is_infinite();
    let singular = x.equal(&x.zeros_like()) & infinite;
    let plain = x * f(&singular.select(&number(zero), y));
    // The slope in `x` is infinite, as that of `√x`.
    let root = singular.select(x, &x.ones_like()).sqrt();
    let sign = y.greater(&number(zero)).select(&number(1.0), &number(-1.0));
    singular.select(&(root * sign), &plain)
}

/// `(eᵘ - 1)/y` for `u = y·log`: `log` where `y` is 0.
fn power_transform(log: &Tensor, y: &Tensor) -> Tensor {
    let u = log * y;
    let small = u.abs().less(&u.literal(Number::Float(0.5)));
    let near = &small | &y.equal(&y.zeros_like());
    let zero = u.zeros_like();
    // 1/(k + 1)!
    let series = power_series(&small.select(&u, &zero), (1..17).map(inverse_factorial));
    let power = near.select(&zero, &u).expm1() / near.select(&y.ones_like(), y);
    near.select(&(near.select(log, &zero) * series), &power)
}

/// The constants of a float dtype.
struct Float {
    bits: DType,
    sign: Number,
    magnitude: Number,
    largest: f64,
}

fn float(dtype: DType) -> Float {
    match dtype {
        DType::F32 => Float {
            bits: DType::I32,
            sign: Number::Int(i32::MIN.into()),
            magnitude: Number::Int(i32::MAX.into()),
            largest: f32::MAX.into(),
        },
        // The operations refuse what is not a float.
        _ => Float {
            bits: DType::I64,
            sign: Number::Int(i64::MIN.into()),
            magnitude: Number::Int(i64::MAX.into()),
            largest: f64::MAX,
        },
    }
}

composed! {
    /// The base-2 logarithm.
    log2(x) -> Tensor { x.log() / LN_2 }

    /// The base-10 logarithm.
    log10(x) -> Tensor { x.log() / LN_10 }

    /// Radians of degrees.
    to_radians(x) -> Tensor { x * (PI / 180.0) }

    /// Degrees of radians.
    to_degrees(x) -> Tensor { x * (180.0 / PI) }

    /// `sin(πx)/(πx)`, 1 at 0.
    sinc(x) -> Tensor {
        let angle = x * PI;
        let near = angle.abs().less(&angle.ones_like());
        let square = near.select(&angle, &angle.zeros_like()).square();
        // (-1)ᵏ/(2k + 1)!
        let series = (0..11).map(|k| (-1f64).powi(k) * inverse_factorial(2 * k as u32 + 1));
        let far = near.select(&angle.ones_like(), &angle);
        near.select(&power_series(&square, series), &(far.sin() / &far))
    }

    /// `√(x² + y²)` without overflow on the way.
    hypot(x, y: Operand) -> Tensor {
        // The result does not depend on the scale, so neither do its derivatives.
        let scale = x.abs().maximum(&y.abs()).stop_gradient();
        let infinite = x.is_infinite() | y.is_infinite();
        let edge = scale.equal(&scale.zeros_like()) | &infinite;
        let safe = edge.select(&scale.literal(Number::Float(1.0)), &scale);
        let part = |leg: &Tensor| edge.select(&leg.literal(Number::Float(1.0)), leg) / &safe;
        let length = &safe * (part(x).square() + part(y).square()).sqrt();
        let infinite = infinite.select(&scale.literal(Number::Float(f64::INFINITY)), &scale);
        edge.select(&infinite, &length)
    }

    /// `log₂(2ˣ + 2ʸ)` without overflow on the way.
    logaddexp2(x, y: Operand) -> Tensor {
        log_sum(x, y, |gap| gap.exp2().log1p() / LN_2)
    }

    /// `ln(eˣ + eʸ)`, without overflow.
    logaddexp(x, y: Operand) -> Tensor { log_sum(x, y, |gap| gap.exp().log1p()) }

    /// The largest integer not above `x/y`, such that `x = y·floor_div(x, y) + modulo(x, y)` but for
    /// rounding: 9 for 1.0 and 0.1, which is a little more than a tenth. As NumPy has it, `x/y` for
    /// `y = 0` (of integers a number without meaning) and NaN for infinite `x`. The derivative is 0.
    floor_div(x, y: Operand) -> Tensor {
        let (rest, apart) = x.remainder(y);
        if !x.dtype().is_float() {
            let quotient = x / y;
            return apart.select(&(&quotient - 1), &quotient);
        }
        let quotient = (x - &rest) / y;
        let quotient = apart.select(&(&quotient - 1.0), &quotient);
        // A whole number but for rounding.
        let floor = quotient.floor();
        let floor = (&quotient - &floor).greater(&x.literal(Number::Float(0.5))).select(&(&floor + 1.0), &floor);
        let ratio = x / y;
        let signed = floor.equal(&floor.zeros_like()).select(&floor.copy_sign(&ratio), &floor);
        let by_zero = y.equal(&y.zeros_like()).broadcast_to(signed.shape());
        by_zero.select(&ratio, &signed).stop_gradient()
    }

    /// The remainder of [`Tensor::floor_div`]: it has the sign of `y` (`%` has that of `x`). For
    /// `y = 0` it is NaN, of integers `x`. The derivative in `x` is 1.
    modulo(x, y: Operand) -> Tensor {
        let (rest, apart) = x.remainder(y);
        if !x.dtype().is_float() {
            return apart.select(&(&rest + y), &rest);
        }
        // Computed for a positive `y`, so that zero has its sign too.
        let sign = y.ones_like().copy_sign(y);
        let more = apart.select(&(&sign * y), &rest.zeros_like());
        &sign * (&sign * rest + more)
    }

    /// Whether the sign bit is set: of negative numbers, -0 and some NaN.
    sign_bit(x) -> Tensor {
        if x.dtype().is_int() {
            return x.less(&x.zeros_like());
        }
        let bits = x.bitcast(float(x.dtype()).bits);
        bits.less(&bits.zeros_like())
    }

    /// The magnitude of `x` with the sign of `y`.
    copy_sign(x, y: Operand) -> Tensor {
        let magnitude = x.abs();
        y.sign_bit().select(&-&magnitude, &magnitude)
    }

    /// The next number of the dtype after `x` towards `y`.
    next_after(x, y: Operand) -> Tensor {
        let Float { bits: dtype, sign, magnitude, .. } = float(x.dtype());
        let bits = x.bitcast(dtype);
        let (zero, one) = (bits.zeros_like(), bits.ones_like());
        let up = y.greater(x);
        // Magnitudes grow away from zero.
        let grows = up.equal(&bits.greater_equal(&zero));
        let moved = grows.select(&(&bits + &one), &(&bits - &one));
        let is_zero = (&bits & bits.literal(magnitude)).equal(&zero);
        let least = up.select(&one, &(&one | bits.literal(sign)));
        let next = is_zero.select(&least, &moved).bitcast(x.dtype());
        let next = x.equal(y).select(y, &next);
        (x.is_nan() | y.is_nan()).select(&(x + y), &next)
    }

    /// `x·2ⁿ` for integers `n`, rounded once.
    ldexp(x, n: Operand) -> Tensor {
        if let (true, None) = (!n.dtype().is_int(), n.as_error()) {
            let kind = ErrorKind::UnsupportedDType { dtype: n.dtype(), expected: "integer exponents" };
            return Tensor::fail("ldexp", kind, Place::here(), x);
        }
        // In three steps, so that no power overflows alone. The first ones leave all digits above the
        // least normal number, or what remains is zero.
        let (least, digits) = if x.dtype() == DType::F32 { (-126i64, 24) } else { (-1022, 53) };
        let number = |value: i64| Tensor::from(value);
        let mut left = n.cast(DType::I64).clamp(&number(4 * least), &number(-4 * least));
        let mut result = x.clone();
        for _ in 0..3 {
            let inside = left.clamp(&number(least), &number(1 - least));
            let below = left.less(&number(least));
            let step = below.select(&number(least + digits), &inside);
            result *= step.cast(x.dtype()).exp2();
            left -= step;
        }
        result
    }

    /// 0 below zero, 1 above, and `at_zero` at 0.
    heaviside(x, at_zero: Operand) -> Tensor {
        let zero = x.zeros_like();
        let step = x.greater(&zero).cast(x.dtype());
        x.equal(&zero).select(&at_zero.broadcast_to(x.shape()), &x.is_nan().select(x, &step))
    }

    /// NaN replaced by 0, infinities by the largest numbers of the dtype.
    nan_to_num(x) -> Tensor {
        let largest = x.literal(Number::Float(float(x.dtype()).largest));
        let finite = x.clamp(&-&largest, &largest);
        x.is_nan().select(&x.zeros_like(), &finite)
    }

    /// Whether elements are infinite.
    is_infinite(x) -> Tensor { x.abs().equal(&x.literal(Number::Float(f64::INFINITY))) }

    /// The larger of two; the other one where one is NaN.
    fmax(x, y: Operand) -> Tensor { (x.greater(y) | y.is_nan()).select(x, y) }

    /// The smaller of two; the other one where one is NaN.
    fmin(x, y: Operand) -> Tensor { (x.less(y) | y.is_nan()).select(x, y) }

    /// Rounded to a number of decimals, ties to even; a negative number rounds before the point.
    /// Numbers that have no digits there stay as they are.
    round_to(x, decimals: i32) -> Tensor {
        let scale = 10f64.powi(decimals.saturating_abs());
        let factor = x.literal(Number::Float(scale));
        if decimals < 0 {
            // Of a power of ten that the dtype does not hold, all numbers are less than half.
            let part = (x / &factor).round();
            let is_zero = part.equal(&part.zeros_like());
            return is_zero.select(&part, &(&part * &factor));
        }
        let large = x * &factor;
        large.is_finite().select(&(large.round() / &factor), x)
    }

    /// The fractional and the integer part; both have the sign of `x`.
    modf(x) -> (Tensor, Tensor) {
        let whole = x.trunc();
        (x - &whole, whole)
    }

    /// Whether elements are equal within `absolute + relative·|y|`. NaN is close to nothing.
    is_close(x, y: impl Operand, relative: f64, absolute: f64) -> Tensor {
        let [x, y] = tensors([Given::Tensor(x), y.given()]);
        let near = (&*x - &*y).abs().less_equal(y.abs() * relative + absolute);
        x.equal(&*y) | (&near & y.is_finite().broadcast_to(near.shape()))
    }

    /// The logarithm of the odds, `ln(x/(1 - x))`.
    logit(x) -> Tensor { x.log() - (-x).log1p() }

    /// `x·ln(y)`, 0 where `x` is 0.
    xlogy(x, y: Operand) -> Tensor { weighted(x, y, |y| y.log(), 1.0) }

    /// `x·ln(1 + y)`, 0 where `x` is 0.
    xlog1py(x, y: Operand) -> Tensor { weighted(x, y, |y| y.log1p(), 0.0) }

    /// The elementwise entropy `-x·ln(x)`: 0 at 0, -∞ below.
    entr(x) -> Tensor {
        let below = x.less(&x.zeros_like());
        let infinite = x.literal(Number::Float(f64::NEG_INFINITY)).broadcast_to(x.shape());
        let safe = below.select(&x.ones_like(), x);
        below.select(&infinite, &-safe.xlogy(&safe))
    }

    /// The elementwise relative entropy `x·ln(x/y)`; 0 for `x = 0 ≤ y`, ∞ outside of the domain.
    rel_entr(x, y: Operand) -> Tensor {
        let zero = x.zeros_like();
        let both = x.greater(&zero) & y.greater(&y.zeros_like());
        let none = x.equal(&zero) & y.greater_equal(&y.zeros_like());
        let (a, b) = (both.select(x, &x.ones_like()), both.select(y, &y.ones_like()));
        let infinite = x.literal(Number::Float(f64::INFINITY)).broadcast_to(x.shape());
        both.select(&(&a * (&a / b).log()), &none.select(&zero, &infinite))
    }

    /// The elementwise Kullback–Leibler divergence `x·ln(x/y) - x + y`.
    kl_div(x, y: Operand) -> Tensor { x.rel_entr(y) - x + y }

    /// The distribution function of the normal distribution.
    ndtr(x) -> Tensor { (x * -FRAC_1_SQRT_2).erfc() * 0.5 }

    /// The logarithm of [`Tensor::ndtr`], accurate in both tails.
    log_ndtr(x) -> Tensor {
        let number = |value: f64| x.literal(Number::Float(value));
        // Above 5 the distance from 1 counts; below the threshold a continued series does.
        let threshold = number(if x.dtype() == DType::F32 { -10.0 } else { -20.0 });
        let upper = x.greater(&number(5.0));
        let lower = x.less(&threshold);
        let outside = &upper | &lower;
        let inside = outside.select(&number(0.0), x);
        // `ln(1 - Φ(-x))`.
        let tail = (-upper.select(&-x, &number(-5.0)).ndtr()).log1p();
        let far = lower.select(x, &threshold);
        let u = far.square().recip();
        // 1 - 1/x² + 3/x⁴ - 15/x⁶ + …, the asymptotic series of the tail.
        let series = [-1.0, 3.0, -15.0, 105.0, -945.0, 10395.0]
            .iter()
            .rev()
            .fold(u.zeros_like(), |sum, &c| (sum + c) * &u);
        let asymptotic = far.square() * -0.5 - (-&far).log() - 0.5 * (2.0 * PI).ln() + series.log1p();
        lower.select(&asymptotic, &upper.select(&tail, &inside.ndtr().log()))
    }

    /// The sign of the gamma function, -1 at -0.
    gamma_sign(x) -> Tensor {
        let floor = x.floor();
        let odd = floor.modulo(&(x.ones_like() * 2.0)).not_equal(&x.zeros_like());
        let below = x.less(&x.zeros_like());
        let pole = &below & floor.equal(x);
        let sign = (below & odd).select(&-x.ones_like(), &x.ones_like());
        let sign = x.equal(&x.zeros_like()).select(&sign.copy_sign(x), &sign);
        (pole | x.is_nan()).select(&x.literal(Number::Float(f64::NAN)).broadcast_to(x.shape()), &sign)
    }

    /// The gamma function.
    gamma(x) -> Tensor { x.gamma_sign() * x.lgamma().exp() }

    /// The factorial `Γ(x + 1)`, by the gamma function: of whole numbers rounded in the last digits.
    /// Of negative numbers 0, as SciPy has it; NaN stays.
    factorial(x) -> Tensor {
        let negative = x.less(&x.zeros_like());
        let safe = negative.select(&x.zeros_like(), x);
        negative.select(&x.zeros_like(), &(safe + 1.0).lgamma().exp())
    }

    /// The logarithm of the beta function.
    betaln(x, y: Operand) -> Tensor { x.lgamma() + y.lgamma() - (x + y).lgamma() }

    /// The beta function.
    beta(x, y: Operand) -> Tensor {
        x.gamma_sign() * y.gamma_sign() * (x + y).gamma_sign() * x.betaln(y).exp()
    }

    /// Pochhammer's symbol `Γ(x + m)/Γ(x)`.
    poch(x, m: Operand) -> Tensor {
        // Γ(x)/Γ(x) is 1 at poles, too.
        let pole = x.less_equal(&x.zeros_like()) & x.floor().equal(x);
        let none = pole & m.equal(&m.zeros_like());
        let x = &none.select(&x.ones_like(), x);
        let sum = x + m;
        let sign = x.gamma_sign() * sum.gamma_sign();
        let ratio = sign * (sum.lgamma() - x.lgamma()).exp();
        none.select(&ratio.ones_like(), &ratio)
    }

    /// The logarithm of the multivariate gamma function of dimension `d`.
    multigammaln(x, d: usize) -> Tensor {
        let d_float = d as f64;
        let shape = Shape::from(x.shape()).concat(&[d]);
        let half = Tensor::iota(x.dtype(), &shape, x.rank()) * 0.5;
        let terms = x.broadcast_in_dim(&shape, (0..x.rank()).collect()) - half;
        terms.lgamma().sum_axis(-1) + 0.25 * d_float * (d_float - 1.0) * PI.ln()
    }

    /// The modified Bessel function `I₀`.
    bessel_i0(x) -> Tensor {
        let near = x.abs().less(&x.literal(Number::Float(2.0)));
        let quarter = near.select(x, &x.zeros_like()).square() / 4.0;
        let series = power_series(&quarter, (0..13).map(|k| inverse_factorial(k).powi(2)));
        let far = near.select(&x.literal(Number::Float(2.0)), x);
        near.select(&series, &(far.abs().exp() * far.bessel_i0e()))
    }

    /// The modified Bessel function `I₁`.
    bessel_i1(x) -> Tensor { x * x.bessel_i1_ratio() }

    /// `I₁(x)/x`, one half at 0.
    #[doc(hidden)]
    bessel_i1_ratio(x) -> Tensor {
        let near = x.abs().less(&x.literal(Number::Float(2.0)));
        let quarter = near.select(x, &x.zeros_like()).square() / 4.0;
        // 1/(2·k!·(k + 1)!)
        let series =
            (0..13).map(|k| 0.5 * inverse_factorial(k) * inverse_factorial(k + 1));
        let far = near.select(&x.literal(Number::Float(2.0)), x);
        near.select(&power_series(&quarter, series), &(far.abs().exp() * far.bessel_i1e() / &far))
    }

    /// `ln(1 - e⁻ˣ)` for positive `x`, accurate for small and large ones.
    log1mexp(x) -> Tensor {
        let small = x.less(&x.literal(Number::Float(LN_2)));
        let (near, far) =
            (small.select(x, &x.ones_like()), small.select(&x.ones_like(), x));
        small.select(&(-(-near).expm1()).log(), &(-(-far).exp()).log1p())
    }

    /// The transformation of Box and Cox, `(xʸ - 1)/y`, and `ln(x)` where `y` is zero.
    boxcox(x, y: Operand) -> Tensor { power_transform(&x.log(), y) }

    /// [`Tensor::boxcox`] of `1 + x`, accurate near zero.
    boxcox1p(x, y: Operand) -> Tensor { power_transform(&x.log1p(), y) }

    /// The binomial coefficient `x choose y`, by the gamma function; 0 outside of `0 ≤ y ≤ x`.
    comb(x, y: Operand) -> Tensor {
        let rest = x - y;
        let zero = rest.zeros_like();
        let inside = rest.greater_equal(&zero) & y.greater_equal(&y.zeros_like());
        // Poles of the gamma function lie outside.
        let (x, y) = (inside.select(x, &zero), inside.select(y, &zero));
        let log = (&x + 1.0).lgamma() - (&y + 1.0).lgamma() - (&x - &y + 1.0).lgamma();
        inside.select(&log.exp(), &zero)
    }

    /// The inverse of the normal distribution function [`Tensor::ndtr`].
    ndtri(x) -> Tensor {
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
        // -∞ at 0 and NaN below, and slopes of the same kind.
        let outside = inside.select(&number(1.0), &lower).sqrt().log();
        let z = inside.select(&z, &outside);
        upper.select(&-&z, &z)
    }

    /// The number of zero bits before the highest one bit of each integer.
    leading_zeros(x) -> Tensor {
        let width = 8 * x.dtype().size() as i128;
        let shift = |by: i128| x.literal(Number::Int(by)).broadcast_to(x.shape());
        let smeared = (0..width.ilog2()).fold(x.clone(), |bits, k| {
            bits.logical_or(&bits.shift_right_logical(&shift(1 << k)))
        });
        shift(width) - smeared.count_ones()
    }

    /// The greatest common divisor of integers, never negative; of 0 and 0 it is 0. One that the dtype
    /// does not hold, that of its least number and itself or 0, wraps to the least number.
    gcd(x, y: Operand) -> Tensor {
        // Euclid's algorithm takes the longest for Fibonacci numbers, of which 64 bits hold 92.
        let steps = if x.dtype().size() == 8 { 92 } else { 46 };
        // Of negative numbers, which every magnitude has, unless there are none.
        let signed = x.dtype() != DType::U32;
        let magnitude = |x: &Tensor| if signed { x.minimum(&-x) } else { x.clone() };
        let (mut a, mut b) = (magnitude(x), magnitude(y));
        for _ in 0..steps {
            let done = b.equal(&b.zeros_like());
            let rest = &a % done.select(&b.ones_like(), &b);
            (a, b) = (done.select(&a, &b), done.select(&b, &rest));
        }
        if signed { -a } else { a }
    }

    /// The least common multiple of integers, never negative; of 0 and anything it is 0. One that the
    /// dtype does not hold wraps.
    lcm(x, y: Operand) -> Tensor {
        let divisor = x.gcd(y);
        let zero = divisor.equal(&divisor.zeros_like());
        (x / zero.select(&divisor.ones_like(), &divisor) * y).abs()
    }
}

impl Tensor {
    /// The remainder of truncated division, and where it has not the sign of `y`: there floored
    /// division gives one less.
    #[track_caller]
    fn remainder(&self, y: &Tensor) -> (Tensor, Tensor) {
        let rest = self % y;
        let zero = rest.zeros_like();
        let apart = rest.less(&zero).not_equal(&y.less(&y.zeros_like()).broadcast_to(rest.shape()));
        let apart = apart & rest.not_equal(&zero) & rest.equal(&rest);
        (rest, apart)
    }
}
