//! Products together with what is computed of their results: the same as the reference evaluator
//! says, on every instruction set, and without memory for the products.

use unloop::prelude::*;
use unloop::{Array, Result};
use unloop_cpu::Cpu;
use unloop_tests::{assert_close, tensor};

/// What follows a product: of the product, something of its shape, and a row.
const FOLLOWING: &[(&str, fn(&Tensor, &Tensor, &Tensor) -> Tensor)] = &[
    ("bias and activation", |x, _, b| (x + &b.broadcast_to(x.shape())).tanh()),
    ("one axis for all", |x, y, _| x.relu() * 0.5 + y),
    ("turned", |x, y, _| (x - y).mt()),
    ("another dtype", |x, _, b| x.greater(&b.broadcast_to(x.shape())).cast(DType::I32)),
    ("split rows", |x, _, b| {
        let [count, m, n] = x.shape()[..] else { return x.clone() };
        let halves = x.reshape([count * m, 2, n / 2]);
        (&halves + b.at(..n / 2).broadcast_to(halves.shape())).abs()
    }),
];

/// Stacks of matrices, large enough that something follows them part by part.
const STACKS: &[(usize, usize, usize, usize)] = &[
    // Tall ones, whose last part is shorter; with rows that are short, or not.
    (1, 4501, 5, 30),
    (1, 1037, 7, 130),
    // Several in a part, or parts of each.
    (301, 33, 4, 14),
    (2, 700, 5, 120),
];

#[test]
fn what_follows_products() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(4);
    for (i, &(count, m, k, n)) in STACKS.iter().enumerate() {
        for dtype in [DType::F32, DType::F64] {
            // As many bytes in both.
            let m = m * 8 / dtype.size();
            let x = tensor(&mut rng, dtype, &[count, m, k]);
            let w = tensor(&mut rng, dtype, &[count, k, n]);
            let (y, b) = (tensor(&mut rng, dtype, &[count, m, n]), tensor(&mut rng, dtype, &[n]));
            let mine = |at: &usize| (at + i).is_multiple_of(2) == (dtype == DType::F32);
            for at in (0..FOLLOWING.len()).filter(mine) {
                let (name, then) = FOLLOWING[at];
                let f = |x: &Tensor, w: &Tensor, y: &Tensor, b: &Tensor| then(&x.matmul(w), y, b);
                let graph = jit(f).graph((&x, &w, &y, &b))?;
                let inputs: Result<Vec<Array>> =
                    [&x, &w, &y, &b].map(|x| x.value("test").cloned()).into_iter().collect();
                let inputs = inputs?;
                let expected = Tensor::from(graph.evaluate(&inputs)?.remove(0));
                for set in Cpu::instruction_sets() {
                    let Some(plan) = Cpu::compile_for(&graph, set) else { continue };
                    let found = Tensor::from(plan?.run(&inputs)?.remove(0));
                    // Comparisons may differ where both sides are equal but for rounding.
                    if dtype != DType::F32 || found.dtype() != DType::I32 {
                        let what = format!("{name}, {set}, {dtype:?} {count}×{m}×{k}×{n}");
                        assert_close(&found, &expected, &what);
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn products_that_something_follows_take_no_memory() -> Result<()> {
    let x = Tensor::ones(DType::F64, [3000, 20]);
    let (w, b) = (Tensor::ones(DType::F64, [20, 100]), Tensor::ones(DType::F64, [100]));
    let layer =
        vmap(|x: &Tensor, w: &Tensor, b: &Tensor| (x.matmul(w) + b).tanh(), (0, Shared, Shared));
    assert_eq!(jit(layer).plan((&x, &w, &b))?.peak_bytes(), 3000 * 100 * 8);
    Ok(())
}
