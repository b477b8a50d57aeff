//! Superinstructions: a product (or a square) and a sum in one pass over the tile, each rounded as if it were
//! computed alone, so that fusing never changes a bit.

use std::marker::PhantomData;
use std::ops::{Add, Mul, Sub};

use unloop_graph::DType;

use super::each::{Each, Loop};
use super::level::{Level, Simd, TileFn, at_level};

/// A product combined with a third operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fused {
    /// `a·b + c`.
    MulAdd,
    /// `a·b - c`.
    MulSub,
    /// `c - a·b`.
    SubMul,
    /// `(a - b)² + c`.
    SubSquareAdd,
}

macro_rules! fused {
    ($($name:ident => |$a:ident, $b:ident, $c:ident| $body:expr;)+) => { $(
        struct $name<T>(PhantomData<T>);

        impl<T> Each for $name<T>
        where
            T: Copy + Add<Output = T> + Sub<Output = T> + Mul<Output = T>,
        {
            type A = T;
            type B = T;
            type C = T;
            type Out = T;
            #[inline(always)]
            fn apply($a: T, $b: T, $c: T) -> T {
                $body
            }
        }
    )+ };
}
fused! {
    MulAdd => |a, b, c| a * b + c;
    MulSub => |a, b, c| a * b - c;
    SubMul => |a, b, c| c - a * b;
    SubSquareAdd => |a, b, c| (a - b) * (a - b) + c;
}

impl Simd {
    /// The kernel of a superinstruction for a float dtype; `scalar_b` and `scalar_c` say which of
    /// the operands `b` and `c` are one broadcast element.
    pub fn fused(self, op: Fused, dtype: DType, scalar_b: bool, scalar_c: bool) -> Option<TileFn> {
        at_level!(self, fused(op, dtype, scalar_b, scalar_c))
    }
}

fn fused<L: Level>(op: Fused, dtype: DType, scalar_b: bool, scalar_c: bool) -> Option<TileFn> {
    fn mode<L: Level, E: Each>(scalar_b: bool, scalar_c: bool) -> TileFn {
        match (scalar_b, scalar_c) {
            (false, false) => L::tile::<Loop<E, false, false, false>>(),
            (false, true) => L::tile::<Loop<E, false, false, true>>(),
            (true, false) => L::tile::<Loop<E, false, true, false>>(),
            (true, true) => L::tile::<Loop<E, false, true, true>>(),
        }
    }
    fn of<L: Level, T>(op: Fused, scalar_b: bool, scalar_c: bool) -> TileFn
    where
        T: Copy + Add<Output = T> + Sub<Output = T> + Mul<Output = T>,
    {
        match op {
            Fused::MulAdd => mode::<L, MulAdd<T>>(scalar_b, scalar_c),
            Fused::MulSub => mode::<L, MulSub<T>>(scalar_b, scalar_c),
            Fused::SubMul => mode::<L, SubMul<T>>(scalar_b, scalar_c),
            Fused::SubSquareAdd => mode::<L, SubSquareAdd<T>>(scalar_b, scalar_c),
        }
    }
    match dtype {
        DType::F32 => Some(of::<L, f32>(op, scalar_b, scalar_c)),
        DType::F64 => Some(of::<L, f64>(op, scalar_b, scalar_c)),
        DType::Bool | DType::I32 | DType::I64 | DType::U32 => None,
    }
}
