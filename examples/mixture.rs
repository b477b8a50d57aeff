//! A mixture of Gaussians, fitted to Fisher's irises by expectation and maximisation (Dempster, Laird and
//! Rubin, 1977), from many starts at once: density of one point under one component, update of one component,
//! one fit; `vmap` makes all of them. The species, which the fit does not see, tell how well it does.
//! `cargo run --release --example mixture [picture.svg]`

use std::f64::consts::TAU;
use std::time::Instant;

use unloop::prelude::*;
use unloop::random::{self, Key};
use unloop_examples::picture;

/// How many components there are.
const COUNT: usize = 3;

// ANCHOR: model
/// One component, or, stacked along axis 0, all of them.
#[derive(Tree, Clone, Debug)]
struct Component {
    /// The logarithm of its share.
    share: Tensor,
    mean: Tensor,
    covariance: Tensor,
}

/// The logarithm of the share times the density of one component at one point.
fn log_density(component: &Component, x: &Tensor) -> Tensor {
    let factor = component.covariance.cholesky();
    let white = factor.solve_lower(&(x - &component.mean));
    let volume = factor.diagonal(0).log().sum() + 0.5 * (x.size() as f64) * TAU.ln();
    &component.share - white.dot(&white) / 2.0 - volume
}

/// The same for all points and all components: points × components.
fn log_densities(all: &Component, x: &Tensor) -> Tensor {
    vmap(vmap(log_density, (0, Shared)), (Shared, 0))(all, x)
}

/// The logarithm of the likelihood of all points.
fn likelihood(all: &Component, x: &Tensor) -> Tensor {
    log_densities(all, x).logsumexp(1).sum()
}
// ANCHOR_END: model

// ANCHOR: step
/// The component that fits best to points that belong to it to the degrees `part`.
fn refit(part: &Tensor, x: &Tensor) -> Component {
    let total = part.sum();
    let mean = part.matmul(x) / &total;
    let spread = |part: &Tensor, x: &Tensor| {
        let gap = x - &mean;
        part * gap.outer(&gap)
    };
    let covariance = vmap(spread, (0, 0))(part, x).sum_axis(0) / &total;
    let jitter = Tensor::eye(DType::F64, x.shape()[1]) * 1e-6;
    let share = (total / x.shape()[0] as f64).log();
    Component { share, mean, covariance: covariance + jitter }
}

/// Expectation and maximisation: to which components points belong, then what fits to that.
fn improve(all: &Component, x: &Tensor) -> Component {
    let belongs = log_densities(all, x).softmax(1);
    vmap(refit, (1, Shared))(&belongs, x)
}
// ANCHOR_END: step

// ANCHOR: fit
/// A fit from random points as means; ends when the likelihood stays. Also its likelihood and its steps.
fn fit(key: &Key, x: &Tensor) -> (Component, Tensor, Tensor) {
    let points = x.shape()[0];
    let share = Tensor::full(COUNT, -(COUNT as f64).ln());
    let mean = x.take(&random::choice_without_replacement(key, points, COUNT), 0);
    let spread = x.t().covariance();
    let covariance = spread.expand_dims(0).repeat(COUNT, 0);
    let start = Component { share, mean, covariance };
    type State = (Component, Tensor, Tensor, Tensor);
    let moves = |(_, before, now, steps): &State| (now - before).greater(1e-9) & steps.less(2000);
    let step = |(all, _, now, steps): &State| {
        let all = improve(all, x);
        let then = likelihood(&all, x);
        (all, now.clone(), then, steps + 1)
    };
    let first = likelihood(&start, x);
    let begin = (start, Tensor::from(f64::NEG_INFINITY), first, Tensor::from(0));
    let (all, _, value, steps) = while_loop(moves, step, &begin);
    (all, value, steps)
}
// ANCHOR_END: fit

