//! Where things end: sizes that no memory has, a limit of memory, deep nests, loops that do not end, and
//! calls that nobody waits for any more. Each is an error, and everything works afterwards.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use unloop::prelude::*;
use unloop::{
    CancelToken, Conv, Error, ErrorKind, ReduceOp, Result, WindowAxis, fft, memory_in_use, profile,
    random, release_memory, scan_times, set_memory_limit, switch, while_loop_at_most,
};
use unloop_graph::backend::by_reference;
use unloop_tests::{Limit, assert_close};

use crate::alone;

fn error_of(x: &Tensor, what: &str) -> Error {
    x.check().err().unwrap_or_else(|| panic!("{what} is no error: {}", x.ty()))
}

fn is_lack_of_memory(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfMemory { .. } | ErrorKind::SizeOverflow { .. })
}

/// What has `n` elements, or `n` rows of a few.
fn creators() -> Vec<(&'static str, fn(usize) -> Tensor)> {
    let f: Vec<(&'static str, fn(usize) -> Tensor)> = vec![
        ("iota", |n| Tensor::iota(DType::F64, n, 0)),
        ("arange", |n| Tensor::arange(0i64, n as i64, 1)),
        ("linspace", |n| Tensor::linspace(0.0, 1.0, n)),
        ("logspace", |n| Tensor::logspace(0.0, 1.0, n, 10.0)),
        ("from_fn", |n| Tensor::from_fn(n, |i| i[0] as f64)),
        ("one_hot", |n| Tensor::from([1i64, 2]).one_hot(n, DType::F64)),
        ("pad", |n| Tensor::from([1.0]).pad(&[(0, n)], &Tensor::from(0.0))),
        ("fftfreq", |n| fft::fftfreq(n, 1.0)),
        ("rfftfreq", |n| fft::rfftfreq(2 * n, 1.0)),
        ("hanning", Tensor::hanning),
        ("kaiser", |n| Tensor::kaiser(n, 1.0)),
        ("permutation", |n| random::permutation(&random::key(1), n)),
        ("normal", |n| random::normal(&random::key(1), DType::F64, n)),
        ("each_to", |n| each_to([n], |[i]| Tensor::from(i.value()).cast(DType::F64) * 2.0)),
        ("bincount", |n| Tensor::from([1i64, 2]).bincount(n)),
        ("sort of a fill", |n| Tensor::full(n, 1.0).sort(0)),
        ("cumsum of a fill", |n| Tensor::full(n, 1.0).cumsum(0)),
        ("scan", |n| scan_times(n, |x: &Tensor| (x + 1.0, x.clone()), &Tensor::from(0.0)).1),
        ("vmap", |n| vmap(|x: &Tensor| x.sin(), 0)(&Tensor::iota(DType::F64, n, 0))),
        ("outer", |n| Tensor::full(n, 1.0).outer(&Tensor::from([1.0, 2.0])).cumsum(0)),
    ];
    f
}

#[test]
fn sizes_that_no_memory_has_are_errors() {
    let _alone = alone();
    for n in [1 << 50, 1 << 58, isize::MAX as usize / 16] {
        for (name, make) in creators() {
            let error = error_of(&make(n), name);
            // One key does not have as many numbers.
            let is_random = ["permutation", "normal"].contains(&name);
            assert!(is_lack_of_memory(&error) || is_random, "{name} of {n}: {error}");
        }
        // A fill takes no memory until its elements are wanted.
        let fill = Tensor::full(n, 1.0);
        let error = fill.to_vec::<f64>().expect_err("more than there is");
        assert!(is_lack_of_memory(&error), "{error}");
        let square = Tensor::eye(DType::F64, (n as f64).sqrt() as usize);
        assert!(is_lack_of_memory(&error_of(&square, "eye")));
    }
    let iota = by_reference(|| Tensor::iota(DType::F64, 1 << 50, 0));
    let error = error_of(&iota, "iota by reference");
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { needed, .. } if *needed == 1 << 53));
    // Beyond what numbers of bytes can be.
    for n in [usize::MAX, usize::MAX / 2] {
        error_of(&fft::fftfreq(n, 1.0), "fftfreq");
        error_of(&Tensor::linspace(0.0, 1.0, n), "linspace");
        error_of(&Tensor::full(n, 1.0), "full");
    }
}

