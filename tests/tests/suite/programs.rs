//! Properties of random programs: the CPU equals the reference, vmap equals stacking, jvp equals
//! differences, vjp equals jvp, jit changes nothing, results do not depend on threads.

use proptest::prelude::*;
use unloop::prelude::*;
use unloop_cpu::Cpu;
use unloop_graph::op::{Pad, PadAxis};
use unloop_graph::{Array, backend::Backend};
use unloop_tests::{assert_close, deviation};

/// One step of a program: an operation, and which values it reads (modulo how many there are).
#[derive(Clone, Debug)]
struct Step {
    op: u8,
    x: usize,
    y: usize,
    axis: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<usize>(), any::<usize>(), any::<usize>())
        .prop_map(|(op, x, y, axis)| Step { op, x, y, axis });
    prop::collection::vec(step, 1..14)
}

/// Runs a program of smooth operations on tensors of any shape; every value stays of moderate size.
/// The result is a scalar and a tensor.
fn program(steps: &[Step], inputs: &[&Tensor]) -> (Tensor, Tensor) {
    let mut values: Vec<Tensor> = inputs.iter().map(|&x| x.clone()).collect();
    for step in steps {
        let x = values[step.x % values.len()].clone();
        let y = values[step.y % values.len()].clone();
        let axis = |t: &Tensor| (t.rank() > 0).then(|| (step.axis % t.rank()) as isize);
        let next = match step.op % 22 {
            0 => x.broadcast() + like(&y, &x),
            1 => &x * like(&y, &x),
            2 => &x - like(&y, &x) * 0.5,
            3 => &x / (like(&y, &x).square() + 1.0),
            4 => x.sin(),
            5 => x.tanh() + 0.1 * &x,
            6 => (-x.square()).exp(),
            7 => (x.square() + 1.0).sqrt().log(),
            8 => x.greater(&like(&y, &x)).select(&x.sin(), &(&x * 2.0)).tanh(),
            9 => match axis(&x) {
                Some(axis) => x.sum_keep(axis as i32).tanh().broadcast_to(x.shape()),
                None => x.cos(),
            },
            10 => match axis(&x) {
                Some(axis) => x.softmax(axis as i32),
                None => x.sigmoid(),
            },
            11 => match axis(&x) {
                Some(axis) => x.flip(&[axis]) + &x,
                None => -&x,
            },
            12 => match axis(&x) {
                Some(axis) => Tensor::concatenate(&[&x, &x.sin()], axis).slice_axis(
                    axis,
                    x.shape()[axis as usize] / 2,
                    x.shape()[axis as usize] / 2 + x.shape()[axis as usize],
                ),
                None => x.atan(),
            },
            13 if x.rank() == 2 => x.t(),
            14 if x.rank() == 2 => x.matmul(&x.t()).tanh(),
            15 if x.rank() >= 1 => x.reshape([x.size()]),
            16 if x.rank() >= 1 => x.sum_axis((step.axis % x.rank()) as i32).tanh(),
            17 if x.rank() >= 1 => x.mean_axis(-1),
            18 if x.rank() >= 1 => {
                let zero = Tensor::from(0.0);
                let amounts = vec![(1, 0); x.rank()];
                x.pad(&amounts, &zero)
            }
            19 if x.rank() == 1 && x.size() > 0 => {
                let i = Tensor::from([0i32, (x.size() - 1) as i32, 0]);
                each(|[k]| x.at(i.at(k)))
            }
            20 if x.rank() == 1 && x.size() > 1 => x.set(0, &x.at(1)).add_at(1, &x.at(0)),
            21 if x.rank() == 2 && x.shape()[0] == x.shape()[1] => {
                let n = x.shape()[0];
                let a = x.tanh() * 0.1 + Tensor::eye(DType::F64, n);
                a.solve(&x).tanh()
            }
            _ => x.softplus().sin(),
        };
        // Programs do not grow beyond what the reference evaluator runs fast.
        if next.size() <= 4096 {
            values.push(next);
        }
    }
    let last = values[values.len() - 1].clone();
    let total = values.iter().map(|v| v.sin().sum()).reduce(|a, b| a + b);
    (total.unwrap_or_else(|| Tensor::from(0.0)), last)
}

/// `y` where it has the shape of `x`, else its mean.
fn like(y: &Tensor, x: &Tensor) -> Tensor {
    if y.shape() == x.shape() { y.clone() } else { y.sin().mean().broadcast_to(x.shape()) }
}

fn inputs(seed: u64) -> [Tensor; 3] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let shape = [[3usize, 4], [1, 5], [2, 2], [9, 17], [6, 37]][rng.usize(0..5)];
    [
        unloop_tests::tensor(&mut rng, DType::F64, &shape),
        unloop_tests::tensor(&mut rng, DType::F64, &shape[1..]),
        unloop_tests::tensor(&mut rng, DType::F64, &[]),
    ]
}

