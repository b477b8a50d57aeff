//! Follows many moving things that are seen by distance and direction only: an extended Kalman filter,
//! written for one track, lifted over all of them. How noisy motion and sight are is found by the
//! gradient of the likelihood. `cargo run --release --example tracks [picture.svg]`

use std::time::Instant;

use unloop::optim::Lbfgs;
use unloop::prelude::*;
use unloop::random::{self, Key};
use unloop_examples::picture;

// ANCHOR: model
/// Where it is a second later: the state is a place and a velocity.
fn motion(state: &Tensor) -> Tensor {
    let [x, y, vx, vy] = state.unstack_array();
    Tensor::from([x + &vx, y + &vy, vx, vy])
}

/// What is seen of a state: distance and direction.
fn sight(state: &Tensor) -> Tensor {
    let [x, y, _, _] = state.unstack_array();
    Tensor::from([x.hypot(&y), y.atan2(&x)])
}
// ANCHOR_END: model

/// Logarithms of standard deviations.
#[derive(Tree, Clone, Debug)]
struct Noise {
    /// Of the velocity, a second.
    motion: Tensor,
    /// Of a distance.
    distance: Tensor,
    /// Of a direction, in radians.
    direction: Tensor,
}

// ANCHOR: follow
/// The states of one track, one a row of what was seen, and the logarithm of the likelihood of that.
fn follow(noise: &Noise, start: &Tensor, seen: &Tensor) -> (Tensor, Tensor) {
    let drift = noise.motion.exp().square() * Tensor::from([0.0, 0.0, 1.0, 1.0]).diag(0);
    let blur = Tensor::from([noise.distance.exp().square(), noise.direction.exp().square()]);
    let step = |(state, covariance): &(Tensor, Tensor), seen: &Tensor| {
        // What is expected.
        let next = jacfwd(motion)(state);
        let state = motion(state);
        let covariance = next.matmul(covariance).matmul(&next.t()) + &drift;
        // What is seen instead.
        let view = jacfwd(sight)(&state);
        let spread = view.matmul(&covariance).matmul(&view.t()) + blur.diag(0);
        let gap = seen - sight(&state);
        let gain = spread.solve(&view.matmul(&covariance)).t();
        let factor = spread.cholesky();
        let white = factor.solve_lower(&gap);
        let likelihood = -0.5 * white.dot(&white) - factor.diagonal(0).log().sum();
        let state = state + gain.matmul(&gap);
        let covariance = &covariance - gain.matmul(&view).matmul(&covariance);
        ((state.clone(), covariance), (state, likelihood))
    };
    let unsure = Tensor::eye(DType::F64, 4);
    let (_, (states, likelihood)) = scan(step, &(start.clone(), unsure), seen);
    (states, likelihood.sum())
}
// ANCHOR_END: follow

/// A track that moves as is supposed: its states, and what is seen of them.
fn simulate(key: &Key, noise: &Noise, start: &Tensor, seconds: usize) -> (Tensor, Tensor) {
    let [drift, blur] = random::split(key);
    let drift = random::normal(&drift, DType::F64, [seconds, 4]);
    let blur = random::normal(&blur, DType::F64, [seconds, 2]);
    let size = noise.motion.exp() * Tensor::from([0.0, 0.0, 1.0, 1.0]);
    let sharp = Tensor::from([noise.distance.exp(), noise.direction.exp()]);
    let step = |state: &Tensor, (drift, blur): &(Tensor, Tensor)| {
        let state = motion(state) + drift * &size;
        let seen = sight(&state) + blur * &sharp;
        (state.clone(), (state, seen))
    };
    scan(step, start, &(drift, blur)).1
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (count, seconds) = (1000, 60);
    let log = |x: f64| Tensor::from(x.ln());
    let truth = Noise { motion: log(0.05), distance: log(0.3), direction: log(0.01) };
    let keys = random::split_stack(&random::key(1), count);
    let starts = Tensor::from([20.0, 10.0, -0.3, 0.4]);
    let one = |key: &Key, noise: &Noise, start: &Tensor| simulate(key, noise, start, seconds);
    let (states, seen) = vmap(one, (0, Shared, Shared)).try_call((&keys, &truth, &starts))?;

    // ANCHOR: fit
    let follow_all = vmap(follow, (Shared, Shared, 0));
    let guess = Noise { motion: log(0.5), distance: log(1.0), direction: log(0.1) };
    // A part of the tracks tells the noise.
    let some = seen.at((..100, .., ..));
    let surprise = |noise: &Noise| -follow_all(noise, &starts, &some).1.mean();
    let fit = jit(|guess: &Noise| Lbfgs::new().steps(40).tolerance(1e-3).minimize(surprise, guess));
    let begin = Instant::now();
    let (found, state) = fit.try_call((&guess,))?;
    // ANCHOR_END: fit
    println!("noise from 100 tracks in {:.1?}, {} steps", begin.elapsed(), state.step);
    let mut right = true;
    let pairs = [
        ("motion", &found.motion, &truth.motion),
        ("distance", &found.distance, &truth.distance),
        ("direction", &found.direction, &truth.direction),
    ];
    for (name, found, truth) in pairs {
        let (found, truth) = (found.exp().item::<f64>()?, truth.exp().item::<f64>()?);
        println!("  {name:9} {found:.4}, is {truth}");
        right &= (found / truth).ln().abs() < 0.2;
    }

    let fast = jit(&follow_all);
    fast.try_call((&found, &starts, &seen))?;
    let begin = Instant::now();
    let (followed, _) = fast.try_call((&found, &starts, &seen))?;
    println!("{count} tracks of {seconds} seconds in {:.1?}", begin.elapsed());

    // Places from single sights, and from the filter, beside the true ones.
    let place = |s: &Tensor| s.at((.., .., ..2));
    let (distance, direction) = (seen.at((.., .., 0)), seen.at((.., .., 1)));
    let once = Tensor::stack(&[&(&distance * direction.cos()), &(&distance * direction.sin())], 2);
    let error = |x: &Tensor| (x - place(&states)).square().mean().sqrt().item::<f64>();
    let (single, filtered) = (error(&once)?, error(&place(&followed))?);
    println!("places are off by {single:.3} when seen once, by {filtered:.3} when followed");
    right &= filtered < 0.75 * single;
    if let Some(path) = picture::asked() {
        draw(&path, &states, &once, &followed)?;
    }
    if right { Ok(()) } else { Err("the filter does not find the noise or the places".into()) }
}

/// One track: where it was, where it was seen, where the filter has it.
fn draw(
    path: &std::path::Path,
    states: &Tensor,
    seen: &Tensor,
    followed: &Tensor,
) -> picture::Result<()> {
    let [states, seen, followed] = [states, seen, followed].map(|all| {
        let of = |axis: i64| all.at((3, .., axis)).to_vec::<f64>();
        (of(0), of(1))
    });
    picture::draw(path, (640, 420), |area| {
        let (xs, ys) = (("x", -20.0..24.0), ("y", 5.0..55.0));
        let mut chart = picture::chart(area, "One of a thousand tracks", xs, ys)?;
        picture::dots(&mut chart, &seen.0?, &seen.1?, picture::GIVEN, "seen")?;
        picture::line(&mut chart, &states.0?, &states.1?, picture::OTHER, "true")?;
        picture::line(&mut chart, &followed.0?, &followed.1?, picture::FOUND, "followed")?;
        picture::legend(&mut chart, plotters::prelude::SeriesLabelPosition::UpperRight)
    })
}
