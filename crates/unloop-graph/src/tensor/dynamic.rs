//! Windows at computed positions, moved inside where they would stick out; and gathering along an
//! axis.

use super::axes::AxisNumber;
use smallvec::SmallVec;

use crate::error::{Place, operation};
use crate::op::{Gather, GatherDims, IndexMode, Scatter, ScatterDims, ScatterOp};
use crate::shape::normalize_axis;
use crate::{Axes, ErrorKind, Op, Tensor};

impl Tensor {
    /// The start of a window as one vector.
    #[track_caller]
    fn starts(&self, op: &'static str, starts: &[&Tensor], place: Place) -> Result<Tensor, Tensor> {
        if let Some(error) = [&self].into_iter().chain(starts).find(|t| t.as_error().is_some()) {
            return Err((*error).clone());
        }
        if starts.len() != self.rank() || starts.iter().any(|s| s.rank() != 0) {
            let message = format!("takes one scalar position for each axis of {}", self.ty().shape);
            return Err(Tensor::fail(op, ErrorKind::InvalidArgument(message), place, self));
        }
        Ok(match starts.is_empty() {
            true => Tensor::zeros(crate::DType::I32, [0]),
            false => Tensor::stack(starts, 0),
        })
    }
}

/// # Windows and entries at computed positions
/// Of any dtype, which stays. Positions are integer tensors and count from 0.
impl Tensor {
    /// The window of extents `sizes` that starts at computed positions, one scalar an axis. A window
    /// that would stick out is moved inside.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4]);
    /// assert_eq!(x.dynamic_slice(&[&Tensor::from(1)], &[2]).to_vec::<i32>()?, [2, 3]);
    /// assert_eq!(x.dynamic_slice(&[&Tensor::from(9)], &[2]).to_vec::<i32>()?, [3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one scalar position an axis, and a window that fits
    /// the shape; `IndexDType` unless they are integers; `DTypeMismatch` if they have different dtypes.
    #[track_caller]
    pub fn dynamic_slice(&self, starts: &[&Tensor], sizes: &[usize]) -> Tensor {
        let place = Place::of("dynamic_slice");
        place.scope(|| match self.starts("dynamic_slice", starts, place) {
            Err(error) => error,
            Ok(start) => {
                let rank = self.rank();
                let gather = Gather {
                    dims: GatherDims {
                        offset_dims: (0..rank).collect(),
                        start_index_map: (0..rank).collect(),
                        ..GatherDims::default()
                    },
                    slice_sizes: sizes.iter().copied().collect(),
                    mode: IndexMode::Clip,
                };
                Tensor::apply1(Op::Gather(gather), &[self, &start])
            }
        })
    }

    /// `self` with the window that starts at computed positions, one scalar an axis, replaced by
    /// `update`; a window that would stick out is moved inside.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4]);
    /// let y = x.dynamic_update_slice(&Tensor::from([8, 9]), &[&Tensor::from(1)]);
    /// assert_eq!(y.to_vec::<i32>()?, [1, 8, 9, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one scalar position an axis; `Incompatible` for an
    /// `update` that does not fit the shape; `DTypeMismatch` for one of another dtype; `IndexDType`
    /// unless they are integers; `DTypeMismatch` if they have different dtypes.
    #[track_caller]
    pub fn dynamic_update_slice(&self, update: &Tensor, starts: &[&Tensor]) -> Tensor {
        let place = Place::of("dynamic_update_slice");
        place.scope(|| match self.starts("dynamic_update_slice", starts, place) {
            Err(error) => error,
            Ok(start) => {
                let rank = self.rank();
                let scatter = Scatter {
                    dims: ScatterDims {
                        update_window_dims: (0..rank).collect(),
                        scatter_dims_to_operand_dims: (0..rank).collect(),
                        ..ScatterDims::default()
                    },
                    op: ScatterOp::Set,
                    mode: IndexMode::Clip,
                };
                Tensor::apply1(Op::Scatter(scatter), &[self, &start, update])
            }
        })
    }

