//! Statistics, differences and integrals along axes.

use super::axes::AxisNumber;
use super::composed;
use crate::{DType, ErrorKind, Number, Place, ReduceOp, Shape, Tensor};

composed! {
    //! # Reductions without NaN
    //! NaN does not count. Without NaN they are the functions of the same names without `nan`.
    /// The sum of all elements that are not NaN, a scalar of the same dtype; 0 if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nansum().item::<f64>()?, 9.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of bool.
    nansum(x) -> Tensor { x.without_nan(0.0).sum() }

    /// The sum along an axis, which disappears, of the elements that are not NaN; the dtype stays; 0 if
    /// all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nansum_axis(1).to_vec::<f64>()?, [1.0, 8.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    nansum_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(0.0).sum_axis(vec![axis])
    }

    /// The product of all elements that are not NaN, a scalar of the same dtype; 1 if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanprod().item::<f64>()?, 15.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of bool.
    nanprod(x) -> Tensor { x.without_nan(1.0).prod() }

    /// The product along an axis, which disappears, of the elements that are not NaN; the dtype stays;
    /// 1 if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanprod_axis(1).to_vec::<f64>()?, [1.0, 15.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    nanprod_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(1.0).prod_axis(vec![axis])
    }

    /// The mean of all elements that are not NaN, a scalar of the same dtype; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmean().item::<f64>()?, 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    nanmean(x) -> Tensor where floats { x.flatten().nanmean_axis(0) }

    /// The mean along an axis, which disappears, of the elements that are not NaN; the dtype stays; NaN
    /// if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmean_axis(1).to_vec::<f64>()?, [1.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    nanmean_axis(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        x.nansum_axis(axis) / x.numbers().sum_axis(vec![axis])
    }

    /// The largest of all elements that are not NaN, a scalar of the same dtype; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmax().item::<f64>()?, 5.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` where there is no element.
    nanmax(x) -> Tensor { x.flatten().nanmax_axis(0) }

    /// The largest along an axis, which disappears, of the elements that are not NaN; the dtype stays;
    /// NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmax_axis(1).to_vec::<f64>()?, [1.0, 5.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` where
    /// there is no element.
    nanmax_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_extreme(ReduceOp::Max, axis)
    }

    /// The smallest of all elements that are not NaN, a scalar of the same dtype; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmin().item::<f64>()?, 1.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` where there is no element.
    nanmin(x) -> Tensor { x.flatten().nanmin_axis(0) }

    /// The smallest along an axis, which disappears, of the elements that are not NaN; the dtype stays;
    /// NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanmin_axis(1).to_vec::<f64>()?, [1.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` where
    /// there is no element.
    nanmin_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_extreme(ReduceOp::Min, axis)
    }

    /// The variance (divided by their number) of all elements that are not NaN, a scalar of the same
    /// dtype; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanvar().item::<f64>()?, 8.0 / 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    nanvar(x) -> Tensor where floats { x.flatten().nanvar_axis(0) }

    /// The variance (divided by their number) along an axis, which disappears, of the elements that are
    /// not NaN; the dtype stays; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanvar_axis(1).to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    nanvar_axis(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let mean = x.nanmean_axis(axis).expand_dims(axis);
        (x - mean.broadcast()).square().nanmean_axis(axis)
    }

    /// The standard deviation (the square root of the variance) of all elements that are not NaN, a
    /// scalar of the same dtype; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanstd().item::<f64>()?, (8f64 / 3.0).sqrt());
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    nanstd(x) -> Tensor where floats { x.nanvar().sqrt() }

    /// The standard deviation (the square root of the variance) along an axis, which disappears, of the
    /// elements that are not NaN; the dtype stays; NaN if all are NaN.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanstd_axis(1).to_vec::<f64>()?, [0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    nanstd_axis(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        x.nanvar_axis(axis).sqrt()
    }

    /// The position, as i64, of the first largest along an axis, which disappears, of the elements that
    /// are not NaN; -1 if all are, as JAX has it.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanargmax_axis(1).to_vec::<i64>()?, [0, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` where
    /// there is no element.
    nanargmax_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_position(ReduceOp::Max, axis)
    }

    /// The position, as i64, of the first smallest along an axis, which disappears, of the elements
    /// that are not NaN; -1 if all are, as JAX has it.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [3.0, 5.0]]);
    /// assert_eq!(x.nanargmin_axis(1).to_vec::<i64>()?, [0, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` where
    /// there is no element.
    nanargmin_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_position(ReduceOp::Min, axis)
    }

    /// Running sums along an axis; NaN counts as 0. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN, 2.0]);
    /// assert_eq!(x.nancumsum(0).to_vec::<f64>()?, [1.0, 1.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    nancumsum(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(0.0).cumsum(axis)
    }

    /// Running products along an axis; NaN counts as 1. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([2.0, f64::NAN, 3.0]);
    /// assert_eq!(x.nancumprod(0).to_vec::<f64>()?, [2.0, 2.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` of bool.
    nancumprod(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(1.0).cumprod(axis)
    }
}

