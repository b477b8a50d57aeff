//! Functions of neural networks, composed of the operations, in their stable forms.

use super::axes::{AxisList, AxisNumber};
use super::composed;
use super::dtypes::floats;
use crate::error::{Place, operation};
use crate::{ErrorKind, Tensor};

impl Tensor {
    /// The largest along axes, kept with size 1: the shift that keeps exponentials finite. No
    /// derivative flows through it, and it is 0 where there is no finite largest.
    #[track_caller]
    fn exponent_shift(&self, axes: &[isize]) -> Tensor {
        let largest = self.max_keep(axes).stop_gradient();
        largest.is_finite().select(&largest, &largest.zeros_like())
    }
}

/// # Softmax
/// Along one axis or several, without overflow.
impl Tensor {
    /// `ln Σ exp(x)` along one axis or several, which disappear; does not overflow. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1000.0, 1000.0], [0.0, f64::NEG_INFINITY]]);
    /// assert_eq!(x.logsumexp(1).to_vec::<f64>()?, [1000.0 + 2f64.ln(), 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64; `InvalidArgument` for an axis
    /// without elements.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::of("logsumexp"));
        place.scope(|| {
            let shift = self.exponent_shift(&axes);
            let sum = (self - shift.broadcast()).exp().sum_keep(&axes[..]);
            // Summing over axes of size 1 only drops them.
            (sum.log() + shift).sum_axis(axes)
        })
    }

    /// `exp(x) / Σ exp(x)` along one axis or several: numbers from 0 to 1 whose sum along the axes is
    /// 1. Does not overflow. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1000.0, 1000.0], [0.0, f64::NEG_INFINITY]]);
    /// assert_eq!(x.softmax(-1).to_vec::<f64>()?, [0.5, 0.5, 1.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64; `InvalidArgument` for an axis
    /// without elements.
    #[track_caller]
    pub fn softmax(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::of("softmax"));
        place.scope(|| {
            let exp = (self - self.exponent_shift(&axes).broadcast()).exp();
            &exp / exp.sum_keep(axes).broadcast()
        })
    }

    /// `x - ln Σ exp(x)` along one axis or several: the logarithm of the softmax, accurate where that
    /// is small. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, -1000.0]);
    /// assert_eq!(x.log_softmax(0).to_vec::<f64>()?, [0.0, -1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64; `InvalidArgument` for an axis
    /// without elements.
    #[track_caller]
    pub fn log_softmax(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::of("log_softmax"));
        place.scope(|| {
            let shifted = self - self.exponent_shift(&axes).broadcast();
            &shifted - shifted.exp().sum_keep(axes).log().broadcast()
        })
    }
}

/// # Activations
/// Elementwise.
impl Tensor {
    /// `max(x, 0)`, elementwise; the derivative at 0 is 0. NaN stays. The result has the shape and
    /// dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 2.0]).relu().to_vec::<f64>()?, [0.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carries no error but its operand's: any dtype will do.
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        operation("relu", || {
            let zero = self.zeros_like();
            self.less_equal(&zero).select(&zero, self)
        })
    }

    /// The Gaussian error linear unit `x·Φ(x)`, elementwise, exact. <https://arxiv.org/abs/1606.08415>
    /// The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 200.0]).gelu().to_vec::<f64>()?, [0.0, 200.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        operation("gelu", || floats(&[self], || self * saturated(self).ndtr()))
    }

    /// `x·sigmoid(x)`, elementwise, also called swish. <https://arxiv.org/abs/1702.03118> The result
    /// has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1000.0]).silu().to_vec::<f64>()?, [0.0, 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        operation("silu", || floats(&[self], || self * self.sigmoid()))
    }

    /// `ln(1 + exp(x))`, elementwise; does not overflow. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1000.0]).softplus().to_vec::<f64>()?, [2f64.ln(), 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn softplus(&self) -> Tensor {
        operation("softplus", || floats(&[self], || self.logaddexp(&self.zeros_like())))
    }
}

