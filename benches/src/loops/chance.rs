//! Row 29, with the bits of JAX's keys.

use rayon::prelude::*;

use crate::Row;
use crate::data::Values;

pub(crate) const ROWS: &[Row] = &[
    ("29 grad", "f4", |x| barrier_option(x[0].f32())),
    ("29 jvp", "f4", |x| barrier_option(x[0].f32())),
];

/// Threefry's two numbers of a key and a counter (Salmon et al., 2011).
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd1_1bda];
    let [mut x, mut y] = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for round in 0..5 {
        for turn in [[13, 15, 26, 6], [17, 29, 16, 24]][round % 2] {
            x = x.wrapping_add(y);
            y = y.rotate_left(turn) ^ x;
        }
        x = x.wrapping_add(keys[(round + 1) % 3]);
        y = y.wrapping_add(keys[(round + 2) % 3]).wrapping_add(round as u32 + 1);
    }
    [x, y]
}

/// The inverse of the error function (Giles, 2010).
fn erf_inv(x: f32) -> f32 {
    const NEAR: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    const FAR: [f32; 9] = [
        -0.000_200_214_26,
        0.000_100_950_56,
        0.001_349_343_2,
        -0.003_673_428_4,
        0.005_739_507_7,
        -0.007_622_461_3,
        0.009_438_870_5,
        1.001_674,
        2.832_976_8,
    ];
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let (w, terms) = if w < 5.0 { (w - 2.5, NEAR) } else { (w.sqrt() - 3.0, FAR) };
    terms.iter().fold(0.0, |sum, term| sum * w + term) * x
}

fn normal(key: [u32; 2], i: usize) -> f32 {
    let [a, b] = threefry(key, [0, i as u32]);
    let unit = f32::from_bits((a ^ b) >> 9 | 0x3f80_0000) - 1.0;
    const LOW: f32 = -0.999_999_94;
    2f32.sqrt() * erf_inv((unit * (1.0 - LOW) + LOW).max(LOW))
}

/// The price, and its derivatives in both inputs.
fn barrier_option(u: &[f32]) -> Vec<Values> {
    const PATHS: usize = 100_000;
    let (spot, volatility) = (100.0 + 5.0 * u[0], 0.2 + 0.05 * u[1]);
    let keys: Vec<[u32; 2]> = (0..252).map(|day| threefry([0, 7], [0, day])).collect();
    let (drift, root) = ((0.02 - 0.5 * volatility * volatility) / 252.0, 252f32.sqrt());
    let path = |i: usize| {
        let (mut log, mut sum) = (spot.ln(), 0f32);
        for key in &keys {
            let z = normal(*key, i);
            log = log + drift + volatility / root * z;
            sum += z;
            if log >= 130f32.ln() {
                return [0.0; 3];
            }
        }
        let end = log.exp();
        let slopes = [end / spot * 5.0, end * (sum / root - volatility) * 0.05];
        if end > 100.0 { [end - 100.0, slopes[0], slopes[1]].map(f64::from) } else { [0.0; 3] }
    };
    let both = |a: [f64; 3], b: [f64; 3]| [0, 1, 2].map(|i| a[i] + b[i]);
    let total = (0..PATHS).into_par_iter().map(path).reduce(|| [0.0; 3], both);
    let [price, slopes @ ..] = total.map(|x| (x / PATHS as f64 * (-0.02f64).exp()) as f32);
    vec![vec![price].into(), slopes.to_vec().into()]
}
