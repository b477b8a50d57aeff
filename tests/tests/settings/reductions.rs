//! Reductions run together with what feeds them and what follows: the results are those of the
//! reference evaluator, on every instruction set, and rows are read once.

use unloop::prelude::*;
use unloop::{Array, Graph, Result, profile};
use unloop_cpu::Cpu;
use unloop_tests::{assert_close, deviation, tensor, tolerance};

use crate::alone;

/// A program of a row, a vector that all rows share, and a number of the row.
type Program = fn(&Tensor, &Tensor, &Tensor) -> (Tensor, Tensor);

/// Programs, and how many kernels each is.
const PROGRAMS: &[(&str, Program, usize)] = &[
    ("softmax", |x, w, s| ((x * s).softmax(0), w.at(0) + s), 2),
    ("log-softmax", |x, w, s| ((x + w).log_softmax(0) * s, x.logsumexp(0)), 1),
    (
        "normalised",
        |x, w, s| {
            let centred = x - x.mean();
            let scale = (centred.square().mean() + 1e-3).rsqrt();
            (&centred * &scale * w + 0.5, scale + s)
        },
        1,
    ),
    ("two sums of the same", |x, w, s| ((x + w).abs().sum() + s, x.square().sum()), 1),
    (
        "rows that others need",
        |x, w, s| {
            let y = (x + w).tanh();
            (&y / (y.abs().max() + s.abs()), y)
        },
        1,
    ),
    (
        "truth values and integers",
        |x, w, s| {
            let places = (x.abs() * 9.0).cast(DType::I64);
            let even = (&places % 2).equal(&Tensor::from(0i64));
            let any = even.all() | x.greater(s).any();
            let most = places.max();
            (any.select(&places.broadcast_to(x.shape()), &(&places - &most)), w.sum() + s)
        },
        3,
    ),
    (
        "positions",
        |x, w, s| {
            let at = Tensor::iota(DType::F64, x.shape(), 0).cast(x.dtype());
            let centre = (x.softmax(0) * &at).sum();
            ((at - &centre) * s, centre + w.at(1))
        },
        1,
    ),
    (
        "what repeats one number",
        |x, w, s| {
            (s.broadcast_to(x.shape()) * x.sum(), (s * 2.0).broadcast_to(x.shape()).sum() * w.at(0))
        },
        2,
    ),
    (
        "padded numbers and rows",
        |x, w, s| {
            let (mean, zero) = (x.tanh().mean(), Tensor::from(0.0).cast(x.dtype()));
            let first = mean.expand_dims(0).pad(&[(0, x.size() - 1)], &zero);
            let moved = (x * &mean).at(..-1).pad(&[(1, 0)], &zero);
            (first + moved * s, (w + mean).sum())
        },
        // The rest of each row, and its first number.
        3,
    ),
    (
        "a product in between",
        |x, w, s| {
            let p = (x * s).softmax(0);
            let mixed = (&p - p.dot(w)).exp();
            (&mixed / mixed.sum(), p)
        },
        3,
    ),
    (
        "a chain of rows",
        |x, w, s| {
            let y = (x - x.max()) * w;
            let z = &y / (y.square().sum() + 1.0).sqrt();
            let u = (&z + s - z.min()).sqrt();
            (&u * z.sum() - &y, u.prod())
        },
        1,
    ),
];

fn mapped(f: Program) -> impl Fn(&Tensor, &Tensor, &Tensor) -> (Tensor, Tensor) {
    move |x: &Tensor, w: &Tensor, s: &Tensor| vmap(f, (0, Shared, 0))(x, w, s)
}

/// Runs a program on every instruction set, and by reference.
fn check(graph: &Graph, inputs: &[Array], tolerance: f64, what: &str) -> Result<()> {
    let expected = graph.evaluate(inputs)?;
    let sets = Cpu::instruction_sets().into_iter();
    let compiled = sets.filter_map(|set| Some((set, Cpu::compile_for(graph, set)?)));
    let is_small = inputs.iter().map(Array::len).sum::<usize>() <= 2_000;
    let nests = is_small.then(|| ("nests", Cpu::compile_by_nests(graph)));
    for (set, plan) in compiled.chain(nests) {
        for (a, b) in plan?.run(inputs)?.iter().zip(&expected) {
            let worst = deviation(a, b);
            assert!(worst <= tolerance, "{what} {set}: {worst}");
        }
    }
    Ok(())
}

