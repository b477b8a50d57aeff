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
    check_gradient_at(f, &random(7, shape));
}

fn check_gradient_at(f: impl Fn(&Tensor) -> Tensor + Send + Sync + Copy, a: &Tensor) {
    let t = random(8, a.shape());
    let h = 1e-6;
    let at = |s: f64| f(&(a + &t * s)).item::<f64>().unwrap();
    let slope = (at(h) - at(-h)) / (2.0 * h);
    let backward: f64 = (grad(f)(a) * &t).sum().item().unwrap();
    let forward: f64 = jvp(f)(a, &t).1.item().unwrap();
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

/// Derivatives of two functions of a matrix, of which one is computed by another way, to third order
/// in both modes.
fn same_derivatives(
    f: impl Fn(&Tensor) -> Tensor + Send + Sync + Copy,
    g: impl Fn(&Tensor) -> Tensor + Send + Sync + Copy,
    a: &Tensor,
    tolerance: f64,
    what: &str,
) {
    let direction = |seed| random(seed, a.shape());
    let (d, e, h) = (direction(91), direction(92), direction(93));
    let gap = |x: Tensor, y: Tensor, order: &str| {
        let size = 1.0 + y.abs().max().item::<f64>().unwrap();
        let gap = (x - y).abs().max().item::<f64>().unwrap() / size;
        assert!(gap < tolerance, "{what}, {order}: {gap:e}");
    };
    fn forward<'a>(
        f: impl Fn(&Tensor) -> Tensor + Send + Sync + Copy + 'a,
        d: &'a Tensor,
    ) -> impl Fn(&Tensor) -> Tensor + Send + Sync + Copy + 'a {
        move |x: &Tensor| jvp(f)(x, d).1
    }
    gap(f(a), g(a), "value");
    gap(forward(f, &d)(a), forward(g, &d)(a), "forward");
    let (f2, g2) = (forward(forward(f, &d), &e), forward(forward(g, &d), &e));
    gap(f2(a), g2(a), "forward twice");
    gap(forward(f2, &h)(a), forward(g2, &h)(a), "forward three times");
    let weights = random(94, f(a).shape());
    let loss = |x: &Tensor| (f(x).sin() * &weights).sum();
    let expected = |x: &Tensor| (g(x).sin() * &weights).sum();
    gap(grad(loss)(a), grad(expected)(a), "reverse");
    if a.size() < 10 {
        gap(jit(grad(loss))(a), grad(expected)(a), "reverse, compiled");
    }
    let twice = |x: &Tensor| (grad(loss)(x) * &d).sum();
    let expected_twice = |x: &Tensor| (grad(expected)(x) * &d).sum();
    gap(grad(twice)(a), grad(expected_twice)(a), "reverse twice");
    gap(forward(grad_of(&loss), &e)(a), forward(grad_of(&expected), &e)(a), "forward of reverse");
    let stack = Tensor::stack(&[a, &(a + &d * 0.01)], 0);
    let each = vmap(grad(twice), 0)(&stack);
    for i in 0..2 {
        gap(each.at((i, .., ..)), grad(expected_twice)(&stack.at((i, .., ..))), "stacked");
    }
}

fn grad_of<'a>(
    f: &'a (impl Fn(&Tensor) -> Tensor + Send + Sync),
) -> impl Fn(&Tensor) -> Tensor + Send + Sync + Copy + 'a {
    move |x: &Tensor| grad(f)(x)
}

/// A symmetric matrix with given eigenvalues.
fn with_eigenvalues(w: &[f64]) -> Tensor {
    let (q, _) = random(77, &[w.len(), w.len()]).qr();
    let w = Tensor::from(w.to_vec());
    let a = (&q * w.broadcast()).matmul(&q.t());
    (&a + a.t()) * 0.5
}

/// The symmetric matrix of the lower triangle, as functions of symmetric matrices read it.
fn lower(a: &Tensor) -> Tensor {
    a.tril(0) + a.tril(-1).t()
}

