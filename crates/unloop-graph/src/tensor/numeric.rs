//! Elementwise functions composed of the operations.

use std::borrow::Cow;
use std::f64::consts::{LN_2, LN_10, PI};

use super::composed;
use super::dtypes::{floats, unequal_shapes};
use super::operand::{Elementwise, Given, Operand, expanded, tensors, typed};
use super::slopes::Slopes;
use crate::error::operation;
use crate::{DType, ErrorKind, Number, Place, Tensor};

/// `Σ cₖ·uᵏ`, by Horner's rule.
///
/// Functions with a removable singularity are their power series near it: the closed form loses all
/// digits there, and more so with each derivative.
pub(super) fn power_series(
    u: &Tensor,
    coefficients: impl DoubleEndedIterator<Item = f64>,
) -> Tensor {
    coefficients.rev().fold(u.zeros_like(), |sum, c| sum * u + c)
}

/// `1/k!`.
fn inverse_factorial(k: u32) -> f64 {
    (1..=k).map(f64::from).product::<f64>().recip()
}

/// `√(x² + y²)`, whose slopes are the legs over the length.
fn length(legs: [&Tensor; 2]) -> Tensor {
    let in_each: [fn([&Tensor; 2]) -> Tensor; 2] =
        [|[x, y]| part_of_length(x, y), |[x, y]| part_of_length(y, x)];
    Slopes { name: "hypot", in_each }.of(legs, |[x, y]| {
        let (x, y) = (x.abs(), y.abs());
        let (long, short) = (x.maximum(&y), x.minimum(&y));
        // 0/0 is avoided, and nothing else changed.
        let least = if long.dtype() == DType::F32 { 1e-45 } else { 5e-324 };
        let ratio = &short / long.maximum(&long.literal(Number::Float(least)));
        let length = long * (1.0 + ratio.square()).sqrt();
        // Also beside NaN, and where the ratio of two is none.
        let infinity = x.literal(Number::Float(f64::INFINITY));
        (x.equal(&infinity) | y.equal(&infinity)).select(&infinity, &length)
    })
}