#[test]
fn rows_are_what_the_reference_says() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(5);
    for dtype in [DType::F32, DType::F64] {
        for length in [32, 33, 200, 1000, 1025] {
            for rows in [1, 2, 19] {
                let x = tensor(&mut rng, dtype, &[rows, length]);
                let (w, s) = (tensor(&mut rng, dtype, &[length]), tensor(&mut rng, dtype, &[rows]));
                for (name, f, _) in PROGRAMS {
                    let graph = jit(mapped(*f)).graph((&x, &w, &s))?;
                    // What a program captured is any row, too.
                    let captured = graph.inputs()[3..].iter();
                    let captured: Vec<Tensor> =
                        captured.map(|ty| tensor(&mut rng, dtype, &ty.shape)).collect();
                    let inputs = [&x, &w, &s].into_iter().chain(&captured);
                    let inputs: Vec<Array> =
                        inputs.map(|t| Ok(t.value("test")?.clone())).collect::<Result<_>>()?;
                    let what = format!("{name} {dtype:?} {rows}×{length}");
                    check(&graph, &inputs, tolerance(dtype), &what)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn rows_are_read_once() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(6);
    let x = tensor(&mut rng, DType::F64, &[50, 300]);
    let (w, s) = (tensor(&mut rng, DType::F64, &[300]), tensor(&mut rng, DType::F64, &[50]));
    for (name, f, kernels) in PROGRAMS {
        let compiled = jit(mapped(*f));
        compiled.try_call((&x, &w, &s))?;
        let (_, report) = profile(|| compiled(&x, &w, &s));
        let calls: usize = report.kernels().iter().map(|k| k.calls).sum();
        assert_eq!(calls, *kernels, "{name}\n{report}");
    }
    Ok(())
}

/// Rows that do not lie side by side: of a part of an array, along two outer axes, in another order.
#[test]
fn rows_may_lie_anywhere() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(7);
    let x = tensor(&mut rng, DType::F32, &[7, 5, 90]);
    let programs: [(&str, fn(&Tensor) -> Tensor); 5] = [
        ("a part", |x| x.at((1..6, .., 3..70)).softmax(-1)),
        ("another order", |x| x.permute(&[1, 0, 2]).softmax(-1).exp()),
        ("columns", |x| x.permute(&[0, 2, 1]).softmax(1)),
        ("two axes", |x| (x - x.mean_keep([1, 2]).broadcast_to(x.shape())).square()),
        ("turned round", |x| (x.flip(&[2]) + x).log_softmax(-1) - x.softmax(-1)),
    ];
    for (name, f) in programs {
        let graph = jit(f).graph((&x,))?;
        check(&graph, &[x.value("test")?.clone()], tolerance(DType::F32), name)?;
    }
    Ok(())
}

type OfTwo = fn(&Tensor, &Tensor) -> Tensor;

/// Reductions to many results, with what follows them, of `x` and `y` with rows of equal length; and
/// whether it is computed before the results lie in memory.
const FOLLOWED: &[(&str, OfTwo, bool)] = &[
    ("distances", |x, y| pairs(|a, b| (a - b).square().sum().sqrt(), x, y), true),
    ("another order", |x, y| pairs(|a, b| (a - b).square().sum().sqrt() + 1.0, x, y).t(), false),
    ("squares", |x, y| pairs(|a, b| (a + b).square().sum().exp(), x, y), true),
    ("products", |x, y| pairs(|a, b| ((a - 1.0) * b.abs()).max() * 2.0, x, y), true),
    ("compared", |x, y| pairs(|a, b| (a - b).abs().max().less(&a.at(0)), x, y), true),
    (
        "read again",
        |x, y| {
            let sums = pairs(|a, b| (a - b).square().sum(), x, y);
            &sums / (&sums + 1.0) + sums.t().sum_axis(0).expand_dims(1).broadcast()
        },
        false,
    ),
];

fn pairs(f: OfTwo, x: &Tensor, y: &Tensor) -> Tensor {
    vmap(vmap(f, (Shared, 0)), (0, Shared))(x, y)
}

#[test]
fn results_are_used_while_they_are_at_hand() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(8);
    for dtype in [DType::F32, DType::F64] {
        for (n, m, k) in [(41, 1100, 3), (257, 129, 5), (20, 50, 4)] {
            let (x, y) = (tensor(&mut rng, dtype, &[n, k]), tensor(&mut rng, dtype, &[m, k]));
            for (name, f, is_joined) in FOLLOWED {
                let graph = jit(*f).graph((&x, &y))?;
                let inputs = [x.value("test")?.clone(), y.value("test")?.clone()];
                let what = format!("{name} {dtype:?} {n} {m}");
                check(&graph, &inputs, 10.0 * tolerance(dtype), &what)?;
                let compiled = jit(*f);
                compiled.try_call((&x, &y))?;
                let (_, report) = profile(|| compiled(&x, &y));
                let names = report.kernels();
                let joined = names.iter().any(|k| k.name.contains(", "));
                assert_eq!(joined, *is_joined && n * m >= 1 << 15, "{name} {n} {m}\n{report}");
            }
        }
    }
    Ok(())
}

/// Results that do not fit a cache are written past it; rows of any length, results of both kinds.
#[test]
fn large_results_are_whole() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(10);
    let x = tensor(&mut rng, DType::F32, &[3300, 1001]);
    let shares = jit(|x: &Tensor| x.softmax(1)).try_call((&x,))?;
    let points = tensor(&mut rng, DType::F64, &[1301, 2]);
    let distance = |a: &Tensor, b: &Tensor| (a - b).square().sum().sqrt();
    let distances = jit(|p: &Tensor| pairs(distance, p, p)).try_call((&points,))?;
    for i in [0i64, 1, 650, 1299, 1300] {
        let row = |x: &Tensor| x.at((i, ..));
        assert_close(&row(&shares), &row(&x).softmax(0), "shares");
        let alone = vmap(distance, (0, Shared))(&points, &row(&points));
        assert_close(&row(&distances), &alone, "distances");
    }
    let totals = shares.sum_axis(1);
    assert!((totals - 1.0).abs().max().item::<f32>()? < 1e-4);
    assert!(distances.is_finite().all().item::<bool>()?);
    Ok(())
}

