//! Learns the law of a motion from what is seen of it (Chen et al., 2018, "Neural ordinary differential
//! equations"): a small network gives the velocity at each state, a solver follows it, and the gradient goes
//! through the solver. Two species, hunters and hunted (Lotka and Volterra), make the data; the learnt law is
//! tried on starts that it has not seen. `cargo run --release --example orbit [picture.svg]`

use std::time::Instant;

use unloop::nn::Linear;
use unloop::optim::{Adam, Schedule};
use unloop::prelude::*;
use unloop::random;
use unloop_examples::picture;

/// The time between two sights, which is a step of the solver, too.
const BETWEEN: f64 = 0.25;

// ANCHOR: law
/// The true law: how two populations change, each of them in its own unit.
fn nature(state: &Tensor) -> Tensor {
    let [hunted, hunters] = state.unstack_array();
    let meetings = &hunted * &hunters;
    Tensor::from([&hunted - &meetings, meetings - hunters])
}

/// A law that is learnt.
#[derive(Tree, Clone, Debug)]
struct Law {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Law {
    fn new(seed: i64) -> Law {
        let [first, second, last] = random::split(&random::key(seed));
        let linear = |key, inputs, outputs| Linear::new(key, DType::F64, inputs, outputs);
        Law {
            first: linear(&first, 2, 24),
            second: linear(&second, 24, 24),
            last: linear(&last, 24, 2),
        }
    }

    fn velocity(&self, state: &Tensor) -> Tensor {
        let hidden = self.second.call(&self.first.call(state).tanh()).tanh();
        self.last.call(&hidden)
    }
}
// ANCHOR_END: law

// ANCHOR: solver
/// The state a time `dt` later: the method of Runge and Kutta of order four.
fn advance(velocity: impl Fn(&Tensor) -> Tensor, state: &Tensor, dt: f64) -> Tensor {
    let k1 = velocity(state);
    let k2 = velocity(&(state + &k1 * (dt / 2.0)));
    let k3 = velocity(&(state + &k2 * (dt / 2.0)));
    let k4 = velocity(&(state + &k3 * dt));
    state + (k1 + 2.0 * k2 + 2.0 * k3 + k4) * (dt / 6.0)
}

/// The states at some sights, one a row, from one start on.
fn follow(velocity: impl Fn(&Tensor) -> Tensor, start: &Tensor, sights: usize) -> Tensor {
    let next = |state: &Tensor| (advance(&velocity, state, BETWEEN), state.clone());
    unloop::scan_times(sights, next, start).1
}
// ANCHOR_END: solver

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [of_starts, of_noise] = random::split(&random::key(4));
    let (count, sights) = (16, 24);
    let starts = random::uniform_between(&of_starts, 0.4, 2.0, [count, 2]);
    let truth = vmap(|start: &Tensor| follow(nature, start, sights), 0)(&starts);
    let seen = &truth + 0.01 * random::normal(&of_noise, DType::F64, truth.shape());

    // ANCHOR: loss
    // Each series is cut into short pieces: a law that is still wrong goes astray on long ones.
    let piece = 6;
    let pieces = seen.reshape([count * sights / piece, piece, 2]);
    let miss = |law: &Law, piece_seen: &Tensor| {
        let start = piece_seen.at((0, ..));
        (follow(|s: &Tensor| law.velocity(s), &start, piece) - piece_seen).square().mean()
    };
    let loss = |law: &Law| vmap(miss, (Shared, 0))(law, &pieces).mean();
    // ANCHOR_END: loss

    // ANCHOR: train
    let steps = 600;
    let adam = Adam::new(Schedule::cosine(3e-2, 0.0, steps));
    let train = jit(|law: &Law| {
        let step = |(law, state): &(Law, _)| {
            let (loss, gradient) = value_and_grad(loss)(law);
            (adam.update(&gradient, state, law), loss)
        };
        let ((law, _), losses) = unloop::scan_times(steps, step, &(law.clone(), adam.init(law)));
        (law, losses)
    });
    let begin = Instant::now();
    let (law, losses) = train.try_call((&Law::new(1),))?;
    // ANCHOR_END: train
    let root = |x: Tensor| x.sqrt().item::<f64>();
    println!(
        "{steps} steps in {:.1?}: off by {:.3} at first, by {:.4} at last (the noise is 0.01)",
        begin.elapsed(),
        root(losses.at(0))?,
        root(losses.at(-1))?
    );

    // Other starts, four times as long as the pieces that were learnt from.
    let tests = Tensor::from([[0.8, 1.0], [0.6, 1.1], [1.5, 0.6], [0.9, 1.8]]);
    let expected = vmap(|s: &Tensor| follow(nature, s, sights), 0)(&tests);
    let by_law = |law: &Law, s: &Tensor| follow(|s: &Tensor| law.velocity(s), s, sights);
    let found = vmap(by_law, (Shared, 0)).try_call((&law, &tests))?;
    let error = root((&found - &expected).square().mean())?;
    println!("from other starts, {sights} sights ahead: off by {error:.3}");
    if let Some(path) = picture::asked() {
        draw(&path, &seen, &expected, &found)?;
    }
    if error < 0.05 { Ok(()) } else { Err("the law is not learnt".into()) }
}

fn draw(
    path: &std::path::Path,
    seen: &Tensor,
    expected: &Tensor,
    found: &Tensor,
) -> picture::Result<()> {
    let part = |x: &Tensor, n: i64, which: i64| x.at((n, .., which)).to_vec::<f64>();
    picture::draw(path, (640, 420), |area| {
        let title = "Hunters and hunted: what was seen, and the law that was learnt";
        let axes = [("hunted", 0.2..2.6), ("hunters", 0.2..2.6)];
        let [x, y] = axes;
        let mut chart = picture::chart(area, title, x, y)?;
        let (x, y) = (seen.at((.., .., 0)), seen.at((.., .., 1)));
        let (x, y) = (x.to_vec::<f64>()?, y.to_vec::<f64>()?);
        picture::dots(&mut chart, &x, &y, picture::GIVEN, "seen")?;
        for n in 0..4 {
            let names = if n == 0 { ["true, new starts", "learnt"] } else { ["", ""] };
            let lines = [(expected, picture::OTHER), (found, picture::FOUND)];
            for ((states, color), name) in lines.into_iter().zip(names) {
                let (x, y) = (part(states, n, 0)?, part(states, n, 1)?);
                picture::line(&mut chart, &x, &y, color, name)?;
            }
        }
        picture::legend(&mut chart, plotters::prelude::SeriesLabelPosition::UpperRight)
    })
}
