//! Grids whose points see their neighbours, a hundred steps of each: heat, and the game of life.

use unloop::prelude::*;

use crate::{Row, unary};

const STEPS: usize = 100;

/// Heat after a step at a point, from itself and its eight neighbours.
fn nine(at: impl Fn(i32, i32) -> Tensor) -> Tensor {
    let sides = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1);
    let corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1);
    let here = at(0, 0);
    &here + 0.1 / 6.0 * (4.0 * sides + corners - 20.0 * &here)
}

/// The edges stay as they are.
fn heat_slices(x: &Tensor) -> Tensor {
    let n = x.shape()[0] as i32 - 1;
    let step = |_: &Tensor, x: &Tensor| {
        let inside = nine(|i, j| x.at((1 + i..n + i, 1 + j..n + j)));
        x.set((1..n, 1..n), &inside)
    };
    fori_loop(STEPS, step, x)
}

/// What leaves at one edge comes in at the other.
fn heat_roll(x: &Tensor) -> Tensor {
    let step = |_: &Tensor, x: &Tensor| nine(|i, j| x.roll(i64::from(i), 0).roll(i64::from(j), 1));
    fori_loop(STEPS, step, x)
}

/// As by slices.
fn heat_each(x: &Tensor) -> Tensor {
    let n = x.shape()[0] - 1;
    let step = |_: &Tensor, x: &Tensor| {
        let inside = each_to([n - 1, n - 1], |[r, c]| {
            nine(|i, j| x.at((r.value() + (1 + i), c.value() + (1 + j))))
        });
        x.set((1..n, 1..n), &inside)
    };
    fori_loop(STEPS, step, x)
}

/// In three dimensions, with six neighbours.
fn heat_space(x: &Tensor) -> Tensor {
    let n = x.shape()[0] as i32 - 1;
    let step = |_: &Tensor, x: &Tensor| {
        let at = |i, j, k| x.at((1 + i..n + i, 1 + j..n + j, 1 + k..n + k));
        let here = at(0, 0, 0);
        let around =
            at(-1, 0, 0) + at(1, 0, 0) + at(0, -1, 0) + at(0, 1, 0) + at(0, 0, -1) + at(0, 0, 1);
        x.set((1..n, 1..n, 1..n), &here + 0.1 * (around - 6.0 * &here))
    };
    fori_loop(STEPS, step, x)
}

/// How many of the eight neighbours live.
fn neighbours(x: &Tensor) -> Tensor {
    let three = x + x.roll(1, 0) + x.roll(-1, 0);
    &three + three.roll(1, 1) + three.roll(-1, 1) - x
}

/// Of zeros and ones.
fn life(x: &Tensor) -> Tensor {
    let step = |_: &Tensor, x: &Tensor| {
        let count = neighbours(x);
        (count.equal(3) | (count.equal(2) & x.equal(1))).cast(DType::I32)
    };
    fori_loop(STEPS, step, x)
}

/// Of truth values.
fn life_bool(x: &Tensor) -> Tensor {
    let step = |_: &Tensor, alive: &Tensor| {
        let count = neighbours(&alive.cast(DType::I32));
        count.equal(3) | (alive & count.equal(2))
    };
    fori_loop(STEPS, step, &x.equal(1))
}

/// Rows 28 and 38.
pub(crate) fn rows() -> Vec<Row> {
    use DType::{F32, I32};
    vec![
        unary("28 slices", F32, &[768, 768], heat_slices),
        unary("28 roll", F32, &[768, 768], heat_roll),
        unary("28 each", F32, &[768, 768], heat_each),
        unary("28 space", F32, &[96, 96, 96], heat_space),
        unary("38 i32", I32, &[1024, 1024], life),
        unary("38 bool", I32, &[1024, 1024], life_bool),
    ]
}
