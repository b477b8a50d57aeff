//! Layers, losses and initial weights.

use unloop::nn::{self, Init};
use unloop::prelude::*;
use unloop::{Result, check_grads, random};
use unloop_tests::assert_close;
use unloop_tests::vectors::difference;

use super::entry;

#[test]
fn losses_and_their_gradients_are_those_of_optax() {
    type Loss = fn(&Tensor, &Tensor) -> Tensor;
    let rows: [(&str, Loss); 10] = [
        ("mean_squared_error", nn::mean_squared_error),
        ("mean_absolute_error", nn::mean_absolute_error),
        ("huber", |x, y| nn::huber(x, y, 1.5)),
        ("log_cosh", nn::log_cosh),
        ("hinge", nn::hinge),
        ("binary", nn::binary_cross_entropy),
        ("binary of integers", nn::binary_cross_entropy),
        ("softmax", nn::softmax_cross_entropy),
        ("softmax of classes", nn::softmax_cross_entropy),
        ("kl_divergence", nn::kl_divergence),
    ];
    for (name, loss) in rows {
        let (inputs, outputs) = entry(&format!("loss {name}"));
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 5e-6)] {
            let of = |x: &Tensor| if x.dtype().is_float() { x.cast(dtype) } else { x.clone() };
            let [x, y] = [of(&inputs[0]), of(&inputs[1])];
            let losses = vmap(loss, (0, 0))(&x, &y);
            assert_eq!(losses.dtype(), dtype);
            assert_eq!(difference(&losses, &of(&outputs[0]), tolerance), None, "{name} {dtype}");
            let slopes = jit(vmap(grad(loss), (0, 0)))(&x, &y);
            assert_eq!(difference(&slopes, &of(&outputs[1]), tolerance), None, "{name} {dtype}");
        }
    }
}

#[test]
fn losses_of_extreme_logits_are_finite() -> Result<()> {
    let logits = Tensor::from([1e4, -1e4, 0.0]);
    let by_class = grad(nn::softmax_cross_entropy)(&logits, &Tensor::from(1));
    assert_eq!(by_class.to_vec::<f64>()?, [1.0, -1.0, 0.0]);
    assert_eq!(nn::softmax_cross_entropy(&logits, &Tensor::from(1)).item::<f64>()?, 2e4);
    let target = Tensor::from([false, true, true]);
    let slope = grad(nn::binary_cross_entropy)(&logits, &target).to_vec::<f64>()?;
    assert_eq!(slope, [1.0 / 3.0, -1.0 / 3.0, -0.5 / 3.0]);
    Ok(())
}

#[test]
fn wrong_targets_are_errors_that_help() {
    let logits = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let error = nn::softmax_cross_entropy(&logits, &Tensor::from([0, 1])).check().cloned();
    assert!(error.expect_err("a batch").to_string().contains("vmap"));
    let one = logits.at((0, ..));
    for target in [Tensor::from(2), Tensor::from(0.0), Tensor::from([1.0, 0.0, 0.0])] {
        let loss = nn::softmax_cross_entropy(&one, &target);
        let error = loss.check().cloned().expect_err("no class, and no probabilities");
        assert_eq!(error.op(), "softmax_cross_entropy", "{error}");
    }
}

#[test]
fn initial_weights_are_those_of_jax() {
    let key = random::key(3);
    let rows = [
        ("glorot_uniform", Init::glorot_uniform()),
        ("glorot_normal", Init::glorot_normal()),
        ("he_uniform", Init::he_uniform()),
        ("he_normal", Init::he_normal()),
        ("lecun_uniform", Init::lecun_uniform()),
        ("lecun_normal", Init::lecun_normal()),
    ];
    for (name, init) in rows {
        let all = unloop_tests::vectors::read(include_str!("../../../vectors/models.json"));
        let name = format!("init {name}");
        let expected = all.iter().filter(|entry| entry["name"] == name.as_str());
        let mut dtypes = Vec::new();
        for expected in expected.flat_map(|e| unloop_tests::vectors::tensors(&e["out"])) {
            let dtype = expected.dtype();
            let layer = nn::Linear::with(&init, &key, dtype, 4, 3);
            let tolerance = if dtype == DType::F32 { 1e-6 } else { 1e-14 };
            assert_eq!(difference(&layer.weight, &expected, tolerance), None, "{name} {dtype}");
            dtypes.push(dtype);
        }
        assert_eq!(dtypes, [DType::F32, DType::F64]);
    }
    let (_, expected) = entry("init kernel");
    let conv = nn::Conv::with(&Init::he_normal(), &key, DType::F64, 2, 4, [3, 3]);
    assert_eq!(difference(&conv.kernel, &expected[0], 1e-14), None);
}

