//! Kernels that move elements between axes: what lies side by side in memory does not in the result.
//! Squares of a line each way are turned in a buffer, so that every line is read and written once and as
//! a whole, however far apart they lie.

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, ValueId};
use unloop_kernel::{Expr, Kernel};

use crate::map::{inner_axis, layout_cost, rows, rows_cost};
use crate::memory::{Addresses, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{Columns, Simd};
use crate::space::Rows;

/// A transposed copy, ready to run.
pub(crate) struct Transpose {
    source: usize,
    target: usize,
    dtype: DType,
    simd: Simd,
    /// The axes of the result, and of the source, along which elements lie side by side.
    to: Side,
    from: Side,
    /// All others: streams are source and result.
    rows: Rows,
    ns: f64,
}

#[derive(Clone, Copy)]
struct Side {
    extent: usize,
    /// Elements from one to the next in the other array.
    stride: usize,
    /// Elements of a square.
    square: usize,
}

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Lines of a square where the other side is shorter than a line.
const LONG: usize = 4;

/// Squares each way that are moved one after the other: their pages stay known to the processor.
const SQUARES: usize = 8;

/// Predicted nanoseconds of a square, and of a byte that is moved.
const SQUARE_NS: f64 = 20.0;
const BYTE_NS: f64 = 0.05;

impl Transpose {
    /// Compiles a collapsed kernel that only moves elements from one axis to another.
    pub fn compile(
        kernel: &Kernel,
        simd: Simd,
        buffer: impl Fn(ValueId) -> usize,
    ) -> Option<Transpose> {
        let ([load], [Expr::Load(0)]) = (&kernel.loads[..], &kernel.exprs[..]) else { return None };
        let is_copy = kernel.reduction.is_none() && load.windows.is_empty();
        let total: usize = kernel.space.iter().product();
        let (reads, writes) = (&load.source.strides, &kernel.store.strides);
        let side_by_side = |strides: &[isize]| {
            (0..kernel.space.len()).find(|&a| strides[a] == 1 && kernel.space[a] > 1)
        };
        let (to, from) = (side_by_side(writes)?, side_by_side(reads)?);
        let (to_stride, from_stride) = (reads[to], writes[from]);
        let line = LINE / load.dtype.size();
        if !is_copy || total == 0 || to == from || to_stride <= 1 || from_stride <= 1 {
            return None;
        }
        let square = |axis: usize, other: usize| {
            match kernel.space[other] < line {
                true => LONG * line,
                false => line,
            }
            .min(kernel.space[axis])
        };
        let side = |axis: usize, other: usize, stride: isize| Side {
            extent: kernel.space[axis],
            stride: stride as usize,
            square: square(axis, other),
        };
        let outer: SmallVec<[usize; 6]> =
            (0..kernel.space.len()).filter(|&a| a != to && a != from).collect();
        let (to, from) = (side(to, from, to_stride), side(from, to, from_stride));
        let squares = total as f64 / (to.square * from.square) as f64;
        let by_tiles = layout_cost(kernel, inner_axis(kernel)).min(rows_cost(kernel));
        if squares * SQUARE_NS > by_tiles {
            return None;
        }
        Some(Transpose {
            source: buffer(load.source.value),
            target: buffer(kernel.store.value),
            dtype: load.dtype,
            simd,
            to,
            from,
            rows: rows(kernel, &outer),
            ns: squares * SQUARE_NS + (total * load.dtype.size()) as f64 * BYTE_NS,
        })
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the source.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let blocks = |side: Side| side.extent.div_ceil(SQUARES * side.square);
        let (down, along) = (blocks(self.to), blocks(self.from));
        let units = self.rows.count() * down * along;
        let size = self.dtype.size();
        let pitch = self.to.square * size;
        let columns: SmallVec<[Option<u32>; LINE]> =
            (0..self.from.square).map(|k| Some((k * pitch) as u32)).collect();
        for_ranges(units, self.ns, |range| {
            with_scratch(self.to.square * self.from.square * size, |turned| {
                let mut cursor = self.rows.at(range.start / (down * along));
                for unit in range {
                    let block = unit % (down * along);
                    let part = |side: Side, i: usize| {
                        let start = i * SQUARES * side.square;
                        start..(start + SQUARES * side.square).min(side.extent)
                    };
                    let (to, from) = (part(self.to, block / along), part(self.from, block % along));
                    let at = |buffer: usize, stream: usize| {
                        memory.of(buffer).wrapping_offset(cursor.offsets[stream] * size as isize)
                    };
                    let (x, y) = (at(self.source, 0), at(self.target, 1));
                    for j in from.clone().step_by(self.from.square) {
                        for i in to.clone().step_by(self.to.square) {
                            let m = self.to.square.min(to.end - i);
                            let columns = &columns[..self.from.square.min(from.end - j)];
                            let x = x.wrapping_add((i * self.to.stride + j) * size);
                            let y = y.wrapping_add((j * self.from.stride + i) * size);
                            // SAFETY: the square lies in both arrays, and in the scratch memory; no two
                            // units write one element.
                            unsafe { self.turn(x, y, turned, m, columns) };
                        }
                    }
                    if block + 1 == down * along {
                        cursor.advance();
                    }
                }
            })
        })
    }

    /// Moves a rectangle: `m` elements side by side in each of as many rows of `y` as there are columns of
    /// what is turned.
    ///
    /// # Safety
    /// Its elements are readable and writable, and there is room for it.
    unsafe fn turn(
        &self,
        x: *mut u8,
        y: *mut u8,
        turned: *mut u8,
        m: usize,
        columns: &[Option<u32>],
    ) {
        let size = self.dtype.size();
        let pitch = self.to.square * size;
        let split = Columns { rows: x, stride: self.to.stride, columns, start: turned, n: m };
        // SAFETY: as the caller's.
        unsafe {
            self.simd.split(split, self.dtype);
            for k in 0..columns.len() {
                let (from, to) =
                    (turned.add(k * pitch), y.wrapping_add(k * self.from.stride * size));
                match m * size {
                    // As a few moves of registers.
                    LINE => std::ptr::copy_nonoverlapping(from, to, LINE),
                    bytes => std::ptr::copy_nonoverlapping(from, to, bytes),
                }
            }
        }
    }
}