#[test]
fn functions_of_symmetric_matrices_have_derivatives_at_repeated_eigenvalues() {
    use unloop::linalg::{expm, sqrtm_symmetric, symmetric_function};
    let spectra: [&[f64]; 5] = [
        &[2.0, 2.0, 2.0],
        &[0.7, 0.7, 1.3],
        &[1.0, 1.0 + 1e-9, 1.0 + 1e-5],
        &[1.0, 1.3, 2.5],
        &[3.0],
    ];
    let matrices = spectra.map(with_eigenvalues).into_iter().chain([Tensor::eye(DType::F64, 3)]);
    for (i, a) in matrices.enumerate() {
        let name = |f: &str| format!("{f} of matrix {i}");
        let cube = |a: &Tensor| symmetric_function(a, |w| w * w * w);
        let product = |a: &Tensor| lower(a).matmul(&lower(a)).matmul(&lower(a));
        same_derivatives(cube, product, &a, 1e-9, &name("cube"));
        if !(1..=2).contains(&i) {
            continue;
        }
        let inverse = |a: &Tensor| symmetric_function(a, Tensor::recip);
        same_derivatives(inverse, |a| lower(a).inv(), &a, 1e-8, &name("inverse"));
        let exponential = |a: &Tensor| symmetric_function(a, Tensor::exp);
        same_derivatives(exponential, |a| expm(&lower(a)), &a, 1e-8, &name("exponential"));
        let root = |a: &Tensor| sqrtm_symmetric(&product(a));
        let power = |a: &Tensor| symmetric_function(a, |w| w.sqrt() * w);
        same_derivatives(root, power, &a, 1e-8, &name("root"));
    }
}

#[test]
fn functions_of_symmetric_matrices_have_derivatives_in_what_they_capture() {
    use unloop::linalg::{expm, symmetric_function};
    let a = with_eigenvalues(&[1.0, 1.0, 2.0]);
    let t = Tensor::from(0.7);
    let f = |t: &Tensor, a: &Tensor| symmetric_function(a, |w| (w * t).exp()).square().sum();
    let g = |t: &Tensor, a: &Tensor| expm(&(lower(a) * t)).square().sum();
    let both = |f: fn(&Tensor, &Tensor) -> Tensor| {
        let slope = grad(f)(&t, &a);
        let mixed = jvp(|a: &Tensor| grad(f)(&t, a))(&a, &random(5, &[3, 3])).1;
        let turned = jvp(|t: &Tensor| jvp(|a: &Tensor| f(t, a))(&a, &random(5, &[3, 3])).1)(
            &t,
            &Tensor::from(1.0),
        )
        .1;
        [slope, mixed, turned]
    };
    for (x, y) in both(f).iter().zip(both(g)) {
        assert_close(x, &y, "in the factor");
    }
}

#[test]
fn functions_of_singular_values_have_derivatives_at_repeated_ones() {
    use unloop::linalg::{pinv, polar, symmetric_function};
    let (q, _) = random(3, &[4, 4]).qr();
    let (tall, _) = random(4, &[4, 2]).qr();
    for (a, name) in
        [(&q * 2.0, "square"), (tall, "tall"), (random(6, &[4, 3]), "of distinct values")]
    {
        let gram = |a: &Tensor| a.t().matmul(a);
        let factor = |a: &Tensor| a.matmul(&symmetric_function(&gram(a), |w| w.rsqrt()));
        same_derivatives(|a| polar(a).0, factor, &a, 1e-7, &format!("u, {name}"));
        let root = |a: &Tensor| symmetric_function(&gram(a), Tensor::sqrt);
        same_derivatives(|a| polar(a).1, root, &a, 1e-7, &format!("p, {name}"));
        let wide = |a: &Tensor| polar(&a.t()).0.t();
        same_derivatives(wide, factor, &a, 1e-7, &format!("wide, {name}"));
        let solved = |a: &Tensor| gram(a).solve(&a.t());
        same_derivatives(pinv, solved, &a, 1e-7, &format!("pseudo-inverse, {name}"));
    }
}

