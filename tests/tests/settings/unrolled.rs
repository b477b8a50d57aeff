//! Small programs run on numbers, examples side by side: they give what the reference evaluator gives,
//! for one example, for some, and for more than a tile holds.

use unloop::prelude::*;
use unloop::{Graph, Result, profile, scan_reverse, scan_times};
use unloop_cpu::Cpu;
use unloop_graph::Array;
use unloop_graph::backend::by_reference;
use unloop_tests::{assert_close, deviation, tensor};

use crate::alone;

type Program = fn(&Tensor, &Tensor) -> (Tensor, Tensor);

fn rosenbrock(x: &Tensor) -> Tensor {
    let n = x.shape()[0];
    let (a, b) = (x.slice_axis(0, 0, n - 1), x.slice_axis(0, 1, n));
    (100.0 * (b - a.square()).square() + (1.0 - a).square()).sum()
}

fn pendulum(s: &Tensor) -> Tensor {
    Tensor::stack(&[&s.at(1), &(-s.at(0).sin() - 0.1 * s.at(1))], 0)
}

fn spread(x: &Tensor) -> Tensor {
    (x.outer(x) * 0.1 + Tensor::eye(DType::F64, 3) * 2.0).symmetrize()
}

trait Symmetrize {
    fn symmetrize(&self) -> Tensor;
}

impl Symmetrize for Tensor {
    fn symmetrize(&self) -> Tensor {
        0.5 * (self + self.t())
    }
}

