//! Elementwise functions composed of the operations.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10, PI};

use super::composed;
use crate::{DType, ErrorKind, Number, Place, Tensor};

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
        let is_zero = x.equal(&x.zeros_like());
        let angle = is_zero.select(&x.ones_like(), x) * PI;
        is_zero.select(&x.ones_like(), &(angle.sin() / angle))
    }

    /// `√(x² + y²)` without overflow on the way.
    hypot(x, y: &Tensor) -> Tensor {
        let (x, y) = (x.abs(), y.abs());
        let (most, least) = (x.maximum(&y), x.minimum(&y));
        // 0/0 and ∞/∞ are replaced by 0/1 and 0/∞.
        let plain = most.greater(&most.zeros_like()) & most.is_finite();
        let ratio = plain.select(&least, &least.zeros_like()) / plain.select(&most, &most.ones_like());
        most * (ratio.square() + 1.0).sqrt()
    }

    /// `log₂(2ˣ + 2ʸ)` without overflow on the way.
    logaddexp2(x, y: &Tensor) -> Tensor { (x * LN_2).logaddexp(&(y * LN_2)) / LN_2 }

    /// The largest integer not above `x/y`, such that `x = y·floor_div(x, y) + modulo(x, y)` but for
    /// rounding: 9 for 1.0 and 0.1, which is a little more than a tenth. As NumPy has it, `x/y` for
    /// `y = 0` and NaN for infinite `x`. The derivative is 0.
    floor_div(x, y: &Tensor) -> Tensor {
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

    /// The remainder of [`Tensor::floor_div`]: it has the sign of `y` (`%` has that of `x`). The
    /// derivative in `x` is 1.
    modulo(x, y: &Tensor) -> Tensor {
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
    copy_sign(x, y: &Tensor) -> Tensor {
        let magnitude = x.abs();
        y.sign_bit().select(&-&magnitude, &magnitude)
    }

    /// The next number of the dtype after `x` towards `y`.
    next_after(x, y: &Tensor) -> Tensor {
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
    ldexp(x, n: &Tensor) -> Tensor {
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
            result = result * step.cast(x.dtype()).exp2();
            left = left - step;
        }
        result
    }

    /// 0 below zero, 1 above, and `at_zero` at 0.
    heaviside(x, at_zero: &Tensor) -> Tensor {
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
    fmax(x, y: &Tensor) -> Tensor {
        let most = x.maximum(y);
        x.is_nan().select(y, &y.is_nan().select(x, &most))
    }

    /// The smaller of two; the other one where one is NaN.
    fmin(x, y: &Tensor) -> Tensor {
        let least = x.minimum(y);
        x.is_nan().select(y, &y.is_nan().select(x, &least))
    }

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
    is_close(x, y: &Tensor, relative: f64, absolute: f64) -> Tensor {
        let near = (x - y).abs().less_equal(&(y.abs() * relative + absolute));
        x.equal(y) | (&near & y.is_finite().broadcast_to(near.shape()))
    }

    /// The logarithm of the odds, `ln(x/(1 - x))`.
    logit(x) -> Tensor { x.log() - (-x).log1p() }

    /// `x·ln(y)`, 0 where `x` is 0.
    xlogy(x, y: &Tensor) -> Tensor {
        let is_zero = x.equal(&x.zeros_like()) & y.is_nan().logical_not();
        let safe = is_zero.select(&y.ones_like(), y);
        x * safe.log()
    }

    /// `x·ln(1 + y)`, 0 where `x` is 0.
    xlog1py(x, y: &Tensor) -> Tensor {
        let is_zero = x.equal(&x.zeros_like()) & y.is_nan().logical_not();
        let safe = is_zero.select(&y.zeros_like(), y);
        x * safe.log1p()
    }

    /// The elementwise entropy `-x·ln(x)`: 0 at 0, -∞ below.
    entr(x) -> Tensor {
        let below = x.less(&x.zeros_like());
        let infinite = x.literal(Number::Float(f64::NEG_INFINITY)).broadcast_to(x.shape());
        let safe = below.select(&x.ones_like(), x);
        below.select(&infinite, &-safe.xlogy(&safe))
    }

    /// The elementwise relative entropy `x·ln(x/y)`; 0 for `x = 0 ≤ y`, ∞ outside of the domain.
    rel_entr(x, y: &Tensor) -> Tensor {
        let zero = x.zeros_like();
        let both = x.greater(&zero) & y.greater(&y.zeros_like());
        let none = x.equal(&zero) & y.greater_equal(&y.zeros_like());
        let (a, b) = (both.select(x, &x.ones_like()), both.select(y, &y.ones_like()));
        let infinite = x.literal(Number::Float(f64::INFINITY)).broadcast_to(x.shape());
        both.select(&(&a * (&a / b).log()), &none.select(&zero, &infinite))
    }

    /// The elementwise Kullback–Leibler divergence `x·ln(x/y) - x + y`.
    kl_div(x, y: &Tensor) -> Tensor { x.rel_entr(y) - x + y }

    /// The distribution function of the normal distribution.
    ndtr(x) -> Tensor { (x * -FRAC_1_SQRT_2).erfc() * 0.5 }

    /// The logarithm of [`Tensor::ndtr`], accurate in both tails.
    log_ndtr(x) -> Tensor {
        let number = |value: f64| x.literal(Number::Float(value));
        // Above 5 the distance from 1 counts; below the threshold a continued series does.
        let threshold = number(if x.dtype() == DType::F32 { -10.0 } else { -20.0 });
        let upper = x.greater(&number(5.0));
        let lower = x.less(&threshold);
        let inside = x.clamp(&threshold, &number(5.0));
        let tail = -upper.select(&-x, &-number(5.0).broadcast_to(x.shape())).ndtr();
        let far = lower.select(x, &threshold.broadcast_to(x.shape()));
        let u = far.square().recip();
        // 1 - 1/x² + 3/x⁴ - 15/x⁶ + …, the asymptotic series of the tail.
        let series = [-1.0, 3.0, -15.0, 105.0, -945.0, 10395.0]
            .iter()
            .rev()
            .fold(u.zeros_like(), |sum, &c| (sum + c) * &u);
        let asymptotic = far.square() * -0.5 - (-&far).log() - 0.5 * (2.0 * PI).ln() + series.log1p();
        lower.select(&asymptotic, &upper.select(&tail, &inside.ndtr().log()))
    }

    /// The sign of the gamma function.
    gamma_sign(x) -> Tensor {
        let floor = x.floor();
        let odd = floor.modulo(&(x.ones_like() * 2.0)).not_equal(&x.zeros_like());
        let below = x.less(&x.zeros_like());
        let pole = &below & floor.equal(x);
        let sign = (below & odd).select(&-x.ones_like(), &x.ones_like());
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
    betaln(x, y: &Tensor) -> Tensor { x.lgamma() + y.lgamma() - (x + y).lgamma() }

    /// The beta function.
    beta(x, y: &Tensor) -> Tensor {
        x.gamma_sign() * y.gamma_sign() * (x + y).gamma_sign() * x.betaln(y).exp()
    }

    /// Pochhammer's symbol `Γ(x + m)/Γ(x)`.
    poch(x, m: &Tensor) -> Tensor {
        let sum = x + m;
        let sign = x.gamma_sign() * sum.gamma_sign();
        let ratio = sign * (sum.lgamma() - x.lgamma()).exp();
        m.equal(&m.zeros_like()).broadcast_to(ratio.shape()).select(&ratio.ones_like(), &ratio)
    }

    /// The logarithm of the multivariate gamma function of dimension `d`.
    multigammaln(x, d: usize) -> Tensor {
        let d_float = d as f64;
        let sum: Tensor = (0..d).map(|i| (x - 0.5 * i as f64).lgamma()).sum();
        sum + 0.25 * d_float * (d_float - 1.0) * PI.ln()
    }

    /// The modified Bessel function `I₀`.
    bessel_i0(x) -> Tensor { x.abs().exp() * x.bessel_i0e() }

    /// The modified Bessel function `I₁`.
    bessel_i1(x) -> Tensor { x.abs().exp() * x.bessel_i1e() }

    /// `ln(1 - e⁻ˣ)` for positive `x`, accurate for small and large ones.
    log1mexp(x) -> Tensor {
        let small = x.less(&x.literal(Number::Float(LN_2)));
        let (near, far) =
            (small.select(x, &x.ones_like()), small.select(&x.ones_like(), x));
        small.select(&(-(-near).expm1()).log(), &(-(-far).exp()).log1p())
    }

    /// The transformation of Box and Cox, `(xʸ - 1)/y`, and `ln(x)` where `y` is zero.
    boxcox(x, y: &Tensor) -> Tensor {
        let zero = y.equal(&y.zeros_like());
        let power = zero.select(&y.ones_like(), y);
        let log = x.log();
        let shape = (&log + y).zeros_like();
        (zero | &shape.is_nan().zeros_like()).select(&(&log + &shape), &((&log * &power).expm1() / power))
    }

    /// [`Tensor::boxcox`] of `1 + x`, accurate near zero.
    boxcox1p(x, y: &Tensor) -> Tensor {
        let zero = y.equal(&y.zeros_like());
        let power = zero.select(&y.ones_like(), y);
        let log = x.log1p();
        let shape = (&log + y).zeros_like();
        (zero | &shape.is_nan().zeros_like()).select(&(&log + &shape), &((&log * &power).expm1() / power))
    }

    /// The binomial coefficient `x choose y`, by the gamma function; 0 outside of `0 ≤ y ≤ x`.
    comb(x, y: &Tensor) -> Tensor {
        let rest = x - y;
        let log = (x + 1.0).lgamma() - (y + 1.0).lgamma() - (&rest + 1.0).lgamma();
        let zero = log.zeros_like();
        let inside = (&rest + &zero).greater_equal(&zero) & (y + &zero).greater_equal(&zero);
        inside.select(&inside.select(&log, &zero).exp(), &zero)
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
            z = z - (at - &log) / slope;
        }
        let edge = x.equal(&number(0.0)) | x.equal(&number(1.0));
        let outside = edge.select(&number(f64::NEG_INFINITY), &number(f64::NAN));
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
    gcd(x, y: &Tensor) -> Tensor {
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
    lcm(x, y: &Tensor) -> Tensor {
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
