//! Loops and choices that depend on values, under every transform.

use unloop::prelude::*;
use unloop::{ErrorKind, Result, map, scan_reverse, scan_times, switch};
use unloop_tests::{assert_close, tensor};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    tensor(&mut fastrand::Rng::with_seed(seed), DType::F64, shape)
}

/// A recurrent network: one state from the other and an input, with captured weights.
fn network(w: &Tensor, xs: &Tensor) -> (Tensor, Tensor) {
    let step = |h: &Tensor, x: &Tensor| {
        let next = (w.matmul(h) + x).tanh();
        (next.clone(), next.square().sum())
    };
    scan(step, &Tensor::zeros(DType::F64, [3]), xs)
}

/// What has no derivative, in front of loops in loops: their rules look at shapes, and what failed has
/// none. Parts that no derivative flows through do not fail.
#[test]
fn derivatives_that_there_are_not_come_out_of_loops() -> Result<()> {
    // A wide matrix has no derivative of its factors.
    fn failed(x: &Tensor) -> Tensor {
        x.qr().1.sum()
    }
    fn failed_inside(x: &Tensor) -> Tensor {
        cond(&Tensor::from(true), failed, |x: &Tensor| x.sum(), x)
    }
    fn scanned(x: &Tensor) -> Tensor {
        let sum = |c: &Tensor, x: &Tensor| (c + x.sum(), c.clone());
        scan_reverse(sum, &Tensor::from(0.0), x).0
    }
    fn few((k, _): &(Tensor, Tensor)) -> Tensor {
        k.less(2)
    }
    type F = fn(&Tensor, &Tensor) -> Tensor;
    let cases: [(&str, F); 7] = [
        ("while", |x, failed| {
            let step = |(k, c): &(Tensor, Tensor)| (k + 1, c * scanned(c));
            while_loop(few, step, &(Tensor::from(0), x * failed)).1.sum()
        }),
        ("while, captured", |x, failed| {
            let step = |(k, c): &(Tensor, Tensor)| (k + 1, c * scanned(&(x * failed)));
            while_loop(few, step, &(Tensor::from(0), x.clone())).1.sum()
        }),
        ("scan", |x, failed| {
            let step = |c: &Tensor, x: &Tensor| (c + scanned(x), x.clone());
            scan(step, &Tensor::from(0.0), &(x * failed)).0
        }),
        ("scan of a carry", |x, failed| {
            let step = |c: &Tensor, x: &Tensor| (c * scanned(c) + x.sum(), x.clone());
            scan(step, &(x.at((0, ..)) * failed), x).0.sum()
        }),
        ("cond", |x, failed| cond(&Tensor::from(true), scanned, scanned, &(x * failed))),
        ("switch", |x, failed| {
            let branches = [&scanned as &(dyn Fn(&Tensor) -> Tensor + Sync); 2];
            switch(&Tensor::from(1), &branches, &(x * failed))
        }),
        ("checkpoint", |x, failed| {
            checkpoint(|x: &Tensor| x.mt().matmul(&x.cumsum(0)).sum())(&(x * failed))
        }),
    ];
    let x = random(3, &[2, 3]);
    for (name, f) in cases {
        for failed in [failed, failed_inside] {
            let wide = |x: &Tensor| f(x, &failed(x));
            let forward = |x: &Tensor| jvp(wide)(x, x).1;
            for (mode, result) in [
                ("forward", forward(&x)),
                ("reverse", grad(wide)(&x)),
                ("of examples", vmap(forward, 0)(&Tensor::stack(&[&x, &x], 0))),
            ] {
                let error =
                    result.check().err().unwrap_or_else(|| panic!("{name}, {mode}: {result}"));
                let is_told = matches!(error.kind(), ErrorKind::Unsupported(_));
                assert!(is_told, "{name}, {mode}: {error}");
            }
            let around = |x: &Tensor| f(x, &failed(x).stop_gradient());
            jvp(around)(&x, &x).1.check()?;
            if !name.starts_with("while") {
                grad(around)(&x).check()?;
            }
        }
    }
    Ok(())
}

