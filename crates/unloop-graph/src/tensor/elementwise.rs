//! Elementwise methods. Operands have equal shapes, or one is a scalar.

use std::borrow::Cow;

use super::operand::{Elementwise, Operand, expanded, typed, with_operands};
use crate::error::{ErrorKind, Place, operation};
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
    ($($(#[$doc:meta])* $method:ident => $op:ident,)+) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self) -> Tensor {
                let place = Place::of(stringify!($method));
                Tensor::apply(Op::Unary(UnaryOp::$op), &[self], place).swap_remove(0)
            }
        )+}
    };
}

unary_methods! {
    /// `|x|`. Of the least integer of a signed dtype, which has no magnitude there, itself.
    #[doc(alias = "absolute")]
    abs => Abs,
    /// -1, 0 or 1; signed zeros and NaN stay.
    #[doc(alias = "signum")]
    sign => Sign,
    /// The largest integer not above each element.
    floor => Floor,
    /// The smallest integer not below each element.
    ceil => Ceil,
    /// The nearest integer, ties to even (as NumPy).
    round => Round,
    /// The nearest integer, ties away from zero.
    round_away => RoundAway,
    /// The integer part.
    trunc => Trunc,
    /// Square root; NaN for negative numbers.
    sqrt => Sqrt,
    /// `1/√x`.
    rsqrt => Rsqrt,
    /// Cube root.
    cbrt => Cbrt,
    /// `1/x`.
    #[doc(alias = "reciprocal")]
    recip => Reciprocal,
    /// `x·x`.
    square => Square,
    /// `eˣ`.
    exp => Exp,
    /// `2ˣ`.
    exp2 => Exp2,
    /// `eˣ - 1`, accurate near zero.
    #[doc(alias = "exp_m1")]
    expm1 => Expm1,
    /// Natural logarithm.
    #[doc(alias = "ln")]
    log => Log,
    /// `ln(1 + x)`, accurate near zero.
    #[doc(alias = "ln_1p")]
    log1p => Log1p,
    /// Sine, of radians.
    sin => Sin,
    /// Cosine, of radians.
    cos => Cos,
    /// Tangent, of radians.
    tan => Tan,
    /// Arc sine, in radians.
    #[doc(alias = "arcsin")]
    asin => Asin,
    /// Arc cosine, in radians.
    #[doc(alias = "arccos")]
    acos => Acos,
    /// Arc tangent, in radians.
    #[doc(alias = "arctan")]
    atan => Atan,
    /// Hyperbolic sine.
    sinh => Sinh,
    /// Hyperbolic cosine.
    cosh => Cosh,
    /// Hyperbolic tangent.
    tanh => Tanh,
    /// Inverse hyperbolic sine.
    asinh => Asinh,
    /// Inverse hyperbolic cosine.
    acosh => Acosh,
    /// Inverse hyperbolic tangent.
    atanh => Atanh,
    /// The logistic function `1/(1 + e⁻ˣ)`.
    #[doc(alias = "expit")]
    #[doc(alias = "logistic")]
    sigmoid => Logistic,
    /// The error function.
    erf => Erf,
    /// The complementary error function `1 - erf(x)`, accurate for large `x`.
    erfc => Erfc,
    /// Inverse of the error function.
    #[doc(alias = "erfinv")]
    erf_inv => ErfInv,
    /// Logarithm of the absolute value of the gamma function.
    #[doc(alias = "ln_gamma")]
    #[doc(alias = "gammaln")]
    lgamma => Lgamma,
    /// Derivative of `lgamma`.
    digamma => Digamma,
    /// `e^-|x|·I₀(x)`, the scaled modified Bessel function of order 0.
    bessel_i0e => BesselI0e,
    /// `e^-|x|·I₁(x)`, the scaled modified Bessel function of order 1.
    bessel_i1e => BesselI1e,
    /// Logical not of booleans, bitwise not of integers.
    logical_not => Not,
    /// Whether each element is neither infinite nor NaN, as bool.
    #[doc(alias = "isfinite")]
    is_finite => IsFinite,
    /// The number of one bits of each integer.
    count_ones => PopulationCount,
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $method:ident => $family:ident($kind:ident::$op:ident),)+) => {$(
        with_operands! {
            $(#[$doc])*
            $method(x, y) -> Tensor {
                elementwise(Place::here(), Op::$family($kind::$op), &[x, y])
            }
        }
    )+};
}

