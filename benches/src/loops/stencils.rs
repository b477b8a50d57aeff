//! Rows 28 and 38.

use std::ops::Add;

use rayon::prelude::*;

use crate::Row;

const STEPS: usize = 100;

pub(crate) const ROWS: &[Row] = &[
    ("28 slices", "f4", |x| vec![heat(x[0].f32()).into()]),
    ("28 roll", "f4", |x| vec![heat_around(x[0].f32()).into()]),
    ("28 each", "f4", |x| vec![heat(x[0].f32()).into()]),
    ("28 space", "f4", |x| vec![heat_space(x[0].f32()).into()]),
    ("38 i32", "i4", |x| vec![life(x[0].i32()).into()]),
    ("38 bool", "i4", |x| {
        let alive: Vec<u8> = x[0].i32().iter().map(|&x| x as u8).collect();
        vec![life(&alive).into_iter().map(i32::from).collect::<Vec<i32>>().into()]
    }),
];

/// A hundred steps between two arrays; `part` computes a row, or a plane, of the next from the last.
fn repeated<T: Copy + Send + Sync>(
    x: &[T],
    size: usize,
    part: impl Fn(usize, &[T], &mut [T]) + Sync,
) -> Vec<T> {
    let (mut now, mut next) = (x.to_vec(), x.to_vec());
    for _ in 0..STEPS {
        next.par_chunks_mut(size).enumerate().for_each(|(i, row)| part(i, &now, row));
        std::mem::swap(&mut now, &mut next);
    }
    now
}

fn nine(above: [f32; 3], here: [f32; 3], below: [f32; 3]) -> f32 {
    let sides = above[1] + below[1] + here[0] + here[2];
    let corners = above[0] + above[2] + below[0] + below[2];
    here[1] + 0.1 / 6.0 * (4.0 * sides + corners - 20.0 * here[1])
}

fn heat(x: &[f32]) -> Vec<f32> {
    const N: usize = 768;
    repeated(x, N, |i, x, next| {
        if i == 0 || i == N - 1 {
            return;
        }
        let [a, b, c] = [i - 1, i, i + 1].map(|i| &x[i * N..][..N]);
        for j in 1..N - 1 {
            let three = |x: &[f32]| [x[j - 1], x[j], x[j + 1]];
            next[j] = nine(three(a), three(b), three(c));
        }
    })
}

fn heat_around(x: &[f32]) -> Vec<f32> {
    const N: usize = 768;
    repeated(x, N, |i, x, next| {
        let [a, b, c] = [i + N - 1, i, i + 1].map(|i| &x[i % N * N..][..N]);
        for j in 1..N - 1 {
            let three = |x: &[f32]| [x[j - 1], x[j], x[j + 1]];
            next[j] = nine(three(a), three(b), three(c));
        }
        for j in [0, N - 1] {
            let three = |x: &[f32]| [x[(j + N - 1) % N], x[j], x[(j + 1) % N]];
            next[j] = nine(three(a), three(b), three(c));
        }
    })
}

fn heat_space(x: &[f32]) -> Vec<f32> {
    const N: usize = 96;
    repeated(x, N * N, |i, x, next| {
        if i == 0 || i == N - 1 {
            return;
        }
        for j in 1..N - 1 {
            let line = |i: usize, j: usize| &x[(i * N + j) * N..][..N];
            let (here, next) = (line(i, j), &mut next[j * N..][..N]);
            let (up, down, left, right) =
                (line(i - 1, j), line(i + 1, j), line(i, j - 1), line(i, j + 1));
            for k in 1..N - 1 {
                let around = up[k] + down[k] + left[k] + right[k] + here[k - 1] + here[k + 1];
                next[k] = here[k] + 0.1 * (around - 6.0 * here[k]);
            }
        }
    })
}

/// What a cell can be made of.
trait Cell: Copy + Send + Sync + PartialEq + From<bool> + From<u8> + Add<Output = Self> {}

impl Cell for i32 {}
impl Cell for u8 {}

fn cell<T: Cell>(above: [T; 3], here: [T; 3], below: [T; 3]) -> T {
    let sides = above[0] + above[1] + above[2] + below[0] + below[1] + below[2];
    let count = sides + here[0] + here[2];
    T::from((count == T::from(3u8)) | ((count == T::from(2u8)) & (here[1] == T::from(true))))
}

fn life<T: Cell>(x: &[T]) -> Vec<T> {
    const N: usize = 1024;
    repeated(x, N, |i, x, next| {
        let [a, b, c] = [i + N - 1, i, i + 1].map(|i| &x[i % N * N..][..N]);
        for j in 1..N - 1 {
            let three = |x: &[T]| [x[j - 1], x[j], x[j + 1]];
            next[j] = cell(three(a), three(b), three(c));
        }
        for j in [0, N - 1] {
            let three = |x: &[T]| [x[(j + N - 1) % N], x[j], x[(j + 1) % N]];
            next[j] = cell(three(a), three(b), three(c));
        }
    })
}
