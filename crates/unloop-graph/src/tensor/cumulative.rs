//! Cumulative reductions.

use super::axes::AxisNumber;
use super::dtypes::not_floats;
use crate::error::{Place, operation};
use crate::shape::normalize_axis;
use crate::{Op, ReduceOp, Shape, Tensor};

/// From which end elements are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Element `i` takes in elements `0..=i`.
    Forward,
    /// Element `i` takes in elements `i..`.
    Reverse,
}

/// Running totals of tensors along an axis in logarithmic depth, for an associative function of their
/// elements: pairs are combined, the totals of the pairs found, and the elements between them filled in
/// (Blelloch, *Prefix sums and their applications*, 1990).
///
/// All of `x` have one extent along `axis`, which is counted from the start. `combine` is given two
/// lists of such tensors, what came before and what comes behind, and gives one of the same types. The
/// results have the shapes of `x`.
///
/// ```
/// # use unloop_graph::{Tensor, associative_scan};
/// let x = Tensor::from([1, 2, 3, 4]);
/// let totals = associative_scan(&[x], 0, &|a, b| vec![&a[0] * &b[0]]);
/// assert_eq!(totals[0].to_vec::<i32>()?, [1, 2, 6, 24]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
///
/// # Errors
/// Carried: what `combine` gives.
///
/// # Panics
/// When the first tensor has no such axis.
pub fn associative_scan(
    x: &[Tensor],
    axis: usize,
    combine: &dyn Fn(&[Tensor], &[Tensor]) -> Vec<Tensor>,
) -> Vec<Tensor> {
    let n = x.first().map_or(0, |x| x.shape()[axis]);
    if n < 2 {
        return x.to_vec();
    }
    let along = axis as isize;
    let all = |start: usize, end: usize, step: usize| -> Vec<Tensor> {
        let part = |x: &Tensor| {
            let (mut from, mut to) = (vec![0; x.rank()], x.shape().to_vec());
            let mut by = vec![1; x.rank()];
            (from[axis], to[axis], by[axis]) = (start, end, step);
            x.slice(&from, &to, &by)
        };
        x.iter().map(part).collect()
    };
    let half = n / 2;
    let odd = associative_scan(&combine(&all(0, 2 * half, 2), &all(1, n, 2)), axis, combine);
    // The elements at 2, 4, … with the totals before them.
    let later = (n - 1) / 2;
    let first = all(0, 1, 1);
    let even = if later == 0 {
        first
    } else {
        let before: Vec<Tensor> = odd.iter().map(|x| x.slice_axis(along, 0, later)).collect();
        let rest = combine(&before, &all(2, n, 2));
        let join = |(a, b): (&Tensor, &Tensor)| Tensor::concatenate(&[a, b], along);
        first.iter().zip(&rest).map(join).collect()
    };
    let weave = |(even, odd): (&Tensor, &Tensor)| {
        let pairs = Tensor::stack(&[&even.slice_axis(along, 0, half), odd], along + 1);
        let mut shape = Shape::from(even.shape());
        shape[axis] = 2 * half;
        let woven = pairs.reshape(shape);
        if n.is_multiple_of(2) {
            woven
        } else {
            Tensor::concatenate(&[&woven, &even.slice_axis(along, half, half + 1)], along)
        }
    };
    even.iter().zip(&odd).map(weave).collect()
}

impl Tensor {
    #[track_caller]
    fn cumulative(&self, op: ReduceOp, axis: isize, how: Direction) -> Tensor {
        let place = Place::here();
        if self.as_error().is_some() {
            return self.clone();
        }
        let reverse = how == Direction::Reverse;
        match normalize_axis(axis, self.rank()) {
            Ok(axis) => {
                Tensor::apply(Op::Cumulative { op, axis, reverse }, &[self], place).swap_remove(0)
            }
            Err(kind) => Tensor::fail(op.cumulative_name(), kind, place, self),
        }
    }

    /// [`associative_scan`] of tensors of this one's shape from either end, or an error.
    #[track_caller]
    fn scanned(
        &self,
        name: &'static str,
        x: &[Tensor],
        axis: isize,
        how: Direction,
        combine: &dyn Fn(&[Tensor], &[Tensor]) -> Vec<Tensor>,
    ) -> std::result::Result<Vec<Tensor>, Tensor> {
        let at = match normalize_axis(axis, self.rank()) {
            _ if self.as_error().is_some() => return Err(self.clone()),
            Ok(at) => at,
            Err(kind) => return Err(Tensor::fail(name, kind, Place::here(), self)),
        };
        let turned = |x: &[Tensor]| -> Vec<Tensor> {
            match how {
                Direction::Forward => x.to_vec(),
                Direction::Reverse => x.iter().map(|x| x.flip(&[axis])).collect(),
            }
        };
        Ok(turned(&associative_scan(&turned(x), at, combine)))
    }
}

