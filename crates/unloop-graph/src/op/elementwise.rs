//! Elementwise operations: one output element from one element of each operand. Shapes are equal;
//! a scalar operand is broadcast before it comes here.

use crate::error::ErrorKind;
use crate::{Array, DType, Number, Scalar, TensorType};

macro_rules! named_ops {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $enum { $($(#[$doc])* $variant,)+ }

        impl $enum {
            /// Every operation of the family.
            pub const ALL: &'static [$enum] = &[$($enum::$variant),+];

            /// The lower-case name.
            pub fn name(self) -> &'static str {
                match self { $($enum::$variant => $name,)+ }
            }
        }
    };
}
pub(crate) use named_ops;

named_ops! {
    /// Elementwise operations of one operand.
    UnaryOp {
        /// `-x`; integers wrap.
        Neg = "neg",
        /// `|x|`; the smallest integer stays as it is.
        Abs = "abs",
        /// -1, 0 or 1; floats keep signed zeros and NaN.
        Sign = "sign",
        /// Largest integer not above `x`.
        Floor = "floor",
        /// Smallest integer not below `x`.
        Ceil = "ceil",
        /// Nearest integer, ties to even.
        Round = "round",
        /// Nearest integer, ties away from zero.
        RoundAway = "round_away",
        /// The integer part, towards zero.
        Trunc = "trunc",
        /// Square root.
        Sqrt = "sqrt",
        /// `1/√x`.
        Rsqrt = "rsqrt",
        /// Cube root.
        Cbrt = "cbrt",
        /// `1/x`.
        Reciprocal = "reciprocal",
        /// `x·x`; integers wrap.
        Square = "square",
        /// `eˣ`.
        Exp = "exp",
        /// `2ˣ`.
        Exp2 = "exp2",
        /// `eˣ - 1`, accurate near zero.
        Expm1 = "expm1",
        /// Natural logarithm.
        Log = "log",
        /// `ln(1 + x)`, accurate near zero.
        Log1p = "log1p",
        /// Sine, of radians.
        Sin = "sin",
        /// Cosine, of radians.
        Cos = "cos",
        /// Tangent, of radians.
        Tan = "tan",
        /// Arc sine, in radians.
        Asin = "asin",
        /// Arc cosine, in radians.
        Acos = "acos",
        /// Arc tangent, in radians.
        Atan = "atan",
        /// Hyperbolic sine.
        Sinh = "sinh",
        /// Hyperbolic cosine.
        Cosh = "cosh",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// Inverse hyperbolic sine.
        Asinh = "asinh",
        /// Inverse hyperbolic cosine.
        Acosh = "acosh",
        /// Inverse hyperbolic tangent.
        Atanh = "atanh",
        /// The logistic sigmoid `1/(1 + e⁻ˣ)`.
        Logistic = "logistic",
        /// The error function.
        Erf = "erf",
        /// `1 - erf(x)`, accurate for large `x`.
        Erfc = "erfc",
        /// Inverse of the error function.
        ErfInv = "erf_inv",
        /// Logarithm of the absolute value of the gamma function.
        Lgamma = "lgamma",
        /// Derivative of `lgamma`.
        Digamma = "digamma",
        /// `e^-|x|·I₀(x)`, the scaled modified Bessel function of order 0.
        BesselI0e = "bessel_i0e",
        /// `e^-|x|·I₁(x)`, the scaled modified Bessel function of order 1.
        BesselI1e = "bessel_i1e",
        /// Logical not of booleans, bitwise not of integers.
        Not = "not",
        /// Whether `x` is neither infinite nor NaN, as a boolean.
        IsFinite = "is_finite",
        /// The number of one bits of an integer.
        PopulationCount = "population_count",
    }
}

named_ops! {
    /// Elementwise operations of two operands.
    BinaryOp {
        /// `x + y`; integers wrap.
        Add = "add",
        /// `x - y`; integers wrap.
        Sub = "sub",
        /// `x·y`; integers wrap.
        Mul = "mul",
        /// `x/y`; integers truncate towards zero, and a zero divisor gives -1 (all bits one).
        Div = "div",
        /// Remainder with the sign of `x`; of integers by zero: `x`.
        Rem = "rem",
        /// `xʸ`.
        Pow = "pow",
        /// The `x`-th derivative (a whole number) of `digamma` at `y`.
        Polygamma = "polygamma",
        /// The regularised lower incomplete gamma function of order `x` at `y`.
        Igamma = "igamma",
        /// The regularised upper incomplete gamma function of order `x` at `y`.
        Igammac = "igammac",
        /// The derivative of `igamma` in its order.
        IgammaGradA = "igamma_grad_a",
        /// The angle of the point `(y, x)`, in radians.
        Atan2 = "atan2",
        /// The larger; NaN if either is NaN.
        Max = "max",
        /// The smaller; NaN if either is NaN.
        Min = "min",
        /// Logical and of booleans, bitwise and of integers.
        And = "and",
        /// Logical or of booleans, bitwise or of integers.
        Or = "or",
        /// Logical or bitwise exclusive or.
        Xor = "xor",
        /// Bits shifted left; by the width or more: zero.
        ShiftLeft = "shift_left",
        /// Bits shifted right, filled with the sign.
        ShiftRightArithmetic = "shift_right_arithmetic",
        /// Bits shifted right, filled with zeros.
        ShiftRightLogical = "shift_right_logical",
    }
}

named_ops! {
    /// Comparisons; any comparison with NaN is false but `Ne`.
    CompareOp {
        /// `x == y`.
        Eq = "eq",
        /// `x != y`.
        Ne = "ne",
        /// `x < y`.
        Lt = "lt",
        /// `x <= y`.
        Le = "le",
        /// `x > y`.
        Gt = "gt",
        /// `x >= y`.
        Ge = "ge",
    }
}

pub(crate) const FLOATS: &str = "f32 and f64";
pub(crate) const INTS: &str = "i32, i64 and u32";
pub(crate) const NUMBERS: &str = "integers and floats";
const BITS: &str = "bool and integers";

fn require(ok: bool, dtype: DType, expected: &'static str) -> Result<(), ErrorKind> {
    if ok { Ok(()) } else { Err(ErrorKind::UnsupportedDType { dtype, expected }) }
}

/// Two operands of one dtype and shape.
fn same<'a>(x: &'a TensorType, y: &TensorType) -> Result<&'a TensorType, ErrorKind> {
    if x.dtype != y.dtype {
        return Err(ErrorKind::DTypeMismatch { left: x.dtype, right: y.dtype });
    }
    if x.shape != y.shape {
        return Err(ErrorKind::ShapeMismatch { left: x.shape.clone(), right: y.shape.clone() });
    }
    Ok(x)
}

