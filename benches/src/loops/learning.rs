//! Rows 33, 35 and 41.

use rayon::prelude::*;

use crate::Row;
use crate::data::{Values, add, dot};

pub(crate) const ROWS: &[Row] = &[
    ("33", "f4 f4 f4 f4 f4 f4 f4 i4", |x| {
        let parameters = [0, 1, 2, 3, 4, 5].map(|i| x[i].f32());
        cnn_step(parameters, x[6].f32(), x[7].i32())
    }),
    ("35", "f4 i4", |x| cross_entropy(x[0].f32(), x[1].i32())),
    ("41", "f4 f4 f4 f4 f4 f4", |x| {
        gru_step([0, 1, 2, 3].map(|i| x[i].f32()), x[4].f32(), x[5].f32())
    }),
];

/// Sums of gradients over examples, and a step against their mean.
fn step<const N: usize>(
    parameters: [&[f32]; N],
    examples: usize,
    one: impl Fn(usize, &mut [Vec<f32>; N]) + Sync,
) -> Vec<Values> {
    let zeros = || parameters.map(|p| vec![0f32; p.len()]);
    let sum = (0..examples)
        .into_par_iter()
        .fold(zeros, |mut sum, i| {
            one(i, &mut sum);
            sum
        })
        .reduce(zeros, |mut a, b| {
            a.iter_mut().zip(&b).for_each(|(a, b)| add(a, 1.0, b));
            a
        });
    let next = |(p, g): (&&[f32], &Vec<f32>)| {
        let mut p = p.to_vec();
        add(&mut p, -0.1 / examples as f32, g);
        p.into()
    };
    parameters.iter().zip(&sum).map(next).collect()
}

/// Kernels of 5×5, two pixels of zeros around an image of `n`×`n`.
const TAPS: usize = 5;

/// The images with zeros around.
fn padded(x: &[f32], n: usize) -> Vec<f32> {
    let m = n + TAPS - 1;
    let mut y = vec![0f32; x.len() / (n * n) * m * m];
    for (x, y) in x.chunks(n * n).zip(y.chunks_mut(m * m)) {
        for i in 0..n {
            y[(i + 2) * m + 2..][..n].copy_from_slice(&x[i * n..][..n]);
        }
    }
    y
}

/// Visits each tap: its number, and for each row the row that it meets in the padded image.
fn taps(n: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let m = n + TAPS - 1;
    for tap in 0..TAPS * TAPS {
        for i in 0..n {
            visit(tap, i * n, (i + tap / TAPS) * m + tap % TAPS);
        }
    }
}

/// A layer: convolution, the positive part, the largest of each 2×2. What it has seen and where the
/// largest were is kept.
struct Layer {
    n: usize,
    seen: Vec<f32>,
    out: Vec<f32>,
    place: Vec<usize>,
}

impl Layer {
    fn new(x: &[f32], n: usize, kernel: &[f32], bias: &[f32]) -> Layer {
        let (m, seen) = (n + TAPS - 1, padded(x, n));
        let channels = x.len() / (n * n);
        let mut out = Vec::new();
        let mut place = Vec::new();
        for (f, bias) in bias.iter().enumerate() {
            let mut y = vec![*bias; n * n];
            for (c, seen) in seen.chunks(m * m).enumerate() {
                let kernel = &kernel[(f * channels + c) * TAPS * TAPS..];
                taps(n, |tap, to, from| {
                    add(&mut y[to..to + n], kernel[tap], &seen[from..from + n])
                });
            }
            for i in 0..n / 2 {
                for j in 0..n / 2 {
                    let corner = 2 * i * n + 2 * j;
                    let mut best = corner;
                    for at in [corner + 1, corner + n, corner + n + 1] {
                        best = if y[at].max(0.0) > y[best].max(0.0) { at } else { best };
                    }
                    out.push(y[best].max(0.0));
                    place.push(best);
                }
            }
        }
        Layer { n, seen, out, place }
    }

    /// Adds to the gradients of kernel and bias; gives that of what was seen, if it is wanted.
    fn back(
        &self,
        slope: &[f32],
        kernel: &[f32],
        dkernel: &mut [f32],
        dbias: &mut [f32],
        is_wanted: bool,
    ) -> Vec<f32> {
        let (n, m) = (self.n, self.n + TAPS - 1);
        let channels = self.seen.len() / (m * m);
        let pooled = n * n / 4;
        let mut dseen = vec![0f32; if is_wanted { self.seen.len() } else { 0 }];
        for (f, dbias) in dbias.iter_mut().enumerate() {
            let mut dy = vec![0f32; n * n];
            for i in f * pooled..(f + 1) * pooled {
                if self.out[i] > 0.0 {
                    dy[self.place[i]] = slope[i];
                }
            }
            *dbias += dy.iter().sum::<f32>();
            for c in 0..channels {
                let (kernel, dkernel) = (
                    &kernel[(f * channels + c) * 25..][..25],
                    &mut dkernel[(f * channels + c) * 25..][..25],
                );
                let seen = &self.seen[c * m * m..][..m * m];
                taps(n, |tap, to, from| {
                    dkernel[tap] += dot(&dy[to..to + n], &seen[from..from + n])
                });
                if is_wanted {
                    let dseen = &mut dseen[c * m * m..][..m * m];
                    taps(n, |tap, to, from| {
                        add(&mut dseen[from..from + n], kernel[tap], &dy[to..to + n])
                    });
                }
            }
        }
        let inside =
            |x: &[f32]| (0..n).flat_map(|i| x[(i + 2) * m + 2..][..n].to_vec()).collect::<Vec<_>>();
        dseen.chunks(m * m).flat_map(inside).collect()
    }
}