/// # Cumulative reductions
/// Along one axis; the result has the shape and dtype of the tensor.
impl Tensor {
    /// The sum of all elements up to and including each one along an axis. Shape and dtype stay;
    /// integers wrap.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 3.0]).cumsum(0).to_vec::<f64>()?, [1.0, 3.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn cumsum(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("cumsum", || self.cumulative(ReduceOp::Sum, axis, Direction::Forward))
    }

    /// The product of all elements up to and including each one along an axis. Shape and dtype stay;
    /// integers wrap.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 3.0]).cumprod(0).to_vec::<f64>()?, [1.0, 2.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn cumprod(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("cumprod", || self.cumulative(ReduceOp::Prod, axis, Direction::Forward))
    }

    /// The largest of all elements up to and including each one along an axis. Shape and dtype stay.
    /// NaN if any is NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 3.0, 2.0]).cummax(0).to_vec::<f64>()?, [1.0, 3.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn cummax(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("cummax", || self.cumulative(ReduceOp::Max, axis, Direction::Forward))
    }

    /// The smallest of all elements up to and including each one along an axis. Shape and dtype stay.
    /// NaN if any is NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2.0, 1.0, 3.0]).cummin(0).to_vec::<f64>()?, [2.0, 1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    #[track_caller]
    pub fn cummin(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("cummin", || self.cumulative(ReduceOp::Min, axis, Direction::Forward))
    }

    /// `ln Σ eˣ` of all elements up to and including each one along an axis. Shape and dtype stay. Does
    /// not overflow.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1000.0, f64::NEG_INFINITY]);
    /// assert_eq!(x.cumlogsumexp(0).to_vec::<f64>()?, [1000.0, 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    #[track_caller]
    pub fn cumlogsumexp(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("cumlogsumexp", || self.cumlogsumexp_from(axis, Direction::Forward))
    }

    /// [`Tensor::cumsum`] and its kin from either end, as [`ReduceOp`] says. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::{Direction, ReduceOp, Tensor};
    /// let x = Tensor::from([1, 2, 3]);
    /// let left = x.cumulative_reduce(ReduceOp::Sum, 0, Direction::Reverse);
    /// assert_eq!(left.to_vec::<i32>()?, [6, 5, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool
    /// for sums and products, of floats for and, or and xor.
    #[track_caller]
    pub fn cumulative_reduce(
        &self,
        op: ReduceOp,
        axis: impl AxisNumber,
        direction: Direction,
    ) -> Tensor {
        let axis = axis.number();
        operation("cumulative_reduce", || self.cumulative(op, axis, direction))
    }

    /// [`Tensor::cumlogsumexp`] from either end. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::{Direction, Tensor};
    /// let x = Tensor::from([f64::NEG_INFINITY, 1000.0]);
    /// let y = x.cumlogsumexp_from(0, Direction::Reverse);
    /// assert_eq!(y.to_vec::<f64>()?, [1000.0, 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    #[track_caller]
    pub fn cumlogsumexp_from(&self, axis: impl AxisNumber, direction: Direction) -> Tensor {
        let axis = axis.number();
        operation("cumlogsumexp_from", || {
            if let Some(error) = not_floats(&[self]) {
                return error;
            }
            // Sums of exponentials of distances to the largest so far: a logarithm of a sum would not tell
            // how many huge numbers are equal. No derivative flows through the largest.
            let shift = |x: &Tensor| x.is_finite().select(x, &x.zeros_like());
            let largest = self.stop_gradient();
            let sum = (self - shift(&largest)).exp();
            let both = |a: &[Tensor], b: &[Tensor]| {
                let largest = a[0].maximum(&b[0]);
                let part = |x: &[Tensor]| &x[1] * (&x[0] - shift(&largest)).exp();
                let sum = part(a) + part(b);
                vec![largest, sum]
            };
            let totals = self.scanned("cumlogsumexp", &[largest, sum], axis, direction, &both);
            totals.map_or_else(|error| error, |x| shift(&x[0]) + x[1].log())
        })
    }
}
