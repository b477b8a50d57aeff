//! Loops along sequences: distances of words, shortest paths, filters.

use unloop::prelude::*;

use crate::{Row, program, unary};

/// How many letters to insert, delete or replace to get from one word to the other.
fn edit_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let n = b.size();
    let row = |above: &Tensor, letter: &Tensor| -> (Tensor, [Tensor; 0]) {
        let first = above.at(0) + 1;
        let entry = |left: &Tensor, (other, diagonal, up): &(Tensor, Tensor, Tensor)| {
            let replaced = diagonal + letter.not_equal(other).cast(DType::I32);
            let next = (left.minimum(up) + 1).minimum(replaced);
            (next.clone(), next)
        };
        let (_, rest) = scan(entry, &first, &(b.clone(), above.at(..n), above.at(1..)));
        (Tensor::concatenate(&[first.expand_dims(0), rest], 0), [])
    };
    scan(row, &Tensor::iota(DType::I32, n + 1, 0), a).0.at(-1)
}

/// The lengths of the shortest ways between all pairs of places, by Floyd and Warshall's method.
fn shortest_paths(lengths: &Tensor) -> Tensor {
    let step =
        |k: &Tensor, d: &Tensor| each(|[i, j]| d.at((i, j)).minimum(d.at((i, k)) + d.at((k, j))));
    fori_loop(lengths.shape()[0], step, lengths)
}

/// The logarithm of the likelihood of a series by Kalman's filter, for a place and a velocity of which the
/// place is seen. `p` holds damping, drift and noise as numbers from -1 to 1.
fn likelihood(p: &Tensor, series: &Tensor) -> Tensor {
    let [damping, drift, noise] = p.unstack_array();
    let motion = tensor![[1.0, 1.0], [0.0, 0.8 + 0.1 * damping]];
    let (drift, noise) = (Tensor::eye(DType::F64, 2) * drift.exp(), noise.exp());
    let step = |(mean, covariance): &(Tensor, Tensor), seen: &Tensor| {
        let mean = motion.matmul(mean);
        let covariance = motion.matmul(covariance).matmul(&motion.t()) + &drift;
        let spread = covariance.at((0, 0)) + &noise;
        let gap = seen - mean.at(0);
        let gain = covariance.at((.., 0)) / &spread;
        let likelihood =
            -0.5 * (gap.square() / &spread + spread.log() + std::f64::consts::TAU.ln());
        let mean = mean + &gain * gap;
        let covariance = &covariance - gain.outer(&covariance.at((0, ..)));
        ((mean, covariance), likelihood)
    };
    let start = (Tensor::zeros(DType::F64, 2), Tensor::eye(DType::F64, 2));
    scan(step, &start, series).1.sum()
}

fn mean_likelihood(p: &Tensor, series: &Tensor) -> Tensor {
    vmap(likelihood, (Shared, 0))(p, series).mean()
}

/// Rows 32 and 40.
pub(crate) fn rows() -> Vec<Row> {
    use DType::{F64, I32};
    let words: [(DType, &[usize]); 2] = [(I32, &[64, 256]), (I32, &[64, 256])];
    let series: [(DType, &[usize]); 2] = [(F64, &[3]), (F64, &[5000, 100])];
    vec![
        program("32 edits", &words, |x| vec![vmap(edit_distance, (0, 0))(&x[0], &x[1])]),
        unary("32 paths", I32, &[256, 256], shortest_paths),
        program("40", &series, |x| vec![mean_likelihood(&x[0], &x[1])]),
        program("40 gradient", &series, |x| {
            let (value, slope) = value_and_grad(mean_likelihood)(&x[0], &x[1]);
            vec![value, slope]
        }),
    ]
}
