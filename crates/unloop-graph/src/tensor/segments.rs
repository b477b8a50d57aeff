//! Reductions of entries along axis 0 by segment: entry `i` counts for segment `segments[i]`, in any order.
//! The number of segments is given, so that the result's shape does not depend on values.

use super::composed;
use crate::{DType, ErrorKind, IndexArg, Place, ReduceOp, Shape, Tensor};

/// Where each entry counts, as an index of a tensor of this rank.
fn places(segments: &Tensor, rank: usize) -> Vec<IndexArg> {
    let rest = (1..rank).map(|_| IndexArg::from(..));
    std::iter::once(IndexArg::from(segments)).chain(rest).collect()
}

impl Tensor {
    /// What a reduction begins with, one entry a segment.
    #[track_caller]
    fn of_segments(
        &self,
        name: &'static str,
        op: ReduceOp,
        count: usize,
    ) -> Result<Tensor, Tensor> {
        if let (0, None) = (self.rank(), self.as_error()) {
            let kind =
                ErrorKind::WrongRank { expected: "entries along an axis", shape: Shape::scalar() };
            return Err(Tensor::fail(name, kind, Place::here(), self));
        }
        let mut shape = Shape::from(self.shape());
        shape.iter_mut().take(1).for_each(|size| *size = count);
        Ok(Tensor::full_of(shape, op.identity(self.dtype())))
    }
}

composed! {
    //! # Reductions by segment
    //! Of entries along axis 0, in any order; the number of segments is given.
    /// The sums of entries along axis 0 by segment: entry `i` counts for segment `segments[i]` of
    /// `count`, in any order. 0 for a segment without entries. The result has `count` entries along
    /// axis 0, and the dtype of `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    /// let segments = Tensor::from([0, 2, 0, 2]);
    /// assert_eq!(x.segment_sum(&segments, 3).to_vec::<f64>()?, [4.0, 0.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers; `WrongRank` of
    /// a scalar; `UnsupportedDType` of bool.
    segment_sum(x, segments: &Tensor, count: usize) -> Tensor {
        x.of_segments("segment_sum", ReduceOp::Sum, count)
            .map_or_else(|error| error, |start| start.add_at(places(segments, x.rank()), x))
    }

    /// The products of entries along axis 0 by segment; 1 for a segment without entries. The result has
    /// `count` entries along axis 0, and the dtype of `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    /// let segments = Tensor::from([0, 2, 0, 2]);
    /// assert_eq!(x.segment_prod(&segments, 3).to_vec::<f64>()?, [3.0, 1.0, 8.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers; `WrongRank` of
    /// a scalar; `UnsupportedDType` of bool.
    segment_prod(x, segments: &Tensor, count: usize) -> Tensor {
        x.of_segments("segment_prod", ReduceOp::Prod, count)
            .map_or_else(|error| error, |start| start.mul_at(places(segments, x.rank()), x))
    }

    /// The largest of the entries along axis 0 by segment; -∞, or the least integer, for a segment
    /// without entries, as JAX has it. The result has `count` entries along axis 0, and the dtype of
    /// `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    /// let segments = Tensor::from([0, 2, 0, 2]);
    /// assert_eq!(x.segment_max(&segments, 3).to_vec::<f64>()?, [3.0, f64::NEG_INFINITY, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers; `WrongRank` of
    /// a scalar.
    segment_max(x, segments: &Tensor, count: usize) -> Tensor {
        x.of_segments("segment_max", ReduceOp::Max, count)
            .map_or_else(|error| error, |start| start.max_at(places(segments, x.rank()), x))
    }

    /// The smallest of the entries along axis 0 by segment; ∞, or the greatest integer, for a segment
    /// without entries, as JAX has it. The result has `count` entries along axis 0, and the dtype of
    /// `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    /// let segments = Tensor::from([0, 2, 0, 2]);
    /// assert_eq!(x.segment_min(&segments, 3).to_vec::<f64>()?, [1.0, f64::INFINITY, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers; `WrongRank` of
    /// a scalar.
    segment_min(x, segments: &Tensor, count: usize) -> Tensor {
        x.of_segments("segment_min", ReduceOp::Min, count)
            .map_or_else(|error| error, |start| start.min_at(places(segments, x.rank()), x))
    }

    /// The means of entries along axis 0 by segment; NaN for a segment without entries. The result has
    /// `count` entries along axis 0, and the dtype of `x`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let means = x.segment_mean(&Tensor::from([1, 0, 1]), 2);
    /// assert_eq!(means.to_vec::<f64>()?, [3.0, 4.0, 3.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers; `WrongRank` of
    /// a scalar; `UnsupportedDType` unless the dtype is f32 or f64.
    segment_mean(x, segments: &Tensor, count: usize) -> Tensor where floats {
        x.segment_sum(segments, count) / x.ones_like().segment_sum(segments, count)
    }

    /// The value of each segment of a vector below which a part `q` (from 0 to 1) of its elements lies,
    /// as [`Tensor::quantile`]: a vector of size `count`. NaN for a segment without elements, or with
    /// NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, 1.0, 3.0, 2.0, 7.0]);
    /// let medians = x.segment_quantile(&Tensor::from([0, 0, 0, 1, 1]), 0.5, 2);
    /// assert_eq!(medians.to_vec::<f64>()?, [3.0, 4.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a segment that is not from 0 below `count`; `ShapeMismatch`
    /// unless there is one segment an entry; `IndexDType` unless segments are integers;
    /// `InvalidArgument` of what is no vector, or for `q` outside of 0 to 1; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    segment_quantile(x, segments: &Tensor, q: f64, count: usize) -> Tensor where floats {
        if x.rank() != 1 || !(0.0..=1.0).contains(&q) {
            let message = format!("the {q} quantile of {}; of a vector, q is from 0 to 1", x.ty());
            let kind = ErrorKind::InvalidArgument(message);
            return Tensor::fail("segment_quantile", kind, Place::here(), x);
        }
        // Segments that do not exist are found here.
        let sizes = x.ones_like().segment_sum(segments, count);
        if x.size() == 0 {
            return sizes * f64::NAN;
        }
        // Sorted by segment, within a segment by value: sorting keeps the order of what is equal.
        let by_value = x.argsort(0);
        let by_segment = segments.take(&by_value, 0).argsort(0);
        let sorted = x.take(&by_value.take(&by_segment, 0), 0);
        let before = sizes.cumsum(0) - &sizes;
        let entry = |place: &Tensor| sorted.take_clipped(&(&before + place).cast(DType::I64), 0);
        let position = (&sizes - 1.0) * q;
        let (low, part) = (position.floor(), &position - position.floor());
        let value = entry(&low) * (1.0 - &part) + entry(&position.ceil()) * &part;
        // NaN stands last.
        let last = entry(&(&sizes - 1.0));
        let is_nan = last.is_nan() | sizes.equal(0.0);
        is_nan.select(f64::NAN, &value)
    }
}
