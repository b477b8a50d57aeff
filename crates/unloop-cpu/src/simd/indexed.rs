//! Elements at computed positions: from indices to offsets, and the loops that copy or combine what
//! stands there. Offsets and distances are in bytes; addresses need no alignment.

use unloop_graph::op::ScatterOp;
use unloop_graph::{BinaryOp, DType};

use super::arith::{Add, Max, Min, Mul, Zip};

/// What one component of an index vector may be, and how far it leads.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The last position at which a window starts; negative if there is none.
    pub last: i64,
    /// The distance of neighbouring positions.
    pub stride: isize,
}

/// What is done with an index that is not within its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// It is only told.
    Tell,
    /// The nearest position is taken.
    Clamp,
    /// It is marked, and the first position taken.
    Mark,
}

/// Indices of an integer dtype at a distance of `step` elements.
#[derive(Clone, Copy, Debug)]
pub struct Indices {
    pub start: *const u8,
    pub step: isize,
    pub dtype: DType,
}

/// Adds the distance of positions to offsets, `offsets[i] += indices[i]·stride`, and tells whether all
/// indices are within the bound. Marks are set to false, one an offset.
///
/// # Safety
///
/// The indices must be readable.
pub unsafe fn add_positions(
    offsets: &mut [isize],
    (outside, marks): (Outside, &mut [bool]),
    indices: Indices,
    bound: Bound,
) -> bool {
    /// The loop over indices: what is added for each, of its value and number.
    #[inline(always)]
    unsafe fn each<I: Copy + Into<i64>>(
        offsets: &mut [isize],
        (indices, step): (*const I, isize),
        bound: Bound,
        mut position: impl FnMut(i64, usize) -> i64,
    ) -> bool {
        // The sign tells of a negative index and of one above the last; it needs no comparison, so
        // that the loop vectorises on every processor.
        let mut signs = if bound.last < 0 { -1 } else { 0 };
        for (i, offset) in offsets.iter_mut().enumerate() {
            // SAFETY: the caller makes the indices readable.
            let index: i64 = unsafe { indices.offset(i as isize * step).read_unaligned() }.into();
            signs |= index | bound.last.wrapping_sub(index);
            // Where an index is out of bounds, the offset is without meaning.
            let distance = (position(index, i) as isize).wrapping_mul(bound.stride);
            *offset = offset.wrapping_add(distance);
        }
        signs >= 0
    }
    #[inline(always)]
    unsafe fn typed<I: Copy + Into<i64>>(
        offsets: &mut [isize],
        (outside, marks): (Outside, &mut [bool]),
        indices: (*const I, isize),
        bound: Bound,
    ) -> bool {
        let most = bound.last.max(0);
        let unit = Bound { stride: 1, ..bound };
        // SAFETY: as the caller's.
        unsafe {
            match (outside, indices.1, bound.stride) {
                (Outside::Tell, 1, 1) => each(offsets, (indices.0, 1), unit, |index, _| index),
                (Outside::Tell, _, _) => each(offsets, indices, bound, |index, _| index),
                (Outside::Clamp, _, _) => {
                    each(offsets, indices, bound, |index, _| index.clamp(0, most))
                }
                (Outside::Mark, _, _) => each(offsets, indices, bound, |index, i| {
                    let within = (index >= 0) & (index <= bound.last);
                    marks[i] &= within;
                    if within { index } else { 0 }
                }),
            }
        }
    }
    let how = (outside, marks);
    let Indices { start, step, dtype } = indices;
    // SAFETY: as the caller's.
    unsafe {
        match dtype {
            DType::I32 => typed::<i32>(offsets, how, (start.cast(), step), bound),
            DType::U32 => typed::<u32>(offsets, how, (start.cast(), step), bound),
            DType::I64 => typed::<i64>(offsets, how, (start.cast(), step), bound),
            other => unreachable!("indices are integers, not {other}"),
        }
    }
}

/// Offsets of elements.
#[derive(Clone, Copy, Debug)]
pub enum Places<'a> {
    /// Any, each times a distance.
    At(&'a [isize], isize),
    /// One after the other at a distance.
    Line(isize, isize),
}

impl Places<'_> {
    /// The offset of a number below that of the places.
    pub fn of(&self, i: usize) -> isize {
        match *self {
            Places::At(offsets, scale) => offsets[i] * scale,
            Places::Line(start, step) => start + i as isize * step,
        }
    }
}

/// Offsets by number.
trait Offsets: Copy {
    /// # Safety
    /// The number is below that of the places.
    unsafe fn of(self, i: usize) -> isize;
}

#[derive(Clone, Copy)]
struct At<'a>(&'a [isize], isize);

impl Offsets for At<'_> {
    #[inline(always)]
    unsafe fn of(self, i: usize) -> isize {
        // SAFETY: as the caller's.
        unsafe { *self.0.get_unchecked(i) * self.1 }
    }
}

#[derive(Clone, Copy)]
struct Line(isize, isize);

impl Offsets for Line {
    #[inline(always)]
    unsafe fn of(self, i: usize) -> isize {
        self.0 + i as isize * self.1
    }
}

/// Runs the body with the offsets of two kinds of places.
macro_rules! with_offsets {
    ($one:expr, $other:expr, |$a:ident, $b:ident| $body:expr) => {
        match ($one, $other) {
            (Places::At(a, scale), Places::At(b, other)) => {
                let ($a, $b) = (At(a, scale), At(b, other));
                $body
            }
            (Places::At(a, scale), Places::Line(start, step)) => {
                let ($a, $b) = (At(a, scale), Line(start, step));
                $body
            }
            (Places::Line(start, step), Places::At(b, other)) => {
                let ($a, $b) = (Line(start, step), At(b, other));
                $body
            }
            (Places::Line(start, step), Places::Line(from, by)) => {
                let ($a, $b) = (Line(start, step), Line(from, by));
                $body
            }
        }
    };
}