/// Vectors of repeated values have no derivatives; the values have, whatever their vectors do.
#[test]
fn vectors_of_repeated_values_have_no_derivatives() -> Result<()> {
    use unloop::linalg::{Norm, eigvalsh, norm};
    // The upper triangle is not read.
    let is_nan =
        |x: Tensor| (x.is_nan() | Tensor::ones(DType::Bool, [3, 3]).triu(1)).all().item::<bool>();
    let a = with_eigenvalues(&[1.0, 1.0, 2.0]);
    let exact = Tensor::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]);
    let by_eigh = |a: &Tensor| {
        let (w, v) = a.eigh();
        (&v * w.exp().broadcast()).matmul(&v.t()).sum()
    };
    let by_svd = |a: &Tensor| {
        let (u, s, vt) = a.svd();
        (u * s.broadcast()).matmul(&vt).sum()
    };
    assert!(is_nan(grad(by_eigh)(&exact))?);
    assert!(is_nan(grad(by_svd)(&exact))?);
    assert!(is_nan(jvp(by_svd)(&exact, &random(1, &[3, 3])).1)?);
    let eye = Tensor::eye(DType::F64, 3);
    for x in [&a, &exact, &eye] {
        assert_close(&grad(|a: &Tensor| eigvalsh(a).sum())(x), &eye, "sum of eigenvalues");
        let squares = |a: &Tensor| a.singular_values().square().sum();
        assert_close(&grad(squares)(x), &(x * 2.0), "squares of singular values");
        assert_close(&grad(|a: &Tensor| norm(a, Norm::Nuclear))(x), &eye, "nuclear norm");
        let largest: f64 = grad(|a: &Tensor| norm(a, Norm::P(2.0)))(x).trace().item()?;
        assert!((largest - 1.0).abs() < 1e-12, "{largest}");
    }
    Ok(())
}

