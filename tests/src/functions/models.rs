//! Layers, losses, optimisers and batches.

use unloop::data::{self, Batches};
use unloop::nn;
use unloop::optim::{self, Adam, Lbfgs, Schedule, Sgd};
use unloop::{DType, Tensor};

use super::{Function, table};

pub fn functions() -> Vec<Function> {
    let mut all = losses();
    all.extend(layers());
    all.extend(optimisers());
    all.extend(loops());
    all
}

fn losses() -> Vec<Function> {
    table! { "nn";
        [Differentiable] fn mean_squared_error(x: Real, y: Like) => nn::mean_squared_error(x, y);
        [Differentiable] fn mean_absolute_error(x: Real, y: Like) => nn::mean_absolute_error(x, y);
        [Differentiable] fn huber(x: Real, y: Like, delta: Part) => nn::huber(x, y, delta);
        [Differentiable] fn log_cosh(x: Real, y: Like) => nn::log_cosh(x, y);
        [Differentiable] fn hinge(x: Real, y: Like) => nn::hinge(x, y);
        [Differentiable] fn binary_cross_entropy(x: Real, y: LikeChance) =>
            nn::binary_cross_entropy(x, y);
        [Differentiable] fn softmax_cross_entropy(x: VectorReal, y: LikeChance) =>
            nn::softmax_cross_entropy(x, y);
        [Differentiable] fn softmax_cross_entropy(x: VectorReal, class: Position) =>
            nn::softmax_cross_entropy(x, class);
        [Differentiable] fn kl_divergence(x: Real, y: LikePositive) => nn::kl_divergence(x, y);
    }
}

fn layers() -> Vec<Function> {
    table! { "nn";
        [Random] fn dropout(k: AKey, rate: Part, x: Real) => nn::dropout(k, rate, x);
        [Random Composed] fn linear(k: AKey, d: ADType, m: Size, n: Size) =>
            nn::Linear::new(k, d, m, n);
        [Random Composed] fn linear(k: AKey, x: VectorReal, n: Size) =>
            nn::Linear::new(k, x.dtype(), x.size(), n).call(x);
        [Random Composed] fn conv(k: AKey, d: ADType, m: Size, n: Size, sizes: Extent) =>
            nn::Conv::new(k, d, m, n, sizes);
        [Random Composed] fn conv(k: AKey, x: MatrixReal, n: Size, size: Size, stride: Size) => {
            let channels = x.shape().first().copied().unwrap_or(1);
            nn::Conv::new(k, x.dtype(), channels, n, size).strides(&[stride]).same().call(x)
        };
        [Random Composed] fn embedding(k: AKey, d: ADType, m: Size, n: Size, i: Position) => {
            let layer = nn::Embedding::new(k, d, m, n);
            (layer.call(i), layer)
        };
        [Composed] fn layer_norm(d: ADType, n: Size) => nn::LayerNorm::new(d, n);
        [Composed] fn layer_norm(x: VectorReal) => nn::LayerNorm::new(x.dtype(), x.size()).call(x);
    }
}

fn optimisers() -> Vec<Function> {
    table! { "optim";
        [Differentiable] fn global_norm(x: Real, y: Like) =>
            optim::global_norm(&(x.clone(), y.clone()));
        [Differentiable] fn clip_by_global_norm(x: Real, y: Like, largest: OnePositive) =>
            optim::clip_by_global_norm(&(x.clone(), y.clone()), largest);
        [Differentiable Composed] fn sgd(x: Real, g: Like, rate: OneChance, momentum: OneChance) => {
            let sgd = Sgd::new(rate).momentum(momentum).nesterov();
            sgd.update(g, &sgd.init(x), x)
        };
        [Differentiable Composed] fn adam(x: Real, g: LikePositive, rate: OneChance, decay: OneChance) => {
            let adam = Adam::new(rate).betas(decay, decay).epsilon(decay).weight_decay(decay);
            adam.update(g, &adam.init(x), x)
        };
        [Composed] fn schedule(step: Position, start: OneChance, n: Size, m: Size) => {
            let before = Schedule::linear(start, 0.5, n).then(m, Schedule::exponential(start, 0.5, n));
            before.then(n, Schedule::cosine(start, 0.5, m).warm_up(n)).at(step)
        };
    }
}

/// What loops, and so takes no part in programs.
fn loops() -> Vec<Function> {
    table! { "";
        [Composed] fn lbfgs(x: Real, steps: Times, history: Times) => {
            let lbfgs = Lbfgs::new().steps(steps.min(3)).history(history.min(5));
            lbfgs.minimize(|x: &Tensor| (x.sin() * x).sum(), x)
        };
        [Composed] fn batches(x: Ranked, size: Size) => match Batches::new(x, size, data::Last::Pad) {
            Err(error) => vec![Tensor::error(error)],
            Ok(mut batches) => match batches.next() {
                Some(batch) => vec![batch.examples, batch.mask],
                None => vec![Tensor::ones(DType::Bool, 0)],
            },
        };
    }
}
