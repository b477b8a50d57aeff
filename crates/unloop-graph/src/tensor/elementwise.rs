//! Elementwise methods. Operands have equal shapes, or one is a scalar.

use std::borrow::Cow;

use super::composed;
use super::operand::{Elementwise, Operand, expanded, typed};
use crate::error::{Place, operation};
use crate::{BinaryOp, CompareOp, DType, Op, Tensor, UnaryOp};

/// Gives a scalar the shape of what it meets; other shapes stay as they are, for the type rule to
/// judge.
fn expand_scalar(x: &Tensor, like: &Tensor) -> Tensor {
    if x.rank() == 0 && like.rank() != 0 { x.broadcast_to(like.shape()) } else { x.clone() }
}

/// Applies an elementwise operation; scalars go with anything.
pub(super) fn elementwise(place: Place, op: Op, operands: &[&Tensor]) -> Tensor {
    let Some(widest) = operands.iter().find(|t| t.rank() != 0) else {
        return Tensor::apply(op, operands, place).swap_remove(0);
    };
    place.scope(|| {
        let expanded: Vec<Tensor> = operands.iter().map(|t| expand_scalar(t, widest)).collect();
        Tensor::apply(op, &expanded.iter().collect::<Vec<_>>(), place).swap_remove(0)
    })
}

