//! Lookups of unary and binary operations and comparisons, and the float and boolean arithmetic
//! among them. Integer arithmetic is in `integer`, elementary functions in `math`.

use std::marker::PhantomData;

use unloop_graph::{BinaryOp, CompareOp, DType, UnaryOp};

use super::each::{Each, Loop};
use super::level::{Level, Simd, TileFn, at_level};
use super::math;

/// Which operands of a binary operation are tiles, and which one broadcast element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Two tiles.
    VectorVector,
    /// A tile and one element.
    VectorScalar,
    /// One element and a tile.
    ScalarVector,
}

/// An operation of one operand of type `T`.
pub(super) trait Map<T> {
    type Out: Copy;
    fn map(x: T) -> Self::Out;
}

/// An operation of two operands of type `T`.
pub(super) trait Zip<T> {
    type Out: Copy;
    fn zip(x: T, y: T) -> Self::Out;
}

/// A [`Map`] as an [`Each`].
pub(super) struct Unary<O, T>(PhantomData<(O, T)>);

impl<O: Map<T>, T: Copy> Each for Unary<O, T> {
    type A = T;
    type B = ();
    type C = ();
    type Out = O::Out;
    #[inline(always)]
    fn apply(a: T, _: (), _: ()) -> O::Out {
        O::map(a)
    }
}

/// A [`Zip`] as an [`Each`].
pub(super) struct Binary<O, T>(PhantomData<(O, T)>);

impl<O: Zip<T>, T: Copy> Each for Binary<O, T> {
    type A = T;
    type B = T;
    type C = ();
    type Out = O::Out;
    #[inline(always)]
    fn apply(a: T, b: T, _: ()) -> O::Out {
        O::zip(a, b)
    }
}

/// The kernel of a [`Map`].
pub(super) fn map<L: Level, O: Map<T>, T: Copy>() -> TileFn {
    L::tile::<Loop<Unary<O, T>, false, true, true>>()
}

/// The kernel of a [`Zip`].
pub(super) fn zip<L: Level, O: Zip<T>, T: Copy>(mode: Mode) -> TileFn {
    match mode {
        Mode::VectorVector => L::tile::<Loop<Binary<O, T>, false, false, true>>(),
        Mode::VectorScalar => L::tile::<Loop<Binary<O, T>, false, true, true>>(),
        Mode::ScalarVector => L::tile::<Loop<Binary<O, T>, true, false, true>>(),
    }
}

macro_rules! map_op {
    ($($name:ident: $($t:ty)+ => |$x:ident| $body:expr;)+) => { $($(
        impl Map<$t> for $name {
            type Out = $t;
            #[inline(always)]
            fn map($x: $t) -> $t {
                $body
            }
        }
    )+)+ };
}
pub(super) use map_op;

macro_rules! zip_op {
    ($($name:ident: $($t:ty)+ => |$x:ident, $y:ident| $body:expr;)+) => { $($(
        impl Zip<$t> for $name {
            type Out = $t;
            #[inline(always)]
            fn zip($x: $t, $y: $t) -> $t {
                $body
            }
        }
    )+)+ };
}
pub(super) use zip_op;

/// One uninhabited marker type an operation.
macro_rules! markers {
    ($($name:ident)+) => { $(pub(super) enum $name {})+ };
}
markers! { Neg Abs Sign Floor Ceil Round RoundAway Trunc Sqrt Rsqrt Reciprocal Square Not IsFinite
PopulationCount Add Sub Mul Div Rem Max Min And Or Xor ShiftLeft ShiftRightArithmetic
ShiftRightLogical Eq Ne Lt Le Gt Ge }

map_op! {
    Neg: f32 f64 => |x| -x;
    Abs: f32 f64 => |x| x.abs();
    Floor: f32 f64 => |x| x.floor();
    Ceil: f32 f64 => |x| x.ceil();
    Round: f32 f64 => |x| x.round_ties_even();
    // Truncation is exact, and so is the distance to it; `round` itself would not vectorise.
    RoundAway: f32 f64 => |x| {
        let whole = x.trunc();
        let away = if (x - whole).abs() >= 0.5 { 1.0 } else { 0.0 };
        (whole.abs() + away).copysign(x)
    };
    Trunc: f32 f64 => |x| x.trunc();
    Sqrt: f32 f64 => |x| x.sqrt();
    Rsqrt: f32 f64 => |x| 1.0 / x.sqrt();
    Reciprocal: f32 f64 => |x| 1.0 / x;
    Square: f32 f64 => |x| x * x;
    Sign: f32 => |x| if x.abs() > 0.0 { 1f32.copysign(x) } else { x };
    Sign: f64 => |x| if x.abs() > 0.0 { 1f64.copysign(x) } else { x };
    Not: u8 => |x| x ^ 1;
}

