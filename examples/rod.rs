//! Solves a differential equation with a small network: the temperature `u` of a rod that is heated along
//! its length and cold at its ends, -u″ = q on 0 … 1 (Raissi et al., 2019, "Physics-informed neural
//! networks"). The equation is written for one point; its second derivative is a `grad` of a `grad`, and
//! training takes the gradient of that. `cargo run --release --example rod [picture.svg]`

use std::f64::consts::PI;
use std::time::Instant;

use unloop::nn::Linear;
use unloop::optim::{Adam, Schedule};
use unloop::prelude::*;
use unloop::random;
use unloop_examples::picture;

// ANCHOR: network
#[derive(Tree, Clone, Debug)]
struct Network {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Network {
    fn new(seed: i64) -> Network {
        let [first, second, last] = random::split(&random::key(seed));
        let linear = |key, inputs, outputs| Linear::new(key, DType::F64, inputs, outputs);
        Network {
            first: linear(&first, 1, 24),
            second: linear(&second, 24, 24),
            last: linear(&last, 24, 1),
        }
    }

    /// The temperature at one point: 0 at the ends, whatever the network says.
    fn temperature(&self, x: &Tensor) -> Tensor {
        let hidden = self.first.call(&x.reshape([1])).tanh();
        let hidden = self.second.call(&hidden).tanh();
        x * (1.0 - x) * self.last.call(&hidden).reshape(())
    }
}
// ANCHOR_END: network

/// The heat that is put in at a point.
fn heat(x: &Tensor) -> Tensor {
    PI * PI * (PI * x).sin() + 4.0 * PI * PI * (2.0 * PI * x).sin()
}

/// The temperature that solves the equation.
fn exact(x: &Tensor) -> Tensor {
    (PI * x).sin() + (2.0 * PI * x).sin()
}

// ANCHOR: residual
/// By how much the equation is missed at a point.
fn residual(network: &Network, x: &Tensor) -> Tensor {
    let slope = grad(|x: &Tensor| network.temperature(x));
    grad(slope)(x) + heat(x)
}
// ANCHOR_END: residual

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // ANCHOR: train
    let points = Tensor::linspace(0.0, 1.0, 64);
    let steps = 3000;
    let loss = |network: &Network| vmap(residual, (Shared, 0))(network, &points).square().mean();
    let adam = Adam::new(Schedule::cosine(5e-3, 0.0, steps));
    // All steps are one loop of one compiled program.
    let train = jit(|network: &Network| {
        let step = |(network, state): &(Network, _)| {
            let (loss, gradient) = value_and_grad(loss)(network);
            (adam.update(&gradient, state, network), loss)
        };
        let ((network, _), losses) =
            unloop::scan_times(steps, step, &(network.clone(), adam.init(network)));
        (network, losses)
    });
    // ANCHOR_END: train
    let begin = Instant::now();
    let (network, losses) = train.try_call((&Network::new(0),))?;
    let last = |n: usize| losses.at(n as i64).item::<f64>();
    println!(
        "{steps} steps in {:.1?}: from {:.1e} to {:.1e}",
        begin.elapsed(),
        last(0)?,
        last(steps - 1)?
    );

    let fine = Tensor::linspace(0.0, 1.0, 501);
    let found = vmap(|n: &Network, x: &Tensor| n.temperature(x), (Shared, 0))(&network, &fine);
    let error = (&found - exact(&fine)).abs().max().item::<f64>()?;
    println!("the temperature is off by {error:.1e} at most");
    if let Some(path) = picture::asked() {
        draw(&path, &fine, &found, &losses)?;
    }
    if error < 1e-2 { Ok(()) } else { Err("the network has not learnt the equation".into()) }
}

fn draw(
    path: &std::path::Path,
    x: &Tensor,
    found: &Tensor,
    losses: &Tensor,
) -> picture::Result<()> {
    let (at, found) = (x.to_vec::<f64>()?, found.to_vec::<f64>()?);
    let (expected, losses) = (exact(x).to_vec::<f64>()?, losses.log10().to_vec::<f64>()?);
    let steps: Vec<f64> = (0..losses.len()).map(|n| n as f64).collect();
    picture::draw(path, (720, 320), |area| {
        let (left, right) = area.split_horizontally(400);
        let (xs, ys) = (("place", 0.0..1.0), ("temperature", -0.6..2.0));
        let mut chart = picture::chart(&left, "Temperature of the rod", xs, ys)?;
        picture::line(&mut chart, &at, &expected, picture::OTHER, "solution")?;
        let (some, dots) = (at.iter().step_by(20), found.iter().step_by(20));
        let (some, dots): (Vec<f64>, Vec<f64>) = (some.copied().collect(), dots.copied().collect());
        picture::dots(&mut chart, &some, &dots, picture::FOUND, "network")?;
        picture::legend(&mut chart, plotters::prelude::SeriesLabelPosition::UpperRight)?;
        let end = losses.len() as f64;
        let (xs, ys) = (("step", 0.0..end), ("log10 of the loss", -4.0..4.0));
        let mut chart = picture::chart(&right, "Loss", xs, ys)?;
        picture::line(&mut chart, &steps, &losses, picture::FOUND, "")
    })
}