#[test]
fn a_limit_of_memory_holds_for_whatever_takes_memory() -> Result<()> {
    let _alone = alone();
    let n = 3 << 20;
    let x = Tensor::from(2.0);
    let long = Tensor::linspace(0.0, 1.0, n);
    let matrix = Tensor::iota(DType::F64, (700, 700), 0).sin();
    {
        let _limit = Limit::of(16 << 20);
        let limit = unloop_graph::memory::memory_limit();
        for (name, make) in creators() {
            let error = error_of(&make(n), name);
            let expected = matches!(error.kind(), ErrorKind::OutOfMemory { limit: Some(l), .. } if *l == limit);
            assert!(expected, "{name}: {error}");
        }
        let fill = x.broadcast_to([n]);
        let stack = matrix.broadcast_in_dim([8, 700, 700], [1, 2].into_iter().collect());
        assert!(fill.to_vec::<f64>().is_err(), "a fill becomes real");
        assert!(long.to_vec::<f64>().is_err(), "a copy");
        let eager = [
            ("add", &long + &fill),
            ("sin", long.sin()),
            ("sort", long.sort(0)),
            ("matmul", vmap(Tensor::matmul, (0, 0))(&stack, &stack)),
            ("svd", matrix.svd().0),
        ];
        for (name, x) in &eager {
            assert!(is_lack_of_memory(&error_of(x, name)), "{name}: {x}");
        }
        // Programs that were compiled before the limit was set keep it, too.
        let small = jit(|x: &Tensor| x.broadcast_to([100]).sin());
        small(&x).check()?;
        let compiled = jit(|x: &Tensor| x.sin());
        set_memory_limit(usize::MAX);
        compiled(&long).check()?;
        let _limit = Limit::of(16 << 20);
        assert!(is_lack_of_memory(&error_of(&compiled(&long), "a compiled program")));
        small(&x).check()?;
    }
    assert_close(&(&long + &x.broadcast_to([n])).at(..3), &(long.at(..3) + 2.0), "afterwards");
    Ok(())
}

#[test]
fn what_is_dropped_no_longer_counts() {
    let _alone = alone();
    release_memory();
    let before = memory_in_use();
    for _ in 0..3 {
        let x = Tensor::linspace(0.0, 1.0, 1 << 20);
        assert!(memory_in_use() >= before + (8 << 20));
        let y = jit(|x: &Tensor| x.sin().cumsum(0))(&x);
        assert!(y.check().is_ok());
        // Elements that are moved out are the caller's.
        assert_eq!(y.into_array::<f64, ndarray::Ix1>().map(|y| y.len()).ok(), Some(1 << 20));
    }
    release_memory();
    let after = memory_in_use();
    assert!(after <= before + (1 << 20), "{before} {after}");
}

#[test]
fn windows_are_not_listed() -> Result<()> {
    let _alone = alone();
    let x = Tensor::iota(DType::F64, 3000, 0).sin();
    let reduced = |op: ReduceOp, window: WindowAxis| x.reduce_window(op, &[window]);
    for (size, stride, dilation) in
        [(257, 1, 1), (1000, 7, 1), (600, 3, 4), (2999, 1, 1), (3000, 1, 1)]
    {
        let window =
            WindowAxis { window_dilation: dilation, ..WindowAxis::new(size).stride(stride) };
        let values = x.to_vec::<f64>()?;
        let reach = (size - 1) * dilation + 1;
        let starts = (0..=3000 - reach).step_by(stride);
        let all = |start: usize| (0..size).map(move |k| start + k * dilation);
        let sums: Vec<f64> = starts.clone().map(|s| all(s).map(|i| values[i]).sum()).collect();
        let largest: Vec<f64> =
            starts.clone().map(|s| all(s).map(|i| values[i]).fold(f64::MIN, f64::max)).collect();
        assert_close(&reduced(ReduceOp::Sum, window), &Tensor::from(sums), "sum");
        let best = reduced(ReduceOp::Max, window);
        assert_close(&best, &Tensor::from(largest.clone()), "max");
        // Pooling backwards: each gradient goes to the first of the largest.
        let mut expected = vec![0.0; 3000];
        for (s, largest) in starts.zip(largest) {
            let first = all(s).find(|&i| values[i] == largest).expect("one of them");
            expected[first] += 1.0;
        }
        let back = best.ones_like().select_and_scatter_add(&x, ReduceOp::Max, &[window]);
        assert_close(&back, &Tensor::from(expected), "pooling backwards");
    }
    // Windows in two directions, larger than anything, or without a place.
    let y = x.reshape([50, 60]);
    let windows = [WindowAxis::new(40), WindowAxis::new(50).stride(2)];
    let sum = y.reduce_window(ReduceOp::Sum, &windows);
    assert_eq!(sum.shape(), [11, 6]);
    assert_close(&sum.at((3, 2)), &y.at((3..43, 4..54)).sum(), "a window of two axes");
    let huge = [WindowAxis::new(1 << 40), WindowAxis::new(1 << 40)];
    assert_eq!(y.reduce_window(ReduceOp::Sum, &huge).shape(), [0, 0]);
    Ok(())
}

