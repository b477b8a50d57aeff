//! Statistics, differences and integrals along axes.

use super::axes::AxisNumber;
use super::composed;
use crate::{DType, ErrorKind, Number, Place, ReduceOp, Tensor};

composed! {
    /// The sum of all elements that are not NaN.
    nansum(x) -> Tensor { x.without_nan(0.0).sum() }

    /// The sum along an axis of the elements that are not NaN.
    nansum_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(0.0).sum_axis(vec![axis])
    }

    /// The product of all elements that are not NaN.
    nanprod(x) -> Tensor { x.without_nan(1.0).prod() }

    /// The product along an axis of the elements that are not NaN.
    nanprod_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(1.0).prod_axis(vec![axis])
    }

    /// The mean of all elements that are not NaN.
    nanmean(x) -> Tensor { x.flatten().nanmean_axis(0) }

    /// The mean along an axis of the elements that are not NaN.
    nanmean_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.require_float("nanmean_axis", Place::here())
            .unwrap_or_else(|| x.nansum_axis(axis) / x.numbers().sum_axis(vec![axis]))
    }

    /// The largest of all elements that are not NaN; NaN if all are.
    nanmax(x) -> Tensor { x.flatten().nanmax_axis(0) }

    /// The largest along an axis of the elements that are not NaN.
    nanmax_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_extreme(ReduceOp::Max, axis)
    }

    /// The smallest of all elements that are not NaN; NaN if all are.
    nanmin(x) -> Tensor { x.flatten().nanmin_axis(0) }

    /// The smallest along an axis of the elements that are not NaN.
    nanmin_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_extreme(ReduceOp::Min, axis)
    }

    /// The variance of all elements that are not NaN.
    nanvar(x) -> Tensor { x.flatten().nanvar_axis(0) }

    /// The variance along an axis of the elements that are not NaN.
    nanvar_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let mean = x.nanmean_axis(axis).expand_dims(axis);
        (x - mean.broadcast()).square().nanmean_axis(axis)
    }

    /// The standard deviation of all elements that are not NaN.
    nanstd(x) -> Tensor { x.nanvar().sqrt() }

    /// The standard deviation along an axis of the elements that are not NaN.
    nanstd_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nanvar_axis(axis).sqrt()
    }

    /// The position of the first largest along an axis of the elements that are not NaN; -1 if all are,
    /// as JAX has it.
    nanargmax_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_position(ReduceOp::Max, axis)
    }

    /// The position of the first smallest along an axis of the elements that are not NaN; -1 if all
    /// are, as JAX has it.
    nanargmin_axis(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nan_position(ReduceOp::Min, axis)
    }

    /// Running sums along an axis; NaN counts as 0.
    nancumsum(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(0.0).cumsum(axis)
    }

    /// Running products along an axis; NaN counts as 1.
    nancumprod(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.without_nan(1.0).cumprod(axis)
    }

    /// The variance along an axis, divided by `n - ddof` instead of `n`; NaN where that is not positive,
    /// as JAX has it.
    variance_ddof(x, axis: impl AxisNumber, ddof: usize) -> Tensor {
        let axis = axis.number();
        let n = match x.axis("variance_ddof", axis, Place::here()) {
            Ok(at) => x.shape()[at],
            Err(error) => return error,
        };
        let freedom = n.checked_sub(ddof).filter(|&left| left > 0);
        x.variance_axis(vec![axis]) * freedom.map_or(f64::NAN, |left| n as f64 / left as f64)
    }

    /// The distance of the largest from the smallest along an axis.
    peak_to_peak(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.max_axis(vec![axis]) - x.min_axis(vec![axis])
    }

    /// The mean along an axis with `weights`, a vector along it.
    average(x, axis: impl AxisNumber, weights: &Tensor) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("average", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        let along = weights.broadcast_in_dim(x.shape(), [at].into_iter().collect());
        (x * along).sum_axis(vec![axis]) / weights.sum()
    }

    /// The value along an axis below which a part `q` (from 0 to 1) of the elements lies; between two
    /// elements by linear interpolation. NaN if any element is.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, 1.0, 3.0, 2.0]);
    /// assert_eq!(x.quantile(0.5, 0).item::<f64>()?, 2.5);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    quantile(x, q: f64, axis: impl AxisNumber) -> Tensor {
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
        if !x.dtype().is_float() {
            return value;
        }
        let nan = value.literal(Number::Float(f64::NAN)).broadcast_to(value.shape());
        x.is_nan().any_axis(vec![axis]).select(&nan, &value)
    }

    /// The middle element along an axis, or the mean of the two; NaN if any element is.
    median(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.quantile(0.5, axis)
    }

    /// The value along an axis below which a part `q` (from 0 to 1) of the elements that are not NaN lies;
    /// NaN if all are.
    ///
    /// # Errors
    /// As of [`Tensor::quantile`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([4.0, f64::NAN, 3.0, 2.0]);
    /// assert_eq!(x.nanquantile(0.5, 0).item::<f64>()?, 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    nanquantile(x, q: f64, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("nanquantile", axis, Place::here()) {
            Ok(at) => at,
            Err(error) => return error,
        };
        if let Some(error) = x.require_float("nanquantile", Place::here()) {
            return error;
        }
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

    /// The middle along an axis of the elements that are not NaN, or the mean of the two.
    nanmedian(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        x.nanquantile(0.5, axis)
    }

    /// The covariance of the rows of a matrix, one row a variable: divided by `n - 1`.
    covariance(x) -> Tensor {
        let [_, n] = *x.shape() else { return x.mt() };
        let centred = x - x.mean_keep(1).broadcast();
        centred.matmul(&centred.t()) / (n as f64 - 1.0)
    }

    /// The correlation coefficients of the rows of a matrix, one row a variable.
    correlation(x) -> Tensor {
        let c = x.covariance();
        let scale = c.diagonal(0).sqrt();
        (&c / scale.expand_dims(-1).broadcast()) / scale.broadcast()
    }

    /// The differences of neighbours along an axis, `n` times over.
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
    /// differences, one-sided at the ends.
    slope(x, spacing: f64, axis: impl AxisNumber) -> Tensor {
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

    /// The integral along an axis of a function given at points of distance `spacing`, by the
    /// trapezoidal rule.
    trapezoid(x, spacing: f64, axis: impl AxisNumber) -> Tensor {
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

    /// The polynomial with these coefficients, the highest power first, at each element of `at`.
    polynomial(x, at: Operand) -> Tensor {
        let start = at.zeros_like();
        x.unstack(0).iter().fold(start, |sum, c| sum * at + c)
    }

    /// Whether any two elements at the same place differ: `false` for equal tensors. NaN differs.
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
