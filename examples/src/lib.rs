//! What the examples share: the handwritten digits, a small network, and its loss for one image; the
//! largest of differences; and [`picture`]s.

pub mod picture;

use std::error::Error;
use std::io::Read;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::StdRng};
use unloop::nn::{self, Init, Linear};
use unloop::prelude::*;
use unloop::random;

/// Images and the digits that they show.
#[derive(Tree, Clone, Debug)]
pub struct Digits {
    /// One image a row: 64 pixels from 0 to 1.
    pub images: Tensor,
    /// The digit of each image, as `i32`.
    pub labels: Tensor,
}

impl Digits {
    /// The number of images.
    pub fn count(&self) -> usize {
        self.labels.size()
    }

    /// Some of the images.
    pub fn pick(&self, rows: &[usize]) -> Digits {
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let rows = Tensor::from(rows);
        Digits {
            images: each(|[i]| self.images.at((rows.at(i), ..))),
            labels: each(|[i]| self.labels.at(rows.at(i))),
        }
    }
}

/// Reads the digits and splits them at random into three quarters to learn from and one to test.
pub fn load(seed: u64) -> Result<(Digits, Digits), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let (mut pixels, mut labels): (Vec<f32>, Vec<i32>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let numbers: Vec<f32> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let Some((label, image)) = numbers.split_last() else { continue };
        pixels.extend(image.iter().map(|x| x / 16.0));
        labels.push(*label as i32);
    }
    let count = labels.len();
    let images = Tensor::from_vec([count, pixels.len() / count], pixels);
    let all = Digits { images, labels: labels.into() };
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let (test, train) = order.split_at(count / 4);
    Ok((all.pick(train), all.pick(test)))
}

// ANCHOR: network
/// A network with one hidden layer.
#[derive(Tree, Clone, Debug)]
pub struct Mlp {
    /// From pixels to the hidden layer.
    pub hidden: Linear,
    /// From there to the scores of classes.
    pub output: Linear,
}

impl Mlp {
    /// Random weights of the scale that keeps the size of signals, no biases.
    pub fn new(inputs: usize, hidden: usize, classes: usize, seed: i64) -> Mlp {
        let [first, second] = random::split(&random::key(seed));
        let init = Init::he_uniform();
        Mlp {
            hidden: Linear::with(&init, &first, DType::F32, inputs, hidden),
            output: Linear::with(&init, &second, DType::F32, hidden, classes),
        }
    }

    /// The score of every class, for one image.
    pub fn scores(&self, image: &Tensor) -> Tensor {
        self.output.call(&self.hidden.call(image).relu())
    }

    /// The class of the highest score, for each of many images.
    pub fn classify(&self, images: &Tensor) -> Tensor {
        vmap(|image: &Tensor| self.scores(image).argmax(), 0)(images)
    }

    /// The share of images whose class is right.
    pub fn accuracy(&self, digits: &Digits) -> unloop::Result<f64> {
        let right = self.classify(&digits.images).equal(&digits.labels.cast(DType::I64));
        right.cast(DType::F64).mean().item()
    }
}
// ANCHOR_END: network

// ANCHOR: loss
/// The cross-entropy of one image, which shows the digit `label`.
pub fn loss(model: &Mlp, image: &Tensor, label: &Tensor) -> Tensor {
    nn::softmax_cross_entropy(&model.scores(image), label)
}
// ANCHOR_END: loss

/// The largest of differences, and NaN if one of them is NaN, which `f64::max` would lose.
pub fn largest(differences: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |most: f64, x: f64| if x > most || x.is_nan() { x } else { most };
    differences.into_iter().fold(0.0, larger)
}