/// The bits of an integer dtype and whether it has a sign.
fn width(dtype: DType) -> (u32, bool) {
    (8 * dtype.size() as u32, dtype != DType::U32)
}

impl UnaryOp {
    pub(crate) fn infer(self, [x]: &[TensorType; 1]) -> Result<TensorType, ErrorKind> {
        use UnaryOp::*;
        let dtype = x.dtype;
        match self {
            Neg | Abs | Sign | Square => require(dtype != DType::Bool, dtype, NUMBERS)?,
            Not => require(!dtype.is_float(), dtype, BITS)?,
            PopulationCount => require(dtype.is_int(), dtype, INTS)?,
            Floor | Ceil | Round | RoundAway | Trunc | Sqrt | Rsqrt | Cbrt | Reciprocal | Exp
            | Exp2 | Expm1 | Log | Log1p | Sin | Cos | Tan | Asin | Acos | Atan | Sinh | Cosh
            | Tanh | Asinh | Acosh | Atanh | Logistic | Erf | Erfc | ErfInv | Lgamma | Digamma
            | BesselI0e | BesselI1e | IsFinite => require(dtype.is_float(), dtype, FLOATS)?,
        }
        let result = if self == IsFinite { DType::Bool } else { dtype };
        Ok(TensorType::new(result, &x.shape))
    }

    pub(crate) fn evaluate(self, x: &Array, ty: &TensorType) -> Array {
        let dtype = x.dtype();
        Array::from_fn(ty, |i| match x.get(i) {
            Number::Float(x) => match self {
                UnaryOp::IsFinite => Number::Bool(x.is_finite()),
                op => Number::Float(op.float(x)),
            },
            Number::Int(x) => Number::Int(self.int(x, dtype)),
            Number::Bool(x) => Number::Bool(!x),
        })
    }

