//! Methods that move elements: reshape, transpose, broadcast, slice, pad, concatenate, stack, flip.

use super::axes::{AxisList, AxisNumber};
use super::nested::TensorList;
use super::operand::{Given, Operand, typed};
use crate::error::{ErrorKind, Place, operation};
use crate::op::{Pad, PadAxis, Slice};
use crate::shape::{normalize_axes, normalize_axis};
use crate::{Axes, Number, Op, Shape, Tensor};

/// # Shape and order of axes
/// Of any dtype, which stays. Nothing is computed.
impl Tensor {
    /// The elements in row-major order under another shape of the same size: `6`, `(2, 3)`, `[2, 3]`, a
    /// vector or a slice.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4, 5, 6]).reshape((2, 3));
    /// assert_eq!(x.at((1, ..)).to_vec::<i32>()?, [4, 5, 6]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` for a shape of another size; `SizeOverflow` for one that cannot be
    /// addressed.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        operation("reshape", || {
            let shape = shape.into();
            match *self.shape() == *shape {
                true => self.clone(),
                false => Tensor::apply1(Op::Reshape(shape), &[self]),
            }
        })
    }

    /// All elements in row-major order, in one axis.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).flatten().shape(), [4]);
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn flatten(&self) -> Tensor {
        operation("flatten", || self.reshape(self.size()))
    }

    /// All elements in row-major order, in one axis, as NumPy calls it: [`Tensor::flatten`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).ravel().shape(), [4]);
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn ravel(&self) -> Tensor {
        operation("ravel", || self.flatten())
    }

    /// The axes in reverse order: of a matrix, the transposed one. Of a stack of matrices:
    /// [`Tensor::mt`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t().to_vec::<i32>()?, [1, 3, 2, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        operation("t", || self.permute_axes((0..self.rank()).rev().collect()))
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this tensor. All axes are
    /// given.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[[1, 2, 3], [4, 5, 6]]]);
    /// assert_eq!(x.permute([2, 0, 1]).shape(), [3, 1, 2]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `InvalidArgument` unless there are as many as axes.
    #[doc(alias = "transpose")]
    #[track_caller]
    pub fn permute(&self, axes: impl AxisList) -> Tensor {
        operation("permute", || match normalize_axes(&axes.axes(), self.rank()) {
            Ok(axes) => self.permute_axes(axes),
            Err(kind) => Tensor::fail("permute", kind, Place::here(), self),
        })
    }

    #[track_caller]
    pub(crate) fn permute_axes(&self, perm: Axes) -> Tensor {
        match perm.len() == self.rank() && perm.iter().enumerate().all(|(i, &p)| i == p) {
            true => self.clone(),
            false => Tensor::apply1(Op::Transpose(perm), &[self]),
        }
    }

    /// Two axes exchanged.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[[1, 2, 3], [4, 5, 6]]]);
    /// assert_eq!(x.swap_axes(0, -1).shape(), [3, 2, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn swap_axes(&self, a: impl AxisNumber, b: impl AxisNumber) -> Tensor {
        let (a, b) = (a.number(), b.number());
        operation("swap_axes", || {
            let rank = self.rank();
            match (normalize_axis(a, rank), normalize_axis(b, rank)) {
                (Ok(a), Ok(b)) => {
                    let mut perm: Axes = (0..rank).collect();
                    perm.swap(a, b);
                    self.permute_axes(perm)
                }
                (Err(kind), _) | (_, Err(kind)) => {
                    Tensor::fail("swap_axes", kind, Place::here(), self)
                }
            }
        })
    }

    /// One axis at another position; the others keep their order.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[[1, 2, 3], [4, 5, 6]]]);
    /// assert_eq!(x.move_axis(0, -1).shape(), [2, 3, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn move_axis(&self, from: isize, to: isize) -> Tensor {
        operation("move_axis", || {
            let rank = self.rank();
            match (normalize_axis(from, rank), normalize_axis(to, rank)) {
                (Ok(from), Ok(to)) => {
                    let mut perm: Axes = (0..rank).filter(|&a| a != from).collect();
                    perm.insert(to, from);
                    self.permute_axes(perm)
                }
                (Err(kind), _) | (_, Err(kind)) => {
                    Tensor::fail("move_axis", kind, Place::here(), self)
                }
            }
        })
    }

    /// Repeated to `shape` by NumPy's rule: shapes are aligned at the last axis, and axes of size 1, or
    /// missing ones, repeat. Takes no memory.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert_eq!(x.broadcast_to((2, 2)).to_vec::<i32>()?, [1, 2, 1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `Incompatible` unless every axis has the size of the target's, or 1; `SizeOverflow` for
    /// a shape that cannot be addressed.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        let (from, to) = (Shape::from(self.shape()), shape.into());
        if from == to || self.as_error().is_some() {
            return self.clone();
        }
        operation("broadcast_to", || {
            let fits = from.broadcast(&to).as_ref() == Some(&to);
            if !fits {
                let why = "every axis must have the size of the target's, or 1".into();
                let kind = ErrorKind::Incompatible { left: from, right: to, why };
                return Tensor::fail("broadcast_to", kind, Place::here(), self);
            }
            let lead = to.rank() - from.rank();
            let kept: Axes = (0..from.rank()).filter(|&a| from[a] == to[a + lead]).collect();
            let squeezed: Shape = kept.iter().map(|&a| from[a]).collect();
            let dims = kept.iter().map(|a| a + lead).collect();
            self.reshape(squeezed).broadcast_in_dim(to, dims)
        })
    }

    /// Axis `i` becomes axis `dims[i]` (increasing) of `shape`; the other axes repeat.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]).broadcast_in_dim((2, 2), [0].into_iter().collect());
    /// assert_eq!(x.to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `Incompatible` unless `dims` names one axis of equal size for each; `SizeOverflow` for
    /// a shape that cannot be addressed.
    #[track_caller]
    pub fn broadcast_in_dim(&self, shape: impl Into<Shape>, dims: Axes) -> Tensor {
        operation("broadcast_in_dim", || {
            let shape = shape.into();
            let is_same = *shape == *self.shape() && dims.iter().copied().eq(0..self.rank());
            match is_same {
                true => self.clone(),
                false => Tensor::apply1(Op::Broadcast { shape, dims }, &[self]),
            }
        })
    }

    /// A new axis of size 1 at `axis`, which may be negative to count from the end of the result.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.expand_dims(0).shape(), [1, 3]);
    /// assert_eq!(x.expand_dims(-1).shape(), [3, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the result does not have.
    #[track_caller]
    pub fn expand_dims(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("expand_dims", || match normalize_axis(axis, self.rank() + 1) {
            Ok(axis) => self.reshape(Shape::from(self.shape()).with(axis, 1)),
            Err(kind) => Tensor::fail("expand_dims", kind, Place::here(), self),
        })
    }

    /// Without one axis, of size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3]]).squeeze(0).shape(), [3]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// of another size.
    #[track_caller]
    pub fn squeeze(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("squeeze", || {
            let kind = match normalize_axis(axis, self.rank()) {
                Ok(axis) if self.shape()[axis] == 1 => {
                    return self.reshape(Shape::from(self.shape()).without(axis));
                }
                Ok(axis) => ErrorKind::InvalidArgument(format!(
                    "axis {axis} of shape {} has size {}, only size 1 can be squeezed",
                    Shape::from(self.shape()),
                    self.shape()[axis]
                )),
                Err(kind) => kind,
            };
            Tensor::fail("squeeze", kind, Place::here(), self)
        })
    }
}

