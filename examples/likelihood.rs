//! Fits a Gaussian process to noisy measurements: its likelihood, and gradients from here, go to an
//! optimiser of the crate `argmin`, which knows vectors only, and to L-BFGS of this one, which knows trees.
//! On the way are covariances whose factorisation fails.
//! `cargo run --release --example likelihood [picture.svg]`

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::BacktrackingLineSearch;
use argmin::solver::linesearch::condition::ArmijoCondition;
use argmin::solver::quasinewton::LBFGS;
use unloop::optim::Lbfgs;
use unloop::prelude::*;
use unloop::{random, ravel};
use unloop_examples::picture;

// ANCHOR: process
/// What the measurements are thought to be drawn from, as logarithms, so that every number is allowed.
#[derive(Tree, Clone, Debug)]
struct Process {
    /// The size of the signal.
    amplitude: Tensor,
    /// The distance along which it changes.
    length: Tensor,
    /// The size of the noise.
    noise: Tensor,
}

impl Process {
    /// The covariance of the signal at two positions.
    fn signal(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let distance = (x - y) / self.length.exp();
        (2.0 * &self.amplitude - 0.5 * distance.square()).exp()
    }

    /// The covariance of the measurements at the positions `x`.
    fn covariance(&self, x: &Tensor) -> Tensor {
        let signal = each(|[i, j]| self.signal(&x.at(i), &x.at(j)));
        let n = x.size();
        let diagonal = (2.0 * &self.noise).exp();
        signal + Tensor::eye(DType::F64, n) * diagonal
    }
}

/// Minus the logarithm of the probability of the measurements `y` at `x`. NaN where the covariance has no
/// Cholesky factor.
fn surprise(process: &Process, x: &Tensor, y: &Tensor) -> Tensor {
    let factor = process.covariance(x).cholesky();
    let white = factor.solve_lower(y);
    let volume = factor.diagonal(0).log().sum();
    white.dot(&white) / 2.0 + volume + 0.5 * (x.size() as f64) * std::f64::consts::TAU.ln()
}
// ANCHOR_END: process

// ANCHOR: predict
/// The signal at the positions `at`, and its standard deviation, after the measurements `y` at `x`.
fn predict(process: &Process, x: &Tensor, y: &Tensor, at: &Tensor) -> (Tensor, Tensor) {
    let factor = process.covariance(x).cholesky();
    let white = factor.solve_lower(y);
    let one = |at: &Tensor| {
        let between = vmap(|x: &Tensor| process.signal(x, at), 0)(x);
        let known = factor.solve_lower(&between);
        let variance = process.signal(at, at) - known.dot(&known);
        (known.dot(&white), variance.maximum(0.0).sqrt())
    };
    vmap(one, 0)(at)
}
// ANCHOR_END: predict

// ANCHOR: argmin
/// A function of vectors, as `argmin` wants it.
struct Problem<F> {
    /// The value and the gradient.
    evaluate: F,
}

impl<F: Fn(&[f64]) -> unloop::Result<(f64, Vec<f64>)>> CostFunction for Problem<F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, Error> {
        let (value, _) = (self.evaluate)(at)?;
        // Without a factor there is no likelihood. An infinite cost makes the line search take a shorter
        // step; NaN would end it.
        Ok(if value.is_nan() { f64::INFINITY } else { value })
    }
}

impl<F: Fn(&[f64]) -> unloop::Result<(f64, Vec<f64>)>> Gradient for Problem<F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.evaluate)(at)?.1)
    }
}
// ANCHOR_END: argmin

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = Tensor::linspace(0.0, 10.0, 80);
    let y = (1.3 * &x).sin() + 0.2 * random::normal(&random::key(0), DType::F64, 80);
    let start = Process {
        amplitude: Tensor::from(0.0),
        length: Tensor::from(0.0),
        noise: Tensor::from(-1.0),
    };
    let smooth = Process { noise: Tensor::from(-40.0), length: Tensor::from(9.0), ..start.clone() };
    let (x, y) = (&x, &y);
    let loss = |process: &Process| surprise(process, x, y);
    println!("at the start: {:.2}", loss(&start).item::<f64>()?);
    let definite = smooth.covariance(x).is_positive_definite().item::<bool>()?;
    println!("a covariance far away has a factor: {definite}, its likelihood is {}", loss(&smooth));

    // ANCHOR: vector
    // The tree as a vector, and the function of the vector.
    let (vector, unravel) = ravel(&start);
    let slope = jit(value_and_grad(|v: &Tensor| loss(&unravel(v))));
    let evaluate = |at: &[f64]| -> unloop::Result<(f64, Vec<f64>)> {
        let (value, gradient) = slope.try_call((&Tensor::from(at),))?;
        Ok((value.item()?, gradient.to_vec()?))
    };
    // ANCHOR_END: vector
    let search = BacktrackingLineSearch::new(ArmijoCondition::new(1e-4)?).rho(0.5)?;
    let solver = LBFGS::new(search, 10).with_tolerance_grad(1e-4)?;
    let result = Executor::new(Problem { evaluate }, solver)
        .configure(|state| state.param(vector.to_vec().unwrap_or_default()).max_iters(200))
        .run()?;
    let best = result.state().get_best_param().ok_or("nothing was found")?;
    let by_argmin = unravel(&Tensor::from(&best[..]));

    // ANCHOR: tree
    // The same without a vector.
    let fit = jit(|start: &Process| Lbfgs::new().tolerance(1e-4).minimize(loss, start));
    let (by_tree, state) = fit.try_call((&start,))?;

    // ANCHOR_END: tree
    for (name, found) in [("argmin", &by_argmin), ("optim::Lbfgs", &by_tree)] {
        let number = |x: &Tensor| x.exp().item::<f64>();
        println!(
            "by {name:12}: {:.4} with amplitude {:.4}, length {:.4}, noise {:.4}",
            loss(found).item::<f64>()?,
            number(&found.amplitude)?,
            number(&found.length)?,
            number(&found.noise)?
        );
    }
    println!(
        "argmin took {} steps, optim::Lbfgs {}",
        result.state().get_iter(),
        state.step.item::<i64>()?
    );
    let gap = (loss(&by_argmin) - loss(&by_tree)).abs().item::<f64>()?;
    if let Some(path) = picture::asked() {
        draw(&path, &by_tree, x, y)?;
    }
    if gap < 1e-4 { Ok(()) } else { Err(format!("the minima differ by {gap}").into()) }
}

fn draw(path: &std::path::Path, found: &Process, x: &Tensor, y: &Tensor) -> picture::Result<()> {
    let at = Tensor::linspace(-1.0, 11.0, 241);
    let (middle, spread) = predict(found, x, y, &at);
    let [low, high] = [&middle - 2.0 * &spread, &middle + 2.0 * &spread];
    let [low, high] = [low.to_vec::<f64>()?, high.to_vec::<f64>()?];
    let (at, middle) = (at.to_vec::<f64>()?, middle.to_vec::<f64>()?);
    picture::draw(path, (640, 360), |area| {
        let (xs, ys) = (("x", -1.0..11.0), ("y", -2.5..2.5));
        let title = "Measurements, the signal, and two standard deviations";
        let mut chart = picture::chart(area, title, xs, ys)?;
        picture::band(&mut chart, &at, &low, &high, picture::FOUND)?;
        picture::line(&mut chart, &at, &middle, picture::FOUND, "")?;
        picture::dots(&mut chart, &x.to_vec::<f64>()?, &y.to_vec::<f64>()?, picture::GIVEN, "")
    })
}