/// The same with a Rust loop, which is unrolled.
fn unrolled(w: &Tensor, xs: &Tensor) -> (Tensor, Tensor) {
    let mut h = Tensor::zeros(DType::F64, [3]);
    let mut all = Vec::new();
    for i in 0..xs.shape()[0] as i64 {
        h = (w.matmul(&h) + xs.at((i, ..))).tanh();
        all.push(h.square().sum());
    }
    (h, Tensor::stack(&all.iter().collect::<Vec<_>>(), 0))
}

fn total(
    f: fn(&Tensor, &Tensor) -> (Tensor, Tensor),
) -> impl Fn(&Tensor, &Tensor) -> Tensor + Copy {
    move |w, xs| {
        let (h, all) = f(w, xs);
        h.sin().sum() + (all.exp() * 0.1).sum()
    }
}

#[test]
fn scan_is_a_loop() {
    let (w, xs) = (random(1, &[3, 3]), random(2, &[5, 3]));
    let ((h, all), (a, b)) = (network(&w, &xs), unrolled(&w, &xs));
    assert_close(&h, &a, "last state");
    assert_close(&all, &b, "results");
    let (h, all) = jit(network)(&w, &xs);
    assert_close(&h, &a, "compiled");
    assert_close(&all, &b, "compiled");
}

#[test]
fn derivatives_flow_through_scan() {
    let (w, xs) = (random(1, &[3, 3]), random(2, &[5, 3]));
    let (f, g) = (total(network), total(unrolled));
    assert_close(&grad(f)(&w, &xs), &grad(g)(&w, &xs), "gradient in what is captured");
    let (_, pull) = vjp(f)(&w, &xs);
    let (_, other) = vjp(g)(&w, &xs);
    let one = Tensor::from(1.0);
    assert_close(&pull(&one).1, &other(&one).1, "gradient in the entries");
    let t = (random(3, &[3, 3]), random(4, &[5, 3]));
    let at = (w.clone(), xs.clone());
    assert_close(&jvp(f)(&at, &t).1, &jvp(g)(&at, &t).1, "forward");
    assert_close(&jit(grad(f))(&w, &xs), &grad(g)(&w, &xs), "compiled");
    let second = |f: fn(&Tensor, &Tensor) -> (Tensor, Tensor)| {
        let xs = xs.clone();
        hessian(move |w: &Tensor| total(f)(w, &xs))(&w)
    };
    assert_close(&second(network), &second(unrolled), "hessian");
}

#[test]
fn vmap_of_scan() {
    let (ws, xs) = (random(5, &[4, 3, 3]), random(6, &[5, 4, 3]));
    let f = total(network);
    let values = vmap(f, (0, 1))(&ws, &xs);
    let gradients = vmap(grad(f), (0, 1))(&ws, &xs);
    let shared = vmap(grad(f), (Shared, 1))(&ws.at((0, .., ..)), &xs);
    for i in 0..4i64 {
        let (w, x) = (ws.at((i, .., ..)), xs.at((.., i, ..)));
        assert_close(&values.at(i), &f(&w, &x), "value");
        assert_close(&gradients.at((i, .., ..)), &grad(f)(&w, &x), "gradient");
        let one = grad(f)(&ws.at((0, .., ..)), &x);
        assert_close(&shared.at((i, .., ..)), &one, "shared weights");
    }
    let sum = |w: &Tensor| vmap(f, (Shared, 1))(w, &xs).sum();
    let expected = shared.sum_axis(0);
    assert_close(&grad(sum)(&ws.at((0, .., ..))), &expected, "gradient of a vmap of a scan");
}

#[test]
fn directions_lengths_and_numbers() -> Result<()> {
    let xs = Tensor::from([1.0, 2.0, 3.0]);
    let f = |s: &Tensor, x: &Tensor| (s * 2.0 + x, s.clone());
    let (last, seen) = scan_reverse(f, &Tensor::from(0.0), &xs);
    assert_eq!(last.item::<f64>()?, 17.0);
    assert_eq!(seen.to_vec::<f64>()?, [8.0, 3.0, 0.0]);
    let (last, seen) = scan(f, &Tensor::from(7.0), &Tensor::zeros(DType::F64, [0]));
    assert_eq!(last.item::<f64>()?, 7.0);
    assert_eq!(seen.shape(), [0]);
    let sum = fori_loop(5, |i, s: &Tensor| s + i, &Tensor::from(0i64));
    assert_eq!(sum.item::<i64>()?, 10);
    let squares = map(|x: &Tensor| x.square(), &xs);
    assert_eq!(squares.to_vec::<f64>()?, [1.0, 4.0, 9.0]);
    // A thousand steps, with a gradient: x₁₀₀₀ = x₀·1.001¹⁰⁰⁰.
    let grow = |x: &Tensor| fori_loop(1000, |_, x: &Tensor| x * 1.001, x);
    let slope: f64 = jit(grad(grow))(&Tensor::from(2.0)).item()?;
    assert!((slope - 1.001f64.powi(1000)).abs() < 1e-9);
    Ok(())
}

