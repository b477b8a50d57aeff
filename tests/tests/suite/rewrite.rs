//! Rewriting: every rule alone, random sums of products, and what a user would be told.

use proptest::prelude::*;
use unloop::prelude::*;
use unloop::{BinaryOp, Explanation, Graph, IndexArg, Op, Rewriting, Scalar, TensorType};
use unloop_graph::{Array, Node, Place, ValueId};
use unloop_rewrite::explain;
use unloop_tests::deviation;

/// The results of both programs of an explanation, by the reference evaluator.
fn both(explanation: &Explanation, inputs: &[Tensor]) -> (Vec<Array>, Vec<Array>) {
    let inputs = Tensor::arrays(inputs).unwrap();
    let run = |graph: &Graph| graph.evaluate(&inputs).unwrap();
    (run(&explanation.before), run(&explanation.after))
}

fn random(rng: &mut fastrand::Rng, shape: &[usize]) -> Tensor {
    unloop_tests::tensor(rng, DType::F64, shape)
}

fn graph(f: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync, x: &Tensor, y: &Tensor) -> Graph {
    jit(|x: &Tensor, y: &Tensor| f(x, y)).graph((x, y)).unwrap()
}

fn fired(explanation: &Explanation, name: &str) -> bool {
    explanation.rules.iter().any(|(rule, _)| rule.starts_with(name))
}

type Program = fn(&Tensor, &Tensor) -> Tensor;

/// A program for each rule; `x` is a square matrix, and so is `y`.
const RULES: &[(&str, Rewriting, Program)] = &[
    ("identity", Rewriting::Exact, |x, y| x.flatten().reshape(x.shape()) + y),
    ("stop_gradient", Rewriting::Exact, |x, y| x.stop_gradient() * y),
    ("transpose of transpose", Rewriting::Exact, |x, y| x.t().permute(&[1, 0]) - y),
    ("reshape of reshape", Rewriting::Exact, |x, y| x.flatten().reshape([x.size(), 1]) * y.max()),
    ("broadcast of broadcast", Rewriting::Exact, |x, y| {
        let n = x.shape()[0];
        x.max_axis(0).expand_dims(0).broadcast_to([n, n]).broadcast_to([2, n, n]).sin() + y.max()
    }),
    ("slice of slice", Rewriting::Exact, |x, y| {
        x.at((1.., strided(.., 2))).at((.., 0..1)) * y.max()
    }),
    ("reverse of reverse", Rewriting::Exact, |x, y| x.flip(&[0]).flip(&[0]) + y),
    ("x·1 = x", Rewriting::Exact, |x, y| x * 1.0 + y / 1.0 - 0.0),
    ("x + 0", Rewriting::Reassociating, |x, y| x * y + 0.0),
    ("-(-x)", Rewriting::Exact, |x, y| x - (-y) + (-(-x)) * (-y) * (-x)),
    ("select", Rewriting::Exact, |x, y| x.greater(y).select(x, x)),
    ("f(broadcast(x))", Rewriting::Exact, |x, y| {
        let n = x.shape()[0];
        let wide = [n * n, 32, 32];
        y.flatten()
            .at(..n * n)
            .broadcast_in_dim(wide, [0].into_iter().collect())
            .square()
            .sum_axis(2)
            + x.max()
    }),
    ("log(1 + x)", Rewriting::Reassociating, |x, y| (1.0 + x.square()).log() + (y.exp() - 1.0)),
    ("log(exp(x))", Rewriting::Reassociating, |x, y| x.exp().log() + (y.exp() / 2.5).log()),
    ("sum of sums", Rewriting::Reassociating, |x, y| (x * y).sum_axis(1).sum()),
    ("reduction of one element", Rewriting::Reassociating, |x, y| {
        x.sin().expand_dims(1).sum_axis(1) + y.expand_dims(0).max_axis(0)
    }),
    ("select(c, select", Rewriting::Exact, |x, y| {
        let c = x.less(y);
        c.select(&c.select(x, &y.sin()), &c.logical_not().select(y, &x.cos()))
    }),
    ("convert of convert", Rewriting::Exact, |x, y| {
        let narrow = x.cast(DType::F32);
        narrow.cast(DType::F64).cast(DType::F32).cast(DType::F64) + y
    }),
    ("0·x = 0", Rewriting::Fast, |x, y| {
        let same = (y.clone(), x.clone());
        (0.0 * x.sin() + y) * (y / same.0) - (x - same.1)
    }),
    ("x·y / y", Rewriting::Fast, |x, y| x * y / y + y.square().sqrt() - x.abs().sqrt().square()),
    ("x / c", Rewriting::Fast, |x, y| x / 3.0 + y),
    ("sum of products", Rewriting::Reassociating, |x, y| x.matmul(y).matmul(&y.at((.., 0)))),
    ("a⁻¹·b", Rewriting::Reassociating, |x, y| {
        (x + Tensor::eye(DType::F64, x.shape()[0]) * 9.0).inv().matmul(y)
    }),
    ("x·a ± x·b", Rewriting::Reassociating, |x, y| x.matmul(y) - x.matmul(&y.sin())),
];