#[test]
fn patches_of_a_convolution_need_room() {
    let _alone = alone();
    let _limit = Limit::of(32 << 20);
    let x = Tensor::zeros(DType::F64, [1, 1, 1 << 18]);
    let kernel = Tensor::zeros(DType::F64, [1, 1, 1 << 17]);
    let how = Conv { windows: vec![WindowAxis::one()], groups: 1 };
    assert!(is_lack_of_memory(&error_of(&x.conv(&kernel, &how), "conv")));
}

#[test]
fn numbers_of_a_long_loop_are_computed() -> Result<()> {
    let _alone = alone();
    let count = 600_000;
    let total = |x: &Tensor| {
        fori_loop(
            count,
            |i, (sum, x): &(Tensor, Tensor)| (sum + i.cast(DType::F64) * x, x.clone()),
            &(Tensor::from(0.0), x.clone()),
        )
        .0
    };
    let expected = (count as f64) * (count as f64 - 1.0) / 2.0;
    let x = Tensor::from(2.0);
    {
        let _limit = Limit::of(2 << 20);
        assert_eq!(jit(total)(&x).item::<f64>()?, 2.0 * expected);
        assert_eq!(
            jit(vmap(total, 0))(&Tensor::from([1.0, 3.0])).to_vec::<f64>()?,
            [expected, 3.0 * expected]
        );
    }
    // Short and long loops have the same numbers, forwards and backwards.
    for count in [4096, 4097, 5000] {
        let f = |x: &Tensor| {
            fori_loop(
                count,
                |i, y: &Tensor| y + (i.cast(DType::F64) * 1e-3 * x).sin(),
                &Tensor::from(0.0),
            )
        };
        let direct = |x: &Tensor| (Tensor::iota(DType::F64, count, 0) * 1e-3 * x).sin().sum();
        assert_close(&jit(f)(&x), &direct(&x), "values");
        assert_close(&jit(grad(f))(&x), &grad(direct)(&x), "gradients");
        assert_close(
            &vmap(grad(f), 0)(&Tensor::from([0.5, 2.0])),
            &vmap(grad(direct), 0)(&Tensor::from([0.5, 2.0])),
            "of each",
        );
    }
    Ok(())
}

/// Runs on a thread with a stack as it is by default.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(f).expect("a thread");
    thread.join().expect("no panic");
}

const DEEP: usize = 500;

fn nested_foris(depth: usize, x: &Tensor) -> Tensor {
    match depth {
        0 => x.sin(),
        _ => fori_loop(1, |_, x: &Tensor| nested_foris(depth - 1, x), x),
    }
}

fn nested_conds(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x.sin();
    }
    let half = Tensor::from(0.5);
    cond(
        &x.greater(&half),
        |x: &Tensor| nested_conds(depth - 1, &(x * 1.0001)),
        |x: &Tensor| x * 2.0,
        x,
    )
}

fn nested_switches(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x.sin();
    }
    let deeper = |x: &Tensor| nested_switches(depth - 1, x) + 1.0;
    let branches: [&(dyn Fn(&Tensor) -> Tensor + Sync); 2] = [&deeper, &|x| x.clone()];
    switch(&Tensor::from(0), &branches, x)
}

fn nested_whiles(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x + 1.0;
    }
    // Each level runs once.
    let state = (x.clone(), Tensor::from(true));
    let step = |(x, _): &(Tensor, Tensor)| (nested_whiles(depth - 1, x), Tensor::from(false));
    while_loop(|(_, on): &(Tensor, Tensor)| on.clone(), step, &state).0
}

fn nested_scans(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x * 1.5;
    }
    scan_times(1, |x: &Tensor| (nested_scans(depth - 1, x), Vec::<Tensor>::new()), x).0
}

fn nested_vmaps(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x.sin();
    }
    vmap(|x: &Tensor| nested_vmaps(depth - 1, x), 0)(x)
}