macro_rules! is_finite {
    ($($t:ty)+) => { $(
        impl Map<$t> for IsFinite {
            type Out = u8;
            #[inline(always)]
            fn map(x: $t) -> u8 {
                u8::from(x.abs() < <$t>::INFINITY)
            }
        }
    )+ };
}
is_finite!(f32 f64);

zip_op! {
    Add: f32 f64 => |x, y| x + y;
    Sub: f32 f64 => |x, y| x - y;
    Mul: f32 f64 => |x, y| x * y;
    Div: f32 f64 => |x, y| x / y;
    And: u8 => |x, y| x & y;
    Or: u8 => |x, y| x | y;
    Xor: u8 => |x, y| x ^ y;
    Min: u8 => |x, y| x & y;
    Max: u8 => |x, y| x | y;
}

macro_rules! extreme {
    ($($t:ident)+) => { $(
        impl Zip<$t> for Max {
            type Out = $t;
            // Equal operands are a zero of either sign or the same bits, so `&` prefers +0; the sum
            // of unordered operands is NaN.
            #[inline(always)]
            fn zip(x: $t, y: $t) -> $t {
                let equal = $t::from_bits(x.to_bits() & y.to_bits());
                let other = if x == y { equal } else { x + y };
                if x > y { x } else if x < y { y } else { other }
            }
        }
        impl Zip<$t> for Min {
            type Out = $t;
            #[inline(always)]
            fn zip(x: $t, y: $t) -> $t {
                let equal = $t::from_bits(x.to_bits() | y.to_bits());
                let other = if x == y { equal } else { x + y };
                if x < y { x } else if x > y { y } else { other }
            }
        }
    )+ };
}
extreme!(f32 f64);

macro_rules! compare_op {
    ($($name:ident => $op:tt;)+) => { $(
        impl<T: Copy + PartialOrd> Zip<T> for $name {
            type Out = u8;
            #[inline(always)]
            fn zip(x: T, y: T) -> u8 {
                u8::from(x $op y)
            }
        }
    )+ };
}
compare_op! { Eq => ==; Ne => !=; Lt => <; Le => <=; Gt => >; Ge => >=; }

impl Simd {
    /// The kernel of a unary operation, where the operation has the dtype.
    pub fn unary(self, op: UnaryOp, dtype: DType) -> Option<TileFn> {
        at_level!(self, unary(op, dtype))
    }

    /// The kernel of a binary operation, where the operation has the dtype.
    pub fn binary(self, op: BinaryOp, dtype: DType, mode: Mode) -> Option<TileFn> {
        at_level!(self, binary(op, dtype, mode))
    }

    /// The kernel of a comparison; the result is boolean.
    pub fn compare(self, op: CompareOp, dtype: DType, mode: Mode) -> TileFn {
        at_level!(self, compare(op, dtype, mode))
    }
}