macro_rules! unary_methods {
    ($(#![$head:meta])* $dtypes:literal -> $result:literal:
     $($(#[$doc:meta])* $method:ident => $op:ident,)+) => {
        $(#[$head])*
        impl Tensor {$(
            $(#[$doc])*
            #[doc = ""]
            #[doc = concat!("The result has the shape of `self`, and ", $result, ".")]
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = concat!("Carried: `UnsupportedDType` unless the dtype is ", $dtypes, ".")]
            #[track_caller]
            pub fn $method(&self) -> Tensor {
                let place = Place::of(stringify!($method));
                Tensor::apply(Op::Unary(UnaryOp::$op), &[self], place).swap_remove(0)
            }
        )+}
    };
}

unary_methods! {
    //! # Signs, rounding and squares
    //! Elementwise.
    "an integer or a float" -> "its dtype":
    /// The magnitude `|x|`, elementwise. Of the least integer of a signed dtype, which has no magnitude
    /// there, itself.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 0.0, 2.0]).abs().to_vec::<f64>()?, [1.5, 0.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "absolute")]
    abs => Abs,
    /// -1, 0 or 1, elementwise; signed zeros and NaN stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-3.0, 0.0, 5.0]).sign().to_vec::<f64>()?, [-1.0, 0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "signum")]
    sign => Sign,
    /// `x·x`, elementwise; integers wrap.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-3, 2]).square().to_vec::<i32>()?, [9, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    square => Square,
}

unary_methods! {
    //! # Rounding
    //! Elementwise, of floats.
    "f32 or f64" -> "its dtype":
    /// The largest integer not above each element.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 1.5]).floor().to_vec::<f64>()?, [-2.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    floor => Floor,
    /// The smallest integer not below each element.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 1.5]).ceil().to_vec::<f64>()?, [-1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ceil => Ceil,
    /// The nearest integer, ties to even (as NumPy).
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.5, -1.6]).round().to_vec::<f64>()?, [0.0, 2.0, -2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    round => Round,
    /// The nearest integer, ties away from zero.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.5, -2.5]).round_away().to_vec::<f64>()?, [1.0, 2.0, -3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    round_away => RoundAway,
    /// The integer part: rounded towards zero.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.7, 1.7]).trunc().to_vec::<f64>()?, [-1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    trunc => Trunc,
}

unary_methods! {
    //! # Roots, exponentials and logarithms
    //! Elementwise, of floats.
    "f32 or f64" -> "its dtype":
    /// The square root, elementwise; NaN for negative numbers. The derivative at 0 is infinite.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([4.0, 9.0]).sqrt().to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    sqrt => Sqrt,
    /// `1/√x`, elementwise; ∞ at 0, NaN for negative numbers.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([4.0, 16.0]).rsqrt().to_vec::<f64>()?, [0.5, 0.25]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    rsqrt => Rsqrt,
    /// The cube root, elementwise; negative for negative numbers.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([8.0, -27.0]).cbrt().to_vec::<f64>()?, [2.0, -3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    cbrt => Cbrt,
    /// `1/x`, elementwise; infinite at 0.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2.0, -4.0]).recip().to_vec::<f64>()?, [0.5, -0.25]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "reciprocal")]
    recip => Reciprocal,
    /// `eˣ`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, f64::NEG_INFINITY]).exp().to_vec::<f64>()?, [1.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    exp => Exp,
    /// `2ˣ`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, -1.0]).exp2().to_vec::<f64>()?, [8.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    exp2 => Exp2,
    /// `eˣ - 1`, elementwise, accurate near zero.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1e-20]).expm1().to_vec::<f64>()?, [0.0, 1e-20]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "exp_m1")]
    expm1 => Expm1,
    /// The natural logarithm, elementwise; -∞ at 0, NaN for negative numbers. Other bases:
    /// [`Tensor::log2`], [`Tensor::log10`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 0.0]).log().to_vec::<f64>()?, [0.0, f64::NEG_INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "ln")]
    log => Log,
    /// `ln(1 + x)`, elementwise, accurate near zero; -∞ at -1, NaN below.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1e-20]).log1p().to_vec::<f64>()?, [0.0, 1e-20]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "ln_1p")]
    log1p => Log1p,
}

unary_methods! {
    //! # Trigonometric and hyperbolic functions
    //! Elementwise, of floats. Angles are in radians.
    "f32 or f64" -> "its dtype":
    /// The sine of angles in radians, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([0.0, std::f64::consts::FRAC_PI_2]).sin();
    /// assert!(y.is_close(Tensor::from([0.0, 1.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    sin => Sin,
    /// The cosine of angles in radians, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([0.0, std::f64::consts::PI]).cos();
    /// assert!(y.is_close(Tensor::from([1.0, -1.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    cos => Cos,
    /// The tangent of angles in radians, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([0.0, std::f64::consts::FRAC_PI_4]).tan();
    /// assert!(y.is_close(Tensor::from([0.0, 1.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    tan => Tan,
    /// The arc sine in radians, from -π/2 to π/2, elementwise; NaN outside of `-1 <= x <= 1`.
    #[doc(alias = "arcsin")]
    asin => Asin,
    /// The arc cosine in radians, from 0 to π, elementwise; NaN outside of `-1 <= x <= 1`.
    #[doc(alias = "arccos")]
    acos => Acos,
    /// The arc tangent in radians, from -π/2 to π/2, elementwise. Of two coordinates: [`Tensor::atan2`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([0.0, 1.0]).atan();
    /// let expected = Tensor::from([0.0, std::f64::consts::FRAC_PI_4]);
    /// assert!(y.is_close(expected, 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "arctan")]
    atan => Atan,
    /// The hyperbolic sine, elementwise.
    sinh => Sinh,
    /// The hyperbolic cosine, elementwise.
    cosh => Cosh,
    /// The hyperbolic tangent, elementwise; from -1 to 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 100.0]).tanh().to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    tanh => Tanh,
    /// The inverse hyperbolic sine, elementwise.
    asinh => Asinh,
    /// The inverse hyperbolic cosine, elementwise; NaN below 1.
    acosh => Acosh,
    /// The inverse hyperbolic tangent, elementwise; ±∞ at ±1, NaN beyond.
    atanh => Atanh,
}

unary_methods! {
    //! # Special functions of one argument
    //! Elementwise, of floats.
    "f32 or f64" -> "its dtype":
    /// The logistic function `1/(1 + e⁻ˣ)`, elementwise; from 0 to 1, without overflow.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1000.0]).sigmoid().to_vec::<f64>()?, [0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "expit")]
    #[doc(alias = "logistic")]
    sigmoid => Logistic,
    /// The error function `2/√π · ∫₀ˣ e^(-t²) dt`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 10.0]).erf().to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    erf => Erf,
    /// The complementary error function `1 - erf(x)`, elementwise, accurate for large `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).erfc().to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    erfc => Erfc,
    /// The inverse of the error function, elementwise; ±∞ at ±1, NaN beyond.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1.0]).erf_inv().to_vec::<f64>()?, [0.0, f64::INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "erfinv")]
    erf_inv => ErfInv,
    /// The logarithm of the absolute value of the gamma function, `ln |Γ(x)|`, elementwise; ∞ at the poles
    /// 0, -1, -2, ….
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([1.0, 5.0]).lgamma();
    /// assert!(y.is_close(Tensor::from([0.0, 24f64.ln()]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "ln_gamma")]
    #[doc(alias = "gammaln")]
    lgamma => Lgamma,
    /// The digamma function `ψ(x)`, the derivative of [`Tensor::lgamma`], elementwise; NaN at the poles 0,
    /// -1, -2, ….
    digamma => Digamma,
    /// `e^-|x|·I₀(x)`, elementwise: the exponentially scaled modified Bessel function of order 0.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).bessel_i0e().to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    bessel_i0e => BesselI0e,
    /// `e^-|x|·I₁(x)`, elementwise: the exponentially scaled modified Bessel function of order 1.
    bessel_i1e => BesselI1e,
}

unary_methods! {
    //! # Classification of floats
    "f32 or f64" -> "dtype bool":
    /// Whether each element is neither infinite nor NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, f64::INFINITY, f64::NAN]);
    /// assert_eq!(x.is_finite().to_vec::<bool>()?, [true, false, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "isfinite")]
    is_finite => IsFinite,
}

unary_methods! {
    //! # Logical not
    "bool or an integer" -> "its dtype":
    /// Logical not of booleans, bitwise not of integers, as the operator `!`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([true, false]).logical_not().to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    logical_not => Not,
}

unary_methods! {
    //! # Counting bits
    "an integer" -> "its dtype":
    /// The number of one bits of each integer.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0, 7, -1]).count_ones().to_vec::<i32>()?, [0, 3, 32]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    count_ones => PopulationCount,
}

macro_rules! binary_methods {
    ($(#![$head:meta])* $dtypes:literal -> $result:literal:
     $($(#[$doc:meta])* $method:ident => $family:ident($kind:ident::$op:ident),)+) => {
        composed! {
            $(#![$head])*
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("The result has the operands' shape, and ", $result, ".")]
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = "Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's;"]
                #[doc = concat!("`DTypeMismatch` if the dtypes differ", $dtypes, ".")]
                $method(x, y: Operand) -> Tensor {
                    elementwise(Place::here(), Op::$family($kind::$op), &[x, y])
                }
            )+
        }
    };
}

binary_methods! {
    //! # Powers and angles of two operands
    //! Elementwise, of floats.
    "; `UnsupportedDType` unless they are f32 or f64" -> "their dtype":
    /// `xʸ`, elementwise; NaN for negative `x` unless `y` is a whole number. A fixed integer exponent is
    /// [`Tensor::powi`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([2.0, 3.0]);
    /// assert_eq!(x.pow(2.0).to_vec::<f64>()?, [4.0, 9.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "powf")]
    #[doc(alias = "power")]
    pow => Binary(BinaryOp::Pow),
    /// The angle of the point `(y, x)` of `x.atan2(y)`, elementwise, in radians from -π to π.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 0.0]);
    /// assert_eq!(x.atan2(1.0).to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "arctan2")]
    atan2 => Binary(BinaryOp::Atan2),
}

binary_methods! {
    //! # Special functions of two arguments
    //! Elementwise, of floats.
    "; `UnsupportedDType` unless they are f32 or f64" -> "their dtype":
    /// The derivative of [`Tensor::digamma`] at `y` of order `x`, a whole number. NaN for another order and
    /// below -100,000; at poles ∞ for odd orders and NaN for even ones. Abramowitz and Stegun 6.4.
    polygamma => Binary(BinaryOp::Polygamma),
    /// The regularised lower incomplete gamma function `P(x, y)` of order `x`. NaN outside of `x > 0`,
    /// `y >= 0`; orders up to about a million keep ten digits. Abramowitz and Stegun 6.5.1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert_eq!(x.igamma(0.0).to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "gammainc")]
    igamma => Binary(BinaryOp::Igamma),
    /// The regularised upper incomplete gamma function `Q(x, y) = 1 - P(x, y)` of order `x`, accurate where
    /// it is small. NaN outside of `x > 0`, `y >= 0`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert_eq!(x.igammac(0.0).to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "gammaincc")]
    igammac => Binary(BinaryOp::Igammac),
}

binary_methods! {
    //! # The larger and the smaller
    //! Elementwise, of any dtype.
    "" -> "their dtype":
    /// The larger of each pair; NaN if either is NaN ([`Tensor::fmax`] takes the other). `true` is larger
    /// than `false`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-1.0, 3.0]);
    /// assert_eq!(x.maximum(0.0).to_vec::<f64>()?, [0.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "max")]
    maximum => Binary(BinaryOp::Max),
    /// The smaller of each pair; NaN if either is NaN ([`Tensor::fmin`] takes the other). `false` is smaller
    /// than `true`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-1.0, 3.0]);
    /// assert_eq!(x.minimum(0.0).to_vec::<f64>()?, [-1.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "min")]
    minimum => Binary(BinaryOp::Min),
}

binary_methods! {
    //! # Logical operations
    //! Elementwise; bitwise of integers.
    "; `UnsupportedDType` unless they are bool or integers" -> "their dtype":
    /// Logical and of booleans, bitwise and of integers, as the operator `&`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([true, true]);
    /// assert_eq!(x.logical_and(Tensor::from([true, false])).to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    logical_and => Binary(BinaryOp::And),
    /// Logical or of booleans, bitwise or of integers, as the operator `|`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([false, false]);
    /// assert_eq!(x.logical_or(Tensor::from([true, false])).to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    logical_or => Binary(BinaryOp::Or),
    /// Exclusive or of booleans, bitwise of integers, as the operator `^`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([true, true]);
    /// assert_eq!(x.logical_xor(Tensor::from([true, false])).to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    logical_xor => Binary(BinaryOp::Xor),
}

binary_methods! {
    //! # Shifts of bits
    //! Elementwise, of integers. An amount is unsigned.
    "; `UnsupportedDType` unless they are integers" -> "their dtype":
    /// The bits of `x` shifted left by `y`; by the width of the dtype or more: zero.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 3]);
    /// assert_eq!(x.shift_left(2).to_vec::<i32>()?, [4, 12]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    shift_left => Binary(BinaryOp::ShiftLeft),
    /// The bits of `x` shifted right by `y` and filled with the highest bit, the sign (also of u32).
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-8, 8]);
    /// assert_eq!(x.shift_right(2).to_vec::<i32>()?, [-2, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    shift_right => Binary(BinaryOp::ShiftRightArithmetic),
    /// The bits of `x` shifted right by `y` and filled with zeros.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-1, 8]);
    /// assert_eq!(x.shift_right_logical(2).to_vec::<i32>()?, [0x3fff_ffff, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    shift_right_logical => Binary(BinaryOp::ShiftRightLogical),
}

binary_methods! {
    //! # Comparisons
    //! Elementwise, of any dtype. Comparisons with NaN are false, but `not_equal` is true.
    "" -> "dtype bool":
    /// `x == y`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert_eq!(x.equal(2).to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "eq")]
    equal => Compare(CompareOp::Eq),
    /// `x != y`, elementwise; true beside NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert_eq!(x.not_equal(2).to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "ne")]
    not_equal => Compare(CompareOp::Ne),
    /// `x < y`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.less(2).to_vec::<bool>()?, [true, false, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "lt")]
    less => Compare(CompareOp::Lt),
    /// `x <= y`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.less_equal(2).to_vec::<bool>()?, [true, true, false]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "le")]
    less_equal => Compare(CompareOp::Le),
    /// `x > y`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.greater(2).to_vec::<bool>()?, [false, false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "gt")]
    greater => Compare(CompareOp::Gt),
    /// `x >= y`, elementwise.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.greater_equal(2).to_vec::<bool>()?, [false, true, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "ge")]
    greater_equal => Compare(CompareOp::Ge),
}

composed! {
    //! # Rust's names
    /// The natural logarithm, elementwise, as Rust calls it: [`Tensor::log`]. The result has the shape
    /// and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 0.0]).ln().to_vec::<f64>()?, [0.0, f64::NEG_INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    ln(x) -> Tensor { x.log() }

    /// `xʸ`, elementwise, as Rust calls it for floats: [`Tensor::pow`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2.0, 3.0]).powf(2.0).to_vec::<f64>()?, [4.0, 9.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    powf(x, y: Operand) -> Tensor { Tensor::pow(x, y) }
}

composed! {
    //! # Bounds
    /// Each element of `x` moved into `low..=high`; NaN stays. Where `low` is above `high`, `high`. The
    /// result has the operands' shape and dtype, which may be any.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-3.0, 0.5]);
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec::<f64>()?, [-1.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or scalars'; `DTypeMismatch` if the dtypes
    /// differ.
    #[doc(alias = "clip")]
    clamp(x, low: Operand, high: Operand) -> Tensor { elementwise(Place::here(), Op::Clamp, &[low, x, high]) }
}

composed! {
    //! # The incomplete beta function
    /// The regularised incomplete beta function `Iₓ(a, b)`, elementwise. NaN outside of `a > 0`, `b >
    /// 0`, `0 <= x <= 1`. Differentiable in `x`. The result has the shape and dtype of `x`. Abramowitz
    /// and Stegun 26.5.1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0]);
    /// assert_eq!(x.betainc(2.0, 3.0).to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless `a` and `b` have the shape of `x` or are scalars;
    /// `DTypeMismatch` if the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    betainc(x, a: Operand, b: Operand) -> Tensor {
        let wide = |t: &Tensor| match t.rank() == 0 && x.rank() > 0 {
            true => t.broadcast_to(x.shape()),
            false => t.clone(),
        };
        Tensor::apply1(Op::Betainc, &[&wide(a), &wide(b), x])
    }
}

/// # Choice
impl Elementwise {
    /// Where this bool tensor is true the element of `on_true`, else that of `on_false`. The three have
    /// one shape, or are scalars; the result has the dtype of the other two. Both are computed; a
    /// derivative flows only into the one chosen.
    ///
    /// NaN and ∞ of the other do not matter for the value, but do for the derivative: the other gets
    /// the derivative 0, and 0 times an infinite slope, as of `√x` at 0, is NaN. Choose what is put in
    /// as well, so that the slope is finite:
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-1.0, 4.0]);
    /// let positive = x.greater(0.0);
    /// let root = positive.select(positive.select(&x, 1.0).sqrt(), 0.0);
    /// assert_eq!(root.to_vec::<f64>()?, [0.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless this tensor is bool; `ShapeMismatch` unless the shapes are
    /// equal or scalars'; `DTypeMismatch` if the dtypes of `on_true` and `on_false` differ.
    #[doc(alias = "where")]
    #[track_caller]
    pub fn select(&self, on_true: impl Operand, on_false: impl Operand) -> Tensor {
        operation("select", || {
            let (on_true, on_false) = (on_true.given(), on_false.given());
            let is_wide = on_true.is_broadcast() || on_false.is_broadcast();
            let [on_true, on_false] = typed([on_true, on_false]);
            let all = [Cow::Borrowed(&self.0), on_true, on_false];
            let [mask, on_true, on_false] = if is_wide { expanded(all) } else { all };
            Tensor::select(&mask, &on_true, &on_false)
        })
    }
}

