//! Gradient descent.

use unloop_derive::Tree;
use unloop_graph::{Tensor, Tree, operation};

use super::{Schedule, like, number};

/// Gradient descent, `p - rate·g`; with momentum `p - rate·v`, where `v = g + momentum·v` (Polyak,
/// 1964), or Nesterov's `p - rate·(g + momentum·v)` (Sutskever et al., 2013).
///
/// ```
/// use unloop::prelude::*;
/// use unloop::optim::Sgd;
/// let sgd = Sgd::new(0.1).momentum(0.5);
/// let mut x = Tensor::from([4.0]);
/// let mut state = sgd.init(&x);
/// for _ in 0..2 {
///     let gradient = grad(|x: &Tensor| 0.5 * x.square().sum())(&x);
///     (x, state) = sgd.update(&gradient, &state, &x);
/// }
/// // 4 - 0.1·4 = 3.6, then 3.6 - 0.1·(3.6 + 0.5·4).
/// assert!((x.item::<f64>()? - 3.04).abs() < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Sgd {
    rate: Schedule,
    momentum: Option<Tensor>,
    nesterov: bool,
}

/// The state of [`Sgd`].
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct SgdState<P> {
    /// Updates so far.
    pub step: Tensor,
    /// The velocity, if there is momentum.
    pub velocity: Option<P>,
}

impl Sgd {
    /// Gradient descent with a rate, or a [`Schedule`] of rates.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Sgd {
        operation("Sgd::new", || Sgd { rate: rate.into(), momentum: None, nesterov: false })
    }

    /// The same with momentum: the part of the velocity that is kept from step to step, such as 0.9.
    #[track_caller]
    pub fn momentum(self, momentum: impl Into<Tensor>) -> Sgd {
        operation("momentum", || Sgd { momentum: Some(number(momentum)), ..self })
    }

    /// The same with Nesterov's momentum. Without [`Sgd::momentum`] it changes nothing.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Sgd};
    /// let sgd = Sgd::new(0.1).momentum(0.5).nesterov();
    /// let (x, slope) = (Tensor::from(4.0), Tensor::from(4.0));
    /// let (next, _) = sgd.update(&slope, &sgd.init(&x), &x); // 4 - 0.1·(4 + 0.5·4)
    /// assert!((next.item::<f64>()? - 3.4).abs() < 1e-12);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn nesterov(self) -> Sgd {
        Sgd { nesterov: true, ..self }
    }

    /// The state before the first update of parameters: a velocity of zeros, of their types, if there is
    /// momentum.
    pub fn init<P: Tree>(&self, params: &P) -> SgdState<P> {
        let zeros = || params.map_leaves(Tensor::zeros_like);
        SgdState { step: Tensor::from(0i64), velocity: self.momentum.as_ref().map(|_| zeros()) }
    }

    /// The next parameters and state, of the structure, shapes and dtypes of the given ones.
    ///
    /// # Errors
    /// Carried by the results: `TreeMismatch` for a gradient or a state of another structure than the
    /// parameters'; `ShapeMismatch` and `DTypeMismatch` for other shapes or dtypes.
    #[track_caller]
    pub fn update<P: Tree>(
        &self,
        gradient: &P,
        state: &SgdState<P>,
        params: &P,
    ) -> (P, SgdState<P>) {
        operation("update", || {
            let rate = self.rate.at(&state.step);
            let step = &state.step + 1;
            let moved = |direction: &P| params.zip_map(direction, |p, d| p - d * like(&rate, d));
            let (Some(momentum), Some(velocity)) = (&self.momentum, &state.velocity) else {
                return (moved(gradient), SgdState { step, velocity: None });
            };
            let onward = |v: &Tensor, g: &Tensor| g + v * like(momentum, v);
            let velocity = velocity.zip_map(gradient, onward);
            let params = match self.nesterov {
                true => moved(&velocity.zip_map(gradient, onward)),
                false => moved(&velocity),
            };
            (params, SgdState { step, velocity: Some(velocity) })
        })
    }
}
