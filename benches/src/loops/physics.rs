//! Rows 39 and 42.

use std::ops::{Add, Div, Mul, Sub};

use rayon::prelude::*;

use crate::Row;

pub(crate) const ROWS: &[Row] = &[
    ("39 forces", "f4 f4", |x| vec![accelerations(x[0].f32(), x[1].f32()).into()]),
    ("39 steps", "f4 f4 f4", |x| {
        leapfrog(x[0].f32(), x[1].f32(), x[2].f32()).map(Into::into).into()
    }),
    ("42", "f4 f4 f4", |x| vec![image(x[0].f32()[0], x[1].f32(), x[2].f32()).into()]),
    ("42 jvp", "f4 f4 f4", |x| {
        let pixels = image(Dual(x[0].f32()[0], 1.0), x[1].f32(), x[2].f32());
        let (values, slopes): (Vec<f32>, Vec<f32>) =
            pixels.iter().map(|Dual(x, dx)| (*x, *dx)).unzip();
        vec![values.into(), slopes.into()]
    }),
];

fn accelerations(places: &[f32], masses: &[f32]) -> Vec<f32> {
    let mut all = vec![0f32; places.len()];
    let (places, _) = places.as_chunks::<3>();
    all.par_chunks_mut(3).zip(places).for_each(|(sum, a)| {
        let mut total = [0f32; 3];
        for (b, mass) in places.iter().zip(masses) {
            let way = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
            let square = way[0] * way[0] + way[1] * way[1] + way[2] * way[2] + 0.01;
            let factor = mass / (square * square.sqrt());
            for (total, way) in total.iter_mut().zip(way) {
                *total += way * factor;
            }
        }
        sum.copy_from_slice(&total);
    });
    all
}

fn leapfrog(places: &[f32], velocities: &[f32], masses: &[f32]) -> [Vec<f32>; 2] {
    let dt = 0.01;
    let (mut x, mut v) = (places.to_vec(), velocities.to_vec());
    let kick = |v: &mut [f32], x: &[f32], dt: f32| {
        v.iter_mut().zip(accelerations(x, masses)).for_each(|(v, a)| *v += a * dt);
    };
    kick(&mut v, &x, dt / 2.0);
    for _ in 0..100 {
        x.iter_mut().zip(&v).for_each(|(x, v)| *x += v * dt);
        kick(&mut v, &x, dt);
    }
    [x, v]
}

/// A number, maybe with its derivative.
trait Real:
    Copy
    + Send
    + Sync
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    fn value(self) -> f32;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
}

impl Real for f32 {
    fn value(self) -> f32 {
        self
    }

    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    fn exp(self) -> f32 {
        f32::exp(self)
    }
}

/// A value and its derivative.
#[derive(Clone, Copy)]
struct Dual(f32, f32);

impl From<f32> for Dual {
    fn from(x: f32) -> Dual {
        Dual(x, 0.0)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident ($x:ident, $dx:ident, $y:ident, $dy:ident) $value:expr, $slope:expr;)+) => {$(
        impl $trait for Dual {
            type Output = Dual;

            fn $method(self, other: Dual) -> Dual {
                let (Dual($x, $dx), Dual($y, $dy)) = (self, other);
                Dual($value, $slope)
            }
        }
    )+};
}

operators! {
    Add add (x, dx, y, dy) x + y, dx + dy;
    Sub sub (x, dx, y, dy) x - y, dx - dy;
    Mul mul (x, dx, y, dy) x * y, dx * y + x * dy;
    Div div (x, dx, y, dy) x / y, (dx - x / y * dy) / y;
}

impl Real for Dual {
    fn value(self) -> f32 {
        self.0
    }

    fn sqrt(self) -> Dual {
        let root = self.0.sqrt();
        Dual(root, self.1 / (2.0 * root))
    }

    fn exp(self) -> Dual {
        let e = self.0.exp();
        Dual(e, self.1 * e)
    }
}

fn dot<T: Real>(a: [T; 3], b: [T; 3]) -> T {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// How far it is from a point to the middle of a ball, and the direction.
fn ball<T: Real>(p: [T; 3], middle: [f32; 3]) -> (T, [T; 3]) {
    let way = [0, 1, 2].map(|i| p[i] - T::from(middle[i]));
    let length = dot(way, way).sqrt();
    (length, way.map(|x| x / length))
}

/// How far it is from a point to the scene, and the slope of that in the point.
fn distance<T: Real>(radius: T, p: [T; 3]) -> (T, [T; 3]) {
    let ((a, da), (b, db)) = (ball(p, [0.0, 0.0, 0.0]), ball(p, [0.9, 0.6, -0.3]));
    let (a, b) = (a - radius, b - T::from(0.5));
    let is_a = a.value() < b.value();
    let (best, dbest, sign) = if is_a { (a, da, -1.0) } else { (b, db, 1.0) };
    let (mut balls, mut slope) = (best, dbest);
    let apart = T::from(sign) * (a - b);
    if apart.value() < 0.3 {
        let near = (T::from(0.3) - apart) / T::from(0.3);
        balls = best - near * near * T::from(0.3 / 4.0);
        slope = [0, 1, 2].map(|i| dbest[i] + T::from(0.5 * sign) * near * (da[i] - db[i]));
    }
    let floor = p[1] + T::from(1.0);
    if floor.value() < balls.value() {
        return (floor, [0.0, 1.0, 0.0].map(T::from));
    }
    (balls, slope)
}

fn image<T: Real>(radius: T, us: &[f32], vs: &[f32]) -> Vec<T> {
    let mut pixels = vec![T::from(0.0); us.len() * vs.len()];
    let eye = [0.0, 0.3, -3.0];
    pixels.par_chunks_mut(us.len()).zip(vs).for_each(|(row, v)| {
        for (pixel, u) in row.iter_mut().zip(us) {
            let length = (u * u + v * v + 1.5f32 * 1.5).sqrt();
            let way = [u / length, v / length, 1.5 / length];
            let at = |t: T| [0, 1, 2].map(|i| T::from(eye[i]) + t * T::from(way[i]));
            let (mut t, mut d, mut n) = (T::from(0.0), distance(radius, eye.map(T::from)).0, 0);
            while d.value() > 1e-3 && t.value() < 20.0 && n < 100 {
                t = t + d;
                d = distance(radius, at(t)).0;
                n += 1;
            }
            if t.value() < 20.0 {
                let normal = distance(radius, at(t)).1;
                let light = dot(normal, [0.5, 0.7, -0.5].map(T::from));
                if light.value() > 0.0 {
                    *pixel = light * (T::from(-0.1) * t).exp();
                }
            }
        }
    });
    pixels
}
