//! A regression of counts with an intercept for each group and slopes for all: a Poisson model, fitted by
//! Newton's method, and how sure its numbers are, by fitting it again to hundreds of reweighted data (the
//! Bayesian bootstrap; Rubin, 1981). The fit is written once; `vmap` makes all of them.
//! `cargo run --release --example groups [picture.svg]`

use std::time::Instant;

use unloop::prelude::*;
use unloop::random;
use unloop::ravel;
use unloop_examples::picture;

// ANCHOR: model
#[derive(Tree, Clone, Debug)]
struct Model {
    /// One a group.
    intercepts: Tensor,
    /// One a feature.
    slopes: Tensor,
}

/// The logarithm of the expected count of each row.
fn log_rate(model: &Model, group: &Tensor, x: &Tensor) -> Tensor {
    each(|[i]| model.intercepts.at(group.at(i))) + x.matmul(&model.slopes)
}

/// Minus the weighted logarithm of the likelihood, up to a constant.
fn surprise(model: &Model, (group, x, y): (&Tensor, &Tensor, &Tensor), weight: &Tensor) -> Tensor {
    let log_rate = log_rate(model, group, x);
    (weight * (log_rate.exp() - y * log_rate)).sum()
}
// ANCHOR_END: model

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rows, groups, features, again) = (600, 6, 2, 400);
    let [of_x, of_y, of_weights] = random::split(&random::key(2));
    let group = Tensor::iota(DType::I64, rows, 0) % groups as i64;
    let x = random::normal(&of_x, DType::F64, [rows, features]);
    let truth = Model {
        intercepts: Tensor::linspace(-0.5, 1.0, groups),
        slopes: Tensor::from([0.4, -0.3]),
    };
    let y = random::poisson(&of_y, log_rate(&truth, &group, &x).exp(), rows).cast(DType::F64);

    let start = truth.map_leaves(Tensor::zeros_like);
    let (vector, unravel) = ravel(&start);
    // ANCHOR: fit
    // Newton's method on the parameters as one vector.
    let fit = |weight: &Tensor| {
        let loss = |v: &Tensor| surprise(&unravel(v), (&group, &x, &y), weight);
        let step = |_: &Tensor, v: &Tensor| v - hessian(loss)(v).solve(&grad(loss)(v));
        fori_loop(8, step, &vector)
    };
    // ANCHOR_END: fit
    let fit = jit(fit);
    let ones = Tensor::ones(DType::F64, rows);
    let found = fit.try_call((&ones,))?;
    let loss = |v: &Tensor| surprise(&unravel(v), (&group, &x, &y), &ones);
    let slope = grad(loss)(&found).abs().max().item::<f64>()?;

    // ANCHOR: again
    let weights = random::exponential(&of_weights, DType::F64, [again, rows]);
    let fit_all = jit(vmap(&fit, 0));
    let begin = Instant::now();
    let all = fit_all.try_call((&weights,))?;
    // ANCHOR_END: again
    println!("{again} fits of {rows} rows in {:.1?}", begin.elapsed());

    // Spreads by the bootstrap, and by the curvature of the likelihood.
    let spread = all.std_axis(0).to_vec::<f64>()?;
    let curvature = hessian(loss)(&found).inv().diagonal(0).sqrt().to_vec::<f64>()?;
    let (found, truth) = (found.to_vec::<f64>()?, ravel(&truth).0.to_vec::<f64>()?);
    let mut far = 0;
    println!("found ± bootstrap (± curvature), is");
    for i in 0..found.len() {
        println!("{:6.3} ± {:.3} (± {:.3}), {:6.3}", found[i], spread[i], curvature[i], truth[i]);
        far += usize::from((found[i] - truth[i]).abs() > 4.0 * spread[i]);
    }
    if let Some(path) = picture::asked() {
        draw(&path, &all, &truth)?;
    }
    let like = spread.iter().zip(&curvature).all(|(a, b)| (a / b).ln().abs() < 0.4);
    if far == 0 && like && slope < 1e-6 { Ok(()) } else { Err("the fit is not right".into()) }
}

/// A quarter of the fits to reweighted data, parameter by parameter, and the true values.
fn draw(path: &std::path::Path, all: &Tensor, truth: &[f64]) -> picture::Result<()> {
    picture::draw(path, (640, 360), |area| {
        let (xs, ys) = (("six intercepts, two slopes", -0.5..7.5), ("value", -1.2..1.6));
        let mut chart = picture::chart(area, "A hundred of the fits, and the truth", xs, ys)?;
        for (number, value) in truth.iter().enumerate() {
            let found = all.at((strided(.., 4), number as i64)).to_vec::<f64>()?;
            let spread = |n: usize| number as f64 + 0.3 * ((n * 37 % 101) as f64 / 50.0 - 1.0);
            let across: Vec<f64> = (0..found.len()).map(spread).collect();
            picture::dots(&mut chart, &across, &found, picture::GIVEN, "")?;
            let ends = [number as f64 - 0.4, number as f64 + 0.4];
            picture::line(&mut chart, &ends, &[*value; 2], picture::OTHER, "")?;
        }
        Ok(())
    })
}
