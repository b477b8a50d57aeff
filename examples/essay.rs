//! The programs of the essay "I don't like NumPy" (dynomight, 2025), each written the way one thinks
//! of it, and checked against a plain loop. `cargo run --release --example essay`
//!
//! The function of one example comes first; `vmap` and `each` run it for all. Exits with 1 if a
//! result is not the loop's, up to rounding.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ndarray::{
    Array, Array1, Array2, Array3, Array4, ArrayD, ArrayView1, ArrayView2, Axis, Dimension, s,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use unloop::prelude::*;
use unloop_examples::largest;

/// Rounding that the programs may do.
const TOLERANCE: f64 = 1e-10;

fn main() -> ExitCode {
    println!(
        "{:<41} {:>15} {:>10} {:>10} {:>10}",
        "program", "result", "deviation", "unloop", "loop"
    );
    let mut essay = Essay { rng: StdRng::seed_from_u64(1), failures: 0 };
    essay.systems();
    essay.mean_of_products();
    essay.indices();
    essay.attention();
    match essay.failures {
        0 => {
            println!("all results are the loops', up to rounding");
            ExitCode::SUCCESS
        }
        n => {
            eprintln!("{n} results are not the loops'");
            ExitCode::FAILURE
        }
    }
}

struct Essay {
    rng: StdRng,
    failures: usize,
}

impl Essay {
    fn random<D: Dimension>(
        &mut self,
        shape: impl ndarray::ShapeBuilder<Dim = D>,
    ) -> Array<f64, D> {
        Array::from_shape_simple_fn(shape, || self.rng.random_range(-1.0..1.0))
    }

    /// Runs a program and its loop, compares them, and prints a line.
    fn check<D: Dimension>(
        &mut self,
        name: &str,
        program: impl Fn() -> Tensor,
        plain: impl Fn() -> Array<f64, D>,
    ) {
        let expected = plain().into_dyn();
        let (shape, deviation) = match program().to_array::<f64, ndarray::IxDyn>() {
            Ok(actual) => (format!("{:?}", actual.shape()), deviation(&actual, &expected)),
            Err(error) => {
                eprintln!("{name}: {error}");
                (String::new(), f64::INFINITY)
            }
        };
        // A comparison that a NaN does not pass.
        let passes = deviation <= TOLERANCE;
        self.failures += usize::from(!passes);
        let (fast, slow) = (time(|| drop(program())), time(|| drop(plain())));
        let mark = if passes { "" } else { "  <- not the loop's" };
        println!("{name:<41} {shape:>15} {deviation:>10.1e} {fast:>10.1?} {slow:>10.1?}{mark}");
    }

    /// `Aᵢ·yᵢ = xᵢ`, in every layout that the 100 matrices and vectors may come in.
    fn systems(&mut self) {
        let mut a = self.random((100, 5, 5));
        a.outer_iter_mut().for_each(|mut a| a.diag_mut().mapv_inplace(|d| d + 3.0));
        let x = self.random((100, 5));
        let plain = || {
            let mut y = Array2::zeros((100, 5));
            for i in 0..100 {
                y.row_mut(i).assign(&solve_one(a.index_axis(Axis(0), i), x.row(i)));
            }
            y
        };
        let (ta, tx) = (Tensor::from(&a), Tensor::from(&x));
        let solve_each = jit(vmap(Tensor::solve, (0, 0)));
        self.check("Aᵢ yᵢ = xᵢ, batch first", || solve_each(&ta, &tx), plain);

        // A is 5×5×100 and x is 5×100: only the axes change.
        let (last_a, last_x) =
            (Tensor::from(a.view().permuted_axes([1, 2, 0])), Tensor::from(x.t()));
        let solve_each = jit(vmap(Tensor::solve, (2, 1)));
        self.check("batch axis last", || solve_each(&last_a, &last_x), plain);

        // The batch axis in the middle of A, and the solutions in columns.
        let middle_a = Tensor::from(a.view().permuted_axes([1, 0, 2]));
        let solve_each = jit(vmap(Tensor::solve, (1, 0)).out_axis(1));
        self.check(
            "batch axis in the middle, out in columns",
            || solve_each(&middle_a, &tx),
            || plain().reversed_axes(),
        );

        // Each matrix comes transposed: say so in the function of one.
        let transposed = Tensor::from(a.view().permuted_axes([0, 2, 1]));
        let one = |a: &Tensor, x: &Tensor| a.t().solve(x);
        let solve_each = jit(vmap(one, (0, 0)));
        self.check("each A transposed", || solve_each(&transposed, &tx), plain);
    }

