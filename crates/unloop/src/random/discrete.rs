//! Discrete distributions, permutations and choices.

use unloop_graph::{AxisNumber, DType, Operand, Place, Shape, Tensor, floats, operands, operation};
use unloop_transform::while_loop;

use super::{Key, bits, drawn, gumbel, invalid, not_a_vector, split, uniform};

/// Integers in `[low, high)` of dtype i32; all of them `low` where that interval is empty. Slightly biased
/// unless `high - low` is a power of two, by at most `(high - low)/2⁶⁴`.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let dice = random::randint(&random::key(0), 1, 7, 100).to_vec::<i32>()?;
/// assert!(dice.iter().all(|d| (1..7).contains(d)));
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn randint(key: &Key, low: i32, high: i32, shape: impl Into<Shape>) -> Tensor {
    let (shape, place) = (shape.into(), Place::of("randint"));
    place.scope(|| {
        let [upper, lower] = split(key);
        let span = if high > low { high.wrapping_sub(low) as u32 } else { 1 };
        // Two words modulo the span: 2³² modulo it weighs the upper one.
        let half = (1u32 << 16) % span;
        let weight = half.wrapping_mul(half) % span;
        let number = |value: u32| Tensor::full((), value);
        let part = |key: &Key| bits(key, &shape) % number(span).broadcast_to(&shape);
        let offset = part(&upper) * number(weight) + part(&lower);
        (offset % number(span).broadcast_to(&shape)).cast(DType::I32) + Tensor::full((), low)
    })
}

/// Bools, `true` with probability `p`, a scalar or of the shape.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::bernoulli(&random::key(0), 0.25, 10_000);
/// let share = x.cast(DType::F64).mean().item::<f64>()?;
/// assert!((share - 0.25).abs() < 0.02);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn bernoulli(key: &Key, p: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("bernoulli", [&p], shape, |[p], shape| uniform(key, p.dtype(), shape).less(p))
}

/// -1 or 1, each with probability 1/2, of dtype i32.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::random;
/// let x = random::rademacher(&random::key(0), 100);
/// assert_eq!(x.abs().to_vec::<i32>()?, [1; 100]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn rademacher(key: &Key, shape: impl Into<Shape>) -> Tensor {
    operation("rademacher", || signs(key, DType::F32, &shape.into()).cast(DType::I32))
}

/// -1 or 1, from uniform numbers of a dtype.
#[track_caller]
pub(super) fn signs(key: &Key, dtype: DType, shape: &Shape) -> Tensor {
    bernoulli(key, &Tensor::from(0.5f32).cast(dtype), shape).cast(dtype) * 2.0 - 1.0
}

/// The number of trials up to the first success of probability `p` (a scalar or of the shape), as
/// i32; the largest one where there are more, as for `p = 0`. It is 0 for what is no probability. The mean is
/// `1/p`.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for parameters other than f32 and f64, `DTypeMismatch` for two
/// dtypes; `Incompatible` for parameters of other shapes; `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::geometric(&random::key(0), 0.5, 10_000).cast(DType::F64);
/// assert!((x.mean().item::<f64>()? - 2.0).abs() < 0.1);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn geometric(key: &Key, p: impl Operand, shape: impl Into<Shape>) -> Tensor {
    drawn("geometric", [&p], shape, |[p], shape| {
        let u = uniform(key, p.dtype(), shape);
        let u = u.equal(&u.zeros_like()).select(&u.ones_like(), &u);
        let count = (u.log() / (-&p).log1p()).floor() + 1.0;
        // The cast saturates.
        p.greater_equal(&p.zeros_like()).select(&count, &count.zeros_like()).cast(DType::I32)
    })
}

/// The positions along the last axis of logarithms of weights (which need not be normalised), one for
/// each entry of the other axes and of `shape` before them, as i64: `[shape…, …]` of logits `[…, n]`. By the
/// Gumbel trick: the largest of the logits with noise of [`gumbel`] added.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for logits other than f32 and f64; `WrongRank` for a scalar;
/// `InvalidArgument` for logits without an element along the last axis, and for what is not one key.
///
/// ```
/// use unloop::{Tensor, random};
/// let logits = Tensor::from([0.0, 100.0, 0.0]);
/// assert_eq!(random::categorical(&random::key(0), &logits, 2).to_vec::<i64>()?, [1, 1]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn categorical(key: &Key, logits: &Tensor, shape: impl Into<Shape>) -> Tensor {
    operation("categorical", || {
        floats(&[logits], || match logits.rank() {
            0 => not_a_vector("categorical", logits),
            _ => {
                let noise = gumbel(key, logits.dtype(), shape.into().concat(logits.shape()));
                (noise + logits.broadcast()).argmax_axis(-1)
            }
        })
    })
}

