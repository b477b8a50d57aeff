//! Optimisers: pure functions of gradients, parameters and a state, all of them trees, so that they run
//! under `jit`, inside `scan`, and, under `vmap`, for many models at once.
//!
//! | | |
//! |---|---|
//! | [`Sgd`] | gradient descent, with momentum, Nesterov's |
//! | [`Adam`] | Adam, AdamW |
//! | [`Lbfgs`] | for smooth functions of all data: converges to many digits |
//! | [`Schedule`] | rates that change: warm-up, cosine, exponential, piecewise |
//! | [`clip_by_global_norm`] | bounds the size of gradients |
//!
//! `init` makes the state of parameters; `update` takes a gradient, the state and the parameters, and
//! gives the next parameters and state. Rates and other hyperparameters are numbers or scalar tensors.
//!
//! ```
//! use unloop::optim::Adam;
//! use unloop::prelude::*;
//!
//! # fn main() -> unloop::Result<()> {
//! // The minimum of (x - 3)² from 0, by 400 steps in one loop, with several rates at once.
//! let descend = |rate: &Tensor| {
//!     let adam = Adam::new(rate);
//!     let start = Tensor::from(0.0);
//!     let state = (start.clone(), adam.init(&start));
//!     let step = |_: &Tensor, (x, state): &(Tensor, _)| {
//!         let gradient = grad(|x: &Tensor| (x - 3.0).square())(x);
//!         adam.update(&gradient, state, x)
//!     };
//!     fori_loop(400, step, &state).0
//! };
//! let found = vmap(descend, 0)(&Tensor::from([1e-2, 1e-1])).to_vec::<f64>()?;
//! assert!(found[0] < 2.99 && (found[1] - 3.0).abs() < 1e-3);
//! # Ok(())
//! # }
//! ```

mod adam;
mod clip;
mod lbfgs;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamState};
pub use clip::{clip_by_global_norm, global_norm};
pub use lbfgs::{Lbfgs, LbfgsState};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdState};

use unloop_graph::{DType, Tensor};

/// A scalar in the dtype of a parameter.
#[track_caller]
fn like(number: &Tensor, parameter: &Tensor) -> Tensor {
    number.cast(parameter.dtype())
}

/// A hyperparameter: numbers that are computed of it are rounded once, to the dtype of a parameter.
#[track_caller]
fn number(value: impl Into<Tensor>) -> Tensor {
    value.into().cast(DType::F64)
}
