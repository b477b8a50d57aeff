//! Trains a small network to read handwritten digits: shuffled batches, `value_and_grad` under `jit`,
//! Adam. Draws the loss and the digits that were misread.
//! `cargo run --release --example digits [folder for the pictures]`

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use unloop::data::{Batches, Last};
use unloop::optim::Adam;
use unloop::prelude::*;
use unloop::random;
use unloop_examples::{Digits, Mlp, load, loss};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const EPOCHS: usize = 60;
const BATCH: usize = 64;

/// The mean loss of a batch, from the loss of one image.
fn batch_loss(model: &Mlp, images: &Tensor, labels: &Tensor) -> Tensor {
    vmap(loss, (Shared, 0, 0))(model, images, labels).mean()
}

fn train(train: &Digits) -> Result<(Mlp, Vec<f32>)> {
    let adam = Adam::new(2e-3);
    let step = jit(|model: &Mlp, state: &_, batch: &Digits| {
        let (loss, gradient) = value_and_grad(batch_loss)(model, &batch.images, &batch.labels);
        let (model, state) = adam.update(&gradient, state, model);
        (loss, model, state)
    });
    let mut model = Mlp::new(64, 96, 10, 1);
    let mut state = adam.init(&model);
    let batches = Batches::new(train, BATCH, Last::Drop)?;
    let batches = batches.shuffled(&random::key(2)).epochs(EPOCHS);
    let bar = ProgressBar::new(batches.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {msg}, {elapsed}")?);
    let mut losses = Vec::new();
    for batch in batches {
        let (loss, next, after) = step.try_call((&model, &state, &batch.examples))?;
        (model, state) = (next, after);
        losses.push(loss.item()?);
        bar.inc(1);
        if bar.position().is_multiple_of(20) {
            bar.set_message(format!("loss {:.4}", losses.last().copied().unwrap_or(f32::NAN)));
        }
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
