//! Conversions between dtypes: floats round to nearest, integers wrap, floats become integers by
//! truncation that saturates (NaN gives 0), and booleans are "not zero".

use std::marker::PhantomData;

use unloop_graph::DType;

use super::each::{Each, Loop};
use super::level::{Level, Simd, TileFn, at_level};

/// A boolean in memory, apart from the number `u8` which is no dtype.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bool(u8);

trait To<T> {
    fn to(self) -> T;
}

macro_rules! to {
    ($($from:ident => $($to:ident)+;)+) => { $($(
        impl To<$to> for $from {
            #[inline(always)]
            fn to(self) -> $to {
                self as $to
            }
        }
    )+)+ };
}
to! {
    i32 => i64 u32 f32 f64;
    i64 => i32 u32 f32 f64;
    u32 => i32 i64 f32 f64;
    f32 => i64 u32 f64;
    f64 => i64 u32 f32;
}

/// What `as i32` gives, by operations that all lanes can do at once: the compiler takes lanes apart for it.
macro_rules! to_i32 {
    ($($from:ident: $largest:literal;)+) => { $(
        impl To<i32> for $from {
            #[inline(always)]
            fn to(self) -> i32 {
                const LEAST: $from = i32::MIN as $from;
                // Also what is not a number.
                let x = if self > LEAST { self } else { LEAST };
                let x = if x < $largest { x } else { $largest };
                // SAFETY: the number is in the range of the type.
                let whole = unsafe { x.to_int_unchecked::<i32>() };
                let whole = if self >= 2_147_483_648.0 { i32::MAX } else { whole };
                if self.is_nan() { 0 } else { whole }
            }
        }
    )+ };
}
to_i32! {
    // The largest number below 2³¹, and the largest integer.
    f32: 2_147_483_520.0;
    f64: 2_147_483_647.0;
}

macro_rules! bool_to {
    ($($t:ident $zero:literal)+) => { $(
        impl To<$t> for Bool {
            #[inline(always)]
            fn to(self) -> $t {
                self.0 as $t
            }
        }
        impl To<Bool> for $t {
            #[inline(always)]
            fn to(self) -> Bool {
                Bool(u8::from(self != $zero))
            }
        }
    )+ };
}
bool_to!(i32 0 i64 0 u32 0 f32 0.0 f64 0.0);

struct Convert<T, U>(PhantomData<(T, U)>);

impl<T: To<U> + Copy, U: Copy> Each for Convert<T, U> {
    type A = T;
    type B = ();
    type C = ();
    type Out = U;
    #[inline(always)]
    fn apply(x: T, _: (), _: ()) -> U {
        x.to()
    }
}

/// A copy, for the conversion of a dtype to itself.
struct Copied<T>(PhantomData<T>);

impl<T: Copy> Each for Copied<T> {
    type A = T;
    type B = ();
    type C = ();
    type Out = T;
    #[inline(always)]
    fn apply(x: T, _: (), _: ()) -> T {
        x
    }
}

impl Simd {
    /// The kernel that converts elements of one dtype to another (to the same: copies them).
    pub fn convert(self, from: DType, to: DType) -> TileFn {
        at_level!(self, convert(from, to))
    }
}

fn convert<L: Level>(from: DType, to: DType) -> TileFn {
    macro_rules! from {
        ($t:ty: $($dtype:ident $u:ty),+) => {
            match to {
                $(DType::$dtype => L::tile::<Loop<Convert<$t, $u>, false, true, true>>(),)+
                #[allow(unreachable_patterns)]
                DType::Bool | DType::I32 | DType::I64 | DType::U32 | DType::F32 | DType::F64 => {
                    L::tile::<Loop<Copied<$t>, false, true, true>>()
                }
            }
        };
    }
    match from {
        DType::Bool => from!(Bool: I32 i32, I64 i64, U32 u32, F32 f32, F64 f64),
        DType::I32 => from!(i32: Bool Bool, I64 i64, U32 u32, F32 f32, F64 f64),
        DType::I64 => from!(i64: Bool Bool, I32 i32, U32 u32, F32 f32, F64 f64),
        DType::U32 => from!(u32: Bool Bool, I32 i32, I64 i64, F32 f32, F64 f64),
        DType::F32 => from!(f32: Bool Bool, I32 i32, I64 i64, U32 u32, F64 f64),
        DType::F64 => from!(f64: Bool Bool, I32 i32, I64 i64, U32 u32, F32 f32),
    }
}