composed! {
    //! # More activations
    //! Elementwise.
    /// `ln(1/(1 + e⁻ˣ))`, elementwise; does not overflow. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, -1000.0]).log_sigmoid().to_vec::<f64>()?, [-2f64.ln(), -1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    log_sigmoid(x) -> Tensor where floats { -(-x).softplus() }

    /// `x/(1 + |x|)`, elementwise; from -1 to 1. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 3.0]).soft_sign().to_vec::<f64>()?, [-0.5, 0.75]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    soft_sign(x) -> Tensor where floats { x / (x.abs() + 1.0) }

    /// `min(max(x, 0), 6)`, elementwise; the derivatives at 0 and 6 are 0. The result has the shape and
    /// dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 2.0, 9.0]).relu6().to_vec::<f64>()?, [0.0, 2.0, 6.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    relu6(x) -> Tensor where floats {
        let six = x.ones_like() * 6.0;
        x.greater_equal(&six).select(&six, &x.relu())
    }

    /// `x` above zero, `slope·x` below, elementwise. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-4.0, 2.0]).leaky_relu(0.5).to_vec::<f64>()?, [-2.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    leaky_relu(x, slope: f64) -> Tensor where floats {
        x.greater_equal(&x.zeros_like()).select(x, &(x * slope))
    }

    /// `min(max(x, -1), 1)`, elementwise. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-3.0, 0.5, 3.0]).hard_tanh().to_vec::<f64>()?, [-1.0, 0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of bool.
    hard_tanh(x) -> Tensor where numbers {
        let one = x.ones_like();
        x.greater(&one).select(&one, &x.less(&-&one).select(&-&one, x))
    }

    /// The sigmoid in three straight lines, elementwise: `relu6(x + 3)/6`. The result has the shape and
    /// dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-3.0, 0.0, 3.0]).hard_sigmoid().to_vec::<f64>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    hard_sigmoid(x) -> Tensor where floats { (x + 3.0).relu6() / 6.0 }

    /// `x·hard_sigmoid(x)`, elementwise. <https://arxiv.org/abs/1905.02244> The result has the shape
    /// and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-3.0, 0.0, 3.0]).hard_silu().to_vec::<f64>()?, [0.0, 0.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    hard_silu(x) -> Tensor where floats { x * x.hard_sigmoid() }

    /// The exponential linear unit, elementwise: `x` above zero, `alpha·(eˣ - 1)` below.
    /// <https://arxiv.org/abs/1511.07289> The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NEG_INFINITY]).elu(2.0).to_vec::<f64>()?, [1.0, -2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    elu(x, alpha: f64) -> Tensor where floats {
        let positive = x.greater(&x.zeros_like());
        // The exponential of large x is not used, and must not become infinite in derivatives.
        let safe = positive.select(&x.zeros_like(), x);
        positive.select(x, &(safe.expm1() * alpha))
    }

    /// `max(x, 0) + alpha·(e^(min(x, 0)/alpha) - 1)`, elementwise, which has a continuous slope.
    /// <https://arxiv.org/abs/1704.07483> The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NEG_INFINITY]).celu(2.0).to_vec::<f64>()?, [1.0, -2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    celu(x, alpha: f64) -> Tensor where floats {
        let zero = x.zeros_like();
        x.maximum(&zero) + (x.minimum(&zero) / alpha).expm1() * alpha
    }

    /// The scaled exponential linear unit, elementwise. <https://arxiv.org/abs/1706.02515> The result
    /// has the shape and dtype of `self`.
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    selu(x) -> Tensor where floats { x.elu(1.673_263_242_354_377_2) * 1.050_700_987_355_480_5 }

    /// The Gaussian error linear unit by the hyperbolic tangent, elementwise: faster than
    /// [`Tensor::gelu`], within 0.001 of it. <https://arxiv.org/abs/1606.08415> The result has the
    /// shape and dtype of `self`.
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    gelu_tanh(x) -> Tensor where floats {
        let y = saturated(x);
        let inner = (&y + &y * &y * &y * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
        // (tanh(u) + 1)/2, which does not cancel.
        x * (inner * 2.0).sigmoid()
    }

    /// The gated linear unit: one half of an axis times the sigmoid of the other; the axis of the
    /// result has half the size. <https://arxiv.org/abs/1612.08083>
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([3.0, 4.0, 0.0, 1000.0]);
    /// assert_eq!(x.glu(0).to_vec::<f64>()?, [1.5, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for an
    /// axis of odd size; `UnsupportedDType` unless the dtype is f32 or f64.
    glu(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let n = match x.axis("glu", axis, Place::here()) {
            Ok(at) => x.shape()[at],
            Err(error) => return error,
        };
        if !n.is_multiple_of(2) {
            let kind = ErrorKind::InvalidArgument(format!("{n} elements along axis {axis} have no halves"));
            return Tensor::fail("glu", kind, Place::here(), x);
        }
        x.slice_axis(axis, 0, n / 2) * x.slice_axis(axis, n / 2, n).sigmoid()
    }

    /// `(x + √(x² + b))/2`, elementwise: a smooth ramp. <https://arxiv.org/abs/2112.11687> The result
    /// has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).squareplus(4.0).to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    squareplus(x, b: f64) -> Tensor where floats { (x + (x.square() + b).sqrt()) * 0.5 }

    /// `x·tanh(softplus(x))`, elementwise. <https://arxiv.org/abs/1908.08681> The result has the shape
    /// and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1000.0]).mish().to_vec::<f64>()?, [0.0, 1000.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    mish(x) -> Tensor where floats { x * x.softplus().tanh() }

    /// Zero below -1, `x` above 1, the parabola `(x + 1)²/4` between, elementwise. The result has the
    /// shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 0.0, 3.0]).sparse_plus().to_vec::<f64>()?, [0.0, 0.25, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    sparse_plus(x) -> Tensor where floats {
        let parabola = (x + 1.0).square() / 4.0;
        let upper = x.greater_equal(&one(x).broadcast_to(x.shape())).select(x, &parabola);
        x.less_equal(&-one(x)).select(&x.zeros_like(), &upper)
    }

    /// The derivative of [`Tensor::sparse_plus`], elementwise: a ramp from 0 at -1 to 1 at 1. The
    /// result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 0.0, 3.0]).sparse_sigmoid().to_vec::<f64>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    sparse_sigmoid(x) -> Tensor where floats {
        let one = x.ones_like();
        (x * 0.5 + 0.5).maximum(&one.zeros_like()).minimum(&one)
    }
}

