//! Every row, timed by criterion: `cargo bench -p unloop-benches`.

use criterion::{Criterion, criterion_group, criterion_main};
use unloop::prelude::*;
use unloop_benches::rows;

/// Random inputs: floats between -1 and 1, labels below 10. Stacks of matrices get a diagonal that
/// keeps them regular.
fn input(rng: &mut fastrand::Rng, dtype: DType, shape: &[usize]) -> Tensor {
    if dtype == DType::I32 {
        return Tensor::from_fn(shape, |_| rng.i32(0..10));
    }
    let regular = matches!(shape, [_, m, n] if m == n);
    let value = |i: &[usize]| {
        let diagonal = regular && i[1] == i[2];
        2.0 * rng.f64() - 1.0 + if diagonal { 3.0 } else { 0.0 }
    };
    Tensor::from_fn(shape, value).cast(dtype)
}

fn bench(c: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(1);
    for row in rows() {
        let inputs: Vec<Tensor> =
            row.inputs.iter().map(|(dtype, shape)| input(&mut rng, *dtype, shape)).collect();
        c.bench_function(row.name, |b| b.iter(|| row.run(&inputs)));
    }
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(10);
    targets = bench
}
criterion_main!(all);