#[test]
fn linear_layers() {
    let layer = nn::Linear::new(&random::key(1), DType::F64, 3, 2);
    let x = Tensor::from([0.5, -1.0, 2.0]);
    assert_close(&layer.call(&x), &x.matmul(&layer.weight), "a bias of zeros");
    let shifted = nn::Linear { bias: Some(Tensor::from([1.0, -1.0])), ..layer.clone() };
    let expected = x.matmul(&layer.weight) + Tensor::from([1.0, -1.0]);
    assert_close(&shifted.call(&x), &expected, "a bias");
    let bare = shifted.without_bias();
    assert_eq!(bare.leaves().len(), 1);
    assert_close(&bare.call(&x), &layer.call(&x), "no bias");
    let loss = |layer: &nn::Linear| layer.call(&x).tanh().sum();
    assert!(check_grads(loss, (&layer,), 2).is_ok());
    // A batch without vmap is an error that names the layer.
    let error = layer.call(&Tensor::ones(DType::F64, [4, 3])).check().cloned();
    assert_eq!(error.expect_err("a batch").op(), "Linear::call");
}

/// The convolution as its definition has it, over one axis.
fn direct(x: &[Vec<f64>], k: &[Vec<Vec<f64>>], stride: usize, low: i64, count: usize) -> Vec<f64> {
    let at = |c: usize, i: i64| usize::try_from(i).ok().and_then(|i| x[c].get(i)).unwrap_or(&0.0);
    let mut all = Vec::new();
    for kernel in k {
        for position in 0..count {
            let start = (position * stride) as i64 - low;
            let taps = kernel.iter().enumerate().flat_map(|(c, row)| {
                row.iter().enumerate().map(move |(j, w)| w * at(c, start + j as i64))
            });
            all.push(taps.sum());
        }
    }
    all
}

#[test]
fn convolutions_of_signals() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.f64() - 0.5).collect() };
    for (extent, size, stride) in
        [(9, 3, 1), (9, 4, 1), (10, 3, 2), (11, 4, 3), (7, 1, 2), (5, 5, 1)]
    {
        let x: Vec<Vec<f64>> = (0..2).map(|_| numbers(extent)).collect();
        let k: Vec<Vec<Vec<f64>>> =
            (0..3).map(|_| (0..2).map(|_| numbers(size)).collect()).collect();
        let kernel = Tensor::from_vec([3, 2, size], k.concat().concat());
        let conv = nn::Conv::new(&random::key(0), DType::F64, 2, 3, size).strides(&[stride]);
        let conv = nn::Conv { kernel, ..conv };
        let input = Tensor::from_vec([2, extent], x.concat());
        let count = (extent - size) / stride + 1;
        let expected = Tensor::from_vec([3, count], direct(&x, &k, stride, 0, count));
        assert_close(&conv.call(&input), &expected, "without padding");
        let count = extent.div_ceil(stride);
        let total = ((count - 1) * stride + size).saturating_sub(extent);
        let low = (total / 2) as i64;
        let expected = Tensor::from_vec([3, count], direct(&x, &k, stride, low, count));
        assert_close(&conv.clone().same().call(&input), &expected, "with padding");
        let loss = |conv: &nn::Conv, x: &Tensor| conv.call(x).sin().sum();
        assert!(check_grads(loss, (&conv.same(), &input), 1).is_ok());
    }
    Ok(())
}

