//! Rows to columns and back: elements of examples that lie one after the other in memory, and tiles
//! with one element of each example.

use unloop_graph::DType;

use super::level::{Simd, Which};

/// How elements of a size move in square blocks.
pub(super) trait Block {
    type T: Copy;
    /// The rows and columns of a block.
    const SIDE: usize;
    /// Element `j` of the run at `from(i)` becomes element `i` of the run at `to(j)`.
    ///
    /// # Safety
    /// The runs have [`Block::SIDE`] readable and writable elements.
    unsafe fn transpose(from: impl Fn(usize) -> *const Self::T, to: impl Fn(usize) -> *mut Self::T);
}

/// Element by element.
pub(super) struct Single;

impl Block for Single {
    type T = u8;
    const SIDE: usize = 1;
    #[inline(always)]
    unsafe fn transpose(from: impl Fn(usize) -> *const u8, to: impl Fn(usize) -> *mut u8) {
        // SAFETY: as the caller's.
        unsafe { to(0).write(from(0).read()) };
    }
}

/// Two by two elements of eight bytes.
pub(super) struct Pairs;

#[cfg(target_arch = "x86_64")]
impl Block for Pairs {
    type T = u64;
    const SIDE: usize = 2;
    #[inline(always)]
    unsafe fn transpose(from: impl Fn(usize) -> *const u64, to: impl Fn(usize) -> *mut u64) {
        use std::arch::x86_64::{_mm_loadu_pd, _mm_storeu_pd, _mm_unpackhi_pd, _mm_unpacklo_pd};
        // SAFETY: as the caller's; SSE2 is there on x86-64.
        unsafe {
            let [a, b] = [0, 1].map(|i| _mm_loadu_pd(from(i).cast()));
            _mm_storeu_pd(to(0).cast(), _mm_unpacklo_pd(a, b));
            _mm_storeu_pd(to(1).cast(), _mm_unpackhi_pd(a, b));
        }
    }
}

/// Four by four elements of eight bytes.
#[cfg(target_arch = "x86_64")]
struct Quads;