    /// The entries at computed positions along an axis, for indices of any shape: that shape stands in
    /// the place of the axis.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.take(&Tensor::from([2, 0]), 1).to_vec::<f64>()?, [3.0, 1.0, 6.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for positions out of bounds (they count from 0;
    /// [`Tensor::take_clipped`] moves them inside); `AxisOutOfRange` for an axis that the tensor does
    /// not have; `IndexDType` for indices that are not integers.
    #[track_caller]
    pub fn take(&self, indices: &Tensor, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("take", || self.take_with(indices, axis, IndexMode::Error))
    }

    /// [`Tensor::take`] with positions out of bounds moved to the nearest one.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.take_clipped(&Tensor::from([-5, 9]), 0).to_vec::<i32>()?, [1, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `IndexDType` for indices
    /// that are not integers; `InvalidArgument` for an axis without elements.
    #[track_caller]
    pub fn take_clipped(&self, indices: &Tensor, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("take_clipped", || self.take_with(indices, axis, IndexMode::Clip))
    }

    #[track_caller]
    fn take_with(&self, indices: &Tensor, axis: isize, mode: IndexMode) -> Tensor {
        let place = Place::here();
        let axis = match normalize_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(kind) => return Tensor::fail("take", kind, place, self),
        };
        let (before, after) = (0..axis, axis + 1..self.rank());
        // Nothing can be taken from nothing.
        let none = self.shape()[axis] == 0 && indices.size() == 0;
        if none && indices.dtype().is_int() && indices.as_error().is_none() {
            let shape = [&self.shape()[before], indices.shape(), &self.shape()[after]].concat();
            return Tensor::zeros(self.dtype(), &shape[..]);
        }
        let mut slice_sizes: Axes = self.shape().into();
        slice_sizes[axis] = 1;
        let dims = GatherDims {
            offset_dims: before.chain(after.map(|a| a - 1 + indices.rank())).collect(),
            collapsed_slice_dims: [axis].into_iter().collect(),
            start_index_map: [axis].into_iter().collect(),
            ..GatherDims::default()
        };
        let op = Op::Gather(Gather { dims, slice_sizes, mode });
        place.scope(|| Tensor::apply1(op, &[self, &indices.expand_dims(-1)]))
    }

    /// Elements at computed positions along an axis: `indices` has the shape of `self` but for that
    /// axis, and element `[…, i, …]` of the result is element `[…, indices[…, i, …], …]`. The result
    /// has the shape of `indices`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3, 1], [2, 5]]);
    /// let order = x.argsort(1);
    /// assert_eq!(x.take_along_axis(&order, 1).to_vec::<i32>()?, [1, 3, 2, 5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `Incompatible` for shapes
    /// that do not fit; `IndexOutOfBounds` for positions out of bounds (they count from 0);
    /// `IndexDType` for indices that are not integers.
    #[track_caller]
    pub fn take_along_axis(&self, indices: &Tensor, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let place = Place::of("take_along_axis");
        if let Some(error) = [self, indices].into_iter().find(|t| t.as_error().is_some()) {
            return error.clone();
        }
        let axis = match normalize_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(kind) => return Tensor::fail("take_along_axis", kind, place, self),
        };
        let others: Axes = (0..self.rank()).filter(|&a| a != axis).collect();
        let fits = indices.rank() == self.rank()
            && others.iter().all(|&a| indices.shape()[a] == self.shape()[a]);
        if !fits {
            let kind = ErrorKind::Incompatible {
                left: self.ty().shape,
                right: indices.ty().shape,
                why: format!("all axes but axis {axis} must have equal sizes"),
            };
            return Tensor::fail("take_along_axis", kind, place, self);
        }
        let gather = Gather {
            dims: GatherDims {
                collapsed_slice_dims: [axis].into_iter().collect(),
                start_index_map: [axis].into_iter().collect(),
                operand_batching_dims: others.clone(),
                start_indices_batching_dims: others,
                ..GatherDims::default()
            },
            slice_sizes: SmallVec::from_elem(1, self.rank()),
            mode: IndexMode::Error,
        };
        place.scope(|| {
            let vectors = indices.expand_dims(-1);
            Tensor::apply1(Op::Gather(gather), &[self, &vectors])
        })
    }
}
