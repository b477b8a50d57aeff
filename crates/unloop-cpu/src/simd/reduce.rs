//! Reductions of one contiguous tile to one element, and positions of extreme elements.
//!
//! A fold keeps [`LANES`] partial results, element `i` going to lane `i mod LANES`, and combines
//! them as a balanced tree. The order of operations is the same on every instruction set, and the
//! rounding error of a sum grows with `n/LANES` only.

use std::marker::PhantomData;

use unloop_graph::{ArgReduceOp, DType, ReduceOp};

use super::arith::{Add, And, Max, Min, Mul, Or, Xor, Zip};
use super::level::{Kernel, Level, Simd, TileFn, at_level};

/// Partial results of a fold: four AVX-512 vectors of f64.
const LANES: usize = 32;

/// How far ahead of what is folded memory is fetched, in bytes; measured.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4096;

/// A combination with its result of nothing.
pub(super) trait Monoid<T: Copy>: Zip<T, Out = T> {
    const IDENTITY: T;

    /// # Safety
    /// `n` elements are readable.
    #[inline(always)]
    unsafe fn fold(x: *const T, n: usize) -> T
    where
        Self: Sized,
    {
        // SAFETY: as the caller's.
        unsafe { fold::<Self, T>(x, n) }
    }
}

macro_rules! monoid {
    ($($name:ident: $($t:ident)+ => $identity:expr;)+) => { $($(
        impl Monoid<$t> for $name {
            const IDENTITY: $t = $identity as $t;
        }
    )+)+ };
}
monoid! {
    Add: i32 i64 u32 f32 f64 => 0;
    Mul: i32 i64 u32 f32 f64 => 1;
    Max: i32 => i32::MIN;
    Max: i64 => i64::MIN;
    Max: u8 u32 => 0;
    Min: i32 => i32::MAX;
    Min: i64 => i64::MAX;
    Min: u32 => u32::MAX;
    Min: u8 => 1;
    And: i32 i64 => -1;
    And: u32 => u32::MAX;
    And: u8 => 1;
    Or: u8 i32 i64 u32 => 0;
    Xor: u8 i32 i64 u32 => 0;
}

/// Extremes of floats: one comparison an element, and one for NaN. Which zero is the extreme one, if it is
/// zero, is found by another fold.
macro_rules! extreme {
    ($($name:ident: $t:ident $bits:ident $identity:ident $better:tt;)+) => { $(
        impl Monoid<$t> for $name {
            const IDENTITY: $t = $t::$identity;

            #[inline(always)]
            unsafe fn fold(x: *const $t, n: usize) -> $t {
                let (mut lanes, mut odd) = ([Self::IDENTITY; LANES], [0 as $bits; LANES]);
                let mut take = |chunk: [$t; LANES]| {
                    for ((lane, odd), x) in lanes.iter_mut().zip(&mut odd).zip(chunk) {
                        *lane = if x $better *lane { x } else { *lane };
                        *odd |= if x.is_nan() { $bits::MAX } else { 0 };
                    }
                };
                // SAFETY: the caller makes `n` elements readable.
                unsafe {
                    for chunk in 0..n / LANES {
                        take(x.add(chunk * LANES).cast::<[$t; LANES]>().read_unaligned());
                    }
                    let mut rest = [Self::IDENTITY; LANES];
                    for i in n / LANES * LANES..n {
                        rest[i % LANES] = x.add(i).read_unaligned();
                    }
                    take(rest);
                    let best = tree::<Self, $t>(lanes);
                    match odd.into_iter().any(|odd| odd != 0) {
                        true => $t::NAN,
                        false if best == 0.0 => fold::<Self, $t>(x, n),
                        false => best,
                    }
                }
            }
        }
    )+ };
}
extreme! {
    Max: f32 u32 NEG_INFINITY >;
    Max: f64 u64 NEG_INFINITY >;
    Min: f32 u32 INFINITY <;
    Min: f64 u64 INFINITY <;
}

#[inline(always)]
unsafe fn fold<O: Monoid<T>, T: Copy>(x: *const T, n: usize) -> T {
    let mut lanes = [O::IDENTITY; LANES];
    // SAFETY: the caller makes `n` elements readable.
    unsafe {
        for chunk in 0..n / LANES {
            // Memory is slower than the sum, and the processor does not look ahead over pages.
            #[cfg(target_arch = "x86_64")]
            for line in (0..size_of::<[T; LANES]>()).step_by(64) {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                let ahead = x.add(chunk * LANES).cast::<i8>().wrapping_add(line + AHEAD);
                _mm_prefetch::<_MM_HINT_T0>(ahead);
            }
            let chunk = x.add(chunk * LANES).cast::<[T; LANES]>().read_unaligned();
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = O::zip(*lane, x);
            }
        }
        let rest = n % LANES;
        if rest > 0 {
            let mut padded = [O::IDENTITY; LANES];
            std::ptr::copy_nonoverlapping(
                x.add(n - rest).cast::<u8>(),
                padded.as_mut_ptr().cast(),
                rest * size_of::<T>(),
            );
            for (lane, x) in lanes.iter_mut().zip(padded) {
                *lane = O::zip(*lane, x);
            }
        }
    }
    tree::<O, T>(lanes)
}