    /// `D[k,n] = mean over l, m of A[k,l,m]·B[l,n]·C[k,m]`.
    fn mean_of_products(&mut self) {
        let (k, l, m, n) = (20, 24, 28, 32);
        let (a, b, c) = (self.random((k, l, m)), self.random((l, n)), self.random((k, m)));
        let plain = || {
            let mut d = Array2::zeros((k, n));
            for ((k, n), d) in d.indexed_iter_mut() {
                for l in 0..l {
                    for m in 0..m {
                        *d += a[[k, l, m]] * b[[l, n]] * c[[k, m]];
                    }
                }
                *d /= (l * m) as f64;
            }
            d
        };
        let (ta, tb, tc) = (Tensor::from(&a), Tensor::from(&b), Tensor::from(&c));
        let by_index = jit(|a: &Tensor, b: &Tensor, c: &Tensor| {
            each(|[k, n]| each(|[l, m]| a.at((k, l, m)) * b.at((l, n)) * c.at((k, m))).mean())
        });
        self.check("mean of A[k,l,m] B[l,n] C[k,m]", || by_index(&ta, &tb, &tc), plain);

        // The same as a function of one k and one n, lifted twice.
        let one = |a: &Tensor, b: &Tensor, c: &Tensor| b.dot(&a.dot(c)) / a.size() as f64;
        let lifted = jit(vmap(vmap(one, (Shared, 1, Shared)), (0, Shared, 0)));
        self.check("the same, by vmap of vmap", || lifted(&ta, &tb, &tc), plain);

        // A comes as M×K×L: only its index changes.
        let moved = Tensor::from(a.view().permuted_axes([2, 0, 1]));
        let by_index = jit(|a: &Tensor, b: &Tensor, c: &Tensor| {
            each(|[k, n]| each(|[l, m]| a.at((m, k, l)) * b.at((l, n)) * c.at((k, m))).mean())
        });
        self.check("the same, A as M×K×L", || by_index(&moved, &tb, &tc), plain);
    }

    /// Indexing with arrays. In NumPy, `i` has shape 3 and `j` has shape 2×1, and what
    /// `A[:, i, j, :]` has is a riddle; here each index says where it goes.
    fn indices(&mut self) {
        let a = self.random((10, 20, 30, 40));
        let (i, j) = ([1usize, 2, 3], [0usize, 1]);
        let t = Tensor::from(&a);
        let ti = Tensor::from(i.map(|i| i as i64));
        let tj = Tensor::from(j.map(|j| j as i64));

        let pick = jit(|a: &Tensor, i: &Tensor, j: &Tensor| {
            each(|[p, q]| a.at((.., i.at(q), j.at(p), ..)))
        });
        self.check(
            "A[:, i, j, :]",
            || pick(&t, &ti, &tj),
            || Array4::from_shape_fn((2, 3, 10, 40), |(p, q, x, y)| a[[x, i[q], j[p], y]]),
        );
        let pick = jit(|a: &Tensor, i: &Tensor, j: &Tensor| {
            each(|[p, q]| a.at((.., .., i.at(q), j.at(p))))
        });
        self.check(
            "A[:, :, i, j]",
            || pick(&t, &ti, &tj),
            || Array4::from_shape_fn((2, 3, 10, 20), |(p, q, x, y)| a[[x, y, i[q], j[p]]]),
        );
        let pick = jit(|a: &Tensor, i: &Tensor, j: &Tensor| {
            each(|[p, q]| a.at((.., i.at(q), .., j.at(p))))
        });
        self.check(
            "A[:, i, :, j]",
            || pick(&t, &ti, &tj),
            || Array4::from_shape_fn((2, 3, 10, 30), |(p, q, x, y)| a[[x, i[q], y, j[p]]]),
        );
        let pick = jit(|a: &Tensor, j: &Tensor| each(|[p]| a.at((.., 1..4, j.at(p), ..))));
        self.check(
            "A[:, 1:4, j, :]",
            || pick(&t, &tj),
            || Array4::from_shape_fn((2, 10, 3, 40), |(p, x, r, y)| a[[x, 1 + r, j[p], y]]),
        );
    }

