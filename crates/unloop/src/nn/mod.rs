//! Layers and losses of small models. A model is a struct that derives [`Tree`](crate::Tree), with a
//! function of one example; there is no trait to implement. `vmap` runs it on a batch, [`grad`](crate::grad)
//! gives a gradient of the model's own type, and [`optim`](crate::optim) makes steps with it.
//!
//! Weights are drawn from a key, so that the same key makes the same model ([`Init`] says how).
//! Activations (`relu`, `gelu`, …), `softmax` and `attention` are methods of [`Tensor`](crate::Tensor).
//!
//! ```
//! use unloop::prelude::*;
//! use unloop::{nn, optim::Adam, random};
//!
//! #[derive(Tree)]
//! struct Model {
//!     hidden: nn::Linear,
//!     output: nn::Linear,
//! }
//!
//! impl Model {
//!     fn new(key: &random::Key) -> Model {
//!         let [first, second] = random::split(key);
//!         Model {
//!             hidden: nn::Linear::new(&first, DType::F64, 1, 16),
//!             output: nn::Linear::new(&second, DType::F64, 16, 1),
//!         }
//!     }
//!
//!     fn call(&self, x: &Tensor) -> Tensor {
//!         self.output.call(&self.hidden.call(x).tanh())
//!     }
//! }
//!
//! # fn main() -> unloop::Result<()> {
//! let x = Tensor::linspace(-1.0, 1.0, 50).expand_dims(-1);
//! let y = (&x * 3.0).sin();
//! let loss = |model: &Model, x: &Tensor, y: &Tensor| {
//!     vmap(|x: &Tensor, y: &Tensor| nn::mean_squared_error(&model.call(x), y), (0, 0))(x, y).mean()
//! };
//! let adam = Adam::new(3e-2);
//! let step = jit(|model: &Model, state: &_, x: &Tensor, y: &Tensor| {
//!     let (loss, gradient) = value_and_grad(loss)(model, x, y);
//!     let (model, state) = adam.update(&gradient, state, model);
//!     (loss, model, state)
//! });
//! let mut model = Model::new(&random::key(0));
//! let mut state = adam.init(&model);
//! for _ in 0..500 {
//!     (_, model, state) = step(&model, &state, &x, &y);
//! }
//! let loss = loss(&model, &x, &y).item::<f64>()?;
//! assert!(loss < 1e-2, "{loss}");
//! # Ok(())
//! # }
//! ```

mod conv;
mod dropout;
mod embedding;
mod init;
mod linear;
mod loss;
mod norm;

pub use conv::Conv;
pub use dropout::dropout;
pub use embedding::Embedding;
pub use init::Init;
pub use linear::Linear;
pub use loss::{
    binary_cross_entropy, hinge, huber, kl_divergence, log_cosh, mean_absolute_error,
    mean_squared_error, softmax_cross_entropy,
};
pub use norm::LayerNorm;