fn unary<L: Level>(op: UnaryOp, dtype: DType) -> Option<TileFn> {
    macro_rules! float {
        ($t:ty) => {
            match op {
                UnaryOp::Neg => map::<L, Neg, $t>(),
                UnaryOp::Abs => map::<L, Abs, $t>(),
                UnaryOp::Sign => map::<L, Sign, $t>(),
                UnaryOp::Floor => map::<L, Floor, $t>(),
                UnaryOp::Ceil => map::<L, Ceil, $t>(),
                UnaryOp::Round => map::<L, Round, $t>(),
                UnaryOp::RoundAway => map::<L, RoundAway, $t>(),
                UnaryOp::Trunc => map::<L, Trunc, $t>(),
                UnaryOp::Sqrt => map::<L, Sqrt, $t>(),
                UnaryOp::Rsqrt => map::<L, Rsqrt, $t>(),
                UnaryOp::Reciprocal => map::<L, Reciprocal, $t>(),
                UnaryOp::Square => map::<L, Square, $t>(),
                UnaryOp::IsFinite => map::<L, IsFinite, $t>(),
                op => return math::unary::<L, $t>(op),
            }
        };
    }
    macro_rules! int {
        ($t:ty) => {
            match op {
                UnaryOp::Neg => map::<L, Neg, $t>(),
                UnaryOp::Abs => map::<L, Abs, $t>(),
                UnaryOp::Sign => map::<L, Sign, $t>(),
                UnaryOp::Square => map::<L, Square, $t>(),
                UnaryOp::Not => map::<L, Not, $t>(),
                UnaryOp::PopulationCount => map::<L, PopulationCount, $t>(),
                _ => return None,
            }
        };
    }
    Some(match dtype {
        DType::Bool => match op {
            UnaryOp::Not => map::<L, Not, u8>(),
            _ => return None,
        },
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::U32 => int!(u32),
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
    })
}

fn binary<L: Level>(op: BinaryOp, dtype: DType, mode: Mode) -> Option<TileFn> {
    macro_rules! number {
        ($t:ty, $op:ident => $rest:expr) => {
            match $op {
                BinaryOp::Add => zip::<L, Add, $t>(mode),
                BinaryOp::Sub => zip::<L, Sub, $t>(mode),
                BinaryOp::Mul => zip::<L, Mul, $t>(mode),
                BinaryOp::Div => zip::<L, Div, $t>(mode),
                BinaryOp::Max => zip::<L, Max, $t>(mode),
                BinaryOp::Min => zip::<L, Min, $t>(mode),
                _ => $rest,
            }
        };
    }
    macro_rules! int {
        ($t:ty) => {
            number!($t, op => match op {
                BinaryOp::Rem => zip::<L, Rem, $t>(mode),
                BinaryOp::And => zip::<L, And, $t>(mode),
                BinaryOp::Or => zip::<L, Or, $t>(mode),
                BinaryOp::Xor => zip::<L, Xor, $t>(mode),
                BinaryOp::ShiftLeft => zip::<L, ShiftLeft, $t>(mode),
                BinaryOp::ShiftRightArithmetic => zip::<L, ShiftRightArithmetic, $t>(mode),
                BinaryOp::ShiftRightLogical => zip::<L, ShiftRightLogical, $t>(mode),
                _ => return None,
            })
        };
    }
    Some(match dtype {
        DType::Bool => match op {
            BinaryOp::And => zip::<L, And, u8>(mode),
            BinaryOp::Or => zip::<L, Or, u8>(mode),
            BinaryOp::Xor => zip::<L, Xor, u8>(mode),
            BinaryOp::Max => zip::<L, Max, u8>(mode),
            BinaryOp::Min => zip::<L, Min, u8>(mode),
            _ => return None,
        },
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::U32 => int!(u32),
        DType::F32 => number!(f32, op => return math::binary::<L, f32>(op, mode)),
        DType::F64 => number!(f64, op => return math::binary::<L, f64>(op, mode)),
    })
}

fn compare<L: Level>(op: CompareOp, dtype: DType, mode: Mode) -> TileFn {
    fn of<L: Level, T: Copy + PartialOrd>(op: CompareOp, mode: Mode) -> TileFn {
        match op {
            CompareOp::Eq => zip::<L, Eq, T>(mode),
            CompareOp::Ne => zip::<L, Ne, T>(mode),
            CompareOp::Lt => zip::<L, Lt, T>(mode),
            CompareOp::Le => zip::<L, Le, T>(mode),
            CompareOp::Gt => zip::<L, Gt, T>(mode),
            CompareOp::Ge => zip::<L, Ge, T>(mode),
        }
    }
    match dtype {
        DType::Bool => of::<L, u8>(op, mode),
        DType::I32 => of::<L, i32>(op, mode),
        DType::I64 => of::<L, i64>(op, mode),
        DType::U32 => of::<L, u32>(op, mode),
        DType::F32 => of::<L, f32>(op, mode),
        DType::F64 => of::<L, f64>(op, mode),
    }
}
