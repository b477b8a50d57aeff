//! QR, singular values and eigenvalues: what the factors rebuild, derivatives of functions of them
//! that are unique, and sorting.

use unloop::prelude::*;
use unloop::{ErrorKind, Result};
use unloop_graph::backend::Backend;
use unloop_tests::{assert_close, tensor};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    tensor(&mut fastrand::Rng::with_seed(seed), DType::F64, shape)
}

fn eye_like(x: &Tensor) -> Tensor {
    let n = x.shape()[x.rank() - 1];
    Tensor::eye(DType::F64, n).broadcast_to(x.shape())
}

fn scaled_columns(u: &Tensor, s: &Tensor) -> Tensor {
    vmap(|column: &Tensor, s: &Tensor| column * s, (1, 0)).out_axis(1)(u, s)
}

const SHAPES: [[usize; 2]; 7] = [[1, 1], [4, 4], [6, 3], [3, 6], [40, 40], [5, 1], [1, 5]];

#[test]
fn factors_rebuild_the_matrix() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let a = random(seed as u64, shape);
        let (q, r) = a.qr();
        assert_close(&q.matmul(&r), &a, "q·r");
        assert_close(&q.mt().matmul(&q), &eye_like(&q.mt().matmul(&q)), "qᵀ·q");
        let (u, s, vt) = a.svd();
        assert_close(&scaled_columns(&u, &s).matmul(&vt), &a, "u·s·vt");
        assert_close(&u.mt().matmul(&u), &eye_like(&u.mt().matmul(&u)), "uᵀ·u");
        assert_close(&vt.matmul(&vt.mt()), &eye_like(&vt.matmul(&vt.mt())), "vt·v");
        assert_close(&a.singular_values(), &s, "values alone");
        let symmetric = a.matmul(&a.mt());
        let (w, v) = symmetric.eigh();
        assert_close(&scaled_columns(&v, &w).matmul(&v.mt()), &symmetric, "v·w·vᵀ");
        assert_close(&w, &w.sort(0), "from the least");
    }
}

#[test]
fn backends_agree_on_what_is_unique() {
    for shape in SHAPES {
        let f = jit(|a: &Tensor| {
            let (q, r) = a.qr();
            let (u, s, vt) = a.svd();
            let (w, _) = a.matmul(&a.mt()).eigh();
            (q.matmul(&r), r.abs(), s, u.matmul(&vt), w)
        });
        let a = random(3, &shape);
        let graph = f.graph((&a,)).unwrap();
        let inputs = [a.value("test").unwrap().clone()];
        let expected = graph.evaluate(&inputs).unwrap();
        let actual = unloop_cpu::Cpu.compile(&graph, &[]).unwrap().run(&inputs).unwrap();
        for (a, b) in expected.iter().zip(&actual) {
            assert!(
                unloop_tests::deviation(a, b) < 1e-10,
                "{shape:?}: {a:?} {b:?}",
                a = a.shape(),
                b = b.shape()
            );
        }
    }
}

#[test]
fn vmap_decomposes_each_matrix() {
    let stack = random(5, &[3, 5, 4]);
    let moved = stack.move_axis(0, 2);
    let s = vmap(Tensor::singular_values, -1)(&moved);
    let (q, r) = vmap(Tensor::qr, 0)(&stack);
    for i in 0..3 {
        let a = stack.at((i, .., ..));
        assert_close(&s.at((i, ..)), &a.singular_values(), "values");
        assert_close(&q.at((i, .., ..)).matmul(&r.at((i, .., ..))), &a, "factors");
    }
}