fn nested_jits(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x.sin();
    }
    jit(|x: &Tensor| nested_jits(depth - 1, x))(x)
}

fn nested_checkpoints(depth: usize, x: &Tensor) -> Tensor {
    if depth == 0 {
        return x.sin();
    }
    checkpoint(|x: &Tensor| nested_checkpoints(depth - 1, x) * 1.001)(x)
}

type Nest = fn(usize, &Tensor) -> Tensor;

fn check_nest(name: &str, nest: Nest, x: f64, expected: f64) {
    let x = Tensor::from(x);
    let expected = Tensor::from(expected);
    assert_close(&nest(DEEP, &x), &expected, name);
    assert_close(&jit(|x: &Tensor| nest(DEEP, x))(&x), &expected, name);
}

fn check_transforms(name: &str, nest: Nest, x: f64, slope: f64) {
    let f = |x: &Tensor| nest(DEEP, x);
    let x = Tensor::from(x);
    let slope = Tensor::from(slope);
    assert_close(&jvp(f)(&x, &Tensor::from(1.0)).1, &slope, name);
    assert_close(&jit(grad(f))(&x), &slope, name);
    let stack = Tensor::stack(&[&x, &x], 0);
    assert_close(&vmap(f, 0)(&stack).at((1,)), &f(&x), name);
}

#[test]
fn conds_nest_deeply() {
    let _alone = alone();
    on_a_small_stack(|| {
        let scale = 1.0001f64.powi(DEEP as i32);
        check_nest("cond", nested_conds, 0.8, (0.8 * scale).sin());
        check_transforms("cond", nested_conds, 0.8, (0.8 * scale).cos() * scale);
    });
}

#[test]
fn switches_nest_deeply() {
    let _alone = alone();
    on_a_small_stack(|| check_nest("switch", nested_switches, 0.8, 0.8f64.sin() + DEEP as f64));
}

#[test]
fn whiles_nest_deeply() {
    let _alone = alone();
    on_a_small_stack(|| {
        check_nest("while", nested_whiles, 0.5, 1.5);
        check_nest("fori_loop", nested_foris, 0.5, 0.5f64.sin());
        check_transforms("fori_loop", nested_foris, 0.5, 0.5f64.cos());
    });
}

#[test]
fn scans_nest_deeply() {
    let _alone = alone();
    on_a_small_stack(|| check_nest("scan", nested_scans, 0.5, 0.75));
}

#[test]
fn transforms_nest_deeply() {
    let _alone = alone();
    on_a_small_stack(|| {
        let sine = 0.8f64.sin();
        check_nest("jit", nested_jits, 0.8, sine);
        check_nest("checkpoint", nested_checkpoints, 0.8, sine * 1.001f64.powi(DEEP as i32));
        let x = Tensor::full(vec![1; DEEP], 0.8);
        assert_close(&nested_vmaps(DEEP, &x).reshape(()), &Tensor::from(sine), "vmap");
    });
}

#[test]
fn profiles_nest() {
    let _alone = alone();
    let (done, is_done) = channel();
    thread::spawn(move || {
        let x = Tensor::iota(DType::F64, 5000, 0);
        let (inner, outer) = profile(|| {
            x.sin().check().expect("a value");
            let (_, inner) = profile(|| x.exp());
            x.cos().check().expect("a value");
            inner
        });
        let names = |p: &unloop::Profile| -> Vec<String> {
            p.kernels().into_iter().map(|k| k.name).collect()
        };
        done.send((names(&inner), names(&outer))).expect("somebody waits");
    });
    let (inner, outer) = is_done.recv_timeout(Duration::from_secs(60)).expect("no deadlock");
    // Other tests may run meanwhile.
    let has = |names: &[String], name: &str| names.iter().any(|n| n.contains(name));
    assert!(has(&inner, "exp"), "{inner:?}");
    assert!(["sin", "exp", "cos"].iter().all(|name| has(&outer, name)), "{outer:?}");
}

fn below(limit: f64) -> impl Fn(&Tensor) -> Tensor {
    move |x: &Tensor| x.less(&Tensor::from(limit))
}