#[test]
fn each_rule_keeps_values_and_saves_work() {
    let mut rng = fastrand::Rng::with_seed(3);
    for (name, class, f) in RULES {
        for n in [2, 3, 7, 33] {
            let (x, y) = (random(&mut rng, &[n, n]), random(&mut rng, &[n, n]));
            let traced = graph(f, &x, &y);
            let explanation = explain(&traced, &known(f, &x, &y), *class);
            assert!(explanation.cost_after <= explanation.cost_before, "{name} {n}: {explanation}");
            // Small programs may be cheapest as they are.
            if n == 33 {
                assert!(fired(&explanation, name), "{name}: {explanation}");
            }
            let inputs = inputs(f, &x, &y);
            let (before, after) = both(&explanation, &inputs);
            for (a, b) in before.iter().zip(&after) {
                match class {
                    Rewriting::Exact => {
                        let bits = |a: &Array| -> Vec<u64> {
                            a.to_vec::<f64>().unwrap().into_iter().map(f64::to_bits).collect()
                        };
                        assert_eq!(bits(a), bits(b), "{name} {n}: {explanation}");
                    }
                    _ => assert!(deviation(a, b) < 1e-12, "{name} {n}: {explanation}"),
                }
            }
            let below = explain(&traced, &known(f, &x, &y), Rewriting::Off);
            assert_eq!(below.before, below.after);
            if *class == Rewriting::Reassociating {
                let exact = explain(&traced, &known(f, &x, &y), Rewriting::Exact);
                assert!(!fired(&exact, name), "{name} is not exact");
            }
        }
    }
}

/// Operations of known numbers; tracing computes most of them, so this program is written out.
#[test]
fn constants_are_computed() {
    let mut nodes = Vec::new();
    let mut node = |op: Op, operands: &[u32]| {
        let operands = operands.iter().map(|&v| ValueId(v)).collect();
        nodes.push(Node { op, operands, first: ValueId(0), place: Place(None) });
    };
    let vector = TensorType::new(DType::F64, [3]);
    let broadcast = Op::Broadcast { shape: [3].into(), dims: [].into_iter().collect() };
    node(Op::Constant(Scalar::F64(2.0)), &[]);
    node(broadcast.clone(), &[1]);
    node(Op::Constant(Scalar::F64(0.5)), &[]);
    node(broadcast, &[3]);
    node(Op::Binary(BinaryOp::Mul), &[2, 4]);
    node(Op::Binary(BinaryOp::Mul), &[0, 5]);
    let graph = Graph::new(vec![vector], nodes, vec![ValueId(6)]).unwrap();
    let after = explain(&graph, &[], Rewriting::Exact).after;
    assert!(after.nodes().is_empty() && after.outputs() == [ValueId(0)], "{after}");
}

/// What a program captures, and so always has the same value.
fn known(f: &Program, x: &Tensor, y: &Tensor) -> Vec<Array> {
    let count = graph(f, x, y).inputs().len() - 2;
    // Of the programs above, one captures: the identity matrix, as it is and times nine.
    let n = x.shape()[0];
    let eye = Tensor::eye(DType::F64, n);
    let values = if count == 2 { vec![&eye * 9.0, eye] } else { vec![eye; count] };
    Tensor::arrays(&values).unwrap()
}

fn inputs(f: &Program, x: &Tensor, y: &Tensor) -> Vec<Tensor> {
    let captured = known(f, x, y).into_iter().map(Tensor::from);
    [x.clone(), y.clone()].into_iter().chain(captured).collect()
}