/// # Slices and padding
/// Of any dtype, which stays.
impl Tensor {
    /// The elements `start`, `start + step`, … below `limit` along every axis: one number an axis. A
    /// view; [`Tensor::at`] takes ranges.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(&[0, 0], &[2, 3], &[1, 2]).to_vec::<i32>()?, [1, 3, 4, 6]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one of each an axis, `start <= limit <= size` and
    /// `step >= 1`.
    #[track_caller]
    pub fn slice(&self, start: &[usize], limit: &[usize], step: &[usize]) -> Tensor {
        operation("slice", || {
            let whole = start.iter().all(|&s| s == 0)
                && step.iter().all(|&s| s == 1)
                && limit == self.shape()
                && [start.len(), step.len()] == [self.rank(); 2];
            if whole {
                return self.clone();
            }
            let slice = Slice::new(start, limit, step);
            Tensor::apply1(Op::Slice(slice), &[self])
        })
    }

    /// The elements `start..limit` along one axis, all along the others.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice_axis(1, 1, 3).to_vec::<i32>()?, [2, 3, 5, 6]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` unless
    /// `start <= limit <= size`.
    #[track_caller]
    pub fn slice_axis(&self, axis: impl AxisNumber, start: usize, limit: usize) -> Tensor {
        let axis = axis.number();
        operation("slice_axis", || match normalize_axis(axis, self.rank()) {
            Ok(axis) => {
                let (mut from, mut to) = (vec![0; self.rank()], self.shape().to_vec());
                (from[axis], to[axis]) = (start, limit);
                self.slice(&from, &to, &vec![1; self.rank()])
            }
            Err(kind) => Tensor::fail("slice_axis", kind, Place::here(), self),
        })
    }

    /// `before` and `after` elements of the scalar `fill` added around every axis, given as one pair an
    /// axis. Continued by what is inside: [`Tensor::pad_mode`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]).pad(&[(1, 2)], 0);
    /// assert_eq!(x.to_vec::<i32>()?, [0, 1, 2, 0, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one pair an axis; `WrongRank` if `fill` is no scalar;
    /// `DTypeMismatch` if it has another dtype.
    #[track_caller]
    pub fn pad(&self, amounts: &[(usize, usize)], fill: impl Operand) -> Tensor {
        operation("pad", || {
            let axes = amounts.iter().map(|&(low, high)| PadAxis {
                low: low.try_into().unwrap_or(i64::MAX),
                high: high.try_into().unwrap_or(i64::MAX),
                interior: 0,
            });
            self.pad_with(Pad(axes.collect()), fill)
        })
    }

