//! Rows 20, 21, 30, 31 and 44.

use rayon::prelude::*;

use crate::Row;

pub(crate) const ROWS: &[Row] = &[
    ("20", "f8", |x| vec![trajectories(x[0].f64()).into()]),
    ("20 batch", "f8", |x| vec![trajectories(x[0].f64()).into()]),
    ("21", "f8 f8", |x| {
        let points = x[0].f64().par_iter().zip(x[1].f64());
        vec![points.map(|(re, im)| escape(*re, *im)).collect::<Vec<f64>>().into()]
    }),
    ("30 interp f64", "f8 f8", |x| {
        let ys = x[0].f64();
        vec![x[1].f64().par_iter().map(|x| interp(ys, *x)).collect::<Vec<f64>>().into()]
    }),
    ("30 image f64", "f8 f8", |x| {
        let (image, (places, _)) = (x[0].f64(), x[1].f64().as_chunks());
        vec![places.par_iter().map(|p| bilinear(image, *p)).collect::<Vec<f64>>().into()]
    }),
    ("30 image f32", "f4 f4", |x| {
        let (image, (places, _)) = (x[0].f32(), x[1].f32().as_chunks());
        let pixel = |i: usize| image[i];
        let at = |[y, x]: &[f32; 2]| {
            let (y, x) = ((y + 1.0) * 511.0, (x + 1.0) * 511.0);
            let (s, t, i) = (y.fract(), x.fract(), y as usize * 1024 + x as usize);
            let upper = pixel(i) * (1.0 - t) + pixel(i + 1) * t;
            let lower = pixel(i + 1024) * (1.0 - t) + pixel(i + 1025) * t;
            upper * (1.0 - s) + lower * s
        };
        vec![places.par_iter().map(at).collect::<Vec<f32>>().into()]
    }),
    ("31 writes", "f8", |x| vec![k_means(x[0].f64()).into()]),
    ("31 products", "f8", |x| vec![k_means(x[0].f64()).into()]),
    ("44", "i4 i4", |x| vec![page_rank(x[0].i32(), x[1].i32()).into()]),
    ("44 sorted", "i4 i4", |x| vec![page_rank(x[0].i32(), x[1].i32()).into()]),
];

fn trajectories(starts: &[f64]) -> Vec<f64> {
    const STEP: f64 = 0.01;
    let mut all = starts.to_vec();
    let slope = |[x, y, z]: [f64; 3]| [10.0 * (y - x), x * (28.0 - z) - y, x * y - z * (8.0 / 3.0)];
    let along = |s: [f64; 3], d: [f64; 3], t: f64| [0, 1, 2].map(|i| s[i] + d[i] * t);
    all.as_chunks_mut::<3>().0.par_iter_mut().for_each(|s| {
        for _ in 0..1000 {
            let a = slope(*s);
            let b = slope(along(*s, a, STEP / 2.0));
            let c = slope(along(*s, b, STEP / 2.0));
            let d = slope(along(*s, c, STEP));
            *s = [0, 1, 2].map(|i| s[i] + (a[i] + 2.0 * b[i] + 2.0 * c[i] + d[i]) * (STEP / 6.0));
        }
    });
    all
}

fn escape(re: f64, im: f64) -> f64 {
    let (re, im) = (1.25 * re - 0.75, 1.25 * im);
    let (mut x, mut y, mut n) = (0.0, 0.0, 0.0);
    while x * x + y * y <= 4.0 && n < 1000.0 {
        (x, y, n) = (x * x - y * y + re, 2.0 * x * y + im, n + 1.0);
    }
    n
}

/// In a table of equal steps from -1 to 1, which is searched all the same.
fn interp(ys: &[f64], x: f64) -> f64 {
    let n = ys.len();
    let at = |i: usize| -1.0 + 2.0 * i as f64 / (n - 1) as f64;
    let (mut low, mut high) = (0, n - 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        (low, high) = if at(middle) <= x { (middle, high) } else { (low, middle) };
    }
    let part = (x - at(low)) / (at(high) - at(low));
    ys[low] + part * (ys[high] - ys[low])
}

fn bilinear(image: &[f64], [y, x]: [f64; 2]) -> f64 {
    let (y, x) = ((y + 1.0) * 511.0, (x + 1.0) * 511.0);
    let (s, t, i) = (y.fract(), x.fract(), y as usize * 1024 + x as usize);
    let upper = image[i] * (1.0 - t) + image[i + 1] * t;
    let lower = image[i + 1024] * (1.0 - t) + image[i + 1025] * t;
    upper * (1.0 - s) + lower * s
}

fn k_means(points: &[f64]) -> Vec<f64> {
    let (points, _) = points.as_chunks::<8>();
    let mut centres: Vec<[f64; 8]> = points[..32].to_vec();
    let zeros = || vec![[0f64; 9]; 32];
    for _ in 0..10 {
        let add = |mut sums: Vec<[f64; 9]>, p: &[f64; 8]| {
            let (mut best, mut least) = (0, f64::INFINITY);
            for (i, centre) in centres.iter().enumerate() {
                let mut distance = 0.0;
                for (a, b) in p.iter().zip(centre) {
                    distance += (a - b) * (a - b);
                }
                (best, least) = if distance < least { (i, distance) } else { (best, least) };
            }
            sums[best].iter_mut().zip(p).for_each(|(sum, x)| *sum += x);
            sums[best][8] += 1.0;
            sums
        };
        let both = |mut a: Vec<[f64; 9]>, b: Vec<[f64; 9]>| {
            a.iter_mut().flatten().zip(b.iter().flatten()).for_each(|(a, b)| *a += b);
            a
        };
        let sums = points.par_iter().fold(zeros, add).reduce(zeros, both);
        for (centre, sum) in centres.iter_mut().zip(&sums) {
            *centre = std::array::from_fn(|i| sum[i] / sum[8].max(1.0));
        }
    }
    centres.concat()
}

fn page_rank(source: &[i32], target: &[i32]) -> Vec<f64> {
    const NODES: usize = 100_000;
    let mut degrees = vec![0f64; NODES];
    source.iter().for_each(|&i| degrees[i as usize] += 1.0);
    let mut rank = vec![1.0 / NODES as f64; NODES];
    for _ in 0..20 {
        rank.iter_mut().zip(&degrees).for_each(|(rank, degree)| *rank /= degree.max(1.0));
        let mut flow = vec![0f64; NODES];
        for (&from, &to) in source.iter().zip(target) {
            flow[to as usize] += rank[from as usize];
        }
        rank = flow.iter().map(|flow| 0.15 / NODES as f64 + 0.85 * flow).collect();
    }
    rank
}