/// Runs a program on the CPU and by reference. What it captured are indices.
fn check_graph(graph: &unloop::Graph, seed: u64) -> Result<(), TestCaseError> {
    graph.check().unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let random = |ty: &unloop::TensorType| match ty.dtype {
        DType::F64 => unloop_tests::tensor(&mut rng, DType::F64, &ty.shape),
        dtype => Tensor::zeros(dtype, &ty.shape[..]),
    };
    let inputs: Vec<Array> =
        graph.inputs().iter().map(random).map(|t| t.value("test").unwrap().clone()).collect();
    let expected = graph.evaluate(&inputs).unwrap();
    // The machine's kernels, and the loop nests that say what they do.
    let tiles = Cpu.compile(graph, &[]).unwrap();
    let by_tiles = tiles.run(&inputs).unwrap();
    let by_nests = Cpu::compile_by_nests(graph).unwrap().run(&inputs).unwrap();
    for (a, b) in expected.iter().chain(&expected).zip(by_tiles.iter().chain(&by_nests)) {
        let error = deviation(a, b);
        prop_assert!(error < 1e-9, "deviation {error:e}\n{graph}\n{}", tiles.describe());
    }
    // Machine code has the same bits.
    if let Some(code) = Cpu::compile_for(graph, "code") {
        for (a, b) in by_tiles.iter().zip(&code.unwrap().run(&inputs).unwrap()) {
            prop_assert_eq!(deviation(a, b), 0.0, "\n{}\n{}", graph, tiles.describe());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn cpu_equals_reference(steps in steps(), seed in any::<u64>()) {
        let [x, y, z] = inputs(seed);
        let f = |x: &Tensor, y: &Tensor, z: &Tensor| program(&steps, &[x, y, z]);
        let total = |x: &Tensor, y: &Tensor, z: &Tensor| f(x, y, z).0;
        check_graph(&jit(f).graph((&x, &y, &z)).unwrap(), seed)?;
        check_graph(&grad(total).graph((&x, &y, &z)).unwrap(), seed)?;
        check_graph(&vmap(f, (0, 0, Shared)).graph((&x, &x, &z)).unwrap(), seed)?;
        check_graph(&vmap(grad(total), (-1, Shared, Shared)).graph((&x, &y, &z)).unwrap(), seed)?;
        // Compiled or operation by operation, the same.
        let (total, last) = f(&x, &y, &z);
        let (jit_total, jit_last) = jit(f)(&x, &y, &z);
        assert_close(&total, &jit_total, "total");
        assert_close(&last, &jit_last, "last");
    }

    #[test]
    fn threads_do_not_matter(steps in steps(), seed in any::<u64>()) {
        let [x, y, z] = inputs(seed);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let f = jit(|x: &Tensor, y: &Tensor, z: &Tensor| program(&steps, &[x, y, z]));
                f(&x, &y, &z)
            })
        };
        let (one, three) = (run(1), run(3));
        prop_assert!(one.1.value("t").unwrap() == three.1.value("t").unwrap());
        prop_assert!(one.0.value("t").unwrap() == three.0.value("t").unwrap());
    }

    #[test]
    fn vmap_is_stacking(steps in steps(), seed in any::<u64>(), axis in 0i32..2) {
        let [x, y, z] = inputs(seed);
        let xs: Vec<Tensor> = (0..3).map(|i| &x * (f64::from(i) - 0.7)).collect();
        let stacked = Tensor::stack(&xs.iter().collect::<Vec<_>>(), axis as isize);
        let f = |x: &Tensor, y: &Tensor, z: &Tensor| program(&steps, &[x, y, z]).1;
        let all = vmap(f, (axis, Shared, Shared))(&stacked, &y, &z);
        let each: Vec<Tensor> = xs.iter().map(|x| f(x, &y, &z)).collect();
        assert_close(&all, &Tensor::stack(&each.iter().collect::<Vec<_>>(), 0), "vmap");
    }

    #[test]
    fn derivatives_agree(steps in steps(), seed in any::<u64>()) {
        let [x, y, z] = inputs(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 1);
        let f = |x: &Tensor, y: &Tensor| program(&steps, &[x, y, &z]).0;
        let t = (
            unloop_tests::tensor(&mut rng, DType::F64, x.shape()),
            unloop_tests::tensor(&mut rng, DType::F64, y.shape()),
        );
        let (value, dy) = jvp(f)(&(x.clone(), y.clone()), &t);
        assert_close(&value, &f(&x, &y), "value");
        let (_, pullback) = vjp(f)(&x, &y);
        let (dx, dw) = pullback(&Tensor::from(1.0));
        let backward = (&dx * &t.0).sum() + (&dw * &t.1).sum();
        let (forward, backward): (f64, f64) = (dy.item().unwrap(), backward.item().unwrap());
        prop_assert!((forward - backward).abs() < 1e-8 * (1.0 + forward.abs()), "{forward} {backward}");
        assert_close(&grad(f)(&x, &y), &dx, "grad");
        // The central difference, unless a comparison flips in between.
        let h = 1e-6;
        let at = |s: f64| -> f64 { f(&(&x + &t.0 * s), &(&y + &t.1 * s)).item().unwrap() };
        let (slope, wider) = ((at(h) - at(-h)) / (2.0 * h), (at(2.0 * h) - at(-2.0 * h)) / (4.0 * h));
        if (slope - wider).abs() < 1e-5 * (1.0 + slope.abs()) {
            prop_assert!((slope - forward).abs() < 1e-4 * (1.0 + slope.abs()), "{slope} {forward}");
        }
    }
}