/// The entries of a tensor along an axis in random order; other axes keep their order within an entry. Shape
/// and dtype stay.
///
/// # Errors
/// Carried by the result: `AxisOutOfRange` for an axis that `x` does not have; `InvalidArgument` for what is
/// not one key.
///
/// ```
/// use unloop::{Tensor, random};
/// let x = random::shuffle(&random::key(0), &Tensor::from([[1, 2], [3, 4], [5, 6]]), 0);
/// assert_eq!(x.shape(), [3, 2]);
/// assert_eq!(x.sum_axis(0).to_vec::<i32>()?, [9, 12]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn shuffle(key: &Key, x: &Tensor, axis: impl AxisNumber) -> Tensor {
    let axis = axis.number();
    operation("shuffle", || {
        let Some(&size) = usize::try_from(if axis < 0 { axis + x.rank() as isize } else { axis })
            .ok()
            .and_then(|axis| x.shape().get(axis))
        else {
            return x.take(&Tensor::from(0), axis);
        };
        x.take(&permutation(key, size), axis)
    })
}

/// The numbers from 0 to `n - 1` in random order, `[n]` in i32.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `n` beyond i32, and for what is not one key.
///
/// ```
/// use unloop::random;
/// let order = random::permutation(&random::key(0), 10);
/// let mut sorted = order.to_vec::<i32>()?;
/// sorted.sort();
/// assert!(sorted.into_iter().eq(0..10));
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn permutation(key: &Key, n: usize) -> Tensor {
    operation("permutation", || {
        if i32::try_from(n).is_err() {
            return invalid(format!("a permutation of {n} positions, which are i32"));
        }
        // Sorting by random words, so often that two elements hardly have the same words each time.
        let rounds = (3.0 * (n.max(1) as f64).ln() / f64::from(u32::MAX).ln()).ceil() as usize;
        let mut x = Tensor::iota(DType::I32, n, 0);
        let mut key = key.clone();
        for _ in 0..rounds {
            let [next, now] = split(&key);
            key = next;
            x = Tensor::sort_by(&[&bits(&now, n), &x], 1, 0, false).swap_remove(1);
        }
        x
    })
}

/// Positions from 0 to `n - 1`, each as likely as the others, as i32. [`Tensor::take`] makes entries
/// of them.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `n` of 0 or beyond i32, and for what is not one key.
///
/// ```
/// use unloop::{Tensor, random};
/// let data = Tensor::from([2.0, 4.0, 8.0]);
/// let sample = data.take(&random::choice(&random::key(0), 3, 100), 0);
/// assert_eq!(sample.shape(), [100]);
/// ```
#[track_caller]
pub fn choice(key: &Key, n: usize, shape: impl Into<Shape>) -> Tensor {
    operation("choice", || match i32::try_from(n) {
        Ok(n) if n > 0 => randint(key, 0, n, shape),
        _ => invalid(format!("a choice among {n} positions")),
    })
}

/// Positions along a vector of weights `[n]`, as i64, with probabilities proportional to them.
///
/// # Errors
/// Carried by the result: `UnsupportedDType` for weights other than f32 and f64; `InvalidArgument` for what
/// is not one key;
/// `WrongRank` for a matrix of weights; `IndexOutOfBounds` for no weights.
///
/// ```
/// use unloop::{Tensor, random};
/// let weights = Tensor::from([0.0, 3.0, 0.0]);
/// let chosen = random::choice_weighted(&random::key(0), &weights, 4);
/// assert_eq!(chosen.to_vec::<i64>()?, [1, 1, 1, 1]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn choice_weighted(key: &Key, weights: &Tensor, shape: impl Into<Shape>) -> Tensor {
    operation("choice_weighted", || {
        let totals = weights.cumsum(0);
        let u = 1.0 - uniform(key, weights.dtype(), shape);
        totals.search_sorted(&(totals.at(-1) * u))
    })
}

