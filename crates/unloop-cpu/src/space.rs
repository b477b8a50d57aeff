//! Walking the outer axes of a kernel: the row number and the memory offsets of every stream.

use smallvec::SmallVec;

/// The outer axes of a space, and how far each stream (a load or the store) moves along them.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    extents: SmallVec<[usize; 6]>,
    /// `strides[axis][stream]`, in elements.
    strides: Vec<SmallVec<[isize; 8]>>,
    starts: SmallVec<[isize; 8]>,
}

impl Rows {
    /// Outer axes with one stride a stream; `starts` are the streams' offsets at row 0.
    pub fn new(
        extents: SmallVec<[usize; 6]>,
        strides: Vec<SmallVec<[isize; 8]>>,
        starts: SmallVec<[isize; 8]>,
    ) -> Rows {
        Rows { extents, strides, starts }
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        self.extents.iter().product()
    }

    /// Whether there are no axes: one row, at the starts.
    pub fn is_one(&self) -> bool {
        self.extents.is_empty()
    }

    /// A cursor at a row.
    pub fn at(&self, row: usize) -> Cursor<'_> {
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.extents.len());
        let mut offsets = self.starts.clone();
        let mut rest = row;
        for axis in (0..self.extents.len()).rev() {
            let extent = self.extents[axis].max(1);
            index[axis] = rest % extent;
            rest /= extent;
            for (offset, stride) in offsets.iter_mut().zip(&self.strides[axis]) {
                *offset += index[axis] as isize * stride;
            }
        }
        Cursor { rows: self, index, offsets }
    }
}

/// A position among the rows.
pub(crate) struct Cursor<'a> {
    rows: &'a Rows,
    /// The index along each outer axis.
    pub index: SmallVec<[usize; 6]>,
    /// The offset of each stream, in elements.
    pub offsets: SmallVec<[isize; 8]>,
}

impl Cursor<'_> {
    /// Moves to the next row; past the last one to the first.
    pub fn advance(&mut self) {
        for axis in (0..self.index.len()).rev() {
            self.index[axis] += 1;
            let extent = self.rows.extents[axis];
            let wraps = self.index[axis] == extent;
            let steps = if wraps { 1 - extent as isize } else { 1 };
            for (offset, stride) in self.offsets.iter_mut().zip(&self.rows.strides[axis]) {
                *offset += steps * stride;
            }
            if !wraps {
                return;
            }
            self.index[axis] = 0;
        }
    }
}
