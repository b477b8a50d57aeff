//! Adam and AdamW.

use unloop_derive::Tree;
use unloop_graph::{DType, Tensor, Tree, operation};

use super::{Schedule, like, number};

/// Adam: steps by the running mean of gradients over the root of that of their squares (Kingma & Ba,
/// 2015, <https://arxiv.org/abs/1412.6980>). With [`Adam::weight_decay`] it is AdamW (Loshchilov &
/// Hutter, 2019, <https://arxiv.org/abs/1711.05101>).
///
/// ```
/// use unloop::prelude::*;
/// use unloop::optim::Adam;
/// let adam = Adam::new(0.1).weight_decay(1e-4);
/// let x = Tensor::from([4.0, -2.0]);
/// let gradient = grad(|x: &Tensor| x.square().sum())(&x);
/// let (next, _) = adam.update(&gradient, &adam.init(&x), &x);
/// // The first step is as long as the rate, whatever the gradient.
/// assert!((next.at(0).item::<f64>()? - 3.9).abs() < 1e-4);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "AdamW")]
pub struct Adam {
    rate: Schedule,
    mean: Tensor,
    square: Tensor,
    epsilon: Tensor,
    decay: Option<Tensor>,
}

/// The state of [`Adam`].
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct AdamState<P> {
    /// Updates so far.
    pub step: Tensor,
    /// The running means of gradients.
    pub mean: P,
    /// The running means of their squares.
    pub square: P,
}

/// What a running mean becomes.
fn blended(decay: &Tensor, old: &Tensor, new: &Tensor) -> Tensor {
    old * like(decay, old) + new * like(&(1.0 - decay), new)
}

impl Adam {
    /// Adam with a rate (the length of a step), or a [`Schedule`] of rates.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Adam {
        operation("Adam::new", || Adam {
            rate: rate.into(),
            mean: number(0.9),
            square: number(0.999),
            epsilon: number(1e-8),
            decay: None,
        })
    }

    /// The same with other parts that the running means of gradients and of their squares keep at each
    /// step; 0.9 and 0.999 unless said.
    #[track_caller]
    pub fn betas(self, mean: impl Into<Tensor>, square: impl Into<Tensor>) -> Adam {
        operation("betas", || Adam { mean: number(mean), square: number(square), ..self })
    }

    /// The same with another number added to the root of the squares; 1e-8 unless said.
    #[track_caller]
    pub fn epsilon(self, epsilon: impl Into<Tensor>) -> Adam {
        operation("epsilon", || Adam { epsilon: number(epsilon), ..self })
    }

    /// AdamW: besides, every step takes `rate·decay` of each parameter away.
    #[track_caller]
    #[doc(alias = "AdamW")]
    pub fn weight_decay(self, decay: impl Into<Tensor>) -> Adam {
        operation("weight_decay", || Adam { decay: Some(number(decay)), ..self })
    }

    /// The state before the first update of parameters: means of zeros, of their types.
    pub fn init<P: Tree>(&self, params: &P) -> AdamState<P> {
        let zeros = || params.map_leaves(Tensor::zeros_like);
        AdamState { step: Tensor::from(0i64), mean: zeros(), square: zeros() }
    }

    /// The next parameters and state, of the structure, shapes and dtypes of the given ones. With the
    /// running means `m` and `v`, corrected for their start at zero, each parameter moves by
    /// `-rate·m/(√v + epsilon)`.
    ///
    /// # Errors
    /// Carried by the results: `TreeMismatch` for a gradient or a state of another structure than the
    /// parameters'; `ShapeMismatch` and `DTypeMismatch` for other shapes or dtypes.
    #[track_caller]
    pub fn update<P: Tree>(
        &self,
        gradient: &P,
        state: &AdamState<P>,
        params: &P,
    ) -> (P, AdamState<P>) {
        operation("update", || {
            let rate = self.rate.at(&state.step);
            let step = &state.step + 1;
            let mean = state.mean.zip_map(gradient, |m, g| blended(&self.mean, m, g));
            let square =
                state.square.zip_map(gradient, |v, g| blended(&self.square, v, &g.square()));
            // The means start at zero; this makes up for it.
            let count = step.cast(DType::F64);
            let filled = |decay: &Tensor| 1.0 - decay.pow(&count);
            let (first, second) = (filled(&self.mean), filled(&self.square));
            let direction = mean.zip_map(&square, |m, v| {
                let root = (v / like(&second, v)).sqrt();
                (m / like(&first, m)) / (root + like(&self.epsilon, m))
            });
            let params = params.zip_map(&direction, |p, d| {
                let decayed = self.decay.as_ref().map(|decay| d + p * like(decay, p));
                p - decayed.as_ref().unwrap_or(d) * like(&rate, p)
            });
            (params, AdamState { step, mean, square })
        })
    }
}