#[test]
fn convolutions_of_images() {
    let conv = nn::Conv::new(&random::key(0), DType::F32, 3, 5, [3, 2]);
    let bias = Tensor::arange(0.0f32, 5.0, 1.0);
    let conv = nn::Conv { bias: Some(bias.clone()), ..conv };
    let images = random::normal(&random::key(1), DType::F32, [4, 3, 8, 6]);
    let all = vmap(|x: &Tensor| conv.call(x), 0)(&images);
    assert_eq!(all.shape(), [4, 5, 6, 5]);
    // One position, by hand.
    let window = images.at((2, .., 1..4, 3..5));
    let by_hand = (window * conv.kernel.at((4, .., .., ..))).sum() + bias.at(4);
    assert!(difference(&all.at((2, 4, 1, 3)), &by_hand, 1e-5).is_none());
    let halved = conv.clone().same().strides(&[2, 3]);
    assert_eq!(halved.call(&images.at((0, .., .., ..))).shape(), [5, 4, 2]);
    let error = conv.call(&images).check().cloned().expect_err("a batch");
    assert!(error.to_string().contains("vmap") && error.op() == "Conv::call", "{error}");
}

#[test]
fn normalisation_and_embeddings() -> Result<()> {
    let norm = nn::LayerNorm::new(DType::F64, 4);
    let x = Tensor::from([1.0, 2.0, 4.0, -3.0]);
    let y = norm.call(&x);
    assert!(y.mean().item::<f64>()?.abs() < 1e-12);
    assert!((y.variance().item::<f64>()? - 1.0).abs() < 1e-5);
    let moved = nn::LayerNorm { scale: Tensor::full(4, 2.0), offset: Tensor::full(4, 1.0), ..norm };
    assert_close(&moved.call(&x), &(y * 2.0 + 1.0), "a scale and an offset");
    assert!(
        check_grads(|n: &nn::LayerNorm, x: &Tensor| n.call(x).sin().sum(), (&moved, &x), 1).is_ok()
    );

    let words = nn::Embedding::new(&random::key(0), DType::F64, 50, 64);
    let mean_square = words.vectors.square().sum_axis(1).mean().item::<f64>()?;
    assert!((mean_square - 1.0).abs() < 0.1, "{mean_square}");
    assert_close(&words.call(&Tensor::from(7)), &words.vectors.at((7, ..)), "a vector");
    assert!(words.call(&Tensor::from(50)).check().is_err());
    // Only the vectors that were used have a gradient.
    let used = Tensor::from([3, 3, 9]);
    let total = |words: &nn::Embedding| vmap(|i: &Tensor| words.call(i), 0)(&used).sum();
    let rows = grad(total)(&words).vectors.sum_axis(1).to_vec::<f64>()?;
    let expected =
        |i: usize| [(3, 128.0), (9, 64.0)].iter().find(|r| r.0 == i).map_or(0.0, |r| r.1);
    assert!(rows.iter().enumerate().all(|(i, &row)| row == expected(i)));
    Ok(())
}

#[test]
fn dropout_keeps_the_mean() -> Result<()> {
    let x = Tensor::full(20_000, 3.0f32);
    let y = nn::dropout(&random::key(0), 0.2, &x);
    let kept = y.not_equal(&y.zeros_like()).cast(DType::F64).mean().item::<f64>()?;
    assert!((kept - 0.8).abs() < 0.01, "{kept}");
    assert!((y.max().item::<f32>()? - 3.75).abs() < 1e-6);
    assert_close(&nn::dropout(&random::key(0), 0.0, &x), &x, "nothing is dropped");
    assert_close(&nn::dropout(&random::key(0), 1.0, &x), &x.zeros_like(), "everything is dropped");
    // One mask an example, the same under jit; gradients where something is left.
    let keys = random::split_stack(&random::key(1), 2);
    let rows = vmap(|k: &random::Key| nn::dropout(k, 0.5, &x), 0);
    let masks = rows(&keys);
    assert!(masks.at((0, ..)).differs(&masks.at((1, ..))).any().item::<bool>()?);
    assert_close(&jit(&*rows)(&keys), &masks, "compiled");
    let slope = grad(|x: &Tensor| nn::dropout(&random::key(0), 0.2, x).sum())(&x);
    assert_close(&(slope * 3.0), &y, "gradients");
    for rate in [-0.1, 1.1, f64::NAN] {
        assert!(nn::dropout(&random::key(0), rate, &x).check().is_err());
    }
    Ok(())
}
