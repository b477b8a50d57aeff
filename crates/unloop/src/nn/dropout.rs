//! Dropout.

use unloop_graph::{Tensor, operation};

use crate::linalg::invalid;
use crate::random::{self, Key};

/// Each element 0 with probability `rate`, else divided by `1 - rate`, so that the mean stays. For
/// training only: a new key for each example and step, by [`random::split`] or [`random::fold_in`].
/// Srivastava et al., *Dropout*, 2014.
///
/// # Errors
/// Carried by the result, which has the shape and dtype of `x`: `InvalidArgument` for a rate that is not
/// between 0 and 1, for a dtype other than f32 and f64, and for what is not one key.
///
/// ```
/// use unloop::{DType, Tensor, nn, random};
/// let x = Tensor::ones(DType::F64, 1000);
/// let y = nn::dropout(&random::key(0), 0.25, &x);
/// assert!((y.mean().item::<f64>()? - 1.0).abs() < 0.1);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn dropout(key: &Key, rate: f64, x: &Tensor) -> Tensor {
    operation("dropout", || {
        if x.as_error().is_some() {
            return x.clone();
        }
        if !(0.0..=1.0).contains(&rate) {
            return invalid("dropout", format!("a rate of {rate}; it is from 0 to 1"));
        }
        let keep = 1.0 - rate;
        let stays = random::uniform(key, x.dtype(), x.shape()).less(keep);
        // Where everything is dropped, nothing is divided.
        let scaled = if keep > 0.0 { x / keep } else { x.clone() };
        stays.select(scaled, 0.0)
    })
}