    /// The value for a float. Single precision is computed in double and rounded once.
    fn float(self, x: f64) -> f64 {
        use UnaryOp::*;
        match self {
            Neg => -x,
            Abs => x.abs(),
            Sign if x == 0.0 || x.is_nan() => x,
            Sign => x.signum(),
            Floor => x.floor(),
            Ceil => x.ceil(),
            Round => x.round_ties_even(),
            RoundAway => x.round(),
            Trunc => x.trunc(),
            Sqrt => x.sqrt(),
            Rsqrt => 1.0 / x.sqrt(),
            Cbrt => x.cbrt(),
            Reciprocal => 1.0 / x,
            Square => x * x,
            Exp => x.exp(),
            Exp2 => x.exp2(),
            Expm1 => x.exp_m1(),
            Log => x.ln(),
            Log1p => x.ln_1p(),
            Sin => x.sin(),
            Cos => x.cos(),
            Tan => x.tan(),
            Asin => x.asin(),
            Acos => x.acos(),
            Atan => x.atan(),
            Sinh => x.sinh(),
            Cosh => x.cosh(),
            Tanh => x.tanh(),
            Asinh => libm::asinh(x),
            Acosh => libm::acosh(x),
            Atanh => libm::atanh(x),
            Logistic if x < 0.0 => x.exp() / (1.0 + x.exp()),
            Logistic => 1.0 / (1.0 + (-x).exp()),
            Erf => libm::erf(x),
            Erfc => libm::erfc(x),
            ErfInv => crate::special::erf_inv(x),
            Lgamma => crate::special::lgamma(x),
            Digamma => crate::special::digamma(x),
            BesselI0e => crate::special::bessel_i0e(x),
            BesselI1e => crate::special::bessel_i1e(x),
            // The type rule keeps floats away from these.
            Not | IsFinite | PopulationCount => f64::NAN,
        }
    }

    /// The value for an integer, before it wraps to its dtype.
    fn int(self, x: i128, dtype: DType) -> i128 {
        match self {
            UnaryOp::Neg => -x,
            UnaryOp::Abs => x.abs(),
            UnaryOp::Sign => x.signum(),
            UnaryOp::Square => x * x,
            UnaryOp::Not => !x,
            UnaryOp::PopulationCount => {
                let (bits, _) = width(dtype);
                i128::from((x & ((1i128 << bits) - 1)).count_ones())
            }
            other => unreachable!("`{}` is not of integers", other.name()),
        }
    }
}

impl BinaryOp {
    pub(crate) fn infer(self, [x, y]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
        use BinaryOp::*;
        let dtype = x.dtype;
        let ty = same(x, y)?.clone();
        match self {
            Add | Sub | Mul | Div | Rem => require(dtype != DType::Bool, dtype, NUMBERS)?,
            Pow | Atan2 | Polygamma | Igamma | Igammac | IgammaGradA => {
                require(dtype.is_float(), dtype, FLOATS)?
            }
            Max | Min => {}
            And | Or | Xor => require(!dtype.is_float(), dtype, BITS)?,
            ShiftLeft | ShiftRightArithmetic | ShiftRightLogical => {
                require(dtype.is_int(), dtype, INTS)?
            }
        }
        Ok(ty)
    }

    pub(crate) fn evaluate(self, x: &Array, y: &Array, ty: &TensorType) -> Array {
        Array::from_fn(ty, |i| self.apply(x.get(i), y.get(i), ty.dtype))
    }

    /// The value for two numbers of a dtype, before it is narrowed to it.
    pub(crate) fn apply(self, x: Number, y: Number, dtype: DType) -> Number {
        use BinaryOp::*;
        match (x, y) {
            (Number::Bool(x), Number::Bool(y)) => Number::Bool(match self {
                And | Min => x & y,
                Or | Max => x | y,
                _ => x ^ y,
            }),
            (Number::Float(x), Number::Float(y)) => Number::Float(match self {
                Add => x + y,
                Sub => x - y,
                Mul => x * y,
                Div => x / y,
                Rem => x % y,
                Pow => x.powf(y),
                Atan2 => x.atan2(y),
                Polygamma => crate::special::polygamma(x, y),
                Igamma => crate::special::igamma(x, y),
                Igammac => crate::special::igammac(x, y),
                IgammaGradA => crate::special::igamma_grad_a(x, y),
                Max | Min if x.is_nan() || y.is_nan() => f64::NAN,
                // max(-0, +0) = +0 and min(+0, -0) = -0, whatever the order.
                Max if x == y => f64::from_bits(x.to_bits() & y.to_bits()),
                Min if x == y => f64::from_bits(x.to_bits() | y.to_bits()),
                Max => x.max(y),
                Min => x.min(y),
                And | Or | Xor | ShiftLeft | ShiftRightArithmetic | ShiftRightLogical => {
                    unreachable!("`{}` is not of floats", self.name())
                }
            }),
            (x, y) => {
                let (x, y) = (x.int(), y.int());
                let (bits, signed) = width(dtype);
                let mask = (1i128 << bits) - 1;
                // A shift amount is unsigned; the width or more shifts everything out.
                let amount = (y & mask).min(i128::from(bits)) as u32;
                Number::Int(match self {
                    Add => x + y,
                    Sub => x - y,
                    Mul => x.wrapping_mul(y),
                    Div if y == 0 => -1,
                    Div => x / y,
                    Rem if y == 0 => x,
                    Rem => x % y,
                    Max => x.max(y),
                    Min => x.min(y),
                    And => x & y,
                    Or => x | y,
                    Xor => x ^ y,
                    ShiftLeft => x << amount,
                    ShiftRightLogical => (x & mask) >> amount,
                    ShiftRightArithmetic if signed => x >> amount,
                    // An unsigned value is read as signed, shifted, and wraps back.
                    ShiftRightArithmetic => i128::from(x as u32 as i32) >> amount,
                    Pow | Atan2 | Polygamma | Igamma | Igammac | IgammaGradA => {
                        unreachable!("`{}` is not of integers", self.name())
                    }
                })
            }
        }
    }
}