/// `x/√(x² + y²)`; 0 at the origin, where there is no direction, and at infinity.
fn part_of_length(x: &Tensor, y: &Tensor) -> Tensor {
    let length = length([x, y]);
    let none = length.equal(&length.zeros_like()) | length.is_infinite();
    none.select(&x.literal(Number::Float(0.0)), x)
        / none.select(&length.literal(Number::Float(1.0)), &length)
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

/// `u = y·log`, whether it is small, and whether `y` is 0 or `u` is small.
fn exponent(log: &Tensor, y: &Tensor) -> (Tensor, Tensor, Tensor) {
    let u = log * y;
    let small = u.abs().less(&u.literal(Number::Float(0.5)));
    let near = &small | &y.equal(&y.zeros_like());
    (u, small, near)
}

/// `(eᵘ - 1)/y` for `u = y·log`: `log` where `y` is 0.
pub(super) fn power_transform(log: &Tensor, y: &Tensor) -> Tensor {
    let (u, small, near) = exponent(log, y);
    let zero = u.zeros_like();
    // 1/(k + 1)!
    let series = power_series(&small.select(&u, &zero), (1..17).map(inverse_factorial));
    let power = near.select(&zero, &u).expm1() / near.select(&y.ones_like(), y);
    near.select(&(near.select(log, &zero) * series), &power)
}

/// The derivative of [`power_transform`] in `y`, for `power = eᵘ`.
fn power_transform_slope(log: &Tensor, y: &Tensor, power: &Tensor) -> Tensor {
    let (u, small, near) = exponent(log, y);
    let zero = u.zeros_like();
    // (k + 1)/(k + 2)!
    let terms = (1..17).map(|k| f64::from(k) * inverse_factorial(k + 1));
    let series = power_series(&small.select(&u, &zero), terms);
    let (one, log_far) = (u.ones_like(), near.select(&zero, log));
    let over = near.select(&one, y).recip();
    let far = near.select(&zero, power) * ((log_far - &over) * &over) + over.square();
    near.select(&(near.select(log, &zero).square() * series), &far)
}

/// `x·2ⁿ`, in three steps, so that no power overflows alone. The first ones leave all digits above the
/// least normal number, or what remains is zero.
fn scaled(x: &Tensor, n: &Tensor) -> Tensor {
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
    //! # Logarithms, angles, lengths
    //! Elementwise, of floats.
    /// The base-2 logarithm, elementwise: `ln(x)/ln(2)`; -∞ at 0, NaN below. The result has the shape
    /// and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).log2().to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    log2(x) -> Tensor { x.log() / LN_2 }

    /// The base-10 logarithm, elementwise: `ln(x)/ln(10)`; -∞ at 0, NaN below. The result has the shape
    /// and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 10.0]).log10().to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    log10(x) -> Tensor { x.log() / LN_10 }

    /// Radians of angles in degrees, elementwise. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 180.0]).to_radians().to_vec::<f64>()?, [0.0, std::f64::consts::PI]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    to_radians(x) -> Tensor where floats { x * (PI / 180.0) }

    /// Degrees of angles in radians, elementwise. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, std::f64::consts::PI]).to_degrees().to_vec::<f64>()?, [0.0, 180.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    to_degrees(x) -> Tensor where floats { x * (180.0 / PI) }

    /// The normalised cardinal sine `sin(πx)/(πx)`, elementwise; 1 at 0. The result has the shape and
    /// dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).sinc().to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    sinc(x) -> Tensor where floats {
        let angle = x * PI;
        let near = angle.abs().less(&angle.ones_like());
        let square = near.select(&angle, &angle.zeros_like()).square();
        // (-1)ᵏ/(2k + 1)!
        let series = (0..11).map(|k| (-1f64).powi(k) * inverse_factorial(2 * k as u32 + 1));
        let far = near.select(&angle.ones_like(), &angle);
        near.select(&power_series(&square, series), &(far.sin() / &far))
    }

    /// `√(x² + y²)`, elementwise, without overflow on the way. The derivative at the origin is 0. The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, 5.0]).hypot(Tensor::from([4.0, 12.0])).to_vec::<f64>()?, [5.0, 13.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    hypot(x, y: Operand) -> Tensor where floats { length([x, y]) }

    /// `log₂(2ˣ + 2ʸ)`, elementwise, without overflow on the way. The result has the operands' shape
    /// and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 2000.0]).logaddexp2(0.0).to_vec::<f64>()?, [1.0, 2000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    logaddexp2(x, y: Operand) -> Tensor where floats {
        log_sum(x, y, |gap| gap.exp2().log1p() / LN_2)
    }

    /// `ln(eˣ + eʸ)`, elementwise, without overflow on the way. Along axes: [`Tensor::logsumexp`]. The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1000.0]);
    /// assert_eq!(x.logaddexp(0.0).to_vec::<f64>()?, [2f64.ln(), 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    logaddexp(x, y: Operand) -> Tensor where floats { log_sum(x, y, |gap| gap.exp().log1p()) }
}

composed! {
    //! # Floored division
    //! Elementwise, of integers and floats.
    /// The largest integer not above `x/y`, elementwise, such that `x = y·floor_div(x, y) + modulo(x,
    /// y)` but for rounding: 9 for 1.0 and 0.1, which is a little more than a tenth. As NumPy has it,
    /// `x/y` for `y = 0` (of integers a number without meaning) and NaN for infinite `x`. The
    /// derivative is 0. The result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([7, -7]);
    /// assert_eq!(x.floor_div(2).to_vec::<i32>()?, [3, -4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` of bool.
    floor_div(x, y: Operand) -> Tensor where numbers {
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
        y.equal(&y.zeros_like()).select(&ratio, &signed).stop_gradient()
    }

    /// The remainder of [`Tensor::floor_div`], elementwise: it has the sign of `y` (that of `%` has the
    /// sign of `x`). For `y = 0` it is NaN, of integers `x`. The derivative in `x` is 1. The result has
    /// the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([7, -7]);
    /// assert_eq!(x.modulo(3).to_vec::<i32>()?, [1, 2]);
    /// assert_eq!((x % 3).to_vec::<i32>()?, [1, -1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` of bool.
    modulo(x, y: Operand) -> Tensor where numbers {
        let (rest, apart) = x.remainder(y);
        if !x.dtype().is_float() {
            return apart.select(&(&rest + y), &rest);
        }
        // Computed for a positive `y`, so that zero has its sign too.
        let sign = y.ones_like().copy_sign(y);
        let more = apart.select(&(&sign * y), &rest.zeros_like());
        &sign * (&sign * rest + more)
    }
}