/// Newton's iteration for a square root, until it is exact.
fn newton(a: &Tensor) -> Tensor {
    let far = |x: &Tensor| (x.square() - a).abs().greater(&(1e-12 * a));
    while_loop(far, |x: &Tensor| (x + a / x) * 0.5, a)
}

#[test]
fn while_loops() -> Result<()> {
    let a = Tensor::from([2.0, 9.0, 1e6, 0.25]);
    assert_close(&newton(&Tensor::from(2.0)), &2f64.sqrt().into(), "one");
    // Each example stops by itself.
    assert_close(&vmap(newton, 0)(&a), &a.sqrt(), "each");
    assert_close(&jit(vmap(newton, 0))(&a), &a.sqrt(), "compiled");
    let (_, slope) = jvp(newton)(&Tensor::from(9.0), &Tensor::from(1.0));
    assert!((slope.item::<f64>()? - 1.0 / 6.0).abs() < 1e-6);
    assert_close(&vmap(jacfwd(newton), 0)(&a).sign(), &a.ones_like(), "forward under vmap");
    let error = grad(newton)(&Tensor::from(2.0)).check().err().map(|e| e.to_string());
    assert!(error.is_some_and(|e| e.contains("use scan or fori_loop")));
    let count = |x: &Tensor| {
        let state = (x.clone(), Tensor::from(0i32));
        let above = |s: &(Tensor, Tensor)| s.0.greater(&Tensor::from(1.0));
        while_loop(above, |s: &(Tensor, Tensor)| (&s.0 * 0.5, &s.1 + 1), &state).1
    };
    assert_eq!(vmap(count, 0)(&a).to_vec::<i32>()?, [1, 4, 20, 0]);
    Ok(())
}

#[test]
fn choices() -> Result<()> {
    let zero = Tensor::from(0.0);
    let k = Tensor::from(3.0);
    let f =
        |x: &Tensor| cond(&x.greater(&zero), |x: &Tensor| x.sqrt() * &k, |x: &Tensor| x * 2.0, x);
    let x = Tensor::from([4.0, -1.0, 0.0]);
    assert_eq!(vmap(f, 0)(&x).to_vec::<f64>()?, [6.0, -2.0, 0.0]);
    // The square root's slope is NaN or infinite where it was not chosen, and does not leak.
    assert_eq!(vmap(grad(f), 0)(&x).to_vec::<f64>()?, [0.75, 2.0, 2.0]);
    assert_eq!(jit(vmap(grad(f), 0))(&x).to_vec::<f64>()?, [0.75, 2.0, 2.0]);
    let total = |x: &Tensor| vmap(f, 0)(x).sum();
    assert_eq!(grad(total)(&x).to_vec::<f64>()?, [0.75, 2.0, 2.0]);
    assert_eq!(grad(grad(f))(&Tensor::from(4.0)).item::<f64>()?, -3.0 / 32.0);
    assert_eq!(jvp(f)(&Tensor::from(4.0), &Tensor::from(2.0)).1.item::<f64>()?, 1.5);
    // One choice for all examples.
    let g = |up: &Tensor, x: &Tensor| cond(up, |x: &Tensor| x + 1.0, |x: &Tensor| x - 1.0, x);
    let up = vmap(g, (Shared, 0))(&Tensor::from(true), &x);
    assert_eq!(up.to_vec::<f64>()?, [5.0, 0.0, 1.0]);
    let pick = |i: &Tensor, x: &Tensor| {
        switch(i, &[&|x: &Tensor| x.clone(), &|x: &Tensor| x * &k, &|x: &Tensor| -x], x)
    };
    let y = vmap(pick, 0)(&Tensor::from([0i64, 1, 2]), &x);
    assert_eq!(y.to_vec::<f64>()?, [4.0, -3.0, 0.0]);
    assert_eq!(pick(&Tensor::from(9), &x.at(0)).item::<f64>()?, -4.0);
    // Branches that are captured.
    let branches: [&(dyn Fn(&Tensor) -> Tensor + Sync); 3] =
        [&|x| x.clone(), &|x| x * &k, &Tensor::square];
    let pick = |i: &Tensor, x: &Tensor| switch(i, &branches, x);
    let (i, expected) = (Tensor::from([0i64, 1, 2]), [4.0, -3.0, 0.0]);
    assert_eq!(vmap(pick, 0)(&i, &x).to_vec::<f64>()?, expected);
    assert_eq!(jit(vmap(pick, 0))(&i, &x).to_vec::<f64>()?, expected);
    let slopes = vmap(grad(pick).wrt(1), 0)(&i, &x);
    assert_eq!(slopes.to_vec::<f64>()?, [1.0, 3.0, 0.0]);
    Ok(())
}

