//! Searching, counting and sets, with results of fixed sizes.

use super::axes::AxisNumber;
use super::composed;
use crate::op::{IndexMode, Scatter, ScatterDims, ScatterOp, require_index};
use crate::shape::normalize_axis;
use crate::{DType, ErrorKind, Number, Op, Place, Scalar, Shape, Tensor};

/// Adds updates, or sets them, at positions of a vector; what lies outside is dropped.
#[track_caller]
fn put(into: &Tensor, positions: &Tensor, updates: &Tensor, op: ScatterOp) -> Tensor {
    if into.size() == 0 {
        return into.clone();
    }
    let dims = ScatterDims {
        inserted_window_dims: [0].into_iter().collect(),
        scatter_dims_to_operand_dims: [0].into_iter().collect(),
        ..ScatterDims::default()
    };
    let mode = IndexMode::Fill(Scalar::new(into.dtype(), Number::Int(0)));
    let scatter = Op::Scatter(Scatter { dims, op, mode });
    Tensor::apply1(scatter, &[into, &positions.expand_dims(-1), updates])
}

composed! {
    //! # Searching, counting, sets
    //! Results have sizes that do not depend on values, so that transforms know them.
    /// Where each of `values` would stand in this sorted vector, before equal elements, as i64 in the
    /// shape of `values`. NaN is larger than any number. In a vector that is not sorted, some position.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let edges = Tensor::from([1.0, 2.0, 3.0]);
    /// let at = edges.search_sorted(&Tensor::from([0.5, 2.0, 9.0]));
    /// assert_eq!(at.to_vec::<i64>()?, [0, 1, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless this is a vector; `DTypeMismatch` if the dtypes differ.
    search_sorted(x, values: &Tensor) -> Tensor { x.bisect(values, false) }

    /// [`Tensor::search_sorted`], after equal elements.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let edges = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(edges.search_sorted_right(&Tensor::from([2.0])).to_vec::<i64>()?, [2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless this is a vector; `DTypeMismatch` if the dtypes differ.
    search_sorted_right(x, values: &Tensor) -> Tensor { x.bisect(values, true) }

    /// How often each number from 0 to `length - 1` occurs among integers, as an i64 vector of size
    /// `length`; others are not counted.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 1, 3]).bincount(4).to_vec::<i64>()?, [0, 2, 0, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexDType` unless the dtype is an integer; `OutOfMemory` or `SizeOverflow` for a
    /// `length` that there is no memory for.
    bincount(x, length: usize) -> Tensor {
        let ones = Tensor::ones(DType::I64, x.size());
        put(&Tensor::zeros(DType::I64, length), &x.flatten(), &ones, ScatterOp::Add)
    }

    /// [`Tensor::bincount`] with the sum of `weights`, of the shape of `x`, instead of the number: a
    /// vector of size `length`, of the dtype of the weights.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let weights = Tensor::from([0.5, 0.25, 2.0]);
    /// let sums = Tensor::from([1, 1, 3]).bincount_weighted(&weights, 4);
    /// assert_eq!(sums.to_vec::<f64>()?, [0.0, 0.75, 0.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexDType` unless the dtype is an integer; `Incompatible` if there is not one weight
    /// an element; `UnsupportedDType` of bool weights.
    bincount_weighted(x, weights: &Tensor, length: usize) -> Tensor {
        let zeros = Tensor::zeros(weights.dtype(), length);
        put(&zeros, &x.flatten(), &weights.flatten(), ScatterOp::Add)
    }

    /// How many elements lie in each bin between sorted `edges`, a vector, as an i64 vector, one
    /// shorter; the last bin has both its edges. What lies outside, and NaN, is not counted.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.5, 1.0, 2.0, 9.0]);
    /// let counts = x.histogram(&Tensor::from([0.0, 1.0, 2.0]));
    /// assert_eq!(counts.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `DTypeMismatch` if the dtypes differ.
    histogram(x, edges: &Tensor) -> Tensor {
        let bins = edges.size().saturating_sub(1);
        let flat = x.flatten();
        let position = edges.search_sorted_right(&flat) - 1;
        let at_end = flat.equal(&edges.take(&Tensor::from(bins as i64), 0));
        let last = Tensor::from(bins as i64 - 1).broadcast_to(flat.shape());
        at_end.select(&last, &position).bincount(bins)
    }

    /// A new last axis of `count` classes, in the given dtype: 1 at the class that each integer names,
    /// else 0 (everywhere, for numbers that name none).
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let x = Tensor::from([1, 0]).one_hot(2, DType::F64);
    /// assert_eq!(x.to_vec::<f64>()?, [0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexDType` unless the dtype is an integer.
    one_hot(x, count: usize, dtype: DType) -> Tensor {
        if let (Err(kind), None) = (require_index(x.dtype()), x.as_error()) {
            return Tensor::fail("one_hot", kind, Place::here(), x);
        }
        let shape = Shape::from(x.shape()).concat(&[count]);
        let class = Tensor::iota(x.dtype(), &shape, x.rank());
        x.broadcast_in_dim(&shape, (0..x.rank()).collect()).equal(&class).cast(dtype)
    }

    /// The first `size` different elements in sorted order, as a vector, and how many different ones
    /// there are, as an i64 scalar. If there are fewer, the largest one fills up. All NaN count as one,
    /// the largest.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (values, count) = Tensor::from([3, 1, 3]).unique(3);
    /// assert_eq!(values.to_vec::<i32>()?, [1, 3, 3]);
    /// assert_eq!(count.item::<i64>()?, 2);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `OutOfMemory` or `SizeOverflow` for a `size` that there is no memory for.
    unique(x, size: usize) -> (Tensor, Tensor) {
        let sorted = x.flatten().sort(0);
        let n = sorted.size();
        if n == 0 {
            return (Tensor::zeros(x.dtype(), size), Tensor::from(0i64));
        }
        let first = Tensor::full(1, true);
        let (later, sooner) = (sorted.slice_axis(0, 1, n), sorted.slice_axis(0, 0, n - 1));
        let changes = later.not_equal(&sooner) & !(later.is_nan() & sooner.is_nan());
        let is_new = Tensor::concatenate(&[&first, &changes], 0).cast(DType::I64);
        let place = is_new.cumsum(0) - 1;
        let largest = sorted.slice_axis(0, n - 1, n).broadcast_to([size]);
        // Equal elements are set to the same place.
        (put(&largest, &place, &sorted, ScatterOp::Set), is_new.sum())
    }

    /// The positions in row-major order of the first `size` elements that are not zero, as an i64
    /// vector; the number of elements fills up. NaN is not zero.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0, 7, 0, 8]);
    /// assert_eq!(x.nonzero(3).to_vec::<i64>()?, [1, 3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for a `size` that there is no memory for.
    nonzero(x, size: usize) -> Tensor {
        let is_set = x.flatten().not_equal(&x.flatten().zeros_like());
        let n = is_set.size();
        let place = is_set.cast(DType::I64).cumsum(0) - 1;
        // What is not set goes nowhere.
        let place = is_set.select(&place, &Tensor::full(n, size as i64));
        put(&Tensor::full(size, n as i64), &place, &Tensor::iota(DType::I64, n, 0), ScatterOp::Set)
    }

    /// Whether each element is among those of `set`, as bool in the shape of `x`. NaN is in no set.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.is_in(&Tensor::from([3, 1])).to_vec::<bool>()?, [true, false, true]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `DTypeMismatch` if the dtypes differ.
    is_in(x, set: &Tensor) -> Tensor {
        let shape = Shape::from(x.shape()).concat(&[set.size()]);
        let each = x.broadcast_in_dim(&shape, (0..x.rank()).collect());
        let of = set.flatten().broadcast_in_dim(&shape, [x.rank()].into_iter().collect());
        each.equal(&of).any_axis(-1)
    }

    /// How many elements are not zero, as an i64 scalar. Of bool: how many are true.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0, 7, 8]).count_nonzero().item::<i64>()?, 2);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's.
    count_nonzero(x) -> Tensor { x.not_equal(&x.zeros_like()).cast(DType::I64).sum() }

    /// How many elements along an axis, which disappears, are not zero, as i64.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[0, 7], [8, 9]]);
    /// assert_eq!(x.count_nonzero_axis(1).to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    count_nonzero_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.not_equal(&x.zeros_like()).cast(DType::I64).sum_axis(vec![axis])
    }

    /// The values at `x` of the function that is linear between the points `(xs, ys)`, vectors with
    /// `xs` sorted, and constant beyond the first and the last. The result has the shape of `x`;
    /// integers divide as integers.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (xs, ys) = (Tensor::from([0.0, 1.0, 2.0]), Tensor::from([0.0, 10.0, 0.0]));
    /// let y = Tensor::from([0.5, 1.5, 9.0]).interp(&xs, &ys);
    /// assert_eq!(y.to_vec::<f64>()?, [5.0, 5.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` for fewer than two points, or `xs` and `ys` of different shapes;
    /// `WrongRank` unless they are vectors; `DTypeMismatch` if the dtypes differ.
    interp(x, xs: &Tensor, ys: &Tensor) -> Tensor {
        let n = xs.size() as i64;
        if n < 2 || ys.shape() != xs.shape() {
            let message = format!("takes two or more points, got {} and {}", xs.ty(), ys.ty());
            return Tensor::fail("interp", ErrorKind::InvalidArgument(message), Place::here(), x);
        }
        let right = xs.search_sorted_right(x).clamp(&Tensor::from(1i64), &Tensor::from(n - 1));
        let left = &right - 1;
        let (x0, x1) = (xs.take(&left, 0), xs.take(&right, 0));
        let (y0, y1) = (ys.take(&left, 0), ys.take(&right, 0));
        let (first, last) = (xs.take(&Tensor::from(0i64), 0), xs.take(&Tensor::from(n - 1), 0));
        // At both ends the slope is that of the line beside, as at all other points.
        let inside = x.less(&first).select(&first, &x.greater(&last).select(&last, x));
        let width = &x1 - &x0;
        let flat = width.equal(&width.zeros_like());
        let part = (inside - &x0) / flat.select(&width.ones_like(), &width);
        &y0 + part * (&y1 - &y0)
    }
}

