//! Positions in sorted rows, by halving.

use std::hint::select_unpredictable;
use std::marker::PhantomData;

use unloop_graph::DType;

use super::level::{Kernel, Level, Simd, TileFn, at_level};

/// Values that are looked up side by side, so that none waits for the elements of another.
const SIDE: usize = 16;

/// A sorted row.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub start: *const u8,
    pub len: usize,
}

/// `dst[i]` = where `a[i]` would stand in the [`Table`] at `b`, before equal elements or after them.
struct Search<T, const RIGHT: bool>(PhantomData<T>);

impl<T: Copy + PartialOrd, const RIGHT: bool> Kernel for Search<T, RIGHT> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        // SAFETY: the caller makes a table readable at `b`.
        let table = unsafe { b.cast::<Table>().read_unaligned() };
        let (dst, a) = (dst.cast::<i64>(), a.cast::<T>());
        let mut first = 0;
        while first + SIDE <= n {
            // SAFETY: the caller makes `n` values readable, and so many positions writable.
            unsafe {
                let values = a.add(first).cast::<[T; SIDE]>().read_unaligned();
                let at = Self::positions(table, values).map(|at| at as i64);
                dst.add(first).cast::<[i64; SIDE]>().write_unaligned(at);
            }
            first += SIDE;
        }
        if first < n {
            // SAFETY: as above; the last value fills up.
            unsafe {
                let value = |i: usize| a.add((first + i).min(n - 1)).read_unaligned();
                let at = Self::positions(table, std::array::from_fn(value));
                for (i, &at) in at.iter().enumerate().take(n - first) {
                    dst.add(first + i).write_unaligned(at as i64);
                }
            }
        }
    }
}

impl<T: Copy + PartialOrd, const RIGHT: bool> Search<T, RIGHT> {
    /// # Safety
    /// The table is readable.
    #[inline(always)]
    unsafe fn positions(table: Table, values: [T; SIDE]) -> [usize; SIDE] {
        // SAFETY: as the caller's.
        let mut at = unsafe {
            halve(table, |x: T, i| match RIGHT {
                true => x <= values[i],
                false => x < values[i],
            })
        };
        #[expect(clippy::eq_op, reason = "NaN is not equal to itself")]
        let is_nan = |x: T| x != x;
        if values.iter().fold(false, |any, &value| any | is_nan(value)) {
            // NaN is larger than all numbers, which no comparison says.
            let [end] = match RIGHT {
                true => [table.len],
                // SAFETY: as the caller's.
                false => unsafe { halve(table, |x: T, _| !is_nan(x)) },
            };
            at.iter_mut().zip(values).filter(|(_, x)| is_nan(*x)).for_each(|(at, _)| *at = end);
        }
        at
    }
}

/// How many elements of a sorted table come first, by `N` tests side by side.
///
/// # Safety
/// The table is readable.
#[inline(always)]
unsafe fn halve<T: Copy, const N: usize>(
    table: Table,
    is_before: impl Fn(T, usize) -> bool,
) -> [usize; N] {
    let start = table.start.cast::<T>();
    let mut at = [0; N];
    let mut len = table.len;
    while len > 1 {
        let half = len / 2;
        for (i, at) in at.iter_mut().enumerate() {
            // SAFETY: `len` elements from `at` lie in the table.
            let x = unsafe { start.add(*at + half - 1).read_unaligned() };
            *at = select_unpredictable(is_before(x, i), *at + half, *at);
        }
        len -= half;
    }
    if len == 1 {
        for (i, at) in at.iter_mut().enumerate() {
            // SAFETY: this one lies in the table.
            *at += usize::from(is_before(unsafe { start.add(*at).read_unaligned() }, i));
        }
    }
    at
}

impl Simd {
    /// The kernel that writes the positions of `n` values at `a` in the [`Table`] at `b` to `dst` as
    /// `i64` (`c` is not read); NaN is larger than any number.
    pub fn search(self, right: bool, dtype: DType) -> TileFn {
        at_level!(self, search(right, dtype))
    }
}

fn search<L: Level>(right: bool, dtype: DType) -> TileFn {
    macro_rules! of {
        ($t:ty) => {
            match right {
                true => L::tile::<Search<$t, true>>(),
                false => L::tile::<Search<$t, false>>(),
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