#[test]
fn loops_in_loops_and_choices_in_loops() {
    // Σᵢ Σⱼ over the even steps only, with weights captured at two levels.
    let f = |w: &Tensor| {
        let outer = |i: &Tensor, s: &Tensor| {
            let inner = |j: &Tensor, s: &Tensor| {
                let term = (w * (i * 3 + j).cast(DType::F64)).sin();
                let even = ((i + j) % 2).equal(&Tensor::from(0i64));
                cond(&even, |s: &Tensor| s + &term, |s: &Tensor| s.clone(), s)
            };
            fori_loop(3, inner, s)
        };
        fori_loop(4, outer, &Tensor::from(0.0))
    };
    let plain = |w: &Tensor| {
        let mut sum = Tensor::from(0.0);
        for (i, j) in
            (0..4).flat_map(|i| (0..3).map(move |j| (i, j))).filter(|(i, j)| (i + j) % 2 == 0)
        {
            sum += (w * f64::from(i * 3 + j)).sin();
        }
        sum
    };
    let w = Tensor::from(0.3);
    assert_close(&f(&w), &plain(&w), "value");
    assert_close(&grad(f)(&w), &grad(plain)(&w), "gradient");
    assert_close(&grad(grad(f))(&w), &grad(grad(plain))(&w), "second");
    let ws = Tensor::from([0.1, 0.2]);
    assert_close(&vmap(grad(f), 0)(&ws), &vmap(grad(plain), 0)(&ws), "vmap");
}

#[test]
fn mistakes_in_loops_are_errors() {
    let message = |t: Tensor| t.check().err().map(|e| e.to_string()).unwrap_or_default();
    let x = Tensor::from([1.0, 2.0]);
    let grows = fori_loop(3, |_, s: &Tensor| Tensor::concatenate(&[s, s], 0), &x);
    assert!(message(grows).contains("the function passes on f64[4] where it was given f64[2]"));
    let (_, none) = scan(|s: &Tensor, _: &Vec<Tensor>| (s.clone(), s.clone()), &x, &vec![]);
    assert!(message(none).contains("nothing to run over"));
    let pair = vec![Tensor::zeros(DType::F64, [2]), Tensor::zeros(DType::F64, [3])];
    let (_, uneven) = scan(|s: &Tensor, _: &Vec<Tensor>| (s.clone(), s.clone()), &x, &pair);
    assert!(message(uneven).contains("first axes of extents 2 and 3"));
    let vague = while_loop(|x: &Tensor| x.greater(&x.zeros_like()), |x: &Tensor| x - 1.0, &x);
    assert!(message(vague).contains("the condition is bool[2], not a bool scalar"));
    let apart = cond(&Tensor::from(true), |x: &Tensor| x.sum(), |x: &Tensor| x.clone(), &x);
    assert!(message(apart).contains("one branch gives f64[2], another f64[]"));
    let inner = fori_loop(2, |_, s: &Tensor| s + Tensor::from([1.0, 2.0, 3.0]), &x);
    assert!(message(inner).contains("shapes [2] and [3] differ"));
}

