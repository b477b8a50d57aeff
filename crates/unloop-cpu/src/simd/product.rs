//! Products of small matrices: several rows of the result at a time stay in registers while columns of
//! the left matrix meet rows of the right one.

use super::lanes::{Float, V, WIDTH, opaque, plus_product};
use super::level::{Level, Simd, at_level};

/// Extents, at most; larger ones do better in blocks. Measured.
pub const SMALL: usize = 16;

/// A product of an `m×k` and a `k×n` matrix of at most [`SMALL`] rows and columns; strides count
/// elements.
#[derive(Clone, Copy)]
pub struct SmallProduct {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// Strides of rows and columns.
    pub left: (*const u8, isize, isize),
    pub right: (*const u8, isize, isize),
    /// Row-major, disjoint from the operands.
    pub out: *mut u8,
}

/// # Safety
/// The operands are readable and the result writable.
pub type ProductFn = unsafe fn(SmallProduct);

impl Simd {
    /// The product of f32 (else f64).
    pub fn product(self, single: bool) -> ProductFn {
        at_level!(self, product(single))
    }
}

fn product<L: Level>(single: bool) -> ProductFn {
    if single { L::product::<f32, 16>() } else { L::product::<f64, 8>() }
}

/// # Safety
/// As [`ProductFn`].
#[inline(always)]
pub(super) unsafe fn run<T: Float, const W: usize, const FMA: bool>(p: SmallProduct) {
    const { assert!(W * size_of::<T>() == WIDTH) };
    let (right, row, column) = (p.right.0.cast::<T>(), p.right.1, p.right.2);
    let mut packed = [[T::ZERO; W]; SMALL];
    for first in (0..p.n).step_by(W) {
        let width = W.min(p.n - first);
        let right = right.wrapping_offset(first as isize * column);
        let (mut rows, mut step) = (right, row);
        if width < W || column != 1 {
            for (i, to) in packed[..p.k].iter_mut().enumerate() {
                let from = right.wrapping_offset(i as isize * row);
                for (j, to) in to[..width].iter_mut().enumerate() {
                    // SAFETY: row `i` and column `first + j` are in the matrix.
                    *to = unsafe { from.offset(j as isize * column).read() };
                }
            }
            (rows, step) = (packed.as_ptr().cast(), W as isize);
        }
        let mut i = 0;
        while i < p.m {
            // SAFETY: `k` rows of `W` elements are readable; the tile stays within the matrices.
            unsafe {
                // More sums at a time than 64 are not kept in registers.
                i += match (W, p.m - i) {
                    (8, 5..) => tile::<T, W, 8, FMA>(p, i, (rows, step), first, width),
                    (_, 3..) => tile::<T, W, 4, FMA>(p, i, (rows, step), first, width),
                    _ => tile::<T, W, 2, FMA>(p, i, (rows, step), first, width),
                };
            }
        }
    }
}

/// `R` rows of the result from row `i` on, or as many as there are, and `width` columns from `first` on; gives `R`.
///
/// # Safety
/// `right` has `k` rows with `W` readable elements each.
#[inline(always)]
unsafe fn tile<T: Float, const W: usize, const R: usize, const FMA: bool>(
    p: SmallProduct,
    i: usize,
    (right, step): (*const T, isize),
    first: usize,
    width: usize,
) -> usize {
    let (left, row, column) = (p.left.0.cast::<T>(), p.left.1, p.left.2);
    // Rows past the last one repeat it.
    let mut rows = [left; R];
    for (r, at) in rows.iter_mut().enumerate() {
        *at = left.wrapping_offset((i + r).min(p.m - 1) as isize * row);
    }
    let mut sums: [V<T, W>; R] = [[T::ZERO; W]; R];
    let (mut along, mut down) = (0, 0);
    for _ in (0..p.k).map(opaque) {
        // SAFETY: both positions are below `k`, and rows are in the matrix.
        unsafe {
            let y = right.offset(down).cast::<V<T, W>>().read_unaligned();
            for r in 0..R {
                let x = rows[r].offset(along).read();
                sums[r] = plus_product::<T, W, FMA>([x; W], y, sums[r]);
            }
        }
        (along, down) = (along + column, down + step);
    }
    for (r, sum) in sums.iter().enumerate().take(p.m - i) {
        let out = p.out.cast::<T>().wrapping_add((i + r) * p.n + first);
        // SAFETY: the row of the result has these elements.
        unsafe {
            match width == W {
                true => out.cast::<V<T, W>>().write_unaligned(*sum),
                false => std::ptr::copy_nonoverlapping(sum.as_ptr(), out, width),
            }
        }
    }
    R
}