fn cnn_step(p: [&[f32]; 6], images: &[f32], labels: &[i32]) -> Vec<Values> {
    step(p, labels.len(), |i, [k1, b1, k2, b2, w, b]| {
        let first = Layer::new(&images[i * 784..][..784], 28, p[0], p[1]);
        let second = Layer::new(&first.out, 14, p[2], p[3]);
        let mut scores = p[5].to_vec();
        for (x, w) in second.out.iter().zip(p[4].chunks(10)) {
            add(&mut scores, *x, w);
        }
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = scores.iter().map(|x| (x - most).exp()).collect();
        let total: f32 = powers.iter().sum();
        let mut slope: Vec<f32> = powers.iter().map(|e| e / total).collect();
        slope[labels[i] as usize] -= 1.0;
        add(b, 1.0, &slope);
        for (x, w) in second.out.iter().zip(w.chunks_mut(10)) {
            add(w, *x, &slope);
        }
        let dsecond: Vec<f32> = p[4].chunks(10).map(|w| dot(w, &slope)).collect();
        let dfirst = second.back(&dsecond, p[2], k2, b2, true);
        first.back(&dfirst, p[0], k1, b1, false);
    })
}

fn cross_entropy(logits: &[f32], labels: &[i32]) -> Vec<Values> {
    let (rows, n) = (labels.len(), logits.len() / labels.len());
    let mut slope = vec![0f32; logits.len()];
    let row = |((slope, x), label): ((&mut [f32], &[f32]), &i32)| {
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut total = 0.0;
        for (slope, x) in slope.iter_mut().zip(x) {
            *slope = (x - most).exp();
            total += *slope;
        }
        let scale = 1.0 / (total * rows as f32);
        slope.iter_mut().for_each(|x| *x *= scale);
        slope[*label as usize] -= 1.0 / rows as f32;
        f64::from(total.ln() + most - x[*label as usize])
    };
    let all = slope.par_chunks_mut(n).zip(logits.par_chunks(n)).zip(labels);
    let sum: f64 = all.map(row).sum();
    vec![vec![(sum / rows as f64) as f32].into(), slope.into()]
}

const HIDDEN: usize = 64;
const STEPS: usize = 100;

/// Adds the product of a vector and a matrix.
fn times(y: &mut [f32], x: &[f32], w: &[f32]) {
    for (x, w) in x.iter().zip(w.chunks(y.len())) {
        add(y, *x, w);
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn gru_step(p: [&[f32]; 4], sequences: &[f32], targets: &[f32]) -> Vec<Values> {
    const N: usize = HIDDEN;
    let [input, recurrent, bias, out] = p;
    // Gradients of states are products with the transpose.
    let turned: Vec<f32> = (0..3 * N * N).map(|i| recurrent[i % N * 3 * N + i / N]).collect();
    step(p, targets.len(), |i, [dinput, drecurrent, dbias, dout]| {
        let sequence = &sequences[i * STEPS * N..][..STEPS * N];
        let mut states = vec![[0f32; N]; STEPS + 1];
        let mut kept = Vec::with_capacity(STEPS);
        for (t, x) in sequence.chunks(N).enumerate() {
            let (mut new, mut old) = ([0f32; 3 * N], [0f32; 3 * N]);
            new.copy_from_slice(bias);
            times(&mut new, x, input);
            times(&mut old, &states[t], recurrent);
            let mut gates = [[0f32; N]; 4];
            for j in 0..N {
                let keep = sigmoid(new[j] + old[j]);
                let reset = sigmoid(new[N + j] + old[N + j]);
                let fresh = (new[2 * N + j] + reset * old[2 * N + j]).tanh();
                states[t + 1][j] = (1.0 - keep) * fresh + keep * states[t][j];
                for (gate, value) in gates.iter_mut().zip([keep, reset, fresh, old[2 * N + j]]) {
                    gate[j] = value;
                }
            }
            kept.push(gates);
        }
        let miss = 2.0 * (dot(&states[STEPS], out) - targets[i]);
        add(dout, miss, &states[STEPS]);
        let mut slope: Vec<f32> = out.iter().map(|w| miss * w).collect();
        for t in (0..STEPS).rev() {
            let [keep, reset, fresh, last] = &kept[t];
            let (mut dnew, mut dold) = ([0f32; 3 * N], [0f32; 3 * N]);
            let mut next = vec![0f32; N];
            for j in 0..N {
                let dkeep = slope[j] * (states[t][j] - fresh[j]) * keep[j] * (1.0 - keep[j]);
                let dfresh = slope[j] * (1.0 - keep[j]) * (1.0 - fresh[j] * fresh[j]);
                let dreset = dfresh * last[j] * reset[j] * (1.0 - reset[j]);
                next[j] = slope[j] * keep[j];
                (dnew[j], dnew[N + j], dnew[2 * N + j]) = (dkeep, dreset, dfresh);
                (dold[j], dold[N + j], dold[2 * N + j]) = (dkeep, dreset, dfresh * reset[j]);
            }
            add(dbias, 1.0, &dnew);
            let pairs = sequence[t * N..].iter().zip(&states[t]);
            let rows = dinput.chunks_mut(3 * N).zip(drecurrent.chunks_mut(3 * N));
            for ((x, state), (dinput, drecurrent)) in pairs.zip(rows) {
                add(dinput, *x, &dnew);
                add(drecurrent, *state, &dold);
            }
            times(&mut next, &dold, &turned);
            slope = next;
        }
    })
}