/// Grids of these sizes: empty, of single rows, of primes, and large enough for anything to be cut.
const GRIDS: [&[usize]; 8] =
    [&[0, 3], &[1, 5], &[7], &[13, 11], &[2, 3, 5], &[40, 53], &[61, 2], &[3, 300]];

/// A program that moves what it computes along grids: it rolls, pads, cuts off, joins and writes parts.
fn moves(steps: &[Step], x: &Tensor) -> Tensor {
    let mut values = vec![x.clone()];
    for step in steps {
        let x = values[step.x % values.len()].clone();
        let y = values[step.y % values.len()].clone();
        let at = step.axis % x.rank();
        let (axis, n) = (at as i32, x.shape()[at]);
        // Amounts that may be negative, and a range of the axis.
        let amounts = [(step.y % 7) as i64 - 2, (step.axis / 7 % 7) as i64 - 2];
        let low = step.y % (n + 1);
        let range = low..low + step.axis / 3 % (n - low + 1);
        let part = |x: &Tensor| x.slice_axis(axis as isize, range.start, range.end);
        let pad = |mut axis: PadAxis| {
            let length = (n + n.saturating_sub(1) * axis.interior) as i64;
            axis.low = axis.low.max(-length);
            axis.high = axis.high.max(-length - axis.low);
            let mut all = vec![PadAxis::default(); x.rank()];
            all[at] = axis;
            x.pad_with(Pad(all.into_iter().collect()), if step.y % 2 == 0 { 0.0 } else { 1.5 })
        };
        let [low, high] = amounts;
        // A part of all axes.
        let inner: Vec<std::ops::Range<i32>> = x
            .shape()
            .iter()
            .map(|&n| n.min(1) as i32..(n as i32 - 1).max(n.min(1) as i32))
            .collect();
        let written = |x: &Tensor, value: &Tensor| match &inner[..] {
            [a] => x.set(a.clone(), value),
            [a, b] => x.set((a.clone(), b.clone()), value),
            [a, b, c] => x.set((a.clone(), b.clone(), c.clone()), value),
            _ => x.clone(),
        };
        let next = match step.op % 17 {
            0 => x.roll(low, axis),
            1 => x.roll(1, axis) + x.roll(-1, axis) - 0.5 * &x,
            2 => x.roll(low, axis).roll(high, (x.rank() - 1) as i32).sin() * like(&y, &x),
            3 => pad(PadAxis { low, high, interior: 0 }),
            4 => pad(PadAxis { low, high, interior: step.y % 3 }),
            5 => (x.cos() + 0.5).pad(&vec![(1, 2); x.rank()], 0.25),
            6 => written(&x, &Tensor::from(0.5)),
            7 => {
                let sizes: Vec<usize> = inner.iter().map(|r| r.len()).collect();
                let starts: Vec<usize> = inner.iter().map(|r| r.start as usize).collect();
                let ends: Vec<usize> = starts.iter().zip(&sizes).map(|(a, n)| a + n).collect();
                written(&x, &(2.0 * x.slice(&starts, &ends, &vec![1; x.rank()])).sin())
            }
            8 if x.rank() == 1 => x.set(range.start as i32..range.end as i32, &part(&x.cos())),
            8 if x.rank() == 2 && at == 1 => {
                x.add_at((.., range.start as i32..range.end as i32), &part(&x.cos()))
            }
            9 => Tensor::concatenate(&[&part(&x), &x.tanh(), &part(&x).exp()], axis),
            10 => Tensor::concatenate(&[&x, &x], axis) * 0.5,
            11 => part(&x) + 1.0,
            12 => x.flip(&[axis as isize]),
            13 if x.rank() == 2 => x.t(),
            14 => x.sum_keep(axis).tanh().broadcast_to(x.shape()),
            15 => &x * like(&y, &x) + x.roll(1, axis),
            _ => x.sin() + like(&y, &x) * 0.5,
        };
        if next.size() <= 8192 {
            values.push(next);
        }
    }
    // Means, not sums, so that rounding does not grow with the size of the grid.
    let mean = |v: &Tensor| v.sin().sum() / v.size().max(1) as f64;
    values.iter().map(mean).fold(Tensor::from(0.0), |a, b| a + b)
        + values[values.len() - 1].broadcast()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn moves_along_grids_equal_the_reference(
        steps in steps(),
        seed in any::<u64>(),
        grid in 0..GRIDS.len(),
    ) {
        let x = unloop_tests::tensor(&mut fastrand::Rng::with_seed(seed), DType::F64, GRIDS[grid]);
        let f = |x: &Tensor| moves(&steps, x);
        check_graph(&jit(f).graph((&x,)).unwrap(), seed)?;
        check_graph(&grad(|x: &Tensor| f(x).sin().sum()).graph((&x,)).unwrap(), seed)?;
        let xs = Tensor::stack(&[&x, &(&x * 0.5), &(&x - 0.1)], 0);
        check_graph(&vmap(f, 0).graph((&xs,)).unwrap(), seed)?;
        // A step of a loop keeps the grid.
        let step = |_: &Tensor, x: &Tensor| {
            let y = f(x);
            if y.shape() == x.shape() { y.tanh() } else { x + y.sin().sum() / y.size().max(1) as f64 }
        };
        check_graph(&jit(|x: &Tensor| fori_loop(3, step, x)).graph((&x,)).unwrap(), seed)?;
    }
}