/// Programs of a vector of six numbers and a vector that all examples share.
const PROGRAMS: &[(&str, Program)] = &[
    ("gradient", |x, m| (grad(rosenbrock)(x), (x * m).sum())),
    ("steps", |x, m| {
        let step = |i: &Tensor, s: &Tensor| {
            let half = s + 0.05 * pendulum(s);
            s + 0.1 * pendulum(&half) + 1e-3 * i.cast(DType::F64) * m.at(..2)
        };
        (fori_loop(40, step, &x.at(..2)), x.square())
    }),
    ("until it is small", |x, m| {
        let on = |(v, _): &(Tensor, Tensor)| v.abs().max().greater(&Tensor::from(0.05));
        let step =
            |(v, n): &(Tensor, Tensor)| (v * (0.6 + 0.3 * x.at(5).tanh()) * m.at(0).cos(), n + 1);
        let (v, n) = while_loop(on, step, &(x.at(..3), Tensor::from(0i64)));
        // What the loop reads is what it was.
        (v + x.at(5), n.cast(DType::F64) + x.at(0))
    }),
    ("loops in loops", |x, _| {
        let inner = |_: &Tensor, s: &Tensor| s * 0.9 + x.at(1);
        let on = |(s, n): &(Tensor, Tensor)| {
            s.abs().less(&Tensor::from(8.0)) & n.less(&Tensor::from(9i64))
        };
        let outer = |(s, n): &(Tensor, Tensor)| {
            (fori_loop(3, inner, s) * 0.8 + 0.2 * s * x.at(2).tanh(), n + 1)
        };
        let (last, _) = while_loop(on, outer, &(x.at(0), Tensor::from(0i64)));
        let again = |i: &Tensor, s: &Tensor| {
            let on = |v: &Tensor| v.greater(&(Tensor::from(1.5) + s.tanh()));
            s * 0.5
                + while_loop(on, |v: &Tensor| v * 0.7, &(x.at(3).abs() * 9.0))
                    * (i + 1).cast(DType::F64)
        };
        (last, fori_loop(4, again, &x.at(4)))
    }),
    ("sequences", |x, m| {
        let step = |s: &Tensor, e: &Tensor| {
            let next = s * 0.5 + e * m.at(0);
            (next.clone(), next.sin() + e)
        };
        let (last, all) = scan(step, &Tensor::from(0.3), x);
        (all, last.expand_dims(0))
    }),
    ("gradient of a sequence", |x, m| {
        let loss = |x: &Tensor| {
            let step = |s: &Tensor, e: &Tensor| {
                let next = (s * m.at(..2) + e).tanh();
                (next.clone(), next.sum())
            };
            let (last, all) = scan(step, &m.at(2..4), x);
            last.sum() + all.square().sum()
        };
        (grad(loss)(x), loss(x))
    }),
    ("gradient of steps", |x, m| {
        let end = |x: &Tensor| {
            let step = |i: &Tensor, s: &Tensor| {
                let push = 1e-2 * i.cast(DType::F64) * m.at(1..3);
                s + 0.05 * pendulum(&(s + 0.05 * pendulum(s))) + push
            };
            fori_loop(25, step, x).square().sum()
        };
        (grad(end)(&x.at(1..3)), end(&x.at(1..3)))
    }),
    ("kept by one loop and read by another", |x, m| {
        let grow = |s: &Tensor| ((s * m.at(..2)).tanh() + x.at(..2), s.at(0) * s.at(1));
        let (last, all) = scan_times(19, grow, &x.at(2..4));
        let fold = |s: &Tensor, e: &Tensor| (s * 0.7 + e, s - e);
        let (_, turned) = scan_reverse(fold, &last.at(0), &all);
        (all, turned)
    }),
    ("exchange", |x, _| {
        let step = |_: &Tensor, (a, b, c): &(Tensor, Tensor, Tensor)| {
            (b.clone(), (a + b) * 0.7, a.clone() - c * 0.1)
        };
        let (a, b, c) = fori_loop(9, step, &(x.at(0), x.at(1), x.at(2)));
        (Tensor::stack(&[&a, &b, &c], 0), x.flip(&[0]))
    }),
    ("systems", |x, m| {
        let a = spread(&x.at(..3));
        let factor = a.cholesky();
        let pivoted = x.at(..4).reshape([2, 2]).solve(&m.at(..2));
        let whole = a.flip(&[0]).solve(&x.at(3..));
        (
            factor.solve_lower(&x.at(3..)) + factor.diagonal(0).log(),
            Tensor::concatenate(&[&pivoted, &whole], 0),
        )
    }),
    ("gradient of a density", |x, m| {
        let density = |x: &Tensor| {
            let factor = spread(&x.at(..3)).cholesky();
            -0.5 * factor.solve_lower(&m.at(..3)).square().sum() - factor.diagonal(0).log().sum()
        };
        (grad(density)(x), density(x))
    }),
    ("places", |x, m| {
        let places = Tensor::from([4i64, 0, 2]);
        let moved = x.at(&places) * 2.0;
        let added = m.add_at(Tensor::from([5i64, 1, 3]), &moved);
        (added.pad(&[(1, 2)], &Tensor::from(0.5)), moved.cumsum(0))
    }),
    ("choices", |x, m| {
        let whole = (x * 4.0).round().cast(DType::I32);
        let even = (&whole & &Tensor::from(1i32)).equal(&Tensor::from(0i32));
        let small = x.clamp(&Tensor::from(-0.5), &Tensor::from(0.5)).cast(DType::F32);
        (even.select(m, &small.cast(DType::F64)), (whole * 3i32).max().cast(DType::F64))
    }),
    ("a loop over what a loop passes on", |x, m| {
        let inner = |left: &Tensor, up: &Tensor| {
            let next = left.minimum(up) + 0.1 * up.sin();
            (next.clone(), next)
        };
        let outer = |row: &Tensor| {
            let (last, rest) = scan(inner, &row.at(0), row);
            (rest + last, ())
        };
        let row = scan_times(20, outer, &Tensor::concatenate(&[x, m, x, m], 0)).0;
        (row.at(..6), row.sum())
    }),
    ("nothing of the example", |x, m| (m.exp(), 0.0 * x + Tensor::from(2.0))),
];