impl Tensor {
    /// Positions in a sorted vector.
    #[track_caller]
    fn bisect(&self, values: &Tensor, right: bool) -> Tensor {
        if self.rank() != 1 && self.as_error().is_none() {
            let kind =
                ErrorKind::WrongRank { expected: "a sorted vector", shape: self.shape().into() };
            return Tensor::fail("search_sorted", kind, Place::here(), self);
        }
        Tensor::apply1(Op::SearchSorted { right }, &[self, values])
    }
}

/// # Sorting by several keys
impl Tensor {
    /// The positions, as i64 in their shape, that sort by several keys of one shape along an axis; the
    /// last key counts first. Of no keys: an empty vector.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (first, last) = (Tensor::from([2, 1, 0]), Tensor::from([0, 0, 5]));
    /// assert_eq!(Tensor::lexsort(&[&first, &last], 0).to_vec::<i64>()?, [1, 0, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that they do not have; `ShapeMismatch` if the shapes
    /// differ.
    #[track_caller]
    pub fn lexsort(keys: &[&Tensor], axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let place = Place::of("lexsort");
        let Some(first) = keys.first() else { return Tensor::zeros(DType::I64, 0) };
        let at = match normalize_axis(axis, first.rank()) {
            Ok(at) => at,
            Err(kind) => return Tensor::fail("lexsort", kind, place, first),
        };
        place.scope(|| {
            let positions = Tensor::iota(DType::I64, first.shape(), at);
            let operands: Vec<&Tensor> = keys.iter().rev().copied().chain([&positions]).collect();
            Tensor::sort_by(&operands, keys.len(), axis, false).swap_remove(keys.len())
        })
    }
}