/// Many examples run in parts; each is what it is alone, whatever the parts are.
#[test]
fn loops_of_many_examples_are_those_of_each() -> Result<()> {
    let count = 777;
    let mut rng = fastrand::Rng::with_seed(9);
    let x = unloop_tests::tensor(&mut rng, DType::F64, &[count, 3]);
    let shared = unloop_tests::tensor(&mut rng, DType::F64, &[3, 3]);
    let steps = |x: &Tensor, m: &Tensor| {
        let turn = |c: &Tensor, entry: &Tensor| {
            let next = m.matmul(c).tanh() + entry.sum() * 0.1;
            (next.clone(), next.at(0) * 2.0)
        };
        let entries = Tensor::stack(&[x, &x.flip(&[0]), &(x * 0.5)], 0);
        let (last, all) = scan(turn, x, &entries);
        let counted = fori_loop(7, |i: &Tensor, c: &Tensor| c + i.cast(DType::F64) * 0.25, &last);
        (counted, all)
    };
    let halve = |x: &Tensor, _: &Tensor| {
        let large = |(x, _): &(Tensor, Tensor)| x.abs().max().greater(&Tensor::from(0.01));
        let (x, n) = while_loop(
            large,
            |(x, n): &(Tensor, Tensor)| (x * 0.7, n + 1.0),
            &(x.clone(), Tensor::from(0.0)),
        );
        (x, n)
    };
    let (a, b) = jit(vmap(steps, (0, Shared)))(&x, &shared);
    let (c, n) = jit(vmap(halve, (0, Shared)))(&x, &shared);
    for i in (0..count).step_by(31).chain([count - 1]) {
        let at = (i as i64, ..);
        let row = x.at(at);
        let (a1, b1) = steps(&row, &shared);
        let (c1, n1) = halve(&row, &shared);
        for (all, one) in [(&a, &a1), (&b, &b1), (&c, &c1)] {
            unloop_tests::assert_close(&all.at(at), one, "an example");
        }
        assert_eq!(n.at(i as i64).item::<f64>()?, n1.item::<f64>()?);
    }
    Ok(())
}

/// A loop that goes on for all as long as any wants to is not one loop for each.
#[test]
fn loops_over_a_whole_vector_stay_whole() -> Result<()> {
    let x = Tensor::from_fn([500], |i| i[0] as f64 + 1.0);
    let grow = jit(|x: &Tensor| {
        while_loop(|x: &Tensor| x.less(&Tensor::from(1000.0)).any(), |x: &Tensor| x * 2.0, x)
    });
    // 1 is doubled ten times until nothing is below 1,000, and so is everything else.
    assert_eq!(grow(&x).at(499).item::<f64>()?, 500.0 * 1024.0);
    // The same with a choice that looks like that of examples, but of another condition.
    let choose = jit(|x: &Tensor| {
        while_loop(
            |x: &Tensor| x.less(&Tensor::from(1000.0)).any(),
            |x: &Tensor| x.less(&Tensor::from(2000.0)).select(&(x * 2.0), x),
            x,
        )
    });
    assert_eq!(choose(&x).at(499).item::<f64>()?, 2000.0);
    assert_eq!(choose(&x).at(0).item::<f64>()?, 1024.0);
    // A count of all runs is not that of a part: the largest is there from the start.
    let counted = jit(|x: &Tensor| {
        while_loop(
            |(x, _): &(Tensor, Tensor)| x.less(&Tensor::from(1000.0)).any(),
            |(x, n): &(Tensor, Tensor)| {
                (x.less(&Tensor::from(1000.0)).select(&(x * 2.0), x), n + 1.0)
            },
            &(x.clone(), Tensor::from(0.0)),
        )
    });
    let falling = x.flip(&[0]).broadcast_to([500]) * 2.0;
    let many = Tensor::concatenate(&[&falling, &falling, &falling, &falling, &falling, &x], 0);
    let (all, runs) = counted(&many);
    assert_eq!(runs.item::<f64>()?, 10.0);
    assert_eq!(all.at(2500).item::<f64>()?, 1024.0);
    // Sums across the vector hold it together, too.
    let mix = jit(|x: &Tensor| {
        fori_loop(3, |_: &Tensor, x: &Tensor| x + x.mean().broadcast_to([500]), x)
    });
    assert_eq!(mix(&x.zeros_like()).at(7).item::<f64>()?, 0.0);
    assert_eq!(mix(&x.ones_like()).at(7).item::<f64>()?, 8.0);
    Ok(())
}

