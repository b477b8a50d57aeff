//! Reductions of all elements up to each one along an axis.

use unloop_graph::{DType, ErrorKind, ReduceOp, TensorType};

use crate::memory::{Addresses, Arena, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{Mode, PrefixFn, Simd, TileFn, prefix};

/// Predicted nanoseconds of an element.
const ELEMENT_NS: f64 = 0.5;

/// Elements of a row from which on it is cut into pieces of so many: their totals are found first, so that
/// all of them can begin. Each is read twice, and lies in a second cache in between.
const PIECE: usize = 1 << 15;

/// Bytes of a row of lanes that one thread takes on its way along the axis.
const WIDTH: usize = 1 << 12;

/// A cumulative reduction.
pub(crate) struct CumulativeStep {
    prefix: PrefixFn,
    fold: TileFn,
    combine: TileFn,
    identity: [u8; 8],
    source: usize,
    target: usize,
    /// Elements along the axis, and those of all axes before and behind it.
    extent: usize,
    outer: usize,
    inner: usize,
    dtype: DType,
    reverse: bool,
}

impl CumulativeStep {
    /// Compiles a cumulative reduction, with the buffers of operand and result.
    pub fn compile(
        op: ReduceOp,
        axis: usize,
        reverse: bool,
        simd: Simd,
        x: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> CumulativeStep {
        let TensorType { dtype, shape } = x.1;
        let kernels = (
            prefix(op, *dtype, reverse),
            simd.reduce(op, *dtype),
            simd.binary(op.binary(), *dtype, Mode::VectorVector),
        );
        let (Some(prefix), Some(fold), Some(combine)) = kernels else {
            unreachable!("the type rule refuses {} of {dtype}", op.cumulative_name())
        };
        CumulativeStep {
            prefix,
            fold,
            combine,
            identity: op.identity(*dtype).bits().to_le_bytes(),
            source: x.0,
            target: y.0,
            extent: shape[axis],
            outer: shape[..axis].iter().product(),
            inner: shape[axis + 1..].iter().product(),
            dtype: *dtype,
            reverse,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the source.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let [source, target] = [self.source, self.target].map(|b| SharedPtr(memory.of(b)));
        let count = self.outer * self.extent * self.inner;
        let ns = count as f64 * ELEMENT_NS;
        // SAFETY: as the caller's.
        unsafe {
            match (count, self.inner) {
                (0, _) => Ok(()),
                (_, 1) if self.pieces() == 1 => for_ranges(self.outer, ns, |rows| {
                    for row in rows {
                        self.piece(source, target, row * self.extent, self.extent, self.identity);
                    }
                    Ok(())
                }),
                (_, 1) => self.run_pieces(source, target, ns),
                _ => self.run_lanes(source, target, ns),
            }
        }
    }

    /// How many pieces a row has.
    fn pieces(&self) -> usize {
        self.extent.div_ceil(PIECE)
    }

    /// Bytes of the totals of pieces.
    pub fn partial_bytes(&self) -> usize {
        match (self.inner, self.pieces()) {
            (1, pieces @ 2..) => self.outer * pieces * self.dtype.size(),
            _ => 0,
        }
    }

    /// Elements of one row, after those whose total is `before`.
    unsafe fn piece(
        &self,
        source: SharedPtr,
        target: SharedPtr,
        first: usize,
        n: usize,
        before: [u8; 8],
    ) {
        let at = first * self.dtype.size();
        let (x, y) = (source.get().wrapping_add(at), target.get().wrapping_add(at));
        // SAFETY: the caller's elements.
        unsafe { (self.prefix)(y, x, before.as_ptr(), n) }
    }

    /// Long rows.
    unsafe fn run_pieces(
        &self,
        source: SharedPtr,
        target: SharedPtr,
        ns: f64,
    ) -> Result<(), ErrorKind> {
        let (size, pieces) = (self.dtype.size(), self.pieces());
        // The pieces of a row in the order in which they are combined.
        let range = |unit: usize| {
            let (row, k) = (unit / pieces, unit % pieces);
            let k = if self.reverse { pieces - 1 - k } else { k };
            let first = k * PIECE;
            (row * self.extent + first, PIECE.min(self.extent - first))
        };
        let units = self.outer * pieces;
        let mut arena = Arena::new();
        let totals = SharedPtr(arena.reserve(self.partial_bytes())?);
        let total = |unit: usize| totals.get().wrapping_add(unit * size);
        for_ranges(units, ns / 2.0, |range_of_units| {
            for unit in range_of_units {
                let (first, n) = range(unit);
                let x = source.get().wrapping_add(first * size);
                // SAFETY: the elements are those of a row; each unit has a total.
                unsafe { (self.fold)(total(unit), x, x, x, n) };
            }
            Ok(())
        })?;
        // Each total becomes that of all pieces before.
        for row in 0..self.outer {
            let mut before = self.identity;
            for unit in row * pieces..(row + 1) * pieces {
                let mut next = [0u8; 8];
                // SAFETY: all are one element of at most eight bytes.
                unsafe {
                    let (a, b) = (before.as_ptr(), total(unit));
                    (self.combine)(next.as_mut_ptr(), a, b, b, 1);
                    std::ptr::copy_nonoverlapping(before.as_ptr(), total(unit), size);
                }
                before = next;
            }
        }
        for_ranges(units, ns, |range_of_units| {
            for unit in range_of_units {
                let (first, n) = range(unit);
                let mut before = [0u8; 8];
                // SAFETY: as above.
                unsafe {
                    std::ptr::copy_nonoverlapping(total(unit), before.as_mut_ptr(), size);
                    self.piece(source, target, first, n, before);
                }
            }
            Ok(())
        })
    }

    /// Along an axis that is not the last one: rows of lanes side by side.
    unsafe fn run_lanes(
        &self,
        source: SharedPtr,
        target: SharedPtr,
        ns: f64,
    ) -> Result<(), ErrorKind> {
        let size = self.dtype.size();
        let width = (WIDTH / size).min(self.inner);
        let blocks = self.inner.div_ceil(width);
        for_ranges(self.outer * blocks, ns, |units| {
            for unit in units {
                let start = unit % blocks * width;
                let n = width.min(self.inner - start);
                let at = |k: usize| {
                    let k = if self.reverse { self.extent - 1 - k } else { k };
                    ((unit / blocks * self.extent + k) * self.inner + start) * size
                };
                let x = |k: usize| source.get().wrapping_add(at(k));
                let y = |k: usize| target.get().wrapping_add(at(k));
                // SAFETY: these lanes are the unit's own.
                unsafe {
                    std::ptr::copy_nonoverlapping(x(0), y(0), n * size);
                    for k in 1..self.extent {
                        (self.combine)(y(k), y(k - 1), x(k), x(k), n);
                    }
                }
            }
            Ok(())
        })
    }
}