    /// Attention: of one head, of several, and of a batch.
    fn attention(&mut self) {
        let (batch, tokens, width, heads, inner) = (6, 12, 16, 4, 8);
        let x = self.random((batch, tokens, width));
        let [wq, wk, wv] = [0; 3].map(|_| self.random((heads, width, inner)));
        let wo = self.random((heads * inner, width));

        // One head for one sequence: the formula.
        fn attention(x: &Tensor, wq: &Tensor, wk: &Tensor, wv: &Tensor) -> Tensor {
            let (q, k, v) = (x.matmul(wq), x.matmul(wk), x.matmul(wv));
            let scale = (q.shape()[1] as f64).sqrt();
            (q.matmul(&k.t()) / scale).softmax(-1).matmul(&v)
        }
        let one = |x: ArrayView2<'_, f64>, h: usize| {
            let [wq, wk, wv] = [&wq, &wk, &wv].map(|w| w.index_axis(Axis(0), h));
            attention_loop(x, wq, wk, wv)
        };
        let many = |x: ArrayView2<'_, f64>| {
            let mut all = Array2::zeros((tokens, heads * inner));
            for h in 0..heads {
                all.slice_mut(s![.., h * inner..(h + 1) * inner]).assign(&one(x, h));
            }
            product(all.view(), wo.view())
        };

        let [tq, tk, tv] = [&wq, &wk, &wv].map(Tensor::from);
        let (tx, to) = (Tensor::from(&x), Tensor::from(&wo));
        let single = jit(attention);
        let first = |w: &Tensor| w.at((0, .., ..));
        let (x0, q0, k0, v0) = (first(&tx), first(&tq), first(&tk), first(&tv));
        self.check(
            "attention, one head",
            || single(&x0, &q0, &k0, &v0),
            || one(x.index_axis(Axis(0), 0), 0),
        );

        // Several heads: one head, lifted over its weights; x is shared. Heads go side by side.
        let multi_head = |x: &Tensor, wq: &Tensor, wk: &Tensor, wv: &Tensor, wo: &Tensor| {
            let heads = vmap(attention, (Shared, 0, 0, 0)).out_axis(1)(x, wq, wk, wv);
            heads.reshape([x.shape()[0], wo.shape()[0]]).matmul(wo)
        };
        let several = jit(multi_head);
        self.check(
            "attention, several heads",
            || several(&x0, &tq, &tk, &tv, &to),
            || many(x.index_axis(Axis(0), 0)),
        );

        // A batch of sequences: several heads, lifted over x.
        let all = jit(vmap(multi_head, (0, Shared, Shared, Shared, Shared)));
        self.check(
            "attention, several heads, a batch",
            || all(&tx, &tq, &tk, &tv, &to),
            || {
                let mut y = Array3::zeros((batch, tokens, width));
                for b in 0..batch {
                    y.index_axis_mut(Axis(0), b).assign(&many(x.index_axis(Axis(0), b)));
                }
                y
            },
        );
    }
}

/// The largest difference, relative to values above 1; infinite for unequal shapes.
fn deviation(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    if a.shape() != b.shape() {
        return f64::INFINITY;
    }
    largest(a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs().max(b.abs()).max(1.0)))
}

/// The median time of some runs.
fn time(run: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Gaussian elimination with partial pivoting.
fn solve_one(a: ArrayView2<'_, f64>, x: ArrayView1<'_, f64>) -> Array1<f64> {
    let (mut a, mut y, n) = (a.to_owned(), x.to_owned(), x.len());
    for k in 0..n {
        let size = |i: &usize| a[[*i, k]].abs();
        let pivot = (k..n).max_by(|i, j| size(i).total_cmp(&size(j))).unwrap_or(k);
        for j in 0..n {
            a.swap([k, j], [pivot, j]);
        }
        y.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[[i, k]] / a[[k, k]];
            for j in k..n {
                a[[i, j]] -= factor * a[[k, j]];
            }
            y[i] -= factor * y[k];
        }
    }
    for i in (0..n).rev() {
        for j in i + 1..n {
            y[i] -= a[[i, j]] * y[j];
        }
        y[i] /= a[[i, i]];
    }
    y
}

fn product(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    for ((i, j), c) in c.indexed_iter_mut() {
        for k in 0..a.ncols() {
            *c += a[[i, k]] * b[[k, j]];
        }
    }
    c
}

fn attention_loop(
    x: ArrayView2<'_, f64>,
    wq: ArrayView2<'_, f64>,
    wk: ArrayView2<'_, f64>,
    wv: ArrayView2<'_, f64>,
) -> Array2<f64> {
    let (q, k, v) = (product(x, wq), product(x, wk), product(x, wv));
    let mut weights = product(q.view(), k.t()) / (wq.ncols() as f64).sqrt();
    for mut row in weights.rows_mut() {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        row.mapv_inplace(|w| (w - largest).exp());
        let sum = row.sum();
        row /= sum;
    }
    product(weights.view(), v.view())
}
