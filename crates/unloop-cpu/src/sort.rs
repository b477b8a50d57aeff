//! Sorting rows of several tensors by the first of them.

use std::cmp::Ordering;

use smallvec::SmallVec;
use unloop_graph::op::Sort;
use unloop_graph::{DType, ErrorKind, TensorType};

use crate::memory::{Addresses, SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{gather_run, scatter_run};

/// A sort, ready to run.
pub(crate) struct SortStep {
    keys: usize,
    descending: bool,
    /// Rows: `outer` times `inner`, each of `extent` elements at a distance of `inner`.
    outer: usize,
    extent: usize,
    inner: usize,
    dtypes: SmallVec<[DType; 3]>,
    sources: SmallVec<[usize; 3]>,
    targets: SmallVec<[usize; 3]>,
}

/// One comparison of two elements of a row.
type Compare = unsafe fn(row: *const u8, i: usize, j: usize) -> Ordering;

fn comparison(dtype: DType) -> Compare {
    macro_rules! integer {
        ($t:ty) => {{
            unsafe fn compare(row: *const u8, i: usize, j: usize) -> Ordering {
                let row = row.cast::<$t>();
                // SAFETY: the caller makes both elements readable.
                unsafe { row.add(i).read().cmp(&row.add(j).read()) }
            }
            compare
        }};
    }
    macro_rules! float {
        ($t:ty) => {{
            unsafe fn compare(row: *const u8, i: usize, j: usize) -> Ordering {
                let row = row.cast::<$t>();
                // SAFETY: the caller makes both elements readable.
                let (a, b) = unsafe { (row.add(i).read(), row.add(j).read()) };
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
            compare
        }};
    }
    match dtype {
        DType::Bool => integer!(u8),
        DType::I32 => integer!(i32),
        DType::I64 => integer!(i64),
        DType::U32 => integer!(u32),
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
    }
}

impl SortStep {
    /// Compiles a sort, with the buffers of operands and results.
    pub fn compile(
        sort: &Sort,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> SortStep {
        let shape = &operands[0].1.shape;
        SortStep {
            keys: sort.keys,
            descending: sort.descending,
            outer: shape[..sort.axis].iter().product(),
            extent: shape[sort.axis],
            inner: shape[sort.axis + 1..].iter().product(),
            dtypes: operands.iter().map(|o| o.1.dtype).collect(),
            sources: operands.iter().map(|o| o.0).collect(),
            targets: results.iter().map(|r| r.0).collect(),
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let n = self.extent;
        let address = |buffers: &[usize]| -> SmallVec<[SharedPtr; 3]> {
            buffers.iter().map(|&b| SharedPtr(memory.of(b))).collect()
        };
        let (sources, targets) = (address(&self.sources), address(&self.targets));
        let compares: SmallVec<[Compare; 3]> =
            self.dtypes[..self.keys].iter().map(|&d| comparison(d)).collect();
        let rows = self.outer * self.inner;
        let ns = rows as f64 * n as f64 * (5.0 + 4.0 * (n.max(1) as f64).log2());
        let row_bytes = self.row_bytes();
        for_ranges(rows, ns, |range| {
            // All operands of a row side by side, then one row rearranged, then the order.
            with_scratch(self.scratch(), |scratch| {
                let packed = |k: usize| scratch.wrapping_add(k * row_bytes);
                let spare = packed(self.dtypes.len());
                let start = packed(self.dtypes.len() + 1).cast::<usize>();
                // SAFETY: the scratch memory has room for one row each; all elements are written
                // before the slice is made.
                let order = unsafe {
                    (0..n).for_each(|i| start.add(i).write(i));
                    std::slice::from_raw_parts_mut(start, n)
                };
                for row in range {
                    let start = row / self.inner * n * self.inner + row % self.inner;
                    let stride = self.inner as isize;
                    let at = |p: SharedPtr, k: usize| {
                        p.get().wrapping_add(start * self.dtypes[k].size())
                    };
                    // SAFETY: the row lies in every operand and result; the scratch memory has
                    // room for one row each.
                    unsafe {
                        for (k, &dtype) in self.dtypes.iter().enumerate() {
                            gather_run(packed(k), at(sources[k], k), stride, n, dtype);
                        }
                        order.iter_mut().enumerate().for_each(|(i, place)| *place = i);
                        order.sort_by(|&i, &j| {
                            let mut first = Ordering::Equal;
                            for (k, compare) in compares.iter().enumerate() {
                                first = first.then_with(|| compare(packed(k), i, j));
                            }
                            if self.descending { first.reverse() } else { first }
                        });
                        for (k, &dtype) in self.dtypes.iter().enumerate() {
                            let size = dtype.size();
                            for (i, &from) in order.iter().enumerate() {
                                let from = packed(k).wrapping_add(from * size);
                                let to = spare.wrapping_add(i * size);
                                std::ptr::copy_nonoverlapping(from, to, size);
                            }
                            scatter_run(at(targets[k], k), stride, spare, n, dtype);
                        }
                    }
                }
            })
        })
    }

    /// Bytes of a row of any dtype.
    fn row_bytes(&self) -> usize {
        (8 * self.extent).next_multiple_of(64)
    }

    /// Bytes of scratch memory of a thread; sorting itself takes half a row more.
    pub fn scratch(&self) -> usize {
        self.row_bytes() * (self.dtypes.len() + 2)
    }
}
