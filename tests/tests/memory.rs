//! What runs take, measured: the allocator counts bytes, and programs keep what they have said.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use unloop::prelude::*;
use unloop::{
    Conv, ErrorKind, ReduceOp, Result, WindowAxis, fft, map, random, release_memory, scan_times,
};
use unloop_tests::Limit;

/// The system's allocator, with the bytes that are taken and the most that ever were.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Whether memory counts. What products of matrices pack their blocks into, which is aligned to pages,
/// does not: each thread reserves twice the size of the last cache for it, and touches what it packs.
fn counts(layout: Layout) -> bool {
    layout.align() < 4096
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        let start = unsafe { System.alloc(layout) };
        if !start.is_null() && counts(layout) {
            let taken = TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
            MOST.fetch_max(taken, Ordering::Relaxed);
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if counts(layout) {
            TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: as the caller's.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `f`, and gives the bytes that it took at its peak.
fn measured<R>(f: impl FnOnce() -> R) -> (R, usize) {
    release_memory();
    let before = TAKEN.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = f();
    (result, MOST.load(Ordering::Relaxed) - before)
}

/// What does not count: the tiles of threads, the blocks of matrix products, small vectors.
fn slack() -> usize {
    (1 << 20) + rayon::current_num_threads() * (1 << 20)
}

type Function = fn(&Tensor) -> Tensor;

/// Programs of a vector of [`N`] numbers or of a matrix.
fn programs() -> Vec<(&'static str, Function)> {
    let all: Vec<(&'static str, Function)> = vec![
        ("sine", |x| x.sin()),
        ("chain", |x| (x.sin() * x + 1.0).exp().sqrt()),
        ("two of one", |x| mixed(x) + mixed(&-x)),
        ("outer", |x| (x.at(..2000).outer(&x.at(..2000)) + 1.0).exp()),
        ("constant", |x| x.zeros_like()),
        ("broadcast", |x| x.at((0,)).broadcast_to([N])),
        ("broadcast and more", |x| x.sum().broadcast_to([N]).sin()),
        ("iota", |x| Tensor::iota(DType::F64, N, 0) + x),
        ("sum", |x| x.square().sum()),
        ("sums of columns", |x| matrix(x).sum_axis(0)),
        ("sums of few columns", |x| x.reshape([N / 8, 8]).sum_axis(0)),
        ("softmax", |x| matrix(x).softmax(1)),
        ("transpose", |x| matrix(x).t() + 1.0),
        ("product", |x| matrix(x).matmul(&matrix(x))),
        ("product and more", |x| (matrix(x).matmul(&matrix(x).t()) + 1.0).tanh()),
        ("product of integers", |x| {
            let x = matrix(x).at((..300, ..300)).cast(DType::I64);
            x.matmul(&x)
        }),
        ("sort", |x| x.sort(0)),
        ("argsort", |x| x.argsort(0)),
        ("sort of columns", |x| matrix(x).sort(0)),
        ("argmax of columns", |x| matrix(x).argmax_axis(0)),
        ("median", |x| x.median(0)),
        ("gather", |x| x.take(&Tensor::iota(DType::I64, N, 0).flip(&[0]), 0)),
        ("scatter", |x| x.zeros_like().add_at((&Tensor::iota(DType::I64, N, 0),), x)),
        ("pad", |x| x.pad(&[(1000, 1000)], &x.at((0,)))),
        ("concatenate", |x| Tensor::concatenate(&[x, &x.sin()], 0)),
        ("pooling", |x| x.reduce_window(ReduceOp::Max, &[WindowAxis::new(1000)])),
        ("convolution", |x| {
            let how = Conv { windows: vec![WindowAxis::one()], groups: 1 };
            x.reshape([1, 1, N]).conv(&x.at(..9).reshape([1, 1, 9]), &how)
        }),
        ("cholesky", |x| definite(x).cholesky()),
        ("solve", |x| definite(x).solve(&x.at(..SIDE))),
        ("solve for many", |x| definite(x).solve(&matrix(x))),
        ("inverse", |x| definite(x).inv()),
        ("determinant", |x| definite(x).det()),
        ("qr", |x| matrix(x).at((.., ..300)).qr().0),
        ("svd", |x| matrix(x).at((..400, ..300)).svd().0),
        ("eigh", |x| definite(x).at((..300, ..300)).eigh().1),
        ("fft", |x| fft::fft(&unloop::Complex::from_real(x), 0).re),
        ("random", |x| random::normal(&random::key(1), DType::F64, N) + x),
        ("scan that stacks", |x| scan_times(50, |x: &Tensor| (x * 0.5, x.at(..20_000)), x).1),
        ("loop on arrays", |x| fori_loop(5, |_, x: &Tensor| mixed(x) * 0.5, x)),
        ("while", |x| {
            while_loop(
                |x: &Tensor| x.max().greater(&Tensor::from(0.5)),
                |x: &Tensor| mixed(x) * 0.5,
                x,
            )
        }),
        ("loops in loops", |x| {
            fori_loop(2, |_, x: &Tensor| fori_loop(2, |_, x: &Tensor| mixed(x).sin() * 0.5, x), x)
        }),
        ("map", |x| map(|row: &Tensor| row.sort(0), &matrix(x))),
        ("cond", |x| {
            cond(
                &x.sum().greater(&Tensor::from(0.0)),
                |x: &Tensor| mixed(x),
                |x: &Tensor| x * 2.0,
                x,
            )
        }),
        ("rows", |x| vmap(|row: &Tensor| row.sort(0).cumsum(0), 0)(&matrix(x))),
        ("gradient", |x| grad(|x: &Tensor| mixed(&x.sin()).square().sum())(x)),
        ("gradient of a loop", |x| {
            grad(|x: &Tensor| fori_loop(4, |_, x: &Tensor| mixed(&x.sin()), x).sum())(x)
        }),
        ("loop on numbers", |x| {
            vmap(|x: &Tensor| fori_loop(20, |_, x: &Tensor| (x * 1.5).sin(), x), 0)(x)
        }),
        ("in chunks", |x| {
            vmap(|row: &Tensor| row.outer(row).sum(), 0).chunks(10)(&matrix(x).at((.., ..200)))
        }),
    ];
    all
}

const SIDE: usize = 700;
const N: usize = SIDE * SIDE;

/// What no kernel is fused with.
fn mixed(x: &Tensor) -> Tensor {
    x.reshape([N / 4, 4]).sort(1).reshape([N])
}

fn matrix(x: &Tensor) -> Tensor {
    x.reshape([SIDE, SIDE])
}

fn definite(x: &Tensor) -> Tensor {
    matrix(x) * 1e-3 + Tensor::eye(DType::F64, SIDE) + (matrix(x) * 1e-3).t()
}

/// One test, as the counts are the process's.
#[test]
fn memory_is_what_was_said() -> Result<()> {
    let x = (Tensor::linspace(0.0, 100.0, N)).sin();
    let mut wrong = Vec::new();
    for (name, f) in programs() {
        let f = jit(f);
        let said = f.plan((&x,))?.peak_bytes();
        // Compiled, and the threads have what they keep.
        f(&x).check()?;
        let (result, most) = measured(|| f(&x));
        result.check()?;
        if most > said + slack() {
            wrong.push(format!("{name}: took {most} bytes, said {said}"));
        }
        // What is said is taken, but for what several threads might take.
        let threads = rayon::current_num_threads();
        if said > threads * (most + slack()) {
            wrong.push(format!("{name}: took {most} bytes only, said {said}"));
        }
        drop(result);
        // Under a limit everything stays below it, and is an error if it does not suffice.
        for allowed in [said / 2, said + (1 << 20)] {
            let limit = Limit::of(allowed);
            let (result, most) = measured(|| f(&x));
            let fails = result.as_error().map(|e| e.kind().clone());
            drop(limit);
            if most > allowed + slack() {
                wrong.push(format!("{name}: took {most} bytes, {allowed} are allowed"));
            }
            match fails {
                None => {}
                Some(ErrorKind::OutOfMemory { limit: Some(_), .. }) if allowed <= said => {}
                Some(kind) => wrong.push(format!("{name}: {kind}, {allowed} are allowed")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The same one operation after the other.
    let allowed = 24 << 20;
    for (name, f) in programs() {
        let limit = Limit::of(allowed);
        let (result, most) = measured(|| f(&x));
        let fails = result.as_error().map(|e| e.kind().clone());
        drop((limit, result));
        if most > allowed + slack() {
            wrong.push(format!("{name} at once: took {most} bytes, {allowed} are allowed"));
        }
        if let Some(kind) = fails
            && !matches!(kind, ErrorKind::OutOfMemory { limit: Some(_), .. })
        {
            wrong.push(format!("{name} at once: {kind}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // A fill is small until its elements are wanted.
    let fill = Tensor::full([1 << 27], 1.0);
    let _limit = Limit::of(64 << 20);
    let (copied, most) = measured(|| fill.to_vec::<f64>());
    assert!(copied.is_err() && most < 1 << 20, "{most}");
    Ok(())
}
