//! Rewriting: every rule alone, random sums of products, and what a user would be told.

use proptest::prelude::*;
use unloop::prelude::*;
use unloop::{BinaryOp, Explanation, Graph, Op, Rewriting, Scalar, TensorType};
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

/// Programs of a vector of 24 numbers and a matrix, and whether no gather is left of them.
const PLACES: &[(&str, bool, Program)] = &[
    ("windows", true, |x, _| each_to([21, 4], |[i, k]| x.at(i.value() + k.value()))),
    ("wide windows", true, |x, _| each_to([4, 11], |[i, k]| x.at(i.value() * 2 + k.value()))),
    ("backwards", true, |x, _| each_to([8], |[i]| x.at(20 - 2 * i.value()))),
    ("windows backwards", true, |x, _| each_to([3, 9], |[k, i]| x.at(i.value() - k.value() + 7))),
    ("a block", true, |_, m| each_to([3, 2], |[i, j]| m.at((j.value() * 2 + 1, 4 - i.value())))),
    ("rows", true, |_, m| each_to([2, 3], |[i, j]| m.at((i.value() + j.value(), ..)).sum())),
    ("repeated", true, |x, m| each_to([5, 3], |[i, j]| x.at(i.value() + 2) * m.at((3, j.value())))),
    ("convolution", true, |x, m| {
        each_to([20], |[i]| {
            each_to([5], |[k]| x.at(i.value() + k.value()) * m.at((0, k.value()))).sum()
        })
    }),
    ("Toeplitz", true, |x, _| each_to([18, 18], |[i, j]| x.at(i.value() - j.value() + 17).sin())),
    // Two axes at once.
    ("diagonal", false, |_, m| each_to([4], |[i]| m.at((i.value(), i.value() + 1)))),
];

#[test]
fn gathers_at_even_places_are_slices() {
    let mut rng = fastrand::Rng::with_seed(12);
    let x = random(&mut rng, &[36]);
    let m = random(&mut rng, &[7, 6]);
    for (name, gone, f) in PLACES {
        let expected = f(&x, &m);
        let compiled = jit(f);
        let explanation = compiled.explain((&x, &m)).unwrap();
        let gathers = |graph: &Graph| {
            graph.nodes().iter().filter(|node| matches!(node.op, Op::Gather(_))).count()
        };
        assert!(gathers(&explanation.before) > 0, "{name}: {explanation}");
        assert_eq!(gathers(&explanation.after) == 0, *gone, "{name}: {explanation}");
        let actual = compiled(&x, &m);
        unloop_tests::assert_close(&actual, &expected, name);
        // Examples of it, too, and its derivative.
        let stacked = Tensor::stack(&[&x, &x.sin(), &x.cos()], 0);
        let all = jit(vmap(f, (0, Shared)))(&stacked, &m);
        unloop_tests::assert_close(&all.slice_axis(0, 0, 1).squeeze(0), &expected, name);
        let total = |x: &Tensor, m: &Tensor| f(x, m).square().sum();
        let (p, q) = (jit(grad(total))(&x, &m), grad(total)(&x, &m));
        unloop_tests::assert_close(&p, &q, name);
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