/// Reductions by segment beside those of each segment alone, NaN and segments without entries included.
#[test]
fn segments_are_reduced_as_each_alone() -> unloop::Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(5);
    for n in [0, 1, 7, 100] {
        let values: Vec<f64> =
            (0..n).map(|_| if rng.usize(..20) == 0 { f64::NAN } else { rng.f64() - 0.5 }).collect();
        let segments: Vec<i64> = (0..n).map(|_| rng.i64(0..6)).collect();
        let (x, s) = (Tensor::from(&values[..]), Tensor::from(&segments[..]));
        for segment in 0..7 {
            let own = |(i, _): &(usize, &f64)| segments[*i] == segment as i64;
            let own: Vec<f64> = values.iter().enumerate().filter(own).map(|(_, &v)| v).collect();
            let own = Tensor::from(&own[..]);
            let check = |what: &str, all: Tensor, alone: Tensor| {
                unloop_tests::assert_close(
                    &all.at(segment),
                    &alone,
                    &format!("{what} {n} {segment}"),
                );
            };
            check("sum", x.segment_sum(&s, 7), own.sum());
            check("prod", x.segment_prod(&s, 7), own.prod());
            let nothing = own.size() == 0;
            let or = |empty: f64, f: &dyn Fn() -> Tensor| if nothing { empty.into() } else { f() };
            check("max", x.segment_max(&s, 7), or(f64::NEG_INFINITY, &|| own.max()));
            check("min", x.segment_min(&s, 7), or(f64::INFINITY, &|| own.min()));
            check("mean", x.segment_mean(&s, 7), or(f64::NAN, &|| own.mean()));
            for q in [0.0, 0.3, 0.5, 1.0] {
                let alone = or(f64::NAN, &|| own.quantile(q, 0));
                check("quantile", x.segment_quantile(&s, q, 7), alone);
            }
            let numbers: Vec<f64> =
                own.to_vec::<f64>()?.into_iter().filter(|v| !v.is_nan()).collect();
            if !nothing {
                let numbers = Tensor::from(&numbers[..]);
                let alone =
                    if numbers.size() == 0 { f64::NAN.into() } else { numbers.quantile(0.3, 0) };
                unloop_tests::assert_close(&own.nanquantile(0.3, 0), &alone, "nanquantile");
            }
        }
        let wrong = x.segment_max(&Tensor::full(n, 7i64), 7);
        assert!(n == 0 || wrong.check().is_err());
    }
    let x = Tensor::from([3.0, 1.0, 2.0, 5.0]);
    let f = |x: &Tensor| x.segment_quantile(&Tensor::from([0, 0, 0, 1]), 0.5, 2).sum();
    assert_eq!(grad(f)(&x).to_vec::<f64>()?, [0.0, 0.0, 1.0, 1.0]);
    Ok(())
}