#[test]
fn a_loop_may_have_a_limit_of_steps() -> Result<()> {
    let _alone = alone();
    let step = |x: &Tensor| x + 1.0;
    let f =
        |limit: usize, stop: f64| move |x: &Tensor| while_loop_at_most(limit, below(stop), step, x);
    let zero = Tensor::from(0.0);
    // As many steps as are allowed are made.
    assert_eq!(f(5, 5.0)(&zero).item::<f64>()?, 5.0);
    assert_eq!(jit(f(5, 5.0))(&zero).item::<f64>()?, 5.0);
    assert_eq!(f(0, 0.0)(&zero).item::<f64>()?, 0.0);
    let exceeded = |x: Tensor, limit: usize| {
        let error = error_of(&x, "too many steps");
        assert_eq!(*error.kind(), ErrorKind::LoopLimit { limit }, "{error}");
        assert!(error.location().is_some_and(|at| at.file().ends_with("limits.rs")), "{error}");
    };
    exceeded(f(4, 5.0)(&zero), 4);
    exceeded(jit(f(4, 5.0))(&zero), 4);
    exceeded(f(0, 1.0)(&zero), 0);
    // The slowest example counts.
    for n in [2, 100, 3000] {
        let stack = Tensor::iota(DType::F64, n, 0) * -0.001;
        assert_eq!(vmap(f(9, 5.0), 0)(&stack).shape(), [n]);
        exceeded(vmap(f(4, 5.0), 0)(&stack), 4);
        exceeded(jit(vmap(f(4, 5.0), 0))(&stack), 4);
    }
    // On arrays that are not unrolled.
    let wide = |limit: usize| {
        move |x: &Tensor| {
            while_loop_at_most(
                limit,
                |x: &Tensor| x.sum().less(&Tensor::from(1e4)),
                |x: &Tensor| x.cumsum(0) + 1.0,
                x,
            )
        }
    };
    let x = Tensor::zeros(DType::F64, [300]);
    wide(100)(&x).check()?;
    exceeded(wide(1)(&x), 1);
    exceeded(jit(wide(1))(&x), 1);
    // Derivatives keep the limit; backwards there is none.
    assert_eq!(jvp(f(5, 5.0))(&zero, &Tensor::from(1.0)).1.item::<f64>()?, 1.0);
    exceeded(jvp(f(4, 5.0))(&zero, &Tensor::from(1.0)).1, 4);
    let error = error_of(&grad(f(5, 5.0))(&zero), "no gradient");
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    // By reference, too.
    exceeded(by_reference(|| jit(f(4, 5.0))(&zero)), 4);
    assert_eq!(by_reference(|| jit(f(5, 5.0))(&zero)).item::<f64>()?, 5.0);
    Ok(())
}

/// What would run for hours, each on its own road.
fn endless() -> Vec<(&'static str, fn() -> Tensor)> {
    let all: Vec<(&'static str, fn() -> Tensor)> = vec![
        ("a loop on numbers", || {
            jit(|x: &Tensor| while_loop(below(1.0), |x: &Tensor| x * 0.5, x))(&Tensor::from(0.5))
        }),
        ("a loop of examples", || {
            let f = |x: &Tensor| while_loop(below(1.0), |x: &Tensor| x * 0.5, x);
            jit(vmap(f, 0))(&Tensor::full(2000, 0.5))
        }),
        ("a loop on arrays", || {
            let below = |x: &Tensor| x.at((0,)).less(&Tensor::from(1.0));
            jit(move |x: &Tensor| while_loop(below, |x: &Tensor| x.sort(0) * 0.5, x))(
                &Tensor::full(3000, 0.5),
            )
        }),
        ("a loop that counts", || fori_loop(1 << 50, |_, x: &Tensor| x * 0.5, &Tensor::from(0.5))),
        ("a loop that counts on arrays", || {
            fori_loop(1 << 50, |_, x: &Tensor| x.sort(0) * 0.5, &Tensor::full(3000, 0.5))
        }),
        ("steps of a program", || {
            let f = |x: &Tensor| (0..3000).fold(x.clone(), |x, _| x.sort(0) * 0.5);
            let f = jit(f);
            let x = Tensor::iota(DType::F64, 20_000, 0);
            loop {
                let y = f(&x);
                if y.as_error().is_some() {
                    return y;
                }
            }
        }),
        ("tiles of a step", || {
            let table = |x: &Tensor, axis: usize| {
                x.broadcast_in_dim((1 << 20, 1 << 20), [axis].into_iter().collect())
            };
            let f = jit(move |x: &Tensor| (table(x, 0) * table(x, 1)).sin().max());
            f(&Tensor::iota(DType::F64, 1 << 20, 0))
        }),
        ("operations one by one", || {
            let mut x = Tensor::iota(DType::F64, 100, 0);
            while x.as_error().is_none() {
                x = x.sin();
            }
            x
        }),
        ("tracing", || {
            jit(|x: &Tensor| {
                let mut y = x.clone();
                while y.as_error().is_none() {
                    y = (&y + x).sin();
                    if y.rank() == 7 {
                        return y;
                    }
                }
                y
            })(&Tensor::from(0.5))
        }),
        ("rewriting and compiling", || {
            let mut n = 0u32;
            loop {
                n += 1;
                let x = Tensor::iota(DType::F64, (3, 4, 5), 0);
                let f = jit(|x: &Tensor| {
                    (0..400).fold(x.clone(), |y, i| {
                        (&y * x).sum_keep(1).broadcast() + x * f64::from(i + n)
                    })
                });
                let y = f(&x);
                if y.as_error().is_some() {
                    return y;
                }
            }
        }),
    ];
    all
}