binary_methods! {
    /// `xʸ`.
    #[doc(alias = "powf")]
    #[doc(alias = "power")]
    pow => Binary(BinaryOp::Pow),
    /// The angle of the point `(y, x)` of `x.atan2(y)` in radians, from -π to π.
    #[doc(alias = "arctan2")]
    atan2 => Binary(BinaryOp::Atan2),
    /// The derivative of `digamma` at `y` of order `x`, a whole number. NaN for another order
    /// and below -100,000; at poles ∞ for odd orders and NaN for even ones.
    polygamma => Binary(BinaryOp::Polygamma),
    /// The regularised lower incomplete gamma function `P(x, y)`. NaN outside of `x > 0`,
    /// `y >= 0`; orders up to about a million keep ten digits.
    #[doc(alias = "gammainc")]
    igamma => Binary(BinaryOp::Igamma),
    /// The regularised upper incomplete gamma function `Q(x, y) = 1 - P(x, y)`.
    #[doc(alias = "gammaincc")]
    igammac => Binary(BinaryOp::Igammac),
    /// The larger of each pair; NaN if either is NaN.
    #[doc(alias = "max")]
    maximum => Binary(BinaryOp::Max),
    /// The smaller of each pair; NaN if either is NaN.
    #[doc(alias = "min")]
    minimum => Binary(BinaryOp::Min),
    /// Logical and of booleans, bitwise and of integers.
    logical_and => Binary(BinaryOp::And),
    /// Logical or of booleans, bitwise or of integers.
    logical_or => Binary(BinaryOp::Or),
    /// Exclusive or.
    logical_xor => Binary(BinaryOp::Xor),
    /// Bits shifted left; by the width or more: zero.
    shift_left => Binary(BinaryOp::ShiftLeft),
    /// Bits shifted right, filled with the sign.
    shift_right => Binary(BinaryOp::ShiftRightArithmetic),
    /// Bits shifted right, filled with zeros.
    shift_right_logical => Binary(BinaryOp::ShiftRightLogical),
    /// `x == y`, as bool.
    #[doc(alias = "eq")]
    equal => Compare(CompareOp::Eq),
    /// `x != y`, as bool.
    #[doc(alias = "ne")]
    not_equal => Compare(CompareOp::Ne),
    /// `x < y`, as bool.
    #[doc(alias = "lt")]
    less => Compare(CompareOp::Lt),
    /// `x <= y`, as bool.
    #[doc(alias = "le")]
    less_equal => Compare(CompareOp::Le),
    /// `x > y`, as bool.
    #[doc(alias = "gt")]
    greater => Compare(CompareOp::Gt),
    /// `x >= y`, as bool.
    #[doc(alias = "ge")]
    greater_equal => Compare(CompareOp::Ge),
}

impl Tensor {
    /// The natural logarithm, as Rust calls it: [`Tensor::log`].
    #[track_caller]
    pub fn ln(&self) -> Tensor {
        operation("ln", || self.log())
    }
}

with_operands! {
    /// [`Tensor::pow`], as Rust calls it for floats.
    powf(x, y) -> Tensor { Tensor::pow(x, y) }
}

with_operands! {
    /// Each element of `x` moved into `low..=high`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([-3.0, 0.5]);
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec::<f64>()?, [-1.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[doc(alias = "clip")]
    clamp(x, low, high) -> Tensor { elementwise(Place::here(), Op::Clamp, &[low, x, high]) }
}

with_operands! {
    /// The regularised incomplete beta function `Iₓ(a, b)`, elementwise. NaN outside of `a > 0`, `b > 0`,
    /// `0 <= x <= 1`. Differentiable in `x`.
    betainc(x, a, b) -> Tensor {
        let wide = |t: &Tensor| match t.rank() == 0 && x.rank() > 0 {
            true => t.broadcast_to(x.shape()),
            false => t.clone(),
        };
        Tensor::apply1(Op::Betainc, &[&wide(a), &wide(b), x])
    }
}

impl Elementwise {
    /// Where this bool tensor is true the element of `on_true`, else that of `on_false`. Both are
    /// computed; a derivative flows only into the one chosen.
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

impl Tensor {
    /// Where `mask` is true the element of `on_true`, else that of `on_false`.
    ///
    /// The method of this name takes numbers as well; this function of tensors is for transforms.
    #[track_caller]
    pub fn select(mask: &Tensor, on_true: &Tensor, on_false: &Tensor) -> Tensor {
        operation("select", || elementwise(Place::here(), Op::Select, &[mask, on_true, on_false]))
    }

    /// The elements in another dtype: floats are rounded to nearest, become integers by truncation
    /// that saturates (NaN gives 0), integers wrap, bool is 0 and 1, and anything but zero is true.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        operation("cast", || match dtype {
            _ if self.dtype() == dtype => self.clone(),
            DType::Bool => self.not_equal(&self.zeros_like()),
            _ => Tensor::apply1(Op::Convert(dtype), &[self]),
        })
    }

    /// The bits of the elements, read as another dtype of the same width; no derivative flows.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let bits = Tensor::from([1.0f32]).bitcast(DType::U32);
    /// assert_eq!(bits.to_vec::<u32>()?, [0x3f80_0000]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn bitcast(&self, dtype: DType) -> Tensor {
        operation("bitcast", || Tensor::apply1(Op::Bitcast(dtype), &[self]))
    }

    /// Whether each element is NaN, as bool.
    #[track_caller]
    pub fn is_nan(&self) -> Tensor {
        operation("is_nan", || self.not_equal(self))
    }

    /// The same value, through which no derivative flows.
    #[track_caller]
    pub fn stop_gradient(&self) -> Tensor {
        operation("stop_gradient", || Tensor::apply1(Op::StopGradient, &[self]))
    }

    /// `x` to a fixed integer power, by repeated squaring; a negative one is the reciprocal's power.
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

    /// Fails unless the dtype is a float; for operations composed of several.
    pub(crate) fn require_float(&self, op: &'static str, place: Place) -> Option<Tensor> {
        let dtype = self.dtype();
        let kind = ErrorKind::UnsupportedDType { dtype, expected: "f32 and f64" };
        (!dtype.is_float() || self.as_error().is_some())
            .then(|| Tensor::fail(op, kind, place, self))
    }
}