/// Many small matrices are decomposed side by side; one by one they have the same factors, up to
/// rounding. A member that is not finite disturbs nobody; extreme ones neither overflow nor vanish.
#[test]
fn stacks_of_small_matrices_have_the_factors_of_their_members() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(31);
    for dtype in [DType::F32, DType::F64] {
        let shapes = [[1, 1], [2, 2], [3, 3], [5, 3], [3, 5], [8, 8], [9, 4], [17, 17], [32, 20]];
        for (m, n) in shapes.map(|[m, n]| (m, n)) {
            for count in [1usize, 4, 8, 19, 33] {
                let stack = tensor(&mut rng, dtype, &[count, m, n]);
                let factor = Tensor::from_fn([count], |i| [1.0, 1e30, 1e-30, f64::NAN][i[0] % 4]);
                let factor = factor.cast(dtype);
                let spoilt = &stack * factor.reshape([count, 1, 1]).broadcast();
                for (stack, what) in [(&stack, "numbers"), (&spoilt, "extreme numbers")] {
                    let (q, r) = jit(vmap(Tensor::qr, 0)).try_call((stack,))?;
                    for i in 0..count {
                        let name = format!("{what}: {dtype:?} {m}×{n}, {i} of {count}");
                        let a = stack.at((i as i64, .., ..));
                        let (q, r) = (q.at((i as i64, .., ..)), r.at((i as i64, .., ..)));
                        if a.at((0, 0)).is_nan().item::<bool>()? {
                            assert!(q.matmul(&r).is_nan().all().item::<bool>()?, "{name}");
                            continue;
                        }
                        let size = a.abs().max();
                        assert_close(&(q.matmul(&r) / &size), &(&a / &size), &name);
                        let (one, upper) = a.qr();
                        assert_close(&q, &one, &name);
                        assert_close(&(r / &size), &(upper / &size), &name);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Compares a gradient with central differences along a random direction.
fn check_gradient(f: impl Fn(&Tensor) -> Tensor + Send + Sync + Copy, shape: &[usize]) {
    let (a, t) = (random(7, shape), random(8, shape));
    let h = 1e-6;
    let at = |s: f64| f(&(&a + &t * s)).item::<f64>().unwrap();
    let slope = (at(h) - at(-h)) / (2.0 * h);
    let backward: f64 = (grad(f)(&a) * &t).sum().item().unwrap();
    let forward: f64 = jvp(f)(&a, &t).1.item().unwrap();
    assert!((slope - backward).abs() < 1e-6 * (1.0 + slope.abs()), "{slope} {backward}");
    assert!((forward - backward).abs() < 1e-9 * (1.0 + slope.abs()), "{forward} {backward}");
}

#[test]
fn derivatives_of_decompositions() {
    // The polar factor u·vt, and functions of the values, are unique.
    for shape in [[4, 4], [6, 3], [3, 6]] {
        check_gradient(
            |a| {
                let (u, s, vt) = a.svd();
                (u.matmul(&vt).sin().sum()) + s.square().sum()
            },
            &shape,
        );
        check_gradient(|a| a.singular_values().exp().sum(), &shape);
    }
    for shape in [[4, 4], [6, 3]] {
        check_gradient(
            |a| {
                let (q, r) = a.qr();
                (q.square() * 3.0).sin().sum() + r.abs().sum()
            },
            &shape,
        );
    }
    check_gradient(
        |a| {
            let (w, v) = (a + a.mt()).eigh();
            (v.square() * 2.0).sin().sum() + w.exp().sum()
        },
        &[5, 5],
    );
}

#[test]
fn sorting_moves_tangents_with_values() -> Result<()> {
    let x = Tensor::from([3.0, f64::NAN, -1.0, 2.0, -0.0, 0.0]);
    let sorted = x.sort(0).to_vec::<f64>()?;
    assert_eq!(sorted[..5], [-1.0, 0.0, 0.0, 2.0, 3.0]);
    assert!(sorted[5].is_nan());
    assert_eq!(x.argsort(0).to_vec::<i64>()?, [2, 4, 5, 3, 0, 1]);
    let (values, places) = Tensor::from([1.0, 5.0, 5.0, 2.0]).top_k(3, 0);
    assert_eq!(values.to_vec::<f64>()?, [5.0, 5.0, 2.0]);
    assert_eq!(places.to_vec::<i64>()?, [1, 2, 3]);
    let g =
        grad(|x: &Tensor| x.sort(0).at(0) * 10.0 + x.sort(0).at(2))(&Tensor::from([7.0, 1.0, 3.0]));
    assert_eq!(g.to_vec::<f64>()?, [1.0, 10.0, 0.0]);
    let rows = random(9, &[4, 50]);
    let all = vmap(|row: &Tensor| row.sort(0), 0)(&rows);
    assert_close(&all.at((2, ..)), &rows.at((2, ..)).sort(0), "rows");
    assert_close(&rows.sort(0).t(), &vmap(|c: &Tensor| c.sort(0), 1)(&rows), "columns");
    Ok(())
}

#[test]
fn windows_and_cumulative_sums() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    assert_eq!(x.cumsum(0).to_vec::<f64>()?, [1.0, 3.0, 6.0, 10.0]);
    assert_eq!(x.cumprod(-1).to_vec::<f64>()?, [1.0, 2.0, 6.0, 24.0]);
    let expected = [1.0f64, 2.0, 3.0, 4.0].iter().map(|x| x.exp()).sum::<f64>().ln();
    let total: f64 = x.cumlogsumexp(0).at(3).item()?;
    assert!((total - expected).abs() < 1e-14);
    let y =
        Tensor::from([-1.0, f64::NEG_INFINITY]).logaddexp(&Tensor::from([f64::NEG_INFINITY; 2]));
    assert_eq!(y.to_vec::<f64>()?, [-1.0, f64::NEG_INFINITY]);
    Ok(())
}

/// Stacks of small matrices run one a lane: in every size and number, a member that is singular or
/// not positive definite is NaN, and the others are as they are alone.
#[test]
fn members_of_a_stack_do_not_disturb_each_other() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(31);
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 33, 64, 65] {
        for count in [2, 3, 8, 15, 16, 17, 33] {
            for dtype in [DType::F32, DType::F64] {
                let k = 1 + count % 3;
                let a = unloop_tests::tensor(&mut rng, DType::F64, &[count, n, n]);
                let b = unloop_tests::tensor(&mut rng, dtype, &[count, n, k]);
                let eye = Tensor::eye(DType::F64, n).broadcast_to([count, n, n]);
                let regular = &a + &eye * 3.0;
                let bad = rng.usize(..count);
                let spoil = |x: &Tensor| {
                    let zeros = Tensor::zeros(DType::F64, [n, n]);
                    x.set((bad as i64, .., ..), &zeros).cast(dtype)
                };
                let definite = vmap(|a: &Tensor| a.matmul(&a.t()), 0)(&a) + &eye;
                let (regular, definite) = (spoil(&regular), spoil(&definite));
                let lower = (&a + &eye * 3.0).cast(dtype);
                let tolerance = if dtype == DType::F32 { 2e-3 } else { 1e-9 };
                let check = |f: &(dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync),
                             a: &Tensor,
                             bad: Option<usize>,
                             what: &str| {
                    let all = jit(vmap(f, (0, 0)))(a, &b);
                    for i in 0..count {
                        let at = (i as i64, .., ..);
                        let member = all.at(at);
                        if bad == Some(i) {
                            assert!(
                                member.is_nan().all().item::<bool>().unwrap(),
                                "{what} {n} {count}"
                            );
                            continue;
                        }
                        let (x, y) = ([a.at(at)], [b.at(at)]);
                        let alone = Tensor::arrays(&[f(&x[0], &y[0])]).unwrap();
                        let gap = unloop_tests::deviation(
                            &Tensor::arrays(&[member]).unwrap()[0],
                            &alone[0],
                        );
                        assert!(gap < tolerance, "{what} {dtype} {n} {count}: {gap:e}");
                    }
                };
                check(&|a, b| a.solve(b), &regular, Some(bad), "solve");
                check(&|a, b| a.t().solve(b), &regular, Some(bad), "transposed");
                check(&|a, _| a.cholesky(), &definite, Some(bad), "cholesky");
                check(&|a, b| a.solve_lower(b), &lower, None, "lower");
                check(&|a, b| a.t().solve_upper(b), &lower, None, "upper");
            }
        }
    }
    Ok(())
}

#[test]
fn systems_with_one_matrix_share_its_factors() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(31);
    let loss = |a: &Tensor, b: &Tensor| {
        let x = a.solve(b);
        (a.solve(&x.sin()) * &x).sum()
    };
    for shape in [&[3usize][..], &[30], &[90], &[3, 70]] {
        let (&n, batch) = shape.split_last().expect("a size");
        let a = tensor(&mut rng, DType::F64, &[batch, &[n, n]].concat());
        let a = &a + Tensor::eye(DType::F64, n).broadcast_to(a.shape()) * 3.0;
        let b = tensor(&mut rng, DType::F64, shape);
        let compare = |compiled: (Tensor, Tensor), graph: unloop::Graph| -> Result<()> {
            let inputs = Tensor::arrays(&[a.clone(), b.clone()]).expect("numbers");
            let expected = graph.evaluate(&inputs)?;
            assert_close(&compiled.0, &expected[0].clone().into(), &format!("{shape:?}"));
            assert_close(&compiled.1, &expected[1].clone().into(), &format!("{shape:?}"));
            Ok(())
        };
        if batch.is_empty() {
            let f = jit(value_and_grad(loss));
            compare(f.try_call((&a, &b))?, f.graph((&a, &b))?)?;
        } else {
            let f = jit(vmap(value_and_grad(loss), (0, 0)));
            compare(f.try_call((&a, &b))?, f.graph((&a, &b))?)?;
        }
    }
    // A singular matrix is an error still.
    let (a, b) = (Tensor::zeros(DType::F64, [40, 40]), Tensor::ones(DType::F64, [40]));
    let twice = jit(|a: &Tensor, b: &Tensor| a.solve(&a.solve(b)));
    // The factors lie in memory only where they are shared.
    let once = jit(|a: &Tensor, b: &Tensor| a.solve(b));
    let factors = 40 * 40 * 8;
    assert!(twice.plan((&a, &b))?.peak_bytes() >= factors);
    assert!(once.plan((&a, &b))?.peak_bytes() < factors);
    let error = twice.try_call((&a, &b)).expect_err("singular");
    assert_eq!(*error.kind(), ErrorKind::Singular);
    Ok(())
}