#[test]
fn numbers_are_what_arrays_are() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(77);
    for count in [1usize, 33, 300] {
        let x = tensor(&mut rng, DType::F64, &[count, 6]);
        let m = tensor(&mut rng, DType::F64, &[6]);
        for (name, f) in PROGRAMS {
            let one = |i: usize| (x.at((i as i64, ..)), m.clone());
            // Each example by itself, by reference.
            let expected = (0..count).step_by(7).chain([count - 1]).map(|i| {
                let (x, m) = one(i);
                let (a, b) = by_reference(|| f(&x, &m));
                Ok((i, a.check()?.clone(), b.check()?.clone()))
            });
            let expected: Result<Vec<(usize, Tensor, Tensor)>> = expected.collect();
            let (mapped, alone) = (jit(vmap(*f, (0, Shared))), jit(*f));
            let (a, b) = mapped.try_call((&x, &m))?;
            let (p, q) = vmap(*f, (0, Shared)).try_call((&x, &m))?;
            let expected = expected?;
            let graph = graph_of(vmap(*f, (0, Shared)).graph((&x, &m))?);
            code_has_the_same_bits(&graph, &[&x, &m], name)?;
            let first = one(0).0;
            let graph_of_one = graph_of(jit(*f).graph((&first, &m))?);
            code_has_the_same_bits(&graph_of_one, &[&first, &m], name)?;
            if count == 33 {
                nests_are_what_arrays_are(&graph, &x, &m, &expected)?;
            }
            for (i, c, d) in expected {
                let what = format!("{name}: example {i} of {count}");
                let entry = |t: &Tensor| t.slice_axis(0, i, i + 1).squeeze(0);
                assert_close(&entry(&a), &c, &what);
                assert_close(&entry(&b), &d, &what);
                assert_close(&entry(&p), &c, &format!("{what}, at once"));
                assert_close(&entry(&q), &d, &format!("{what}, at once"));
                let (x, m) = one(i);
                let (a, b) = alone.try_call((&x, &m))?;
                assert_close(&a, &c, &format!("{what}, alone"));
                assert_close(&b, &d, &format!("{what}, alone"));
            }
        }
    }
    Ok(())
}

/// A program as it is compiled: what it captures are indices, which are constants after rewriting.
fn graph_of(graph: Graph) -> Graph {
    unloop_rewrite::rewrite(&graph, unloop_rewrite::Rewriting::Exact)
}

/// Machine code gives what tiles give, to the last bit.
fn code_has_the_same_bits(graph: &Graph, inputs: &[&Tensor], name: &str) -> Result<()> {
    let Some(code) = Cpu::compile_for(graph, "code") else { return Ok(()) };
    if graph.inputs().len() > inputs.len() {
        return Ok(());
    }
    let Some(tiles) = Cpu::instruction_sets().pop().and_then(|set| Cpu::compile_for(graph, set))
    else {
        unreachable!("the best instruction set is there")
    };
    let inputs: Result<Vec<Array>> = inputs.iter().map(|x| x.value("test").cloned()).collect();
    let (inputs, code) = (inputs?, code?);
    for (a, b) in code.run(&inputs)?.iter().zip(&tiles?.run(&inputs)?) {
        assert_eq!(deviation(a, b), 0.0, "{name}\n{}", code.describe());
    }
    if name != "nothing of the example" {
        assert!(code.describe().contains("as machine code"), "{name}\n{}", code.describe());
    }
    Ok(())
}

/// The loop nest of a program, by its scalar evaluator.
fn nests_are_what_arrays_are(
    graph: &Graph,
    x: &Tensor,
    m: &Tensor,
    expected: &[(usize, Tensor, Tensor)],
) -> Result<()> {
    if graph.inputs().len() > 2 {
        return Ok(());
    }
    let program = Cpu::compile_by_nests(graph)?;
    let outputs = program.run(&[x.value("test")?.clone(), m.value("test")?.clone()])?;
    let [a, b] = [0, 1].map(|k| Tensor::from(outputs[k].clone()));
    for (i, c, d) in expected {
        let entry = |t: &Tensor| t.slice_axis(0, *i, i + 1).squeeze(0);
        let what = format!("example {i} of\n{}", program.describe());
        assert_close(&entry(&a), c, &what);
        assert_close(&entry(&b), d, &what);
    }
    Ok(())
}

