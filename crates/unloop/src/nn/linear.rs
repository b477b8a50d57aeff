//! Layers that are linear maps.

use unloop_derive::Tree;
use unloop_graph::{DType, Tensor, operation};

use super::Init;
use crate::random::Key;

/// A linear layer: `x·weight + bias`, from `[inputs]` to `[outputs]`.
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
    ///
    /// # Errors
    /// Carried by the weights: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    #[track_caller]
    pub fn new(key: &Key, dtype: DType, inputs: usize, outputs: usize) -> Linear {
        operation("Linear::new", || {
            Linear::with(&Init::lecun_normal(), key, dtype, inputs, outputs)
        })
    }

    /// A layer with weights drawn as `init` says, and a bias of zeros, in f32 or f64.
    ///
    /// # Errors
    /// Carried by the weights: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    ///
    /// ```
    /// use unloop::{DType, nn, random};
    /// let (key, init) = (random::key(0), nn::Init::he_normal());
    /// let layer = nn::Linear::with(&init, &key, DType::F32, 3, 5);
    /// assert_eq!(layer.weight.shape(), [3, 5]);
    /// ```
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

    /// The outputs `[outputs]` for the inputs `[inputs]` of one example; a batch goes through `vmap`.
    ///
    /// # Errors
    /// Carried by the result: `Incompatible` for another number of inputs, `ShapeMismatch` for a batch of
    /// them; `DTypeMismatch` for a dtype that is not the weights'.
    ///
    /// ```
    /// use unloop::{Tensor, nn};
    /// let layer = nn::Linear { weight: Tensor::from([[1.0], [2.0]]), bias: Some(Tensor::from([5.0])) };
    /// assert_eq!(layer.call(&Tensor::from([10.0, 20.0])).to_vec::<f64>()?, [55.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn call(&self, x: &Tensor) -> Tensor {
        operation("Linear::call", || {
            let y = x.matmul(&self.weight);
            self.bias.as_ref().map_or(y.clone(), |bias| y + bias)
        })
    }
}
