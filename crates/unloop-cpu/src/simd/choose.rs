//! Select and clamp.

use std::marker::PhantomData;

use unloop_graph::DType;

use super::arith::{Max, Min, Zip};
use super::each::{Each, Loop};
use super::level::{Level, Simd, TileFn, at_level};

/// `if mask { x } else { y }` of values of one size, whatever they mean.
struct Select<T>(PhantomData<T>);

impl<T: Copy> Each for Select<T> {
    type A = u8;
    type B = T;
    type C = T;
    type Out = T;
    #[inline(always)]
    fn apply(mask: u8, x: T, y: T) -> T {
        if mask != 0 { x } else { y }
    }
}

/// `min(max(x, low), high)`.
struct Clamp<T>(PhantomData<T>);

impl<T: Copy> Each for Clamp<T>
where
    Max: Zip<T, Out = T>,
    Min: Zip<T, Out = T>,
{
    type A = T;
    type B = T;
    type C = T;
    type Out = T;
    #[inline(always)]
    fn apply(low: T, x: T, high: T) -> T {
        Min::zip(Max::zip(x, low), high)
    }
}

impl Simd {
    /// The kernel of `select(mask, x, y)`; `scalar_x` and `scalar_y` say which values are one
    /// broadcast element.
    pub fn select(self, dtype: DType, scalar_x: bool, scalar_y: bool) -> TileFn {
        at_level!(self, select(dtype, scalar_x, scalar_y))
    }

    /// The kernel of `clamp(low, x, high)`: `min(max(x, low), high)`, with bounds that are both
    /// tiles or both one broadcast element.
    pub fn clamp(self, dtype: DType, scalar_bounds: bool) -> TileFn {
        at_level!(self, clamp(dtype, scalar_bounds))
    }
}

fn select<L: Level>(dtype: DType, scalar_x: bool, scalar_y: bool) -> TileFn {
    fn of<L: Level, T: Copy>(scalar_x: bool, scalar_y: bool) -> TileFn {
        match (scalar_x, scalar_y) {
            (false, false) => L::tile::<Loop<Select<T>, false, false, false>>(),
            (false, true) => L::tile::<Loop<Select<T>, false, false, true>>(),
            (true, false) => L::tile::<Loop<Select<T>, false, true, false>>(),
            (true, true) => L::tile::<Loop<Select<T>, false, true, true>>(),
        }
    }
    match dtype {
        DType::Bool => of::<L, u8>(scalar_x, scalar_y),
        DType::I32 | DType::U32 | DType::F32 => of::<L, u32>(scalar_x, scalar_y),
        DType::I64 | DType::F64 => of::<L, u64>(scalar_x, scalar_y),
    }
}

fn clamp<L: Level>(dtype: DType, scalar_bounds: bool) -> TileFn {
    fn of<L: Level, T: Copy>(scalar_bounds: bool) -> TileFn
    where
        Max: Zip<T, Out = T>,
        Min: Zip<T, Out = T>,
    {
        match scalar_bounds {
            false => L::tile::<Loop<Clamp<T>, false, false, false>>(),
            true => L::tile::<Loop<Clamp<T>, true, false, true>>(),
        }
    }
    match dtype {
        DType::Bool => of::<L, u8>(scalar_bounds),
        DType::I32 => of::<L, i32>(scalar_bounds),
        DType::I64 => of::<L, i64>(scalar_bounds),
        DType::U32 => of::<L, u32>(scalar_bounds),
        DType::F32 => of::<L, f32>(scalar_bounds),
        DType::F64 => of::<L, f64>(scalar_bounds),
    }
}