#[cfg(target_arch = "x86_64")]
impl Block for Quads {
    type T = u64;
    const SIDE: usize = 4;
    #[inline(always)]
    unsafe fn transpose(from: impl Fn(usize) -> *const u64, to: impl Fn(usize) -> *mut u64) {
        use std::arch::x86_64::{
            _mm256_loadu_pd, _mm256_permute2f128_pd, _mm256_storeu_pd, _mm256_unpackhi_pd,
            _mm256_unpacklo_pd,
        };
        // SAFETY: as the caller's, whose level has AVX.
        unsafe {
            let load = |i: usize| _mm256_loadu_pd(from(i).cast());
            let store = |j: usize, x| _mm256_storeu_pd(to(j).cast(), x);
            let (a, b, c, d) = (load(0), load(1), load(2), load(3));
            let (even, odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
            let (even2, odd2) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
            store(0, _mm256_permute2f128_pd::<0x20>(even, even2));
            store(1, _mm256_permute2f128_pd::<0x20>(odd, odd2));
            store(2, _mm256_permute2f128_pd::<0x31>(even, even2));
            store(3, _mm256_permute2f128_pd::<0x31>(odd, odd2));
        }
    }
}

/// Four by four elements of four bytes.
pub(super) struct Words;

#[cfg(target_arch = "x86_64")]
impl Block for Words {
    type T = u32;
    const SIDE: usize = 4;
    #[inline(always)]
    unsafe fn transpose(from: impl Fn(usize) -> *const u32, to: impl Fn(usize) -> *mut u32) {
        use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
        // SAFETY: as the caller's; SSE2 is there on x86-64.
        unsafe {
            let mut rows = [0, 1, 2, 3].map(|i| _mm_loadu_ps(from(i).cast()));
            let [a, b, c, d] = &mut rows;
            _MM_TRANSPOSE4_PS(a, b, c, d);
            rows.into_iter().enumerate().for_each(|(j, row)| _mm_storeu_ps(to(j).cast(), row));
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
macro_rules! plain {
    ($($name:ident: $t:ty, $side:literal;)+) => { $(
        impl Block for $name {
            type T = $t;
            const SIDE: usize = $side;
            #[inline(always)]
            unsafe fn transpose(from: impl Fn(usize) -> *const $t, to: impl Fn(usize) -> *mut $t) {
                for i in 0..$side {
                    for j in 0..$side {
                        // SAFETY: as the caller's; no alignment is assumed.
                        unsafe { to(j).add(i).write_unaligned(from(i).add(j).read_unaligned()) };
                    }
                }
            }
        }
    )+ };
}
#[cfg(not(target_arch = "x86_64"))]
plain! {
    Pairs: u64, 2;
    Words: u32, 4;
}

/// Rows of several examples, and the columns that they are split into or joined from: element `i` of
/// column `k` is element `i·stride + k` of the rows.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    pub rows: *mut u8,
    /// Elements from one row to the next.
    pub stride: usize,
    /// Offsets of the columns from `start`; some may not be wanted.
    pub columns: &'a [Option<u32>],
    pub start: *mut u8,
    /// How many rows there are.
    pub n: usize,
}

type ColumnsFn = unsafe fn(Columns<'_>);

impl Simd {
    /// Splits rows of a dtype into columns.
    ///
    /// # Safety
    /// The elements named must be readable and writable, and the rows must not overlap the columns.
    pub unsafe fn split(self, columns: Columns<'_>, dtype: DType) {
        // SAFETY: as the caller's, and the processor has the level.
        unsafe { by_level::<true>(self, dtype)(columns) }
    }

    /// Joins columns to rows, the inverse of [`Simd::split`].
    ///
    /// # Safety
    /// As [`Simd::split`].
    pub unsafe fn join(self, columns: Columns<'_>, dtype: DType) {
        // SAFETY: as above.
        unsafe { by_level::<false>(self, dtype)(columns) }
    }
}

fn by_level<const SPLIT: bool>(simd: Simd, dtype: DType) -> ColumnsFn {
    match (dtype.size(), simd.0) {
        (1, _) => walk::<Single, SPLIT>,
        (4, _) => walk::<Words, SPLIT>,
        (_, Which::Baseline) => walk::<Pairs, SPLIT>,
        #[cfg(target_arch = "x86_64")]
        (_, Which::Avx2 | Which::Avx512) => wide::<SPLIT>,
    }
}

/// # Safety
/// As [`walk`], on a processor with AVX.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn wide<const SPLIT: bool>(all: Columns<'_>) {
    // What is left of blocks of four goes by twos.
    let (whole, rest) = all.columns.split_at(all.columns.len() / Quads::SIDE * Quads::SIDE);
    let rows = all.rows.wrapping_add(whole.len() * size_of::<u64>());
    // SAFETY: as the caller's; both are parts of what is there.
    unsafe {
        walk::<Quads, SPLIT>(Columns { columns: whole, ..all });
        walk::<Pairs, SPLIT>(Columns { columns: rest, rows, ..all });
    }
}

/// # Safety
/// As [`Simd::split`].
#[inline(always)]
unsafe fn walk<B: Block, const SPLIT: bool>(all: Columns<'_>) {
    let whole = all.n / B::SIDE * B::SIDE;
    for (block, columns) in all.columns.chunks(B::SIDE).enumerate() {
        let first = block * B::SIDE;
        let row = |i: usize| all.rows.cast::<B::T>().wrapping_add(i * all.stride + first);
        let column = |k: usize| {
            let offset = columns[k].map_or(0, |offset| offset as usize);
            all.start.wrapping_add(offset).cast::<B::T>()
        };
        let is_whole = columns.len() == B::SIDE && columns.iter().all(Option::is_some);
        let done = if is_whole { whole } else { 0 };
        if is_whole {
            let mut at: [*mut B::T; 4] = [std::ptr::null_mut(); 4];
            (0..B::SIDE).for_each(|k| at[k] = column(k));
            for i in (0..done).step_by(B::SIDE) {
                let side = |k: usize| at[k].wrapping_add(i);
                // SAFETY: the caller makes the rows and columns of the block valid.
                unsafe {
                    match SPLIT {
                        true => B::transpose(|j| row(i + j).cast_const(), side),
                        false => B::transpose(|k| side(k).cast_const(), |j| row(i + j)),
                    }
                }
            }
        }
        for k in (0..columns.len()).filter(|&k| columns[k].is_some()) {
            let (row, column) = (row(done).wrapping_add(k), column(k).wrapping_add(done));
            let n = all.n - done;
            // SAFETY: as above, element by element. Known strides make vectors of the loop.
            unsafe {
                match all.stride {
                    1 if SPLIT => std::ptr::copy_nonoverlapping(row, column, n),
                    1 => std::ptr::copy_nonoverlapping(column, row, n),
                    2 => elements::<B::T, SPLIT>(row, column, n, 2),
                    3 => elements::<B::T, SPLIT>(row, column, n, 3),
                    stride => elements::<B::T, SPLIT>(row, column, n, stride),
                }
            }
        }
    }
}

/// One element of each row.
///
/// # Safety
/// As [`Simd::split`].
#[inline(always)]
unsafe fn elements<T: Copy, const SPLIT: bool>(
    row: *mut T,
    column: *mut T,
    n: usize,
    stride: usize,
) {
    for i in 0..n {
        // SAFETY: as the caller's.
        unsafe {
            let (row, column) = (row.add(i * stride), column.add(i));
            match SPLIT {
                true => column.write_unaligned(row.read_unaligned()),
                false => row.write_unaligned(column.read_unaligned()),
            }
        }
    }
}