/// A sum of products: for each factor, which of five indices it has, and the indices of the result.
fn formula() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>, Vec<usize>)> {
    let some = || proptest::sample::subsequence(vec![0, 1, 2, 3, 4], 1..4).prop_shuffle();
    let sizes = prop::collection::vec(1usize..6, 5);
    (
        sizes,
        prop::collection::vec(some(), 1..5),
        proptest::sample::subsequence(vec![0, 1, 2, 3], 0..3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a sum of products is written, its contraction has its value.
    #[test]
    fn sums_of_products((sizes, factors, kept) in formula(), seed in any::<u64>(), scale in -3.0f64..3.0) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let shape = |labels: &[usize]| labels.iter().map(|&l| sizes[l]).collect::<Vec<_>>();
        let inputs: Vec<Tensor> = factors.iter().map(|f| random(&mut rng, &shape(f))).collect();
        let summed: Vec<isize> = (0..5).filter(|l| !kept.contains(l)).map(|l| l as isize).collect();
        let spread = |x: &Tensor, labels: &[usize]| {
            let mut order: Vec<usize> = (0..labels.len()).collect();
            order.sort_by_key(|&a| labels[a]);
            let dims = order.iter().map(|&a| labels[a]).collect();
            let perm: Vec<isize> = order.iter().map(|&a| a as isize).collect();
            x.permute(&perm).broadcast_in_dim(&sizes[..], dims)
        };
        let f = jit(|x: &Vec<Tensor>| {
            let factors = x.iter().zip(&factors).map(|(x, labels)| spread(x, labels));
            let product = factors.reduce(|a, b| a * b).unwrap_or_else(|| Tensor::from(1.0));
            (product * scale).sum_axis(summed.clone())
        });
        let traced = f.graph((&inputs,)).unwrap();
        let explanation = explain(&traced, &[], Rewriting::Reassociating);
        let (before, after) = both(&explanation, &inputs);
        prop_assert!(deviation(&before[0], &after[0]) < 1e-10, "{}", explanation);
        prop_assert!(explanation.cost_after <= explanation.cost_before);
        let again = explain(&traced, &[], Rewriting::Reassociating);
        prop_assert_eq!(again.after, explanation.after);
        // And so on the processor, compiled.
        let compiled = Tensor::arrays(&[f(&inputs)]).unwrap();
        prop_assert!(deviation(&before[0], &compiled[0]) < 1e-10);
    }
}

/// `D[k,n] = mean over l and m of A[k,l,m]·B[l,n]·C[k,m]`, in both notations.
#[test]
fn loops_become_products_of_matrices() {
    let n = 40;
    let mut rng = fastrand::Rng::with_seed(4);
    let (a, b, c) =
        (random(&mut rng, &[n, n, n]), random(&mut rng, &[n, n]), random(&mut rng, &[n, n]));
    let nested = |a: &Tensor, b: &Tensor, c: &Tensor| {
        let one = |a: &Tensor, b: &Tensor, c: &Tensor| a * b * c;
        let over_l = vmap(vmap(one, (0, Shared, 0)), (0, 0, Shared));
        let mean = |a: &Tensor, b: &Tensor, c: &Tensor| over_l(a, b, c).mean();
        vmap(vmap(mean, (Shared, 1, Shared)), (0, Shared, 0))(a, b, c)
    };
    let indexed = |a: &Tensor, b: &Tensor, c: &Tensor| {
        each(|[k, n]| each(|[l, m]| a.at((k, l, m)) * b.at((l, n)) * c.at((k, m))).mean())
    };
    let explained =
        [jit(nested).explain((&a, &b, &c)).unwrap(), jit(indexed).explain((&a, &b, &c)).unwrap()];
    let einsum = Tensor::einsum("klm,ln,km->kn", &[&a, &b, &c]) / (n * n) as f64;
    for explanation in explained {
        let after = &explanation.after;
        assert!(after.nodes().iter().any(|node| matches!(node.op, Op::Dot(_))), "{explanation}");
        // No value is larger than the largest input.
        let values = (0..after.value_count() as u32).map(unloop_graph::ValueId);
        assert!(values.into_iter().all(|v| after.ty(v).shape.size() <= n * n * n), "{explanation}");
        let (_, after) = both(&explanation, &[a.clone(), b.clone(), c.clone()]);
        assert!(
            deviation(&after[0], &Tensor::arrays(std::slice::from_ref(&einsum)).unwrap()[0])
                < 1e-12
        );
    }
}

/// The bodies of loops are rewritten, too.
#[test]
fn loops_are_rewritten_inside() {
    let f =
        jit(|x: &Tensor| fori_loop(5, |_: &Tensor, x: &Tensor| x.stop_gradient() * 1.0 + 0.5, x));
    let explanation = f.explain((&Tensor::from([1.0, 2.0]),)).unwrap();
    let text = explanation.after.to_string();
    assert!(!text.contains("stop_gradient") && !text.contains("mul"), "{text}");
    assert_eq!(f(&Tensor::from([1.0, 2.0])).to_vec::<f64>().unwrap(), [3.5, 4.5]);
}

#[test]
fn loops_that_pass_on_the_same_are_one() {
    let mut rng = fastrand::Rng::with_seed(31);
    let (x, y) = (random(&mut rng, &[5]), random(&mut rng, &[30, 5]));
    let step = |s: &Tensor, e: &Tensor| ((s * 0.5 + e).tanh(), s * e);
    let loss = |x: &Tensor, y: &Tensor| {
        let (last, all) = scan(step, x, y);
        // The same loop keeps something else, and one begins elsewhere.
        let (_, others) = scan(|s: &Tensor, e: &Tensor| (step(s, e).0, s.sin() + e), x, y);
        let (other, _) = scan(step, &(x * 2.0), y);
        last.sum() + all.square().sum() + others.sum() + other.sum()
    };
    let loops =
        |graph: &Graph| graph.nodes().iter().filter(|node| matches!(node.op, Op::Scan(_))).count();
    for (f, before, after) in [
        (&loss as &(dyn Fn(&Tensor, &Tensor) -> Tensor + Sync), 3, 2),
        (&|x: &Tensor, y: &Tensor| grad(loss)(x, y), 6, 5),
    ] {
        let compiled = jit(|x: &Tensor, y: &Tensor| f(x, y));
        let explanation = compiled.explain((&x, &y)).unwrap();
        assert!(loops(&explanation.before) >= before, "{explanation}");
        assert_eq!(loops(&explanation.after), after, "{explanation}");
        unloop_tests::assert_close(&compiled(&x, &y), &f(&x, &y), "loops");
    }
}

#[test]
fn programs_are_drawn() {
    let drawing = jit(|x: &Tensor| x.sin() + 1.0).graph_dot((&Tensor::from([1.0, 2.0]),)).unwrap();
    assert!(
        drawing.starts_with("digraph {")
            && drawing.contains("sin")
            && drawing.contains("input0 -> ")
    );
}

/// What is left of a program's gathers and scatters, also in its loops and choices: the numbers of
/// components of their indices.
fn lookups(graph: &Graph) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    for node in graph.nodes() {
        let mut bodies = Vec::new();
        match &node.op {
            op @ (Op::Gather(_) | Op::Scatter(_)) => {
                found.push((op.name(), graph.ty(node.operands[1]).shape.size()));
            }
            Op::Scan(scan) => bodies.push(&scan.body),
            Op::While(repeat) => bodies.extend([&repeat.condition, &repeat.body]),
            Op::Switch(switch) => bodies.extend(&switch.branches),
            _ => {}
        }
        bodies.into_iter().for_each(|body| found.extend(lookups(body)));
    }
    found
}

