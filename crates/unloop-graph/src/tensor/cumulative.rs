//! Cumulative reductions, by doubling: after step `k` each element holds the last `2ᵏ` ones
//! combined. Composed of slices and elementwise operations, so every transform knows them.

use crate::error::{Place, operation};
use crate::op::{Pad, PadAxis};
use crate::shape::normalize_axis;
use crate::{Axes, Op, ReduceOp, Scalar, Tensor};

/// From which end elements are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Element `i` takes in elements `0..=i`.
    Forward,
    /// Element `i` takes in elements `i..`.
    Reverse,
}

impl Tensor {
    /// Combines each element along an axis with all before it (or after it); `combine` is
    /// associative and elementwise, and `identity` changes nothing.
    #[track_caller]
    fn cumulative(
        &self,
        name: &'static str,
        axis: isize,
        direction: Direction,
        identity: Scalar,
        combine: impl Fn(&Tensor, &Tensor) -> Tensor,
    ) -> Tensor {
        let place = Place::here();
        if self.as_error().is_some() {
            return self.clone();
        }
        let axis = match normalize_axis(axis, self.rank()) {
            Ok(axis) => axis,
            Err(kind) => return Tensor::fail(name, kind, place, self),
        };
        place.scope(|| {
            let size = self.shape()[axis];
            let identity = Tensor::full_of((), identity);
            let mut total = self.clone();
            let mut step = 1;
            while step < size {
                // The same, `step` later; what comes in from outside is the identity.
                let shift = step as i64;
                let (low, high) = match direction {
                    Direction::Forward => (shift, -shift),
                    Direction::Reverse => (-shift, shift),
                };
                let mut pad: Pad = Pad(vec![PadAxis::default(); self.rank()].into());
                pad.0[axis] = PadAxis { low, high, interior: 0 };
                let before = total.pad_with(pad, &identity);
                total = match direction {
                    Direction::Forward => combine(&before, &total),
                    Direction::Reverse => combine(&total, &before),
                };
                step *= 2;
            }
            total
        })
    }

    #[track_caller]
    fn cumulative_op(
        &self,
        name: &'static str,
        op: ReduceOp,
        axis: isize,
        how: Direction,
    ) -> Tensor {
        // The dtypes are those of the reduction.
        let axes = Axes::new();
        if let Err(kind) = (Op::Reduce { op, axes }).infer(&[self.ty()]) {
            return Tensor::fail(name, kind, Place::here(), self);
        }
        let identity = op.identity(self.dtype());
        let combine = |a: &Tensor, b: &Tensor| {
            Tensor::apply(Op::Binary(op.binary()), &[a, b], Place::here()).swap_remove(0)
        };
        self.cumulative(name, axis, how, identity, combine)
    }

    /// Sums of all elements up to each one along an axis; integers wrap.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.cumsum(0).to_vec::<f64>()?, [1.0, 3.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Tensor {
        operation("cumsum", || {
            self.cumulative_op("cumsum", ReduceOp::Sum, axis, Direction::Forward)
        })
    }

    /// Products of all elements up to each one along an axis; integers wrap.
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Tensor {
        operation("cumprod", || {
            self.cumulative_op("cumprod", ReduceOp::Prod, axis, Direction::Forward)
        })
    }

    /// The largest of all elements up to each one along an axis; NaN if any is NaN.
    #[track_caller]
    pub fn cummax(&self, axis: isize) -> Tensor {
        operation("cummax", || {
            self.cumulative_op("cummax", ReduceOp::Max, axis, Direction::Forward)
        })
    }

    /// The smallest of all elements up to each one along an axis; NaN if any is NaN.
    #[track_caller]
    pub fn cummin(&self, axis: isize) -> Tensor {
        operation("cummin", || {
            self.cumulative_op("cummin", ReduceOp::Min, axis, Direction::Forward)
        })
    }

    /// `ln Σ eˣ` of all elements up to each one along an axis, without overflow.
    #[track_caller]
    pub fn cumlogsumexp(&self, axis: isize) -> Tensor {
        operation("cumlogsumexp", || self.cumlogsumexp_from(axis, Direction::Forward))
    }

    /// [`Tensor::cumsum`] and its kin from either end.
    #[track_caller]
    pub fn cumulative_reduce(&self, op: ReduceOp, axis: isize, direction: Direction) -> Tensor {
        operation("cumulative_reduce", || self.cumulative_op(op.name(), op, axis, direction))
    }

    /// [`Tensor::cumlogsumexp`] from either end.
    #[track_caller]
    pub fn cumlogsumexp_from(&self, axis: isize, direction: Direction) -> Tensor {
        operation("cumlogsumexp_from", || {
            let place = Place::here();
            if let Some(error) = self.require_float("cumlogsumexp", place) {
                return error;
            }
            let identity = ReduceOp::Max.identity(self.dtype());
            self.cumulative("cumlogsumexp", axis, direction, identity, |a, b| a.logaddexp(b))
        })
    }

    /// `ln(eˣ + eʸ)`, without overflow.
    #[track_caller]
    pub fn logaddexp(&self, other: &Tensor) -> Tensor {
        operation("logaddexp", || {
            let largest = self.maximum(other);
            let gap = self - other;
            // Of two equal infinities the difference is no number, but the larger one is the sum.
            let equal = gap.is_nan();
            let gap = equal.select(&gap.zeros_like(), &gap);
            let sum = &largest + (-gap.abs()).exp().log1p();
            let infinite = largest.is_finite();
            let both = equal & !&infinite;
            both.select(&(self + other), &sum)
        })
    }
}