/// The measurements of flowers, and their species.
fn load() -> Result<(Tensor, Vec<i64>), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv");
    let (mut rows, mut species) = (Vec::new(), Vec::new());
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let numbers: Vec<f64> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let Some((label, row)) = numbers.split_last() else { continue };
        rows.extend_from_slice(row);
        species.push(*label as i64);
    }
    Ok((Tensor::from_vec([species.len(), rows.len() / species.len()], rows), species))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (x, species) = load()?;
    // ANCHOR: all
    let starts = 20;
    let fit_all = jit(vmap(fit, (0, Shared)));
    let keys = random::split_stack(&random::key(0), starts);
    let begin = Instant::now();
    let (fits, values, steps) = fit_all.try_call((&keys, &x))?;
    println!(
        "{starts} fits in {:.1?}, of {} to {} steps",
        begin.elapsed(),
        steps.min(),
        steps.max()
    );
    let best = values.argmax();
    let found = fits.map_leaves(|leaf| leaf.take(&best, 0));
    // ANCHOR_END: all
    let value = likelihood(&found, &x).item::<f64>()?;
    println!("log-likelihoods from {:.2} to {:.2}", values.min(), values.max());

    // ANCHOR: check
    // At the end of the road the likelihood is level: a gradient says so, though no step used one.
    let slope = grad(likelihood)(&found, &x);
    let slope = slope.mean.abs().max().item::<f64>()?;
    // ANCHOR_END: check
    println!("the slope in the means is {slope:.0e} at most");

    let belongs = log_densities(&found, &x).argmax_axis(1).to_vec::<i64>()?;
    // Components have no names: each takes the species that most of its flowers have.
    let mut counts = [[0; 3]; COUNT];
    for (&part, &kind) in belongs.iter().zip(&species) {
        counts[part as usize][kind as usize] += 1;
    }
    let right: usize = counts.iter().filter_map(|row| row.iter().max()).sum();
    println!("{right} of {} flowers are with their species", species.len());
    if let Some(path) = picture::asked() {
        draw(&path, &x, &belongs, &found)?;
    }
    // The known optimum of this model on these data.
    let expected = (value + 180.19).abs() < 0.2 && right == 145 && slope < 1e-2;
    if expected { Ok(()) } else { Err("the fit is not the known one".into()) }
}

fn draw(
    path: &std::path::Path,
    x: &Tensor,
    belongs: &[i64],
    found: &Component,
) -> picture::Result<()> {
    let columns = [2, 3];
    let column = |c: i64| x.at((.., c)).to_vec::<f64>();
    let (across, up) = (column(columns[0])?, column(columns[1])?);
    let turn = Tensor::linspace(0.0, TAU, 90);
    picture::draw(path, (640, 420), |area| {
        let title = "Irises, and three Gaussians (two standard deviations)";
        let (xs, ys) = (("petal length, cm", 0.5..7.5), ("petal width, cm", -0.2..3.0));
        let mut chart = picture::chart(area, title, xs, ys)?;
        let colors = [picture::FOUND, picture::OTHER, picture::THIRD];
        for (part, color) in colors.into_iter().enumerate() {
            let mine: Vec<usize> =
                (0..belongs.len()).filter(|&i| belongs[i] == part as i64).collect();
            let of = |all: &[f64]| mine.iter().map(|&i| all[i]).collect::<Vec<f64>>();
            picture::dots(&mut chart, &of(&across), &of(&up), color, "")?;
            // The ellipse of two coordinates: a circle through the factor of their covariance.
            let part = part as i64;
            let factor = found.covariance.at((part, 2.., 2..)).cholesky();
            let circle = Tensor::stack(&[&turn.cos(), &turn.sin()], 0) * 2.0;
            let ellipse = factor.matmul(&circle);
            let middle = found.mean.at((part, 2..));
            let edge = |c: i64| (ellipse.at((c, ..)) + middle.at(c)).to_vec::<f64>();
            picture::line(&mut chart, &edge(0)?, &edge(1)?, color, "")?;
        }
        Ok(())
    })
}