composed! {
    //! # Statistics along an axis
    /// The variance along an axis, which disappears, divided by `n - ddof` instead of `n` (1: the
    /// unbiased estimate); NaN where that is not positive, as JAX has it. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!(x.variance_ddof(0, 1).item::<f64>()?, 2.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    variance_ddof(x, axis: impl AxisNumber, ddof: usize) -> Tensor where floats {
        let axis = axis.number();
        let n = match x.axis("variance_ddof", axis, Place::here()) {
            Ok(at) => x.shape()[at],
            Err(error) => return error,
        };
        let freedom = n.checked_sub(ddof).filter(|&left| left > 0);
        x.variance_axis(vec![axis]) * freedom.map_or(f64::NAN, |left| n as f64 / left as f64)
    }

    /// The distance of the largest from the smallest along an axis, which disappears; the dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 9, 4]).peak_to_peak(0).item::<i32>()?, 8);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` where
    /// there is no element; `UnsupportedDType` of bool.
    peak_to_peak(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.max_axis(vec![axis]) - x.min_axis(vec![axis])
    }

    /// The mean along an axis, which disappears, with `weights`, a vector along it: `Σ wᵢ·xᵢ / Σ wᵢ`.
    /// The dtype stays; integers divide as integers.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 5.0]);
    /// assert_eq!(x.average(0, &Tensor::from([3.0, 1.0])).item::<f64>()?, 2.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `Incompatible` unless
    /// `weights` is a vector of its extent; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of
    /// bool.
    average(x, axis: impl AxisNumber, weights: &Tensor) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("average", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let along = weights.broadcast_in_dim(x.shape(), [at].into_iter().collect());
        (x * along).sum_axis(vec![axis]) / weights.sum()
    }

    /// The value along an axis, which disappears, below which a part `q` (from 0 to 1) of the elements
    /// lies; between two elements by linear interpolation. NaN if any element is. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, 1.0, 3.0, 2.0]);
    /// assert_eq!(x.quantile(0.5, 0).item::<f64>()?, 2.5);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements, or `q` outside of 0 to 1; `UnsupportedDType` unless the dtype is f32 or f64.
    quantile(x, q: f64, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let at = match x.axis("quantile", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let n = x.shape()[at];
        if n == 0 || !(0.0..=1.0).contains(&q) {
            let message = format!("the {q} quantile of {n} elements; q is from 0 to 1");
            return Tensor::fail("quantile", ErrorKind::InvalidArgument(message), Place::here(), x);
        }
        let position = q * (n - 1) as f64;
        let (low, high) = (position.floor() as usize, position.ceil() as usize);
        let sorted = x.sorted_places(at, low..high + 1);
        let entry = |i: usize| sorted.slice_axis(axis, i, i + 1).squeeze(axis);
        let part = position - position.floor();
        let value = entry(0) * (1.0 - part) + entry(high - low) * part;
        let nan = value.literal(Number::Float(f64::NAN)).broadcast_to(value.shape());
        x.is_nan().any_axis(vec![axis]).select(&nan, &value)
    }

    /// The middle element along an axis, which disappears, or the mean of the two; NaN if any element
    /// is. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([5.0, 1.0, 2.0]).median(0).item::<f64>()?, 2.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements; `UnsupportedDType` unless the dtype is f32 or f64.
    median(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        x.quantile(0.5, axis)
    }

    /// The value along an axis, which disappears, below which a part `q` (from 0 to 1) of the elements
    /// that are not NaN lies; NaN if all are. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, f64::NAN, 3.0, 2.0]);
    /// assert_eq!(x.nanquantile(0.5, 0).item::<f64>()?, 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements, or `q` outside of 0 to 1; `UnsupportedDType` unless the dtype is f32 or f64.
    nanquantile(x, q: f64, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let at = match x.axis("nanquantile", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let n = x.shape()[at];
        if n == 0 || !(0.0..=1.0).contains(&q) {
            let message = format!("the {q} quantile of {n} elements; q is from 0 to 1");
            return Tensor::fail("nanquantile", ErrorKind::InvalidArgument(message), Place::here(), x);
        }
        // NaN stands last.
        let sorted = x.sort(axis);
        let position = (x.numbers().sum_axis(vec![axis]) - 1.0) * q;
        let entry = |place: Tensor| {
            let place = place.maximum(0.0).cast(DType::I64).expand_dims(axis);
            sorted.take_along_axis(&place, axis).squeeze(axis)
        };
        let part = &position - position.floor();
        entry(position.floor()) * (1.0 - &part) + entry(position.ceil()) * &part
    }

    /// The middle along an axis, which disappears, of the elements that are not NaN, or the mean of the
    /// two; NaN if all are. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, f64::NAN, 2.0]);
    /// assert_eq!(x.nanmedian(0).item::<f64>()?, 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements; `UnsupportedDType` unless the dtype is f32 or f64.
    nanmedian(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        x.nanquantile(0.5, axis)
    }
}

composed! {
    //! # Covariances, differences, integrals
    /// The covariance of the rows of a matrix `[m, n]`, one row a variable, one column an observation:
    /// a matrix `[m, m]`, divided by `n - 1`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [2.0, 6.0]]);
    /// assert_eq!(x.covariance().to_vec::<f64>()?, [2.0, 4.0, 4.0, 8.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless it is a matrix; `UnsupportedDType` unless the dtype is f32 or f64.
    covariance(x) -> Tensor where floats {
        let [_, n] = *x.shape() else {
            let expected = "a matrix, one row a variable";
            let kind = ErrorKind::WrongRank { expected, shape: Shape::from(x.shape()) };
            return Tensor::fail("covariance", kind, Place::here(), x);
        };
        let centred = x - x.mean_keep(1).broadcast();
        centred.matmul(&centred.t()) / (n as f64 - 1.0)
    }

    /// The correlation coefficients of the rows of a matrix `[m, n]`, one row a variable: a matrix `[m,
    /// m]` of numbers from -1 to 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [8.0, 2.0]]);
    /// let r = x.correlation();
    /// assert!(r.at((0, 1)).is_close(-1.0, 0.0, 1e-12).item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless it is a matrix; `UnsupportedDType` unless the dtype is f32 or f64.
    correlation(x) -> Tensor where floats {
        let c = x.covariance();
        let scale = c.diagonal(0).sqrt();
        (&c / scale.expand_dims(-1).broadcast()) / scale.broadcast()
    }

    /// The differences of neighbours along an axis, later minus sooner, `n` times over; each time its
    /// size is less by one. Of bool: whether neighbours differ.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 4, 9, 16]);
    /// assert_eq!(x.diff(1, 0).to_vec::<i32>()?, [3, 5, 7]);
    /// assert_eq!(x.diff(2, 0).to_vec::<i32>()?, [2, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    diff(x, n: usize, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("diff", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let mut result = x.clone();
        for _ in 0..n {
            let size = result.shape()[at];
            if size == 0 {
                break;
            }
            let last = size.saturating_sub(1);
            let (later, sooner) = (result.slice_axis(axis, 1, size), result.slice_axis(axis, 0, last));
            result = match x.dtype() {
                DType::Bool => later.not_equal(&sooner),
                _ => later - sooner,
            };
        }
        result
    }

    /// The slope along an axis of a function given at points of distance `spacing`: central
    /// differences, one-sided at the ends, as `numpy.gradient`. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0, 4.0]);
    /// assert_eq!(x.slope(1.0, 0).to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// of fewer than two points; `UnsupportedDType` unless the dtype is f32 or f64.
    slope(x, spacing: f64, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let at = match x.axis("slope", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let n = x.shape()[at];
        if n < 2 {
            let message = format!("a slope of {n} points");
            return Tensor::fail("slope", ErrorKind::InvalidArgument(message), Place::here(), x);
        }
        let part = |start, end| x.slice_axis(axis, start, end);
        let first = part(1, 2) - part(0, 1);
        let last = part(n - 1, n) - part(n - 2, n - 1);
        let inside = (part(2, n) - part(0, n - 2)) / 2.0;
        Tensor::concatenate(&[&first, &inside, &last], axis) / spacing
    }

    /// The integral along an axis, which disappears, of a function given at points of distance
    /// `spacing`, by the trapezoidal rule; 0 of fewer than two points. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0, 4.0]);
    /// assert_eq!(x.trapezoid(0.5, 0).item::<f64>()?, 1.5);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType`
    /// unless the dtype is f32 or f64.
    trapezoid(x, spacing: f64, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let at = match x.axis("trapezoid", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let n = x.shape()[at];
        let last = n.saturating_sub(1);
        let pairs = x.slice_axis(axis, 1.min(n), n) + x.slice_axis(axis, 0, last);
        pairs.sum_axis(vec![axis]) * (spacing / 2.0)
    }

    /// The polynomial with these coefficients, the highest power first, at each element of `at`, by
    /// Horner's rule. The coefficients stand along axis 0; the result has the shape of `at`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let p = Tensor::from([1.0, 0.0, -1.0]); // x² - 1
    /// assert_eq!(p.polynomial(Tensor::from([1.0, 3.0])).to_vec::<f64>()?, [0.0, 8.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of a scalar; `ShapeMismatch` unless an entry along axis 0 is a scalar
    /// or has the shape of `at`; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    polynomial(x, at: Operand) -> Tensor {
        let start = at.zeros_like();
        x.unstack(0).iter().fold(start, |sum, c| sum * at + c)
    }

    /// Whether any two elements at the same place differ, as a bool scalar: `false` for equal tensors.
    /// NaN differs.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert!(!x.differs(&x).item::<bool>()?);
    /// assert!(x.differs(&Tensor::from([1, 3])).item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ.
    differs(x, y: &Tensor) -> Tensor { x.not_equal(y).any() }
}

impl Tensor {
    /// The maximum or minimum along an axis of the elements that are not NaN; NaN if all are.
    #[track_caller]
    fn nan_extreme(&self, op: ReduceOp, axis: isize) -> Tensor {
        let of = |x: &Tensor| {
            if op == ReduceOp::Min { x.min_axis(vec![axis]) } else { x.max_axis(vec![axis]) }
        };
        if !self.dtype().is_float() {
            return of(self);
        }
        let none = self.is_nan().all_axis(vec![axis]);
        let extreme = of(&self.without_nan(op.identity(self.dtype()).number().float()));
        none.select(&extreme.literal(Number::Float(f64::NAN)), &extreme)
    }

    /// The first position along an axis of that extreme; -1 if all elements are NaN.
    #[track_caller]
    fn nan_position(&self, op: ReduceOp, axis: isize) -> Tensor {
        let extreme = self.nan_extreme(op, axis);
        let found = match extreme.as_error() {
            Some(_) => return extreme,
            None => self.equal(&extreme.expand_dims(axis).broadcast_to(self.shape())),
        };
        let position = found.cast(DType::I32).argmax_axis(axis);
        found.any_axis(vec![axis]).select(&position, &Tensor::from(-1i64))
    }

    /// NaN replaced by a number.
    #[track_caller]
    fn without_nan(&self, value: f64) -> Tensor {
        let fill = self.literal(Number::Float(value)).broadcast_to(self.shape());
        self.is_nan().select(&fill, self)
    }

    /// 1 for numbers, 0 for NaN.
    #[track_caller]
    fn numbers(&self) -> Tensor {
        self.is_nan().logical_not().cast(self.dtype())
    }
}
