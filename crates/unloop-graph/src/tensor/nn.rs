//! Functions of neural networks, composed of the operations, in their stable forms.

use super::axes::{AxisList, AxisNumber};
use super::composed;
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

    /// `log Σ exp(x)` along one axis or several, which disappear; does not overflow.
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

    /// `exp(x) / Σ exp(x)` along one axis or several; does not overflow.
    #[track_caller]
    pub fn softmax(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::of("softmax"));
        place.scope(|| {
            let exp = (self - self.exponent_shift(&axes).broadcast()).exp();
            &exp / exp.sum_keep(axes).broadcast()
        })
    }

    /// `x - log Σ exp(x)` along one axis or several: the logarithm of the softmax.
    #[track_caller]
    pub fn log_softmax(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::of("log_softmax"));
        place.scope(|| {
            let shifted = self - self.exponent_shift(&axes).broadcast();
            &shifted - shifted.exp().sum_keep(axes).log().broadcast()
        })
    }

    /// `max(x, 0)`; the derivative at 0 is 0.
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        operation("relu", || {
            let zero = self.zeros_like();
            self.less_equal(&zero).select(&zero, self)
        })
    }

    /// The Gaussian error linear unit `x·Φ(x)`, exact.
    /// <https://arxiv.org/abs/1606.08415>
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        operation("gelu", || self * saturated(self).ndtr())
    }

    /// `x·sigmoid(x)`, also called swish.
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        operation("silu", || self * self.sigmoid())
    }

    /// `log(1 + exp(x))`; does not overflow.
    #[track_caller]
    pub fn softplus(&self) -> Tensor {
        operation("softplus", || self.logaddexp(&self.zeros_like()))
    }
}

composed! {
    /// `ln(1/(1 + e⁻ˣ))`; does not overflow.
    log_sigmoid(x) -> Tensor { -(-x).softplus() }

    /// `x/(1 + |x|)`.
    soft_sign(x) -> Tensor { x / (x.abs() + 1.0) }

    /// `min(max(x, 0), 6)`.
    relu6(x) -> Tensor {
        let six = x.ones_like() * 6.0;
        x.greater_equal(&six).select(&six, &x.relu())
    }

    /// `x` above zero, `slope·x` below.
    leaky_relu(x, slope: f64) -> Tensor {
        x.greater_equal(&x.zeros_like()).select(x, &(x * slope))
    }

    /// `min(max(x, -1), 1)`.
    hard_tanh(x) -> Tensor {
        let one = x.ones_like();
        x.greater(&one).select(&one, &x.less(&-&one).select(&-&one, x))
    }

    /// The sigmoid in three straight lines: `relu6(x + 3)/6`.
    hard_sigmoid(x) -> Tensor { (x + 3.0).relu6() / 6.0 }

    /// `x·hard_sigmoid(x)`.
    hard_silu(x) -> Tensor { x * x.hard_sigmoid() }

    /// `x` above zero, `alpha·(eˣ - 1)` below.
    elu(x, alpha: f64) -> Tensor {
        let positive = x.greater(&x.zeros_like());
        // The exponential of large x is not used, and must not become infinite in derivatives.
        let safe = positive.select(&x.zeros_like(), x);
        positive.select(x, &(safe.expm1() * alpha))
    }

    /// `max(x, 0) + alpha·(e^(min(x, 0)/alpha) - 1)`, which has a continuous slope.
    /// <https://arxiv.org/abs/1704.07483>
    celu(x, alpha: f64) -> Tensor {
        let zero = x.zeros_like();
        x.maximum(&zero) + (x.minimum(&zero) / alpha).expm1() * alpha
    }

    /// The scaled exponential linear unit. <https://arxiv.org/abs/1706.02515>
    selu(x) -> Tensor { x.elu(1.673_263_242_354_377_2) * 1.050_700_987_355_480_5 }

    /// The Gaussian error linear unit by the hyperbolic tangent: faster than [`Tensor::gelu`], within
    /// 0.001 of it.
    gelu_tanh(x) -> Tensor {
        let y = saturated(x);
        let inner = (&y + &y * &y * &y * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
        // (tanh(u) + 1)/2, which does not cancel.
        x * (inner * 2.0).sigmoid()
    }

    /// One half of an axis times the sigmoid of the other. <https://arxiv.org/abs/1612.08083>
    glu(x, axis: impl AxisNumber) -> Tensor {
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

    /// `(x + √(x² + b))/2`, a smooth ramp.
    squareplus(x, b: f64) -> Tensor { (x + (x.square() + b).sqrt()) * 0.5 }

    /// `x·tanh(softplus(x))`. <https://arxiv.org/abs/1908.08681>
    mish(x) -> Tensor { x * x.softplus().tanh() }

    /// Zero below -1, `x` above 1, a parabola between.
    sparse_plus(x) -> Tensor {
        let parabola = (x + 1.0).square() / 4.0;
        let upper = x.greater_equal(&one(x).broadcast_to(x.shape())).select(x, &parabola);
        x.less_equal(&-one(x)).select(&x.zeros_like(), &upper)
    }

    /// The derivative of [`Tensor::sparse_plus`]: a ramp from 0 at -1 to 1 at 1.
    sparse_sigmoid(x) -> Tensor {
        let one = x.ones_like();
        (x * 0.5 + 0.5).maximum(&one.zeros_like()).minimum(&one)
    }

    /// `log(mean(exp(x)))` along an axis; does not overflow.
    logmeanexp(x, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        match x.axis("logmeanexp", axis, Place::here()) {
            Ok(at) => x.logsumexp(vec![axis]) - (x.shape()[at] as f64).ln(),
            Err(error) => error,
        }
    }

    /// Mean 0 and variance 1 along an axis: `(x - mean)/√(variance + epsilon)`.
    standardize(x, axis: impl AxisNumber, epsilon: f64) -> Tensor {
        let axis = axis.number();
        let centred = x - x.mean_keep(vec![axis]).broadcast();
        let variance = centred.square().mean_keep(vec![axis]) + epsilon;
        centred * variance.rsqrt().broadcast()
    }

    /// Attention of queries `[t, d]` to keys `[s, d]` with values `[s, e]`: the values weighted by the
    /// softmax of `q·kᵀ/√d`, `[t, e]`. Heads and batches are `vmap`'s.
    attention(q, k: &Tensor, v: &Tensor) -> Tensor {
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