/// Programs of a vector of 36 numbers and a matrix; whether no gather is left of them, and no sum at
/// places of their derivatives.
const PLACES: &[(&str, [bool; 2], Program)] = &[
    ("windows", [true; 2], |x, _| each_to([21, 4], |[i, k]| x.at(i.value() + k.value()))),
    ("wide windows", [true; 2], |x, _| each_to([4, 11], |[i, k]| x.at(i.value() * 2 + k.value()))),
    ("backwards", [true; 2], |x, _| each_to([8], |[i]| x.at(20 - 2 * i.value()))),
    ("windows backwards", [true; 2], |x, _| {
        each_to([3, 9], |[k, i]| x.at(i.value() - k.value() + 7))
    }),
    ("a block", [true; 2], |_, m| {
        each_to([3, 2], |[i, j]| m.at((j.value() * 2 + 1, 4 - i.value())))
    }),
    ("rows", [true; 2], |_, m| each_to([2, 3], |[i, j]| m.at((i.value() + j.value(), ..)).sum())),
    ("repeated", [true; 2], |x, m| {
        each_to([5, 3], |[i, j]| x.at(i.value() + 2) * m.at((3, j.value())))
    }),
    ("convolution", [true; 2], |x, m| {
        each_to([20], |[i]| {
            each_to([5], |[k]| x.at(i.value() + k.value()) * m.at((0, k.value()))).sum()
        })
    }),
    ("Toeplitz", [true; 2], |x, _| {
        each_to([18, 18], |[i, j]| x.at(i.value() - j.value() + 17).sin())
    }),
    ("as it is", [true; 2], |_, m| each_to([7, 6], |[i, j]| m.at((i.value(), j.value())))),
    ("turned", [true; 2], |_, m| each_to([6, 7], |[i, j]| m.at((j.value(), i.value())))),
    ("in part outside", [true; 2], |_, m| {
        each_to([7, 6], |[i, j]| m.at_or((i.value() - 1, j.value() * 2 - 3), 9.0))
    }),
    ("windows in part outside", [true; 2], |x, _| {
        each_to([36, 3], |[i, k]| x.at_or(i.value() + k.value() - 1, 0.0))
    }),
    ("outside", [true; 2], |_, m| {
        each_to([3, 6], |[i, j]| m.at_or((i.value() + 7, j.value()), 2.0) + 1.0)
    }),
    ("moved inside", [true, false], |x, _| each_to([900], |[i]| x.at_clipped(500 - i.value()))),
    // Two axes at once.
    ("diagonal", [false; 2], |_, m| each_to([4], |[i]| m.at((i.value(), i.value() + 1)))),
];