#[test]
fn what_is_small_is_unrolled() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(78);
    let x = tensor(&mut rng, DType::F64, &[300, 6]);
    let m = tensor(&mut rng, DType::F64, &[6]);
    for (name, f) in PROGRAMS {
        let mapped = jit(vmap(*f, (0, Shared)));
        mapped.try_call((&x, &m))?;
        let (_, report) = profile(|| mapped(&x, &m));
        let kernels = report.kernels();
        assert!(kernels.len() == 1 && kernels[0].name == "unrolled", "{name}\n{report}");
    }
    Ok(())
}

/// What is computed of all examples follows after what is computed of each.
#[test]
fn losses_over_examples_and_their_gradients_are_unrolled() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(80);
    type Loss = fn(&Tensor, &Tensor) -> Tensor;
    let losses: [(&str, Loss); 4] = [
        ("swings", |x, m| {
            let step = |_: &Tensor, s: &Tensor| s + 0.1 * m.at(..2) * pendulum(s);
            fori_loop(20, step, &x.at(..2)).square().sum() + x.at(2) * m.at(3)
        }),
        ("sums of sequences", |x, m| {
            let step = |s: &Tensor, e: &Tensor| {
                let next = (s * 0.5 + e * m.at(0)).tanh();
                (next.clone(), next * m.at(1))
            };
            let (last, all) = scan(step, &m.at(2), x);
            last + all.sum()
        }),
        ("densities", |x, m| {
            let factor =
                (spread(&x.at(..3)) + Tensor::eye(DType::F64, 3) * m.at(0).square()).cholesky();
            factor.solve_lower(&(x.at(3..) - m.at(..3))).square().sum()
                + factor.diagonal(0).log().sum()
        }),
        ("until it is small", |x, m| {
            let on = |v: &Tensor| v.abs().greater(&Tensor::from(0.1));
            while_loop(on, |v: &Tensor| v * (0.5 + 0.2 * m.at(0).tanh()), &x.at(0))
                + x.at(1) * m.at(1)
        }),
    ];
    for count in [40usize, 1001] {
        let x = tensor(&mut rng, DType::F64, &[count, 6]);
        let m = tensor(&mut rng, DType::F64, &[6]);
        for (name, f) in losses {
            let mean = move |m: &Tensor, x: &Tensor| vmap(f, (0, Shared))(x, m).mean();
            let centred = move |m: &Tensor, x: &Tensor| {
                let each = vmap(f, (0, Shared))(x, m);
                (&each - each.mean_keep(0).broadcast(), each.max_axis(0), x * 2.0)
            };
            let (a, b, c) = by_reference(|| centred(&m, &x));
            let loss = by_reference(|| mean(&m, &x).check().cloned());
            let (p, q, r) = jit(centred).try_call((&m, &x))?;
            for (got, wanted) in [(&p, &a), (&q, &b), (&r, &c)] {
                assert_close(got, wanted, name);
            }
            let compiled = jit(mean);
            assert_close(&compiled.try_call((&m, &x))?, &loss?, name);
            let (_, report) = profile(|| compiled(&m, &x));
            assert!(report.kernels().iter().any(|k| k.name == "unrolled"), "{name}\n{report}");
            if name == "until it is small" {
                continue;
            }
            let gradient = jit(grad(mean));
            let got = gradient.try_call((&m, &x))?;
            let wanted = by_reference(|| grad(mean)(&m, &x).check().cloned());
            assert_close(&got, &wanted?, name);
            let (_, report) = profile(|| gradient(&m, &x));
            assert!(report.kernels().iter().any(|k| k.name == "unrolled"), "{name}\n{report}");
            // No loop is left that runs step by step.
            assert!(report.kernels().iter().all(|k| k.calls < 12), "{name}\n{report}");
        }
    }
    Ok(())
}

