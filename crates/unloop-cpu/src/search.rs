//! Positions of values in sorted rows.

use unloop_graph::{DType, ErrorKind, TensorType};

use crate::memory::{Addresses, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{Simd, Table, TileFn};

/// Predicted nanoseconds of one comparison of a value with an element.
const COMPARE_NS: f64 = 0.4;

/// A search of values in the rows of a table.
pub(crate) struct SearchStep {
    find: TileFn,
    table: usize,
    values: usize,
    target: usize,
    /// Elements of a row of the table, and values that are looked up in it.
    row: (usize, usize),
    /// All values.
    count: usize,
    dtype: DType,
}

impl SearchStep {
    /// Compiles a search, with the buffers of operands and result.
    pub fn compile(
        right: bool,
        simd: Simd,
        table: (usize, &TensorType),
        values: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> SearchStep {
        let outer = table.1.rank() - 1;
        SearchStep {
            find: simd.search(right, table.1.dtype),
            table: table.0,
            values: values.0,
            target: y.0,
            row: (table.1.shape[outer], values.1.shape[outer..].iter().product()),
            count: values.1.shape.size(),
            dtype: table.1.dtype,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let [table, values, target] =
            [self.table, self.values, self.target].map(|buffer| SharedPtr(memory.of(buffer)));
        let (size, (len, each)) = (self.dtype.size(), self.row);
        let steps = f64::from(len.checked_ilog2().unwrap_or(0) + 2);
        for_ranges(self.count, self.count as f64 * steps * COMPARE_NS, |range| {
            let mut first = range.start;
            while first < range.end {
                // Up to the end of the values of one row.
                let (row, end) = (first / each, range.end.min((first / each + 1) * each));
                let table = Table { start: table.get().wrapping_add(row * len * size), len };
                let from = values.get().wrapping_add(first * size);
                let to = target.get().wrapping_add(first * DType::I64.size());
                let at = (&raw const table).cast();
                // SAFETY: the values are those of this row, which lies in the table.
                unsafe { (self.find)(to, from, at, at, end - first) };
                first = end;
            }
            Ok(())
        })
    }
}