#[test]
fn gathers_at_even_places_are_slices() {
    let mut rng = fastrand::Rng::with_seed(12);
    let x = random(&mut rng, &[36]);
    let m = random(&mut rng, &[7, 6]);
    let stack = |x: &Tensor| Tensor::stack(&[x, &x.sin(), &x.cos()], 0);
    for (name, [read, added], f) in PLACES {
        // Both are carried by a loop.
        let looped = |x: &Tensor, m: &Tensor| {
            let step = |_: &Tensor, (x, m): &(Tensor, Tensor)| {
                let y = f(x, m).mean();
                (x * 0.5 + &y, m * 0.25 + y)
            };
            let (x, m) = fori_loop(2, step, &(x.clone(), m.clone()));
            x.sum() + m
        };
        let slope = |x: &Tensor, m: &Tensor| {
            let total = |x: &Tensor, m: &Tensor| looped(x, m).square().sum();
            let of_x = grad(|x: &Tensor| total(x, m))(x);
            of_x.sum() * grad(|m: &Tensor| total(x, m))(m)
        };
        let check = |f: &(dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync), kind, gone| {
            let compiled = jit(|x: &Tensor, m: &Tensor| f(x, m));
            let explanation = compiled.explain((&x, &m)).unwrap();
            let count =
                |graph: &Graph| lookups(graph).iter().filter(|(name, _)| *name == kind).count();
            assert!(count(&explanation.before) > 0, "{name}: {explanation}");
            assert_eq!(count(&explanation.after) == 0, gone, "{name}: {explanation}");
            unloop_tests::assert_close(&compiled(&x, &m), &f(&x, &m), name);
            // Of examples, too.
            let (x, m) = (stack(&x), stack(&m));
            let all = vmap(|x: &Tensor, m: &Tensor| f(x, m), (0, 0));
            unloop_tests::assert_close(&jit(&all)(&x, &m), &all(&x, &m), name);
        };
        check(f, "gather", *read);
        check(&looped, "gather", *read);
        check(&slope, "scatter", *added);
    }
}