#[test]
fn the_exponential_has_every_norm() -> Result<()> {
    use unloop::linalg::expm;
    for size in [1e3, 1e6, 1e10, 1e100, 1e300] {
        let shear = Tensor::from([[0.0, size], [0.0, 0.0]]);
        let expected = Tensor::from([[1.0, size], [0.0, 1.0]]);
        assert!(expm(&shear).equal(&expected).all().item::<bool>()?, "{size:e}");
        // The derivative along the matrix itself is its product with the exponential.
        let decay = Tensor::from([[-size, 0.0], [0.5, -1.0]]);
        let (y, dy) = jvp(expm)(&decay, &decay);
        assert_close(&dy, &decay.matmul(&y), &format!("along itself, {size:e}"));
        let at = y.at((1, 1)).item::<f64>()?;
        assert!((at - (-1f64).exp()).abs() < 1e-9, "{size:e} {at}");
    }
    let angle: f64 = 0.3;
    let turn = angle + std::f64::consts::TAU * 1e5;
    // Of other matrices of such a norm no digit is known.
    for size in [1e17, 1e300] {
        let full = expm(&Tensor::from([[-size, 1.0], [1.0, -1.0]]));
        assert!(full.is_nan().all().item::<bool>()?, "{full}");
    }
    let turned = expm(&Tensor::from([[0.0, -turn], [turn, 0.0]]));
    let expected = Tensor::from([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]);
    assert!((turned - expected).abs().max().item::<f64>()? < 1e-8);
    let single = Tensor::from([[0.0f32, 1e30], [0.0, 0.0]]);
    let entry = expm(&single).at((0, 1)).item::<f32>()?;
    assert!((entry / 1e30 - 1.0).abs() < 1e-6, "{entry:e}");
    let diagonal = expm(&Tensor::from([[1000.0, 0.0], [0.0, -1000.0]]));
    assert_eq!(diagonal.at((0, 0)).item::<f64>()?, f64::INFINITY);
    for bad in [f64::NAN, f64::INFINITY] {
        let y = expm(&Tensor::from([[bad, 0.0], [0.0, 1.0]]));
        assert!(y.is_nan().any().item::<bool>()?, "{bad}");
    }
    let all = Tensor::from([[[0.0, 1e10], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]);
    let each = jit(vmap(expm, 0))(&all);
    assert_close(&each.at((1, .., ..)), &expm(&all.at((1, .., ..))), "in a stack");
    let a = random(1, &[4, 4]) * 3.0;
    check_gradient_at(|a| (expm(a) * 0.01).sin().sum(), &a);
    Ok(())
}

/// A matrix is singular for its inverse and for the derivatives of it alike.
#[test]
fn the_gradient_of_the_inverse_of_a_singular_matrix_is_an_error() {
    let mut rng = fastrand::Rng::with_seed(3);
    for n in [2, 3, 4, 8, 20, 30, 70] {
        for _ in 0..20 {
            // A row that is a multiple of another one, by a power of two.
            let mut rows: Vec<f64> = (0..n * n).map(|_| f64::from(rng.i32(-9..10))).collect();
            let (from, to) = (rng.usize(..n), rng.usize(..n));
            let factor = if from == to { 0.0 } else { 2.0 };
            (0..n).for_each(|j| rows[to * n + j] = rows[from * n + j] * factor);
            let a = Tensor::from(rows).reshape([n, n]);
            let value = a.inv().check().is_err();
            let loss = |a: &Tensor| a.inv().sum();
            for slope in [grad(loss)(&a), jit(grad(loss))(&a), jvp(loss)(&a, &a).1] {
                match slope.check() {
                    Err(error) => assert_eq!(*error.kind(), ErrorKind::Singular),
                    Ok(_) => assert!(!value, "{n}: {slope}"),
                }
            }
        }
    }
    let a = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
    assert!(a.inv().check().is_err() && grad(|a: &Tensor| a.inv().sum())(&a).check().is_err());
}

/// The determinant by Leibniz' sum over permutations.
fn leibniz(a: &Tensor) -> Tensor {
    fn sum(a: &Tensor, row: usize, left: &[usize]) -> Tensor {
        let terms = left.iter().enumerate().map(|(i, &column)| {
            let rest: Vec<usize> = left.iter().copied().filter(|&c| c != column).collect();
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            a.at((row as i64, column as i64)) * sum(a, row + 1, &rest) * sign
        });
        terms.reduce(|x, y| x + y).unwrap_or_else(|| Tensor::ones(DType::F64, ()))
    }
    sum(a, 0, &(0..a.shape()[0]).collect::<Vec<_>>())
}

#[test]
fn determinants_have_derivatives_where_matrices_are_singular() -> Result<()> {
    for n in 1..6 {
        let full = random(50 + n as u64, &[n, n]);
        for rank in n.saturating_sub(3)..=n {
            // Zero columns in front, and matrices without zeros.
            let zeros =
                full.tril(0) * Tensor::from_fn([n], |i| f64::from(i[0] + rank >= n)).broadcast();
            let (left, right) = (random(60, &[n, rank]), random(61, &[rank, n]));
            let product = if rank == n { full.clone() } else { left.matmul(&right) };
            for (a, name) in [(zeros, "zeros"), (product, "product")] {
                let name = format!("{name} of {n}, rank {rank}");
                assert_close(&grad(Tensor::det)(&a), &grad(leibniz)(&a), &name);
                let both = Tensor::stack(&[&a, &full], 0);
                let each = jit(vmap(grad(Tensor::det), 0))(&both);
                assert_close(&each.at((0, .., ..)), &grad(leibniz)(&a), &name);
                assert_close(&each.at((1, .., ..)), &grad(leibniz)(&full), &name);
            }
        }
    }
    for a in [Tensor::eye(DType::F64, 4), random(1, &[4, 4]), random(2, &[3, 3])] {
        same_derivatives(Tensor::det, leibniz, &a, 1e-9, "regular");
    }
    for a in [Tensor::ones(DType::F64, [3, 3]), Tensor::zeros(DType::F64, [2, 2])] {
        same_derivatives(Tensor::det, leibniz, &a, 1e-9, "singular");
    }
    let singular = Tensor::ones(DType::F64, [3, 3]);
    let slope = grad(|a: &Tensor| a.slogdet().1)(&singular);
    assert!(!slope.is_finite().any().item::<bool>()?, "{slope}");
    Ok(())
}