/// `count` different positions from 0 to `n - 1`, `[count]` in i32, in random order.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a `count` above `n`, for an `n` beyond i32, and for what is
/// not one key.
///
/// ```
/// use unloop::random;
/// let mut drawn = random::choice_without_replacement(&random::key(0), 49, 6).to_vec::<i32>()?;
/// drawn.sort();
/// drawn.dedup();
/// assert_eq!(drawn.len(), 6);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn choice_without_replacement(key: &Key, n: usize, count: usize) -> Tensor {
    operation("choice_without_replacement", || {
        if count > n {
            return invalid(format!("{count} different positions of {n}"));
        }
        permutation(key, n).slice_axis(0, 0, count)
    })
}

/// Numbers of the Poisson distribution with a mean, a scalar or of the shape, as i32. Means below 10
/// multiply uniform numbers (Knuth), larger ones reject (Hörmann, *The transformed rejection method
/// for generating Poisson random variables*, 1993).
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is not one key; `Incompatible` for a mean of another
/// shape.
///
/// ```
/// use unloop::{DType, random};
/// let x = random::poisson(&random::key(0), 4.0, 10_000).cast(DType::F64);
/// assert!((x.mean().item::<f64>()? - 4.0).abs() < 0.1);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn poisson(key: &Key, mean: impl Operand, shape: impl Into<Shape>) -> Tensor {
    // In single precision, whatever the dtype, as JAX has it.
    let mean = operation("poisson", || operands([&mean]).map(|x| x.cast(DType::F32)));
    drawn("poisson", [&mean[0]], shape, |[mean], shape| {
        let like = |value: f64| Tensor::full(shape, value).cast(mean.dtype());
        let small = mean.is_nan() | mean.less(&like(10.0));
        let few = knuth(key, &small.select(&mean, &like(0.0)));
        let many = rejection(key, &small.select(&like(1e5), &mean));
        let result = small.select(&few, &many);
        mean.equal(&like(0.0)).select(&result.zeros_like(), &result)
    })
}

fn knuth(key: &Key, mean: &Tensor) -> Tensor {
    let start = (Tensor::zeros(DType::I32, mean.shape()), key.clone(), mean.zeros_like());
    let limit = -mean;
    type State = (Tensor, Key, Tensor);
    let go_on = |(_, _, product): &State| product.greater(&limit).any();
    let step = |(k, key, product): &State| {
        let [key, now] = split(key);
        let k = product.greater(&limit).select(&(k + 1), k);
        let u = uniform(&now, DType::F32, mean.shape());
        (k, key, product + u.log())
    };
    while_loop(go_on, step, &start).0 - 1
}

fn rejection(key: &Key, mean: &Tensor) -> Tensor {
    let log = mean.log();
    let b = 2.53 * mean.sqrt() + 0.931;
    let a = 0.02483 * &b - 0.059;
    let inverse = 1.1328 / (&b - 3.4) + 1.1239;
    let v_r = 0.9277 - 3.6224 / (&b - 2.0);
    let (dtype, shape) = (mean.dtype(), mean.shape());
    let like = |value: f64| Tensor::full(shape, value).cast(dtype);
    let start = (like(-1.0), Tensor::full(shape, false), key.clone());
    type State = (Tensor, Tensor, Key);
    let go_on = |(_, accepted, _): &State| accepted.logical_not().any();
    let step = |(result, accepted, key): &State| {
        let [key, first, second] = split(key);
        let u = uniform(&first, dtype, shape) - 0.5;
        let v = uniform(&second, dtype, shape);
        let shifted = 0.5 - u.abs();
        let k = ((2.0 * &a / &shifted + &b) * &u + mean + 0.43).floor();
        let s = (&v * &inverse / (&a / shifted.square() + &b)).log();
        let t = &k * &log - mean - (&k + 1.0).lgamma();
        let quick = shifted.greater_equal(&like(0.07)) & v.less_equal(&v_r);
        let never = k.less(&like(0.0)) | (shifted.less(&like(0.013)) & v.greater(&shifted));
        let accept = quick | (never.logical_not() & s.less_equal(&t));
        (accept.select(&k, result), accepted | &accept, key)
    };
    while_loop(go_on, step, &start).0.cast(DType::I32)
}