/// # Choice
impl Tensor {
    /// Where `mask` is true the element of `on_true`, else that of `on_false`. The three have one
    /// shape, or are scalars; `mask` is bool, and the result has the dtype of the other two.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let mask = Tensor::from([true, false]);
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::select(&mask, &a, &b).to_vec::<i32>()?, [1, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless `mask` is bool; `ShapeMismatch` unless the shapes are equal
    /// or scalars'; `DTypeMismatch` if the dtypes of `on_true` and `on_false` differ.
    ///
    /// # Numbers
    /// The method of this name takes numbers as well; this function of tensors is for transforms.
    #[track_caller]
    pub fn select(mask: &Tensor, on_true: &Tensor, on_false: &Tensor) -> Tensor {
        operation("select", || elementwise(Place::here(), Op::Select, &[mask, on_true, on_false]))
    }
}

/// # Conversion of dtypes, NaN, integer powers
impl Tensor {
    /// The elements in another dtype, in the same shape: floats are rounded to nearest, become integers
    /// by truncation that saturates (NaN gives 0), integers wrap, bool is 0 and 1, and anything but
    /// zero is true.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let x = Tensor::from([1.9, -1.9, f64::NAN]);
    /// assert_eq!(x.cast(DType::I32).to_vec::<i32>()?, [1, -1, 0]);
    /// assert_eq!(x.cast(DType::Bool).to_vec::<bool>()?, [true, true, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        operation("cast", || match dtype {
            _ if self.dtype() == dtype => self.clone(),
            DType::Bool => self.not_equal(&self.zeros_like()),
            _ => Tensor::apply1(Op::Convert(dtype), &[self]),
        })
    }

    /// The bits of the elements, read as another dtype of the same width; the shape stays. No
    /// derivative flows.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let bits = Tensor::from([1.0f32]).bitcast(DType::U32);
    /// assert_eq!(bits.to_vec::<u32>()?, [0x3f80_0000]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` if the dtypes are not equally wide, or one is bool.
    #[track_caller]
    pub fn bitcast(&self, dtype: DType) -> Tensor {
        operation("bitcast", || Tensor::apply1(Op::Bitcast(dtype), &[self]))
    }

    /// Whether each element is NaN, as bool, in the same shape; `false` everywhere of integers and
    /// bool.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN]).is_nan().to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn is_nan(&self) -> Tensor {
        operation("is_nan", || self.not_equal(self))
    }

    /// The same value, of any dtype, through which no derivative flows.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert_eq!(x.stop_gradient().to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn stop_gradient(&self) -> Tensor {
        operation("stop_gradient", || Tensor::apply1(Op::StopGradient, &[self]))
    }

    /// `xⁿ`, elementwise, for a fixed integer `n`, by repeated squaring; a negative one is the power of
    /// the reciprocal. `x⁰` is 1. The result has the shape and dtype of `self`; integers wrap.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2, -3]).powi(3).to_vec::<i32>()?, [8, -27]);
    /// assert_eq!(Tensor::from([2.0, 4.0]).powi(-1).to_vec::<f64>()?, [0.5, 0.25]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of a negative exponent unless the dtype is f32 or f64, and of bool.
    #[track_caller]
    pub fn powi(&self, exponent: i32) -> Tensor {
        operation("powi", || {
            let base = if exponent < 0 { self.recip() } else { self.clone() };
            let (mut power, mut square) = (None::<Tensor>, base);
            let mut rest = exponent.unsigned_abs();
            loop {
                if rest & 1 == 1 {
                    power = Some(power.map_or(square.clone(), |p| p * &square));
                }
                rest >>= 1;
                if rest == 0 {
                    break;
                }
                square = square.square();
            }
            power.unwrap_or_else(|| match self.as_error() {
                Some(_) => self.clone(),
                None => self.ones_like(),
            })
        })
    }
}
