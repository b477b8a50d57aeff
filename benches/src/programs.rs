//! Programs of kinds that the first rows leave out: random numbers in loops, reads and writes at
//! computed positions, convolutions, small decompositions, sorting.

use unloop::prelude::*;
use unloop::{Conv, WindowAxis, random};

use crate::{Row, unary};

const PATHS: usize = 100_000;
const BARRIER: f64 = 130.0;

/// The price of a call that is worth nothing once the spot price has been above a barrier, by simulation
/// of 252 days; `u` holds the spot price and the volatility as numbers from -1 to 1.
fn barrier_option(u: &Tensor) -> Tensor {
    let (spot, volatility) = (100.0 + 5.0 * u.at(0), 0.2 + 0.05 * u.at(1));
    let key = random::key(7);
    let drift = (0.02 - 0.5 * volatility.square()) / 252.0;
    let spread = volatility / 252f64.sqrt();
    let start = spot.log().broadcast_to([PATHS]);
    let day = |(log, alive): &(Tensor, Tensor), day: &Tensor| -> ((Tensor, Tensor), [Tensor; 0]) {
        let z = random::normal(&random::fold_in(&key, day), DType::F32, PATHS);
        let log = log + &drift + &spread * z;
        let alive = alive & log.less(BARRIER.ln() as f32);
        ((log, alive), [])
    };
    let alive = Tensor::ones(DType::Bool, PATHS);
    let (log, alive) = scan(day, &(start, alive), &Tensor::iota(DType::U32, 252, 0)).0;
    let payoff = (log.exp() - 100.0).maximum(0f32);
    alive.select(&payoff, 0f32).mean() * (-0.02f32).exp()
}

/// An image between its pixels, at a position from -1 to 1.
fn bilinear(image: &Tensor, position: &Tensor) -> Tensor {
    let place = (position + 1.0) * 511.0;
    let corner = place.floor();
    let part = &place - &corner;
    let (i, j) = (corner.at(0).cast(DType::I32), corner.at(1).cast(DType::I32));
    let (s, t) = (part.at(0), part.at(1));
    let upper = image.at((&i, &j)) * (1.0 - &t) + image.at((&i, &j + 1)) * &t;
    let lower = image.at((&i + 1, &j)) * (1.0 - &t) + image.at((&i + 1, &j + 1)) * &t;
    upper * (1.0 - &s) + lower * s
}

/// Ten steps of k-means; `sums` adds up the points of each cluster, and counts them.
fn k_means(points: &Tensor, sums: fn(&Tensor, &Tensor) -> (Tensor, Tensor)) -> Tensor {
    let step = |_: &Tensor, centres: &Tensor| {
        let label = |p: &Tensor| {
            let distance = |centre: &Tensor| (centre - p).square().sum();
            vmap(distance, 0)(centres).argmin()
        };
        let (sums, counts) = sums(points, &vmap(label, 0)(points));
        sums / counts.maximum(1.0).expand_dims(1).broadcast()
    };
    fori_loop(10, step, &points.at((..32, ..)))
}

fn sums_by_writes(points: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
    let (sums, counts) = (Tensor::zeros(DType::F64, [32, 8]), Tensor::zeros(DType::F64, 32));
    (sums.add_at((labels, ..), points), counts.add_at(labels, 1.0))
}

fn sums_by_products(points: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
    let members = labels.one_hot(32, DType::F64).t();
    (members.matmul(points), members.sum_axis(1))
}

/// One step of expectation and maximisation for a mixture of 32 Gaussians with diagonal covariances.
fn mixture_step(x: &Tensor, means: &Tensor, spreads: &Tensor, weights: &Tensor) -> Vec<Tensor> {
    let variances = spreads.exp();
    let responsibilities = |p: &Tensor| {
        let score = |mean: &Tensor, variance: &Tensor, spread: &Tensor| {
            ((p - mean).square() / variance + spread).sum()
        };
        let scores = vmap(score, (0, 0, 0))(means, &variances, spreads);
        (weights.log_softmax(0) - 0.5 * scores).softmax(0)
    };
    let r = vmap(responsibilities, 0)(x).t();
    let total = r.sum_axis(1);
    let column = total.expand_dims(1).broadcast();
    let means = r.matmul(x) / &column;
    let variances = r.matmul(&x.square()) / column - means.square();
    vec![means, variances.log(), (total / x.shape()[0] as f64).log()]
}

fn convolved(x: &Tensor, kernel: &Tensor) -> Tensor {
    let same = WindowAxis::one().padding(1, 1);
    x.conv(kernel, &Conv { windows: vec![same; 2], groups: 1 })
}

/// Each channel with taps of its own, which see the past only.
fn depthwise(x: &Tensor, kernel: &Tensor) -> Tensor {
    let causal = WindowAxis::one().padding(3, 0);
    x.conv(kernel, &Conv { windows: vec![causal], groups: 64 })
}

fn symmetric(a: &Tensor) -> Tensor {
    (a + a.t()) * 0.5
}

/// Weighted eigenvalues and squares of the entries of eigenvectors, which have no sign.
fn eigen_loss(a: &Tensor) -> Tensor {
    let (values, vectors) = symmetric(a).eigh();
    let weights = Tensor::arange(1.0, 10.0, 1.0).reshape([3, 3]);
    (values * Tensor::arange(1.0, 4.0, 1.0)).sum() + (vectors.square() * weights).sum()
}