/// Steps of grids that read neighbours by rolls, pad what they compute, or write the inside: what is moved
/// is not laid in memory, but where that is predicted to cost less.
#[test]
fn stencils_make_no_copies() {
    let x = Tensor::ones(DType::F32, [300, 310]);
    let is_kernel = |line: &&str| line.trim_start().starts_with("kernel");
    let kernels = |text: &str| text.lines().filter(is_kernel).count();
    let roll = |x: &Tensor| {
        let at = |i, j| x.roll(i, 0).roll(j, 1);
        let sides = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1);
        x + 0.1 * (sides + at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1) - 8.0 * x)
    };
    let text = jit(roll).plan((&x,)).unwrap().to_string();
    // The inside, and a row, a column and a corner at each side.
    assert_eq!(kernels(&text), 9, "{text}");
    assert!(!text.contains("kernel: copy"), "{text}");
    let set = |x: &Tensor| {
        let at = |i: i32, j: i32| x.at((1 + i..299 + i, 1 + j..309 + j));
        let inside = at(0, 0) + 0.1 * (at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1));
        x.set((1..299, 1..309), &inside)
    };
    let text = jit(set).plan((&x,)).unwrap().to_string();
    assert_eq!(kernels(&text), 5, "{text}");
    let pad = |x: &Tensor| (x.sin() + 1.0).pad(&[(1, 1), (0, 0)], 0.0) * 2.0;
    let text = jit(pad).plan((&x,)).unwrap().to_string();
    assert_eq!(kernels(&text), 3, "{text}");
    // Starts count in small grids.
    let text = jit(pad).plan((&Tensor::ones(DType::F32, [4, 4]),)).unwrap().to_string();
    assert_eq!(kernels(&text), 2, "{text}");
    // So do short rows, which a kernel of the whole takes several of at a time.
    let turned = |x: &Tensor| {
        let halves = [&-x.slice_axis(2, 32, 64), &x.slice_axis(2, 0, 32)];
        x.sin() * x + Tensor::concatenate(&halves, 2) * 0.5
    };
    let x = Tensor::ones(DType::F32, [512, 16, 64]);
    let text = jit(turned).plan((&x,)).unwrap().to_string();
    assert_eq!(kernels(&text), 3, "{text}");
}

/// Work that is shared among threads: large products, reductions, maps, stacks of systems.
#[test]
fn threads_do_not_matter_for_large_tensors() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut random = |shape: &[usize]| unloop_tests::tensor(&mut rng, DType::F64, shape);
    let (a, b) = (random(&[300, 257]), random(&[257, 190]));
    let (x, systems) = (random(&[400_000]), random(&[900, 6, 6]));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            vec![
                a.matmul(&b),
                x.sum(),
                (&x * 3.0).sin(),
                x.reshape([4, 100_000]).sum_axis(1),
                x.reshape([100_000, 4]).mean_axis(0),
                vmap(Tensor::solve, 0)(&systems, &systems),
                x.argmax(),
            ]
        })
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        for (a, b) in one.iter().zip(run(threads)) {
            assert!(a.value("test").unwrap() == b.value("test").unwrap(), "{threads} threads");
        }
    }
}