composed! {
    //! # Parts and neighbours of floats
    //! Elementwise.
    /// Whether the sign bit is set, as bool, elementwise: of negative numbers, -0 and some NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.0, -0.0, 0.0]).sign_bit().to_vec::<bool>()?, [true, true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of bool.
    sign_bit(x) -> Tensor where numbers {
        if x.dtype().is_int() {
            return x.less(&x.zeros_like());
        }
        let bits = x.bitcast(float(x.dtype()).bits);
        bits.less(&bits.zeros_like())
    }

    /// The magnitude of `x` with the sign of `y`, elementwise. The result has the operands' shape and
    /// dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, -2.0]).copy_sign(-0.0).to_vec::<f64>()?, [-1.0, -2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` of bool.
    copy_sign(x, y: Operand) -> Tensor where numbers {
        let magnitude = x.abs();
        y.sign_bit().select(&-&magnitude, &magnitude)
    }

    /// The next number of the dtype after `x` towards `y`, elementwise; `y` where they are equal. The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 0.0]).next_after(2.0);
    /// assert_eq!(x.to_vec::<f64>()?, [1.0 + f64::EPSILON, 5e-324]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    next_after(x, y: Operand) -> Tensor where floats {
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

    /// The step function, elementwise: 0 below zero, 1 above, `at_zero` at 0; NaN stays. The result has
    /// the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 0.0, 2.0]).heaviside(0.5).to_vec::<f64>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` of bool.
    heaviside(x, at_zero: Operand) -> Tensor where numbers {
        let zero = x.zeros_like();
        let step = x.greater(&zero).cast(x.dtype());
        x.equal(&zero).select(at_zero, &x.is_nan().select(x, &step))
    }

    /// NaN replaced by 0, infinities by the largest numbers of the dtype, elementwise. The result has
    /// the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN, f64::INFINITY]);
    /// assert_eq!(x.nan_to_num().to_vec::<f64>()?, [1.0, 0.0, f64::MAX]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    nan_to_num(x) -> Tensor where floats {
        let largest = x.literal(Number::Float(float(x.dtype()).largest));
        let finite = x.clamp(&-&largest, &largest);
        x.is_nan().select(&x.zeros_like(), &finite)
    }
}

composed! {
    //! # Infinities, NaN and tolerances
    //! Elementwise.
    /// Whether each element is ∞ or -∞, as bool.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([f64::NEG_INFINITY, f64::NAN]);
    /// assert_eq!(x.is_infinite().to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    is_infinite(x) -> Tensor where floats { x.abs().equal(&x.literal(Number::Float(f64::INFINITY))) }

    /// The larger of each pair; the other one where one is NaN ([`Tensor::maximum`] gives NaN). The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN]).fmax(0.0).to_vec::<f64>()?, [1.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ.
    fmax(x, y: Operand) -> Tensor where anything { (x.greater(y) | y.is_nan()).select(x, y) }

    /// The smaller of each pair; the other one where one is NaN ([`Tensor::minimum`] gives NaN). The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN]).fmin(0.0).to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ.
    fmin(x, y: Operand) -> Tensor where anything { (x.less(y) | y.is_nan()).select(x, y) }

    /// Rounded to a number of decimals, ties to even; a negative number rounds before the point.
    /// Numbers that have no digits there stay as they are. The result has the shape and dtype of
    /// `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.234, 56.0]);
    /// assert_eq!(x.round_to(1).to_vec::<f64>()?, [1.2, 56.0]);
    /// assert_eq!(x.round_to(-1).to_vec::<f64>()?, [0.0, 60.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    round_to(x, decimals: i32) -> Tensor where floats {
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

    /// The fractional and the integer part; both have the sign of `x`, its shape and its dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (part, whole) = Tensor::from([2.5, -1.25]).modf();
    /// assert_eq!(part.to_vec::<f64>()?, [0.5, -0.25]);
    /// assert_eq!(whole.to_vec::<f64>()?, [2.0, -1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `UnsupportedDType` unless the dtype is f32 or f64.
    modf(x) -> (Tensor, Tensor) {
        let whole = x.trunc();
        (x - &whole, whole)
    }

    /// Whether elements are equal within `absolute + relative·|y|`, as bool. NaN is close to nothing,
    /// an infinity to itself.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert_eq!(x.is_close(2.001, 1e-3, 0.0).to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    is_close(x, y: impl Operand, relative: f64, absolute: f64) -> Tensor {
        let [x, y] = tensors([Given::Tensor(x), y.given()]);
        floats(&[&x, &y], || {
            let near = (&*x - &*y).abs().less_equal(y.abs() * relative + absolute);
            x.equal(&*y) | (&near & y.is_finite())
        })
    }
}