impl CompareOp {
    pub(crate) fn infer(self, [x, y]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
        Ok(TensorType::new(DType::Bool, &same(x, y)?.shape))
    }

    pub(crate) fn evaluate(self, x: &Array, y: &Array, ty: &TensorType) -> Array {
        Array::from_fn(ty, |i| {
            let order = match (x.get(i), y.get(i)) {
                (Number::Float(x), Number::Float(y)) => x.partial_cmp(&y),
                (x, y) => Some(x.int().cmp(&y.int())),
            };
            Number::Bool(match self {
                CompareOp::Eq => order.is_some_and(|o| o.is_eq()),
                CompareOp::Ne => order.is_none_or(|o| o.is_ne()),
                CompareOp::Lt => order.is_some_and(|o| o.is_lt()),
                CompareOp::Le => order.is_some_and(|o| o.is_le()),
                CompareOp::Gt => order.is_some_and(|o| o.is_gt()),
                CompareOp::Ge => order.is_some_and(|o| o.is_ge()),
            })
        })
    }
}

pub(super) fn infer_select([p, x, y]: &[TensorType; 3]) -> Result<TensorType, ErrorKind> {
    require(p.dtype == DType::Bool, p.dtype, "a bool condition")?;
    let ty = same(x, y)?;
    if p.shape != x.shape {
        return Err(ErrorKind::ShapeMismatch { left: p.shape.clone(), right: x.shape.clone() });
    }
    Ok(ty.clone())
}

pub(super) fn infer_betainc([a, b, x]: &[TensorType; 3]) -> Result<TensorType, ErrorKind> {
    require(x.dtype.is_float(), x.dtype, FLOATS)?;
    for operand in [a, b] {
        if operand.dtype != x.dtype {
            return Err(ErrorKind::DTypeMismatch { left: operand.dtype, right: x.dtype });
        }
        if operand.shape != x.shape {
            let (left, right) = (operand.shape.clone(), x.shape.clone());
            return Err(ErrorKind::ShapeMismatch { left, right });
        }
    }
    Ok(x.clone())
}

pub(super) fn betainc(operands: &[Array], ty: &TensorType) -> Array {
    let at = |k: usize, i: &[usize]| operands[k].get(i).float();
    Array::from_fn(ty, |i| Number::Float(crate::special::betainc(at(0, i), at(1, i), at(2, i))))
}

pub(super) fn infer_clamp([low, x, high]: &[TensorType; 3]) -> Result<TensorType, ErrorKind> {
    same(low, x)?;
    Ok(same(x, high)?.clone())
}

pub(super) fn select(operands: &[Array], ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| operands[if operands[0].get(i).truth() { 1 } else { 2 }].get(i))
}

pub(super) fn clamp(operands: &[Array], ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| {
        let at_least = BinaryOp::Max.apply(operands[1].get(i), operands[0].get(i), ty.dtype);
        BinaryOp::Min.apply(at_least, operands[2].get(i), ty.dtype)
    })
}

pub(super) fn infer_bitcast([x]: &[TensorType; 1], to: DType) -> Result<TensorType, ErrorKind> {
    let fits = to.size() == x.dtype.size() && to != DType::Bool && x.dtype != DType::Bool;
    require(fits, x.dtype, "a dtype as wide as the result, not bool")?;
    Ok(TensorType::new(to, &x.shape))
}

pub(super) fn bitcast(x: &Array, ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| {
        let bits = Scalar::new(x.dtype(), x.get(i)).bits();
        match ty.dtype {
            DType::F32 => Number::Float(f32::from_bits(bits as u32).into()),
            DType::F64 => Number::Float(f64::from_bits(bits)),
            DType::Bool | DType::I32 | DType::I64 | DType::U32 => Number::Int(bits.into()),
        }
    })
}

pub(super) fn convert(x: &Array, ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| x.get(i))
}
