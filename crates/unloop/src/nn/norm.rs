//! Normalisation.

use unloop_derive::Tree;
use unloop_graph::{DType, Tensor, operation};

/// Mean 0 and variance 1 of the features of one example, then a scale and an offset that are learnt.
/// Ba et al., *Layer normalization*, 2016. <https://arxiv.org/abs/1607.06450>
///
/// ```
/// use unloop::{DType, Tensor, nn};
/// let y = nn::LayerNorm::new(DType::F64, 2).call(&Tensor::from([3.0, 5.0]));
/// assert!((y.at(1) - 1.0).item::<f64>()?.abs() < 1e-5);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct LayerNorm {
    /// `[features]`.
    pub scale: Tensor,
    /// `[features]`.
    pub offset: Tensor,
    /// Added to the variance.
    #[tree(static)]
    pub epsilon: f64,
}

impl LayerNorm {
    /// A scale of ones, an offset of zeros, and 1e-5 added to the variance, for `[features]` in f32 or f64.
    #[track_caller]
    pub fn new(dtype: DType, features: usize) -> LayerNorm {
        operation("LayerNorm::new", || LayerNorm {
            scale: Tensor::ones(dtype, features),
            offset: Tensor::zeros(dtype, features),
            epsilon: 1e-5,
        })
    }

    /// The normalised features `[features]` of one example `[features]`:
    /// `(x - mean x)/√(var x + epsilon)·scale + offset`. A batch goes through `vmap`.
    ///
    /// # Errors
    /// Carried by the result: `ShapeMismatch` for another shape; `DTypeMismatch` for a dtype that is not the
    /// scale's; `UnsupportedDType` for one that is no float.
    #[track_caller]
    pub fn call(&self, x: &Tensor) -> Tensor {
        operation("LayerNorm::call", || {
            x.standardize(-1, self.epsilon) * &self.scale + &self.offset
        })
    }
}
