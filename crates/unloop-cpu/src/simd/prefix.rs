//! Running totals of a contiguous row.
//!
//! Each element waits for the one before. So a block of the row is cut into [`CHAINS`] chains whose totals are
//! found first; then all of them run side by side. The order of operations depends on the length only.

use unloop_graph::{DType, ReduceOp};

use super::arith::{Add, And, Max, Min, Mul, Or, Xor};
use super::reduce::Monoid;

/// `dst[i]` = `before` and `a[0..=i]` combined, for `n` elements: destination, elements, the total before.
pub type PrefixFn = unsafe fn(*mut u8, *const u8, *const u8, usize);

/// Chains side by side: as many as an addition takes steps, for each of two that start at once.
const CHAINS: usize = 8;

/// Elements of a chain in a block. No power of two, so that chains do not lie at distances that share places
/// in a cache.
const CHAIN: usize = 72;

unsafe fn run<O: Monoid<T>, T: Copy, const REVERSE: bool>(
    dst: *mut u8,
    a: *const u8,
    before: *const u8,
    n: usize,
) {
    let (dst, a) = (dst.cast::<T>(), a.cast::<T>());
    let at = |i: usize| if REVERSE { n - 1 - i } else { i };
    // SAFETY: the caller makes `n` elements readable and writable, and one at `before`.
    unsafe {
        let x = |i: usize| a.add(at(i)).read_unaligned();
        let mut total = before.cast::<T>().read_unaligned();
        let mut start = 0;
        while start + CHAINS * CHAIN <= n {
            let place = |chain: usize, i: usize| start + chain * CHAIN + i;
            let mut sums = [O::IDENTITY; CHAINS];
            for i in 0..CHAIN {
                for (chain, sum) in sums.iter_mut().enumerate() {
                    *sum = O::zip(*sum, x(place(chain, i)));
                }
            }
            let mut totals = sums.map(|sum| {
                let before = total;
                total = O::zip(total, sum);
                before
            });
            for i in 0..CHAIN {
                for (chain, total) in totals.iter_mut().enumerate() {
                    *total = O::zip(*total, x(place(chain, i)));
                    dst.add(at(place(chain, i))).write_unaligned(*total);
                }
            }
            start += CHAINS * CHAIN;
        }
        for i in start..n {
            total = O::zip(total, x(i));
            dst.add(at(i)).write_unaligned(total);
        }
    }
}

/// The kernel of a cumulative reduction, from the first or from the last element on, where the operation
/// has the dtype. It is bound by memory and by what an operation waits for, not by the width of vectors, and
/// so the same for all sets of instructions.
pub fn prefix(op: ReduceOp, dtype: DType, reverse: bool) -> Option<PrefixFn> {
    macro_rules! of {
        ($op:ty, $t:ty) => {
            if reverse { run::<$op, $t, true> } else { run::<$op, $t, false> }
        };
    }
    macro_rules! ordered {
        ($t:ty) => {
            match op {
                ReduceOp::Max => of!(Max, $t),
                ReduceOp::Min => of!(Min, $t),
                _ => return None,
            }
        };
    }
    macro_rules! number {
        ($t:ty) => {
            match op {
                ReduceOp::Sum => of!(Add, $t),
                ReduceOp::Prod => of!(Mul, $t),
                _ => ordered!($t),
            }
        };
    }
    macro_rules! bits {
        ($t:ty, $rest:expr) => {
            match op {
                ReduceOp::And => of!(And, $t),
                ReduceOp::Or => of!(Or, $t),
                ReduceOp::Xor => of!(Xor, $t),
                _ => $rest,
            }
        };
    }
    let kernel: PrefixFn = match dtype {
        DType::Bool => bits!(u8, ordered!(u8)),
        DType::I32 => bits!(i32, number!(i32)),
        DType::I64 => bits!(i64, number!(i64)),
        DType::U32 => bits!(u32, number!(u32)),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
    };
    Some(kernel)
}