composed! {
    //! # Statistical and Bessel functions
    //! Elementwise, of floats.
    /// The logarithm of the odds, `ln(x/(1 - x))`, elementwise: the inverse of [`Tensor::sigmoid`]. ±∞
    /// at 1 and 0, NaN outside. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.0]).logit().to_vec::<f64>()?, [0.0, f64::INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    logit(x) -> Tensor where floats { x.log() - (-x).log1p() }

    /// The modified Bessel function `I₀(x)`, elementwise. The result has the shape and dtype of `self`.
    /// Abramowitz and Stegun 9.6.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).bessel_i0().to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    bessel_i0(x) -> Tensor where floats {
        let near = x.abs().less(&x.literal(Number::Float(2.0)));
        let quarter = near.select(x, &x.zeros_like()).square() / 4.0;
        let series = power_series(&quarter, (0..13).map(|k| inverse_factorial(k).powi(2)));
        let far = near.select(&x.literal(Number::Float(2.0)), x);
        near.select(&series, &(far.abs().exp() * far.bessel_i0e()))
    }

    /// The modified Bessel function `I₁(x)`, elementwise. The result has the shape and dtype of `self`.
    /// Abramowitz and Stegun 9.6.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).bessel_i1().to_vec::<f64>()?, [0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    bessel_i1(x) -> Tensor where floats { x * x.bessel_i1_ratio() }

    /// `I₁(x)/x`, one half at 0.
    #[doc(hidden)]
    bessel_i1_ratio(x) -> Tensor where floats {
        let near = x.abs().less(&x.literal(Number::Float(2.0)));
        let quarter = near.select(x, &x.zeros_like()).square() / 4.0;
        // 1/(2·k!·(k + 1)!)
        let series =
            (0..13).map(|k| 0.5 * inverse_factorial(k) * inverse_factorial(k + 1));
        let far = near.select(&x.literal(Number::Float(2.0)), x);
        near.select(&power_series(&quarter, series), &(far.abs().exp() * far.bessel_i1e() / &far))
    }

    /// `ln(1 - e⁻ˣ)` for positive `x`, elementwise, accurate for small and large ones; -∞ at 0. The
    /// result has the shape and dtype of `self`.
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    log1mexp(x) -> Tensor where floats {
        let small = x.less(&x.literal(Number::Float(LN_2)));
        let (near, far) =
            (small.select(x, &x.ones_like()), small.select(&x.ones_like(), x));
        small.select(&(-(-near).expm1()).log(), &(-(-far).exp()).log1p())
    }

    /// The transformation of Box and Cox, `(xʸ - 1)/y`, elementwise, and `ln(x)` where `y` is zero. The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([1.0, 3.0]).boxcox(2.0);
    /// assert!(y.is_close(Tensor::from([0.0, 4.0]), 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    boxcox(x, y: Operand) -> Tensor where floats {
        let slopes = Slopes {
            name: "boxcox",
            in_each: [
                |[x, y]| {
                    // Powers of negative numbers are in no domain of the logarithm, even if whole.
                    let inside = x.greater_equal(&x.zeros_like()) & y.equal(y);
                    let nan = x.literal(Number::Float(f64::NAN));
                    x.pow(&(y - 1.0)) * inside.select(&x.ones_like(), &nan)
                },
                |[x, y]| power_transform_slope(&x.log(), y, &x.pow(y)),
            ],
        };
        slopes.of([x, y], |[x, y]| power_transform(&x.log(), y))
    }

    /// [`Tensor::boxcox`] of `1 + x`, `((1 + x)ʸ - 1)/y`, elementwise, accurate near zero. The result
    /// has the operands' shape and dtype.
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    boxcox1p(x, y: Operand) -> Tensor where floats {
        let slopes = Slopes {
            name: "boxcox1p",
            in_each: [
                |[x, y]| (x.log1p() * (y - 1.0)).exp(),
                |[x, y]| power_transform_slope(&x.log1p(), y, &(x.log1p() * y).exp()),
            ],
        };
        slopes.of([x, y], |[x, y]| power_transform(&x.log1p(), y))
    }
}

