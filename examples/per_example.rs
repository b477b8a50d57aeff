//! The core of differentially private learning: the gradient of every example on its own, clipped
//! to a bounded size, then averaged (Abadi et al., 2016, "Deep learning with differential privacy",
//! without the noise). `cargo run --release --example per_example`

use std::process::ExitCode;
use std::time::Instant;

use unloop::optim::{clip_by_global_norm, global_norm};
use unloop::prelude::*;
use unloop_examples::{Mlp, largest, load, loss};

/// No example moves the parameters further than this.
const BOUND: f64 = 6.0;

/// One example's gradient, shortened to the bound where it is longer.
fn clipped_gradient(model: &Mlp, image: &Tensor, label: &Tensor) -> Mlp {
    clip_by_global_norm(&grad(loss)(model, image, label), BOUND)
}

fn largest_difference(a: &Mlp, b: &Mlp) -> unloop::Result<f64> {
    let gaps = a.zip_map(b, |a, b| (a - b).abs().max().cast(DType::F64));
    Ok(largest(gaps.leaves().iter().map(Tensor::item::<f64>).collect::<unloop::Result<Vec<_>>>()?))
}

fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let (train, _) = load(0)?;
    let batch = train.pick(&(0..256).collect::<Vec<_>>());
    let model = Mlp::new(64, 64, 10, 1);

    // All examples at once: the function of one example, lifted.
    let private = jit(|model: &Mlp, images: &Tensor, labels: &Tensor| {
        let each = vmap(clipped_gradient, (Shared, 0, 0))(model, images, labels);
        each.map_leaves(|leaf| leaf.mean_axis(0))
    });
    let average = private.try_call((&model, &batch.images, &batch.labels))?;
    let start = Instant::now();
    for _ in 0..20 {
        private.try_call((&model, &batch.images, &batch.labels))?;
    }
    let together = start.elapsed() / 20;

    // The same, one example at a time.
    let one = jit(clipped_gradient);
    let mut sum: Option<Mlp> = None;
    let mut long = 0;
    let start = Instant::now();
    for i in 0..batch.count() as i64 {
        let gradient = one.try_call((&model, &batch.images.at((i, ..)), &batch.labels.at(i)))?;
        sum = Some(match sum {
            Some(sum) => sum.zip_map(&gradient, |a, b| a + b),
            None => gradient,
        });
    }
    let apart = start.elapsed();
    let sum = sum.ok_or("no example")?.map_leaves(|leaf| leaf / batch.count() as f64);

    let norm = |m: &Mlp, x: &Tensor, y: &Tensor| global_norm(&grad(loss)(m, x, y));
    let norms = vmap(norm, (Shared, 0, 0))(&model, &batch.images, &batch.labels).to_vec::<f32>()?;
    long += norms.iter().filter(|&&n| f64::from(n) > BOUND).count();
    let deviation = largest_difference(&average, &sum)?;
    println!(
        "{} gradients of {} parameters",
        batch.count(),
        model.leaves().iter().map(Tensor::size).sum::<usize>()
    );
    println!("longer than {BOUND}, so clipped: {long}");
    println!("largest deviation from one at a time: {deviation:.1e}");
    println!("all at once: {together:.1?}; one at a time: {apart:.1?}");
    Ok(deviation < 1e-5)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the gradients differ");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