    /// The general padding: elements of the scalar `fill` before, after and between the elements of
    /// every axis, one [`PadAxis`] each; negative amounts cut off.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, op::{Pad, PadAxis}};
    /// let pad = Pad([PadAxis { low: 1, high: -1, interior: 1 }].into_iter().collect());
    /// assert_eq!(Tensor::from([1, 2]).pad_with(pad, 0).to_vec::<i32>()?, [0, 1, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one an axis, and no more is cut off than there is;
    /// `WrongRank` if `fill` is no scalar; `DTypeMismatch` if it has another dtype.
    #[track_caller]
    pub fn pad_with(&self, pad: Pad, fill: impl Operand) -> Tensor {
        operation("pad_with", || {
            let [_, fill] = &typed([Given::Tensor(self), fill.given()]);
            if pad.0.len() != self.rank() {
                return Tensor::apply1(Op::Pad(pad), &[self, fill]);
            }
            let axes = pad.0.iter().zip(self.shape());
            let pad = Pad(axes.map(|(axis, &size)| axis.canonical(size)).collect());
            match pad.0.iter().all(|p| *p == PadAxis::default()) {
                true => self.clone(),
                false => Tensor::apply1(Op::Pad(pad), &[self, fill]),
            }
        })
    }

    /// Padding with zeros.
    #[track_caller]
    pub(crate) fn pad_zeros(&self, pad: Pad) -> Tensor {
        self.pad_with(pad, &self.literal(Number::Int(0)))
    }
}

/// # Joining and reversing
/// Of any dtype, which stays.
impl Tensor {
    /// Tensors one after the other along an axis that they have; the other axes agree.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3]));
    /// assert_eq!(Tensor::concatenate(&[&a, &b], 0).to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` of an empty list; `AxisOutOfRange` for an axis that the first tensor
    /// does not have; `Incompatible` unless the other axes agree; `DTypeMismatch` if the dtypes differ.
    #[doc(alias = "concat")]
    #[track_caller]
    pub fn concatenate(tensors: impl TensorList, axis: impl AxisNumber) -> Tensor {
        let (tensors, axis) = (&tensors.list()[..], axis.number());
        operation("concatenate", || {
            let place = Place::here();
            let Some(first) = tensors.first() else {
                let kind = ErrorKind::InvalidArgument("needs at least one tensor".into());
                return Tensor::error(crate::Error::new("concatenate", kind, place));
            };
            if let Some(&error) = tensors.iter().find(|t| t.as_error().is_some()) {
                return error.clone();
            }
            match normalize_axis(axis, first.rank()) {
                Ok(_) if tensors.len() == 1 => (*first).clone(),
                Ok(axis) => Tensor::apply1(Op::Concatenate { axis }, tensors),
                Err(kind) => Tensor::fail("concatenate", kind, place, first),
            }
        })
    }

    /// Tensors of one shape side by side along a new axis, which may be negative to count from the end
    /// of the result.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// assert_eq!(Tensor::stack([&x, &y], 0).to_vec::<f64>()?, [1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(Tensor::stack(&vec![x, y], 1).to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` of an empty list; `AxisOutOfRange` for an axis that the result does
    /// not have; `Incompatible` if the shapes differ; `DTypeMismatch` if the dtypes do.
    #[track_caller]
    pub fn stack(tensors: impl TensorList, axis: impl AxisNumber) -> Tensor {
        let (tensors, axis) = (&tensors.list()[..], axis.number());
        let place = Place::of("stack");
        place.scope(|| {
            if let Some((first, rest)) = tensors.split_first() {
                let differs = |t: &&&Tensor| {
                    t.shape() != first.shape() && t.as_error().or(first.as_error()).is_none()
                };
                if let Some(other) = rest.iter().find(differs) {
                    let kind = ErrorKind::Incompatible {
                        left: first.shape().into(),
                        right: other.shape().into(),
                        why: "stacked tensors must have one shape".into(),
                    };
                    return Tensor::fail("stack", kind, place, first);
                }
            }
            let expanded: Vec<Tensor> = tensors.iter().map(|t| t.expand_dims(axis)).collect();
            Tensor::concatenate(&expanded.iter().collect::<Vec<_>>(), axis)
        })
    }

    /// The elements along one axis or several in reverse order.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.flip(1).to_vec::<i32>()?, [3, 2, 1, 6, 5, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice.
    #[track_caller]
    pub fn flip(&self, axes: impl AxisList) -> Tensor {
        operation("flip", || match normalize_axes(&axes.axes(), self.rank()) {
            Ok(axes) if axes.is_empty() => self.clone(),
            Ok(mut axes) => {
                axes.sort_unstable();
                Tensor::apply1(Op::Reverse(axes), &[self])
            }
            Err(kind) => Tensor::fail("flip", kind, Place::here(), self),
        })
    }
}
