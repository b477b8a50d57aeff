//! Rows 32 and 40.

use std::ops::{Add, Div, Mul, Sub};

use rayon::prelude::*;

use crate::Row;

pub(crate) const ROWS: &[Row] = &[
    ("32 edits", "i4 i4", |x| vec![edits(x[0].i32(), x[1].i32()).into()]),
    ("32 paths", "i4", |x| vec![paths(x[0].i32()).into()]),
    ("40", "f8 f8", |x| vec![vec![mean(x[1].f64(), [0, 1, 2].map(|i| x[0].f64()[i]))].into()]),
    ("40 gradient", "f8 f8", |x| {
        let p = [0, 1, 2].map(|i| Dual::variable(x[0].f64()[i], i));
        let Dual(mean) = mean(x[1].f64(), p);
        vec![vec![mean[0]].into(), mean[1..].to_vec().into()]
    }),
];

fn edits(a: &[i32], b: &[i32]) -> Vec<i32> {
    const N: usize = 256;
    let pairs = a.par_chunks(N).zip(b.par_chunks(N));
    pairs
        .map(|(a, b)| {
            let mut row: Vec<i32> = (0..=N as i32).collect();
            for letter in a {
                let mut diagonal = row[0];
                row[0] += 1;
                for j in 1..=N {
                    let replaced = diagonal + i32::from(*letter != b[j - 1]);
                    diagonal = row[j];
                    row[j] = (row[j - 1].min(row[j]) + 1).min(replaced);
                }
            }
            row[N]
        })
        .collect()
}

fn paths(lengths: &[i32]) -> Vec<i32> {
    const N: usize = 256;
    let mut d = lengths.to_vec();
    for k in 0..N {
        let through = d[k * N..][..N].to_vec();
        d.par_chunks_mut(N).for_each(|row| {
            let first = row[k];
            for (d, second) in row.iter_mut().zip(&through) {
                *d = (*d).min(first + second);
            }
        });
    }
    d
}

/// A number, maybe with its derivatives.
trait Real:
    Copy
    + Send
    + Sync
    + From<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    fn ln(self) -> Self;
    fn exp(self) -> Self;
}

impl Real for f64 {
    fn ln(self) -> f64 {
        f64::ln(self)
    }

    fn exp(self) -> f64 {
        f64::exp(self)
    }
}

/// A value and its derivatives in three variables.
#[derive(Clone, Copy)]
struct Dual([f64; 4]);

impl Dual {
    fn variable(x: f64, i: usize) -> Dual {
        let mut parts = [x, 0.0, 0.0, 0.0];
        parts[i + 1] = 1.0;
        Dual(parts)
    }

    fn with(self, other: Dual, value: f64, a: f64, b: f64) -> Dual {
        let mut parts = [value; 4];
        for (part, (x, y)) in parts.iter_mut().zip(self.0.iter().zip(&other.0)).skip(1) {
            *part = a * x + b * y;
        }
        Dual(parts)
    }
}

impl From<f64> for Dual {
    fn from(x: f64) -> Dual {
        Dual([x, 0.0, 0.0, 0.0])
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident ($x:ident, $y:ident) $value:expr, $a:expr, $b:expr;)+) => {$(
        impl $trait for Dual {
            type Output = Dual;

            fn $method(self, other: Dual) -> Dual {
                let ($x, $y) = (self.0[0], other.0[0]);
                self.with(other, $value, $a, $b)
            }
        }
    )+};
}

operators! {
    Add add (x, y) x + y, 1.0, 1.0;
    Sub sub (x, y) x - y, 1.0, -1.0;
    Mul mul (x, y) x * y, y, x;
    Div div (x, y) x / y, 1.0 / y, -x / (y * y);
}

impl Real for Dual {
    fn ln(self) -> Dual {
        self.with(self, self.0[0].ln(), 1.0 / self.0[0], 0.0)
    }

    fn exp(self) -> Dual {
        let e = self.0[0].exp();
        self.with(self, e, e, 0.0)
    }
}

/// The mean of the likelihoods of all series.
fn mean<T: Real>(series: &[f64], [damping, drift, noise]: [T; 3]) -> T {
    let zero = T::from(0.0);
    let (slow, drift, noise) = (T::from(0.8) + T::from(0.1) * damping, drift.exp(), noise.exp());
    let one = |series: &[f64]| {
        let (mut place, mut speed) = (zero, zero);
        let (mut a, mut b, mut c) = (T::from(1.0), zero, T::from(1.0));
        let mut total = zero;
        for &seen in series {
            (place, speed) = (place + speed, slow * speed);
            (a, b, c) = (a + b + b + c + drift, slow * (b + c), slow * slow * c + drift);
            let spread = a + noise;
            let gap = T::from(seen) - place;
            let (g, h) = (a / spread, b / spread);
            total = total
                - T::from(0.5)
                    * (gap * gap / spread + spread.ln() + T::from(std::f64::consts::TAU.ln()));
            (place, speed) = (place + g * gap, speed + h * gap);
            (a, b, c) = (a - g * a, b - g * b, c - h * b);
        }
        total
    };
    let count = T::from(series.len() as f64 / 100.0);
    series.par_chunks(100).map(one).reduce(|| zero, |a, b| a + b) / count
}