/// A place that a loop computes is looked up once, and no turned copy is made for it.
#[test]
fn what_a_loop_computes_is_looked_up_once() {
    let paths = |d: &Tensor| {
        let n = d.shape()[0];
        let step = |k: &Tensor, d: &Tensor| {
            each_to([n, n], |[i, j]| {
                let (to, from) = (d.at((i.value(), k)), d.at((k, j)));
                d.at((i.value(), j.value())).minimum(to + from)
            })
        };
        fori_loop(n, step, d)
    };
    let d = random(&mut fastrand::Rng::with_seed(15), &[9, 9]).square();
    let explanation = jit(paths).explain((&d,)).unwrap();
    assert_eq!(lookups(&explanation.after), [("gather", 1); 2], "{explanation}");
    let body = explanation.after.nodes().iter().find_map(|node| match &node.op {
        Op::Scan(scan) => Some(&scan.body),
        _ => None,
    });
    let body = body.unwrap();
    let gathers = body.nodes().iter().filter(|node| matches!(node.op, Op::Gather(_)));
    for gather in gathers {
        assert!(gather.operands[0].index() < body.inputs().len(), "{explanation}");
    }
    unloop_tests::assert_close(&jit(paths)(&d), &paths(&d), "paths");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Gathers at places of all kinds keep values and errors, in loops, of examples, and in derivatives.
    #[test]
    fn gathers_at_places(
        shape in prop::collection::vec(1usize..6, 1..4),
        sizes in [0usize..5, 1usize..5],
        kinds in prop::collection::vec((0..7, [-1..4, -2..3, -1..2]), 3),
        outside in 0..3,
        k in 0i64..3,
        p in prop::collection::vec(-1i64..4, 5),
        seed in any::<u64>(),
    ) {
        let x = random(&mut fastrand::Rng::with_seed(seed), &shape);
        let (k, p) = (Tensor::from(k), Tensor::from(p));
        let read = |x: &Tensor, k: &Tensor, p: &Tensor| {
            each_to(sizes, |[i, j]| {
                let index = |(kind, [o, a, b]): &(i32, [i32; 3])| -> IndexArg {
                    match kind {
                        0 => (..).into(),
                        1 | 2 => (i.value() * *a + j.value() * *b + *o).into(),
                        3 => (i.value() * *a + *o).into(),
                        4 => (j.value() * *a + *o).into(),
                        5 => k.into(),
                        _ => p.at(j.value()).into(),
                    }
                };
                let index: Vec<IndexArg> = kinds[..shape.len()].iter().map(index).collect();
                match outside {
                    0 => x.at(index),
                    1 => x.at_clipped(index),
                    _ => x.at_or(index, -7.0),
                }
            })
        };
        let slope = |x: &Tensor, k: &Tensor, p: &Tensor| {
            let step = |_: &Tensor, x: &Tensor| x * 0.5 + read(x, k, p).square().sum();
            grad(|x: &Tensor| fori_loop(2, step, x).sum())(x)
        };
        let same = |actual: Tensor, expected: Tensor| {
            match (actual.as_error(), expected.as_error()) {
                (None, None) => unloop_tests::assert_close(&actual, &expected, "places"),
                (actual, expected) => assert_eq!(
                    actual.map(|e| e.kind().clone()),
                    expected.map(|e| e.kind().clone())
                ),
            }
        };
        same(jit(read)(&x, &k, &p), read(&x, &k, &p));
        same(jit(slope)(&x, &k, &p), slope(&x, &k, &p));
        let xs = Tensor::stack(&[&x, &(&x * 2.0)], 0);
        let ks = Tensor::stack(&[&k, &(2 - &k)], 0);
        let ps = Tensor::stack(&[&p, &(3 - &p)], 0);
        let reads = vmap(read, (0, 0, 0));
        same(jit(&reads)(&xs, &ks, &ps), reads(&xs, &ks, &ps));
        let slopes = vmap(slope, (0, Shared, 0));
        same(jit(&slopes)(&xs, &k, &ps), slopes(&xs, &k, &ps));
    }
}

/// Factors are counted before they are taken apart: a product of many, or of itself again and again, is
/// compiled at once.
#[test]
fn products_of_many_factors_are_compiled_at_once() {
    let a = Tensor::from([[0.5, 0.25], [0.0, 1.0]]);
    let power = |a: &Tensor, n| jit(move |a: &Tensor| unloop::linalg::matrix_power(a, n))(a);
    let limit = Tensor::from([[0.0, 0.5], [0.0, 1.0]]);
    unloop_tests::assert_close(&power(&a, i32::MAX), &limit, "a power");
    let identity = Tensor::eye(DType::F64, 2);
    unloop_tests::assert_close(&power(&identity, i32::MIN), &identity, "an inverse power");
    let factors = |x: &Tensor| (0..40).fold(x.cos(), |y, i| y * (x * f64::from(i)).cos()).sum();
    let x = Tensor::from([0.01, -0.02]);
    unloop_tests::assert_close(&jit(factors)(&x), &factors(&x), "factors");
}