#[test]
fn what_nobody_waits_for_is_ended() -> Result<()> {
    let _alone = alone();
    for (name, run) in endless() {
        let (done, is_done) = channel();
        let token = CancelToken::new();
        let other = token.clone();
        thread::spawn(move || {
            let result = other.run(run);
            done.send(result).expect("somebody waits");
        });
        thread::sleep(Duration::from_millis(100));
        token.cancel();
        let result = is_done.recv_timeout(Duration::from_secs(120)).expect(name);
        let error = error_of(&result, name);
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{name}: {error}");
    }
    // Everything works afterwards, also with a token that is left in peace.
    let x = Tensor::iota(DType::F64, 3000, 0);
    let f = jit(|x: &Tensor| fori_loop(10, |_, x: &Tensor| x.sort(0) * 0.5, x));
    let expected = &x * 0.5f64.powi(10);
    assert_close(&f(&x), &expected, "afterwards");
    assert_close(&CancelToken::new().run(|| f(&x)), &expected, "under a token");
    Ok(())
}

#[test]
fn deadlines_end_calls_and_scopes_nest() -> Result<()> {
    let _alone = alone();
    let slow = jit(|x: &Tensor| while_loop(below(1.0), |x: &Tensor| x * 0.5, x));
    let x = Tensor::from(0.5);
    let ended = CancelToken::after(Duration::from_millis(50)).run(|| slow(&x));
    assert_eq!(*error_of(&ended, "a deadline").kind(), ErrorKind::Cancelled);
    // An outer token ends what runs under an inner one, and not the other way round.
    let (outer, inner) = (CancelToken::after(Duration::from_millis(50)), CancelToken::new());
    outer.run(|| {
        let ended = inner.run(|| slow(&x));
        assert_eq!(*error_of(&ended, "the outer one").kind(), ErrorKind::Cancelled);
    });
    let (outer, inner) = (CancelToken::new(), CancelToken::new());
    inner.cancel();
    outer.run(|| {
        assert!(inner.run(|| &x + 1.0).check().is_err());
        assert!((&x + 1.0).check().is_ok());
    });
    assert!(CancelToken::after(Duration::MAX).run(|| &x + 1.0).check().is_ok());
    // The same function again.
    assert_eq!(slow(&Tensor::from(2.0)).item::<f64>()?, 2.0);
    // A call that panics leaves no token behind.
    let token = CancelToken::new();
    token.cancel();
    let panicked = std::panic::catch_unwind(|| token.run(|| panic!("on purpose")));
    assert!(panicked.is_err() && (&x + 1.0).check().is_ok());
    Ok(())
}

#[test]
fn a_compilation_that_is_ended_leaves_nothing_behind() -> Result<()> {
    let _alone = alone();
    let x = Tensor::iota(DType::F64, (3, 4), 0);
    let f = jit(|x: &Tensor| {
        (0..50).fold(x.clone(), |y, i| (&y * x).sum_keep(1).broadcast() + x * f64::from(i))
    });
    let token = CancelToken::new();
    token.cancel();
    for _ in 0..3 {
        assert_eq!(*error_of(&token.run(|| f(&x)), "ended").kind(), ErrorKind::Cancelled);
    }
    let eager =
        (0..50).fold(x.clone(), |y, i| (&y * &x).sum_keep(1).broadcast() + &x * f64::from(i));
    assert_close(&f(&x), &eager, "compiled again");
    Ok(())
}