/// Loops of examples run on numbers wherever in a program they stand, and along whichever axis.
#[test]
fn loops_within_programs_are_unrolled() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(81);
    fn swing(x: &Tensor, m: &Tensor) -> Tensor {
        let step = |_: &Tensor, s: &Tensor| s + 0.1 * m.at(..2) * pendulum(s);
        fori_loop(30, step, &x.at(..2))
    }
    fn follow(x: &Tensor, m: &Tensor) -> (Tensor, Tensor) {
        let step = |s: &Tensor, e: &Tensor| {
            let next = (s * 0.5 + e * m.at(0)).tanh();
            (next.clone(), next * m.at(1) - e)
        };
        scan(step, &m.at(2), x)
    }
    type Loops = fn(&Tensor, &Tensor) -> Vec<Tensor>;
    // Programs of a table with six columns, and how many stages are unrolled.
    let programs: [(&str, Loops, usize); 6] = [
        ("behind a mean", |x, m| vec![vmap(swing, (0, Shared))(&(x - x.mean()), m)], 1),
        (
            "between",
            |x, m| {
                let first = vmap(swing, (0, Shared))(&(x / x.abs().max()), m);
                let shares = first.softmax(0);
                let second = vmap(swing, (0, Shared))(&(&shares + &first * 0.5), m);
                vec![second.sum_axis(0), shares.sum_axis(1) + x.sum_axis(1), second * m.at(3)]
            },
            2,
        ),
        ("columns", |x, m| vec![vmap(swing, (1, Shared))(&(&x.t() * 2.0).exp(), m)], 1),
        (
            "sequences",
            |x, m| {
                let (last, all) = vmap(follow, (0, Shared))(&(x - x.mean_axis(0).broadcast()), m);
                vec![(&last - last.mean()).exp(), all.max_axis(0), all.t()]
            },
            1,
        ),
        (
            "behind a product",
            |x, m| {
                let wide = x.matmul(&m.outer(&m.pad(&[(0, 90)], &Tensor::from(0.3))));
                let narrow = wide.tanh().matmul(&Tensor::ones(DType::F64, [96, 2])) * 0.1;
                vec![vmap(swing, (0, Shared))(&narrow, m)]
            },
            1,
        ),
        (
            "sorted before and after",
            |x, m| {
                let order = x.sort(0);
                let ends = vmap(swing, (0, Shared))(&order, m);
                vec![ends.sort(0), order.at((.., 0)) + 1.0]
            },
            1,
        ),
    ];
    for count in [50usize, 700] {
        let x = tensor(&mut rng, DType::F64, &[count, 6]);
        let m = tensor(&mut rng, DType::F64, &[6]);
        for (name, f, stages) in &programs {
            let expected = by_reference(|| f(&x, &m));
            let compiled = jit(*f);
            for (got, wanted) in compiled.try_call((&x, &m))?.iter().zip(&expected) {
                assert_close(got, wanted, &format!("{name} of {count}"));
            }
            let (_, report) = profile(|| compiled(&x, &m));
            let kernels = report.kernels();
            let unrolled = kernels.iter().filter(|k| k.name == "unrolled").map(|k| k.calls);
            assert_eq!(unrolled.sum::<usize>(), *stages, "{name} of {count}\n{report}");
            assert!(kernels.iter().all(|k| k.calls < 12), "{name} of {count}\n{report}");
        }
    }
    // Examples along the last axis of what goes in.
    let (x, m) = (tensor(&mut rng, DType::F64, &[6, 90]), tensor(&mut rng, DType::F64, &[6]));
    let last = jit(vmap(|x: &Tensor, m: &Tensor| (swing(x, m), follow(x, m).1), (-1, Shared)));
    let first = jit(vmap(|x: &Tensor, m: &Tensor| (swing(x, m), follow(x, m).1), (0, Shared)));
    let ((a, b), (c, d)) = (last.try_call((&x, &m))?, first.try_call((&(&x.t() * 1.0), &m))?);
    assert_close(&a, &c, "last axis");
    assert_close(&b, &d, "last axis");
    let (_, report) = profile(|| last(&x, &m));
    assert_eq!(report.kernels().len(), 1, "{report}");
    Ok(())
}