composed! {
    //! # Normalisation and attention
    /// `ln(mean(exp(x)))` along one axis, which disappears; does not overflow. The dtype stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1000.0, 1000.0]).logmeanexp(0).item::<f64>()?, 1000.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64; `InvalidArgument` for an axis without elements.
    logmeanexp(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        match x.axis("logmeanexp", axis, Place::here()) {
            Ok(at) => x.logsumexp(vec![axis]) - (x.shape()[at] as f64).ln(),
            Err(error) => error,
        }
    }

    /// Mean 0 and variance 1 along an axis: `(x - mean)/√(variance + epsilon)`. The result has the
    /// shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!(x.standardize(0, 0.0).to_vec::<f64>()?, [-1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType` unless
    /// the dtype is f32 or f64.
    standardize(x, axis: impl AxisNumber, epsilon: f64) -> Tensor where floats {
        let axis = axis.number();
        let centred = x - x.mean_keep(vec![axis]).broadcast();
        let variance = centred.square().mean_keep(vec![axis]) + epsilon;
        centred * variance.rsqrt().broadcast()
    }

    /// Scaled dot-product attention of queries `[t, d]` to keys `[s, d]` with values `[s, e]`: the
    /// values weighted by the softmax of `q·kᵀ/√d`, of shape `[t, e]`. Heads and batches are `vmap`'s.
    /// <https://arxiv.org/abs/1706.03762>
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let q = Tensor::from([[0.0, 0.0]]);
    /// let (k, v) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[2.0], [4.0]]));
    /// assert_eq!(q.attention(&k, &v).to_vec::<f64>()?, [3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for queries without axes; `Incompatible` for sizes that do not fit;
    /// `DTypeMismatch` if the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    attention(q, k: &Tensor, v: &Tensor) -> Tensor where floats {
        let [.., d] = *q.shape() else { return q.mt() };
        (q.matmul(&k.t()) / (d as f64).sqrt()).softmax(-1).matmul(v)
    }
}

/// Numbers, and ±100 beyond: exponentials of more are 0, and powers in derivatives must stay in the range.
#[track_caller]
fn saturated(x: &Tensor) -> Tensor {
    let limit = one(x) * 100.0;
    x.clamp(&-&limit, &limit)
}

/// 1 in the dtype of a tensor.
#[track_caller]
fn one(x: &Tensor) -> Tensor {
    Tensor::ones(x.dtype(), ())
}
