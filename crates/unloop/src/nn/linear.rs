//! Layers that are linear maps.

use unloop_derive::Tree;
use unloop_graph::{DType, Tensor, operation};

use super::Init;
use crate::random::Key;

/// A linear layer: `x·weight + bias`.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::{nn, random};
/// let layer = nn::Linear::new(&random::key(0), DType::F32, 3, 5);
/// let batch = Tensor::ones(DType::F32, [10, 3]);
/// let y = vmap(|x: &Tensor| layer.call(x), 0)(&batch);
/// assert_eq!(y.shape(), [10, 5]);
/// ```
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Tensor,
    /// `[outputs]`, if there is one.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// A layer with weights by [`Init::lecun_normal`] and a bias of zeros, in f32 or f64.
    #[track_caller]
    pub fn new(key: &Key, dtype: DType, inputs: usize, outputs: usize) -> Linear {
        operation("Linear::new", || {
            Linear::with(&Init::lecun_normal(), key, dtype, inputs, outputs)
        })
    }

    /// A layer with weights drawn as `init` says, and a bias of zeros.
    #[track_caller]
    pub fn with(init: &Init, key: &Key, dtype: DType, inputs: usize, outputs: usize) -> Linear {
        operation("Linear::with", || Linear {
            weight: init.draw(key, dtype, [inputs, outputs], inputs, outputs),
            bias: Some(Tensor::zeros(dtype, outputs)),
        })
    }

    /// The same layer without a bias.
    pub fn without_bias(self) -> Linear {
        Linear { bias: None, ..self }
    }

    /// The outputs `[outputs]` for the inputs `[inputs]` of one example.
    #[track_caller]
    pub fn call(&self, x: &Tensor) -> Tensor {
        operation("Linear::call", || {
            let y = x.matmul(&self.weight);
            self.bias.as_ref().map_or(y.clone(), |bias| y + bias)
        })
    }
}
