//! Trains a small network to read handwritten digits: shuffled batches, `value_and_grad` under `jit`,
//! Adam. Draws the loss and the digits that were misread.
//! `cargo run --release --example digits [folder for the pictures]`

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use unloop::data::{Batches, Last};
use unloop::optim::Adam;
use unloop::prelude::*;
use unloop::random;
use unloop_examples::picture::{self, Result};
use unloop_examples::{Digits, Mlp, load, loss};

const EPOCHS: usize = 60;
const BATCH: usize = 64;

// ANCHOR: train
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

// ANCHOR_END: train

fn draw_losses(losses: &[f32], path: &Path) -> Result<()> {
    picture::draw(path, (640, 320), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption("Loss of each batch", ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(38)
            .y_label_area_size(60)
            .build_cartesian_2d(0..losses.len(), (1e-4f32..3.0).log_scale())?;
        chart
            .configure_mesh()
            .disable_mesh()
            .label_style(("sans-serif", 13))
            .x_desc("step")
            .y_desc("cross-entropy")
            .draw()?;
        let points = losses.iter().copied().enumerate().step_by(2);
        chart.draw_series(LineSeries::new(points, &picture::FOUND))?;
        Ok(())
    })
}

/// A grid of the misread images, each with what it shows and what was read.
fn draw_misread(test: &Digits, read: &[i64], wrong: &[usize], path: &Path) -> Result<()> {
    let columns = 6;
    let rows = wrong.len().div_ceil(columns).max(1);
    let (cell, pixel) = (110, 9);
    let size = ((columns * cell) as u32, (rows * cell) as u32);
    let labels = test.labels.to_vec::<i32>()?;
    picture::draw(path, size, |area| {
        for (place, &i) in wrong.iter().enumerate() {
            let image = test.images.at((i as i64, ..)).to_vec::<f32>()?;
            let (left, top) = (place % columns * cell + 19, place / columns * cell + 28);
            for (p, value) in image.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                let (x, y) = ((left + p % 8 * pixel) as i32, (top + p / 8 * pixel) as i32);
                let shade = (255.0 * (1.0 - value)) as u8;
                let corners = [(x, y), (x + pixel as i32, y + pixel as i32)];
                area.draw(&Rectangle::new(corners, RGBColor(shade, shade, shade).filled()))?;
            }
            let text = format!("{} read as {}", labels[i], read[i]);
            let at = (left as i32, top as i32 - 20);
            area.draw(&Text::new(text, at, ("sans-serif", 14).into_font()))?;
        }
        Ok(())
    })
}

fn main() -> Result<()> {
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
    println!("{} of them were misread", wrong.len());
    if let Some(folder) = picture::asked() {
        std::fs::create_dir_all(&folder)?;
        draw_losses(&losses, &folder.join("digits-loss.svg"))?;
        draw_misread(&test, &read, &wrong, &folder.join("digits-misread.svg"))?;
    }
    if accuracy > 0.95 { Ok(()) } else { Err("the network has not learnt to read".into()) }
}
