//! What a user can see of a program: where its time goes, and how much memory it needs.

use unloop::prelude::*;
use unloop::{ErrorKind, Result, profile, release_memory, set_memory_limit};
use unloop_graph::backend::by_reference;
use unloop_tests::{assert_close, tensor};

use crate::alone;

#[test]
fn a_profile_names_kernels() -> Result<()> {
    let _alone = alone();
    let x = Tensor::ones(DType::F32, [300, 200]);
    let f = jit(|x: &Tensor| (x.sin() * 2.0).matmul(&x.t()).sum_axis(0));
    f(&x).check()?;
    let (results, report) = profile(|| [f(&x), f(&x), f(&x)]);
    assert!(results.check().is_ok());
    let kernels = report.kernels();
    let calls = |name: &str| kernels.iter().find(|k| k.name.contains(name)).map(|k| k.calls);
    assert_eq!(calls("sin"), Some(3), "{report}");
    assert!(kernels.iter().all(|k| k.bytes > 0 && k.time <= report.wall()), "{report}");
    // What the machine can do was measured.
    assert!(kernels.iter().all(|k| k.share_of_peak > 0.0), "{report}");
    assert!(kernels.windows(2).all(|pair| pair[0].time >= pair[1].time));
    assert!(report.to_string().contains("GFLOP/s"));
    let trace: serde_json::Value = serde_json::from_str(&report.to_chrome_trace()).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    assert_eq!(events.len(), kernels.iter().map(|k| k.calls).sum::<usize>());
    // Nothing is recorded afterwards.
    f(&x);
    assert!(profile(|| ()).1.kernels().is_empty());
    Ok(())
}

#[test]
fn memory_is_known_and_limited() -> Result<()> {
    let _alone = alone();
    let x = Tensor::ones(DType::F64, [1000]);
    let table = |x: &Tensor| (x.outer(x) + 1.0).exp();
    assert_eq!(jit(table).plan((&x,))?.peak_bytes(), 8_000_000);
    // What lies in between counts, too: the product reads a table that is written first.
    let twice = jit(|x: &Tensor| table(x).matmul(&table(x)));
    assert!(twice.plan((&x,))?.peak_bytes() >= 16_000_000);
    set_memory_limit(1 << 20);
    let refused = jit(table).try_call((&x,));
    let small = jit(table).try_call((&x.at(..10),));
    let numbers = unloop::random::normal(&unloop::random::key(0), DType::F64, 1 << 20);
    let mapped = vmap(table, 0)(&x.reshape((1, 1000)));
    let single = &x.outer(&x);
    let looped = each_to([1 << 20], |[i]| i.value().tensor() * 2);
    set_memory_limit(usize::MAX);
    for (op, result) in
        [("normal", &numbers), ("exp", &mapped), ("outer", single), ("each_to", &looped)]
    {
        let error = result.check().expect_err("more than the limit");
        assert_eq!(error.op(), op, "{error}");
        assert!(error.location().is_some_and(|at| at.file().ends_with("insight.rs")), "{error}");
    }
    let error = refused.expect_err("more than the limit");
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { needed: 8_000_000, .. }), "{error}");
    assert!(error.to_string().contains("chunks"), "{error}");
    small?.check()?;
    jit(table)(&x).check()?;
    Ok(())
}

#[test]
fn values_that_are_not_needed_are_written_over() -> Result<()> {
    let _alone = alone();
    let x = tensor(&mut fastrand::Rng::with_seed(9), DType::F64, &[600, 700]);
    let f = |x: &Tensor| {
        let mut y = x.exp();
        for _ in 0..4 {
            y = (&y / y.sum_keep(0).broadcast()).sin() + 0.1;
        }
        y.max_axis(0)
    };
    let one = 600 * 700 * 8;
    let peak = jit(f).plan((&x,))?.peak_bytes();
    assert!(peak < one + one / 4, "{peak}");
    let expected = by_reference(|| f(&x).check().cloned());
    assert_close(&jit(f).try_call((&x,))?, &expected?, "written over");
    Ok(())
}

#[test]
fn memory_of_results_is_used_again() -> Result<()> {
    let _alone = alone();
    release_memory();
    let x = Tensor::from_fn([300_000], |i| (i[0] % 2 + 1) as f64);
    let f = jit(|x: &Tensor| x * 3.0);
    let address = |t: &Tensor| t.value("test").map(|a| a.as_ptr().addr());
    let first = f(&x);
    let at = address(&first)?;
    // As long as somebody holds a part of it, it is nobody else's.
    let part = first.at(..10);
    drop(first);
    let second = f(&x);
    assert_ne!(address(&second)?, at);
    let twice = &x * 2.0;
    drop(part);
    // Others may be taken first.
    let more: Vec<Tensor> = (0..4).map(|_| f(&twice)).collect();
    let addresses: Result<Vec<usize>> = more.iter().map(address).collect();
    assert!(addresses?.contains(&at));
    for third in &more {
        assert_eq!(third.at((299_999,)).item::<f64>()?, 12.0);
    }
    assert_eq!(second.at((299_999,)).item::<f64>()?, 6.0);
    release_memory();
    Ok(())
}
