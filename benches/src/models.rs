//! Larger programs: attention, simulations, finance, statistics, and the cost of preparing.

use unloop::Result;
use unloop::prelude::*;

use crate::{
    CUBE, Row, mean_of_products, mlp, mlp_row, mlp_step, preparing, rosenbrock, ternary, unary,
};

/// Self-attention of 8 heads of 32, over 128 tokens of 256 features.
fn attention(x: &Tensor, w: &Tensor, out: &Tensor) -> Tensor {
    let heads = |w: &Tensor| x.matmul(w).reshape([128, 8, 32]);
    let [q, k, v] = [0, 1, 2].map(|i| heads(&w.at((i, .., ..))));
    let head = |q: &Tensor, k: &Tensor, v: &Tensor| q.attention(k, v);
    vmap(head, (1, 1, 1)).out_axis(1)(&q, &k, &v).reshape([128, 256]).matmul(out)
}

const STEP: f64 = 0.01;

/// The slope of Lorenz' system.
fn lorenz(s: &Tensor) -> Tensor {
    let (x, y, z) = (s.at(0), s.at(1), s.at(2));
    let slopes = [10.0 * (&y - &x), &x * (28.0 - &z) - &y, &x * &y - z * (8.0 / 3.0)];
    Tensor::stack(&slopes.each_ref(), 0)
}

/// One thousand steps of Runge and Kutta's method.
fn trajectory(start: &Tensor) -> Tensor {
    let step = |_: &Tensor, s: &Tensor| {
        let a = lorenz(s);
        let b = lorenz(&(s + &a * (STEP / 2.0)));
        let c = lorenz(&(s + &b * (STEP / 2.0)));
        let d = lorenz(&(s + &c * STEP));
        s + (a + 2.0 * b + 2.0 * c + d) * (STEP / 6.0)
    };
    fori_loop(1000, step, start)
}

/// After how many steps `z² + c` leaves the disc of radius 2, at most 1,000.
fn escape(re: &Tensor, im: &Tensor) -> Tensor {
    let (re, im) = (1.25 * re - 0.75, 1.25 * im);
    let inside = |(x, y, n): &(Tensor, Tensor, Tensor)| {
        (x.square() + y.square()).less_equal(&Tensor::from(4.0)) & n.less(&Tensor::from(1000.0))
    };
    let step = |(x, y, n): &(Tensor, Tensor, Tensor)| {
        (x.square() - y.square() + &re, 2.0 * x * y + &im, n + 1.0)
    };
    let zero = re.zeros_like();
    while_loop(inside, step, &(zero.clone(), zero.clone(), zero)).2
}

/// The price of a call by Black and Scholes; `u` holds five numbers from -1 to 1.
fn price(u: &Tensor) -> Tensor {
    let [s, k, t, r, v] = [0, 1, 2, 3, 4].map(|i| u.at(i));
    let (s, k) = (100.0 + 20.0 * s, 100.0 + 20.0 * k);
    let (t, r, v) = (1.5 + t, 0.03 + 0.02 * r, 0.3 + 0.1 * v);
    let spread = &v * t.sqrt();
    let d1 = ((&s / &k).log() + (&r + 0.5 * v.square()) * &t) / &spread;
    let d2 = &d1 - spread;
    s * d1.ndtr() - k * (-r * t).exp() * d2.ndtr()
}

/// The price and its five sensitivities.
fn greeks(u: &Tensor) -> (Tensor, Tensor) {
    value_and_grad(price)(u)
}

/// The logarithm of the density of a normal distribution.
fn log_density(x: &Tensor, covariance: &Tensor) -> Tensor {
    let factor = covariance.cholesky();
    let z = factor.solve_lower(x);
    -0.5 * z.square().sum() - factor.diagonal(0).log().sum()
}

fn densities(x: &Tensor, covariance: &Tensor, _: &Tensor) -> Tensor {
    vmap(log_density, (0, 0))(x, covariance)
}

fn density_gradients(x: &Tensor, covariance: &Tensor, _: &Tensor) -> Tensor {
    vmap(grad(log_density).wrt(1), (0, 0))(x, covariance)
}

/// The rows after the first eighteen.
pub(crate) fn rows() -> Vec<Row> {
    let weights: [(DType, &[usize]); 2] = [(DType::F32, &[3, 256, 256]), (DType::F32, &[256, 256])];
    let one = [&[(DType::F32, &[128usize, 256][..])], &weights[..]].concat();
    let many = [&[(DType::F32, &[32usize, 128, 256][..])], &weights[..]].concat();
    let normal: [(DType, &[usize]); 3] =
        [(DType::F64, &[20_000, 8]), (DType::F64, &[20_000, 8, 8]), (DType::F64, &[1])];
    let options = jit(vmap(greeks, 0));
    let solved = jit(Tensor::solve);
    let fractal = jit(vmap(escape, (0, 0)));
    let pixels: [(DType, &[usize]); 2] = [(DType::F64, &[262_144]), (DType::F64, &[262_144])];
    vec![
        ternary("19", &one, attention),
        ternary("19 batch", &many, |x, w, out| vmap(attention, (0, Shared, Shared))(x, w, out)),
        unary("20", DType::F64, &[3], trajectory),
        unary("20 batch", DType::F64, &[10_000, 3], |x| vmap(trajectory, 0)(x)),
        Row::new("21", &pixels, move |x| Ok(vec![fractal.try_call((&x[0], &x[1]))?])),
        Row::new("22", &[(DType::F64, &[1_000_000, 5])], move |x| {
            let (value, sensitivities) = options.try_call((&x[0],))?;
            Ok(vec![value, sensitivities])
        }),
        ternary("23", &normal, densities),
        ternary("23 gradient", &normal, density_gradients),
        unary("24 svd", DType::F64, &[500, 50], Tensor::singular_values),
        unary("24 cholesky", DType::F64, &[1000, 1000], Tensor::cholesky),
        Row::new("24 solve", &[(DType::F64, &[1000, 1000]), (DType::F64, &[1000])], move |x| {
            Ok(vec![solved.try_call((&x[0], &x[1]))?])
        }),
        preparing("25 products", ternary("", &CUBE, mean_of_products), |x| {
            jit(mean_of_products).plan((&x[0], &x[1], &x[2]))
        }),
        preparing("25 network", mlp_row("", 64), |x| jit(mlp_step).plan((&mlp(x), &x[4], &x[5]))),
        preparing("25 attention", ternary("", &one, attention), |x| {
            jit(attention).plan((&x[0], &x[1], &x[2]))
        }),
        preparing("25 trajectory", unary("", DType::F64, &[10_000, 3], trajectory), |x| {
            jit(vmap(trajectory, 0)).plan((&x[0],))
        }),
        preparing("25 density", ternary("", &normal, densities), |x| {
            jit(density_gradients).plan((&x[0], &x[1], &x[2]))
        }),
        Row::new("26", &[(DType::F64, &[1024, 2, 2]), (DType::F64, &[1024, 2])], |x| {
            Ok(vec![vmap(Tensor::solve, (0, 0)).try_call((&x[0], &x[1]))?])
        }),
        Row::new("27", &[(DType::F64, &[10])], |x| {
            let gradient: Result<Tensor> = grad(rosenbrock).try_call((&x[0],));
            Ok(vec![gradient?])
        }),
    ]
}