composed! {
    //! # Integers
    //! Elementwise.
    /// The number of zero bits before the highest one bit of each integer; the width of the dtype for
    /// 0. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0, 1, -1]).leading_zeros().to_vec::<i32>()?, [32, 31, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is an integer.
    leading_zeros(x) -> Tensor where integers {
        let width = 8 * x.dtype().size() as i128;
        let shift = |by: i128| x.literal(Number::Int(by)).broadcast_to(x.shape());
        let smeared = (0..width.ilog2()).fold(x.clone(), |bits, k| {
            bits.logical_or(&bits.shift_right_logical(&shift(1 << k)))
        });
        shift(width) - smeared.count_ones()
    }

    /// The greatest common divisor of integers, elementwise, never negative; of 0 and 0 it is 0. One
    /// that the dtype does not hold, that of its least number and itself or 0, wraps to the least
    /// number. The result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([12, -9]).gcd(6).to_vec::<i32>()?, [6, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are integers.
    gcd(x, y: Operand) -> Tensor where integers {
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

    /// The least common multiple of integers, elementwise, never negative; of 0 and anything it is 0.
    /// One that the dtype does not hold wraps. The result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([4, 0]).lcm(6).to_vec::<i32>()?, [12, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are integers.
    lcm(x, y: Operand) -> Tensor where integers {
        let divisor = x.gcd(y);
        let zero = divisor.equal(&divisor.zeros_like());
        (x / zero.select(&divisor.ones_like(), &divisor) * y).abs()
    }
}

/// # Powers of two
impl Elementwise {
    /// `x·2ⁿ`, elementwise, for integers `n`, rounded once. The result has the operands' shape and the
    /// dtype of `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 1.0]);
    /// assert_eq!(x.ldexp(3).to_vec::<f64>()?, [8.0, 8.0]);
    /// assert_eq!(x.ldexp(Tensor::from([3, -1])).to_vec::<f64>()?, [8.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless `n` is of integers and `x` f32 or f64; `ShapeMismatch` unless
    /// the shapes are equal or one is a scalar's.
    #[track_caller]
    pub fn ldexp(&self, n: impl Operand) -> Tensor {
        operation("ldexp", || {
            // The two have no dtype in common: a number has its own.
            let exponent = typed([n.given()]);
            let [x, n] = match (n.given().is_broadcast(), exponent) {
                (true, [n]) => expanded([Cow::Borrowed(&self.0), n]),
                (false, [n]) => [Cow::Borrowed(&self.0), n],
            };
            Tensor::ldexp(&x, &n)
        })
    }
}

/// # Powers of two
impl Tensor {
    /// `x·2ⁿ`, elementwise, for integers `n`, rounded once. The result has the operands' shape and the
    /// dtype of `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (x, n) = (Tensor::from([1.0, 1.0]), Tensor::from([3, -1]));
    /// assert_eq!(Tensor::ldexp(&x, &n).to_vec::<f64>()?, [8.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless `n` is of integers and `x` f32 or f64; `ShapeMismatch` unless
    /// the shapes are equal or one is a scalar's.
    ///
    /// # Numbers
    /// The method of this name takes numbers as well; this function of tensors is for transforms.
    #[track_caller]
    pub fn ldexp(x: &Tensor, n: &Tensor) -> Tensor {
        operation("ldexp", || {
            let expected = "integer exponents";
            let wrong = || match n.dtype().is_int() || n.as_error().is_some() {
                true => unequal_shapes(&[x, n]),
                false => Some(ErrorKind::UnsupportedDType { dtype: n.dtype(), expected }),
            };
            floats(&[x], || match wrong() {
                Some(kind) => Tensor::fail("ldexp", kind, Place::here(), x),
                None => scaled(x, n),
            })
        })
    }

    /// The remainder of truncated division, and where it has not the sign of `y`: there floored
    /// division gives one less.
    #[track_caller]
    fn remainder(&self, y: &Tensor) -> (Tensor, Tensor) {
        let rest = self % y;
        let zero = rest.zeros_like();
        let apart = rest.less(&zero).not_equal(&y.less(&y.zeros_like()));
        let apart = apart & rest.not_equal(&zero) & rest.equal(&rest);
        (rest, apart)
    }
}