/// Runs the body with `$t` a type of so many bytes, which divide it: the widest, of a vector at most.
macro_rules! by_width {
    ($bytes:expr, $t:ident => $body:expr) => {
        match $bytes {
            b if b % 32 == 0 => {
                type $t = [u64; 4];
                $body
            }
            b if b % 16 == 0 => {
                type $t = [u64; 2];
                $body
            }
            b if b % 8 == 0 => {
                type $t = u64;
                $body
            }
            b if b % 4 == 0 => {
                type $t = u32;
                $body
            }
            _ => {
                type $t = u8;
                $body
            }
        }
    };
}

/// Bytes of a row that is copied by a call of the library's copy instead of a loop of words. (Rows of
/// 32, 64, 128 and 512 bytes of a table of 8 MB: the call takes 0.97, 0.79, 0.86 and 0.75 of the loop's
/// time.)
const LONG: usize = 64;

/// Copies `n` rows of so many bytes: `dst[to[i]..] = src[from[i]..]`.
///
/// # Safety
///
/// The rows must be readable and writable, and must not overlap. There are `n` places.
pub unsafe fn copy_rows(
    (dst, to): (*mut u8, Places<'_>),
    (src, from): (*const u8, Places<'_>),
    n: usize,
    bytes: usize,
) {
    #[inline(always)]
    unsafe fn words<T: Copy>(
        (dst, to): (*mut u8, impl Offsets),
        (src, from): (*const u8, impl Offsets),
        n: usize,
        words: usize,
    ) {
        for i in 0..n {
            // SAFETY: the caller makes both rows valid.
            unsafe {
                let dst = dst.offset(to.of(i)).cast::<T>();
                let src = src.offset(from.of(i)).cast::<T>();
                for k in 0..words {
                    dst.add(k).write_unaligned(src.add(k).read_unaligned());
                }
            }
        }
    }
    with_offsets!(to, from, |to, from| {
        // SAFETY: as the caller's.
        unsafe {
            if bytes >= LONG {
                for i in 0..n {
                    let (dst, src) = (dst.offset(to.of(i)), src.offset(from.of(i)));
                    std::ptr::copy_nonoverlapping(src, dst, bytes);
                }
                return;
            }
            by_width!(bytes, T => match bytes / size_of::<T>() {
                1 => words::<T>((dst, to), (src, from), n, 1),
                count => words::<T>((dst, to), (src, from), n, count),
            })
        }
    })
}

/// Combines `n` rows of so many elements, one row after the other, so that the same may come again:
/// `dst[to[i]..] = op(dst[to[i]..], src[from[i]..])`.
///
/// # Safety
///
/// The rows must be readable and writable, and those of both sides must not overlap. There are `n`
/// places.
pub type CombineFn =
    unsafe fn(dst: (*mut u8, Places<'_>), src: (*const u8, Places<'_>), n: usize, elements: usize);

/// How a scatter combines rows of a dtype; `None` if it replaces them.
pub fn combine_rows(op: ScatterOp, dtype: DType) -> Option<CombineFn> {
    unsafe fn run<O: Zip<T, Out = T>, T: Copy>(
        (dst, to): (*mut u8, Places<'_>),
        (src, from): (*const u8, Places<'_>),
        n: usize,
        elements: usize,
    ) {
        with_offsets!(to, from, |to, from| {
            // SAFETY: as the caller's.
            unsafe {
                match elements {
                    1 => each::<O, T>((dst, to), (src, from), n, 1),
                    count => each::<O, T>((dst, to), (src, from), n, count),
                }
            }
        })
    }
    #[inline(always)]
    unsafe fn each<O: Zip<T, Out = T>, T: Copy>(
        (dst, to): (*mut u8, impl Offsets),
        (src, from): (*const u8, impl Offsets),
        n: usize,
        elements: usize,
    ) {
        for i in 0..n {
            // SAFETY: the caller makes both rows valid.
            unsafe {
                let dst = dst.offset(to.of(i)).cast::<T>();
                let src = src.offset(from.of(i)).cast::<T>();
                for k in 0..elements {
                    let (old, new) = (dst.add(k).read_unaligned(), src.add(k).read_unaligned());
                    dst.add(k).write_unaligned(O::zip(old, new));
                }
            }
        }
    }
    macro_rules! number {
        ($t:ty) => {
            match op {
                ScatterOp::Set => return None,
                ScatterOp::Add => run::<Add, $t>,
                ScatterOp::Mul => run::<Mul, $t>,
                ScatterOp::Min => run::<Min, $t>,
                ScatterOp::Max => run::<Max, $t>,
            }
        };
    }
    Some(match dtype {
        DType::Bool => match op {
            ScatterOp::Set => return None,
            ScatterOp::Min => run::<Min, u8>,
            ScatterOp::Max => run::<Max, u8>,
            ScatterOp::Add | ScatterOp::Mul => unreachable!("the type rule refuses these"),
        },
        DType::I32 => number!(i32),
        DType::I64 => number!(i64),
        DType::U32 => number!(u32),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
    })
}

/// The operation of tiles that a scatter combines by; `None` if it replaces.
pub fn combination(op: ScatterOp) -> Option<BinaryOp> {
    match op {
        ScatterOp::Set => None,
        ScatterOp::Add => Some(BinaryOp::Add),
        ScatterOp::Mul => Some(BinaryOp::Mul),
        ScatterOp::Min => Some(BinaryOp::Min),
        ScatterOp::Max => Some(BinaryOp::Max),
    }
}
