//! Trains a small network to read handwritten digits: mini-batches, `value_and_grad` under `jit`,
//! Adam by tree maps. Draws the loss and the digits that were misread.
//! `cargo run --release --example digits [folder for the pictures]`

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use unloop::prelude::*;
use unloop_examples::{Digits, Mlp, load, loss};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const EPOCHS: usize = 60;
const BATCH: usize = 64;

/// The state of Adam (Kingma & Ba, 2015): running means of gradients and of their squares.
#[derive(Tree, Clone)]
struct Adam {
    mean: Mlp,
    square: Mlp,
    /// Steps so far.
    count: Tensor,
}

impl Adam {
    fn new(model: &Mlp) -> Adam {
        let zeros = model.map_leaves(Tensor::zeros_like);
        Adam { mean: zeros.clone(), square: zeros, count: Tensor::from(0.0f32) }
    }

    /// The next state and the next parameters.
    fn step(&self, model: &Mlp, gradient: &Mlp, rate: f64) -> (Adam, Mlp) {
        let count = &self.count + 1.0;
        let mean = self.mean.zip_map(gradient, |m, g| 0.9 * m + 0.1 * g);
        let square = self.square.zip_map(gradient, |v, g| 0.999 * v + 0.001 * g.square());
        // The means start at zero; this makes up for it.
        let power = |base: f32| 1.0 - Tensor::from(base).pow(&count);
        let (first, second) = (power(0.9), power(0.999));
        let direction = mean.zip_map(&square, |m, v| (m / &first) / ((v / &second).sqrt() + 1e-8));
        let model = model.zip_map(&direction, |p, d| p - rate * d);
        (Adam { mean, square, count }, model)
    }
}

/// The mean loss of a batch, from the loss of one image.
fn batch_loss(model: &Mlp, images: &Tensor, labels: &Tensor) -> Tensor {
    vmap(loss, (Shared, 0, 0))(model, images, labels).mean()
}

fn train(train: &Digits) -> Result<(Mlp, Vec<f32>)> {
    let step = jit(|model: &Mlp, adam: &Adam, images: &Tensor, labels: &Tensor| {
        let (loss, gradient) = value_and_grad(batch_loss)(model, images, labels);
        let (adam, model) = adam.step(model, &gradient, 2e-3);
        (loss, model, adam)
    });
    let mut model = Mlp::new(64, 96, 10, 1);
    let mut adam = Adam::new(&model);
    let mut rng = StdRng::seed_from_u64(2);
    let mut order: Vec<usize> = (0..train.count()).collect();
    let batches = train.count() / BATCH;
    let bar = ProgressBar::new((EPOCHS * batches) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {msg}, {elapsed}")?);
    let mut losses = Vec::new();
    for _ in 0..EPOCHS {
        order.shuffle(&mut rng);
        for rows in order.chunks_exact(BATCH) {
            let batch = train.pick(rows);
            let (loss, next, state) =
                step.try_call((&model, &adam, &batch.images, &batch.labels))?;
            (model, adam) = (next, state);
            losses.push(loss.item()?);
            bar.inc(1);
        }
        bar.set_message(format!("loss {:.4}", losses.last().copied().unwrap_or(f32::NAN)));
    }
    bar.finish();
    Ok((model, losses))
}

fn draw_losses(losses: &[f32], path: &Path) -> Result<()> {
    let area = BitMapBackend::new(path, (900, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Loss of each batch", ("sans-serif", 24))
        .margin(15)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0..losses.len(), (1e-4f32..3.0).log_scale())?;
    chart.configure_mesh().x_desc("step").y_desc("cross-entropy").draw()?;
    let points = losses.iter().copied().enumerate();
    chart.draw_series(LineSeries::new(points, &BLUE))?;
    area.present()?;
    Ok(())
}

/// A grid of the misread images, each with what it shows and what was read.
fn draw_misread(test: &Digits, read: &[i64], wrong: &[usize], path: &Path) -> Result<()> {
    let columns = 6;
    let rows = wrong.len().div_ceil(columns).max(1);
    let (cell, pixel) = (140, 12);
    let size = ((columns * cell) as u32, (rows * cell) as u32);
    let area = BitMapBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let labels = test.labels.to_vec::<i32>()?;
    for (place, &i) in wrong.iter().enumerate() {
        let image = test.images.at((i as i64, ..)).to_vec::<f32>()?;
        let (left, top) = (place % columns * cell + 22, place / columns * cell + 28);
        for (p, value) in image.iter().enumerate() {
            let (x, y) = ((left + p % 8 * pixel) as i32, (top + p / 8 * pixel) as i32);
            let shade = (255.0 * (1.0 - value)) as u8;
            let corners = [(x, y), (x + pixel as i32, y + pixel as i32)];
            area.draw(&Rectangle::new(corners, RGBColor(shade, shade, shade).filled()))?;
        }
        let text = format!("{} read as {}", labels[i], read[i]);
        let at = (left as i32, top as i32 - 22);
        area.draw(&Text::new(text, at, ("sans-serif", 18).into_font()))?;
    }
    area.present()?;
    Ok(())
}

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "out".into()));
    std::fs::create_dir_all(&folder)?;
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    plotters::style::register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| "the font cannot be read")?;

    let (training, test) = load(0)?;
    let (model, losses) = train(&training)?;
    println!(
        "accuracy on {} images learnt from: {:.2} %",
        training.count(),
        100.0 * model.accuracy(&training)?
    );
    let accuracy = model.accuracy(&test)?;
    println!("accuracy on {} images held out:    {:.2} %", test.count(), 100.0 * accuracy);

    let read = model.classify(&test.images).to_vec::<i64>()?;
    let labels = test.labels.to_vec::<i32>()?;
    let wrong: Vec<usize> =
        (0..labels.len()).filter(|&i| read[i] != i64::from(labels[i])).collect();
    let (curve, grid) = (folder.join("loss.png"), folder.join("misread.png"));
    draw_losses(&losses, &curve)?;
    draw_misread(&test, &read, &wrong, &grid)?;
    println!(
        "the loss is drawn in {}, the {} misread digits in {}",
        curve.display(),
        wrong.len(),
        grid.display()
    );
    Ok(())
}
