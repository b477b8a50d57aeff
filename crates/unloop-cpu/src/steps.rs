//! Steps that are neither kernels nor products: positions of extreme elements, and padding with a
//! computed value.

use smallvec::SmallVec;
use unloop_graph::op::Pad;
use unloop_graph::{ArgReduceOp, DType, ErrorKind, Shape, TensorType, cancel, special};

use crate::memory::{Addresses, SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{Simd, TileFn, fill, gather_run, scatter_run};
use crate::space::Rows;

/// Predicted nanoseconds of finding the position in a row, however short: a guess. (100,000 rows of 32 that lay
/// beyond the caches took 14 ms on two processors, 270 ns a row with the reading.)
const ROW_NS: f64 = 50.0;

/// Positions of extreme elements along an axis.
pub(crate) struct ArgReduce {
    find: TileFn,
    source: usize,
    target: usize,
    outer: usize,
    extent: usize,
    inner: usize,
    dtype: DType,
    index_dtype: DType,
}

impl ArgReduce {
    /// Compiles an arg-reduction of an operand along an axis, with their buffers.
    pub fn compile(
        op: ArgReduceOp,
        axis: usize,
        simd: Simd,
        x: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> ArgReduce {
        let shape = &x.1.shape;
        ArgReduce {
            find: simd.arg_reduce(op, x.1.dtype),
            source: x.0,
            target: y.0,
            outer: shape[..axis].iter().product(),
            extent: shape[axis],
            inner: shape[axis + 1..].iter().product(),
            dtype: x.1.dtype,
            index_dtype: y.1.dtype,
        }
    }

    /// Predicted nanoseconds, of one thread.
    pub fn ns(&self) -> f64 {
        let rows = self.outer * self.inner;
        let element = if self.inner == 1 { 0.2 } else { 1.5 };
        rows as f64 * (ROW_NS + self.extent as f64 * element)
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the source.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let (x, y) = (SharedPtr(memory.of(self.source)), SharedPtr(memory.of(self.target)));
        let size = self.dtype.size();
        for_ranges(self.outer * self.inner, self.ns(), |range| {
            with_scratch(self.scratch(), |scratch| {
                for i in range {
                    let start = i / self.inner * self.extent * self.inner + i % self.inner;
                    let row = x.get().wrapping_add(start * size);
                    let mut position = 0i64;
                    let found = (&raw mut position).cast();
                    // SAFETY: the row lies in the operand, the scratch memory has room for it.
                    unsafe {
                        let row = match self.inner {
                            1 => row,
                            stride => {
                                let stride = stride as isize;
                                gather_run(scratch, row, stride, self.extent, self.dtype);
                                scratch
                            }
                        };
                        (self.find)(found, row, row, row, self.extent);
                        let y = y.get().wrapping_add(i * self.index_dtype.size());
                        match self.index_dtype {
                            DType::I32 => y.cast::<i32>().write(position as i32),
                            DType::U32 => y.cast::<u32>().write(position as u32),
                            DType::I64 => y.cast::<i64>().write(position),
                            other => unreachable!("positions are integers, not {other}"),
                        }
                    }
                }
            })
        })
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        if self.inner == 1 { 0 } else { self.extent * self.dtype.size() }
    }
}

/// Rows that are moved before somebody is asked whether that is still wanted.
const ROWS: usize = 4096;

/// Padding with a value that is known at run time only.
pub(crate) struct PadStep {
    source: usize,
    fill: usize,
    target: usize,
    total: usize,
    /// The rows that are copied: streams are the operand and the result.
    rows: Rows,
    length: usize,
    /// Distance of neighbours in the result's row.
    step: isize,
    dtype: DType,
}

impl PadStep {
    /// Compiles a padding of an operand, with their buffers.
    pub fn compile(
        pad: &Pad,
        x: (usize, &TensorType),
        fill: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> PadStep {
        let (from, to): (&Shape, &Shape) = (&x.1.shape, &y.1.shape);
        let (x_strides, y_strides) = (from.strides(), to.strides());
        let mut extents: SmallVec<[usize; 6]> = SmallVec::new();
        let mut strides: Vec<SmallVec<[isize; 8]>> = Vec::new();
        let mut starts: SmallVec<[isize; 8]> = SmallVec::from_slice(&[0, 0]);
        for (a, pad) in pad.0.iter().enumerate() {
            let step = pad.interior as i64 + 1;
            // Elements whose position `low + i·step` lies in the result.
            let first = (-pad.low).max(0).div_euclid(step)
                + i64::from((-pad.low).max(0).rem_euclid(step) != 0);
            let end = (to[a] as i64 - pad.low).max(0);
            let end =
                (end.div_euclid(step) + i64::from(end.rem_euclid(step) != 0)).min(from[a] as i64);
            extents.push((end - first).max(0) as usize);
            strides.push(SmallVec::from_slice(&[x_strides[a], y_strides[a] * step as isize]));
            starts[0] += first as isize * x_strides[a];
            starts[1] += (pad.low + first * step) as isize * y_strides[a];
        }
        let length = extents.pop().unwrap_or(1);
        let step = strides.pop().map_or(1, |s| s[1]);
        PadStep {
            source: x.0,
            fill: fill.0,
            target: y.0,
            total: to.size(),
            rows: Rows::new(extents, strides, starts),
            length,
            step,
            dtype: x.1.dtype,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let [x, value, y] = [self.source, self.fill, self.target].map(|b| memory.of(b));
        let size = self.dtype.size() as isize;
        // SAFETY: the result has this many elements.
        unsafe { fill(y, value, self.total, self.dtype) };
        if self.length == 0 {
            return Ok(());
        }
        let mut cursor = self.rows.at(0);
        for row in 0..self.rows.count() {
            if row % ROWS == 0 {
                cancel::check()?;
            }
            let at = |base: *mut u8, i: usize| base.wrapping_offset(cursor.offsets[i] * size);
            // SAFETY: the rows lie in the operand and in the result.
            unsafe { scatter_run(at(y, 1), self.step, at(x, 0), self.length, self.dtype) };
            cursor.advance();
        }
        Ok(())
    }
}

/// The regularised incomplete beta function, one element at a time in double precision.
pub(crate) struct BetaincStep {
    sources: [usize; 3],
    target: usize,
    total: usize,
    dtype: DType,
}

impl BetaincStep {
    /// Compiles the function of operands in `(a, b, x)`, with their buffers.
    pub fn compile(
        a: (usize, &TensorType),
        b: (usize, &TensorType),
        x: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> BetaincStep {
        let total = y.1.shape.size();
        BetaincStep { sources: [a.0, b.0, x.0], target: y.0, total, dtype: y.1.dtype }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let sources = self.sources.map(|s| SharedPtr(memory.of(s)));
        let target = SharedPtr(memory.of(self.target));
        macro_rules! run {
            ($t:ty) => {
                for_ranges(self.total, self.total as f64 * 300.0, |range| {
                    for i in range {
                        // SAFETY: all four have this many elements.
                        unsafe {
                            let [a, b, x] =
                                sources.map(|s| f64::from(s.get().cast::<$t>().add(i).read()));
                            let value = special::betainc(a, b, x);
                            target.get().cast::<$t>().add(i).write(value as $t);
                        }
                    }
                    Ok(())
                })
            };
        }
        match self.dtype {
            DType::F32 => run!(f32),
            DType::F64 => run!(f64),
            other => unreachable!("betainc is of floats, not of {other}"),
        }
    }
}
