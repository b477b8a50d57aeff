//! Losses of one example, as scalars: `vmap` gives those of a batch, and `.mean()` their mean. Predictions
//! and targets have one shape, any, and one dtype, f32 or f64.

use unloop_graph::{Tensor, floats, operation};

use crate::linalg::invalid;

/// `mean (prediction - target)²`, a scalar, of tensors of one shape.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let loss = nn::mean_squared_error(&Tensor::from([1.0, 5.0]), &Tensor::from([1.0, 3.0]));
/// assert_eq!(loss.item::<f64>()?, 2.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn mean_squared_error(prediction: &Tensor, target: &Tensor) -> Tensor {
    operation("mean_squared_error", || (prediction - target).square().mean())
}

/// `mean |prediction - target|`, a scalar, of tensors of one shape.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let loss = nn::mean_absolute_error(&Tensor::from([1.0, 5.0]), &Tensor::from([1.0, 3.0]));
/// assert_eq!(loss.item::<f64>()?, 1.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn mean_absolute_error(prediction: &Tensor, target: &Tensor) -> Tensor {
    operation("mean_absolute_error", || (prediction - target).abs().mean())
}

/// The mean of `e²/2` for errors up to `delta`, and of `delta·(|e| - delta/2)` for larger ones, which
/// then count less. A scalar, of tensors of one shape. Huber, *Robust estimation of a location parameter*,
/// 1964.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let loss = nn::huber(&Tensor::from([1.0, 10.0]), &Tensor::from([0.0, 0.0]), 1.0);
/// assert_eq!(loss.item::<f64>()?, 5.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn huber(prediction: &Tensor, target: &Tensor, delta: f64) -> Tensor {
    operation("huber", || {
        floats(&[prediction, target], || {
            let error = (prediction - target).abs();
            let inner = error.minimum(delta);
            (inner.square() * 0.5 + (error - inner) * delta).mean()
        })
    })
}

/// `mean ln cosh(prediction - target)`: as the squared error near 0, as the absolute one far away, and
/// smooth. A scalar, of tensors of one shape.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let loss = nn::log_cosh(&Tensor::from([1.0]), &Tensor::from([0.0]));
/// assert!((loss.item::<f64>()? - 1f64.cosh().ln()).abs() < 1e-15);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn log_cosh(prediction: &Tensor, target: &Tensor) -> Tensor {
    operation("log_cosh", || {
        let error = prediction - target;
        (error.logaddexp(-&error) - std::f64::consts::LN_2).mean()
    })
}

/// `mean max(0, 1 - score·sign)`, a scalar, of tensors of one shape, where signs are -1 or 1 in the dtype
/// of the scores.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for signs of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let loss = nn::hinge(&Tensor::from([2.0, 0.5]), &Tensor::from([1.0, -1.0]));
/// assert_eq!(loss.item::<f64>()?, 0.75);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn hinge(score: &Tensor, sign: &Tensor) -> Tensor {
    operation("hinge", || floats(&[score, sign], || (1.0 - score * sign).relu().mean()))
}

/// The cross-entropy of answers yes or no, from the logits of yes: the mean of
/// `-t·ln σ(x) - (1 - t)·ln(1 - σ(x))`, which does not overflow. The targets have the shape of the
/// logits: bools, integers 0 and 1, or probabilities. A scalar.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let logits = Tensor::from([0.0, 100.0]);
/// let loss = nn::binary_cross_entropy(&logits, &Tensor::from([true, true]));
/// assert!((loss.item::<f64>()? - 0.5 * 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn binary_cross_entropy(logits: &Tensor, target: &Tensor) -> Tensor {
    operation("binary_cross_entropy", || {
        let target = probabilities(logits, target);
        let (yes, no) = (logits.log_sigmoid(), (-logits).log_sigmoid());
        -(&target * yes + (1.0 - &target) * no).mean()
    })
}

/// The cross-entropy of one of several classes, from their logits `[classes]`, which does not overflow:
/// `-ln softmax(logits)[target]` for the number of a class, an integer scalar; or
/// `-Σ target·ln softmax(logits)` for probabilities `[classes]`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for logits that are no vector (`vmap` lifts the function over a
/// batch); `IndexOutOfBounds` for a class that there is not, `IndexDType` for a number of a class that is no
/// integer; `ShapeMismatch` and `DTypeMismatch` for probabilities of other shape or dtype;
/// `UnsupportedDType` for logits that are no floats.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::nn;
/// let logits = Tensor::from([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0]]);
/// let losses = vmap(nn::softmax_cross_entropy, (0, 0));
/// let by_class = losses(&logits, &Tensor::from([0, 2]));
/// let by_probability = losses(&logits, &Tensor::from([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]));
/// assert!((by_class - by_probability).abs().max().item::<f64>()? < 1e-15);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn softmax_cross_entropy(logits: &Tensor, target: &Tensor) -> Tensor {
    operation("softmax_cross_entropy", || {
        if let Some(error) = [logits, target].into_iter().find(|x| x.as_error().is_some()) {
            return error.clone();
        }
        if logits.rank() != 1 {
            let message = format!(
                "takes the logits of one example, a vector, got {}; vmap lifts it over a batch",
                logits.ty()
            );
            return invalid("softmax_cross_entropy", message);
        }
        let logarithms = logits.log_softmax(-1);
        match target.rank() {
            0 => -logarithms.at(target),
            _ => -(probabilities(logits, target) * logarithms).sum(),
        }
    })
}

/// `Σ target·(ln target - log_prediction)`: how far the distribution `target` is from one whose logarithms
/// are given; a target of 0 adds nothing. A scalar, of tensors of one shape. Kullback & Leibler, *On
/// information and sufficiency*, 1951.
///
/// # Errors
/// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for a target of other shape or dtype;
/// `UnsupportedDType` for a dtype that is no float.
///
/// ```
/// use unloop::{Tensor, nn};
/// let p = Tensor::from([0.5, 0.5]);
/// assert_eq!(nn::kl_divergence(&p.log(), &p).item::<f64>()?, 0.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn kl_divergence(log_prediction: &Tensor, target: &Tensor) -> Tensor {
    operation("kl_divergence", || (target.xlogy(target) - target * log_prediction).sum())
}

/// Targets that are bools or integers as numbers of the logits' dtype.
fn probabilities(logits: &Tensor, target: &Tensor) -> Tensor {
    if target.dtype().is_float() { target.clone() } else { target.cast(logits.dtype()) }
}