#[test]
fn singular_and_indefinite_examples_are_nan_and_disturb_nobody() -> Result<()> {
    let _alone = alone();
    let mut rng = fastrand::Rng::with_seed(79);
    let x = tensor(&mut rng, DType::F64, &[200, 3, 3]);
    let spoilt = (&x.at((17, .., ..)) * 0.0).expand_dims(0);
    let x = Tensor::concatenate(&[&x.at((..17, .., ..)), &spoilt, &x.at((18.., .., ..))], 0);
    let f = |a: &Tensor| {
        let definite = a.matmul(&a.t());
        (a.solve(&a.at((.., 0)).exp()), definite.cholesky())
    };
    let (solved, factors) = jit(vmap(f, 0)).try_call((&x,))?;
    for i in 0..200i64 {
        let is_nan = |t: &Tensor| t.is_nan().all().item::<bool>();
        assert_eq!(is_nan(&solved.at((i, ..)))?, i == 17, "{i}");
        assert_eq!(is_nan(&factors.at((i, .., ..)))?, i == 17, "{i}");
    }
    Ok(())
}

/// A map of a map has examples of examples: they lie side by side, or the inner ones do.
#[test]
fn maps_of_maps_are_unrolled() -> Result<()> {
    let _alone = alone();
    let escape = |re: &Tensor, im: &Tensor| {
        let going = |s: &(Tensor, Tensor, Tensor)| {
            (s.0.square() + s.1.square()).less_equal(4.0) & s.2.less(50.0)
        };
        let step = |s: &(Tensor, Tensor, Tensor)| {
            let (x, y) = (s.0.square() - s.1.square() + re, 2.0 * &s.0 * &s.1 + im);
            (x, y, &s.2 + 1.0)
        };
        while_loop(going, step, &(re * 0.0, im * 0.0, re * 0.0)).2
    };
    let (re, im) = (Tensor::linspace(-2.0, 1.0, 70), Tensor::linspace(-1.0, 1.0, 45));
    let picture = jit(vmap(vmap(escape, (0, Shared)), (Shared, 0)));
    let flat = jit(vmap(escape, (0, 0)));
    let [x, y] = [re.broadcast_to([45, 70]), im.expand_dims(1).broadcast_to([45, 70])];
    let expected = flat(&x.reshape(45 * 70), &y.reshape(45 * 70)).reshape([45, 70]);
    assert_close(&picture(&re, &im), &expected, "a picture");
    let graph = picture.graph((&re, &im))?;
    let nests = Cpu::compile_by_nests(&graph)?;
    let by_nests = nests.run(&[re.value("test")?.clone(), im.value("test")?.clone()])?;
    assert_close(&Tensor::from(by_nests[0].clone()), &expected, &nests.describe());

    let swing = |s: &Tensor| scan_times(20, |s: &Tensor| (s + 0.1 * pendulum(s), s.at(0)), s);
    let all = jit(vmap(vmap(swing, 0), 0));
    let states = tensor(&mut fastrand::Rng::with_seed(79), DType::F64, &[40, 60, 2]);
    let (last, path) = all(&states);
    let (x, y) = jit(vmap(swing, 0))(&states.reshape([2400, 2]));
    assert_close(&last, &x.reshape([40, 60, 2]), "states");
    assert_close(&path, &y.reshape([40, 60, 20]), "paths");

    for (what, report) in [
        ("picture", profile(|| picture(&re, &im).check().map(drop)).1),
        ("states", profile(|| all(&states).0.check().map(drop)).1),
    ] {
        let kernels = report.kernels();
        assert!(kernels.len() == 1 && kernels[0].name == "unrolled", "{what}\n{report}");
    }
    Ok(())
}
