//! Initial weights.

use unloop_graph::{DType, Error, ErrorKind, Place, Shape, Tensor, operation};

use crate::random::{self, Key};

/// How initial weights are drawn: with a variance that keeps signals, or gradients, of one size from
/// layer to layer. The numbers are those of `jax.nn.initializers`, whose normal ones are cut off at two
/// standard deviations.
///
/// ```
/// use unloop::{DType, nn, random};
/// let weights = nn::Init::he_normal().draw(&random::key(0), DType::F32, [64, 32], 64, 32);
/// assert_eq!(weights.shape(), [64, 32]);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Init {
    /// The variance times the fan.
    scale: f64,
    fan: Fan,
    law: Law,
}

/// What the variance is divided by.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fan {
    /// The inputs of each output.
    In,
    /// The mean of the inputs of each output and the outputs of each input.
    Average,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Law {
    Uniform,
    Normal,
}

/// The standard deviation of the normal distribution that is cut off at two of them.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Init {
    /// Variance `2/(inputs + outputs)`, uniform: for `tanh` and `sigmoid`. Glorot & Bengio,
    /// *Understanding the difficulty of training deep feedforward neural networks*, 2010.
    pub const fn glorot_uniform() -> Init {
        Init { scale: 1.0, fan: Fan::Average, law: Law::Uniform }
    }

    /// Variance `2/(inputs + outputs)`, normal; see [`Init::glorot_uniform`].
    pub const fn glorot_normal() -> Init {
        Init { scale: 1.0, fan: Fan::Average, law: Law::Normal }
    }

    /// Variance `2/inputs`, uniform: for `relu`. He et al., *Delving deep into rectifiers*, 2015.
    /// <https://arxiv.org/abs/1502.01852>
    pub const fn he_uniform() -> Init {
        Init { scale: 2.0, fan: Fan::In, law: Law::Uniform }
    }

    /// Variance `2/inputs`, normal; see [`Init::he_uniform`].
    pub const fn he_normal() -> Init {
        Init { scale: 2.0, fan: Fan::In, law: Law::Normal }
    }

    /// Variance `1/inputs`, uniform: for `selu` and layers without an activation. LeCun et al.,
    /// *Efficient BackProp*, 1998.
    pub const fn lecun_uniform() -> Init {
        Init { scale: 1.0, fan: Fan::In, law: Law::Uniform }
    }

    /// Variance `1/inputs`, normal; see [`Init::lecun_uniform`]. What layers take unless told
    /// otherwise.
    pub const fn lecun_normal() -> Init {
        Init { scale: 1.0, fan: Fan::In, law: Law::Normal }
    }

    /// Weights of a shape, in f32 or f64, between layers where each output has so many inputs (the fan-in),
    /// and each input so many outputs (the fan-out).
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    #[track_caller]
    pub fn draw(
        &self,
        key: &Key,
        dtype: DType,
        shape: impl Into<Shape>,
        inputs: usize,
        outputs: usize,
    ) -> Tensor {
        operation("draw", || {
            if !dtype.is_float() {
                let kind = ErrorKind::UnsupportedDType { dtype, expected: "f32 and f64" };
                return Tensor::error(Error::new("draw", kind, Place::here()));
            }
            let fan = match self.fan {
                Fan::In => inputs as f64,
                Fan::Average => (inputs as f64 + outputs as f64) / 2.0,
            };
            let variance = self.scale / fan.max(1.0);
            let bound = |value: f64| Tensor::from(value).cast(dtype);
            match self.law {
                Law::Uniform => {
                    random::uniform_between(key, &bound(-1.0), &bound(1.0), shape)
                        * (3.0 * variance).sqrt()
                }
                Law::Normal => {
                    random::truncated_normal(key, &bound(-2.0), &bound(2.0), shape)
                        * (variance.sqrt() / CUT_DEVIATION)
                }
            }
        })
    }
}