/// The lanes combined as a balanced tree.
#[inline(always)]
fn tree<O: Monoid<T>, T: Copy>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = O::zip(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

struct Fold<O, T>(PhantomData<(O, T)>);

impl<O: Monoid<T>, T: Copy> Kernel for Fold<O, T> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        // SAFETY: the caller makes `n` elements readable and one writable.
        unsafe { dst.cast::<T>().write_unaligned(O::fold(a.cast(), n)) }
    }
}

struct Position<O, T>(PhantomData<(O, T)>);

/// Elements searched at once for the extreme one.
const SEARCHED: usize = 64;

impl<O: Monoid<T>, T: Copy + PartialEq> Kernel for Position<O, T> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        let a = a.cast::<T>();
        // SAFETY: the caller makes `n` elements readable and an `i64` writable.
        unsafe {
            let best = O::fold(a, n);
            // The first element that equals the extreme one; of NaN, the first that is NaN.
            #[allow(clippy::eq_op)]
            let found = |x: T| if best == best { x == best } else { x != x };
            let mut start = 0;
            while start + SEARCHED <= n {
                let mut any = false;
                for i in start..start + SEARCHED {
                    any |= found(a.add(i).read_unaligned());
                }
                if any {
                    break;
                }
                start += SEARCHED;
            }
            while start < n && !found(a.add(start).read_unaligned()) {
                start += 1;
            }
            dst.cast::<i64>().write_unaligned(start as i64);
        }
    }
}

impl Simd {
    /// The kernel that reduces `n` elements at `a` to one at `dst` (`b` and `c` are not read), where
    /// the operation has the dtype. Of no element: the identity.
    pub fn reduce(self, op: ReduceOp, dtype: DType) -> Option<TileFn> {
        at_level!(self, reduce(op, dtype))
    }

    /// The kernel that writes the position of the extreme one of `n >= 1` elements at `a` to `dst`
    /// as an `i64`, unaligned (`b` and `c` are not read). The first of equal elements counts, and
    /// NaN is more extreme than any number.
    pub fn arg_reduce(self, op: ArgReduceOp, dtype: DType) -> TileFn {
        at_level!(self, arg_reduce(op, dtype))
    }
}

fn reduce<L: Level>(op: ReduceOp, dtype: DType) -> Option<TileFn> {
    macro_rules! number {
        ($t:ty, $op:ident => $rest:expr) => {
            match $op {
                ReduceOp::Sum => L::tile::<Fold<Add, $t>>(),
                ReduceOp::Prod => L::tile::<Fold<Mul, $t>>(),
                ReduceOp::Max => L::tile::<Fold<Max, $t>>(),
                ReduceOp::Min => L::tile::<Fold<Min, $t>>(),
                ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => $rest,
            }
        };
    }
    macro_rules! bits {
        ($t:ty, $op:ident => $rest:expr) => {
            match $op {
                ReduceOp::And => L::tile::<Fold<And, $t>>(),
                ReduceOp::Or => L::tile::<Fold<Or, $t>>(),
                ReduceOp::Xor => L::tile::<Fold<Xor, $t>>(),
                ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Max | ReduceOp::Min => $rest,
            }
        };
    }
    macro_rules! int {
        ($t:ty) => {
            number!($t, op => bits!($t, op => return None))
        };
    }
    Some(match dtype {
        DType::Bool => bits!(u8, op => match op {
            ReduceOp::Max => L::tile::<Fold<Max, u8>>(),
            ReduceOp::Min => L::tile::<Fold<Min, u8>>(),
            _ => return None,
        }),
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::U32 => int!(u32),
        DType::F32 => number!(f32, op => return None),
        DType::F64 => number!(f64, op => return None),
    })
}

fn arg_reduce<L: Level>(op: ArgReduceOp, dtype: DType) -> TileFn {
    macro_rules! of {
        ($t:ty) => {
            match op {
                ArgReduceOp::Max => L::tile::<Position<Max, $t>>(),
                ArgReduceOp::Min => L::tile::<Position<Min, $t>>(),
            }
        };
    }
    match dtype {
        DType::Bool => of!(u8),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        DType::U32 => of!(u32),
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
    }
}
