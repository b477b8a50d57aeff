//! Gradients of losses: a network of convolutions, one with gates, cross-entropy, a Gaussian process.

use unloop::nn;
use unloop::prelude::*;
use unloop::{Conv, ReduceOp, WindowAxis};

use crate::{Row, program};

#[derive(Tree, Clone)]
struct Cnn {
    first: nn::Conv,
    second: nn::Conv,
    dense: nn::Linear,
}

impl Cnn {
    fn new(x: &[Tensor]) -> Cnn {
        let how = Conv { windows: vec![WindowAxis::one(); 2], groups: 1 };
        let conv = |kernel: &Tensor, bias: &Tensor| nn::Conv {
            kernel: kernel.clone(),
            bias: Some(bias.clone()),
            how: how.clone(),
            same: true,
        };
        let dense = nn::Linear { weight: x[4].clone(), bias: Some(x[5].clone()) };
        Cnn { first: conv(&x[0], &x[1]), second: conv(&x[2], &x[3]), dense }
    }

    /// The scores of one image.
    fn scores(&self, image: &Tensor) -> Tensor {
        let two = WindowAxis::new(2).stride(2);
        let pool = |x: Tensor| x.reduce_window(ReduceOp::Max, &[WindowAxis::one(), two, two]);
        let x = pool(self.first.call(&image.expand_dims(0)).relu());
        let x = pool(self.second.call(&x).relu());
        self.dense.call(&x.flatten())
    }
}

/// Cross-entropy of one example.
fn surprise(scores: &Tensor, label: &Tensor) -> Tensor {
    -scores.log_softmax(0).at(label)
}

fn cnn_step(model: &Cnn, images: &Tensor, labels: &Tensor) -> Cnn {
    let loss = |model: &Cnn, image: &Tensor, label: &Tensor| surprise(&model.scores(image), label);
    let mean = |model: &Cnn, images: &Tensor, labels: &Tensor| {
        vmap(loss, (Shared, 0, 0))(model, images, labels).mean()
    };
    let slope = grad(mean)(model, images, labels);
    model.zip_map(&slope, |p, g| p - 0.1 * g)
}

const HIDDEN: usize = 64;

#[derive(Tree, Clone)]
struct Gru {
    input: Tensor,
    state: Tensor,
    bias: Tensor,
    out: Tensor,
}

impl Gru {
    /// The state after one more entry.
    fn next(&self, state: &Tensor, x: &Tensor) -> Tensor {
        let (new, old) = (x.matmul(&self.input) + &self.bias, state.matmul(&self.state));
        let part = |x: &Tensor, i: usize| x.at(HIDDEN * i..HIDDEN * (i + 1));
        let keep = (part(&new, 0) + part(&old, 0)).sigmoid();
        let reset = (part(&new, 1) + part(&old, 1)).sigmoid();
        let fresh = (part(&new, 2) + reset * part(&old, 2)).tanh();
        (1.0 - &keep) * fresh + keep * state
    }

    /// How far what is read off the last state of one sequence is from what it should be.
    fn miss(&self, sequence: &Tensor, target: &Tensor) -> Tensor {
        let step =
            |state: &Tensor, x: &Tensor| -> (Tensor, [Tensor; 0]) { (self.next(state, x), []) };
        let last = scan(step, &Tensor::zeros(DType::F32, HIDDEN), sequence).0;
        (last.dot(&self.out) - target).square()
    }
}

fn gru_step(model: &Gru, sequences: &Tensor, targets: &Tensor) -> Gru {
    let loss = |model: &Gru, sequences: &Tensor, targets: &Tensor| {
        vmap(Gru::miss, (Shared, 0, 0))(model, sequences, targets).mean()
    };
    let slope = grad(loss)(model, sequences, targets);
    model.zip_map(&slope, |p, g| p - 0.1 * g)
}

/// Minus the logarithm of the likelihood of `y` at the points `x`; `p` holds the logarithms of the size of
/// the signal, its length along each axis, and the size of the noise.
fn process(p: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
    let (size, lengths, noise) = (p.at(0).exp(), p.at(1..6).exp(), p.at(6).exp());
    let kernel =
        |a: &Tensor, b: &Tensor| &size * (-0.5 * ((a - b) / &lengths).square().sum()).exp();
    let row = |a: &Tensor| vmap(|b: &Tensor| kernel(a, b), 0)(x);
    let covariance = vmap(row, 0)(x) + noise * Tensor::eye(DType::F64, x.shape()[0]);
    let factor = covariance.cholesky();
    let white = factor.solve_lower(y);
    0.5 * white.dot(&white) + factor.diagonal(0).log().sum()
}

/// Rows 33, 35, 41 and 43.
pub(crate) fn rows() -> Vec<Row> {
    use DType::{F32, F64, I32};
    let cnn: [(DType, &[usize]); 8] = [
        (F32, &[16, 1, 5, 5]),
        (F32, &[16]),
        (F32, &[32, 16, 5, 5]),
        (F32, &[32]),
        (F32, &[32 * 7 * 7, 10]),
        (F32, &[10]),
        (F32, &[64, 28, 28]),
        (I32, &[64]),
    ];
    let gru: [(DType, &[usize]); 6] = [
        (F32, &[64, 3 * HIDDEN]),
        (F32, &[HIDDEN, 3 * HIDDEN]),
        (F32, &[3 * HIDDEN]),
        (F32, &[HIDDEN]),
        (F32, &[64, 100, 64]),
        (F32, &[64]),
    ];
    vec![
        program("33", &cnn, |x| cnn_step(&Cnn::new(x), &x[6], &x[7]).leaves()),
        program("35", &[(F32, &[4096, 5000]), (I32, &[4096])], |x| {
            let loss = |x: &Tensor, labels: &Tensor| vmap(surprise, (0, 0))(x, labels).mean();
            let (value, slope) = value_and_grad(loss)(&x[0], &x[1]);
            vec![value, slope]
        }),
        program("41", &gru, |x| {
            let [input, state, bias, out] = [0, 1, 2, 3].map(|i| x[i].clone());
            gru_step(&Gru { input, state, bias, out }, &x[4], &x[5]).leaves()
        }),
        program("43", &[(F64, &[7]), (F64, &[2000, 5]), (F64, &[2000])], |x| {
            let (value, slope) = value_and_grad(process)(&x[0], &x[1], &x[2]);
            vec![value, slope]
        }),
    ]
}
