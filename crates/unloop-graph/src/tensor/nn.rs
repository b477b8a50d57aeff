//! Functions of neural networks, composed of the operations, in their stable forms.

use std::f64::consts::FRAC_1_SQRT_2;

use super::reduce::AxisList;
use crate::Tensor;
use crate::error::Place;

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
        let (axes, place) = (axes.axes(), Place::here());
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
        let (axes, place) = (axes.axes(), Place::here());
        place.scope(|| {
            let exp = (self - self.exponent_shift(&axes).broadcast()).exp();
            &exp / exp.sum_keep(axes).broadcast()
        })
    }

    /// `x - log Σ exp(x)` along one axis or several: the logarithm of the softmax.
    #[track_caller]
    pub fn log_softmax(&self, axes: impl AxisList) -> Tensor {
        let (axes, place) = (axes.axes(), Place::here());
        place.scope(|| {
            let shifted = self - self.exponent_shift(&axes).broadcast();
            &shifted - shifted.exp().sum_keep(axes).log().broadcast()
        })
    }

    /// `max(x, 0)`; the derivative at 0 is 0.
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        let place = Place::here();
        place.scope(|| {
            let zero = self.zeros_like();
            self.less_equal(&zero).select(&zero, self)
        })
    }

    /// The Gaussian error linear unit `x·Φ(x)`, exact (by `erf`).
    /// <https://arxiv.org/abs/1606.08415>
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        let place = Place::here();
        place.scope(|| self * ((self * FRAC_1_SQRT_2).erf() + 1.0) * 0.5)
    }

    /// `x·sigmoid(x)`, also called swish.
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        let place = Place::here();
        place.scope(|| self * self.sigmoid())
    }

    /// `log(1 + exp(x))`; does not overflow.
    #[track_caller]
    pub fn softplus(&self) -> Tensor {
        let place = Place::here();
        place.scope(|| self.maximum(&self.zeros_like()) + (-self.abs()).exp().log1p())
    }
}
