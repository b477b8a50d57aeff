//! Convolutions.

use unloop_derive::Tree;
use unloop_graph::{DType, Shape, Tensor, WindowAxis, operation};

use super::Init;
use crate::linalg::invalid;
use crate::random::Key;

/// A convolution over as many axes as its kernel has sizes: of signals, images, volumes.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::{nn, random};
/// let key = random::key(0);
/// let edges = nn::Conv::new(&key, DType::F32, 3, 8, [5, 5]);
/// let image = Tensor::ones(DType::F32, [3, 32, 32]);
/// assert_eq!(edges.call(&image).shape(), [8, 28, 28]);
/// assert_eq!(edges.same().strides(&[2, 2]).call(&image).shape(), [8, 16, 16]);
///
/// let signals = Tensor::ones(DType::F32, [100, 1, 50]);
/// let filter = nn::Conv::new(&key, DType::F32, 1, 4, 7);
/// assert_eq!(vmap(|x: &Tensor| filter.call(x), 0)(&signals).shape(), [100, 4, 44]);
/// ```
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct Conv {
    /// `[features, channels, sizes…]`.
    pub kernel: Tensor,
    /// `[features]`, if there is one.
    pub bias: Option<Tensor>,
    /// How the window walks along each axis (strides, padding, dilations); its sizes are the kernel's.
    #[tree(static)]
    pub how: crate::Conv,
    /// Whether each axis is padded so that it keeps its size, divided by the stride and rounded up,
    /// instead of by `how`.
    #[tree(static)]
    pub same: bool,
}

impl Conv {
    /// A convolution with kernels by [`Init::lecun_normal`] and a bias of zeros, in f32 or f64, one
    /// position at a time and without padding: kernels are `[features, channels, sizes…]`.
    ///
    /// # Errors
    /// Carried by the weights: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    #[track_caller]
    pub fn new(
        key: &Key,
        dtype: DType,
        channels: usize,
        features: usize,
        sizes: impl Into<Shape>,
    ) -> Conv {
        operation("Conv::new", || {
            Conv::with(&Init::lecun_normal(), key, dtype, channels, features, sizes)
        })
    }

    /// A convolution with kernels drawn as `init` says, and a bias of zeros; see [`Conv::new`].
    ///
    /// # Errors
    /// Carried by the weights: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    #[track_caller]
    pub fn with(
        init: &Init,
        key: &Key,
        dtype: DType,
        channels: usize,
        features: usize,
        sizes: impl Into<Shape>,
    ) -> Conv {
        operation("Conv::with", || {
            let sizes = sizes.into();
            // Sizes beyond what memory has are the error of the kernel.
            let taps = sizes.iter().fold(1usize, |n, &size| n.saturating_mul(size));
            let (fan_in, fan_out) = (channels.saturating_mul(taps), features.saturating_mul(taps));
            let shape = Shape::from([features, channels]).concat(&sizes);
            Conv {
                kernel: init.draw(key, dtype, shape, fan_in, fan_out),
                bias: Some(Tensor::zeros(dtype, features)),
                how: crate::Conv {
                    windows: sizes.iter().map(|&size| WindowAxis::new(size)).collect(),
                    groups: 1,
                },
                same: false,
            }
        })
    }

    /// The same convolution at every `n`-th position only, one number an axis. Axes that no number is given
    /// for keep theirs; numbers beyond the axes are ignored.
    ///
    /// # Errors
    /// Carried by the result of a call: `InvalidArgument` for a stride of 0.
    pub fn strides(mut self, strides: &[usize]) -> Conv {
        for (window, &stride) in self.how.windows.iter_mut().zip(strides) {
            window.stride = stride;
        }
        self
    }

    /// The same convolution with its input padded by zeros so that each axis keeps its size, divided by
    /// the stride and rounded up.
    pub fn same(self) -> Conv {
        Conv { same: true, ..self }
    }

    /// The same convolution without the bias.
    pub fn without_bias(self) -> Conv {
        Conv { bias: None, ..self }
    }

    /// The features `[features, positions…]` of one example `[channels, sizes…]`; a batch goes through
    /// `vmap`. The kernel is not reversed, as is usual for neural networks.
    ///
    /// # Errors
    /// Carried by the result: `InvalidArgument` for an example of another rank; `Incompatible` for another
    /// number of channels; `DTypeMismatch` for a dtype that is not the kernel's.
    ///
    /// ```
    /// use unloop::{DType, Tensor, nn, random};
    /// let difference = nn::Conv::new(&random::key(0), DType::F64, 1, 1, 2);
    /// let difference = nn::Conv { kernel: Tensor::from([[[-1.0, 1.0]]]), ..difference };
    /// assert_eq!(difference.call(&Tensor::from([[1.0, 2.0, 4.0]])).to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn call(&self, x: &Tensor) -> Tensor {
        operation("Conv::call", || {
            let axes = self.how.windows.len();
            if x.as_error().is_none() && x.rank() != axes + 1 {
                let message = format!(
                    "takes one example with an axis of channels and {axes} more, got {}; vmap lifts \
                     it over a batch",
                    x.ty()
                );
                return invalid("Conv::call", message);
            }
            let mut how = self.how.clone();
            if self.same {
                let sizes = self.kernel.shape().iter().skip(2).zip(x.shape().iter().skip(1));
                for (window, (&size, &extent)) in how.windows.iter_mut().zip(sizes) {
                    window.padding = same_padding(&WindowAxis { size, ..*window }, extent);
                }
            }
            let y = x.expand_dims(0).conv(&self.kernel, &how);
            let Some(bias) = self.bias.as_ref().filter(|_| y.as_error().is_none()) else {
                return if y.as_error().is_some() { y } else { y.squeeze(0) };
            };
            let y = y.squeeze(0);
            let along_features = [0].into_iter().collect();
            &y + bias.broadcast_in_dim(y.shape(), along_features)
        })
    }
}

/// Padding with which there are `⌈extent/stride⌉` positions, as much before as behind, or one less.
fn same_padding(window: &WindowAxis, extent: usize) -> (i64, i64) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let positions = extent.div_ceil(window.stride.max(1));
    let reach = number(window.size.saturating_sub(1))
        .saturating_mul(number(window.window_dilation))
        .saturating_add(1);
    let last = number(positions.saturating_sub(1)).saturating_mul(number(window.stride));
    let total = last.saturating_add(reach).saturating_sub(number(extent)).max(0);
    (total / 2, total - total / 2)
}
