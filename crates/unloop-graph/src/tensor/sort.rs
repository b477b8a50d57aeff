//! Sorting, and what is made of it.

use super::axes::AxisNumber;
use crate::error::{Place, operation};
use crate::op::Sort;
use crate::shape::normalize_axis;
use crate::{DType, ErrorKind, Op, Tensor};

impl Tensor {
    /// Sorts several tensors of one shape along an axis by the first `keys` of them; elements keep
    /// their order where keys are equal. NaN is larger than any number.
    #[track_caller]
    pub fn sort_by(
        operands: &[&Tensor],
        keys: usize,
        axis: impl AxisNumber,
        descending: bool,
    ) -> Vec<Tensor> {
        let axis = axis.number();
        operation("sort_by", || {
            let place = Place::here();
            let Some(&first) = operands.first() else { return Vec::new() };
            if let Some(&error) = operands.iter().find(|t| t.as_error().is_some()) {
                return vec![error.clone(); operands.len()];
            }
            let axis = match normalize_axis(axis, first.rank()) {
                Ok(axis) => axis,
                Err(kind) => return vec![Tensor::fail("sort", kind, place, first); operands.len()],
            };
            let sort = Sort { operands: operands.len(), keys, axis, descending };
            Tensor::apply(Op::Sort(sort), operands, place).into_vec()
        })
    }

    /// The elements along an axis from the smallest to the largest; NaN comes last.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([3.0, 1.0, 2.0]);
    /// assert_eq!(x.sort(0).to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("sort", || Tensor::sort_by(&[self], 1, axis, false).swap_remove(0))
    }

    /// The positions, as i64, that sort an axis: `x.take_along_axis(&x.argsort(a), a)` is
    /// `x.sort(a)`. Equal elements keep their order.
    #[track_caller]
    pub fn argsort(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argsort", || self.sorted_positions(axis, false).1)
    }

    #[track_caller]
    fn sorted_positions(&self, axis: isize, descending: bool) -> (Tensor, Tensor) {
        let place = Place::here();
        if self.as_error().is_some() {
            return (self.clone(), self.clone());
        }
        let at = match normalize_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(kind) => {
                let error = Tensor::fail("sort", kind, place, self);
                return (error.clone(), error);
            }
        };
        place.scope(|| {
            let positions = Tensor::iota(DType::I64, self.shape(), at);
            let mut sorted = Tensor::sort_by(&[self, &positions], 1, axis, descending);
            let positions = sorted.swap_remove(1);
            (sorted.swap_remove(0), positions)
        })
    }

    /// The `k` largest elements along an axis, the largest first, and their positions as i64. NaN
    /// counts as largest, and the first of equal elements comes first.
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: impl AxisNumber) -> (Tensor, Tensor) {
        let axis = axis.number();
        operation("top_k", || {
            let (values, positions) = self.sorted_positions(axis, true);
            if values.as_error().is_some() {
                return (values, positions);
            }
            let size = normalize_axis(axis, self.rank()).map_or(0, |a| self.shape()[a]);
            if k > size {
                let kind = ErrorKind::InvalidArgument(format!(
                    "the {k} largest of {size} elements along axis {axis} of shape {}",
                    self.ty().shape
                ));
                let error = Tensor::fail("top_k", kind, Place::here(), self);
                return (error.clone(), error);
            }
            (values.slice_axis(axis, 0, k), positions.slice_axis(axis, 0, k))
        })
    }
}
