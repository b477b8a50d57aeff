//! Sorting along an axis, of several tensors by the first of them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

use super::Types;
use crate::error::ErrorKind;
use crate::{Array, Number, TensorType};

/// The parameters of a sort.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sort {
    /// How many tensors are rearranged.
    pub operands: usize,
    /// How many of them, from the first, are compared, one after the other.
    pub keys: usize,
    /// The axis along which elements move.
    pub axis: usize,
    /// Whether the largest comes first.
    pub descending: bool,
    /// The places of the sorted order that are results: from the first to before the last.
    pub kept: Range<usize>,
}

/// The order of elements: NaN is larger than any number, zeros of either sign are equal.
pub fn order(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Float(a), Number::Float(b)) => {
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
        (a, b) => a.int().cmp(&b.int()),
    }
}

impl Sort {
    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        let Some(first) = operands.first().filter(|_| operands.len() == self.operands) else {
            let message = format!("takes {} operands, got {}", self.operands, operands.len());
            return Err(ErrorKind::InvalidArgument(message));
        };
        if self.axis >= first.rank() {
            let axis = self.axis as isize;
            return Err(ErrorKind::AxisOutOfRange { axis, rank: first.rank() });
        }
        if self.keys == 0 || self.keys > operands.len() {
            let message = format!("{} of {} operands are compared", self.keys, operands.len());
            return Err(ErrorKind::InvalidArgument(message));
        }
        if let Some(other) = operands.iter().find(|x| x.shape != first.shape) {
            let (left, right) = (first.shape.clone(), other.shape.clone());
            return Err(ErrorKind::ShapeMismatch { left, right });
        }
        let (extent, kept) = (first.shape[self.axis], &self.kept);
        if kept.start > kept.end || kept.end > extent {
            let message = format!("places {kept:?} of {extent} elements");
            return Err(ErrorKind::InvalidArgument(message));
        }
        let mut shape = first.shape.clone();
        shape[self.axis] = kept.len();
        Ok(operands.iter().map(|x| TensorType::new(x.dtype, shape.clone())).collect())
    }

    /// Elements keep their order where keys are equal.
    pub(super) fn evaluate(&self, operands: &[Array], types: &Types) -> Vec<Array> {
        let shape = operands[0].shape();
        let extent = shape[self.axis];
        // The sorted positions of each row, by the row's index.
        let mut rows = std::collections::HashMap::new();
        shape.without(self.axis).for_each_index(|row| {
            let at = |x: &Array, i: usize| {
                let mut index: SmallVec<[usize; 6]> = row.into();
                index.insert(self.axis, i);
                x.get(&index)
            };
            let mut positions: Vec<usize> = (0..extent).collect();
            positions.sort_by(|&i, &j| {
                let keys = operands[..self.keys].iter().map(|x| order(at(x, i), at(x, j)));
                let first = keys.fold(Ordering::Equal, Ordering::then);
                if self.descending { first.reverse() } else { first }
            });
            rows.insert(row.to_vec(), positions);
        });
        let moved = |(x, ty): (&Array, &TensorType)| {
            Array::from_fn(ty, |i| {
                let mut row = i.to_vec();
                let place = row.remove(self.axis);
                let mut from = i.to_vec();
                from[self.axis] = rows[&row][self.kept.start + place];
                x.get(&from)
            })
        };
        operands.iter().zip(types).map(moved).collect()
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "axis={} keys={}", self.axis, self.keys)?;
        f.write_str(if self.descending { " descending" } else { "" })?;
        write!(f, " kept={:?}", self.kept)
    }
}