fn singular_loss(a: &Tensor) -> Tensor {
    (a.singular_values() * Tensor::arange(1.0, 4.0, 1.0)).sum()
}

/// Mean and median of a thousand resamples.
fn bootstrap(x: &Tensor) -> (Tensor, Tensor) {
    let resample = |key: &random::Key| {
        let sample = x.at(&random::choice(key, x.size(), x.size()));
        (sample.mean(), sample.median(0))
    };
    vmap(resample, 0)(&random::split_stack(&random::key(3), 1000))
}

const NODES: usize = 100_000;

/// Twenty steps of PageRank over edges.
fn page_rank(source: &Tensor, target: &Tensor) -> Tensor {
    let none = Tensor::zeros(DType::F64, NODES);
    let degrees = none.add_at(source, 1.0).maximum(1.0);
    let step = |_: &Tensor, rank: &Tensor| {
        let flow = none.add_at(target, (rank / &degrees).at(source));
        0.15 / NODES as f64 + 0.85 * flow
    };
    fori_loop(20, step, &Tensor::full(NODES, 1.0 / NODES as f64))
}

/// A row of two inputs.
fn binary<R: unloop::Tree + Send + Sync + 'static>(
    name: &'static str,
    inputs: &[(DType, &[usize])],
    f: impl Fn(&Tensor, &Tensor) -> R + Send + Sync + 'static,
) -> Row {
    let f = jit(f);
    Row::new(name, inputs, move |x| Ok(f.try_call((&x[0], &x[1]))?.leaves()))
}

/// A row of one input and several results.
fn several<R: unloop::Tree + Send + Sync + 'static>(
    name: &'static str,
    dtype: DType,
    shape: &[usize],
    f: impl Fn(&Tensor) -> R + Send + Sync + 'static,
) -> Row {
    let f = jit(f);
    Row::new(name, &[(dtype, shape)], move |x| Ok(f.try_call((&x[0],))?.leaves()))
}

/// Rows 29 to 45, as far as they are here.
pub(crate) fn rows() -> Vec<Row> {
    use DType::{F32, F64, I32};
    let mixture: [(DType, &[usize]); 4] =
        [(F64, &[100_000, 8]), (F64, &[32, 8]), (F64, &[32, 8]), (F64, &[32])];
    let em = jit(mixture_step);
    let table = |ys: &Tensor, x: &Tensor| {
        let xs = Tensor::linspace(-1.0, 1.0, ys.size()).cast(ys.dtype());
        x.interp(&xs, ys)
    };
    let images: [(DType, &[usize]); 2] = [(F32, &[16, 16, 56, 56]), (F32, &[32, 16, 3, 3])];
    let signals: [(DType, &[usize]); 2] = [(F32, &[8, 64, 4096]), (F32, &[64, 1, 4])];
    let edges: [(DType, &[usize]); 2] = [(I32, &[1_000_000]), (I32, &[1_000_000])];
    let at_points = |image: &Tensor, p: &Tensor| vmap(bilinear, (Shared, 0))(image, p);
    vec![
        several("29 grad", F32, &[2], |u| value_and_grad(barrier_option)(u)),
        several("29 jvp", F32, &[2], |u| (barrier_option(u), jacfwd(barrier_option)(u))),
        binary("30 interp f64", &[(F64, &[1000]), (F64, &[1_000_000])], table),
        binary("30 interp f32", &[(F32, &[1000]), (F32, &[1_000_000])], table),
        binary("30 image f64", &[(F64, &[1024, 1024]), (F64, &[1_000_000, 2])], at_points),
        binary("30 image f32", &[(F32, &[1024, 1024]), (F32, &[1_000_000, 2])], at_points),
        unary("31 writes", F64, &[100_000, 8], |x| k_means(x, sums_by_writes)),
        unary("31 products", F64, &[100_000, 8], |x| k_means(x, sums_by_products)),
        Row::new("31 mixture", &mixture, move |x| em.try_call((&x[0], &x[1], &x[2], &x[3]))),
        binary("34 image", &images, convolved),
        binary("34 image gradient", &images, |x, k| {
            value_and_grad(|x: &Tensor, k: &Tensor| convolved(x, k).square().sum()).wrt([0, 1])(
                x, k,
            )
        }),
        binary("34 depthwise", &signals, depthwise),
        binary("34 depthwise gradient", &signals, |x, k| {
            value_and_grad(|x: &Tensor, k: &Tensor| depthwise(x, k).square().sum()).wrt([0, 1])(
                x, k,
            )
        }),
        several("36 eigen", F64, &[100_000, 3, 3], |a| {
            vmap(|a: &Tensor| symmetric(a).eigh(), 0)(a).0
        }),
        several("36 eigen gradient", F64, &[100_000, 3, 3], |a| {
            vmap(value_and_grad(eigen_loss), 0)(a)
        }),
        several("36 singular", F64, &[20_000, 4, 3], |a| vmap(Tensor::singular_values, 0)(a)),
        several("36 singular gradient", F64, &[20_000, 4, 3], |a| {
            vmap(value_and_grad(singular_loss), 0)(a)
        }),
        several("37", F64, &[5000], bootstrap),
        binary("44", &edges, page_rank),
        binary("44 sorted", &edges, page_rank),
        several("45 ranks", F32, &[1000, 10_000], |x| x.argsort(1).argsort(1)),
        binary("45 quantiles", &[(F64, &[1_000_000]), (I32, &[1_000_000])], |x, group| {
            x.segment_quantile(group, 0.5, 1000)
        }),
    ]
}
