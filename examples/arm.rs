//! Inverse kinematics: the angles of an arm of three links whose hand is at a point, for thousands of
//! points at once. Written for one point: damped least squares (Wampler, 1986) with a Jacobian from
//! `jacfwd`, in a loop that ends when the hand is there. `cargo run --release --example arm [picture.svg]`

use std::time::Instant;

use unloop::prelude::*;
use unloop::random;
use unloop_examples::picture;

// ANCHOR: hand
/// Where the hand is. Each link turns from the one before.
fn hand(angles: &Tensor, lengths: &Tensor) -> Tensor {
    let heading = angles.cumsum(0);
    Tensor::from([(lengths * heading.cos()).sum(), (lengths * heading.sin()).sum()])
}
// ANCHOR_END: hand

// ANCHOR: reach
/// Angles that bring the hand to a point, and the steps that it took.
fn reach(point: &Tensor, lengths: &Tensor) -> (Tensor, Tensor) {
    let is_far = |(angles, steps): &(Tensor, Tensor)| {
        (point - hand(angles, lengths)).norm().greater(1e-9) & steps.less(100)
    };
    let step = |(angles, steps): &(Tensor, Tensor)| {
        let gap = point - hand(angles, lengths);
        let slope = jacfwd(|a: &Tensor| hand(a, lengths))(angles);
        // Damped, so that a stretched arm, which has no inverse, moves too.
        let damped = slope.matmul(&slope.t()) + Tensor::eye(DType::F64, 2) * 1e-2;
        (angles + slope.t().matmul(&damped.solve(&gap)), steps + 1)
    };
    let start = (Tensor::from([0.3, 0.6, 0.6]), Tensor::from(0i64));
    while_loop(is_far, step, &start)
}
// ANCHOR_END: reach

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lengths = Tensor::from([1.0, 0.8, 0.5]);
    let count = 10_000;
    let [radius, angle] = random::split(&random::key(0));
    let radius = random::uniform_between(&radius, 0.5, 2.0, count);
    let angle = random::uniform_between(&angle, -1.5, 1.5, count);
    let points = Tensor::stack(&[&(&radius * angle.cos()), &(&radius * angle.sin())], 1);

    // ANCHOR: all
    let reach_all = jit(vmap(reach, (0, Shared)));
    reach_all.try_call((&points, &lengths))?;
    // ANCHOR_END: all
    let start = Instant::now();
    let (angles, steps) = reach_all.try_call((&points, &lengths))?;
    let time = start.elapsed();

    let hands = vmap(hand, (0, Shared))(&angles, &lengths);
    let missed = vmap(Tensor::norm, 0)(&(hands - &points));
    let near = missed.less(1e-8).count_nonzero().item::<i64>()?; // NaN is not near
    let late = count - near as usize;
    println!("{count} points in {time:.1?}, at most {} steps", steps.max());
    let most = missed.max().item::<f64>()?;
    println!("the hand misses by {most:.1e} at most, {late} points were not reached");
    // ANCHOR: slope
    // By how much the angles change if the point moves: the derivative of the whole loop.
    let slope = jacfwd(|p: &Tensor| reach(p, &lengths).0)(&points.at((0, ..)));
    println!("the angles move by\n{slope}\nwith the first point");
    // ANCHOR_END: slope
    if let Some(path) = picture::asked() {
        draw(&path, &points, &angles, &lengths)?;
    }
    if late == 0 { Ok(()) } else { Err("some points were not reached".into()) }
}

/// Some of the points, with the arms that reach them.
fn draw(
    path: &std::path::Path,
    points: &Tensor,
    angles: &Tensor,
    lengths: &Tensor,
) -> picture::Result<()> {
    let joints = |angles: &Tensor| {
        let heading = angles.cumsum(0);
        let x = (lengths * heading.cos()).cumsum(0).pad(&[(1, 0)], 0.0);
        let y = (lengths * heading.sin()).cumsum(0).pad(&[(1, 0)], 0.0);
        (x, y)
    };
    let some: i32 = 12;
    let (x, y) = vmap(joints, 0)(&angles.at((..some, ..)));
    picture::draw(path, (560, 480), |area| {
        let (xs, ys) = (("x", -0.6..2.2), ("y", -2.0..2.0));
        let mut chart = picture::chart(area, "Arms that reach twelve points", xs, ys)?;
        for n in 0..i64::from(some) {
            let (x, y) = (x.at((n, ..)).to_vec::<f64>()?, y.at((n, ..)).to_vec::<f64>()?);
            picture::line(&mut chart, &x, &y, picture::FOUND, "")?;
            picture::dots(&mut chart, &x, &y, picture::FOUND, "")?;
            let point = points.at((n, ..)).to_vec::<f64>()?;
            picture::dots(&mut chart, &point[..1], &point[1..], picture::OTHER, "")?;
        }
        Ok(())
    })
}