/// A loop without entries stacks what each run gives, and is differentiated through all of them.
#[test]
fn scans_without_entries() -> Result<()> {
    let decay = |x: &Tensor| scan_times(4, |x: &Tensor| (x * 0.5, x.square()), x);
    let (last, all) = decay(&Tensor::from(8.0));
    assert_eq!(last.item::<f64>()?, 0.5);
    assert_eq!(all.to_vec::<f64>()?, [64.0, 16.0, 4.0, 1.0]);
    let slope: f64 = grad(|x: &Tensor| decay(x).1.sum())(&Tensor::from(8.0)).item()?;
    assert!((slope - 2.0 * 85.0 / 8.0).abs() < 1e-12, "{slope}");
    let rows = jit(vmap(|x: &Tensor| decay(x).1, 0))(&Tensor::from([8.0, 2.0]));
    assert_eq!(rows.at((1, ..)).to_vec::<f64>()?, [4.0, 1.0, 0.25, 0.0625]);
    Ok(())
}

/// Nothing of a branch is computed unless it is chosen, whatever it is made of.
#[test]
fn branches_that_are_not_chosen_do_nothing() -> Result<()> {
    let (singular, b) = (Tensor::from([[1.0, 2.0], [2.0, 4.0]]), Tensor::from([1.0, 1.0]));
    let solved = |on: &Tensor| {
        cond(on, |b: &Tensor| singular.solve(&(&b.zeros_like() + 1.0)), Tensor::clone, &b)
    };
    let captured = |on: &Tensor| cond(on, |_: &Tensor| singular.solve(&b), Tensor::clone, &b);
    for f in [&solved as &(dyn Fn(&Tensor) -> Tensor + Sync + Send), &captured] {
        assert_eq!(f(&Tensor::from(false)).to_vec::<f64>()?, [1.0, 1.0]);
        assert_eq!(jit(f)(&Tensor::from(false)).to_vec::<f64>()?, [1.0, 1.0]);
        let error = jit(f).try_call((&Tensor::from(true),)).map(|x| x.check().map(drop));
        let kind = error.and_then(|x| x).expect_err("singular").kind().clone();
        assert_eq!(kind, ErrorKind::Singular);
    }
    // A derivative that is not finite does not come through either.
    let f = |x: &Tensor| {
        cond(&x.greater(&x.zeros_like()), |_: &Tensor| x.sqrt(), |_: &Tensor| x * 2.0, x)
    };
    for transformed in [grad(f), grad(|x: &Tensor| jit(f)(x))] {
        assert_eq!(transformed(&Tensor::from(0.0)).item::<f64>()?, 2.0);
        assert_eq!(transformed(&Tensor::from(4.0)).item::<f64>()?, 0.25);
    }
    Ok(())
}

/// Rules are programs of their own, also where a branch records everything.
#[test]
fn transforms_work_inside_of_branches() {
    let root = |a: &Tensor| unloop::linalg::sqrtm_symmetric(a).sum();
    let f = |x: &Tensor| {
        let on = x.greater(0.0);
        cond(
            &on,
            |x: &Tensor| {
                let scale = Tensor::from([[2.0, 0.5], [0.5, 1.0]]);
                let all =
                    vmap(|s: &Tensor| root(&(&scale * (s * x))), 0)(&Tensor::from([1.0, 2.0]));
                all.sum() + grad(|x: &Tensor| root(&(&scale * x)))(x) + scale.det()
            },
            |x: &Tensor| x.clone(),
            x,
        )
    };
    // √(c·a) = √c·√a.
    let whole = root(&Tensor::from([[2.0, 0.5], [0.5, 1.0]])).item::<f64>().expect("a number");
    let expected =
        |x: f64| whole * x.sqrt() * (1.0 + 2f64.sqrt()) + whole / (2.0 * x.sqrt()) + 1.75;
    let x = Tensor::from(1.5);
    assert_close(&f(&x), &Tensor::from(expected(1.5)), "values");
    assert_close(&jit(f)(&x), &Tensor::from(expected(1.5)), "compiled");
    let slope = (expected(1.5 + 1e-6) - expected(1.5 - 1e-6)) / 2e-6;
    let found = grad(f)(&x).item::<f64>().expect("a number");
    assert!((found - slope).abs() < 1e-8, "{found} {slope}");
}
