//! Sorting, and what is made of it.

use std::ops::Range;

use super::axes::AxisNumber;
use crate::error::{Place, operation};
use crate::op::Sort;
use crate::shape::normalize_axis;
use crate::{DType, ErrorKind, Op, Tensor};

/// # Sorting
/// Of any dtype. NaN is larger than any number, and elements keep their order where they are equal.
impl Tensor {
    /// Sorts several tensors of one shape along an axis by the first `keys` of them, one after the
    /// other; elements keep their order where keys are equal. NaN is larger than any number. As many
    /// results as operands, of their types.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (key, x) = (Tensor::from([2, 1, 2]), Tensor::from([10, 20, 30]));
    /// let sorted = Tensor::sort_by(&[&key, &x], 1, 0, false);
    /// assert_eq!(sorted[1].to_vec::<i32>()?, [20, 10, 30]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all: `AxisOutOfRange` for an axis that they do not have; `ShapeMismatch` if the
    /// shapes differ; `InvalidArgument` unless `keys` is from 1 to their number.
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
            let kept = 0..first.shape()[axis];
            let sort = Sort { operands: operands.len(), keys, axis, descending, kept };
            Tensor::apply(Op::Sort(sort), operands, place).into_vec()
        })
    }

    /// The elements along an axis from the smallest to the largest; NaN comes last. Shape and dtype
    /// stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([3.0, 1.0, 2.0]);
    /// assert_eq!(x.sort(0).to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn sort(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("sort", || Tensor::sort_by(&[self], 1, axis, false).swap_remove(0))
    }

    /// The positions, as i64 in the same shape, that sort an axis: `x.take_along_axis(&x.argsort(a),
    /// a)` is `x.sort(a)`. Equal elements keep their order.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, 1.0, 2.0]).argsort(0).to_vec::<i64>()?, [1, 2, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn argsort(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argsort", || match self.axis("sort", axis, Place::here()) {
            Ok(at) => self.sorted_positions(at, false, 0..self.shape()[at]).1,
            Err(error) => error,
        })
    }

    /// The elements at some places of the order along an axis, and where they stood.
    #[track_caller]
    fn sorted_positions(
        &self,
        axis: usize,
        descending: bool,
        kept: Range<usize>,
    ) -> (Tensor, Tensor) {
        let positions = Tensor::iota(DType::I64, self.shape(), axis);
        let sort = Op::Sort(Sort { operands: 2, keys: 1, axis, descending, kept });
        let mut sorted = Tensor::apply(sort, &[self, &positions], Place::here());
        let positions = sorted.swap_remove(1);
        (sorted.swap_remove(0), positions)
    }

    /// The elements at some places of the order along an axis: what [`Tensor::sort`] has there.
    #[track_caller]
    pub(super) fn sorted_places(&self, axis: usize, kept: Range<usize>) -> Tensor {
        let sort = Op::Sort(Sort { operands: 1, keys: 1, axis, descending: false, kept });
        Tensor::apply1(sort, &[self])
    }

    /// The `k` largest elements along an axis, the largest first, and their positions as i64; the axis
    /// has size `k`. NaN counts as largest, and the first of equal elements comes first.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (values, at) = Tensor::from([3, 9, 7]).top_k(2, 0);
    /// assert_eq!(values.to_vec::<i32>()?, [9, 7]);
    /// assert_eq!(at.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument`
    /// for more elements than there are.
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: impl AxisNumber) -> (Tensor, Tensor) {
        let axis = axis.number();
        operation("top_k", || {
            let at = match self.axis("sort", axis, Place::here()) {
                Ok(at) => at,
                Err(error) => return (error.clone(), error),
            };
            let size = self.shape()[at];
            if k > size {
                let kind = ErrorKind::InvalidArgument(format!(
                    "the {k} largest of {size} elements along axis {axis} of shape {}",
                    self.ty().shape
                ));
                let error = Tensor::fail("top_k", kind, Place::here(), self);
                return (error.clone(), error);
            }
            self.sorted_positions(at, true, 0..k)
        })
    }
}
